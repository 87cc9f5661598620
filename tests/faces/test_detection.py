"""Reading files of every kind, finding faces, and the geometry of aligned ones."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from deadpan.faces.alignment import (
    TEMPLATE,
    align,
    align_crop,
    alignment,
    centre,
    crop_alignment,
    margin_size,
    similarity,
)
from deadpan.faces.cascade import Cascade
from deadpan.faces.detection import YUNET_TEMPLATE, WholePicture, make_detector
from deadpan.faces.mesh import five_of_mesh
from deadpan.faces.photographs import PhotographError, read_photograph
from tests.support.tiny_model import yunet_like


def target(size: int) -> NDArray[np.float64]:
    return TEMPLATE * size + (margin_size(size) - size) // 2 - 0.5


def apply(matrix: NDArray[np.float64], points: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


# Reading


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "I", "F"])
def test_every_mode_reads_as_rgb(girl: Path, tmp_path: Path, mode: str) -> None:
    grey = Image.open(girl).convert("L").resize((55, 72))
    path = tmp_path / "picture.tif"
    if mode in ("I;16", "I"):
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16 if mode == "I;16" else np.int32) * 257)
    elif mode == "HSV":
        picture, path = grey.convert("RGB"), tmp_path / "picture.bmp"
    else:
        picture = grey.convert("RGB").convert(mode) if mode != "LAB" else grey.convert("L")
    picture.save(path)
    pixels = read_photograph(path)
    assert pixels.shape == (72, 55, 3) and pixels.dtype == np.uint8
    if mode != "1":
        assert np.abs(pixels[..., 1].astype(int) - np.asarray(grey)).mean() < 12  # CMYK and palettes are not exact


def test_cmyk_jpeg_and_16_bit_png(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (40, 1))
    Image.fromarray(ramp).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    assert np.abs(read_photograph(tmp_path / "cmyk.jpg")[..., 0].astype(int) - ramp).max() < 12
    Image.fromarray(ramp.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert np.array_equal(read_photograph(tmp_path / "deep.png")[..., 2], ramp)


def test_fractions_are_scaled(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(4, 0)).save(tmp_path / "float.tif")
    assert np.array_equal(read_photograph(tmp_path / "float.tif")[0, :, 0], np.arange(256))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (4, 2), (10, 20, 30, 0))
    picture.putpixel((0, 0), (10, 20, 30, 255))
    picture.save(tmp_path / "clear.png")
    pixels = read_photograph(tmp_path / "clear.png")
    assert pixels[0, 0].tolist() == [10, 20, 30] and pixels[1, 3].tolist() == [255, 255, 255]
    palette = Image.new("P", (3, 3), 0)
    palette.save(tmp_path / "palette.png", transparency=0)
    assert read_photograph(tmp_path / "palette.png").min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    stored = {  # how a camera of that orientation stores the upright picture
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(file, "PNG", exif=exif)
    assert np.array_equal(read_photograph(file.getvalue())[..., 0], upright)


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    assert read_photograph(tmp_path / "two.gif")[0, 0].tolist() == [255, 0, 0]


def huge_png(width: int, height: int) -> bytes:
    """A PNG whose header alone claims the size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.jpg", b"", "empty"),
        ("text.jpg", b"this is no picture\n" * 40, "not a picture"),
        ("page.html", b"<!DOCTYPE html><html></html>", "not a picture"),
        ("vector.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n", "not a picture"),
        ("large.png", huge_png(30_000, 30_000), "at most 100 million"),
        ("wide.png", huge_png(12_000, 10_000), "12000 x 10000 pixels, expected at most 100 million"),
        ("hollow.png", huge_png(100, 100), "damaged or truncated"),
    ],
)
def test_bad_files_are_named_with_the_reason(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PhotographError, match=reason) as caught:
        read_photograph(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_directory_pipe_and_impossible_names(tmp_path: Path) -> None:
    with pytest.raises(PhotographError, match="no such file"):
        read_photograph(tmp_path / "absent.jpg")
    with pytest.raises(PhotographError, match="a directory"):
        read_photograph(tmp_path)
    with pytest.raises(PhotographError):
        read_photograph(str(tmp_path / ("x" * 5000)))
    with pytest.raises(PhotographError):
        read_photograph("null\0byte.jpg")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(PhotographError, match="not a regular file"):
            read_photograph(tmp_path / "pipe.jpg")
    with pytest.raises(PhotographError, match="the given bytes: empty"):
        read_photograph(b"")


@pytest.mark.parametrize("kind", ["portrait", "girl"])
def test_cut_short_anywhere(request: pytest.FixtureRequest, kind: str) -> None:
    content = request.getfixturevalue(kind).read_bytes()
    for part in (0.001, 0.01, 0.3, 0.9):
        with pytest.raises(PhotographError):
            read_photograph(content[: max(1, int(len(content) * part))])


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=40))
def test_damage_never_escapes_as_another_error(place: int, damage: bytes) -> None:
    file = io.BytesIO()
    Image.effect_noise((48, 48), 60).save(file, "PNG")
    content = bytearray(file.getvalue())
    place %= len(content)
    content[place : place + len(damage)] = damage
    with contextlib.suppress(PhotographError):
        assert read_photograph(bytes(content)).dtype == np.uint8


