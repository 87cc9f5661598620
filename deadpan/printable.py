"""Makes file names and messages safe to print on a terminal."""

from __future__ import annotations

import unicodedata

JOINERS = "\u200c\u200d"
"""Zero-width characters that are part of the spelling in several scripts; they do not control a terminal."""


def printable(text: object) -> str:
    """Replace control characters and line breaks by escapes such as \\x1b, so that they cannot control a terminal."""
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in JOINERS
        else character
        for character in str(text)
    )
