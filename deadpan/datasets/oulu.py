"""Oulu-CASIA NIR&VIS facial expression database: six posed expressions, two cameras, three illuminations.

G. Zhao, X. Huang, M. Taini, S. Z. Li, M. Pietikäinen, "Facial expression recognition from near-infrared videos", Image
and Vision Computing 29, 2011. Owner: University of Oulu (Center for Machine Vision and Signal Analysis); request there.
The original pictures are in the folders VL (visible) and NI (near infrared), the owner's cropped faces in VL_Acropped
and NI_Acropped. Each of these holds LIGHT/PERSON/EXPRESSION/000.jpeg ..., from neutral to the peak. Public code of
several groups reads these folders. The folder above them (OriginalImg, B_OriginalImg, PreProcess_Img, PreProcessImg,
PreProcess ...) differs between copies, so that the cameras' folders are searched up to four levels below the root.

Used: the first frame of a sequence as neutral and its last frames as the expression, of one camera and one
illumination, by default VL and Strong, which most papers use. Not used: the video files (.avi) of the original
distribution.
"""

from __future__ import annotations

from pathlib import Path

from deadpan.datasets.listing import folders, frames, nested, number, summary
from deadpan.datasets.sample import Facts, Sample, check_names, expression_named, one_hot

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")

FACTS = Facts(
    title="Oulu-CASIA NIR&VIS facial expression database (Zhao, Huang, Taini, Li, Pietikäinen 2011)",
    owner="University of Oulu, Center for Machine Vision and Signal Analysis",
    request="oulu.fi, Center for Machine Vision and Signal Analysis, Oulu-CASIA",
    terms="signed agreement; non-commercial research",
    tree=(
        "OriginalImg/VL/Strong/P001/Anger/000.jpeg (cameras VL, NI; lights Strong, Weak, Dark)\n"
        "PreProcess_Img/VL_Acropped/Strong/P001/Anger/000.jpeg (cropped faces; either of the two is enough)"
    ),
    neutral="the first frame of every sequence",
    counts={
        "subjects": 80,
        "sequences": 480,
        "pictures": 1920,
        "neutral": 480,
        **dict.fromkeys(EXPRESSIONS[1:], 240),
    },
    on_purpose={
        "other frames, cameras, lights and kinds of pictures": r"(^|/)(VL|NI)(_Acropped)?/(strong|weak|dark)/",
        "videos": r"\.avi$",
    },
)
CAMERAS = {"VL": "VL", "VIS": "VL", "NI": "NI", "NIR": "NI"}
LIGHTS = ("Strong", "Weak", "Dark")
IMAGES = {"OriginalImg": "", "PreProcess_Img": "_Acropped"}  # suffix of the camera's name in the folder's name


def read(
    root: Path,
    images: str = "",
    camera: str = "VL",
    light: str = "Strong",
    last: int = 3,
    all_frames: bool = False,
) -> list[Sample]:
    """Read the first frame (neutral) and the `last` frames (the expression) of every sequence of one camera and light.

    `images` is OriginalImg or PreProcess_Img (cropped faces); with "" the cropped faces are read only if the copy has
    no original pictures. `camera` is VL or NI, `light` is Strong, Weak, Dark or "all". `all_frames` also reads the
    frames between as the expression, with the attribute "part" set to "onset". Raises DatasetError if the expected
    files are missing.
    """
    if images not in ("", *IMAGES) or camera not in CAMERAS or light not in (*LIGHTS, "all") or last < 1:
        raise ValueError(
            f"expected images {' or '.join(IMAGES)}, camera VL or NI, light {', '.join(LIGHTS)} or all, last from 1; "
            f"got {images!r}, {camera!r}, {light!r}, {last}"
        )
    there = {kind: base for kind, ending in IMAGES.items() if (base := _base(root, CAMERAS[camera] + ending))}
    if not there:
        raise FACTS.absent(root, f"{summary(root)}, and it has no camera folder {CAMERAS[camera]}")
    if images and images not in there:
        other = next(iter(there))
        raise FACTS.absent(root, f"it holds {other} only, add --images {other}")
    kind = images or next(iter(there))
    base = there[kind]
    samples: list[Sample] = []
    for lit in folders(base):
        shown = lit.name.capitalize()
        if shown in LIGHTS and light in (shown, "all"):
            for person in folders(lit):
                for folder in folders(person):
                    about = {"camera": CAMERAS[camera], "light": shown}
                    samples += _sequence(folder, base, about, last, all_frames, cropped=bool(IMAGES[kind]))
    if not samples:
        raise FACTS.absent(root, f"{base} has no sequence under {light} light")
    check_names(samples, root)
    return samples


def _base(root: Path, name: str) -> Path | None:
    """The nearest folder of that name that holds illumination folders: `root` itself, or up to four levels below."""
    for folder in nested(root, depth=4):
        if folder.name.lower() == name.lower() and any(lit.name.capitalize() in LIGHTS for lit in folders(folder)):
            return folder
    return None


def _sequence(
    folder: Path, base: Path, about: dict[str, str], last: int, all_frames: bool, cropped: bool
) -> list[Sample]:
    expression = expression_named(folder.name, f"folder {folder}")
    pictures = frames(folder)
    samples = []
    for index, path in enumerate(pictures):
        part = "neutral" if index == 0 else "peak" if index >= len(pictures) - last else "onset"
        if part == "onset" and not all_frames:
            continue
        phase = index / max(1, len(pictures) - 1)
        samples.append(
            Sample(
                picture=path,
                name=path.relative_to(base.parent).as_posix(),
                target=one_hot("neutral" if part == "neutral" else expression, EXPRESSIONS),
                subject=folder.parent.name,
                sequence=folder.relative_to(base.parent).as_posix(),
                frame=number(path),
                cropped=cropped,
                attributes={"part": part, "phase": phase, **about},
            )
        )
    return samples
