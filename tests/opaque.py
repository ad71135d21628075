"""An array that answers NumPy's protocols and gives its data to nobody."""

import numpy as np

from tensorgrad.core.duck import DuckArray


class Opaque(DuckArray):
    """Computes as the array it hides, in answer to NumPy's protocols alone."""

    __slots__ = ("_hidden",)

    def __init__(self, array):
        self._hidden = array

    shape = property(lambda self: self._hidden.shape)
    dtype = property(lambda self: self._hidden.dtype)
    strides = property(lambda self: self._hidden.strides)
    flags = property(lambda self: self._hidden.flags)
    scalar = property(lambda self: isinstance(self._hidden, np.generic))

    def call(self, function, args, kwargs):
        args, kwargs = mapped(shown, (args, kwargs))
        name = getattr(function, "__name__", "")
        if getattr(np.ndarray, name, None) is function:
            # Scalars have a method of their own.
            function = getattr(type(args[0]), name)
        return mapped(hidden, function(*args, **kwargs))


def mapped(change, nest):
    """Return tuples, lists, dicts and slices with what `change` makes of each item."""
    if isinstance(nest, tuple) and type(nest) is not tuple:
        return type(nest)(*(mapped(change, item) for item in nest))
    if isinstance(nest, tuple | list):
        return type(nest)(mapped(change, item) for item in nest)
    if isinstance(nest, dict):
        return {name: mapped(change, item) for name, item in nest.items()}
    if isinstance(nest, slice):
        ends = (nest.start, nest.stop, nest.step)
        return slice(*(mapped(change, end) for end in ends))
    return change(nest)


def hidden(x):
    """Return an array as an opaque one, anything else as it is."""
    return Opaque(x) if isinstance(x, np.ndarray | np.generic) else x


def shown(x):
    """Return what an opaque array hides, anything else as it is."""
    return x._hidden if type(x) is Opaque else x
