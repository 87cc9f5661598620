"""A table, written as Markdown or LaTeX."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Cell:
    """One entry: its text and, for a share of 0 to 1, its value and interval."""

    text: str
    share: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def range(self) -> str:
        """The interval in per cent, or empty text."""
        return "" if self.interval is None else f"({100 * self.interval[0]:.1f}–{100 * self.interval[1]:.1f})"

    def __str__(self) -> str:
        return f"{self.text} {self.range}".rstrip()


@dataclass(frozen=True)
class Table:
    """A table whose caption is one sentence; `label` names the data, the selection and the date."""

    name: str  # of letters and dashes
    caption: str
    label: str
    align: str  # a letter for each column: l or r
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    repeated: int = 0
    "How many of the last columns repeat the label."

    @property
    def about(self) -> str:
        """The caption with the label."""
        return f"{self.caption} ({self.label})"


LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # a bare bracket after the end of a row would begin an argument
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "–": "--",
}

MARKDOWN = {sign: f"\\{sign}" for sign in "\\|*_`<[]"} | {"\n": " "}


def for_text(table: Table) -> Table:
    """The table without the columns that repeat the label."""
    keep = len(table.header) - table.repeated
    rows = tuple(row[:keep] for row in table.rows)
    return replace(table, align=table.align[:keep], header=table.header[:keep], rows=rows)


def markdown(tables: Iterable[Table]) -> str:
    """The tables as Markdown, each followed by its caption."""
    lines = []
    for table in map(for_text, tables):
        rule = "|".join("---" if way == "l" else "---:" for way in table.align)
        lines += [_markdown_row(table.header), f"|{rule}|", *(_markdown_row(map(str, row)) for row in table.rows)]
        lines += ["", _escaped(table.about, MARKDOWN), ""]
    return "\n".join(lines)


def latex(tables: Iterable[Table]) -> str:
    r"""The tables for booktabs, each in a table environment with \label{tab:NAME}."""
    lines = [r"% needs \usepackage{booktabs}; a wide table fits with \resizebox{\textwidth}{!}{...} of graphicx", ""]
    for table in map(for_text, tables):
        lines += [r"\begin{table}", r"\centering", rf"\caption{{{_escaped(table.about, LATEX)}}}"]
        lines += [rf"\label{{tab:{table.name}}}", rf"\begin{{tabular}}{{{table.align}}}", r"\toprule"]
        lines += [_latex_row(table.header), r"\midrule", *(_latex_row(map(str, row)) for row in table.rows)]
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(lines)


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_escaped(cell, MARKDOWN) for cell in cells)} |"


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(_escaped(cell, LATEX) for cell in cells) + r" \\"


def _escaped(text: str, signs: dict[str, str]) -> str:
    return "".join(signs.get(sign, sign) for sign in text)
