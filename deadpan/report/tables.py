"""The tables of a comparison, built from its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deadpan.metrics.groups import LEAST
from deadpan.report.table_text import Cell, Table

Facts = Mapping[str, Any]

MEASURES = {"accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "macro_f1": "Macro F1"}

GENERATED = {"l1": "L1 ↓", "ssim": "SSIM ↑", "identity": "Identity ↑"}

KINDS = {"expressive": "Expressive faces", "neutral": "Neutral faces"}


def tables(facts: Facts) -> dict[str, Table]:
    """Every table for which the facts have entries, by name, in the order of the report."""
    made = [main_table(facts), paper_table(facts), sequence_table(facts), recall_table(facts), pair_table(facts)]
    made += [neutral_table(facts, kind) for kind in KINDS] + [left_table(facts)]
    made += [
        subgroup_table(facts, each) for each in dict.fromkeys(k for run in facts["runs"] for k in run["subgroups"])
    ]
    return {table.name: table for table in made if table.rows}


def label_of(run: Facts) -> str:
    """The pictures that a run was evaluated on, and how its model was selected."""
    people = f" of {run['people']:,} people" if run["people"] else ""
    folds = sum(fold["status"] == "done" for fold in run["folds"])
    tested = "test fold" if folds == 1 else f"{folds} test folds"
    where = f"{', '.join(run['data'][1:] or run['data'])}, {run['protocol']['name']}"
    return f"{where}: {run['pictures']:,} pictures{people} in {tested}; model: {run['selection']}"


def label(facts: Facts, runs: Sequence[Facts] | None = None) -> str:
    """The labels of several runs, written once where they agree, and the date."""
    runs = facts["runs"] if runs is None else runs
    said: dict[str, list[str]] = {}
    for run in runs:
        said.setdefault(label_of(run), []).append(run["name"])
    parts = [each if len(said) == 1 else f"{', '.join(names)}: {each}" for each, names in said.items()]
    return "; ".join([*parts, facts["created"]])


def share(value: float | None, interval: Sequence[float] | None = None) -> Cell:
    """A share of 0 to 1 in per cent; a dash for None."""
    if value is None:
        return Cell("–")
    return Cell(f"{100 * value:.1f}", value, None if interval is None else (interval[0], interval[1]))


def number(value: float | None, digits: int = 3) -> Cell:
    """A plain number; a dash for None."""
    return Cell("–" if value is None else f"{value:.{digits}f}")


def chance(p: float | None) -> Cell:
    """A p value; a dash for None."""
    return Cell("< 0.001") if p is not None and p < 0.001 else number(p)


def figures(measured: Facts) -> list[Cell]:
    """Accuracy, balanced accuracy and macro F1 with their intervals."""
    return [share(measured[name], measured[f"{name}_interval"]) for name in MEASURES]


def over(facts: Facts) -> str:
    """Whether the intervals resample people or pictures."""
    kinds = {run["frame"]["interval_over"] for run in facts["runs"]}
    return "people" if kinds == {"people"} else "pictures" if kinds == {"pictures"} else "people, or pictures"


def main_table(facts: Facts) -> Table:
    """The main figures of all runs."""
    rows = []
    for run in facts["runs"]:
        failed = sum(fold["status"] == "failed" for fold in run["folds"])
        folds = run["fold_accuracy"]
        spread = f"{100 * folds['mean']:.1f} ± {100 * folds['std']:.1f}" if folds["std"] is not None else "–"
        counts = [f"{run['pictures']:,}", f"{run['people']:,}" if run["people"] else "unknown"]
        counts.append(f"{len(run['folds'])}, {failed} failed" if failed else str(len(run["folds"])))
        ends = [run["selection"], run["protocol"]["name"]]
        cells = [Cell(run["name"]), *figures(run["frame"]), number(run["calibration"]["ece"]), Cell(spread)]
        rows.append((*cells, *map(Cell, counts + ends)))
    return Table(
        "main",
        f"How often each run is right on single pictures, in per cent, with 95 % intervals over {over(facts)}; "
        "a lower ECE means more honest probabilities.",
        label(facts),
        "lrrrrrrrrll",
        ("Run", *MEASURES.values(), "ECE", "Folds ± std", "Pictures", "People", "Folds", "Selection", "Protocol"),
        tuple(rows),
        repeated=2,
    )


def paper_table(facts: Facts) -> Table:
    """The figures that the papers report, beside the measured ones."""
    rows = []
    for run in facts["runs"]:
        for entry in run["protocol"]["paper"]:
            figure = entry["figure"]
            measured = [run["frame"], *(run["sequence"] or {}).values()]
            ours = [share(each[figure], each[f"{figure}_interval"]) for each in measured]
            ours += [Cell("–")] * (3 - len(ours))
            first = [Cell(run["name"]), Cell(MEASURES[figure]), Cell(f"{entry['value']:.2f}")]
            rows.append((*first, *ours, Cell(entry["source"])))
    return Table(
        "paper",
        "What the papers report, beside what was measured here on pictures and, by two rules, on whole sequences.",
        label(facts),
        "llrrrrl",
        ("Run", "Figure", "Paper", "Pictures", "Sequences, majority", "Sequences, mean log-probability", "Source"),
        tuple(rows),
    )


def sequence_table(facts: Facts) -> Table:
    """The figures of each run on whole sequences."""
    rows = [
        (Cell(run["name"]), Cell(rule), Cell(f"{measured['n']:,}"), *figures(measured))
        for run in facts["runs"]
        for rule, measured in (run["sequence"] or {}).items()
    ]
    return Table(
        "sequences",
        "How often each run is right on whole sequences, by its pictures' majority or their mean log-probability.",
        label(facts),
        "llrrrr",
        ("Run", "Decision", "Sequences", *MEASURES.values()),
        tuple(rows),
    )


def recall_table(facts: Facts) -> Table:
    """The share of each expression that is predicted correctly."""
    names = dict.fromkeys(name for run in facts["runs"] for name in run["expressions"])
    recalls = [run["frame"]["recall"] for run in facts["runs"]]
    rows = [(Cell(name), *(share(recall.get(name)) for recall in recalls)) for name in names]
    return Table(
        "recall",
        "Of the pictures that truly show an expression, the share that each run names rightly, in per cent.",
        label(facts),
        "l" + "r" * len(recalls),
        ("Expression", *(run["name"] for run in facts["runs"])),
        tuple(rows),
    )


def pair_table(facts: Facts) -> Table:
    """Every two runs, compared on the pictures that both answered."""
    rows = []
    for pair in facts["pairs"]:
        count = f"{pair['people']:,}" if pair["people"] else "unknown"
        cells = [Cell(pair["a"]), Cell(pair["b"]), Cell(f"{pair['pictures']:,}"), Cell(count)]
        cells += [share(pair["accuracy_a"]), share(pair["accuracy_b"])]
        cells += [Cell(f"{pair['mcnemar'][name]:,}") for name in ("only_a", "only_b")]
        permuted = pair["permutation"] or {"p": None}
        rows.append((*cells, chance(pair["mcnemar"]["p"]), chance(permuted["p"])))
    return Table(
        "significance",
        "Whether two runs differ by more than chance on the pictures that both answered: McNemar's test takes "
        "pictures as independent, the permutation test exchanges whole people and is the safer one; neither is "
        "corrected for the number of pairs.",
        label(facts),
        "llrrrrrrrr",
        ("A", "B", "Pictures", "People", "A right", "B right", "Only A", "Only B", "McNemar p", "Permutation p"),
        tuple(rows),
    )


def neutral_table(facts: Facts, kind: str) -> Table:
    """How close generated neutral faces come to the true ones, compared with copying the input."""
    rows = []
    for run in facts["runs"]:
        measured = (run["neutral"] or {}).get(kind)
        if measured:
            made = [number(measured[f"{way}{name}"]) for name in GENERATED for way in ("", "copy_")]
            rows.append((Cell(run["name"]), Cell(f"{measured['pictures']:,}"), *made))
    where = "inside the region that the expression changed" if kind == "expressive" else "over the whole face"
    return Table(
        f"generator-{kind}",
        f"{KINDS[kind]}: how near the generated neutral face comes to the true one (L1 {where}, of the range 0 to 1), "
        "beside what copying the input would reach.",
        label(facts),
        "lr" + "r" * 6,
        ("Run", "Pictures", *(f"{name}{copy}" for name in GENERATED.values() for copy in ("", ", copied"))),
        tuple(rows),
    )


def left_table(facts: Facts) -> Table:
    """How an independent classifier reads the generated neutral faces."""
    rows = []
    for run in facts["runs"]:
        left = (run["neutral"] or {}).get("expression_left")
        if left:
            shares = ("read_as_neutral", "image_read_as_neutral", "recognised", "image_recognised")
            rows.append((Cell(run["name"]), *(share(left[name]) for name in shares), Cell(left["judge"])))
    return Table(
        "expression-left",
        "What an independent classifier reads on the generated neutral faces of expressive pictures, in per cent: a "
        "generator that removes the expression is read as neutral, and the true expression is no longer recognised.",
        label(facts),
        "lrrrrl",
        ("Run", "Read as neutral", "Image itself", "Expression recognised", "On the image itself", "Judge"),
        tuple(rows),
    )


def subgroup_table(facts: Facts, attribute: str) -> Table:
    """Accuracy in each group of an attribute, and the gap between the best and the worst group."""
    runs = [run for run in facts["runs"] if attribute in run["subgroups"]]
    groups = [run["subgroups"][attribute]["groups"] for run in runs]
    rows = []
    for name in dict.fromkeys(name for each in groups for name in each):
        first = next(each[name] for each in groups if name in each)
        counts = Cell(f"{first['pictures']:,}"), Cell(f"{first['people']:,}" if first["people"] else "unknown")
        measured = [
            share(each[name]["accuracy"], each[name]["interval"]) if name in each else Cell("–") for each in groups
        ]
        rows.append((Cell(name), *counts, *measured))
    gaps = [Cell(f"{100 * run['subgroups'][attribute]['gap']:.1f}") for run in runs]
    rows.append((Cell("gap, best to worst"), Cell(""), Cell(""), *gaps))
    return Table(
        f"subgroups-{''.join(c if c.isalnum() else '-' for c in attribute)}",
        f"Accuracy by {attribute}, in per cent with 95 % intervals, and the gap between the best group and the worst; "
        f"groups of under {LEAST} pictures are left out, and the counts are those of {runs[0]['name']}.",
        label(facts, runs),
        "lrr" + "r" * len(runs),
        (attribute.capitalize(), "Pictures", "People", *(run["name"] for run in runs)),
        tuple(rows),
    )
