"""The command line's app and its exit codes."""

from __future__ import annotations

import sys

from cyclopts import App, Parameter

from deadpan.printable import printable
from deadpan.version import __version__

DONE, PARTLY, FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: all items succeeded; some failed; all failed or the command was wrong; interrupted by Ctrl-C."""

app = App(
    name="deadpan",
    help="Recognise facial expressions by removing them.",
    version=__version__,
    default_parameter=Parameter(negative=(), consume_multiple=True),
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


def complain(text: object) -> None:
    """Print an error on standard error."""
    print(f"error: {printable(text)}", file=sys.stderr)


def say(path: object) -> None:
    """Print the path of a file that was written."""
    print(printable(path))
