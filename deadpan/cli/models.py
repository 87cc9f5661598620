"""`deadpan models`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from deadpan.cli.app import DONE, FAILED, complain
from deadpan.printable import printable


def models(
    name: Annotated[str | None, Parameter(help="Print the card of this model.")] = None,
    /,
    *,
    check: Annotated[
        bool, Parameter(help="Compare all network files of deadpan with the SHA-256 that their cards record.")
    ] = False,
) -> int:
    """List the released models, or print the card of one model."""
    if check:
        if name is not None:
            raise ValueError(f"--check checks all files of deadpan: leave out {name}")
        return check_files()
    from rich.console import Console

    from deadpan.cli.terminal import print_card, print_models

    if name is None:
        print_models(Console())
    else:
        print_card(name, Console())
    return DONE


def check_files() -> int:
    """Print the state of each released model and face network; FAILED if one is damaged or missing."""
    from deadpan.faces.networks import ASSETS
    from deadpan.models import FOLDER, check_networks

    troubles = 0
    for kind, folder in (("model", FOLDER), ("face network", ASSETS)):
        for each in check_networks(folder):
            state = "DAMAGED" if each.trouble else "intact" if each.is_recorded else "no SHA-256 is recorded"
            print(printable(f"{kind} {each.path.stem}: {state}"))
            if each.trouble:
                troubles += 1
                complain(each.trouble)
    if troubles:
        complain(f"{troubles} network files are damaged or missing; reinstall deadpan")
    return FAILED if troubles else DONE