# Geometry


@given(
    st.floats(-3.1, 3.1),
    st.floats(0.05, 20),
    st.floats(-500, 500),
    st.floats(-500, 500),
    st.sampled_from([48, 64, 96, 128]),
)
def test_alignment_undoes_any_similarity(angle: float, scale: float, x: float, y: float, size: int) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = target(size) @ turn.T + [x, y]
    assert np.allclose(apply(alignment(landmarks, size), landmarks), target(size), atol=1e-6)


def test_alignment_is_the_least_squares_similarity() -> None:
    rng = np.random.default_rng(3)
    landmarks = target(64) * 3 + rng.normal(0, 8, (5, 2))
    rows = []  # a x - b y + c = u, b x + a y + d = v
    for x, y in landmarks:
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
    a, b, c, d = np.linalg.lstsq(np.array(rows), target(64).ravel(), rcond=None)[0]
    assert np.allclose(alignment(landmarks, 64), [[a, -b, c], [b, a, d]])


def test_alignment_refuses_impossible_points() -> None:
    for points in (np.zeros((5, 2)), np.full((5, 2), np.nan)):
        with pytest.raises(ValueError, match="distinct, finite"):
            alignment(points, 64)
    with pytest.raises(ValueError, match=r"shape \(5, 2\), got \(68, 2\)"):
        alignment(np.zeros((68, 2)), 64)


def test_margin() -> None:
    assert [margin_size(size) for size in (48, 64, 128)] == [52, 70, 140]
    aligned = np.arange(70 * 70 * 3, dtype=np.uint32).astype(np.uint8).reshape(70, 70, 3)
    assert np.array_equal(centre(aligned, 64), aligned[3:67, 3:67])
    with pytest.raises(ValueError, match="at least 64"):
        centre(aligned[:60, :60], 64)


def test_aligned_pixels_lie_where_the_template_says() -> None:
    photograph = np.zeros((600, 600, 3), dtype=np.uint8)
    landmarks = np.round(TEMPLATE * 300 + [120, 150])
    for x, y in landmarks.astype(int):
        photograph[y - 6 : y + 7, x - 6 : x + 7] = 255
    aligned = align(photograph, landmarks, 64)
    ys, xs = np.mgrid[:70, :70]
    weights = aligned[..., 0].astype(float)
    middle = np.array([(xs * weights).sum(), (ys * weights).sum()]) / weights.sum()
    assert np.allclose(middle, target(64).mean(axis=0), atol=0.1)


