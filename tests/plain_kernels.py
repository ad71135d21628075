"""Kernels as plain Python: their text and all around it, with nothing to compile."""

import functools
import operator

import numpy as np

from tensorgrad.ops.support import strong


class Plain:
    """What kernels are made of, in Python, on NumPy's scalars."""

    @staticmethod
    def memory(array):
        # One of no axes that NumPy has made a scalar of would be no kernel's argument.
        assert type(array) is np.ndarray
        # From the first element to the last, of a view as well.
        steps = zip(array.shape, array.strides, strict=True)
        end = sum((n - 1) * step for n, step in steps) // array.itemsize
        size = end + 1 if array.size else 0
        return np.lib.stride_tricks.as_strided(array, (size,), (array.itemsize,))

    @classmethod
    def get(cls, array, at):
        return cls.memory(array)[at]

    @classmethod
    def put(cls, array, at, value):
        assert at >= 0
        cls.memory(array)[at] = value

    @staticmethod
    def within(at, size):
        if not -size <= at < size:
            raise IndexError
        return at % size

    @staticmethod
    def fail(status):
        raise {1: IndexError, 2: np.linalg.LinAlgError}[status]

    plus, times = staticmethod(operator.add), staticmethod(operator.mul)
    scaled, divided = staticmethod(strong.scaled), staticmethod(strong.divided)
    hushed = staticmethod(strong.hushed)
    larger, smaller = staticmethod(np.maximum), staticmethod(np.minimum)

    @staticmethod
    def row(size, like):
        return np.full(size, np.nan if like.dtype.kind == "f" else 7, like.dtype)


PLAIN = {name: getattr(Plain, name) for name in dir(Plain) if name[0] != "_"}


class Written:
    """A kernel with its integers that runs as it is written."""

    into = True

    def __init__(self, kernel, *integers, name="kernel", group=()):
        self.kernel, self.group, self.__name__ = kernel, group, name
        self.alone = functools.partial(kernel, *integers)

    def __call__(self, *args):
        self.alone(*args)


def in_python(source):
    """Return what binds a kernel to integers."""
    scope = {**vars(np), **PLAIN}
    exec(source, scope)
    return functools.partial(Written, scope["kernel"])
