"""Prints results, model cards, data sets and figures to a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deadpan.datasets import DATASETS
from deadpan.datasets.check import Check
from deadpan.models import ModelError, card, find, is_intact, released
from deadpan.prediction.results import FaceResult, PhotographResult
from deadpan.printable import printable
from deadpan.video.episodes import episodes
from deadpan.video.reading import clock
from deadpan.video.results import VideoResult

if TYPE_CHECKING:
    from deadpan.metrics.measurement import Measurement

BAR = 24  # characters for a probability of 1

LEAST = 0.01  # expressions with a lower probability are not printed, except the most probable one


MANY = 20
"""A list of more people than this is counted, not printed."""


def print_result(result: PhotographResult, console: Console) -> None:
    """Print the faces of a photograph from left to right, each with its probabilities as bars."""
    heading = Text(printable(result.path), style="bold").append(f"  {result.width} x {result.height}", style="dim")
    console.print(heading, soft_wrap=True)
    if not result.faces:
        console.print(Text("  no face found", style="dim"))
    else:
        console.print(_faces(result.faces, console))


def print_video(result: VideoResult) -> None:
    """Print of everyone in a video how long each was in sight, and the apex of each expression."""
    console = Console(highlight=False)
    people = result.people()
    console.print(Text(printable(str(result.path)), "bold").append(f"  {len(result.rows)} rows", "dim"), soft_wrap=True)
    found = episodes(result)
    table = Table.grid(padding=(0, 2))
    for face, indices in people.items():
        times = result.rows["time_s"][indices]
        table.add_row(f"  face {face}", Text(f"{clock(times[0])} to {clock(times[-1])}", "dim"), "", "")
        for each in (one for one in found if one.face == face):
            distance = "" if each.distance is None else f"{each.distance:.2f} from rest"
            when = f"{clock(each.start_s)} to {clock(each.end_s)}, apex {each.apex_s:.1f} s"
            table.add_row("", Text(when, "dim"), Text(f"{each.expression} {each.confidence:.0%}"), Text(distance))
    console.print(table if people else Text("  no face found", style="dim"))


def _faces(faces: list[FaceResult], console: Console) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    block = "█" if console.encoding.lower().startswith("utf") else "#"
    for index, face in enumerate(faces):
        ranked = sorted(face.probabilities.items(), key=lambda item: -item[1])
        for place, (name, probability) in enumerate(ranked):
            if place and probability < LEAST:
                break
            style = "bold" if place == 0 else "dim"
            bar = Text(block * max(1, round(probability * BAR)), style="dark_orange" if place == 0 else "grey58")
            table.add_row(
                f"  face {index}" if place == 0 else "", Text(name, style), bar, Text(f"{probability:.1%}", style)
            )
        if face.marks:
            table.add_row("", Text(_marks(face), "dim"))
    return table


def _marks(face: FaceResult) -> str:
    """The reasons not to trust the expression, such as "turned 55°, covered"."""
    return ", ".join(f"turned {face.quality.turn:.0f}°" if mark == "turned" else mark for mark in face.marks)


def print_models(console: Console) -> None:
    """Print one row per released model."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("name", "method", "size", "sees", "expressions", "metrics"):
        table.add_column(heading, overflow="fold")
    for name, path in released().items():
        try:
            facts = card(name)
        except ModelError as error:
            table.add_row(name, Text(str(error), style="red"))
            continue
        side = facts.get("image_size", "?")
        figures = flat(facts.get("metrics", {}))
        brief = {key: value for key, value in figures.items() if key.endswith(".accuracy")} or figures
        metrics = "\n".join(f"{key} {value}" for key, value in brief.items())
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        expressions = ", ".join(facts.get("expressions", []))
        table.add_row(name, str(facts.get("method", "?")), size, f"{side} x {side}", Text(expressions), Text(metrics))
    if not table.rows:
        console.print("This installation has no released model; train one and pass its file to predict as --model.")
        return
    console.print(table)
    console.print(Text("\nTerms, training data and recipe: deadpan models NAME", style="dim"))


def print_card(name: str, console: Console) -> None:
    """Print all entries of a model's card; ModelError if there is no such model or card."""
    facts = card(name)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        if isinstance(value, Mapping):
            text = "\n".join(printable(f"{inner} {number}") for inner, number in flat(value).items())
        elif key == "subjects" and len(value) > MANY:
            text = f"{len(value):,} people; the card names them: {find(name).with_suffix('.json')}"
        elif isinstance(value, list):
            lines = [printable(_line(item)) for item in value]
            text = "\n".join(lines) if any(map(_is_long, value)) else ", ".join(lines)
        else:
            text = printable(value)
        if key == "sha256":
            text += " (the file matches)" if is_intact(name) else " (THE FILE DIFFERS: reinstall deadpan)"
        table.add_row(key, Text(text or "-"))
    console.print(table)


