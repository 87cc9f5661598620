"""The report's files: right figures in the right places, everything escaped, nothing from outside, a fair gallery."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deadpan.comparison.compare import Comparison
from deadpan.report.drawings import Axes, Line, chart
from deadpan.report.gallery import MOST, PER_PERSON, chosen
from deadpan.report.page import SECTIONS, page, write_report
from deadpan.report.table_text import Cell, Table, latex, markdown
from deadpan.report.tables import tables
from tests.support.fake_comparison import NASTY, compared, evaluated, fake_comparison, random_answers

VOID = ("meta", "link", "img", "br")


class Outline(HTMLParser):
    """Every start tag with its attributes; fails where tags do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str, attribute: str) -> list[str]:
        return [str(attrs[attribute]) for name, attrs in self.tags if name == tag and attribute in attrs]


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return fake_comparison()


@pytest.fixture(scope="module")
def html(comparison: Comparison) -> str:
    return page(comparison)


def plain_comparison() -> Comparison:
    """One run of a plain network, whose people, sequences, attributes and training are unknown."""
    answers = random_answers(40, generates=False)
    unknown = np.array([""] * len(answers))
    answers = dataclasses.replace(
        answers, subjects=unknown, sequences=unknown, attributes=({},) * 40, paired=np.zeros(40, bool)
    )
    run = evaluated("plain", answers)
    facts = {**run.facts, "folds": run.facts["folds"][:1], "model": "cnn", "command": None}
    return compared(dataclasses.replace(run, facts=facts, robustness=None, curves=[]))


def test_the_folder_holds_the_page_the_facts_and_the_tables(comparison: Comparison, tmp_path: Path) -> None:
    write_report(comparison, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"report.html", "comparison.json", "tables.md", "tables.tex"}
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == comparison.facts
    assert (tmp_path / "out" / "report.html").stat().st_size < 1_000_000


def test_the_page_has_every_section_and_asks_for_nothing_from_outside(html: str) -> None:
    outline = Outline(html)
    assert outline.all("section", "id") == list(SECTIONS)
    assert outline.all("a", "href") == [f"#{name}" for name in SECTIONS]
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in outline.all("img", "src"))
    assert outline.all("link", "href") == ["data:,"]
    assert not re.search(r"https?://|@import|url\(", html)


def test_words_from_files_are_escaped(html: str) -> None:
    assert "script" not in {tag for tag, _ in Outline(html).tags}
    assert "derl_&lt;b&gt;&amp;{x}" in html and NASTY not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "fold 3 of 3 failed and is in no figure: ValueError: it &lt;b&gt;broke&lt;/b&gt;" in html


def test_figures_stand_beside_the_papers_and_say_whose_they_are(html: str, comparison: Comparison) -> None:
    made = tables(comparison.facts)
    run = comparison.facts["runs"][0]
    row = made["paper"].rows[0]
    assert [cell.text for cell in row[:4]] == [NASTY, "Accuracy", "97.30", f"{100 * run['frame']['accuracy']:.1f}"]
    assert len(made["paper"].rows) == 1  # the plain network is in no paper
    assert "Not comparable one to one" in html
    label = "drawn.parquet, subjects: 160 pictures of 10 people in 2 test folds; model: last epoch; 2026-05-03"
    assert {table.label for table in made.values()} == {label}
    assert html.count(label) >= len(made)


def test_the_tables_hold_the_facts(comparison: Comparison) -> None:
    made, (run, other) = tables(comparison.facts), comparison.facts["runs"]
    low, high = run["frame"]["accuracy_interval"]
    accuracy = f"{100 * run['frame']['accuracy']:.1f} ({100 * low:.1f}–{100 * high:.1f})"
    assert str(made["main"].rows[0][1]) == accuracy
    assert made["main"].rows[0][8].text == "3, 1 failed"
    recall = {row[0].text: row[2].share for row in made["recall"].rows}
    assert recall == other["frame"]["recall"]
    assert [row[1].text for row in made["sequences"].rows] == ["majority", "mean log-probability"] * 2
    l1 = run["neutral"]["expressive"]
    assert [cell.text for cell in made["generator-expressive"].rows[0][2:4]] == [
        f"{l1['l1']:.3f}",
        f"{l1['copy_l1']:.3f}",
    ]
    assert made["subgroups-gender"].rows[-1][3].text == f"{100 * run['subgroups']['gender']['gap']:.1f}"
    assert all(len(row) == len(table.header) == len(table.align) for table in made.values() for row in table.rows)


