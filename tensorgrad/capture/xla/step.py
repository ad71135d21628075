"""A step that XLA does: its state stays on the device between calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...core.foreign import memory_of
from ...core.tensor import Tensor
from ...core.tree import leaves
from ..numpy.prune import array_of
from ..numpy.replay import Replay
from ..program import (
    Array,
    Constant,
    Live,
    Number,
    Program,
    owner,
    without_views,
    written_by,
)
from .functions import float64, jax, jnp
from .lower import Cell, Lowering, Split, cell_key, outer
from .remote import State, state_of


class XLAStep:
    """A program as one function that XLA has compiled.

    Parameters
    ----------
    program : Program
    tensors : sequence of Tensor
        Those from outside that it uses: what they hold may stay on the device.

    Raises
    ------
    CaptureError
        If it cannot be lowered; the message names the call.
    """

    has_kernels = True

    def __init__(self, program: Program, tensors: Sequence[Tensor]) -> None:
        self.program = program
        self.split = split = Split(program)
        host = Program(program.inputs, program.numbers, split.before, split.handed)
        self._host = Replay(without_views(host))
        self._find_state(tensors)
        with float64(True):
            self._run = self._compiled()

    def _find_state(self, tensors: Sequence[Tensor]) -> None:
        """Tell apart what the program writes to, what it reads, and constants."""
        calls, returned = self.split.calls, self.program.returned
        used = [owner(v) for c in calls for v in (*c.reads, *c.writes, *c.results)]
        used = [*dict.fromkeys([*used, *map(owner, returned)])]
        live = [v for v in used if isinstance(v, Live)]
        self._constants = [v for v in used if isinstance(v, Constant)]
        written = {cell_key(v) for v in written_by(self.program)}
        hosts = leaves([c.args for c in self.split.before])
        own = [a for h in hosts for a in getattr(h, "own_arrays", list)()]
        every = {
            cell_key(v): state_of(outer(v.array), tensors, own)
            for v in live
            if not v.scratch
        }
        self._written = [k for k in every if k in written]
        self._read = [k for k in every if k not in written]
        self._states = every
        self._scratch = {cell_key(v): outer(v.array) for v in live if v.scratch}
        for key in every:
            self._scratch.pop(key, None)

    def _compiled(self) -> Callable[..., Any]:
        states = [self._states[k].home for k in self._written]
        data = [self._states[k].home for k in self._read]
        inputs = [_shape_of(v) for v in self.program.inputs]
        handed = [_shape_of(v) for v in self.split.handed]
        numbers = [0.0] * len(self.program.numbers)
        function = jax.jit(self._function, donate_argnums=0)
        examples = [*map(_shape_of, states)], [*map(_shape_of, data)]
        compiled: Callable[..., Any] = function.lower(
            *examples, inputs, handed, numbers
        ).compile()
        return compiled

    def _function(
        self, states: Any, data: Any, inputs: Any, handed: Any, numbers: Any
    ) -> Any:
        """Compute new state and results: what JAX traces."""
        cells: dict[Any, Cell] = {}
        for keys, arrays in ((self._written, states), (self._read, data)):
            for key, array in zip(keys, arrays, strict=True):
                home = self._states[key].home
                cells[key] = Cell(home.shape, home.strides, array)
        for key, home in self._scratch.items():
            zeros = jnp.zeros(home.shape, home.dtype)
            cells[key] = Cell(home.shape, home.strides, zeros)
        known: dict[Any, Any] = dict(zip(self.program.numbers, numbers, strict=True))
        given = [
            *zip(self.program.inputs, inputs, strict=True),
            *zip(self.split.handed, handed, strict=True),
            *((v, jnp.asarray(array_of(v))) for v in self._constants),
        ]
        for value, array in given:
            if isinstance(value, Number):
                known[value] = array
            else:
                cells[value] = Cell(value.shape, value.strides, array)
        lowering = Lowering(cells, known)
        for call in self.split.calls:
            lowering.make(call)
        return (
            [cells[key].array for key in self._written],
            [lowering.read(v) for v in self.program.returned],
        )

    def hold(self) -> None:
        """Let the device have the newest values of all state."""
        with float64(True):
            for state in self._states.values():
                state.leave(_uploaded)

    def __call__(self, arrays: Sequence[Array], numbers: Sequence[float]) -> list[Any]:
        """Do the step; return what it returns.

        Parameters
        ----------
        arrays : sequence of ndarray
            One for each input.
        numbers : sequence of float
            One for each number the step is called with.
        """
        handed = self._host(arrays, numbers)
        self.hold()
        states = [self._states[k] for k in self._written]
        data = [self._states[k] for k in self._read]
        with float64(True):
            new, returned = self._run(
                [s.array for s in states],
                [s.array for s in data],
                list(arrays),
                handed,
                list(numbers),
            )
        for state, array in zip(states, new, strict=True):
            state.array = array
            if state.seen:
                state.come_home()
        for state in data:
            if state.seen:
                state.stay()
        return [np.array(x) for x in returned]


def _shape_of(x: Any) -> Any:
    return (
        0.0 if isinstance(x, Number) else jax.ShapeDtypeStruct(x.shape, x.dtype)
    )


def _uploaded(array: Array) -> Any:
    return jnp.array(array, copy=True)
