"""The command line: each command is one short function that calls the library."""
