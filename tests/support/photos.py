"""Where the example photographs lie."""

from pathlib import Path

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
