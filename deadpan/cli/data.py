"""`deadpan data`, `prepare` and `synthesize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from deadpan.cli.app import DONE, PARTLY, complain

SETTINGS = (
    "A setting of the data set's reader, such as --images PreProcess_Img (oulu) or --classes 1=anger 2=fear (folders)."
)

data = App(name="data", help="What is known of the data sets, and whether a copy is whole.")


@data.command(name="list")
def data_list() -> None:
    """List every data set with owner, terms, expressions and where its neutral faces come from."""
    from rich.console import Console

    from deadpan.cli.terminal import print_datasets

    print_datasets(Console())


@data.command(name="check")
def data_check(
    dataset: Annotated[str, Parameter(help="A data set's name, see `deadpan data list`.")],
    root: Annotated[Path, Parameter(help="Where it lies: its folder, or its file.")],
    /,
    *,
    pictures: Annotated[bool, Parameter(help="Open every picture, not only a sample of them.")] = False,
    **settings: Annotated[list[str], Parameter(help=SETTINGS)],
) -> int:
    """Count a copy of a data set, compare it with what is known and say what is left out or occurs twice.

    Exit code 1 where anything differs or needs a look.
    """
    from rich.console import Console

    from deadpan.cli.terminal import print_check
    from deadpan.datasets.check import check

    found = check(dataset, root, pictures=pictures, settings=given(dataset, settings, "pictures"))
    print_check(found, Console())
    for each in found.bad:
        complain(each)
    return DONE if found.whole else PARTLY


def prepare(
    dataset: Annotated[str, Parameter(help="A data set's name, see `deadpan data list`.")],
    root: Annotated[Path, Parameter(help="Where it lies: its folder, or its file.")],
    out: Annotated[Path, Parameter(help="Parquet file to write.")],
    /,
    *,
    image_size: Annotated[int, Parameter(help="Pixels of a side that the network will see.")] = 64,
    detector: Annotated[
        str, Parameter(help="centerface, blazeface, none or the path of a YuNet .onnx file.")
    ] = "centerface",
    workers: Annotated[int | None, Parameter(help="Processes; one per core by default.")] = None,
    alignment: Annotated[
        Literal["mesh", "five"],
        Parameter(help="Points to align by: the face mesh; five for models of version 0.1."),
    ] = "mesh",
    all_frames: Annotated[
        bool, Parameter(help="Take whole sequences, not only first and peak frames (ckplus, oulu, mmi, bu4dfe).")
    ] = False,
    **settings: Annotated[list[str], Parameter(help=SETTINGS)],
) -> int:
    """Detect, align and crop a data set once, into one Parquet file."""
    from deadpan.interruption import telling_what_is_kept
    from deadpan.preparation.parts import progress
    from deadpan.preparation.prepare import prepare as run

    chosen = given(dataset, settings, "image_size", "detector", "workers", "all_frames", "alignment")

    def kept() -> str:
        done, total = progress(out)
        return f"stopped after {done} of {total} pictures; the same command goes on from there" if done else ""

    with telling_what_is_kept(kept):
        report = run(
            dataset,
            root,
            out,
            image_size,
            detector,
            workers,
            all_frames=all_frames,
            alignment=alignment,
            settings=chosen,
        )
    print(report)
    return DONE if report.complete else PARTLY


def given(dataset: str, settings: dict[str, list[str]], *options: str) -> dict[str, str]:
    """The settings of a data set's reader as they were typed; DatasetError for one that it does not have."""
    from deadpan.datasets import DATASETS, settings_of
    from deadpan.datasets.sample import DatasetError

    own = [name for name in (settings_of(dataset) if dataset in DATASETS else settings) if name != "all_frames"]
    for name in settings:
        if name not in own:
            flag, *known = (f"--{each.replace('_', '-')}" for each in (name, *options, *own))
            raise DatasetError(f'Unknown option: "{flag}". Known options with {dataset}: {", ".join(known)}.')
    return {name: " ".join(values) for name, values in settings.items()}


synthesize = App(name="synthesize", help="Draw people, neutral and with each expression, with exact ground truth.")


def add_synthesis() -> None:
    """Give `deadpan synthesize` the fields of its dataclass as flags."""
    from deadpan.interruption import telling_what_is_kept
    from deadpan.synthetic.synthesize import SynthesisConfig, finished
    from deadpan.synthetic.synthesize import synthesize as draw

    def run(out, /, *, config=None):  # type: ignore[no-untyped-def]
        """Draw people into the folder OUT."""
        config = config or SynthesisConfig()

        def kept() -> str:
            done, total = finished(out, config), config.people
            return f"stopped after {done} of {total} people; the same command goes on from there" if done else ""

        with telling_what_is_kept(kept):
            draw(out, config)

    run.__annotations__ = {
        "out": Annotated[Path, Parameter(help="Folder to write.")],
        "config": Annotated[SynthesisConfig | None, Parameter(name="*")],
        "return": None,
    }
    if synthesize.default_command is None:
        synthesize.default(run)
