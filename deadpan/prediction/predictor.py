"""Photograph -> expression, probabilities and neutral face of every person in it, on ONNX Runtime, without torch."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from deadpan.errors import DeadpanError
from deadpan.faces.alignment import Alignment, centre, warp
from deadpan.faces.detection import CONFIDENCE, DEFAULT_DETECTOR, LONGEST_SIDE, WholePicture, make_detector
from deadpan.faces.face import Detector, Face
from deadpan.faces.landmarks import locate, locate_crop
from deadpan.faces.photographs import Photograph, PhotographError, read_photograph
from deadpan.faces.quality import SIDE, Quality, quality
from deadpan.faces.video import Sampling
from deadpan.models import ModelError, find, released, sha256
from deadpan.onnx_runtime import Session, only_what_is_asked
from deadpan.pixels import RGB, grey_like, to_network, to_pixels
from deadpan.prediction.folders import Input, Inputs, input_of, inputs_of
from deadpan.prediction.model_file import open_model, read_facts
from deadpan.prediction.relaxing import Relaxed, relax_photograph
from deadpan.prediction.rest_face import RestFace, face_features
from deadpan.prediction.results import FaceResult, PhotographResult, Recognition, Shown
from deadpan.video.reading import VideoSettings, predict_video
from deadpan.video.rest import AUTO, Rest
from deadpan.video.results import VideoFrame

DEFAULT_MODEL = "default"

Prior = Literal["trained", "equal"]

BATCH = 16
"""Faces per run of the network. On a CPU, 64 would be 2 % faster and take four times the memory."""

CHUNK = 16
"""Photographs that one thread reads before it runs the network on all their faces."""

RAREST = 0.005
"""Smallest share of an expression in the training pictures by which an equal prior divides its probability."""

FEW = 32
"""If there are at most this many photographs, the network runs on each one separately: the first result comes early."""


class RestFaceError(DeadpanError):
    """An unusable rest face, or a photograph of several people read with the rest face of one."""


class Opened(NamedTuple):
    """The ONNX Runtime session and the face detector, which are valid only in the process that opened them."""

    process: int
    session: Session
    detector: Detector


class Seen(NamedTuple):
    """A detected face, aligned for the model."""

    face: Face
    aligned: RGB  # (S, S, 3)
    quality: Quality
    mesh: NDArray[np.float32] | None  # (468, 3)


class Predictor:
    """A model and a face detector, loaded and ready to read photographs.

    Several threads may share one Predictor. It can be pickled and used after a fork: the new process opens the model
    again.
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
        prior: Prior = "trained",
    ) -> None:
        """Load a model, which is the name of a released one or the path of a model file, and a face detector.

        `detector` is a name or a file that `make_detector` accepts. Photographs whose longest side has more than
        `longest_side` pixels are scaled down for detection; with 0 or None they never are. `confidence`, in 0..1, is
        the least score of a detected face. `threads` is the number of threads that run the model; it does not affect
        detection. `show` also computes the model's explanations, such as maps and votes (`FaceResult.shown`).
        `rest_face` is a photograph of one person at rest: every photograph must then show that person, results give the
        distance from it, and models that compare a face with its neutral face compare it with this one. `prior` says
        how frequent each expression is assumed to be: as in the training pictures ("trained"), most of which are
        neutral or happy, or all alike ("equal"), which finds more of the rare expressions but also reads more faces
        wrongly as one of them. Raises ModelError for the model and for a `prior` that its file does not hold,
        RestFaceError for the rest face and ValueError for any other argument.
        """
        if prior not in ("trained", "equal"):
            raise ValueError(f"prior must be trained or equal, got {prior!r}")
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self._model = str(model) if str(model) in released() else find(model).absolute()
        self._detector_options = (_lasting(detector), longest_side or None, confidence)
        self._threads = threads
        self._show = show
        self._prior = prior
        self._rest: RestFace | None = None
        self._open()
        if rest_face is not None:
            self._take_rest(rest_face)

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
        self.temperature: float = facts["temperature"]
        self._shift = self._shift_of(facts["prior"])
        self.shows: dict[str, str] = {each["caption"]: each["kind"] for each in facts["shows"]}
        self._opened = Opened(os.getpid(), session, make_detector(*self._detector_options))
        return self._opened

    def _shift_of(self, prior: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """What is added to the logits for the prior that was asked for: (K,)."""
        if self._prior == "trained":
            return np.zeros(len(self.expressions))
        if prior is None:
            raise ModelError(f"the model {self.name} does not say how frequent each expression was in its training")
        return -np.log(np.maximum(prior, RAREST))

    def _here(self) -> Opened:
        """The model and the detector of this process, opened again after a fork: the child lacks their threads."""
        if self._opened.process == os.getpid():
            return self._opened
        # Freeing the parent's session would wait for its threads, which do not exist here, for ever. One more
        # reference keeps it from being freed, even when the interpreter ends.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._opened.session))
        return self._open()

    def __getstate__(self) -> dict[str, Any]:
        # without model_id: the other process may be on a machine with another file of that name
        return {name: value for name, value in self.__dict__.items() if name not in ("_opened", "model_id")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __repr__(self) -> str:
        return f"Predictor({str(self._model)!r}, {self.image_size} x {self.image_size}, {', '.join(self.expressions)})"

    @cached_property
    def model_id(self) -> str:
        """The model's name and the first twelve digits of its file's SHA-256, such as "derl@0f8a51c3d2e4"."""
        return f"{self.name}@{sha256(self.path)[:12]}"

    @property
    def detector(self) -> Detector:
        """The face detector, which also runs on its own: `detector(photograph)` lists the faces."""
        return self._here().detector

    @overload
    def predict(self, photograph: Photograph, *, bgr: bool = False) -> list[FaceResult]: ...

    @overload
    def predict(self, photograph: list[Any] | tuple[Any, ...], *, bgr: bool = False) -> list[list[FaceResult]]: ...

    def predict(
        self, photograph: Photograph | list[Any] | tuple[Any, ...], *, bgr: bool = False
    ) -> list[FaceResult] | list[list[FaceResult]]:
        """Read every face of a photograph; return one result per face from left to right, or an empty list.

        `photograph` is a path, the bytes of a file, an open binary file, a PIL picture or an array, (H, W, 3) uint8
        RGB. For a list or tuple of photographs the result is a list with one such list for each. With `bgr`, arrays
        are in OpenCV's channel order, blue first. Raises PhotographError for a photograph that cannot be read, and
        RestFaceError for several faces in it if the Predictor has a rest face.
        """
        if isinstance(photograph, (list, tuple)):
            return [self.predict(each, bgr=bgr) for each in photograph]
        return self._results(self._look(read_photograph(photograph, bgr=bgr)))

    def read(self, found: Sequence[tuple[RGB, list[Face]]]) -> list[list[FaceResult]]:
        """Read faces that were already detected in several photographs, all of them together.

        `found` pairs each photograph, (H, W, 3) uint8 RGB, with its faces. Returns one list of results for each
        photograph. Raises RestFaceError as `predict` does.
        """
        seen = [self._seen(pixels, faces) for pixels, faces in found]
        results = iter(self._results([each for faces in seen for each in faces]))
        return [list(islice(results, len(faces))) for faces in seen]

    def with_rest_face(self, rest_face: Photograph) -> Predictor:
        """Return a Predictor with this rest face that shares the opened model; raises the errors of the constructor."""
        other = Predictor.__new__(Predictor)
        other.__dict__.update(self.__dict__)
        other._take_rest(rest_face)
        return other

    def relax(
        self, photograph: Photograph, face: int | None = None, strength: float = 1.0, *, bgr: bool = False
    ) -> Relaxed:
        """Relax the faces of a photograph, that is, warp them to a neutral expression, at full resolution.

        `photograph` is anything that `predict` accepts. `face` is the index of the one face to relax, from 0 and from
        left to right as `predict` lists them; None relaxes all. `strength` is in 0..1.5: 0 changes nothing, 1 applies
        the predicted motion. Raises PhotographError if the photograph cannot be read, RelaxError if there is no face
        of that index, and StrengthError for a strength out of range.
        """
        return relax_photograph(read_photograph(photograph, bgr=bgr), self.detector, face, strength)

    def predict_crop(self, photograph: Photograph, *, bgr: bool = False) -> FaceResult:
        """Read a picture that is already a face crop, without face detection; accepts the same pictures as `predict`.

        Raises PhotographError if the picture cannot be read.
        """
        pixels = read_photograph(photograph, bgr=bgr)
        (face,) = WholePicture()(pixels)
        return self._results([self._aligned(pixels, face)])[0]

    def predict_faces(self, aligned: RGB, *, neutral: bool = True) -> Recognition:
        """Read aligned faces, (N, S, S, 3) uint8 RGB with S = image_size, in batches; ValueError for another array.

        If `neutral` is false, no neutral faces are generated, which saves time.
        """
        size = self.image_size
        if aligned.ndim != 4 or aligned.shape[1:] != (size, size, 3) or aligned.dtype != np.uint8:
            expected = f"expected aligned faces (N, {size}, {size}, 3) uint8"
            raise ValueError(f"{expected}, got {aligned.shape} {aligned.dtype}; FaceResult.aligned is such a face")
        if not len(aligned):
            return Recognition(np.zeros((0, len(self.expressions))), aligned if self.generates and neutral else None)
        parts = [self._run(aligned[start : start + BATCH], neutral) for start in range(0, len(aligned), BATCH)]
        made = [part.neutral for part in parts if part.neutral is not None]
        shown = tuple(np.concatenate(each) for each in zip(*(part.shown for part in parts), strict=True))
        probabilities = np.concatenate([part.probabilities for part in parts])
        return Recognition(probabilities, np.concatenate(made) if made else None, shown)

    def predict_many(
        self,
        inputs: str | Path | Inputs | Iterable[Any],
        workers: int | None = None,
        *,
        bgr: bool = False,
        ray: str | None = None,
        pictures: bool = True,
    ) -> Generator[PhotographResult, None, None]:
        """Read many photographs in threads; return an iterator of one result per photograph, in their order.

        `inputs` is a place (a folder, a pattern like `photos/*.jpg`, a list of files `photos.txt`, a ZIP archive), or
        an iterable of photographs in any form that `predict` accepts. A photograph is named by its path, or by its
        index if it has none. A photograph that cannot be read raises no error: its result has an `error`. `workers` is
        the number of threads, by default one for each core that this process may use. Memory does not grow with the
        number of photographs. `ray` is the address of a Ray cluster that reads them, or "local" to start one on this
        machine; `workers` is then the number of chunks that it reads at the same time. Without `pictures`, the results
        lack their pictures, which saves time on a cluster. Raises FolderError for a place without a picture, and
        ValueError for `workers` below 1 or an address without a cluster.
        """
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        if isinstance(inputs, (str, Path)):
            inputs = inputs_of(inputs)
        given = inputs if isinstance(inputs, Inputs) else map(input_of, inputs, count())
        return self._read_many(given, workers, partial(self.read_inputs, bgr=bgr, pictures=pictures), ray)

    def predict_folder(self, folder: str | Path) -> Generator[PhotographResult, None, None]:
        """Read the pictures of a folder or another place as `predict_many` does; FolderError if there is none."""
        return self.predict_many(folder)

    def predict_files(self, paths: str | Path | Iterable[str | Path]) -> Generator[PhotographResult, None, None]:
        """Read one or several files as `predict_many` does; the result of an unreadable file has an `error`."""
        return self.predict_many([paths] if isinstance(paths, (str, Path)) else paths)

    def _read_many(
        self, inputs: Iterable[Input], workers: int | None, read: Callable[..., list[PhotographResult]], ray: str | None
    ) -> Generator[PhotographResult, None, None]:
        rest = iter(inputs)
        first = list(islice(rest, FEW + 1))
        size = CHUNK if len(first) > FEW else 1
        if len(first) < 2 and ray is None:
            yield from read(first, lambda: None)
            return
        from deadpan.jobs import cores  # takes 60 ms, which one photograph does not need
        from deadpan.prediction.bulk import in_order

        if ray is None:
            yield from in_order(read, chain(first, rest), min(workers or cores(), len(first)), size)
        else:
            from deadpan.prediction.cluster import reading_on

            with reading_on(ray, self, read) as (work, width):
                yield from in_order(work, chain(first, rest), workers or width, size)

    def read_inputs(
        self, inputs: Sequence[Input], go_on: Callable[[], None], *, bgr: bool = False, pictures: bool = True
    ) -> list[PhotographResult]:
        """Read several photographs and run the network once on all their faces.

        Calls `go_on` before each photograph. Without `pictures`, the results lack their pictures.
        """
        read: list[tuple[PhotographResult, list[Seen]]] = []
        for each in inputs:
            go_on()
            width, height, seen, reason = 0, 0, [], None
            try:
                pixels = each.read(bgr=bgr)
                height, width = pixels.shape[:2]
                seen = self._look(pixels)
            except (PhotographError, RestFaceError) as error:
                reason = str(error)
            stored = each if each.is_stored else None
            read.append((PhotographResult(each.name, width, height, error=reason, stored=stored), seen))
        faces = iter(self._results([each for _, seen in read for each in seen]))
        results = [replace(result, faces=list(islice(faces, len(seen)))) for result, seen in read]
        return results if pictures else [result.without_pictures() for result in results]

    def predict_video(
        self,
        video: str | Path,
        *,
        every: int = 1,
        fps: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        rest: Rest = AUTO,
        smoothing: float = 0.1,
    ) -> Generator[VideoFrame, None, None]:
        """Read the faces of a video; return an iterator of its frames in order, including frames without a face.

        `every` reads every Nth frame, `fps` this many frames per second, `start` and `end` (seconds) a part of the
        video. `rest` gives each person's face at rest: "auto" estimates it, (from, to) is a time range in seconds in
        which everyone is at rest, a photograph shows the only person of the video at rest, and None leaves the
        distance from rest unknown. `smoothing` is the standard deviation in seconds of a Gaussian over time, 0 for no
        smoothing. With `rest` or `smoothing` the whole video is read before the first frame is returned; memory does
        not grow with its length. Raises PhotographError if the file is not a video, RestError for `rest` and
        `smoothing`, and SamplingError for the other settings.
        """
        settings = VideoSettings(Sampling(every, fps, start, end), rest, smoothing)
        return predict_video(self, video, settings)

    def _run(self, aligned: RGB, neutral: bool = True) -> Recognition:
        inputs = {"image": to_network(aligned)}  # (N, 3, S, S)
        if self.compares:
            rest = aligned[:1] if self._rest is None else self._rest.aligned[None]
            inputs["rest"] = np.repeat(to_network(rest), len(aligned), 0)  # (N, 3, S, S)
            inputs["given"] = np.full(len(aligned), self._rest is not None, np.float32)
        makes = neutral and (self.generates or (self.compares and self._rest is not None))
        names = ["logits", *(["neutral"] if makes else [])]
        if self._show and neutral:
            names += [f"show_{i}" for i in range(len(self.shows))]
        session = self._here().session
        answers = dict(zip(names, session.run(names, inputs, only_what_is_asked()), strict=True))
        logits = answers["logits"].astype(np.float64) + self._shift  # (N, K)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = powers / powers.sum(axis=1, keepdims=True)
        made = grey_like(aligned, to_pixels(answers["neutral"])) if makes else None  # (N, S, S, 3)
        return Recognition(probabilities, made, tuple(answers[name] for name in names if name.startswith("show_")))

    def _take_rest(self, photograph: Photograph) -> None:
        """Use the only face of the photograph as the face at rest; RestFaceError if there is not exactly one."""
        faces = self.detector(pixels := read_photograph(photograph))
        if len(faces) != 1:
            raise RestFaceError(f"the rest face must be a photograph of one person; found {len(faces)} faces")
        seen = self._aligned(pixels, faces[0])
        self._rest = RestFace(seen.aligned)  # the model compares the face with itself
        found = self.predict_faces(seen.aligned[None], neutral=False).probabilities[0]
        self._rest = RestFace(seen.aligned, face_features(found, seen.mesh, self.temperature))

    def _look(self, photograph: RGB) -> list[Seen]:
        """Find and align the faces of a photograph; raises as `_seen`."""
        return self._seen(photograph, self.detector(photograph))

    def _seen(self, photograph: RGB, faces: list[Face]) -> list[Seen]:
        """Align the faces of a photograph; RestFaceError for several if a rest face of one person was given."""
        if self._rest is not None and len(faces) > 1:
            raise RestFaceError(f"{len(faces)} faces, but a rest face of one person; crop the photograph to the person")
        return [self._aligned(photograph, face) for face in faces]

    def _results(self, faces: list[Seen]) -> list[FaceResult]:
        """Run the model on aligned faces of one or several photographs."""
        if not faces:
            return []
        found = self.predict_faces(np.stack([seen.aligned for seen in faces]))  # (N, S, S, 3)
        return [self._result(seen, found, i) for i, seen in enumerate(faces)]

    def _aligned(self, photograph: RGB, face: Face) -> Seen:
        size = self.image_size
        if face.is_crop:
            located = locate_crop(photograph, size, self.alignment)
        else:
            located = locate(photograph, face, size, self.alignment)
        aligned = centre(warp(photograph, located.matrix, size), size)
        same = self.alignment == "mesh" and size == SIDE
        mesh = None if located.mesh is None else located.mesh.astype(np.float32)
        return Seen(face, aligned, quality(photograph, located, size, aligned if same else None), mesh)

    def _result(self, seen: Seen, found: Recognition, index: int) -> FaceResult:
        face, aligned = seen.face, seen.aligned
        probabilities = found.probabilities[index]  # (K,)
        # a copy, because a view would keep the neutral faces of the whole batch in memory
        neutral = None if found.neutral is None else found.neutral[index].copy()  # (S, S, 3)
        shown = {}
        for (caption, kind), values in zip(self.shows.items(), found.shown, strict=False):
            shown[caption] = Shown(kind, to_pixels(values[index, None])[0] if kind == "picture" else values[index])
        residue_map = None
        if neutral is not None:
            difference = np.abs(aligned.astype(np.float32) - neutral.astype(np.float32))  # (S, S, 3)
            residue_map = difference.mean(axis=2, dtype=np.float32) / np.float32(255)  # (S, S)
        distance = self._rest and self._rest.distance(face_features(probabilities, seen.mesh, self.temperature))
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
            quality=seen.quality,
            mesh=seen.mesh,
            shown=shown,
            distance_from_rest=distance,
        )


def load(model: str | Path = DEFAULT_MODEL, **options: Any) -> Predictor:
    """Load a released model by name, or a model file, and return its Predictor; `options` go to `Predictor`.

    Raises ModelError for an unknown name or a damaged file, and ValueError for other options out of range.
    """
    return Predictor(model, **options)


def _lasting(detector: str | Path) -> str | Path:
    """A detector's name, or the absolute path of its file, which stays valid in any working directory."""
    return Path(detector).absolute() if Path(detector).suffix == ".onnx" else detector