def test_shrinking_averages() -> None:
    board = (np.indices((1000, 1000)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    aligned = align(board, TEMPLATE * 900 + 50, 64)
    assert np.abs(aligned.astype(int) - 127).max() < 12  # a single sample per pixel would give 0 and 255


def test_crop_equals_whole_picture_detector(portrait: Path) -> None:
    for pixels in (read_photograph(portrait), read_photograph(portrait)[:, 100:350], np.zeros((1, 1, 3), np.uint8)):
        (face,) = WholePicture()(pixels)
        assert face.box == (0, 0, pixels.shape[1], pixels.shape[0])
        difference = align(pixels, face.landmarks, 64).astype(int) - align_crop(pixels, 64)
        assert np.abs(difference).max() <= 1


def test_crop_is_padded_by_its_edge() -> None:
    crop = np.full((40, 20, 3), 100, np.uint8)
    crop[:, 0], crop[:, -1] = 0, 255
    aligned = align_crop(crop, 64)
    assert aligned.shape == (70, 70, 3)
    assert (aligned[:, :15] == 0).all() and (aligned[:, -15:] == 255).all()
    matrix = crop_alignment(40, 20, 64)
    assert np.allclose(apply(matrix, np.array([[9.5, 19.5]])), 34.5)


# Detection


@pytest.mark.parametrize("name", ["centerface", "blazeface"])
def test_one_face_in_each_example(photos: list[Path], name: str) -> None:
    assert len(photos) == 13
    detector = make_detector(name)
    for path in photos:
        (face,) = detector(read_photograph(path))
        left, top, right, bottom = face.box
        inside = (face.landmarks > [left, top]) & (face.landmarks < [right, bottom])
        assert inside.all(), path
        eyes, mouth = face.landmarks[:2], face.landmarks[3:]
        assert eyes[0, 0] < eyes[1, 0] and mouth[0, 0] < mouth[1, 0] and eyes[:, 1].max() < mouth[:, 1].min()
        matrix = alignment(face.landmarks, 64)
        assert np.abs(apply(matrix, face.landmarks) - target(64)).max() < 4, path
        assert face.mesh is not None and face.mesh.shape == (468, 3)
        assert np.allclose(five_of_mesh(face.mesh), face.landmarks, atol=1e-3)


EYES = {  # the viewer's left and right eye, centres marked by hand in enlarged photographs
    "london_006_neutral.jpg": [(217, 235), (293, 239)],
    "london_107_happiness.jpg": [(212, 263), (297, 259)],
    "london_119_neutral.jpg": [(218, 229), (292, 225)],
    "girl_happiness.png": [(68, 189), (142, 189)],
    "duchenne_man_neutral.png": [(62, 153), (118, 152)],
}


def test_eyes_lie_where_a_person_sees_them(photos: list[Path]) -> None:
    marked = [path for path in photos if path.name in EYES]
    assert len(marked) == len(EYES)
    for path in marked:
        (face,) = make_detector()(read_photograph(path))
        assert np.abs(face.landmarks[:2] - EYES[path.name]).max() < 5, path


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turned_photograph_is_read_like_the_upright_one(photos: list[Path], turn: int) -> None:
    detector = make_detector()
    for path in photos[:5] + photos[5::3]:
        pixels = read_photograph(path)
        (upright,) = detector(pixels)
        turned = np.ascontiguousarray(np.rot90(pixels, turn))
        (face,) = detector(turned)
        difference = align(turned, face.landmarks, 64).astype(int) - align(pixels, upright.landmarks, 64)
        assert np.abs(difference).max() <= 2, path
        height, width = turned.shape[:2]
        left, top, right, bottom = face.box
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        inside = (face.landmarks > [left, top]) & (face.landmarks < [right, bottom])
        assert inside.all(), path
        assert face.mesh is not None and np.allclose(five_of_mesh(face.mesh), face.landmarks, atol=1e-3)


@pytest.mark.parametrize("degrees", [-70, -35, 20, 50, 110, 160])
def test_a_face_at_any_angle(portrait: Path, degrees: float) -> None:
    picture = Image.open(portrait).rotate(-degrees, resample=Image.Resampling.BICUBIC, fillcolor=(128, 128, 128))
    (face,) = make_detector()(np.asarray(picture))
    across = face.landmarks[1] - face.landmarks[0]
    found = np.degrees(np.arctan2(across[1], across[0])) + 4  # the head is tilted by 4 degrees to the other side
    assert abs((found - degrees + 180) % 360 - 180) < 6


def test_one_face_of_two_lies_on_its_side(portrait: Path) -> None:
    upright = read_photograph(portrait)
    first, second = make_detector()(np.hstack([upright, np.rot90(upright)]))
    across = second.landmarks[1] - second.landmarks[0]
    assert first.landmarks[1, 0] - first.landmarks[0, 0] > 50
    assert -across[1] > 50 > abs(across[0])  # anticlockwise: its left eye lies below


def test_thirty_faces_from_left_to_right(photos: list[Path]) -> None:
    tiles = [np.asarray(Image.open(path).convert("RGB").resize((110, 140))) for path in photos[:5] + photos[5:] * 4]
    crowd = np.vstack([np.hstack(tiles[row * 6 : row * 6 + 6]) for row in range(5)])
    found = make_detector()(crowd)
    assert len(found) == 30
    assert [face.box[:2] for face in found] == sorted(face.box[:2] for face in found)
    for face in found:  # each in a tile of its own
        x, y = face.landmarks.mean(axis=0)
        assert 25 < x % 110 < 85 and 40 < y % 140 < 120


def test_no_face_in_plain_noisy_and_degenerate_pictures() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    for pixels in (noise, np.full((300, 400, 3), 127, np.uint8), noise[:1, :1], noise[:1], noise[:, :1], noise[:5, :5]):
        for name in ("centerface", "blazeface"):
            assert make_detector(name)(pixels) == []
        assert make_detector(longest_side=None)(pixels) == []


def test_no_face_where_the_head_is_painted_over(portrait: Path) -> None:
    pixels = read_photograph(portrait).copy()
    pixels[100:430, 130:380] = 128
    assert make_detector(confidence=0.3)(pixels) == []


@pytest.mark.parametrize("side", ["left", "right", "top"])
def test_face_cut_by_the_border(portrait: Path, side: str) -> None:
    pixels = read_photograph(portrait)
    cut = {"left": pixels[:, 240:], "right": pixels[:, :270], "top": pixels[230:]}[side]
    faces = make_detector(confidence=0.3)(np.ascontiguousarray(cut))
    assert side == "top" or len(faces) == 1  # the eyes themselves are cut
    for face in faces:
        left, top, right, bottom = face.box
        assert 0 <= left < right <= cut.shape[1] and 0 <= top < bottom <= cut.shape[0]
        assert np.abs(face.landmarks).max() < 700
        assert align(cut, face.landmarks, 64).shape == (70, 70, 3)


def test_coordinates_follow_the_scaling(portrait: Path) -> None:
    pixels = read_photograph(portrait)
    large = np.asarray(Image.fromarray(pixels).resize((1536, 1536), Image.Resampling.BICUBIC))
    (small_face,), (large_face,) = make_detector()(pixels), make_detector()(large)
    assert np.allclose(large_face.landmarks / 3, small_face.landmarks, atol=1.5)  # 2 % of the distance of the eyes
    assert np.allclose(np.array(large_face.box) / 3, small_face.box, atol=6)


def test_small_faces_need_the_full_resolution(portrait: Path) -> None:
    scene = np.full((1500, 2400, 3), 200, np.uint8)
    tiny = np.asarray(Image.open(portrait).crop((100, 80, 412, 480)).resize((36, 46), Image.Resampling.LANCZOS))
    corners = [(30, 40), (1100, 1240), (1200, 1110), (60, 2340)]  # two of them on the borders of the parts
    for top, left in corners:
        scene[top : top + 46, left : left + 36] = tiny
    assert make_detector()(scene) == []
    found = make_detector(longest_side=None)(scene)
    assert sorted((round(face.box[1] // 20 * 20), round(face.box[0] // 20 * 20)) for face in found) == sorted(
        (top // 20 * 20, left // 20 * 20) for top, left in corners
    )


def test_make_detector(tmp_path: Path) -> None:
    assert isinstance(make_detector("centerface", 320, 0.9), Cascade)
    assert isinstance(make_detector("blazeface"), Cascade)
    assert isinstance(make_detector("none"), WholePicture)
    with pytest.raises(ValueError, match="expected centerface, blazeface, none or the path"):
        make_detector("mtcnn")
    with pytest.raises(ValueError, match="no such detector model"):
        make_detector(tmp_path / "absent.onnx")
    with pytest.raises(ValueError, match="between 0 and 1"):
        make_detector(confidence=60)
    with pytest.raises(ValueError, match="longest side"):
        make_detector(longest_side=0)
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8"):
        make_detector()(np.zeros((10, 10), np.uint8))


def test_detectors_can_be_sent_to_another_process(portrait: Path) -> None:
    pixels = read_photograph(portrait)
    (sent,) = pickle.loads(pickle.dumps(make_detector()))(pixels)
    (kept,) = make_detector()(pixels)
    assert np.array_equal(sent.landmarks, kept.landmarks)


def test_opencv_detector(tmp_path: Path) -> None:
    detector = make_detector(yunet_like(tmp_path / "yunet.onnx"))
    (face,) = detector(np.zeros((320, 320, 3), np.uint8))
    assert np.allclose(face.box, (130, 140, 190, 220), atol=0.1) and face.score == pytest.approx(0.9, abs=1e-3)
    points = np.array([[150, 170], [170, 170], [160, 180], [150, 200], [170, 200]])
    assert np.abs(face.landmarks - points).max() < 2  # moved to where the mesh has these points
    seen = apply(alignment(face.landmarks, 64), points)  # in the aligned face, as by YuNet's own points
    assert np.allclose(seen, apply(yunet_alignment(points), points), atol=0.5)
    (face,) = make_detector(tmp_path / "yunet.onnx", longest_side=320)(np.zeros((640, 640, 3), np.uint8))
    assert np.allclose(face.box, (260, 280, 380, 440), atol=0.2)
    assert make_detector(tmp_path / "yunet.onnx", confidence=0.95)(np.zeros((320, 320, 3), np.uint8)) == []


def yunet_alignment(points: NDArray[Any]) -> NDArray[np.float64]:
    """The alignment of the same face by YuNet's own points and template."""
    return similarity(points.astype(np.float64), YUNET_TEMPLATE * 64 + 3 - 0.5)


def test_foreign_detector_models(tmp_path: Path, model_file: Path) -> None:
    (tmp_path / "text.onnx").write_text("nothing")
    for path in (tmp_path / "text.onnx", model_file):
        with pytest.raises(ValueError, match="cannot use it as a face detector"):
            make_detector(path)
