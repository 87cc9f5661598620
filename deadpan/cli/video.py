"""`deadpan predict` for videos."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import Parameter

from deadpan.cli.app import DONE, FAILED, PARTLY, complain

if TYPE_CHECKING:
    from deadpan.prediction.predictor import Predictor
    from deadpan.prediction.tables import Format, Write
    from deadpan.video.events import Event
    from deadpan.video.reading import VideoReading, VideoSettings
    from deadpan.video.rest import Rest
    from deadpan.video.results import Progress, VideoResult


class Table(NamedTuple):
    """A table that the user requested."""

    path: Path
    option: str  # the command-line option that names the file
    way: Format


@dataclass(frozen=True)
class VideoOptions:
    """The options of `deadpan predict` that apply to videos: which frames to read, and which files to write."""

    rest: Annotated[
        str,
        Parameter(
            help="Videos: each person's face at rest: auto (estimated), a time range such as 0:10-0:20, or none."
        ),
    ] = "auto"
    smoothing: Annotated[
        float, Parameter(help="Videos: smooth over time; standard deviation in seconds, 0 for no smoothing.")
    ] = 0.1
    every: Annotated[int, Parameter(help="Videos: read every Nth frame.")] = 1
    fps: Annotated[float | None, Parameter(help="Videos: read this many frames per second.")] = None
    from_: Annotated[str, Parameter(name="--from", help="Videos: begin at this time, such as 75.5 or 1:15.5.")] = "0"
    to: Annotated[str | None, Parameter(help="Videos: end at this time.")] = None
    plot: Annotated[
        Path | None, Parameter(help="Videos: plot each person's expressions over time into this PNG file.")
    ] = None
    video: Annotated[
        Path | None, Parameter(help="Videos: write a copy of the video with the faces marked to this .webm file.")
    ] = None
    key_frames: Annotated[
        Path | None, Parameter(help="Videos: write the frame at the apex of each expression into this directory.")
    ] = None
    vtt: Annotated[Path | None, Parameter(help="Videos: write the expressions as WebVTT captions to this file.")] = None
    eaf: Annotated[Path | None, Parameter(help="Videos: write the expressions as ELAN tiers to this file.")] = None
    events: Annotated[
        Path | None, Parameter(help="Videos: CSV file of time ranges (name,from,to,participant) to summarise.")
    ] = None
    summary: Annotated[
        Path | None, Parameter(help="Videos: write the summary of --events to this .csv or .jsonl file.")
    ] = None
    threshold: Annotated[
        float, Parameter(help="Videos: --summary gives the time with a distance from rest above this threshold.")
    ] = 0.5

    @property
    def files(self) -> dict[str, Path]:
        """The output files that describe a single video, by option."""
        given = {"--plot": self.plot, "--video": self.video, "--vtt": self.vtt, "--eaf": self.eaf}
        return {option: path for option, path in given.items() if path is not None}

    def settings(self, rest_face: Path | None) -> VideoSettings:
        """The settings for reading videos; DeadpanError if an option is invalid."""
        from deadpan.faces.video import Sampling
        from deadpan.video.events import seconds
        from deadpan.video.reading import VideoSettings

        end = None if self.to is None else seconds(self.to)
        sampling = Sampling(self.every, self.fps, seconds(self.from_), end)
        return VideoSettings(sampling, self._rest() if rest_face is None else rest_face, self.smoothing)

    def _rest(self) -> Rest:
        from deadpan.video.events import rest_of
        from deadpan.video.rest import RestError

        try:
            return rest_of(self.rest)
        except RestError as error:
            raise RestError(f"--rest: {error}") from error


def are_videos(paths: Sequence[str]) -> bool:
    """Whether the paths are video files, judged by their endings; ValueError if only some of them are."""
    from deadpan.files import VIDEO_ENDINGS

    count = sum(Path(path).suffix.lower() in VIDEO_ENDINGS for path in paths)
    if 0 < count < len(paths):
        raise ValueError("photographs and videos cannot be read in one call; use one call for each kind")
    return count > 0


def check_for_videos(given: Mapping[str, object]) -> None:
    """Raise ValueError if an option was given that applies only to photographs; `given` maps options to values."""
    options = [option for option, value in given.items() if value]
    if options:
        raise ValueError(f"{', '.join(options)}: only for photographs, but videos were given")


def check_for_photographs(options: VideoOptions) -> None:
    """Raise ValueError if an option was given that applies only to videos."""
    usual = VideoOptions()
    names = {each.name: f"--{each.name.rstrip('_').replace('_', '-')}" for each in fields(options)}
    given = [option for name, option in names.items() if getattr(options, name) != getattr(usual, name)]
    if given:
        raise ValueError(f"{', '.join(given)}: only for videos, but no video was given")


def tables_of(out: Path | None, format: Format | None, json: Path | None, csv: Path | None) -> list[Table]:
    """The tables that the options name; OutputError if the format of one is unknown."""
    from deadpan.prediction.tables import STDOUT, format_of

    tables = []
    if out is not None or format is not None:
        path = out or Path(STDOUT)
        tables.append(Table(path, "-o", format_of(path, format)))
    tables += [Table(json, "--json", "jsonl")] if json is not None else []
    return tables + ([Table(csv, "--csv", "csv")] if csv is not None else [])


def predict_videos(
    make: Callable[[Path | None], Predictor], paths: Sequence[str], tables: Sequence[Table], options: VideoOptions,
    rest_face: Path | None, others: Sequence[str | Path] = (),
) -> int:  # fmt: skip
    """Read videos and write the requested files; return the exit code.

    `make` opens the model with a rest face or without one (None). `others` are the other files that are read, such as
    the model and the detector: no output may replace them.
    """
    from deadpan.files import partial_path
    from deadpan.interruption import telling_what_is_kept
    from deadpan.prediction.tables import format_of, table
    from deadpan.video.events import event_columns, read_events
    from deadpan.video.results import columns

    events = read_events(options.events) if options.events is not None else []
    inputs = [*paths, *others, *(path for path in (options.events, rest_face) if path is not None)]
    settings = options.settings(rest_face)
    check_outputs(inputs, len(paths), tables, options)
    predictor = make(None)
    if rest_face is not None and predictor.compares:
        predictor = make(rest_face)

    def kept() -> str:
        partials = [str(path) for each in tables if (path := partial_path(each.path)).exists()]
        return f"stopped; the frames read so far are in {', '.join(partials)}" if partials else ""

    with telling_what_is_kept(kept), ExitStack() as stack:
        writers = [stack.enter_context(table(each.path, each.way, columns(predictor.expressions))) for each in tables]
        summary = None
        if options.summary is not None:
            shape = event_columns(predictor.expressions)
            summary = stack.enter_context(table(options.summary, format_of(options.summary), shape))
        run = Run(predictor, settings, options, events, writers, summary)
        states = [run(path) for path in paths]
    return DONE if all(state == DONE for state in states) else FAILED if all(s == FAILED for s in states) else PARTLY


@dataclass(frozen=True)
class Run:
    """Reads videos, one after the other, and writes the requested files."""

    predictor: Predictor
    settings: VideoSettings
    options: VideoOptions
    events: list[Event]
    writers: list[Write]
    summary: Write | None

    def __call__(self, path: str) -> int:
        """Read one video and write its files; return the exit code.

        Complains on standard error if the video cannot be read, or if reading ended before the end of the video.
        """
        from deadpan.faces.photographs import PhotographError
        from deadpan.video.events import summarise
        from deadpan.video.reading import open_video

        try:
            with open_video(self.predictor, path, self.settings) as reading:
                try:
                    with _progress(reading) as progress:
                        result = reading.read(progress)
                except KeyboardInterrupt:
                    self._write(path, reading.result())
                    raise
                self._write(path, result)
                if self.summary is not None:
                    self.summary(list(summarise(result, self.events, path, self.options.threshold)))
                self._make(result)
                if result.stopped is None:
                    return DONE
                complain(f"{path}: damaged or cut short; reading {result.stopped}")
                return PARTLY
        except PhotographError as error:
            complain(error)
            return FAILED

    def _write(self, path: str, result: VideoResult) -> None:
        from deadpan.cli.terminal import print_video
        from deadpan.video.results import table_rows

        for frame in result.frames() if self.writers else ():
            for write in self.writers:
                write(table_rows(path, frame))
        if not self.writers:
            print_video(result)

    def _make(self, result: VideoResult) -> None:
        """Write the output files that describe a single video."""
        from deadpan.files import folder, write_text
        from deadpan.video.captions import elan, webvtt
        from deadpan.video.episodes import episodes
        from deadpan.video.pictures import write_annotated, write_key_frames
        from deadpan.video.plot import plot_video

        options, sampling, found = self.options, self.settings.sampling, episodes(result)
        if options.vtt is not None:
            write_text(options.vtt, webvtt(found))
        if options.eaf is not None:
            write_text(options.eaf, elan(found, result.path))
        if options.plot is not None:
            plot_video(result, options.plot, self.events)
        if options.key_frames is not None:
            write_key_frames(result, found, folder(options.key_frames), sampling)
        if options.video is not None:
            write_annotated(result, options.video, sampling)


def check_outputs(inputs: Sequence[str | Path], videos: int, tables: Sequence[Table], options: VideoOptions) -> None:
    """Raise OutputError if an output would replace an input, a file that deadpan did not write, or another output."""
    from deadpan.files import OutputError, is_own_png
    from deadpan.outputs import check_file, check_folder, is_among
    from deadpan.prediction.tables import STDOUT, format_of, is_table
    from deadpan.video import captions, events, pictures, results

    if (options.events is None) != (options.summary is None):
        raise OutputError("--events FILE and --summary FILE must be given together; got only one of them")
    if videos > 1 and options.files:
        raise OutputError(f"{', '.join(options.files)}: expected a single video, got {videos}")
    wanted = [*((each.path, each.option) for each in tables), *((path, key) for key, path in options.files.items())]
    wanted += [(options.summary, "--summary")] if options.summary is not None else []
    places = [os.path.realpath(path) for path, _ in wanted]
    if len(set(places)) < len(places):
        raise OutputError(f"{', '.join(option for _, option in wanted)} must each name a different file")
    for each in tables:
        if str(each.path) != STDOUT:
            check_file(each.path, each.option, partial(is_table, way=each.way, first=results.START), inputs)
    if options.summary is not None:
        own = partial(is_table, way=format_of(options.summary), first=events.START)
        check_file(options.summary, "--summary", own, inputs)
    if options.vtt is not None:
        check_file(options.vtt, "--vtt", captions.is_own_vtt, inputs)
    if options.eaf is not None:
        check_file(options.eaf, "--eaf", captions.is_own_eaf, inputs)
    if options.video is not None:
        check_file(options.video, "--video", pictures.is_own_video, inputs)
    if options.video is not None and options.video.suffix.lower() != ".webm":
        raise OutputError(f"--video writes WebM: expected a name that ends in .webm, got {options.video}")
    if options.plot is not None:
        if options.plot.suffix.lower() != ".png":
            raise OutputError(f"--plot writes PNG: expected a name that ends in .png, got {options.plot}")
        if is_among(options.plot, inputs) or (options.plot.exists() and not is_own_png(options.plot)):
            raise OutputError(f"{options.plot} was not written by this command, and --plot would overwrite it")
    if options.key_frames is not None:
        check_folder(options.key_frames, "--key-frames")


@contextmanager
def _progress(reading: VideoReading) -> Iterator[Progress | None]:
    """Show a progress bar if standard error is a terminal; yield the function that advances it, or None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        total = reading.film.announced or None
        task = bar.add_task(reading.film.path.name, total=total, rate="")

        def advance(frames: int, _: float) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=frames, rate=f"{speed:.0f} frames a second" if speed else "")

        yield advance
