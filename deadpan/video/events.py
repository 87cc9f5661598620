"""Times and time ranges as text; events (time ranges in a CSV file) -> a summary of each participant's expressions."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deadpan.errors import DeadpanError
from deadpan.faces.networks import Floats
from deadpan.video.rest import AUTO, NONE, Rest, RestError
from deadpan.video.results import VideoResult

COLUMNS = ("name", "from", "to", "participant")

THRESHOLD = 0.5
"""Default distance from rest above which `time_above_s` counts the time."""

START = ("input", "event", "from_s", "to_s", "participant")
"""The first columns of every summary."""

Row = dict[str, Any]


class EventError(DeadpanError):
    """A file of events that cannot be read."""


class TimeError(DeadpanError):
    """A time that cannot be read."""


@dataclass(frozen=True)
class Event:
    """A time range in a video."""

    name: str
    start_s: float
    end_s: float  # exclusive
    participant: int | None = None  # the number of a face; None for everyone


def seconds(text: str) -> float:
    """Convert a time such as 75, 75.5, 1:15 or 0:01:15.5 to seconds; TimeError for any other text."""
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?", text.strip()):
        raise TimeError(f"expected a time in seconds (75.5) or in minutes and seconds (1:15.5), got {text!r}")
    total = 0.0
    for part in text.strip().split(":"):
        total = 60 * total + float(part)
    return total


def rest_of(text: str) -> Rest:
    """Convert auto, none or a time range such as 0:10-0:20 to a setting for the face at rest; RestError otherwise."""
    if text in (AUTO, NONE):
        return text
    start, dash, end = text.partition("-")
    try:
        if dash:
            return seconds(start), seconds(end)
    except TimeError:
        pass
    raise RestError(f"expected auto, none or a time range such as 0:10-0:20; got {text!r}")


def read_events(path: Path) -> list[Event]:
    """Read a CSV file with the columns name, from, to and, optionally, participant.

    Times are in seconds or in minutes and seconds. If the participant is empty or the column is missing, the event
    concerns everyone. EventError if the file cannot be read, has no event or has an invalid line, which it names.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise EventError(f"{path}: cannot be read as a CSV file of events ({error})") from error
    reader = csv.DictReader(io.StringIO(text))
    names = [name.strip() for name in reader.fieldnames or ()]
    if not set(COLUMNS[:3]) <= set(names):
        raise EventError(f"{path}: expected the columns {','.join(COLUMNS)}; got {','.join(names) or 'nothing'}")
    reader.fieldnames = names
    events = [_event(row, f"{path}, line {line}") for line, row in enumerate(reader, start=2)]
    if not events:
        raise EventError(f"{path}: no event found; expected one line per event below the header {','.join(COLUMNS)}")
    return events


def _event(row: Row, place: str) -> Event:
    try:
        start, end = seconds(row["from"] or ""), seconds(row["to"] or "")
    except TimeError as error:
        raise EventError(f"{place}: {error}") from error
    if start >= end:
        raise EventError(f"{place}: an event must end after it begins; got {row['from']} to {row['to']}")
    who = (row.get("participant") or "").strip()
    if who and not who.isdecimal():
        raise EventError(f"{place}: expected the number of a face as participant, or nothing for everyone; got {who!r}")
    return Event((row["name"] or "").strip(), start, end, int(who) if who else None)


def event_columns(expressions: Sequence[str]) -> dict[str, type]:
    """The columns of the summary and the type of each; a row describes one event and one participant."""
    numbers = ("distance_mean", "distance_maximum", "time_above_s", "latency_s")
    shares = [f"{name}_{what}" for name in expressions for what in ("mean", "maximum")]
    return {
        "input": str,
        "event": str,
        "from_s": float,
        "to_s": float,
        "participant": int,
        "frames": int,
        **dict.fromkeys(numbers, float),
        "apex_expression": str,
        **dict.fromkeys(shares, float),
    }


def summarise(video: VideoResult, events: Sequence[Event], name: str, threshold: float = THRESHOLD) -> Iterator[Row]:
    """Yield one row per event and participant, with the columns of `event_columns`.

    `name` is the name of the video. A participant who is not visible during the event gets a row with 0 frames. The
    apex of an event is the frame with the largest distance from rest, and the latency is the time from the beginning of
    the event to the apex. If the face at rest is unknown, the apex is the frame with the lowest probability of neutral,
    and the distance columns are empty.
    """
    people = video.people()
    for event in events:
        for face in [event.participant] if event.participant is not None else list(people):
            start = {"input": name, "event": event.name, "from_s": event.start_s, "to_s": event.end_s}
            row: Row = {**start, "participant": face, "frames": 0}
            if face in people:
                times, probabilities, distances = video.series(people[face])
                within = (times >= event.start_s) & (times < event.end_s)
                if within.any():
                    lengths = _lengths(times)
                    part = (times[within], probabilities[within], distances[within], lengths[within])
                    row |= _summary(video.expressions, event, threshold, *part)
            yield row


def _lengths(times: Floats) -> Floats:
    """The duration (N,) of each frame in seconds: the time to the next frame, but at most twice the median."""
    if len(times) < 2:
        return np.zeros(len(times))
    steps = np.diff(times)
    lengths: Floats = np.minimum(np.append(steps, np.median(steps)), 2 * np.median(steps))
    return lengths


def _summary(expressions: Sequence[str], event: Event, threshold: float, times: Floats, probabilities: Floats,
             distances: Floats, lengths: Floats) -> Row:  # fmt: skip
    known = ~np.isnan(distances)
    row: Row = {"frames": len(times)}
    if known.any():
        apex = int(np.nanargmax(distances))
        row["distance_mean"] = round(float(np.nanmean(distances)), 4)
        row["distance_maximum"] = round(float(distances[apex]), 4)
        row["time_above_s"] = round(float(lengths[known & (np.nan_to_num(distances) > threshold)].sum()), 3)
    else:
        neutral = expressions.index("neutral") if "neutral" in expressions else None
        apex = int(probabilities.max(1).argmax() if neutral is None else probabilities[:, neutral].argmin())
    row["latency_s"] = round(float(times[apex] - event.start_s), 3)
    row["apex_expression"] = expressions[int(probabilities[apex].argmax())]
    for index, expression in enumerate(expressions):
        row[f"{expression}_mean"] = round(float(probabilities[:, index].mean()), 6)
        row[f"{expression}_maximum"] = round(float(probabilities[:, index].max()), 6)
    return row
