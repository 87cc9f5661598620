"""File names and messages as a terminal may show them."""

from __future__ import annotations

import unicodedata

JOINERS = "\u200c\u200d"
"""Zero-width characters that the spelling of several scripts needs; a terminal does not obey them."""


def printable(text: object) -> str:
    """The text with control characters, line breaks included, as escapes such as \\x1b: no terminal obeys those."""
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in JOINERS
        else character
        for character in str(text)
    )
