"""Functions whose results are brought into a form that a program can hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from ...core.errors import CaptureError
from ...core.tree import leaves, mapped


@dataclass(frozen=True)
class Plainly:
    """A function whose results are brought into a form that a program can hold.

    Attributes
    ----------
    function : callable
    form : callable
        What is made of its result.
    """

    function: Callable[..., Any]
    form: Callable[[Any], Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the results of the function in that form."""
        return self.form(self.function(*args, **kwargs))

    @property
    def __name__(self) -> str:
        """The name of the function."""
        return getattr(self.function, "__name__", "function")


def plainly(
    function: Callable[..., Any], result: Any, arrays: list[Any]
) -> tuple[Callable[..., Any], Any]:
    """Return a function and its results as one array, or a tuple of several.

    Those of a tuple are all new arrays, or all views of the arguments.
    """
    form = _form(result, arrays)
    return (
        (function, result) if form is None else (Plainly(function, form), form(result))
    )


def _form(result: Any, arrays: list[Any]) -> Callable[[Any], Any] | None:
    if not isinstance(result, tuple | list):
        return None
    items = leaves(result)
    views = [any(np.may_share_memory(x, a) for a in arrays) for x in items]
    if any(views) and not all(views):
        return _copies
    if len(items) == 1 and not any(views):
        return _first if result[0] is items[0] else _only
    nested = isinstance(result, list) or any(
        isinstance(x, tuple | list) for x in result
    )
    return _flat if nested and not any(views) else None


def _copies(result: Any) -> Any:
    return tuple(np.array(x, copy=True, order="K") for x in leaves(result))


_first = itemgetter(0)


def _only(result: Any) -> Any:
    return leaves(result)[0]


def _flat(result: Any) -> Any:
    return tuple(leaves(result))


def _is_array(x: Any) -> bool:
    return type(x) is np.ndarray or isinstance(x, np.generic)


class Steady:
    """A function that looks at values, whose results must keep their shapes.

    Parameters
    ----------
    function : callable
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", "function")
        self.shapes: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns, if its shapes are those of the first call.

        Raises
        ------
        CaptureError
            If they are not.
        """
        result = self.function(*args, **kwargs)
        shapes = result.shape if _is_array(result) else mapped(result, np.shape)
        if self.shapes is None:
            self.shapes = shapes
        elif shapes != self.shapes:
            raise CaptureError(
                f"tg.compile: {self.__name__} gave shape {self.shapes} when the step "
                f"was captured, and gives {shapes} now; choose elements with np.where, "
                "which keeps the shape"
            )
        return result
