"""The commands from a log to a file that another tool reads."""
