"""Tiles: how many rows of a product, and how wide, this processor does best."""

from __future__ import annotations

import functools
from typing import NamedTuple

from ..kernels.compile import installed


class Registers(NamedTuple):
    """How a tile fills the registers of a processor: rows, and bytes of a vector."""

    rows: int
    vector: int


@functools.cache
def registers() -> Registers | None:
    """Return the tile for this processor, None where none is faster than BLAS."""
    if not installed():
        return None
    from ..kernels.machine import features

    has = features()
    if has.get("avx512f"):
        return Registers(8, 64)
    if has.get("avx2") and has.get("fma"):
        return Registers(6, 32)
    return None
