"""Reads a photograph, from a file or from memory, as an upright 8-bit RGB picture, or raises one clear error."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from deadpan.errors import DeadpanError, how_to_install
from deadpan.pixels import RGB

Photograph: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | RGB
"""A path, the bytes of a file, an open binary file, a PIL picture, or the pixels themselves, (H, W, 3) uint8 RGB."""

MAX_PIXELS = 100_000_000
"""Largest photograph that is decoded, in pixels (300 MB as RGB); the size is checked in the header, before decoding."""

# Without this list Pillow also tries EPS, for which it runs Ghostscript on the file.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "MPO", "PPM", "JPEG2000", "TGA", "ICO", "HEIF")

HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")

LFS_POINTER = "a Git LFS pointer in place of the file: fetch the file with `git lfs pull`"

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
    """A photograph that cannot be read; the text names the file and the reason."""


def read_photograph(source: Photograph, *, bgr: bool = False, max_pixels: int = MAX_PIXELS) -> RGB:
    """Read a photograph as (H, W, 3) uint8 RGB, turned upright by its EXIF orientation.

    `source` is a path, the bytes of a file, an open binary file, a PIL picture, or an array (H, W, 3) uint8 in RGB
    order; with `bgr`, the array is in OpenCV's order, blue first. Transparent pixels are blended with white. 16-bit
    values are scaled to 8 bits. Only the first frame of an animation is read. Raises PhotographError if the file is
    missing, a directory, empty, not a picture, truncated or larger than `max_pixels`, or if the array has another shape
    or type.
    """
    if isinstance(source, np.ndarray):
        check_photograph(source)
        return source[..., ::-1] if bgr else source
    if isinstance(source, Image.Image):
        with _saying_what_is_wrong("the given picture", max_pixels):
            _check_size(source, "the given picture", max_pixels)
            return _pixels(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode_bytes(bytes(source), "the given bytes", max_pixels)
    if isinstance(source, (str, os.PathLike)):
        return _read_file(Path(source), max_pixels)
    if hasattr(source, "read"):
        return _read_open_file(source, max_pixels)
    expected = "a path, bytes, an open binary file, a PIL picture or an RGB array (H, W, 3) uint8"
    raise PhotographError(f"expected one photograph as {expected}, got {type(source).__name__}")


def _read_file(path: Path, max_pixels: int) -> RGB:
    check_file(path)
    try:
        with path.open("rb") as file:
            return _decode(file, str(path), max_pixels)
    except OSError as error:  # permission, a failing disk: Pillow's own errors are translated in _decode
        raise PhotographError(f"{path}: cannot be read ({error.strerror or error})") from error


def _read_open_file(file: IO[bytes], max_pixels: int) -> RGB:
    """Read an open file from its current position; it may be a stream that cannot seek."""
    given = getattr(file, "name", None)
    name = given if isinstance(given, str) else "the given file"
    try:
        content = file.read()
    except (OSError, ValueError) as error:  # a closed file is a ValueError, and so is one opened as text
        raise PhotographError(f"{name}: cannot be read ({error}); open it with open(path, 'rb')") from error
    if not isinstance(content, bytes):
        raise PhotographError(f"{name}: expected a binary file, got a text file; open it with open(path, 'rb')")
    return _decode_bytes(content, name, max_pixels)


def _decode_bytes(content: bytes, name: str, max_pixels: int) -> RGB:
    if not content:
        raise PhotographError(f"{name}: empty, expected a picture")
    return _decode(io.BytesIO(content), name, max_pixels)


def check_file(path: Path, kind: str = "picture") -> None:
    """Raise PhotographError unless `path` is a regular file that is not empty; `kind` names the expected content."""
    try:
        if path.is_dir():
            raise PhotographError(f"{path}: a directory, expected a {kind} file")
        if not path.exists():
            raise PhotographError(f"{path}: no such file")
        if not path.is_file():  # opening a pipe or a device could wait for ever
            raise PhotographError(f"{path}: not a regular file")
        if path.stat().st_size == 0:
            raise PhotographError(f"{path}: empty, expected a {kind}")
    except PhotographError:
        raise
    except (OSError, ValueError) as error:  # a name that is too long or holds a null byte
        raise PhotographError(f"{path}: cannot be read ({error})") from error


def is_lfs_pointer(start: bytes) -> bool:
    """Whether a file that starts with these bytes is the pointer to a file that Git LFS has not fetched."""
    return start.startswith(b"version https://git-lfs.github.com/spec/")


def _decode(file: IO[bytes], name: str, max_pixels: int) -> RGB:
    with _saying_what_is_wrong(name, max_pixels):
        try:
            image = Image.open(file, formats=_readable_formats())
        except UnidentifiedImageError as error:
            raise PhotographError(f"{name}: {_unknown_format(file)}") from error
        with image:
            _check_size(image, name, max_pixels)
            pixels = _jpeg(image, file) if image.format == "JPEG" else None
            return _pixels(image) if pixels is None else pixels


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise PhotographError(_too_large(name, f"{width} x {height}", max_pixels))


def _pixels(image: Image.Image) -> RGB:
    image.load()
    return _as_rgb(_upright(image))


def _jpeg(image: Image.Image, file: IO[bytes]) -> RGB | None:
    """Decode an upright JPEG file; None if Pillow must decode it, or has to say what is wrong with it.

    OpenCV's decoder is the same library as Pillow's and returns the same pixels. It writes them into the array at once,
    where Pillow copies them four times, and so takes about half the time.
    """
    if image.mode not in ("RGB", "L") or _turn(image) is not None:
        return None
    file.seek(0)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    decoded: Any = cv2.imdecode(np.frombuffer(file.read(), np.uint8), flags)  # None if the file is truncated
    return decoded if decoded is not None and decoded.shape[1::-1] == image.size else None


@contextmanager
def _saying_what_is_wrong(name: str, max_pixels: int) -> Iterator[None]:
    try:
        yield
    except PhotographError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotographError(_too_large(name, "far too many", max_pixels)) from error
    except Exception as error:  # for damaged files Pillow's decoders raise almost any error, even SyntaxError
        raise PhotographError(f"{name}: damaged or truncated ({error})") from error


def _unknown_format(file: IO[bytes]) -> str:
    """Why a file cannot be read as a picture; HEIC and AVIF may need another package."""
    file.seek(0)
    start = file.read(64)
    if is_lfs_pointer(start):
        return LFS_POINTER
    kind = start[4:12]
    if kind in (b"ftypavif", b"ftypavis"):
        return "an AVIF picture, which this Pillow cannot read: pip install --upgrade 'pillow>=11.3'"
    if kind[:4] == b"ftyp" and kind[4:] in HEIC_BRANDS:
        return f"a HEIC picture, which needs the package pillow-heif: {how_to_install('pillow_heif')}"
    return f"not a picture in a supported format ({', '.join(_readable_formats())})"


def _too_large(name: str, size: str, max_pixels: int) -> str:
    return f"{name}: {size} pixels, expected at most {max_pixels // 1_000_000} million; scale it down first"


@cache
def _readable_formats() -> list[str]:
    Image.init()  # some builds of Pillow lack AVIF or JPEG 2000, and asking for an absent format is a KeyError
    with suppress(ImportError):
        from pillow_heif import register_heif_opener  # the extra `heic`

        register_heif_opener()
    return [name for name in FORMATS if name in Image.OPEN]


def _upright(image: Image.Image) -> Image.Image:
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """The transpose that turns a picture upright; None if it is upright."""
    try:
        return UPRIGHT.get(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # a picture with broken EXIF data can still have good pixels
        return None


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
    """Scale grey values of any depth to 0..255.

    Pictures of 16 bits or with values above 255 are divided by 257. Float pictures with values up to 1 are multiplied
    by 255. All other values are kept, and clipped to 0..255.
    """
    numbers = np.nan_to_num(values.astype(np.float64))
    peak = float(numbers.max(initial=0))
    if sixteen or peak > 255:
        numbers = numbers / 257
    elif values.dtype.kind == "f" and peak <= 1:
        numbers = numbers * 255
    return np.clip(np.rint(numbers), 0, 255).astype(np.uint8)


def check_photograph(photograph: RGB) -> None:
    """Raise PhotographError unless `photograph` is (H, W, 3) uint8 and not empty; the text says how to convert it."""
    shape, kind = photograph.shape, photograph.dtype
    if len(shape) == 3 and shape[2] == 3 and kind == np.uint8 and photograph.size:
        return
    if not photograph.size:
        advice = "this one is empty"
    elif len(shape) == 2 or shape[2:] == (1,):
        advice = "repeat a grey picture in three channels: np.dstack([grey] * 3)"
    elif len(shape) == 3 and shape[2] == 4:
        advice = "remove the transparency: photograph[..., :3]"
    elif len(shape) == 3 and shape[0] == 3:
        advice = "put the channels last: photograph.transpose(1, 2, 0)"
    elif len(shape) == 4:
        advice = "pass several photographs as a list: list(photographs)"
    elif kind.kind == "f":
        advice = "scale values from 0..1: (photograph * 255).round().astype(np.uint8)"
    else:
        advice = "pixels must be whole numbers from 0 to 255"
    got = f"expected an RGB photograph (H, W, 3) uint8, got {shape} {kind}"
    raise PhotographError(f"{got}; {advice} (OpenCV's arrays are BGR: pass bgr=True)")
