"""Photograph -> expression, probabilities and the neutral face of everyone in it, on ONNX Runtime, without torch."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from deadpan.errors import DeadpanError
from deadpan.faces.alignment import Alignment, centre, warp
from deadpan.faces.detection import CONFIDENCE, DEFAULT_DETECTOR, LONGEST_SIDE, WholePicture, make_detector
from deadpan.faces.face import Detector, Face
from deadpan.faces.landmarks import locate, locate_crop
from deadpan.faces.photographs import Photograph, PhotographError, read_photograph
from deadpan.faces.quality import SIDE, Quality, quality
from deadpan.models import find, released
from deadpan.onnx_runtime import Session, only_what_is_asked
from deadpan.pixels import RGB, to_network, to_pixels
from deadpan.prediction.folders import pictures_of
from deadpan.prediction.model_file import open_model, read_facts
from deadpan.prediction.relaxing import Relaxed, relax_photograph
from deadpan.prediction.results import FaceResult, PhotographResult, Recognition, Shown

DEFAULT_MODEL = "derl"

BATCH = 64
"""Faces per run of the network: more is no faster on a CPU and only takes memory."""


class RestFaceError(DeadpanError):
    """A rest face that cannot be used, or a photograph that it cannot be used with."""


class Opened(NamedTuple):
    """What holds only in the process that opened it."""

    process: int
    session: Session
    detector: Detector


class Predictor:
    """A model with a face detector, ready to read photographs.

    Several threads may use one Predictor. It can be pickled and used after a fork: it opens its model there anew.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        detector: str | Path = DEFAULT_DETECTOR,
        longest_side: int | None = LONGEST_SIDE,
        confidence: float = CONFIDENCE,
        threads: int = 1,
        *,
        show: bool = False,
        rest_face: Photograph | None = None,
    ) -> None:
        """Load a released model by name or a model file, with a detector as `make_detector` takes it.

        `longest_side` is what larger photographs are scaled down to for detection; 0 or None keeps their size.
        `threads` is for the network alone. `show` asks the model for all that it can show beyond its answer.
        `rest_face` is a photograph of one person at rest, which takes the generated neutral face's place with models
        that compare the two; all photographs are then of that person. Raises ModelError for the model, RestFaceError
        for the rest face, ValueError for the rest.
        """
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self._model = str(model) if str(model) in released() else find(model).absolute()
        self._detector_options = (_lasting(detector), longest_side or None, confidence)
        self._threads = threads
        self._show = show
        self._rest: RGB | None = None
        self._open()
        if rest_face is not None:
            self._rest = self._align_rest(rest_face)

    def _open(self) -> Opened:
        """Open the model and the detector in this process."""
        self.path = find(self._model)
        session = open_model(self.path, self._threads)
        facts = read_facts(session, self.path)
        self.name: str = facts["name"]
        self.method: str = facts["method"]
        self.expressions: tuple[str, ...] = facts["expressions"]
        self.image_size: int = facts["image_size"]
        self.generates: bool = facts["generates"]
        self.compares: bool = facts["compares"]
        self.alignment: Alignment = facts["alignment"]
        self.shows: dict[str, str] = {each["caption"]: each["kind"] for each in facts["shows"]}
        self._opened = Opened(os.getpid(), session, make_detector(*self._detector_options))
        return self._opened

    def _here(self) -> Opened:
        """The model and the detector of this process: in a forked one, the threads of the parent's are gone."""
        if self._opened.process == os.getpid():
            return self._opened
        # Closing the parent's session would wait for its threads for ever, at the interpreter's end too: it stays.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._opened.session))
        return self._open()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_opened"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __repr__(self) -> str:
        return f"Predictor({str(self._model)!r}, {self.image_size} x {self.image_size}, {', '.join(self.expressions)})"

    @property
    def detector(self) -> Detector:
        """What finds the faces."""
        return self._here().detector

    @overload
    def predict(self, photograph: Photograph, *, bgr: bool = False) -> list[FaceResult]: ...

    @overload
    def predict(self, photograph: list[Any] | tuple[Any, ...], *, bgr: bool = False) -> list[list[FaceResult]]: ...

    def predict(
        self, photograph: Photograph | list[Any] | tuple[Any, ...], *, bgr: bool = False
    ) -> list[FaceResult] | list[list[FaceResult]]:
        """Read every face of a photograph, from left to right; no face is an empty list.

        Takes a path, the bytes of a file, an open binary file, a PIL picture or an array, (H, W, 3) uint8 RGB; of
        several in a list or tuple the answer is a list of such lists. `bgr` says that arrays have OpenCV's order, blue
        first. Raises PhotographError for what cannot be read, RestFaceError for several faces where the rest face of
        one person was given.
        """
        if isinstance(photograph, (list, tuple)):
            return [self.predict(each, bgr=bgr) for each in photograph]
        pixels = read_photograph(photograph, bgr=bgr)
        faces = self.detector(pixels)
        if self._rest is not None and len(faces) > 1:
            raise RestFaceError(
                f"{len(faces)} faces, but a rest face of one person; crop the photograph to that person"
            )
        return self._results(pixels, faces)

    def relax(
        self, photograph: Photograph, face: int | None = None, strength: float = 1.0, *, bgr: bool = False
    ) -> Relaxed:
        """Bring the faces of a photograph to rest at its own resolution: everyone's, or the `face` of that number.

        Takes what `predict` takes. `face` counts from 0, from left to right, as `predict` lists them. `strength` is 0
        for no change to 1.5; 1 is the predicted face at rest. Raises PhotographError, RelaxError and StrengthError.
        """
        return relax_photograph(read_photograph(photograph, bgr=bgr), self.detector, face, strength)

    def predict_crop(self, photograph: Photograph, *, bgr: bool = False) -> FaceResult:
        """Read a picture that is a face crop already, without looking for a face in it; takes what `predict` takes."""
        pixels = read_photograph(photograph, bgr=bgr)
        return self._results(pixels, WholePicture()(pixels))[0]

    def predict_faces(self, aligned: RGB) -> Recognition:
        """Read aligned faces, (N, S, S, 3) uint8 RGB with S = image_size, in batches."""
        size = self.image_size
        if aligned.ndim != 4 or aligned.shape[1:] != (size, size, 3) or aligned.dtype != np.uint8:
            expected = f"expected aligned faces (N, {size}, {size}, 3) uint8"
            raise ValueError(f"{expected}, got {aligned.shape} {aligned.dtype}; FaceResult.aligned is one")
        if not len(aligned):
            return Recognition(np.zeros((0, len(self.expressions))), aligned if self.generates else None)
        parts = [self._run(aligned[start : start + BATCH]) for start in range(0, len(aligned), BATCH)]
        made = [part.neutral for part in parts if part.neutral is not None]
        shown = tuple(np.concatenate(each) for each in zip(*(part.shown for part in parts), strict=True))
        probabilities = np.concatenate([part.probabilities for part in parts])
        return Recognition(probabilities, np.concatenate(made) if made else None, shown)

    def predict_folder(self, folder: str | Path) -> Iterator[PhotographResult]:
        """Read the pictures of a folder or a pattern like `photos/*.jpg`, sorted by name, as `predict_files` does.

        Raises FolderError where there is none.
        """
        return self.predict_files(pictures_of(folder))

    def predict_files(self, paths: str | Path | Iterable[str | Path]) -> Iterator[PhotographResult]:
        """Read one or several files one after the other; one that cannot be read is reported, not raised."""
        for path in [paths] if isinstance(paths, (str, Path)) else paths:
            try:
                pixels = read_photograph(path)
            except PhotographError as error:
                reason = str(error).removeprefix(f"{path}: ")
                yield PhotographResult(str(path), error=reason)
                continue
            height, width = pixels.shape[:2]
            try:
                yield PhotographResult(str(path), width, height, self.predict(pixels))
            except RestFaceError as error:
                yield PhotographResult(str(path), width, height, error=str(error))

    def _run(self, aligned: RGB) -> Recognition:
        inputs = {"image": to_network(aligned)}  # (N, 3, S, S)
        if self.compares:
            rest = aligned[:1] if self._rest is None else self._rest[None]
            inputs["rest"] = np.repeat(to_network(rest), len(aligned), 0)  # (N, 3, S, S)
            inputs["given"] = np.full(len(aligned), self._rest is not None, np.float32)
        makes = self.generates or self._rest is not None
        names = ["logits", *(["neutral"] if makes else [])]
        if self._show:
            names += [f"show_{i}" for i in range(len(self.shows))]
        session = self._here().session
        answers = dict(zip(names, session.run(names, inputs, only_what_is_asked()), strict=True))
        logits = answers["logits"].astype(np.float64)  # (N, K)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = powers / powers.sum(axis=1, keepdims=True)
        neutral = to_pixels(answers["neutral"]) if makes else None  # (N, S, S, 3)
        return Recognition(probabilities, neutral, tuple(answers[name] for name in names if name.startswith("show_")))

    def _align_rest(self, photograph: Photograph) -> RGB:
        """The only face of the photograph as the model sees it, (S, S, 3)."""
        if not self.compares:
            reason = "it does not compare the face with a neutral one, so that a rest face has no place in it"
            raise RestFaceError(f"the model {self.name} takes no rest face: {reason}; the released model dgcn does")
        pixels = read_photograph(photograph)
        faces = self.detector(pixels)
        if len(faces) != 1:
            raise RestFaceError(f"the rest face must be a photograph of one person; found {len(faces)} faces")
        return self._aligned(pixels, faces[0])[0]

    def _results(self, photograph: RGB, faces: list[Face]) -> list[FaceResult]:
        if not faces:
            return []
        seen, qualities = zip(*(self._aligned(photograph, face) for face in faces), strict=True)
        found = self.predict_faces(np.stack(seen))  # (N, S, S, 3)
        return [self._result(face, seen[i], qualities[i], found, i) for i, face in enumerate(faces)]

    def _aligned(self, photograph: RGB, face: Face) -> tuple[RGB, Quality]:
        """The face as the model sees it, (S, S, 3), and how well it can be read."""
        size = self.image_size
        if face.is_crop:
            located = locate_crop(photograph, size, self.alignment)
        else:
            located = locate(photograph, face, size, self.alignment)
        aligned = centre(warp(photograph, located.matrix, size), size)
        same = self.alignment == "mesh" and size == SIDE
        return aligned, quality(photograph, located, size, aligned if same else None)

    def _result(self, face: Face, aligned: RGB, seen: Quality, found: Recognition, index: int) -> FaceResult:
        probabilities = found.probabilities[index]  # (K,)
        neutral = None if found.neutral is None else found.neutral[index]  # (S, S, 3)
        shown = {}
        for (caption, kind), values in zip(self.shows.items(), found.shown, strict=False):
            shown[caption] = Shown(kind, to_pixels(values[index, None])[0] if kind == "picture" else values[index])
        residue_map = None
        if neutral is not None:
            difference = np.abs(aligned.astype(np.float32) - neutral.astype(np.float32))  # (S, S, 3)
            residue_map = difference.mean(axis=2, dtype=np.float32) / np.float32(255)  # (S, S)
        return FaceResult(
            box=face.box,
            score=face.score,
            landmarks=face.landmarks,
            expression=self.expressions[int(probabilities.argmax())],
            probabilities=dict(zip(self.expressions, probabilities.tolist(), strict=True)),
            aligned=aligned,
            neutral=neutral,
            residue=None if residue_map is None else float(residue_map.mean()),
            residue_map=residue_map,
            quality=seen,
            shown=shown,
        )


def load(model: str | Path = DEFAULT_MODEL, **options: Any) -> Predictor:
    """A Predictor for a released model's name or a model file; options are those of Predictor."""
    return Predictor(model, **options)


def _lasting(detector: str | Path) -> str | Path:
    """A detector's name, or its file under a name that holds in any working directory."""
    return Path(detector).absolute() if Path(detector).suffix == ".onnx" else detector
