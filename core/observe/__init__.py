"""Looks at processes, threads, waits and stacks, and changes nothing."""
