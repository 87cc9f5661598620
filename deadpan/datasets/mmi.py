"""MMI Facial Expression Database: short videos that start and end neutral, with XML annotations.

M. Pantic, M. Valstar, R. Rademaker, L. Maat, "Web-based database for facial expression analysis", ICME 2005, and
M. Valstar, M. Pantic, LREC 2010. Owner: the MMI group (Imperial College London, University of Twente); request an
account at mmifacedb.eu. A download has folders Sessions/NUMBER with session.xml (the view), S001-001.avi (person-clip),
S001-001.xml (Metatag Emotion) and, for some clips, S001-001-oao_aucs.xml (action units).

Public code of several groups reads these files. Four points are assumed, because the owner's documentation does not
confirm them. The emotion codes are 1 to 6; clips with higher codes show no basic expression and are left out. The
person is the first part of a clip's name. The views are 0 frontal, 1 profile, and 2 both side by side. Profile clips,
and frontal clips that are not 480 pixels high, are rotated by 90 degrees.

Used: the first frame of clips with an emotion as neutral and the middle frames as the emotion; still pictures with an
emotion as single photographs. Not used: profile clips (but see `profile`), the timing of the action units, the sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from deadpan.datasets.listing import PICTURES, VIDEOS, middle, nested, summary, visible
from deadpan.datasets.sample import DatasetError, Facts, Sample, VideoFrame, check_names, one_hot
from deadpan.faces.video import VideoFacts, measure_videos

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")

FACTS = Facts(
    title="MMI Facial Expression Database (Pantic, Valstar, Rademaker, Maat 2005; Valstar, Pantic 2010)",
    owner="the MMI group, Imperial College London and University of Twente",
    request="mmifacedb.eu",
    terms="signed agreement; non-commercial research",
    tree=(
        "Sessions/1/session.xml\n"
        "Sessions/1/S001-001.avi\n"
        "Sessions/1/S001-001.xml (Metatag Emotion)\n"
        "Sessions/1/S001-001-oao_aucs.xml (optional)"
    ),
    neutral="the first frame of every video",
    confirmed=False,
    on_purpose={"no basic emotion, or in profile": r"(^|/)S\d+-\d+\.\w+$"},
)
CODES = dict(enumerate(("anger", "disgust", "fear", "happiness", "sadness", "surprise"), start=1))
VIEWS = {"0": "frontal", "1": "profile", "2": "both"}
CLIP = re.compile(r"(S\d+)-\d+")


def read(root: Path, wanted: int = 3, profile: bool = False, all_frames: bool = False) -> list[Sample]:
    """Read the first frame (neutral) and the `wanted` middle frames (the emotion) of every clip with an emotion.

    Clips in profile are left out unless `profile`. `all_frames` also reads the other frames as the emotion; their
    attribute "part" is "onset" before the middle and "offset" after it. A video that cannot be opened is returned with
    frame 0, so that `prepare` reports it. Raises DatasetError if the expected files are missing or an annotation is
    damaged.
    """
    if wanted < 1:
        raise ValueError(f"wanted must be at least 1, got {wanted}")
    clips = list(_clips(root))
    about = [(clip, CODES[code], _view(clip)) for clip in clips if (code := _emotion(clip)) in CODES]
    chosen = [each for each in about if profile or each[2] != "profile"]
    measured = measure_videos([clip for clip, *_ in chosen if clip.suffix.lower() in VIDEOS])
    samples: list[Sample] = []
    for clip, expression, view in chosen:
        if clip.suffix.lower() in PICTURES:
            samples.append(_still(clip, expression, view))
        else:
            samples += _samples(clip, expression, view, measured.pop(0), wanted, all_frames)
    if not samples:
        why = f"{len(clips)} clips, none of them with an emotion from 1 to 6" if clips else summary(root)
        raise FACTS.absent(root, why)
    check_names(samples, root)
    return samples


def _clips(root: Path) -> Iterator[Path]:
    for folder in nested(root, depth=3):
        for path in visible(folder):
            if CLIP.fullmatch(path.stem) and path.suffix.lower() in VIDEOS | PICTURES and path.is_file():
                yield path


def _still(clip: Path, expression: str, view: str) -> Sample:
    subject, name = clip.stem.split("-")[0], f"{clip.parent.name}/{clip.name}"
    attributes: dict[str, str | float] = {"part": "peak", "view": view, **_action_units(clip)}
    return Sample(clip, name, one_hot(expression, EXPRESSIONS), subject, attributes=attributes)


def _samples(
    clip: Path, expression: str, view: str, facts: VideoFacts, wanted: int, all_frames: bool
) -> Iterator[Sample]:
    subject, name = clip.stem.split("-")[0], f"{clip.parent.name}/{clip.name}"
    attributes: dict[str, str | float] = {"view": view, **_action_units(clip)}
    count = facts.frames
    turn = {"profile": 270, "frontal": 0 if facts.height in (0, 480) else 90}.get(view, 0)
    apex = middle(count, wanted)
    chosen = [
        (index, expression, "peak" if index in apex else "onset" if index < apex.start else "offset")
        for index in (range(1, count) if all_frames else apex)
    ]
    for index, word, part in [(0, "neutral", "neutral"), *chosen] if chosen else [(0, expression, "peak")]:
        yield Sample(
            picture=VideoFrame(clip, index, turn),
            name=f"{name}#{index}",
            target=one_hot(word, EXPRESSIONS),
            subject=subject,
            sequence=name,
            frame=index,
            attributes={"part": part, "phase": index / max(1, count - 1), **attributes},
        )


def _elements(path: Path, tag: str) -> list[ElementTree.Element]:
    """The elements of that name in an XML file, none if there is no file; DatasetError if it is not XML."""
    if not path.is_file():
        return []
    try:
        tree = ElementTree.parse(path)
    except (ElementTree.ParseError, OSError, ValueError) as error:
        raise DatasetError(f"{path}: expected an XML annotation with {tag} elements, got {error}") from error
    return [element for element in tree.iter() if element.tag.lower() == tag.lower()]


def _emotion(clip: Path) -> int | None:
    path = clip.with_suffix(".xml")
    for element in _elements(path, "Metatag"):
        if element.get("Name", "").lower() == "emotion":
            value = element.get("Value", "").strip()
            if value.isdigit():
                return int(value)
            raise DatasetError(f"{path}: expected the emotion as a number, got {value!r}")
    return None


def _view(clip: Path) -> str:
    tracks = _elements(clip.with_name("session.xml"), "track")
    own = [track for track in tracks if clip.stem in track.get("filename", "")]
    return next((VIEWS.get(track.get("view", ""), "") for track in own or tracks), "")


def _action_units(clip: Path) -> dict[str, float]:
    path = clip.with_name(f"{clip.stem}-oao_aucs.xml")
    numbers = [element.get("Number", "") for element in _elements(path, "ActionUnit")]
    return {f"AU{number.zfill(2)}": 1.0 for number in numbers if number}
