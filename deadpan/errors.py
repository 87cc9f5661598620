"""The base of every error that deadpan raises about what it was given."""

from __future__ import annotations


class DeadpanError(ValueError):
    """Input, a file or a setting that deadpan cannot use; the text says what was expected and what came."""
