"""Write episodes as WebVTT captions for video players, and as ELAN tiers."""

from __future__ import annotations

import mimetypes
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from deadpan.video.episodes import Episode

VTT_START = "WEBVTT\n\nNOTE written by deadpan\n"

EAF_AUTHOR = "deadpan"

XSI = "http://www.w3.org/2001/XMLSchema-instance"


def webvtt(episodes: Sequence[Episode]) -> str:
    """Return a WebVTT file with one caption per episode, such as "face 0: happiness 93%, 0.62 from rest"."""
    cues = [VTT_START]
    for each in episodes:
        distance = "" if each.distance is None else f", {each.distance:.2f} from rest"
        text = f"face {each.face}: {each.expression} {each.confidence:.0%}{distance}"
        cues.append(f"{_stamp(each.start_s)} --> {_stamp(max(each.end_s, each.start_s + 0.001))}\n{text}\n")
    return "\n".join(cues)


def is_own_vtt(path: Path) -> bool:
    """Whether the file was written by `webvtt`."""
    return path.read_bytes()[:200].decode("utf-8", "replace").startswith(VTT_START)


def is_own_eaf(path: Path) -> bool:
    """Whether the file was written by `elan` and not saved by ELAN since: manual annotations must not be lost."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return f'AUTHOR="{EAF_AUTHOR}"' in text[:1000] and "lastUsedAnnotationId" not in text


def _stamp(seconds: float) -> str:
    total = round(seconds * 1000)
    minutes, milliseconds = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def elan(episodes: Sequence[Episode], video: Path) -> str:
    """Return an ELAN document (EAF 3.0) for `video`: one tier per face, and one annotation per episode."""
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": EAF_AUTHOR,
            "DATE": datetime.now().astimezone().isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": XSI,
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    kind = mimetypes.guess_type(video.name)[0] or "video/mp4"
    place = {"MEDIA_URL": video.resolve().as_uri(), "RELATIVE_MEDIA_URL": f"./{video.name}", "MIME_TYPE": kind}
    ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", place)
    times = sorted({round(second * 1000) for each in episodes for second in (each.start_s, each.end_s)})
    order = ElementTree.SubElement(root, "TIME_ORDER")
    for index, value in enumerate(times):
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{index}", "TIME_VALUE": str(value)})
    slots = {value: f"ts{index}" for index, value in enumerate(times)}
    number = 0
    for face in sorted({each.face for each in episodes}):
        tier = ElementTree.SubElement(
            root, "TIER", {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": f"face {face}", "PARTICIPANT": str(face)}
        )
        for each in (one for one in episodes if one.face == face):
            begin, end = (slots[round(second * 1000)] for second in (each.start_s, each.end_s))
            facts = {"ANNOTATION_ID": f"a{number}", "TIME_SLOT_REF1": begin, "TIME_SLOT_REF2": end}
            annotation = ElementTree.SubElement(tier, "ANNOTATION")
            aligned = ElementTree.SubElement(annotation, "ALIGNABLE_ANNOTATION", facts)
            ElementTree.SubElement(aligned, "ANNOTATION_VALUE").text = each.expression
            number += 1
    kinds = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"}
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", kinds)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
