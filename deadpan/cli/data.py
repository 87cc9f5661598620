"""`deadpan data`, `prepare` and `synthesize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from deadpan.cli.app import DONE, PARTLY, complain

SETTINGS = (
    "A setting of the data set's reader, such as --images PreProcess_Img (oulu) or --classes 1=anger 2=fear (folders)."
)

data = App(name="data", help="List the known data sets, or check whether a copy of one is complete.")


@data.command(name="list")
def data_list() -> None:
    """List all data sets with their expressions, the source of their neutral faces and their terms of use."""
    from rich.console import Console

    from deadpan.cli.terminal import print_datasets

    print_datasets(Console())


@data.command(name="check")
def data_check(
    dataset: Annotated[str, Parameter(help="A data set's name, see `deadpan data list`.")],
    root: Annotated[Path, Parameter(help="Folder or file of the data set.")],
    /,
    *,
    pictures: Annotated[bool, Parameter(help="Open every picture, not only a sample of them.")] = False,
    **settings: Annotated[list[str], Parameter(help=SETTINGS)],
) -> int:
    """Check a copy of a data set: compare its counts with the published ones, and list omitted or repeated pictures.

    The exit code is 1 if a count differs or a finding needs attention.
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
    root: Annotated[Path, Parameter(help="Folder or file of the data set.")],
    out: Annotated[Path, Parameter(help="Parquet file to write.")],
    /,
    *,
    image_size: Annotated[int, Parameter(help="Side in pixels of the network's input.")] = 64,
    detector: Annotated[
        str, Parameter(help="centerface, blazeface, none or the path of a YuNet .onnx file.")
    ] = "centerface",
    workers: Annotated[int | None, Parameter(help="Processes; one per core by default.")] = None,
    alignment: Annotated[
        Literal["mesh", "five"],
        Parameter(help="Landmarks used for alignment: the face mesh, or five as in version 0.1."),
    ] = "mesh",
    all_frames: Annotated[
        bool, Parameter(help="Use all frames of a sequence, not only first and peak ones (ckplus, oulu, mmi, bu4dfe).")
    ] = False,
    **settings: Annotated[list[str], Parameter(help=SETTINGS)],
) -> int:
    """Detect, align and crop the faces of a data set, and write them to one Parquet file."""
    from deadpan.interruption import telling_what_is_kept
    from deadpan.preparation.parts import progress
    from deadpan.preparation.prepare import prepare as run

    chosen = given(dataset, settings, "image_size", "detector", "workers", "all_frames", "alignment")

    def kept() -> str:
        done, total = progress(out)
        return f"stopped after {done} of {total} pictures; run the same command again to continue" if done else ""

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
    """Check the settings of a data set's reader and join their values; DatasetError for an unknown setting.

    `options` are the names of the command's own options, which the error lists as well.
    """
    from deadpan.datasets import DATASETS, settings_of
    from deadpan.datasets.sample import DatasetError

    own = [name for name in (settings_of(dataset) if dataset in DATASETS else settings) if name != "all_frames"]
    for name in settings:
        if name not in own:
            flag, *known = (f"--{each.replace('_', '-')}" for each in (name, *options, *own))
            raise DatasetError(f'Unknown option: "{flag}". Known options with {dataset}: {", ".join(known)}.')
    return {name: " ".join(values) for name, values in settings.items()}


def compose(
    neutral: Annotated[str, Parameter(help="Prepared file, or FILE@SPLIT, whose neutral faces are used.")],
    expressive: Annotated[str, Parameter(help="Prepared file, or FILE@SPLIT, whose expressions are used.")],
    out: Annotated[Path, Parameter(help="Prepared file to write.")],
    /,
    *,
    more: Annotated[list[str] | None, Parameter(help="Further prepared files whose expressions are used.")] = None,
    pairs: Annotated[int, Parameter(help="Number of pairs to compose.")] = 20_000,
    image_size: Annotated[
        int | None, Parameter(help="Side in pixels of the network's input; that of the files by default.")
    ] = None,
    seed: Annotated[int, Parameter(help="Seed of the random choices; another seed gives other pairs.")] = 0,
    workers: Annotated[int | None, Parameter(help="Processes; one per core by default.")] = None,
) -> None:
    """Compose pairs from photographs: put expressions of some people on neutral photographs of others."""
    from deadpan.preparation.compose import compose as run

    print(run(neutral, [expressive, *(more or ())], out, pairs, image_size, seed, workers))


synthesize = App(name="synthesize", help="Render synthetic people, neutral and with each expression, with true labels.")


def add_synthesis() -> None:
    """Add the fields of SynthesisConfig to `deadpan synthesize` as flags."""
    from deadpan.interruption import telling_what_is_kept
    from deadpan.synthetic.synthesize import SynthesisConfig, finished
    from deadpan.synthetic.synthesize import synthesize as draw

    def run(out, /, *, config=None):  # type: ignore[no-untyped-def]
        """Render synthetic people into the folder OUT."""
        config = config or SynthesisConfig()

        def kept() -> str:
            done, total = finished(out, config), config.people
            return f"stopped after {done} of {total} people; run the same command again to continue" if done else ""

        with telling_what_is_kept(kept):
            draw(out, config)

    run.__annotations__ = {
        "out": Annotated[Path, Parameter(help="Folder to write.")],
        "config": Annotated[SynthesisConfig | None, Parameter(name="*")],
        "return": None,
    }
    if synthesize.default_command is None:
        synthesize.default(run)