def test_a_plain_run_has_fewer_sections_and_no_empty_ones() -> None:
    plain = plain_comparison()
    outline = Outline(page(plain))
    assert outline.all("section", "id") == ["summary", "recall", "confusion", "calibration", "map", "faces", "recipe"]
    assert "plain" in markdown(tables(plain.facts).values())
    assert "over pictures" in tables(plain.facts)["main"].caption


def sample(**changes: Any) -> Table:
    cells = Cell("a_1 & 50 %"), Cell("86.9", 0.869, (0.831, 0.902))
    table = Table("main", "Caption of 100 %.", "data_x", "lr", ("Run | name", "Accuracy ↑"), (cells,))
    return dataclasses.replace(table, **changes)


def test_markdown_by_hand() -> None:
    lines = markdown([sample()]).splitlines()
    assert lines[:3] == ["| Run \\| name | Accuracy ↑ |", "|---|---:|", "| a\\_1 & 50 % | 86.9 (83.1–90.2) |"]
    assert lines[4] == "Caption of 100 %. (data\\_x)"


def test_latex_by_hand() -> None:
    text = latex([sample()])
    assert r"a\_1 \& 50 \% & 86.9 (83.1--90.2) \\" in text
    assert r"\caption{Caption of 100 \%. (data\_x)}" in text and r"\label{tab:main}" in text
    assert r"Accuracy $\uparrow$ \\" in text
    assert "Accuracy" not in latex([sample(repeated=1)])


def test_latex_compiles(comparison: Comparison, tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None or not _has_booktabs():
        pytest.skip("pdflatex with booktabs is not installed")
    body = latex(tables(comparison.facts).values())
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "report.tex").write_text(document)
    command = [compiler, "-halt-on-error", "-interaction=nonstopmode", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout


def _has_booktabs() -> bool:
    found = subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True)
    return found.returncode == 0


@pytest.mark.parametrize("right", [True, False])
def test_galleries_are_fair_and_always_the_same(right: bool) -> None:
    answers = random_answers(skill=0.5)
    rows = chosen(answers, right=right)
    assert len(rows) == MOST
    assert set((answers.classification.right[rows]).tolist()) == {right}
    assert max(Counter(answers.subjects[rows]).values()) <= PER_PERSON
    expressions = Counter(answers.classification.truth[rows].tolist())
    assert max(expressions.values()) - min(expressions[k] for k in range(8)) <= 2
    shuffled = np.random.default_rng(3).permutation(len(answers))
    again = chosen(answers.take(shuffled), right=right)
    assert answers.names[rows].tolist() == answers.names[shuffled][again].tolist()


def test_galleries_take_two_of_a_person_but_any_number_of_strangers() -> None:
    answers = random_answers(64, 2, skill=1)
    assert len(chosen(answers, right=True)) == 2 * PER_PERSON
    strangers = dataclasses.replace(answers, subjects=np.array([""] * 64))
    assert len(chosen(strangers, right=True)) == MOST
    assert chosen(answers, right=False) == []


def test_points_stand_where_their_values_are() -> None:
    axes = Axes("x", "y", (0, 10), (0, 1), per_cent=True)
    left, bottom = axes.place(0, 0)
    right, top = axes.place(10, 1)
    assert axes.place(5, 0.25) == (round((left + right) / 2, 1), round(bottom + 0.25 * (top - bottom), 1))
    drawn = chart([Line("a & b", [0, 10], [0, 1], style=1)], axes)
    assert f'd="M{left:g} {bottom:g}L{right:g} {top:g}"' in drawn
    assert "<title>a &amp; b</title>" in drawn and 'class="line s1"' in drawn
