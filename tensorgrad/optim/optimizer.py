"""The optimizer: parameters, their state, and a step that updates each in place."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from operator import is_, is_not, length_hint
from typing import Any, Self, overload

import numpy as np

from ..core.elsewhere import check_keywords
from ..core.errors import CaptureError, GraphError
from ..core.foreign import AWAY, HOLDERS, fetch
from ..core.node import root
from ..core.observe import Recorder, current_recorder, host, observers
from ..core.tensor import Tensor, memories
from ..core.tree import leaves
from ..core.writes import record_write, stamp, watched
from .checks import as_parameters, check_parameters, check_saved, check_state
from .joined import joined, share_memory, shared_scratch
from .param_groups import groups_of
from .schedules import Schedule, inverse_time
from .settings import StateDict, at_least_zero

Array = np.ndarray[Any, Any]
Present = tuple[int, ...] | None
"""Which parameters take part in a step, None for all alike."""

Part = tuple[Array, Array, list[Array], list[Array]]
"""Weights, gradients, state and scratch of what is updated at once."""


_DERIVED = ("_scratch", "_joined", "_taken", "_rows", "_arrays", "_memory")
"""Attributes that follow from the parameters and their state."""


class _State:
    """The attribute `state`; whoever asks for it finds the newest values there."""

    @overload
    def __get__(self, optimizer: None, kind: type) -> Self: ...

    @overload
    def __get__(self, optimizer: Optimizer, kind: type) -> list[list[Array]]: ...

    def __get__(self, optimizer: Optimizer | None, kind: type) -> Any:
        if optimizer is None:
            return self
        state = vars(optimizer)["state"]
        if AWAY:
            fetch({id(root(x)) for x in leaves(state)})
        return state

    def __set__(self, optimizer: Optimizer, state: list[list[Array]]) -> None:
        vars(optimizer)["state"] = state


class Optimizer:
    """What the optimizers share: parameters, the rate in force, the step.

    A subclass defines `update`, and says how many arrays of state that needs.

    Parameters
    ----------
    params : iterable of Tensor
        Leaves that need a gradient; or a list of dicts, one for each group of them
        that has settings of its own: ``[{"params": weights, "lr": 0.1}, {"params":
        biases}]`` makes `Groups`.
    lr : float, or callable of the step
        Learning rate, or a schedule that gives it for each step from 0.
    decay : float
        With it, the rate is lr / (1 + decay * step).
    weight_decay : float
        What the parameter adds to its gradient, times this; where weight decay is
        decoupled, what it shrinks by in each step, times this and the rate.
    maximize : bool
        Go up instead of down.

    Attributes
    ----------
    lr : float
        The rate in force: that of the last step, at first the initial one. Assigning
        it sets a new initial rate.
    steps : int
        Steps taken; during an update, with this one: the t of the papers, from 1.
    params : list of Tensor
        May be changed between steps: the state of a parameter goes with it, and that
        of a new one is zero.
    state : list of list of ndarray
        For each parameter its arrays. What is assigned, or written to them, is what
        the next step uses and updates. Small parameters are updated together, which
        is faster, until one of their arrays is replaced: so write to them instead,
        ``optimizer.state[i][j][...] = saved``.
    """

    state = _State()

    buffers = 0
    """Arrays of state for each parameter, zero at first."""

    temporaries = 0
    """Arrays of `scratch` that an update needs."""

    scratch: Sequence[Array] = ()
    """During an update, arrays like the parameter, to be overwritten with anything."""

    numbers: tuple[Any, ...] = ()
    """During an update, the numbers of the step, from `step_numbers`."""

    _set_in_each_step = ("decay", "numbers", "scratch")
    """What a replay need not compare with before: it is read, or set, in each step."""
    decoupled_weight_decay = False
    """Whether weights decay beside the gradient, not in it."""

    def __init_subclass__(cls) -> None:
        _show_signature(cls)

    def __new__(  # noqa: D102
        cls, params: Any = (), *args: Any, **settings: Any
    ) -> Self:
        check_keywords(cls.__name__, settings, inspect.signature(cls).parameters)
        # Or `Groups`, where dicts are given: no subclass, so __init__ is not called.
        groups: Any = groups_of(cls, params, args, settings)
        return groups or super().__new__(cls)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Schedule,
        decay: float = 0.0,
        *,
        weight_decay: float = 0.0,
        maximize: bool = False,
    ) -> None:
        self.params: list[Tensor] = as_parameters(type(self).__name__, params)
        check_parameters(type(self).__name__, self.params)
        self.decay = at_least_zero(self, "decay", decay)
        self.weight_decay = at_least_zero(self, "weight_decay", weight_decay)
        self.maximize = maximize
        self._steps = 0
        self._t: Any = None
        self._shrink: Any = None
        self._late: dict[Tensor, int] = {}
        self.lr = lr
        self.state = [self._fresh(p, []) for p in self.params]
        self._begin()

    def _begin(self) -> None:
        """Compute what depends on the parameters and their state."""
        HOLDERS.add(self)
        self._scratch = shared_scratch(self.params, self._temporaries())
        self._joined = joined(self.params, self.state, self._temporaries())
        self._take()

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to copy or pickle, without views of shared memory."""
        self._note_changes()
        state = vars(self).copy()
        for name in _DERIVED:
            del state[name]
        return state

    def __copy__(self) -> Optimizer:
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __setstate__(self, state: StateDict) -> None:
        vars(self).update(state)
        self._begin()

    @property
    def lr(self) -> float:
        """The rate in force."""
        rate: float = _read(self, "_rate")
        return rate

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        _set_rate(self, lr)

    def _begin_with(self, lr: float | Schedule) -> None:
        rate = lr if callable(lr) else at_least_zero(self, "lr", lr)
        self._initial: float | Schedule = rate
        self._rate = self._rate_now()

    @property
    def steps(self) -> int:
        """Steps taken, with the one that is being taken."""
        steps: int = _read(self, "_steps") if self._t is None else self._t
        return steps

    @property
    def param_groups(self) -> list[Optimizer]:
        """The optimizer itself, for code that goes through groups of parameters."""
        return [self]

    # Of whatever type the attribute is.
    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    # Of whatever type the attribute is.
    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next backward starts afresh."""
        for p in self.params:
            p._grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient, in place.

        The others stay as they are: those that are frozen, with ``requires_grad =
        False``, or that the loss does not depend on.

        Raises
        ------
        GraphError
            If no parameter has a gradient.
        ValueError, TypeError
            If `params` or `state` were assigned what they cannot be.
        """
        self._note_changes()
        gradients = self._gradients()
        absent = sum(map(is_, gradients, repeat(None)))
        if absent == len(gradients):
            raise GraphError(
                f"{type(self).__name__}.step: none of the parameters has a gradient; "
                "call backward() on a loss that depends on them first"
            )
        self._take_step(gradients, absent)

    def _take_step(self, gradients: list[Any], absent: int) -> None:
        """Update the parameters that have a gradient, and count the step."""
        name, present = f"{type(self).__name__}.step", None
        if absent or self._late:
            present = tuple(i for i, g in enumerate(gradients) if g is not None)
            gradients = [gradients[i] for i in present]
        if observers and (recorder := current_recorder()):
            self._record(recorder, memories(gradients), present, name)
            return
        arrays = memories(self.params)
        if any(map(is_not, arrays, self._arrays)):
            self._take_memory(arrays)
        numbers = self._advance(present)
        parts = self._parts(arrays, memories(gradients), present)
        try:
            self._update_all(parts, numbers, present is None)
        finally:
            if present is None:
                stamp(self._memory, name)
            else:
                record_write([arrays[i] for i in present], name)

    def _record(
        self, recorder: Recorder, gradients: list[Array], present: Present, name: str
    ) -> None:
        chosen = range(len(self.params)) if present is None else present
        with recorder.within(name):
            arrays = [self.params[i]._memory() for i in chosen]
            state = [[*map(recorder.array, self.state[i])] for i in chosen]
            scratch = [[*map(recorder.scratch, self._scratch[i])] for i in chosen]
            parts = zip(arrays, gradients, state, scratch, strict=True)
            self._update_all(parts, _advanced(self, present), present is None)
            record_write(arrays, name)

    def _parts(
        self, arrays: list[Array], gradients: list[Array], present: Present
    ) -> Iterator[Part]:
        """Yield what is updated at once: small parameters together, others alone.

        NumPy's calls cost the small ones most.
        """
        if present is not None:
            for i, g in zip(present, gradients, strict=True):
                yield arrays[i], g, self.state[i], self._scratch[i]
            return
        alone: Iterable[int] = range(len(arrays))
        if self._joined is not None:
            alone = self._joined.others
            yield self._joined.gathered(arrays, gradients)
            self._joined.hand_back(arrays)
        for i in alone:
            yield arrays[i], gradients[i], self.state[i], self._scratch[i]

    def _update_all(self, parts: Iterable[Part], numbers: Any, alike: bool) -> None:
        """Update each part with its numbers, the t of the papers among them."""
        changed = self.weight_decay or self.maximize
        try:
            if alike:
                self._t, self._shrink, *rest = numbers
                self.numbers = tuple(rest)
            else:
                parts = self._in_turn(parts, numbers)
            for w, g, state, self.scratch in parts:
                if changed:
                    g = self._changed(w, g)
                self.update(w, g, state)
        finally:
            # What a step leaves is the same after each: a captured one watches it.
            self.numbers = self.scratch = ()
            self._t = self._shrink = None

    def _in_turn(self, parts: Iterable[Part], numbers: Any) -> Iterator[Part]:
        for part, own in zip(parts, numbers, strict=True):
            self._t, self._shrink, *rest = own
            self.numbers = tuple(rest)
            yield part

    def _changed(self, w: Array, g: Array) -> Array:
        """Let the weights decay, and return the gradient to descend along."""
        if self.decoupled_weight_decay and self.weight_decay:
            w *= self._shrink
            if not self.maximize:
                return g
        *self.scratch, changed = self.scratch
        if self.decoupled_weight_decay or not self.weight_decay:
            return np.negative(g, out=changed)
        np.multiply(w, self.weight_decay, out=changed)
        return (np.subtract if self.maximize else np.add)(changed, g, out=changed)

    def _temporaries(self) -> int:
        in_gradient = self.weight_decay and not self.decoupled_weight_decay
        return self.temporaries + bool(self.maximize or in_gradient)

    # Whatever the attributes are.
    def kept(self) -> list[Any]:
        """Return what an optimizer refers to, and nobody takes without asking it.

        Returns
        -------
        list
            Lists, tuples and dicts of arrays.
        """
        return [vars(self).get(name) for name in ("state", *_DERIVED)]

    def _note_changes(self) -> None:
        """Adopt parameters and arrays of state that were replaced."""
        # An iterator would be empty when the step comes.
        self.params, self.state = _as_list(self.params), _as_list(self.state)
        rows = self.state
        sizes = self._count(), self._temporaries()
        now = (*self.params, *rows, *chain.from_iterable(rows), *sizes)
        if len(now) != len(self._taken) or any(map(is_not, now, self._taken)):
            self._align()

    def _align(self) -> None:
        name, rows_of = type(self).__name__, self._rows
        check_parameters(name, self.params, rows_of)
        assigned, late = any(map(is_not, self.state, rows_of.values())), self._late
        if len(self.state) == len(rows_of) and not assigned:
            rows = [self._fresh(p, rows_of.get(p, [])) for p in self.params]
            self.state[:] = rows
            late = late | {p: self._steps for p in self.params if p not in rows_of}
        check_state(name, self.params, self.state, self._count(), rows_of)
        self.state[:] = map(_as_list, self.state)
        self._late = {p: late[p] for p in self.params if late.get(p)}
        self._scratch = shared_scratch(self.params, self._temporaries())
        # Assigned arrays are updated themselves, one by one, not copies of them.
        self._joined = None
        self._take()

    def _take(self) -> None:
        """Note the parameters and their state, to see when they are replaced."""
        arrays = chain.from_iterable(self.state)
        sizes = self._count(), self._temporaries()
        self._taken = (*self.params, *self.state, *arrays, *sizes)
        self._rows = dict(zip(self.params, self.state, strict=True))
        self._take_memory(memories(self.params))

    def _take_memory(self, arrays: list[Array]) -> None:
        self._arrays, self._memory = arrays, watched(arrays)
        if self._joined is not None and share_memory(arrays):
            self._joined = None

    def _count(self) -> int:
        """Return how many arrays of state each parameter needs now."""
        return self.buffers

    def _start(self) -> Sequence[float]:
        """Return what each array of state is filled with at first."""
        return [0.0] * self._count()

    def _fresh(self, p: Tensor, row: list[Array]) -> list[Array]:
        """Return the state of a parameter, with what it lacks as it is at first."""
        row.extend(np.full_like(p._value, x) for x in self._start()[len(row) :])
        return row

    def _advance(self, present: Present) -> Any:
        """Count a step, and return its numbers: for each parameter, if some are late.

        Late by the steps that it took no part in, by which its t lags behind.
        """
        self._rate = self._rate_now()
        self._steps += 1
        if present is None:
            return self._numbers_at(self._steps)
        late, here = self._late, [self.params[i] for i in present]
        absent = {*self.params}.difference(here)
        self._late = late | {p: late.get(p, 0) + 1 for p in absent}
        return [self._numbers_at(self._steps - late.get(p, 0)) for p in here]

    def _numbers_at(self, t: int) -> tuple[Any, ...]:
        self._t = t
        try:
            # Flat, as a replay takes them apart.
            return t, 1 - self._rate * self.weight_decay, *self.step_numbers()
        finally:
            self._t = None

    # Of whatever types `update` reads.
    def step_numbers(self) -> tuple[Any, ...]:
        """Return what `update` finds in `numbers`: here the rate.

        It is called once before each step, and before each replay of a captured one.
        So what differs from step to step belongs here if it uses Python's `math`.

        Returns
        -------
        tuple of float
            Here the rate alone.
        """
        return (self._rate,)

    def _rate_now(self) -> float:
        rate = self._initial
        if self.decay:
            if callable(rate):
                raise ValueError("give either a schedule or decay, not both")
            rate = inverse_time(rate, self.decay)
        if callable(rate):
            rate = rate(self._steps)
        return at_least_zero(self, "the scheduled lr", rate)

    def _gradients(self) -> list[Tensor | None]:
        return [p._grad for p in self.params]

    def update(self, w: Array, g: Array, state: list[Array]) -> None:
        """Write the updated parameter into `w`, and its new state into `state`.

        It reads `lr` and `steps`, or faster `numbers`; with `out=` arrays of `scratch`
        it allocates nothing.

        Parameters
        ----------
        w : ndarray
            The values of a parameter, or of several small ones; overwritten.
        g : ndarray
            The gradient, left as it is.
        state : list of ndarray
            As many arrays as `buffers` says, zero before the first step; overwritten.
        """
        raise NotImplementedError(
            f"{type(self).__name__} defines no update(self, w, g, state)"
        )

    def state_dict(self) -> StateDict:
        """Return a copy of settings, counts and state, to be saved.

        Returns
        -------
        dict
            Of strings, numbers, lists and arrays. A schedule is not part of it.
        """
        self._note_changes()
        rate = {} if callable(self._initial) else {"lr": self._initial}
        return {
            "optimizer": type(self).__name__,
            "settings": self._settings() | rate,
            "rate": self.lr,
            "steps": self.steps,
            "late": [self._late.get(p, 0) for p in self.params],
            "state": [[a.copy() for a in row] for row in self.state],
        }

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Go on from what `state_dict` returned, with the same parameters in order.

        Arrays of state are written to, so that a compiled step sees them. A schedule
        stays: it goes on from the step.

        Parameters
        ----------
        state_dict : dict
            From an optimizer of the same class.

        Raises
        ------
        ValueError
            If it is from another class, or does not fit the parameters.
        """
        self._note_changes()
        check_saved(type(self).__name__, state_dict, self.params)
        settings = dict(state_dict["settings"])
        initial = settings.pop("lr", self._initial)
        for setting, value in settings.items():
            setattr(self, setting, value)
        self._note_changes()
        for ours, theirs in zip(self.state, state_dict["state"], strict=True):
            for a, b in zip(ours, theirs, strict=True):
                a[...] = b
        if not callable(self._initial):
            self._initial = initial
        self._rate, self._steps = state_dict["rate"], state_dict["steps"]
        late = zip(self.params, state_dict["late"], strict=True)
        if (counts := {p: n for p, n in late if n}) != self._late:
            self._late = counts

    def _settings(self) -> dict[str, float]:
        return {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and isinstance(value, bool | int | float)
        }

    def __repr__(self) -> str:
        settings = {"lr": self.lr} | self._settings()
        shown = (f"{name}={value:.4g}" for name, value in settings.items() if value)
        count = length_hint(self.params)
        return f"{type(self).__name__}({', '.join(shown)}) of {count} parameters"


def _show_signature(kind: type[Optimizer]) -> None:
    """Let a class show the signature of its __init__, not that of __new__."""
    arguments = [*inspect.signature(kind.__init__).parameters.values()][1:]
    kind.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]


_show_signature(Optimizer)


@host
def _advanced(optimizer: Optimizer, present: Present) -> Any:
    if present is None and optimizer._late:
        raise CaptureError(
            f"{type(optimizer).__name__}.step: some parameters have taken fewer steps "
            "than others since the step was captured; compile it again"
        )
    return optimizer._advance(present)


@host
def _set_rate(optimizer: Optimizer, lr: float | Schedule) -> None:
    optimizer._begin_with(lr)


@host
def _read(optimizer: Optimizer, name: str) -> Any:
    """Return a number that each step changes."""
    return getattr(optimizer, name)


def _as_list(arrays: Iterable[Any]) -> list[Any]:
    return arrays if isinstance(arrays, list) else list(arrays)
