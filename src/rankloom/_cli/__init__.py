"""The commands of the command line, one a file; engines are imported when a command runs."""
