"""Where the example photographs lie."""

from pathlib import Path

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"

VIDEOS = Path(__file__).parents[1] / "data" / "videos"
"""Small videos whose frames carry their numbers; see the README beside them."""
