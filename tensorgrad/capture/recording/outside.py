"""Arrays that a step uses and that are no arguments: their memory and contents."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.errors import CaptureError
from ...core.place import Place
from ...core.tensor import Tensor
from ..program import Array, layout
from .refusal import Refused
from .traced import Traced
from .views import address


@dataclass(eq=False)
class Outside:
    """An array from outside.

    Attributes
    ----------
    array : ndarray
        Kept alive, so that no other comes to lie where it does.
    checksum : int
        Of what it held when the step first used it.
    place : Place
        The line that did.
    traced : Traced
        What stands for it.
    from_user : bool
        Whether the user's code gave it to the engine, which has not made it itself.
    tensors : list of Tensor
        Whose value it is.
    """

    array: Array
    checksum: int
    place: Place
    traced: Traced
    from_user: bool
    tensors: list[Tensor] = field(default_factory=list)

    def is_at(self, array: Array) -> bool:
        """Whether that array is the same memory."""
        return memory(self.array) == memory(array)

    def check_unwritten(self) -> None:
        """Raise CaptureError where the array was written to unseen since first used."""
        if checksum(self.array) != self.checksum:
            raise CaptureError(
                f"tg.compile: an array of shape {self.array.shape}, used at "
                f"{self.place}, is written to by the step with plain NumPy, which is "
                "not done again when it is replayed; pass it as an argument, or write "
                "to a Tensor inside tg.no_grad()"
            )


def memory(a: Array) -> tuple[Any, ...]:
    """Return a key of the memory of an array, unique among all arrays alive."""
    return address(a), *layout(a)


def checksum(a: Array) -> int:
    """Return a number that changes with the contents of an array."""
    return zlib.crc32(np.ascontiguousarray(a).view(np.uint8).data) if a.size else 0


def differs(array: Array, place: Place, *, in_part: bool) -> CaptureError:
    """Return the error for an array that differs in each call.

    Where it was made in a part of the step that can be recorded as one call, it is.
    """
    kind = Refused if in_part else CaptureError
    return kind(
        f"tg.compile: {place}: an array of shape {array.shape} differs from call to "
        "call, but was not computed from what the step is given, so it would stay as "
        "it is when the step is replayed; pass it as an argument (random numbers: "
        "draw them before the call, or use tg.dropout)"
    )


def plain_array(x: Any) -> Array:
    """Return an array or scalar as an array of NumPy's own class.

    Raises
    ------
    CaptureError
        For a class with arithmetic of its own, as matrices and masked arrays have.
    """
    if isinstance(x, np.ndarray) and type(x) not in (np.ndarray, np.memmap):
        raise CaptureError(
            f"tg.compile: expected arrays of NumPy's own class, got {_class(x)}; "
            "convert with np.asarray, a masked array with .filled(value)"
        )
    return np.asarray(x)


def _class(x: Any) -> str:
    return type(x).__name__
