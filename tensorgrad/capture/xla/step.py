"""A step that XLA does: its state stays on the device between calls."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...core.tensor import Tensor
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
from .cells import Cell, cell_key, outer
from .functions import float64, jax, jnp, native
from .lower import Lowering
from .remote import LOCK, leave, state_of
from .split import Split


class XLAStep:
    """A program as one function that XLA has compiled.

    Parameters
    ----------
    program : Program
    tensors : sequence of Tensor
        Those from outside that it uses: what they hold may stay on the device.
    devices : int, optional
        Over how many a batch is split; state is on each of them.

    Raises
    ------
    CaptureError
        If it cannot be lowered; the message names the call.
    ValueError
        If there are not so many devices.
    """

    has_kernels = True

    def __init__(
        self, program: Program, tensors: Sequence[Tensor], devices: int | None
    ) -> None:
        self.program = program
        self.mesh: Any = None if devices is None else _mesh(devices)
        self.split = split = Split(program)
        host = Program(program.inputs, program.numbers, split.before, split.handed)
        self._host = Replay(without_views(host))
        self._is_first = True
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
        every = {
            cell_key(v): state_of(outer(v.array), tensors)
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
        function = jax.jit(self._function, donate_argnums=0, **self._shardings())
        compiled: Callable[..., Any] = function.lower(*self._shapes()).compile()
        return compiled

    def _shapes(self) -> tuple[list[Any], ...]:
        """Return shapes and dtypes of the arguments of the function."""
        homes = [
            [self._states[k].home for k in keys] for keys in (self._written, self._read)
        ]
        values: list[Any] = [self.program.inputs, self.split.handed]
        values.append(self.program.numbers)
        return tuple([*map(_shape_of, arrays)] for arrays in (*homes, *values))

    def _shardings(self) -> dict[str, Any]:
        """Return where arguments and results are, if there are several devices."""
        if self.mesh is None:
            return {}
        states, data, *batches = self._shapes()
        everywhere = self._sharding(None)
        arguments: list[Any] = [[everywhere] * len(x) for x in (states, data)]
        arguments += [[self._sharding(x) for x in batch] for batch in batches]
        results = [[everywhere] * len(x) for x in (states, self.program.returned)]
        return {"in_shardings": tuple(arguments), "out_shardings": tuple(results)}

    def _sharding(self, x: Any) -> Any:
        """Return whether the rows of an array are split, or all is everywhere."""
        rows = x.shape[0] if getattr(x, "shape", ()) else 0
        split = rows and not rows % self.mesh.size
        spec = jax.sharding.PartitionSpec(*self.mesh.axis_names if split else ())
        return jax.sharding.NamedSharding(self.mesh, spec)

    def _passed(self, x: Any) -> Any:
        """Return an argument as the function takes it."""
        if not hasattr(x, "shape"):
            return float(x)
        x = native(x)
        if self.mesh is None:
            return x
        sharding = self._sharding(x)
        return jax.make_array_from_callback(x.shape, sharding, lambda i: x[i])

    def _uploaded(self, array: Array) -> Any:
        # Not the array itself, to which JAX would refer for a while.
        array = np.array(native(array))
        if self.mesh is None:
            return jnp.array(array, copy=True)
        sharding = self._sharding(None)
        return jax.make_array_from_callback(array.shape, sharding, lambda i: array[i])

    def export(self) -> bytes:
        """Return the function in the format of ``jax.export``, as StableHLO."""
        with float64(True):
            function = jax.jit(self._function)
            exported = jax.export.export(function)(*self._shapes())
            return bytes(exported.serialize())

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
            zeros = jnp.zeros(home.shape, native(home.dtype))
            cells[key] = Cell(home.shape, home.strides, zeros)
        known: dict[Any, Any] = dict(zip(self.program.numbers, numbers, strict=True))
        given = [
            *zip(self.program.inputs, inputs, strict=True),
            *zip(self.split.handed, handed, strict=True),
            *((v, native(v.array)) for v in self._constants),
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

    def __str__(self) -> str:
        before = ", ".join(dict.fromkeys(c.label for c in self.split.before))
        state = sum(self._states[k].home.nbytes for k in self._written)
        where = jax.devices()[0].platform
        count = 1 if self.mesh is None else self.mesh.size
        return (
            f"{self.program}\n\none function of XLA on {count} x {where}, "
            f"{len(self.split.calls)} calls\n  {state:,} bytes of state stay there\n"
            f"  NumPy does before: {before or 'nothing'}"
        )

    @property
    def is_away(self) -> bool:
        """Whether the device has what nobody else may look at."""
        return all(s.array is not None or s.is_seen for s in self._states.values())

    def hold(self) -> None:
        """Let the device have the newest values of all state."""
        if self._is_first and self.mesh is not None and jax.process_count() > 1:
            self._compare_state()
        self._is_first = False
        with float64(True), LOCK:
            leave([*self._states.values()], self._uploaded)

    def _compare_state(self) -> None:
        """Raise where the state of another process differs: no copy would be right."""
        gather = importlib.import_module("jax.experimental.multihost_utils")
        sums = [zlib.crc32(state.home.tobytes()) for state in self._states.values()]
        every = gather.process_allgather(np.array(sums, np.uint32))
        if (every != every[0]).any():
            raise ValueError(
                'tg.compile(target="xla"): the processes begin with different '
                "parameters or other arrays; make them from the same seed in each, or "
                "load the same checkpoint"
            )

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
        with LOCK:
            returned = self._run_with(arrays, handed, numbers)
        kinds = [getattr(v, "dtype", None) for v in self.program.returned]
        values = [x.addressable_data(0) for x in returned]
        return [*map(_copied, values, kinds)]

    def _run_with(
        self, arrays: Sequence[Array], handed: Sequence[Any], numbers: Sequence[float]
    ) -> list[Any]:
        """Do the step with the state on the device; return what it returns there."""
        if any(state.array is None for state in self._states.values()):
            self.hold()
        states = [self._states[k] for k in self._written]
        data = [self._states[k] for k in self._read]
        with float64(True):
            new, returned = self._run(
                [s.array for s in states],
                [s.array for s in data],
                [*map(self._passed, arrays)],
                [*map(self._passed, handed)],
                [*map(float, numbers)],
            )
        # A device may still be reading the caller's arrays.
        jax.block_until_ready((new, returned))
        for state, array in zip(states, new, strict=True):
            state.receive(array)
        for state in data:
            state.settle()
        result: list[Any] = returned
        return result


def _copied(x: Any, dtype: Any) -> Any:
    """Return the values for the caller: without axes as a scalar, as NumPy would."""
    values = np.array(x, dtype)
    return values if x.ndim else values[()]


def _shape_of(x: Any) -> Any:
    return (
        0.0 if isinstance(x, Number) else jax.ShapeDtypeStruct(x.shape, native(x.dtype))
    )


def _mesh(devices: int) -> Any:
    """Return a mesh of one axis, over that many devices."""
    every = jax.devices()
    if not 0 < devices <= len(every):
        raise ValueError(
            f'tg.compile(target="xla"): devices={devices}, but JAX has {len(every)} of '
            "them; on processors XLA_FLAGS=--xla_force_host_platform_device_count=8 "
            "makes 8"
        )
    chosen = every[:devices]
    if len({device.process_index for device in chosen}) < jax.process_count():
        raise ValueError(
            f'tg.compile(target="xla"): devices={devices} leaves out some of '
            f"{jax.process_count()} processes; take all {len(every)} devices, or none"
        )
    return jax.sharding.Mesh(np.array(chosen), ("batch",))
