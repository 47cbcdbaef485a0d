"""From evidence to a named, graded verdict."""
