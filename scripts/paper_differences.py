"""A Griffe extension: the site shows only "Differences from the paper" of a method's module docstring."""

from __future__ import annotations

from typing import Any

import griffe


class PaperDifferences(griffe.Extension):
    """Cut the docstring of every module in deadpan.methods down to the differences from its paper."""

    def on_module(self, *, mod: griffe.Module, **kwargs: Any) -> None:
        """Keep the text after the words "Differences from the paper"."""
        if mod.path.startswith("deadpan.methods.") and mod.docstring is not None:
            _, found, kept = mod.docstring.value.partition("Differences from the paper")
            if found:
                mod.docstring.value = kept.lstrip(". ")
