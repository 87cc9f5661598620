"""Writes a comparison: one self-contained HTML page, the facts as JSON, and the tables as Markdown and LaTeX."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from deadpan.comparison.compare import Comparison, Evaluated
from deadpan.expressions import EXPRESSIONS
from deadpan.files import OutputError, replacing
from deadpan.outputs import check_folder, is_among, json_in
from deadpan.report.drawings import Axes, Line, chart, scatter, span
from deadpan.report.gallery import gallery
from deadpan.report.table_text import latex, markdown
from deadpan.report.tables import label, tables

Facts = Mapping[str, Any]

SECTIONS = {
    "summary": "Summary",
    "paper": "Beside the papers",
    "sequences": "Whole sequences",
    "recall": "Each expression",
    "confusion": "What is taken for what",
    "significance": "Differences between runs",
    "calibration": "Calibration",
    "generator": "Generated neutral faces",
    "robustness": "Robustness",
    "subgroups": "Groups of people",
    "curves": "Training",
    "map": "Map of the answers",
    "faces": "Faces",
    "recipe": "Recipes",
}

SHOWN_ELSEWHERE = ("format", "name", "protocol", "folds", "command")

NOT_CURVES = (
    "fold",
    "stage",
    "epoch",
    "learning_rate",
    "pictures",
    "seconds",
    "pictures_per_second",
    "validation pictures",
)


def check_report_folder(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse (OutputError) a folder that holds anything but an earlier report."""
    check_folder(out, "--out")
    if not out.is_dir() or not any(out.iterdir()):
        return
    facts = json_in(out / "comparison.json")
    if is_among(out, inputs) or not isinstance(facts, dict) or not {"runs", "pairs"} <= set(facts):
        raise OutputError(f"{out} holds other files; --out needs an empty or new folder, or that of an earlier report")


def write_report(comparison: Comparison, out: str | Path) -> None:
    """Write report.html, comparison.json, tables.md and tables.tex into the folder `out`, each whole or not at all."""
    out, made = Path(out), tables(comparison.facts)
    files = {
        "comparison.json": json.dumps(comparison.facts, indent=1) + "\n",
        "tables.md": markdown(made.values()),
        "tables.tex": latex(made.values()),
        "report.html": page(comparison),
    }
    for name, text in files.items():
        with replacing(out / name) as partial:
            partial.write_text(text, encoding="utf-8")


def page(comparison: Comparison) -> str:
    """The report as one HTML page that needs no other file."""
    facts, made = comparison.facts, tables(comparison.facts)
    environment = Environment(
        loader=PackageLoader("deadpan.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    runs = [about(run, each, facts) for run, each in zip(facts["runs"], comparison.runs, strict=True)]
    parts = {
        "tables": made,
        "generator": [each for name, each in made.items() if name.startswith(("generator", "expression"))],
        "subgroups": [each for name, each in made.items() if name.startswith("subgroups")],
        "robustness": robustness(facts["runs"]),
        "curves": any(run["curves"] for run in runs),
        "map": any(run["map"] for run in runs),
    }
    optional = {*made, *(name for name, part in parts.items() if part)}
    always = {"confusion", "calibration", "faces", "recipe", "summary"}
    return environment.get_template("page.html").render(
        **parts,
        facts=facts,
        label=label(facts),
        runs=runs,
        sections={name: title for name, title in SECTIONS.items() if name in always | optional},
        spoiled=spoiled(facts["runs"]),
    )


def about(run: Facts, evaluated: Evaluated, facts: Facts) -> dict[str, Any]:
    """What the page shows of one run: its facts, charts and faces."""
    return {
        **run,
        "label": label(facts, [run]),
        "reliability": reliability(run),
        "curves": curves(run["curves"]),
        "map": embedding_map(run),
        "right": gallery(evaluated.answers, right=True),
        "wrong": gallery(evaluated.answers, right=False),
        "generates": evaluated.answers.neutral is not None,
        "settings": settings({key: value for key, value in evaluated.facts.items() if key not in SHOWN_ELSEWHERE}),
        "command": evaluated.facts.get("command"),
    }


def spoiled(runs: Sequence[Facts]) -> str:
    """How many pictures robustness was measured on, as part of a sentence."""
    counts = sorted({run["robustness"]["pictures"] for run in runs if run["robustness"]})
    return f", measured on {' or '.join(f'{count:,}' for count in counts)} of the test pictures" if counts else ""


def reliability(run: Facts) -> Markup:
    """The reliability diagram: accuracy over confidence; a dot's area is proportional to its number of pictures."""
    bins = [each for each in run["calibration"]["bins"] if each["pictures"]]
    most = max((each["pictures"] for each in bins), default=1)
    line = Line(
        run["name"],
        [each["confidence"] for each in bins],
        [each["accuracy"] for each in bins],
        sizes=[2 + 7 * (each["pictures"] / most) ** 0.5 for each in bins],
    )
    axes = Axes("confidence of the answer, %", "answered right, %", (0, 1), (0, 1), per_cent=True)
    return chart([line] if bins else [], axes, diagonal=True)


def robustness(runs: Sequence[Facts]) -> dict[str, Markup]:
    """One chart per degradation: accuracy over severity (0 is clean), with one line per run."""
    known = [(style, run["name"], run["robustness"]) for style, run in enumerate(runs) if run["robustness"]]
    lines: dict[str, list[Line]] = {}
    for style, name, measured in known:
        for way, accuracies in measured["degradations"].items():
            heights = [measured["clean"], *accuracies]
            lines.setdefault(way, []).append(Line(name, range(len(heights)), heights, style))
    axes = Axes("severity", "accuracy, %", (0, 5), (0, 1), per_cent=True)
    return {way: chart(each, axes) for way, each in lines.items()}


def curves(entries: Sequence[Facts]) -> dict[str, dict[str, Markup]]:
    """One chart per logged number and stage: its course over the epochs, with one line per fold."""
    courses: dict[str, dict[str, dict[str, tuple[list[float], list[float]]]]] = {}
    for entry in entries:
        for key, value in entry.items():
            if key not in NOT_CURVES:
                folds = courses.setdefault(entry["stage"], {}).setdefault(key, {})
                x, y = folds.setdefault(str(entry["fold"]), ([], []))
                x.append(entry["epoch"])
                y.append(value)
    return {stage: {key: _course(key, folds) for key, folds in numbers.items()} for stage, numbers in courses.items()}


def _course(key: str, folds: Mapping[str, tuple[list[float], list[float]]]) -> Markup:
    epochs = [epoch for x, _ in folds.values() for epoch in x]
    values = [value for _, y in folds.values() for value in y]
    last = max(max(epochs), min(epochs) + 1)
    lines = [Line(f"fold {name}", x, y, sizes=[2.5] * len(x) if len(x) < 3 else ()) for name, (x, y) in folds.items()]
    return chart(lines, Axes("epoch", key.replace("_", " "), (min(epochs), last), span(values)))


def embedding_map(run: Facts) -> Markup | None:
    """The map of the run's predictions, where similar predictions are close to each other; None without a map."""
    if not run["map"]:
        return None
    return scatter(run["map"], run["expressions"], [EXPRESSIONS.index(name) for name in run["expressions"]])


def settings(facts: Facts, under: str = "") -> dict[str, str]:
    """Every setting by its dotted name."""
    found: dict[str, str] = {}
    for key, value in facts.items():
        if isinstance(value, Mapping):
            found |= settings(value, f"{under}{key}.")
        else:
            found[under + key] = value if isinstance(value, str) else json.dumps(value)
    return found
