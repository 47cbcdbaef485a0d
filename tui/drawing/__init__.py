"""What the app says, as lines of text: state in, lines out. Pure: no widget, no screen, no I/O."""
