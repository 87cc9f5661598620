"""Write results as JSON lines, tables, neutral faces and panels; a file appears under its name only when complete."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from deadpan.faces.photographs import read_photograph
from deadpan.files import OutputError, folder, is_own_png, write_png
from deadpan.outputs import check_file, check_folder, is_among, json_in_first_line
from deadpan.pixels import RGB
from deadpan.prediction.results import FACE_COLUMNS, PhotographResult, face_columns
from deadpan.prediction.tables import (
    STDOUT,
    Columns,
    Format,
    check_model,
    is_table,
    records,
    table,
    take_up,
    taken_up,
)

if TYPE_CHECKING:
    from deadpan.prediction.predictor import Predictor

Writer = Callable[[PhotographResult], None]
"""A function that writes the result of one photograph."""

JSON_KEYS = ("path", "width", "height", "faces", "error")


class Output(NamedTuple):
    """A results file that the user requested."""

    path: Path
    option: str  # the command-line option that names the file
    way: Format | None  # None: JSON lines, one for each photograph
    mesh: bool = False  # whether to write the mesh of each face

    def is_own(self, path: Path) -> bool:
        """Whether `path` is such a file, written by deadpan."""
        if self.way is not None:
            return is_table(path, self.way, FACE_COLUMNS)
        facts = json_in_first_line(path)
        return isinstance(facts, dict) and all(key in facts for key in JSON_KEYS)

    def take_up(self, predictor: Predictor) -> dict[str, bool]:
        """Prepare the file of an earlier run to be continued, and return its photographs.

        The result maps each photograph to whether it had an error. OutputError if another model wrote the file.
        """
        if self.way is not None:
            return take_up(self.path, self.way, self._columns(predictor), predictor.model_id)

        def entry(record: str) -> tuple[str, bool]:
            facts = json.loads(record)
            check_model(self.path, facts.get("model"), predictor.model_id)
            return facts["path"], facts["error"] is not None

        return taken_up(self.path, entry)

    @contextmanager
    def writer(self, predictor: Predictor, *, shown: bool = False, resume: bool = False) -> Iterator[Writer]:
        """Open the file and yield a function that writes one result of the predictor.

        `shown` adds the explanations to JSON lines.
        """
        model = {"model": predictor.model_id}
        if self.way is None:
            with records(self.path, resume=resume) as append:
                yield lambda result: append(json.dumps(result.as_json(shown, self.mesh) | model) + "\n")
        else:
            with table(self.path, self.way, self._columns(predictor), resume=resume) as write:
                yield lambda result: write([row | model for row in result.rows(self.mesh)])

    def _columns(self, predictor: Predictor) -> Columns:
        return {**face_columns(predictor.expressions, self.mesh), "model": str}


def check_outputs(
    outputs: Sequence[Output],
    named: Sequence[str | Path],
    photographs: Iterable[str] = (),
    panel: Path | None = None,
    neutral: Path | None = None,
) -> None:
    """Raise OutputError if an output would replace an input, or a file that deadpan did not write.

    `named` are the inputs as the user named them, such as a folder. `photographs` are the photographs in these inputs;
    they are needed only if `panel` or `neutral` is given, because no other output can replace a picture.
    """
    places = [os.path.realpath(each.path) for each in outputs if str(each.path) != STDOUT]
    if len(set(places)) < len(places) or sum(str(each.path) == STDOUT for each in outputs) > 1:
        options = " and ".join(each.option for each in outputs)
        raise OutputError(f"{options} cannot both be written to {outputs[-1].path}")
    for each in outputs:
        if str(each.path) != STDOUT:
            check_file(each.path, each.option, each.is_own, named, "a file name, or - for standard output")
    for directory, option, ending in ((panel, "--panel", "panel"), (neutral, "--neutral-dir", r"\d+\.(face|neutral)")):
        if directory is not None:
            check_folder(directory, option)
            _check_pictures(directory, option, re.compile(rf"(.+)[._]{ending}\.png"), [*named, *photographs])


def _check_pictures(directory: Path, option: str, written: re.Pattern[str], inputs: Sequence[str | Path]) -> None:
    """Raise OutputError if a new picture could overwrite an input, or a picture that deadpan did not write."""
    names = Names()
    taken = {names(path) for path in inputs}
    for path in directory.iterdir() if directory.is_dir() else ():
        found = written.fullmatch(path.name)
        if found and found[1] in taken and (is_among(path, inputs) or not is_own_png(path)):
            raise OutputError(f"{option} would overwrite {path}; choose another directory, or move that file")


class Names:
    """Makes unique file names from the stems of photographs: a repeated stem is followed by -2, -3 and so on."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, path: str | Path) -> str:
        """Return a name that no earlier call returned, ignoring case, as some file systems do."""
        stem = Path(path).stem
        name, number = stem, 1
        while name.lower() in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name.lower())
        return name


class Pictures:
    """Writes the pictures of each photograph under a unique name.

    The folder `panel` gets NAME.panel.png: the photograph, its faces and their results, and with `mesh` also the face
    meshes. The folder `neutral` gets NAME_FACE.face.png and, if the model generates neutral faces,
    NAME_FACE.neutral.png; FACE is counted from 0. A folder that is None gets nothing.
    """

    def __init__(self, panel: Path | None, neutral: Path | None, *, mesh: bool = False) -> None:
        self._panel = panel and folder(panel)
        self._neutral = neutral and folder(neutral)
        self._mesh = mesh
        self._names = Names()

    def __call__(self, result: PhotographResult) -> None:
        """Write the pictures of one photograph; OutputError if that would replace a file of another program."""
        name = self._names(result.path)
        if self._panel is not None and result.error is None:
            from deadpan.prediction.panel import draw_panel

            photograph = read_photograph(result.path) if result.stored is None else result.stored.read()
            _write(self._panel / f"{name}.panel.png", draw_panel(photograph, result.faces, mesh=self._mesh))
        if self._neutral is not None:
            for index, face in enumerate(result.faces):
                for kind, pixels in (("face", face.aligned), ("neutral", face.neutral)):
                    if pixels is not None:
                        _write(self._neutral / f"{name}_{index}.{kind}.png", pixels)

    def skip(self, path: str) -> None:
        """Reserve the name of a photograph whose pictures an earlier run has written."""
        self._names(path)


def _write(path: Path, pixels: RGB) -> None:
    if path.exists() and not is_own_png(path):  # not checked before if the photograph was named on standard input
        raise OutputError(f"{path} was not written by deadpan; choose another directory, or move it away")
    write_png(path, pixels)
