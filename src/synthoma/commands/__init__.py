"""The command line: a file for each command. Everything heavy is imported when a command runs, not before."""
