"""Draw the layers of the package from tests/test_layers.py: python -m scripts.draw_layers docs/layers.svg."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.test_layers import LAYERS, LIGHT, PACKAGE

WHAT = {
    "cli": "one command, one function",
    "report": "figures → page, tables",
    "comparison": "answers → figures, tests",
    "release": "run → ONNX file, card",
    "evaluation": "protocol → folds → answers",
    "training": "batches → run folder",
    "metrics": "figures of one model",
    "loading": "file → pairs → batches",
    "preparation": "samples → Parquet file",
    "server": "predict over HTTP",
    "prediction": "aligned face → expression",
    "datasets": "one file, one data set",
    "methods": "one file, one paper",
    "video": "faces over time",
    "faces": "photograph → aligned face",
    "models": "the released ONNX files",
    "synthetic": "renders synthetic people",
    "method": "the interface of a method",
    "expressions": "vocabulary",
    "errors": "DeadpanError",
    "arrow": "Parquet, s3://",
    "files": "atomic writing",
    "outputs": "nothing is replaced by mistake",
    "interruption": "Ctrl-C and SIGTERM",
    "settings": "ranges of settings",
    "printable": "text for a terminal",
    "pixels": "conversions",
    "jobs": "processes, Ray",
    "onnx_runtime": "runs models",
    "version": "__version__",
}
WIDTH, HEIGHT, GAP, LEFT = 760, 46, 10, 40

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" font-family="sans-serif">
<title>The layers of deadpan: every import goes down</title>
<rect width="100%" height="100%" rx="8" fill="#ffffff"/>
<path d="M20 {top} V{bottom} m-5 -9 l5 9 l5 -9" fill="none" stroke="#78808a" stroke-width="1.5"/>
<text x="14" y="{middle}" transform="rotate(-90 14 {middle})" text-anchor="middle" font-size="11" fill="#5b626b">\
imports go down</text>
"""

BOX = """<g><rect x="{x:.1f}" y="{y}" width="{w:.1f}" height="{h}" rx="5" fill="{fill}" stroke="{line}"/>
<text x="{c:.1f}" y="{name_y}" text-anchor="middle" font-size="14" fill="#20242c">{name}</text>
<text x="{c:.1f}" y="{what_y}" text-anchor="middle" font-size="11" fill="#5b626b">{what}</text></g>
"""

KEY = """<rect x="{x}" y="{y}" width="14" height="14" rx="3" fill="{fill}" stroke="{line}"/>
<text x="{text_x}" y="{text_y}" font-size="12" fill="#20242c">{text}</text>
"""

LIGHT_FILL, HEAVY_FILL = ("#e4eefb", "#8fb1dc"), ("#fbe9e1", "#dfa88f")


def draw() -> str:
    """Draw the picture as SVG: one row for each layer, the highest first."""
    rows = [[name for name in layer if exists(name)] for layer in reversed(LAYERS)]
    bottom = len(rows) * (HEIGHT + GAP)
    parts = [HEAD.format(width=WIDTH, height=bottom + 44, top=12, bottom=bottom, middle=bottom // 2)]
    for row, names in enumerate(rows):
        width = (WIDTH - LEFT - GAP - (len(names) - 1) * GAP) / len(names)
        for column, name in enumerate(names):
            x, y = LEFT + column * (width + GAP), GAP + row * (HEIGHT + GAP)
            fill, line = LIGHT_FILL if name in LIGHT else HEAVY_FILL
            place = {"x": x, "y": y, "w": width, "h": HEIGHT, "c": x + width / 2, "name_y": y + 20, "what_y": y + 37}
            parts.append(BOX.format(fill=fill, line=line, name=name, what=WHAT[name], **place))
    y = bottom + 18
    for x, (fill, line), text in (
        (LEFT, LIGHT_FILL, "in the light install, loads no torch"),
        (LEFT + 280, HEAVY_FILL, "may need deadpan[train]"),
    ):
        parts.append(KEY.format(x=x, y=y, fill=fill, line=line, text=text, text_x=x + 22, text_y=y + 12))
    return "".join(parts) + "</svg>\n"


def exists(name: str) -> bool:
    """Whether a module or folder that tests/test_layers.py lists exists."""
    return (PACKAGE / name / "__init__.py").is_file() or (PACKAGE / f"{name}.py").is_file()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(), encoding="utf-8")
