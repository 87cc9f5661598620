"""A file or its bytes -> the upright 8-bit RGB picture a viewer would show, or one clear error."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from deadpan.errors import DeadpanError
from deadpan.pixels import RGB

MAX_PIXELS = 100_000_000
"""Largest photograph that is decoded, in pixels (300 MB as RGB); the header alone decides."""

# Named one by one: left to itself Pillow also tries EPS, which runs Ghostscript on the file.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "MPO", "PPM", "JPEG2000", "TGA", "ICO")

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

EXIF_ORIENTATION = 0x0112


class PhotographError(DeadpanError):
    """A file that cannot be read as a photograph; the text names the file and the reason."""


def read_photograph(source: str | Path | bytes) -> NDArray[np.uint8]:
    """Read a photograph as (H, W, 3) uint8 RGB, turned upright by its EXIF orientation.

    Transparency is laid on white, 16-bit values are scaled to 8, of an animation the first frame is taken.
    Raises PhotographError when it is missing, a directory, empty, no picture, cut short or beyond MAX_PIXELS.
    """
    if isinstance(source, bytes):
        name, content = "the given bytes", source
        if not content:
            raise PhotographError(f"{name}: empty, expected a picture")
        return _decode(io.BytesIO(content), name)
    path = Path(source)
    _check_file(path)
    try:
        with path.open("rb") as file:
            return _decode(file, str(path))
    except OSError as error:  # permission, a failing disk: Pillow's own errors are translated in _decode
        raise PhotographError(f"{path}: cannot be read ({error.strerror or error})") from error


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise PhotographError(f"{path}: a directory, expected a picture file")
        if not path.exists():
            raise PhotographError(f"{path}: no such file")
        if not path.is_file():  # opening a pipe or a device could wait for ever
            raise PhotographError(f"{path}: not a regular file")
        if path.stat().st_size == 0:
            raise PhotographError(f"{path}: empty, expected a picture")
    except PhotographError:
        raise
    except (OSError, ValueError) as error:  # a name that is too long or holds a null byte
        raise PhotographError(f"{path}: cannot be read ({error})") from error


def _decode(file: IO[bytes], name: str) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns from 89 million pixels on and about odd metadata
            with Image.open(file, formats=_readable_formats()) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise PhotographError(_too_large(name, f"{width} x {height}"))
                image.load()
                return _as_rgb(_upright(image))
    except PhotographError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotographError(_too_large(name, "far too many")) from error
    except UnidentifiedImageError as error:
        raise PhotographError(f"{name}: not a picture in a format known here ({', '.join(FORMATS)})") from error
    except Exception as error:  # on damaged files Pillow's decoders raise almost anything, SyntaxError included
        raise PhotographError(f"{name}: damaged or cut short ({error})") from error


def _too_large(name: str, size: str) -> str:
    return f"{name}: {size} pixels, at most {MAX_PIXELS // 1_000_000} million are read; scale it down first"


def _readable_formats() -> list[str]:
    Image.init()  # some builds of Pillow lack AVIF or JPEG 2000, and naming an absent format is a KeyError
    return [name for name in FORMATS if name in Image.OPEN]


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = UPRIGHT.get(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # broken EXIF says nothing about the pixels
        return image
    return image if turn is None else image.transpose(turn)


def _as_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits per pixel: convert("RGB") would clip them to white
        grey = _eight_bits(np.asarray(image), sixteen=image.mode.startswith("I;16"))
        return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _eight_bits(values: NDArray[np.generic], *, sixteen: bool) -> NDArray[np.uint8]:
    """Scale grey values of any depth to 0..255: full scale is 65535, or 1 for fractions, unless they fit 8 bits."""
    numbers = np.nan_to_num(values.astype(np.float64))
    peak = float(numbers.max(initial=0))
    if sixteen or peak > 255:
        numbers = numbers / 257
    elif values.dtype.kind == "f" and peak <= 1:
        numbers = numbers * 255
    return np.clip(np.rint(numbers), 0, 255).astype(np.uint8)


def check_photograph(photograph: RGB) -> None:
    """Raise ValueError unless `photograph` is (H, W, 3) uint8 with pixels in it."""
    if photograph.ndim != 3 or photograph.shape[2] != 3 or photograph.dtype != np.uint8 or not photograph.size:
        raise ValueError(f"expected an RGB photograph (H, W, 3) uint8, got {photograph.shape} {photograph.dtype}")
