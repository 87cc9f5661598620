"""One typed door to numba: every inner loop of the drawing code is compiled through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Return `function` compiled to machine code at its first call, the result cached beside its source file.

    No fastmath: it may reorder sums, and pictures must be the same bytes on every worker. The cache knows only
    the function's own file: after a change in another file that it calls into, touch this one or empty __pycache__.
    """
    return cast("Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
