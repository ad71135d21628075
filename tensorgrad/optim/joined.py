"""Small parameters that are updated as one array, which costs fewer calls."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..core.writes import addresses

Array = np.ndarray[Any, Any]

_SMALL = 2048
"""Elements up to which copying a parameter costs less than a call of its own."""

_MANY = 6
"""Small parameters from which on joining them pays."""


class Joined:
    """The small parameters of one dtype, updated as one.

    Parameters
    ----------
    members : list of int
        Their positions among the parameters.
    params : list of Tensor
    state : list of list of ndarray
        Copied, for the members, into views of state that they share.
    scratch : int
        Arrays an update may overwrite.

    Attributes
    ----------
    others : list of int
        Positions of the parameters that are updated alone.
    """

    def __init__(
        self,
        members: list[int],
        params: list[Tensor],
        state: list[list[Array]],
        scratch: int,
    ) -> None:
        self.members = members
        self.others = [i for i in range(len(params)) if i not in set(members)]
        ends = np.cumsum([params[i].size for i in members])
        dtype = params[members[0]].dtype
        rows = np.zeros((2 + scratch + len(state[0]), ends[-1]), dtype)
        self.w, self.g, *rest = rows
        self.scratch, self.state = rest[:scratch], rest[scratch:]
        self.pieces = []
        for i, end in zip(members, ends, strict=True):
            part, shape = slice(end - params[i].size, end), params[i].shape
            pieces = [row[part].reshape(shape) for row in self.state]
            for piece, old in zip(pieces, state[i], strict=True):
                piece[...] = old
            state[i][:] = pieces
            self.pieces.append(self.w[part].reshape(shape))

    def gathered(
        self, arrays: list[Array], gradients: list[Array]
    ) -> tuple[Array, Array, list[Array], list[Array]]:
        """Return weights, gradients, state and scratch as one array each."""
        np.concatenate([arrays[i] for i in self.members], axis=None, out=self.w)
        np.concatenate([gradients[i] for i in self.members], axis=None, out=self.g)
        return self.w, self.g, self.state, self.scratch

    def hand_back(self, arrays: list[Array]) -> None:
        """Write the updated weights to where they belong."""
        for i, piece in zip(self.members, self.pieces, strict=True):
            np.copyto(arrays[i], piece)


def joined(
    params: list[Tensor], state: list[list[Array]], scratch: int
) -> Joined | None:
    """Return the small parameters of the first such dtype, None where they are few."""
    small = [i for i, p in enumerate(params) if p.size <= _SMALL]
    same = [i for i in small if params[i].dtype == params[small[0]].dtype]
    return Joined(same, params, state, scratch) if len(same) >= _MANY else None


def share_memory(arrays: list[Array]) -> bool:
    """Whether some arrays lie in the same memory, or may: between each other's ends."""
    ranges = sorted(map(addresses, arrays))
    return any(start < end for (_, end), (start, _) in pairwise(ranges))


def shared_scratch(params: list[Tensor], count: int) -> list[list[Array]]:
    """Return scratch arrays of each parameter's shape, all in the same memory."""
    size = max(p.size for p in params)
    rows = {p.dtype: np.empty((count, size), dtype=p.dtype) for p in params}
    return [[row[: p.size].reshape(p.shape) for row in rows[p.dtype]] for p in params]
