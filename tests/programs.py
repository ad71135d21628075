"""Programs written and run by hand, for the tests of capture."""

import numpy as np

from tensorgrad.capture.program import (
    Call,
    Constant,
    Live,
    Number,
    Program,
    Result,
    View,
    filled,
    owner,
)


class Writing:
    """Makes calls on arrays, and writes them down: the simplest recorder there is."""

    def __init__(self):
        self.calls = []
        self.held = {}
        self.start = []

    def live(self, array):
        value = Live(array.shape, array.dtype, array.strides, array)
        self.start.append((array, array.copy()))
        self.held[value] = array
        return value

    def constant(self, array):
        value = Constant(array.shape, array.dtype, array.strides, array)
        self.held[value] = array
        return value

    def view(self, value, make):
        base = owner(value)
        whole = make if base is value else lambda a, m=value.make: make(m(a))
        array = make(self.held[value])
        view = View(array.shape, array.dtype, array.strides, base, whole)
        self.held[view] = array
        return view

    def call(self, function, *args, **kwargs):
        """Call a function that returns a new array."""
        given, named = filled((args, kwargs), self.held.__getitem__)
        array = np.asarray(function(*given, **named))
        result = Result(array.shape, array.dtype, array.strides)
        self.held[result] = array
        self.calls.append(Call(function, args, kwargs, (result,)))
        return result

    def write(self, function, target, *args, **kwargs):
        """Call a function that writes to an array."""
        given, named = filled((args, kwargs), self.held.__getitem__)
        function(*given, **named)
        self.calls.append(Call(function, args, kwargs, (), (target,)))

    def number(self, x):
        number = Number()
        self.held[number] = x
        self.calls.append(Call(lambda: x, (), {}, (number,), pure=False))
        return number

    def program(self, *returned):
        return Program([], [], self.calls, list(returned))

    def rewind(self):
        """Give the live arrays back what they held; return what they hold now."""
        now = [array.copy() for array, _ in self.start]
        for array, before in self.start:
            array[...] = before
        return now


def run(program):
    """Make the calls of a program, each value in memory of its own full of ones."""
    held = {}

    def array(value):
        if isinstance(value, View):
            return value.make(array(value.base))
        return value.array if isinstance(value, Live | Constant) else held[value]

    for call in program.calls:
        args, kwargs = filled((call.args, call.kwargs), array)
        if getattr(call.function, "into", False):
            for result in call.results:
                memory = np.full(max(result.nbytes, 1), 255, np.uint8)
                held[result] = np.ndarray(
                    result.shape, result.dtype, memory, strides=result.strides
                )
            call.function(*args, *(held[r] for r in call.results))
        else:
            made = call.function(*args, **kwargs)
            for result in call.results:
                number = isinstance(result, Number)
                held[result] = made if number else np.asarray(made)
    return [np.array(array(value)) for value in program.returned]
