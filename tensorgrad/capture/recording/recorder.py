"""The recorder: makes the calls of a step, and records them as a program."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...core.draws import Draws
from ...core.errors import CaptureError
from ...core.foreign import DISPATCHED, KINDS
from ...core.mode import is_grad_enabled
from ...core.observe import recorded_by
from ...core.place import Place, user_place
from ...core.primitive import Primitive
from ...core.tensor import Tensor, wrap
from ...core.tree import leaves, mapped, refilled
from ...facts import facts_of
from ..program import (
    Array,
    Call,
    Constant,
    Input,
    Live,
    Number,
    Program,
    Result,
    Value,
    View,
    layout,
    owner,
)
from .outside import Outside, checksum, differs, memory, plain_array
from .questions import of_scalars, written_arguments
from .reads import unnoted
from .refusal import Refused, refusal, refusal_in
from .structure import Steady, plainly
from .traced import Traced, TracedNumber
from .twins import twin
from .views import Layout

Function = Callable[..., Any]


class Recorder:
    """Makes and records the calls of a step.

    Parameters
    ----------
    before : Recorder, optional
        That of an earlier call of the step: arrays from outside that lie where they
        lay then are live, others that hold the same are constant, and what differs is
        refused.
    draws : Draws, optional
        Generators of random numbers, which host calls may draw from.

    Attributes
    ----------
    program : Program
    outside : list of Outside
        Arrays the step was not given, in the order of their first use.
    received : dict
        Tensors from outside that a backward pass gave a gradient, under their ids.
    """

    def __init__(
        self, before: Recorder | None = None, draws: Draws | None = None
    ) -> None:
        self.draws = draws or Draws()
        self.program = Program([], [], [], [])
        self.outside: list[Outside] = []
        self.received: dict[int, Tensor] = {}
        self.closed = False
        self._origin = ""
        self._before = before
        self._known: dict[Any, Outside] = {}
        self._twins: dict[Primitive, Primitive] = {}
        self._mark: int | None = None
        self._made: list[weakref.ref[Traced]] = []

    @property
    def writer(self) -> Recorder:
        """The recorder that writes calls down."""
        return self

    # What the step is given.

    def input(self, argument: Any) -> Traced:
        """Return the traced value of an array argument."""
        array = plain_array(argument)
        value = Input(*layout(array), position=len(self.program.inputs))
        self.program.inputs.append(value)
        return Traced(self, array, value, argument is not array, array)

    def number(self, argument: float) -> TracedNumber:
        """Return the traced value of a number argument."""
        value = Number(f"argument {len(self.program.numbers)}")
        self.program.numbers.append(value)
        return TracedNumber(self, argument, value)

    # What it takes from outside.

    def adopted(self, x: Any) -> Any:
        """Return the traced value of an array from outside; anything else as it is."""
        if type(x) is np.ndarray:
            return self._outside(x).traced
        if type(x) is Tensor:
            if x.node is not None and is_grad_enabled():
                # Not an operand of the engine's: the error of eager mode.
                x.__array__()
            return self.value(x)
        if type(x) not in KINDS and isinstance(x, np.ndarray):
            return self._outside(plain_array(x)).traced
        return x

    @unnoted
    def array(self, x: Any) -> Any:
        """Return the traced value of a tensor, of an array, or of a number as one."""
        x = self.value(x) if type(x) is Tensor else self.adopted(x)
        return self.call(np.asarray, (x,)) if type(x) is TracedNumber else x

    @unnoted
    def scratch(self, x: Array) -> Any:
        """Return the traced value of an array whose contents need not survive."""
        traced: Any = self._outside(x).traced
        traced.value.scratch = True
        return traced

    def receive(self, tensor: Tensor) -> None:
        """Note that a tensor gets a gradient, which must not be added to one of before.

        Raises
        ------
        CaptureError
            Where it has one.
        """
        before = tensor._grad
        if before is not None and type(before._value) is not Traced:
            raise refusal(
                "adds to gradients left over from before it, which a replay does not "
                "know",
                "call zero_grad() in the step, before backward()",
                CaptureError,
            )
        if type(tensor._value) is not Traced:
            self.received[id(tensor)] = tensor

    @unnoted
    def value(self, tensor: Tensor) -> Any:
        """Return the traced value of a tensor."""
        if type(tensor._value) is Traced:
            return tensor._value
        if type(tensor._value) is not np.ndarray:
            # So that there is memory, which an optimizer will write to anyway.
            tensor._value = np.asarray(tensor._value)
        outside = self._outside(tensor._value)
        if not any(tensor is t for t in outside.tensors):
            outside.tensors.append(tensor)
        return outside.traced

    def _outside(self, array: Array) -> Outside:
        key = memory(array)
        if key not in self._known:
            outside = self._new(array)
            self._known[key] = outside
            self.outside.append(outside)
        return self._known[key]

    def _new(self, array: Array) -> Outside:
        if array.dtype.hasobject:
            raise refusal("uses an array of objects", "give it a numeric dtype")
        place, contents = Place(*user_place()), checksum(array)
        kind: Any = Live if self._is_live(array, contents, place) else Constant
        value = kind(*layout(array), array)
        traced = Traced(self, array, value, False, array)
        return Outside(array, contents, place, traced, not self._origin)

    def _is_live(self, array: Array, contents: int, place: Place) -> bool:
        """Whether the array lay there before too; raise where it differs otherwise."""
        before = self._before.outside if self._before else []
        if len(self.outside) >= len(before):
            return True
        then = before[len(self.outside)]
        if then.is_at(array):
            return True
        if layout(then.array) != layout(array) or then.checksum != contents:
            raise differs(array, place, in_part=self._mark is not None)
        return False

    # Operations and their rules.

    @unnoted
    def entered(
        self, op: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Primitive, tuple[Any, ...], dict[str, Any]]:
        """Return a recorded operation, and traced values of its arguments."""
        if op not in self._twins:
            self._twins[op] = twin(op, self)
        args, kwargs = _each(args, kwargs, self._entering)
        return self._twins[op], args, kwargs

    def _entering(self, x: Any) -> Any:
        if type(x) is Tensor:
            value = self.value(x)
            return x if value is x._value else wrap(value, x.node)
        return self.adopted(x)

    def run(self, function: Function, args: Any, kwargs: Any) -> Any:
        """Call a function of arrays: call by call, or as one call where it refuses."""
        calls, outside, mark = len(self.program.calls), len(self.outside), self._mark
        self._mark = outside
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if refusal_in(error) is None:
                raise
        finally:
            self._mark = mark
        self._forget(calls, outside)
        return self.call_opaque(Steady(function), args, kwargs)

    def apply_rule(self, rule: Function, args: tuple[Any, ...]) -> Any:
        """Return the gradient a rule gives, as a recorded value."""
        if any(type(a) is Tensor for a in leaves(args)):
            return rule(*args)
        if any(type(a) is TracedNumber for a in args):
            return self.call_opaque(Steady(rule), args, {})
        gradient = self.run(rule, args, {})
        if isinstance(gradient, np.generic):
            gradient = np.asarray(gradient)
        return self.adopted(gradient)

    def _forget(self, calls: int, outside: int) -> None:
        del self.program.calls[calls:]
        for item in self.outside[outside:]:
            del self._known[memory(item.array)]
        del self.outside[outside:]

    @contextmanager
    def within(self, origin: str) -> Iterator[None]:
        """Label the calls inside with the operation that they are part of."""
        before, self._origin = self._origin, origin
        try:
            yield
        finally:
            self._origin = before

    # Calls.

    @unnoted
    def call(
        self,
        function: Function,
        args: Sequence[Any],
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a NumPy function, record the call, and return its traced result."""
        if DISPATCHED.get(function) is False:
            return self.call_opaque(function, args, kwargs or {})
        args, kwargs = _each(tuple(args), kwargs or {}, self.adopted)
        known = facts_of(function)
        if known.kind == "question":
            args, kwargs = _each(args, kwargs, _concrete)
            return function(*args, **kwargs)
        if known.counted(args):
            raise self._unshaped(function, args)
        function = of_scalars(function, args)
        if function in DISPATCHED:
            return self._record(function, args, kwargs, args[:1])
        targets = written_arguments(function, args, kwargs)
        return self._record(function, args, kwargs, targets)

    def _unshaped(self, function: Function, args: Any) -> CaptureError:
        """Return the error for a shape by values, for good if they are computed."""
        values = [owner(x.value) for x in leaves(args[:2]) if type(x) is Traced]
        computed = any(isinstance(v, Result | Input) for v in values[1:] or values)
        return refusal(
            f"calls {_name(function)}, whose result has as many elements as values say",
            "use np.where, which keeps the shape",
            CaptureError if computed else Refused,
        )

    @unnoted
    def call_opaque(self, function: Function, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call a function that reads values of arrays, and record it as one call."""
        args, kwargs = _each(args, kwargs, self.adopted)
        if not any(type(x) in (Traced, TracedNumber) for x in leaves((args, kwargs))):
            return function(*args, **kwargs)
        return self._record(function, args, kwargs, checks=True)

    @unnoted
    def host(self, function: Function, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call a function with an effect of its own, and record the call."""
        args, kwargs = _each(args, kwargs, self.adopted)
        self.draws.look()
        result = self._record(function, args, kwargs, pure=False)
        self.draws.mark()
        return result

    @unnoted
    def compute(self, function: Function, args: tuple[Any, ...]) -> Any:
        """Compute with Python's numbers, and record the call."""
        return self._record(function, args, {})

    def _record(
        self,
        function: Function,
        args: Any,
        kwargs: dict[str, Any],
        targets: Sequence[Traced] = (),
        *,
        pure: bool = True,
        checks: bool = False,
    ) -> Any:
        self.check_open()
        written = [*map(self._writable, targets)]
        given, named = _each(args, kwargs, _concrete)
        with recorded_by(None):
            result = function(*given, **named)
        if pure and not checks:
            written += map(self._writable, _unexpected(function, args, result, written))
        inputs = [x for x in [*leaves(args), *leaves(kwargs)] if type(x) is Traced]
        function, plain = plainly(function, result, [x.array for x in inputs])
        traced = self._traced(plain, inputs)
        results = tuple(_new_values(traced, inputs))
        if results or written or not pure or checks:
            call = Call(
                function,
                *_each(args, kwargs, _value),
                results,
                tuple(w.value for w in written),
                pure
                and (not checks or bool(written) or not all(map(_is_view, results))),
                self._origin or _name(function),
                np.geterr()["invalid"] == "ignore",
                Place(*user_place()),
            )
            self.program.calls.append(call)
        return refilled(result, leaves(traced))

    def check_open(self) -> None:
        """Raise CaptureError where the recording is over."""
        if self.closed:
            raise CaptureError(
                "tg.compile: a tensor of a step that was recorded is used after it; "
                "return it from the step, itself or in tuples, lists, dicts and "
                "objects with attributes, instead of keeping it elsewhere"
            )

    def _writable(self, target: Traced) -> Traced:
        """Return the target of a write, if its replay may write to it too."""
        value = owner(target.value)
        if isinstance(value, Input):
            raise refusal(
                "writes to its argument", "write to a copy and return it", CaptureError
            )
        fresh = () if self._mark is None else self.outside[self._mark :]
        if any(value is item.traced.value for item in fresh):
            raise refusal("writes to an array made by plain NumPy", "make a new one")
        if isinstance(value, Constant):
            raise refusal(
                "writes to an array that it makes with plain NumPy in each call",
                "write x = x + y in place of x += y",
                CaptureError,
            )
        return target

    # Results.

    def _traced(self, result: Any, inputs: list[Traced]) -> Any:
        """Return the traced values of the result of a call."""
        if isinstance(result, tuple | list):
            return mapped(result, lambda x: self._traced(x, inputs))
        if isinstance(result, np.ndarray | np.generic):
            return self._array(result, inputs)
        if type(result) in (bool, int, float):
            return TracedNumber(self, result, Number())
        return result

    def _array(self, result: Any, inputs: list[Traced]) -> Traced:
        array = np.asarray(result)
        if array.dtype.hasobject:
            raise refusal("makes an array of objects", "give it a numeric dtype")
        for x in inputs:
            if array is x.array:
                return x
        if result is array and array.base is not None:
            for x in inputs:
                base = x.base if type(x.base) is Traced else x
                if array.size == 0 or np.may_share_memory(array, base.array):
                    make = Layout.of(array, base.array)
                    view = View(*layout(array), base=base.value, make=make)
                    return self._noted(Traced(self, array, view, False, base))
        made = Traced(self, array, Result(*layout(array)), result is not array, None)
        return self._noted(made)

    def _noted(self, traced: Traced) -> Traced:
        self._made.append(weakref.ref(traced))
        return traced

    def close(self) -> None:
        """End the recording, and let go of the arrays that were made in it.

        What is left of them may be kept for long, to be told from other objects.
        """
        self.closed = True
        for made in self._made:
            if (traced := made()) is not None:
                hollow = np.empty((), traced.dtype)
                traced.array = np.broadcast_to(hollow, traced.shape)
        self._made.clear()


def _unexpected(
    function: Function, args: Sequence[Any], result: Any, written: list[Traced]
) -> list[Traced]:
    """Return what a call has written to, besides what it was known to write to."""
    if result is None and not written:
        if not args or type(args[0]) is not Traced:
            name = _name(function)
            raise refusal(f"calls {name}, which returns nothing", "call it outside")
        return [args[0]]
    # What returns one of its later arguments was given it as `out`, by position.
    later = [x for x in args[1:] if type(x) is Traced and result is x.array]
    return [x for x in later if all(x is not w for w in written)]


def _new_values(traced: Any, inputs: list[Traced]) -> Iterator[Value | Number]:
    """Yield what a call has made, views among it, and not only written to."""
    seen = {id(x) for x in inputs}
    for x in leaves(traced):
        if type(x) is TracedNumber or (type(x) is Traced and id(x) not in seen):
            yield x.value


def _is_view(value: Value | Number) -> bool:
    return isinstance(value, View)


def _each(
    args: tuple[Any, ...], kwargs: dict[str, Any], function: Function
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with a function of each leaf in its place."""
    return mapped(args, function), mapped(kwargs, function) if kwargs else {}


def _concrete(x: Any) -> Any:
    if type(x) is Traced:
        return x.array
    return x.number if type(x) is TracedNumber else x


def _value(x: Any) -> Any:
    return x.value if type(x) in (Traced, TracedNumber) else x


def _name(function: Function) -> str:
    return getattr(function, "__name__", type(function).__name__)
