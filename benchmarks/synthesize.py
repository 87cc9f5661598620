"""Measures how fast synthetic people are rendered: pictures per second on one core, after compiling."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2

from deadpan.synthetic.expression import expression_weights, for_head
from deadpan.synthetic.figure import make_figure
from deadpan.synthetic.render import Studio, sample_scene


def main() -> None:
    """Render people and print the time of each part."""
    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--head", default="makehuman", choices=("makehuman", "ict"))
    parser.add_argument("--assets", type=Path, default=None, help="the converted file, for --head ict")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--pictures", type=int, default=16, help="pairs of picture and twin per person")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    Studio(make_figure(arguments.head, 0, arguments.assets), sample_scene(0), arguments.size).picture({})  # compiles
    weights = for_head(arguments.head, expression_weights("happiness", 1.0, np.random.default_rng(0)))
    made = drawn = 0.0
    for person in range(arguments.people):
        start = time.process_time()
        figure = make_figure(arguments.head, person, arguments.assets)
        middle = time.process_time()
        for picture in range(arguments.pictures):
            studio = Studio(figure, sample_scene(1000 * person + picture), arguments.size)
            studio.picture({})
            studio.picture(weights)
        made, drawn = made + middle - start, drawn + time.process_time() - middle
    count = 2 * arguments.people * arguments.pictures
    print(f"{arguments.head}, {arguments.size} px, one core: {count / (made + drawn):.0f} pictures/s")
    print(f"  a person takes {1e3 * made / arguments.people:.0f} ms once, a picture {1e3 * drawn / count:.1f} ms")


if __name__ == "__main__":
    main()
