"""A typed wrapper around numba's compiler; every inner loop of the renderer is compiled through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Return `function` compiled to machine code at its first call; numba caches the result beside the source file.

    `fastmath` stays off: it may reorder sums, and every worker must produce the same bytes. The cache notices changes
    of the function's own file only. After a change in another file that the function calls, save this file again or
    empty __pycache__.
    """
    return cast("Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
