"""`deadpan predict` and `deadpan models`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from deadpan.cli.app import DONE, FAILED, PARTLY, complain

if TYPE_CHECKING:
    from deadpan.prediction.writers import Writer


def predict(
    *paths: Annotated[str, Parameter(help="Photographs, folders of them, or patterns such as 'photos/**/*.jpg'.")],
    model: Annotated[str, Parameter(help="A released model's name (see `deadpan models`) or a model file.")] = "derl",
    json: Annotated[Path | None, Parameter(help="Write JSON lines to this file; - is standard output.")] = None,
    csv: Annotated[
        Path | None, Parameter(help="Write a table, a row per face, to this file; - is standard output.")
    ] = None,
    panel: Annotated[
        Path | None, Parameter(help="Draw NAME.panel.png for each photograph into this directory.")
    ] = None,
    neutral_dir: Annotated[
        Path | None, Parameter(help="Write NAME_FACE.face.png and NAME_FACE.neutral.png into this directory.")
    ] = None,
    crop: Annotated[bool, Parameter(help="The pictures are face crops already: look for no face in them.")] = False,
    detector: Annotated[
        str, Parameter(help="centerface, blazeface, none (as --crop) or the path of a YuNet .onnx file.")
    ] = "centerface",
    longest_side: Annotated[
        int, Parameter(help="Scale larger photographs down to this for detection; 0 as --small-faces.")
    ] = 640,
    small_faces: Annotated[
        bool, Parameter(help="Look for small faces too, in the photograph's full size: groups, crowds.")
    ] = False,
    confidence: Annotated[float, Parameter(help="Least score of a detected face, 0 to 1.")] = 0.5,
    rest_face: Annotated[
        Path | None,
        Parameter(help="Photograph of the person at rest, in place of the generated neutral face (dgcn and its like)."),
    ] = None,
    show: Annotated[bool, Parameter(help="Add what the model can show beyond its answer to the JSON lines.")] = False,
) -> int:
    """Read the expressions in photographs."""
    from deadpan.files import partial_path
    from deadpan.interruption import telling_what_is_kept
    from deadpan.prediction.folders import pictures_of
    from deadpan.prediction.predictor import Predictor
    from deadpan.prediction.writers import check_outputs

    if not paths:
        raise ValueError("no photographs given; usage: deadpan predict PATHS... [OPTIONS], see deadpan predict --help")
    photographs = pictures_of(paths)
    found_by = "none" if crop else detector
    asked = show or panel is not None
    inputs = [*photographs, *(each for each in (rest_face, model, detector) if each is not None)]
    check_outputs(inputs, json=json, csv=csv, panel=panel, neutral=neutral_dir)
    side = 0 if small_faces else longest_side
    predictor = Predictor(model, found_by, side, confidence, show=asked, rest_face=rest_face)
    done, failed = 0, 0

    def kept() -> str:
        if not done:
            return ""
        partials = [partial_path(each) for each in (json, csv) if each is not None]
        files = [*(each for each in partials if each.exists()), *(each for each in (panel, neutral_dir) if each)]
        rest = f"; go on from {photographs[done]}" if done < len(photographs) else ""
        where = f"; their results are in {', '.join(map(str, files))}" if files else ""
        return f"stopped after {done} of {len(photographs)} photographs{where}{rest}"

    with (
        telling_what_is_kept(kept),
        result_writers(
            predictor.expressions, json=json, csv=csv, panel=panel, neutral=neutral_dir, shown=show
        ) as writers,
    ):
        for result in predictor.predict_files(photographs):
            for write in writers:
                write(result)
            done += 1
            if result.error is not None:
                complain(f"{result.path}: {result.error}")
                failed += 1
    return DONE if not failed else FAILED if failed == len(photographs) else PARTLY


def models(name: Annotated[str | None, Parameter(help="Print this model's whole card.")] = None, /) -> None:
    """List the released models, or print the card of one."""
    from rich.console import Console

    from deadpan.cli.terminal import print_card, print_models

    if name is None:
        print_models(Console())
    else:
        print_card(name, Console())


@contextmanager
def result_writers(
    expressions: Sequence[str],
    *,
    json: Path | None = None,
    csv: Path | None = None,
    panel: Path | None = None,
    neutral: Path | None = None,
    shown: bool = False,
) -> Iterator[list[Writer]]:
    """Writers for the given files and directories; without a JSON or CSV file, one that prints to the terminal.

    `shown` adds to the JSON lines what the model can show beyond its answer. Pictures come first: whose results are
    in a file has its pictures too.
    """
    from deadpan.files import folder
    from deadpan.prediction.writers import csv_table, json_lines, neutral_faces, panels

    with ExitStack() as stack:
        writers: list[Writer] = []
        if panel is not None:
            writers.append(panels(folder(panel)))
        if neutral is not None:
            writers.append(neutral_faces(folder(neutral)))
        if json is not None:
            writers.append(stack.enter_context(json_lines(json, shown)))
        if csv is not None:
            writers.append(stack.enter_context(csv_table(csv, expressions)))
        if json is None and csv is None:
            writers.append(_terminal())
        yield writers


def _terminal() -> Writer:
    from rich.console import Console

    from deadpan.cli.terminal import print_result

    console = Console(highlight=False)
    return lambda result: print_result(result, console) if result.error is None else None