def print_datasets(console: Console) -> None:
    """Print one row per data set."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("name", "what it is", "people", "expressions", "neutral faces", "terms"):
        table.add_column(heading, overflow="fold")
    for name, dataset in DATASETS.items():
        facts = dataset.facts
        people = str(facts.counts.get("subjects", ""))
        row = (facts.title.partition(" (")[0], people, ", ".join(dataset.expressions), facts.neutral, facts.terms)
        table.add_row(name, *map(Text, row))
    console.print(table)
    pages = "docs/datasets.md; csv, folders and synthetic: docs/data.md"
    console.print(Text(f"\nThe expected files, and where to request them: {pages}", style="dim"))


def print_check(found: Check, console: Console) -> None:
    """Print the counts of a copy of a data set beside the expected ones, and the findings."""
    table = Table.grid(padding=(0, 2))
    for line in found.lines:
        source = f" in {found.copy}" if found.copy else ""
        expected = "" if line.expected is None else f"expected {line.expected:,}{source}"
        style = "red" if line.differs else "dim"
        table.add_row(Text(printable(line.what)), f"{line.found:,}", Text(printable(expected), style=style))
    console.print(table)
    for finding in found.findings:
        console.print(Text(printable(finding), style="dim" if finding.intended else "red"), soft_wrap=True)
    if found.bad:
        console.print(Text(f"{len(found.bad):,} pictures cannot be read", style="red"))


def flat(values: Mapping[str, Any], start: str = "") -> dict[str, str]:
    """Flatten nested values to dotted names, for example {"test": {"accuracy": 0.5}} to {"test.accuracy": "0.5"}.

    Floats are rounded to four significant digits.
    """
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{start}{key}."))
        else:
            found[f"{start}{key}"] = f"{value:.4g}" if isinstance(value, float) else str(value)
    return found


def _is_long(value: object) -> bool:
    return isinstance(value, Mapping) or len(str(value)) > 30


def _line(value: object) -> str:
    return ", ".join(f"{key}: {inner}" for key, inner in value.items()) if isinstance(value, Mapping) else str(value)


def print_scores(model: str, measured: Mapping[str, Mapping[str, Measurement]], console: Console) -> None:
    """Print the figures of `deadpan score`: for each file and reading a line of figures, the recalls, and groups."""
    for name, readings in measured.items():
        for reading, each in readings.items():
            figures = each.figures()
            error = figures["calibration_error"]
            lines = [f"{model} on {name}, {reading}: {each.brief()} calibration error {error:.4f}"]
            lines.append(f"  recall {_shares(each.classification.recall)}")
            for attribute, found in figures.get("groups", {}).items():
                lines.append(f"  {attribute}: {_shares(found['accuracy'])}; gap {found['gap']:.3f}")
            for line in lines:
                console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def _shares(values: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {value:.3f}" for key, value in values.items())


def print_evaluation(facts: Mapping[str, Any], readings: Mapping[str, Any], console: Console) -> None:
    """Print the figures of `deadpan evaluate`, joined over the folds, beside the paper's.

    `facts` is the content of evaluation.json; `readings` maps the name of a reading to its Classification.
    """
    done = sum(fold["status"] == "done" for fold in facts["folds"])
    protocol = facts["protocol"]
    title = f"{facts['method']} on {', '.join(facts['data'])}, {protocol['name']}: {protocol['title']}"
    console.print(Text(printable(title), style="bold"), soft_wrap=True)
    console.print(Text(f"{done} folds done; weights: {facts['selection']}", style="dim"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("decided", "n", "accuracy", "balanced accuracy", "macro F1"):
        table.add_column(heading, justify="left" if heading == "decided" else "right")
    for name, found in readings.items():
        shares = (found.accuracy, found.balanced_accuracy, found.macro_f1)
        table.add_row(name, str(len(found)), *(f"{100 * share:.2f} %" for share in shares))
    for figure in protocol["paper"]:
        own = f"{figure['value']:.2f} %"
        place = ["", own, "", ""] if figure["figure"] == "accuracy" else ["", "", own, ""]
        table.add_row(Text(f"paper: {figure['source']}", style="dim"), *place)
    console.print(table)


def print_comparison(facts: Mapping[str, Any], console: Console) -> None:
    """Print a table of the runs of `deadpan compare`, and for every two runs the gap between them and its tests."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("run", "pictures", "people", "accuracy (95 %)", "balanced", "F1", "ECE"):
        table.add_column(heading, justify="left" if heading == "run" else "right", overflow="fold")
    for run in facts["runs"]:
        frame = run["frame"]
        ends = " to ".join(f"{100 * end:.1f}" for end in frame["accuracy_interval"])
        accuracy, *others = (f"{100 * frame[name]:.1f}" for name in ("accuracy", "balanced_accuracy", "macro_f1"))
        counts = [f"{run['pictures']:,}", f"{run['people']:,}" if run["people"] else "unknown"]
        row = [run["name"], *counts, f"{accuracy} ({ends})", *others, f"{run['calibration']['ece']:.3f}"]
        table.add_row(*map(Text, map(printable, row)))
    console.print(table)
    said = dict.fromkeys(f"{run['protocol']['name']}, weights: {run['selection']}" for run in facts["runs"])
    console.print(Text("; ".join(said), style="dim"))
    for pair in facts["pairs"]:
        tests = [f"McNemar p {pair['mcnemar']['p']:.3g}"]
        if pair["permutation"]:
            tests.append(f"permutation of people p {pair['permutation']['p']:.3g}")
        gap = 100 * (pair["accuracy_a"] - pair["accuracy_b"])
        line = f"{pair['a']} - {pair['b']}: {gap:+.1f} on {pair['pictures']:,} pictures, {', '.join(tests)}"
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
