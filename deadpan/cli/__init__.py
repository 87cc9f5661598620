"""The command line: one command is one thin function."""
