"""``tg.compile``: a training step that is recorded twice and replayed from then on."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MethodType
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Self,
    TypeVar,
    overload,
)

from ..core.errors import CaptureError
from ..core.mode import is_grad_enabled
from ..core.observe import current_observers, current_recorder, observers
from ..core.tensor import Tensor
from ..core.writes import is_stamped
from ..files import replacement
from .capture import Capture
from .profile import Profile, measured
from .program import Program
from .recording.signature import FlatArguments

P = ParamSpec("P")
Q = ParamSpec("Q")
R_co = TypeVar("R_co", covariant=True)
X = TypeVar("X")

_MANY = 100
"""Signatures of one step: who needs more passes something that should be an array."""


class Compiled(Generic[P, R_co]):
    """A step that is replayed.

    Made by :func:`compile`; see there.
    """

    def __init__(
        self,
        step: Callable[P, R_co],
        check: bool,
        fused: bool | None,
        target: str | None,
        devices: int | None,
    ) -> None:
        functools.update_wrapper(self, step)
        self.step = step
        self.check = check
        self.fused = fused
        self.target = target
        self.devices = devices
        self.own: dict[int, Tensor] = {}
        self._first: dict[Any, list[Tensor]] = {}
        self._captures: dict[Any, Capture] = {}
        self._lock = threading.RLock()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Do the step."""
        if observers and (current_recorder() or current_observers()):
            return self.step(*args, **kwargs)
        with self._lock:
            flat = self._flatten(args, kwargs)
            key = is_grad_enabled(), flat.key
            capture = self._captures.get(key)
            if capture is None:
                capture = self._captures[key] = self._new()
            result: R_co = capture(args, kwargs, flat)
            return result

    def _flatten(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> FlatArguments:
        flat = FlatArguments(args, kwargs, self.own)
        if flat.leaves:
            # They may be parameters, of an optimizer say. Where others come next and
            # the first were not written to, they are data.
            first = self._first.setdefault(flat.key, flat.leaves)
            if first is flat.leaves or any(is_stamped(x._memory()) for x in first):
                self.own.update((id(x), x) for x in flat.leaves)
                flat = FlatArguments(args, kwargs, self.own)
        return flat

    def _new(self) -> Capture:
        if len(self._captures) == _MANY:
            raise CaptureError(
                f"tg.compile: the step was called with {_MANY} different signatures; "
                "pass integers that change as floats or arrays"
            )
        return Capture(self)

    @overload
    def __get__(self, instance: None, kind: type) -> Self: ...

    # A bound method, which has the attributes of its function too.
    @overload
    def __get__(
        self: Compiled[Concatenate[X, Q], R_co], instance: X, kind: type | None = None
    ) -> Compiled[Q, R_co]: ...

    def __get__(self, instance: object, kind: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        replayed = sum(c.replay is not None for c in self._captures.values())
        name = getattr(self, "__qualname__", type(self.step).__name__)
        return (
            f"<compiled step {name}, {replayed} of {len(self._captures)} signatures "
            "replayed; print its plan>"
        )

    @property
    def plan(self) -> str:
        """What is replayed, to be printed."""
        from .numpy.plan import plan_text

        ready = self._ready()
        if not ready:
            return "nothing captured yet: the first two calls of a signature record it"
        show = plan_text if self.target is None else str
        return "\n\n\n".join(
            "\n\n".join(filter(None, (show(c.replay), c.outlook, f"{c.watch}")))
            for c in ready
        )

    def profile(self, *args: Any, calls: int = 20, **kwargs: Any) -> Profile:
        """Do the step several times, and return where its time goes.

        The step is really done, `calls` times and up to four times before that: what it
        writes to, parameters and an optimizer's state, changes as in as many calls.

        Parameters
        ----------
        *args, **kwargs
            What the step is called with.
        calls : int
            How many steps are timed; the faster half of them counts.

        Returns
        -------
        Profile
            A row for each kernel and NumPy call of a line, and for what is done before
            and after these. With a target, one for the step as a whole.

        Raises
        ------
        ValueError
            If `calls` is no positive integer.
        CaptureError
            If the step is not replayed: within ``tg.debug()``, or where each call is
            recorded anew.

        Notes
        -----
        Each call takes some 50 ns longer than otherwise, for the clock, and a kernel
        0.2 us, as it is called alone and not with those after it. A profile of a
        method is ``Class.step.profile(object, x)``.
        """
        if type(calls) is not int or calls < 1:
            raise ValueError(
                f"profile: expected calls to be a positive integer, got {calls!r}; it "
                "says how many steps are timed"
            )
        with self._lock:
            replay = self._warm(args, kwargs)
            clock = None if self.target else replay.clocked
            call = partial(self, *args, **kwargs)
            return measured(call, replay.program, clock, calls)

    def _warm(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do the step until it is replayed, and once more; return the replay."""
        for _ in range(3):
            self(*args, **kwargs)
            flat = self._flatten(args, kwargs)
            capture = self._captures.get((is_grad_enabled(), flat.key))
            if capture is not None and capture.replay is not None:
                capture.compile_kernels()
                self(*args, **kwargs)
                return capture.choice(flat)
        raise CaptureError(
            "profile: expected a step that is replayed from its third call, got one "
            "that is not; call it outside of tg.debug(), tg.watching() and other "
            "compiled steps, with arguments of the same shapes"
        )

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write the last step that was captured to a file, as StableHLO.

        Parameters
        ----------
        path : str or path
            By custom ending in ``.stablehlo``; ``jax.export.deserialize`` reads it.

        Raises
        ------
        CaptureError
            If nothing was captured yet, or the step has no target.
        """
        ready = self._ready()
        if not ready or self.target is None:
            raise CaptureError(
                'export: expected a step compiled with target="xla" and called twice, '
                f"got {self!r}"
            )
        with replacement(Path(path)) as file:
            file.write(ready[-1].replay.export())

    @property
    def programs(self) -> list[Program]:
        """What the step computes: a Program for each signature that is captured."""
        return [capture.program for capture in self._ready()]

    def _ready(self) -> list[Capture]:
        return [c for c in self._captures.values() if c.replay is not None]


@overload
def compile(
    step: Callable[P, R_co],
    *,
    check: bool = False,
    fused: bool | None = None,
    target: Literal["xla"] | None = None,
    devices: int | None = None,
) -> Compiled[P, R_co]: ...


@overload
def compile(
    *,
    check: bool = False,
    fused: bool | None = None,
    target: Literal["xla"] | None = None,
    devices: int | None = None,
) -> Callable[[Callable[P, R_co]], Compiled[P, R_co]]: ...


def compile(
    step: Callable[..., Any] | None = None,
    *,
    check: bool = False,
    fused: bool | None = None,
    target: Literal["xla"] | None = None,
    devices: int | None = None,
) -> Any:
    """Record a training step, and replay it: the same numbers in less time.

    The first two calls do the step as it is and write down what NumPy is asked for:
    forward, backward, the optimizer's update. From the third on these calls are made
    again, into buffers that are kept, without those whose results nobody reads. What
    differs from call to call must be visible: arrays, tensors and floats among the
    arguments, parameters, arrays the step closes over (they are read where they are),
    rates of optimizers and their schedules, the random numbers of ``tg.dropout``.

    Parameters
    ----------
    step : callable
        Takes arrays, tensors, numbers, and tuples, lists, dicts and objects that hold
        only these; returns the like. Floats may change from call to call. For other
        shapes, dtypes, parameters, or values of integers, flags and strings it is
        recorded anew; all plans are kept. It computes the same operations each time,
        and calls ``zero_grad`` itself.
    check : bool
        Do each step in eager mode as well, from the same state, and raise where the
        two differ.
    fused : bool, optional
        Join elementwise calls in kernels compiled by LLVM, which the extra "fast"
        installs: results may differ from eager's by rounding. Without it NumPy makes
        the calls, and the bits are those of eager. By default, if llvmlite is there
        and can be used; a program of more than 20,000 calls, whose kernels take many
        seconds, gets them after 100 replays, and the plan says so.
    target : {"xla"}, optional
        Have XLA, through JAX (the extra "xla"), compile the whole step for whatever
        device there is. The state that it writes to, parameters and an optimizer's,
        stays on the device until somebody looks. Results differ by rounding.
    devices : int, optional
        With a target, over how many devices the rows of the arguments are split, where
        these divide them; the result is that of one device.

    Returns
    -------
    callable
        The captured step; print its ``plan`` to see what a replay does. What it
        returns is the caller's own, and constant: no gradient flows through it.
        Gradients stay inside: ``grad`` of parameters is None afterwards, and a step
        that needs them outside returns them. Within ``tg.debug()`` and
        ``tg.watching()`` the step runs as it is.

    Raises
    ------
    CaptureError
        If a replay would not do what the step does: it reads values in Python
        (``loss.item()``, ``if x > 0``), computes otherwise in the second call than in
        the first, counts in Python, adds to gradients of before, or refers to
        something that was replaced since. The message names the line and the remedy.

    Notes
    -----
    All that Python reads in the step is compared before each replay: variables,
    attributes, items, defaults, hooks; the plan tells at what cost. Plain NumPy on
    arrays from outside is computed once, and again when these change.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.SGD([w], lr=0.1, decay=0.01)
    >>> @tg.compile
    ... def step(x):
    ...     loss = np.sum((w * x) ** 2)
    ...     optimizer.zero_grad()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> [round(step(np.ones(2)).item(), 3) for _ in range(4)]
    [5.0, 3.2, 2.058, 1.33]
    """
    if step is None:
        return partial(
            compile, check=check, fused=fused, target=target, devices=devices
        )
    if target not in (None, "xla") or (devices and not target) or (target and fused):
        raise ValueError(
            'tg.compile: expected target="xla" or none, devices with a target and '
            f"fused without, got {target=}, {devices=}, {fused=}"
        )
    return Compiled(step, check, fused, target, devices)
