"""What the command line asks for, one module a family of commands: flags in, exit code out."""
