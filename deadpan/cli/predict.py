"""`deadpan predict`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from deadpan.cli.app import DONE, FAILED, PARTLY, complain
from deadpan.cli.video import (
    VideoOptions,
    are_videos,
    check_for_photographs,
    check_for_videos,
    predict_videos,
    tables_of,
)

if TYPE_CHECKING:
    from deadpan.prediction.folders import Input, Inputs
    from deadpan.prediction.predictor import Predictor
    from deadpan.prediction.results import PhotographResult
    from deadpan.prediction.writers import Output, Pictures, Writer

    Read = Callable[[Iterator[Input]], Generator[PhotographResult, None, None]]


def predict(
    *paths: Annotated[
        str,
        Parameter(
            help="Photographs, folders, patterns ('photos/**/*.jpg'), lists (photos.txt, or - for standard input), ZIP "
            "archives; or videos."
        ),
    ],
    model: Annotated[
        str, Parameter(help="A released model's name (see `deadpan models`) or a model file.")
    ] = "default",
    out: Annotated[
        Path | None,
        Parameter(name=("--out", "-o"), help="Write a table, one row per face: FILE.csv, FILE.jsonl or FILE.parquet."),
    ] = None,
    format: Annotated[
        Literal["csv", "jsonl", "parquet"] | None,
        Parameter(help="Format of the -o table, instead of FILE's ending; without -o, write to standard output."),
    ] = None,
    json: Annotated[
        Path | None, Parameter(help="Write JSON lines, one per photograph, to this file; - is standard output.")
    ] = None,
    csv: Annotated[
        Path | None, Parameter(help="Write a CSV table, one row per face, to this file; - is standard output.")
    ] = None,
    panel: Annotated[
        Path | None, Parameter(help="Write NAME.panel.png for each photograph into this directory.")
    ] = None,
    neutral_dir: Annotated[
        Path | None, Parameter(help="Write NAME_FACE.face.png and NAME_FACE.neutral.png into this directory.")
    ] = None,
    crop: Annotated[bool, Parameter(help="The pictures are face crops: skip face detection.")] = False,
    detector: Annotated[
        str, Parameter(help="centerface, blazeface, none (as --crop) or the path of a YuNet .onnx file.")
    ] = "centerface",
    longest_side: Annotated[
        int,
        Parameter(help="Scale larger photographs down to this many pixels for detection; 0 means --small-faces."),
    ] = 640,
    small_faces: Annotated[
        bool, Parameter(help="Search photographs at full size, to find small faces too (groups, crowds).")
    ] = False,
    confidence: Annotated[float, Parameter(help="Lowest score of a detected face, 0 to 1.")] = 0.5,
    rest_face: Annotated[
        Path | None,
        Parameter(help="Photograph of the person's neutral face: also measure how far each face is from it."),
    ] = None,
    prior: Annotated[
        Literal["trained", "equal"],
        Parameter(help="How frequent each expression is taken to be: as in the training pictures, or all alike."),
    ] = "trained",
    show: Annotated[bool, Parameter(help="Add the model's explanations, such as votes, to the JSON lines.")] = False,
    mesh: Annotated[bool, Parameter(help="Add the 468 points of each face's mesh to JSON lines and Parquet.")] = False,
    resume: Annotated[bool, Parameter(help="Skip photographs whose results are already in the output file.")] = False,
    workers: Annotated[int | None, Parameter(help="Number of threads; one per core by default.")] = None,
    ray: Annotated[
        str | None, Parameter(help="Address of a Ray cluster to read the photographs on; local starts one.")
    ] = None,
    video: Annotated[VideoOptions, Parameter(name="*")] = VideoOptions(),  # noqa: B008  (frozen)
) -> int:
    """Recognise the expressions of all faces in photographs or videos."""
    from deadpan.prediction.folders import inputs_of
    from deadpan.prediction.predictor import Predictor
    from deadpan.prediction.writers import Pictures, check_outputs

    if not paths:
        raise ValueError("no photographs given; usage: deadpan predict PATHS... [OPTIONS], see deadpan predict --help")
    side = 0 if small_faces else longest_side
    found_by = "none" if crop else detector
    if are_videos(paths):
        photographic = {"--panel": panel, "--neutral-dir": neutral_dir, "--show": show, "--mesh": mesh}
        check_for_videos({**photographic, "--resume": resume, "--workers": workers, "--ray": ray})
        return predict_videos(
            lambda rest: Predictor(model, found_by, side, confidence, rest_face=rest, prior=prior),
            paths,
            tables_of(out, format, json, csv),
            video,
            rest_face,
            [model, detector],
        )
    check_for_photographs(video)
    outputs = outputs_of(out, format, json, csv, mesh=mesh)
    if mesh and not outputs and panel is None:
        raise ValueError("--mesh needs a file to write to: give --json, -o FILE.jsonl, -o FILE.parquet or --panel")
    if resume and len(outputs) != 1:
        raise ValueError(f"--resume needs one of -o, --json and --csv; got {len(outputs) or 'none'} of them")
    inputs = inputs_of(paths)
    named = [*paths, *(each for each in (rest_face, model, detector) if each is not None)]
    draws = panel is not None or neutral_dir is not None
    check_outputs(outputs, named, (each.name for each in inputs.known()) if draws else (), panel, neutral_dir)
    asked = show or panel is not None
    predictor = Predictor(model, found_by, side, confidence, show=asked, rest_face=rest_face, prior=prior)
    run = Run(predictor, inputs, outputs, [each for each in (panel, neutral_dir) if each is not None])
    read = partial(predictor.predict_many, workers=workers, ray=ray, pictures=draws or ray is None)
    return run(Pictures(panel, neutral_dir, mesh=mesh), read, shown=show, resume=resume)


def outputs_of(
    out: Path | None,
    format: Literal["csv", "jsonl", "parquet"] | None,
    json: Path | None,
    csv: Path | None,
    *,
    mesh: bool = False,
) -> list[Output]:
    """The output files that the options name; OutputError if a format is unknown or cannot hold a `mesh`."""
    from deadpan.files import OutputError
    from deadpan.prediction.tables import STDOUT, format_of
    from deadpan.prediction.writers import Output

    outputs = []
    if out is not None or format is not None:
        path = out or Path(STDOUT)
        outputs.append(Output(path, "-o", format_of(path, format), mesh))
    if json is not None:
        outputs.append(Output(json, "--json", None, mesh))
    if csv is not None:
        outputs.append(Output(csv, "--csv", "csv"))
    if mesh and any(each.way == "csv" for each in outputs):
        raise OutputError(
            "a CSV table cannot hold face meshes; with --mesh give --json, -o FILE.jsonl or -o FILE.parquet"
        )
    return outputs


class Run:
    """Reads photographs, writes each result when it is ready, and counts them."""

    def __init__(self, predictor: Predictor, inputs: Inputs, outputs: list[Output], folders: list[Path]) -> None:
        self._predictor = predictor
        self._inputs = inputs
        self._outputs = outputs
        self._folders = folders
        self._done = 0
        self._failed = 0

    def __call__(self, pictures: Pictures, read: Read, *, shown: bool, resume: bool) -> int:
        """Read the photographs, with `resume` only those without results; return the exit code."""
        from deadpan.interruption import telling_what_is_kept

        earlier = self._outputs[0].take_up(self._predictor) if resume else {}
        self._done, self._failed = len(earlier), sum(earlier.values())
        results = read(self._left(earlier, pictures))
        # The pictures of a photograph are written first: a photograph with results then always has its pictures.
        with telling_what_is_kept(self._kept), closing(results), ExitStack() as stack:
            writers: list[Writer] = [pictures]
            for each in self._outputs:
                writers.append(stack.enter_context(each.writer(self._predictor, shown=shown, resume=resume)))
            if not self._outputs:
                writers.append(_terminal())
            advance = stack.enter_context(self._progress())
            for result in results:
                for write in writers:
                    write(result)
                self._done += 1
                advance()
                if result.error is not None:
                    complain(f"{result.path}: {result.error}")
                    self._failed += 1
        return self._code()

    def _left(self, earlier: dict[str, bool], pictures: Pictures) -> Iterator[Input]:
        from deadpan.prediction.tables import readable

        for each in self._inputs:
            if earlier and readable(each.name) in earlier:
                pictures.skip(each.name)
            else:
                yield each

    def _progress(self) -> AbstractContextManager[Callable[[], None]]:
        """A progress bar, if standard error is a terminal and the results are not printed to the same terminal."""
        printed = not self._outputs or any(str(each.path) == "-" for each in self._outputs)
        if not sys.stderr.isatty() or (printed and sys.stdout.isatty()):
            return nullcontext(lambda: None)
        from deadpan.cli.progress import progress_bar

        return progress_bar(self._inputs.total, self._done)

    def _kept(self) -> str:
        from deadpan.files import partial_path

        partials = [path for each in self._outputs if (path := partial_path(each.path)).exists()]
        for each in self._outputs:
            if each.way == "parquet":  # rows that did not fit on a full disk are lost
                there = partial_path(each.path) in partials
                self._done = min(self._done, len(each.take_up(self._predictor)) if there else 0)
        if not self._done:
            return ""
        total = self._inputs.total
        of = f" of {total}" if total is not None else ""
        files = [*partials, *self._folders]
        where = f"; their results are in {', '.join(map(str, files))}" if files else ""
        if self._done == total:
            rest = ""
        elif len(partials) == len(self._outputs) == 1:
            rest = "; add --resume to continue"
        else:
            rest = "".join(
                f"; the next one is {each.name}" for each in islice(self._inputs.known(), self._done, self._done + 1)
            )
        return f"stopped after {self._done}{of} photographs{where}{rest}"

    def _code(self) -> int:
        if not self._done:
            raise ValueError("standard input lists no photograph; expected one file name per line")
        if self._failed and self._done > 1:
            print(f"{self._failed} of {self._done} photographs could not be read", file=sys.stderr)
        return DONE if not self._failed else FAILED if self._failed == self._done else PARTLY


def _terminal() -> Writer:
    from rich.console import Console

    from deadpan.cli.terminal import print_result

    console = Console(highlight=False)
    return lambda result: print_result(result, console) if result.error is None else None
