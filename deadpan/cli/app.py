"""The command line's app and its exit codes."""

from __future__ import annotations

import sys

from cyclopts import App, Parameter

from deadpan.printable import printable
from deadpan.version import __version__

DONE, PARTLY, FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: everything done; some items failed, others were done; nothing was done or wrong use; Ctrl-C."""

app = App(
    name="deadpan",
    help="Recognise facial expressions by removing them.",
    version=__version__,
    default_parameter=Parameter(negative=(), consume_multiple=True),
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


def complain(text: object) -> None:
    """Say on standard error what went wrong."""
    print(f"error: {printable(text)}", file=sys.stderr)


def say(path: object) -> None:
    """Print a file that was written."""
    print(printable(path))
