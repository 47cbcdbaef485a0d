"""Starts a process tree and sees to it that nothing of it is left behind."""
