"""Runs the command line by `python -m deadpan`."""

import sys

from deadpan.cli.main import main

if __name__ == "__main__":  # worker processes import this module too
    sys.exit(main())
