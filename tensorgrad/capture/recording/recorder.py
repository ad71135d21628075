"""The recorder: makes the calls of a step, and writes them down as a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...core.errors import CaptureError
from ...core.foreign import DISPATCHED
from ...core.mode import is_grad_enabled
from ...core.place import Place, user_place
from ...core.primitive import Primitive
from ...core.recording import Eager, suspended
from ...core.tensor import Tensor, wrap
from ...core.tree import leaves, mapped, refilled
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
    owner,
)
from ..structure import Steady, plainly
from .outside import Outside, checksum, differs, memory, plain_array
from .questions import asks_shapes, of_scalars, shaped_by_values, writes_first
from .reads import Draws
from .refusal import Refused, refusal, refusal_in
from .traced import Traced, TracedNumber
from .twins import twin
from .views import layout

Function = Callable[..., Any]


class Recorder(Eager):
    """What the engine tells of a step while it is being recorded.

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
        Tensors that a backward pass gave a gradient, under their ids.
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

    # What the step is given.

    def input(self, given: Any) -> Traced:
        """Return what stands for an array the step is called with."""
        array = plain_array(given)
        value = Input(*_kind(array), position=len(self.program.inputs))
        self.program.inputs.append(value)
        return Traced(self, array, value, given is not array, array)

    def number(self, given: float) -> TracedNumber:
        """Return what stands for a number the step is called with."""
        value = Number(f"argument {len(self.program.numbers)}")
        self.program.numbers.append(value)
        return TracedNumber(self, given, value)

    # What it takes from outside.

    def adopted(self, x: Any) -> Any:
        """Return what stands for an array from outside; anything else as it is."""
        if type(x) is np.ndarray:
            return self._known_as(x).traced
        if type(x) is Tensor:
            if x.node is not None and is_grad_enabled():
                # Not an operand of the engine's: the error of eager mode.
                x.__array__()
            return self.held(x)
        if type(x) is not Traced and isinstance(x, np.ndarray):
            return self._known_as(plain_array(x)).traced
        return x

    def array(self, x: Any) -> Any:
        """Return what stands for an array; also for a number, as an array."""
        x = self.adopted(x)
        return self.call(np.asarray, (x,)) if type(x) is TracedNumber else x

    def scratch(self, x: Array) -> Any:
        """Return what stands for an array whose contents need not be kept."""
        traced: Any = self._known_as(x).traced
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
        self.received[id(tensor)] = tensor

    def held(self, tensor: Tensor) -> Any:
        """Return what stands for the value of a tensor."""
        if type(tensor._value) is Traced:
            return tensor._value
        if type(tensor._value) is not np.ndarray:
            # So that there is memory, which an optimizer will write to anyway.
            tensor._value = np.asarray(tensor._value)
        known = self._known_as(tensor._value)
        if not any(tensor is t for t in known.tensors):
            known.tensors.append(tensor)
        return known.traced

    def _known_as(self, array: Array) -> Outside:
        key = memory(array)
        if key not in self._known:
            known = self._new(array)
            self._known[key] = known
            self.outside.append(known)
        return self._known[key]

    def _new(self, array: Array) -> Outside:
        if array.dtype.hasobject:
            raise refusal("uses an array of objects", "give it a numeric dtype")
        place, found = Place(*user_place()), checksum(array)
        kind: Any = Live if self._is_live(array, found, place) else Constant
        value = kind(*_kind(array), array)
        traced = Traced(self, array, value, False, array)
        return Outside(array, found, place, traced, not self._origin)

    def _is_live(self, array: Array, found: int, place: Place) -> bool:
        """Whether the array lay there before too; raise where it differs otherwise."""
        before = self._before.outside if self._before else []
        if len(self.outside) >= len(before):
            return True
        then = before[len(self.outside)]
        if then.is_at(array):
            return True
        if _kind(then.array) != _kind(array) or then.checksum != found:
            raise differs(array, place, in_part=self._mark is not None)
        return False

    # Operations and their rules.

    def entered(
        self, op: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Primitive, tuple[Any, ...], dict[str, Any]]:
        """Return an operation that is recorded, and arguments that stand for these."""
        if op not in self._twins:
            self._twins[op] = twin(op, self)
        args, kwargs = mapped((args, kwargs), self._entering)
        return self._twins[op], args, kwargs

    def _entering(self, x: Any) -> Any:
        if type(x) is Tensor:
            held = self.held(x)
            return x if held is x._value else wrap(held, x.node)
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
        return self.whole(Steady(function), args, kwargs)

    def apply_rule(self, rule: Function, args: tuple[Any, ...]) -> Any:
        """Return the gradient a rule gives, as a recorded value."""
        if any(type(a) is Tensor for a in leaves(args)):
            return rule(*args)
        if any(type(a) is TracedNumber for a in args):
            return self.whole(Steady(rule), args, {})
        found = self.run(rule, args, {})
        if isinstance(found, np.generic):
            found = np.asarray(found)
        return self.adopted(found)

    def _forget(self, calls: int, outside: int) -> None:
        del self.program.calls[calls:]
        for known in self.outside[outside:]:
            del self._known[memory(known.array)]
        del self.outside[outside:]

    @contextmanager
    def within(self, origin: str) -> Iterator[None]:
        """Let calls made inside bear the name of what they are part of."""
        before, self._origin = self._origin, origin
        try:
            yield
        finally:
            self._origin = before

    # Calls.

    def call(
        self,
        function: Function,
        args: Sequence[Any],
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a NumPy function, write the call down, and return what stands for it."""
        if DISPATCHED.get(function) is False:
            return self.whole(function, args, kwargs or {})
        args, kwargs = mapped((tuple(args), kwargs or {}), self.adopted)
        if asks_shapes(function):
            return function(*mapped(args, _concrete), **mapped(kwargs, _concrete))
        if shaped_by_values(function, args):
            raise self._unshaped(function, args)
        function = of_scalars(function, args)
        in_place = writes_first(function) or function in DISPATCHED
        out = args[0] if in_place else kwargs.get("out")
        writes = out if type(out) is tuple else (out,)
        return self._made(function, args, kwargs, writes)

    def _unshaped(self, function: Function, args: Any) -> CaptureError:
        """Return the error for a shape by values, for good if they are computed."""
        values = [owner(x.value) for x in leaves(args[:2]) if type(x) is Traced]
        computed = any(isinstance(v, Result | Input) for v in values[1:] or values)
        return refusal(
            f"calls {_name(function)}, whose result has as many elements as values say",
            "use np.where, which keeps the shape",
            CaptureError if computed else Refused,
        )

    def whole(self, function: Function, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call a function of arrays that looks at values, and write down the call."""
        args, kwargs = mapped((args, kwargs), self.adopted)
        if not any(type(x) in (Traced, TracedNumber) for x in leaves((args, kwargs))):
            return function(*args, **kwargs)
        return self._made(function, args, kwargs, checks=True)

    def host(self, function: Function, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call what has an effect of its own, and write down that it is called."""
        args, kwargs = mapped((args, kwargs), self.adopted)
        self.draws.look()
        made = self._made(function, args, kwargs, pure=False)
        self.draws.mark()
        return made

    def compute(self, function: Function, args: tuple[Any, ...]) -> Any:
        """Compute with Python's numbers, and write it down."""
        return self._made(function, args, {})

    def _made(
        self,
        function: Function,
        args: Any,
        kwargs: dict[str, Any],
        writes: tuple[Any, ...] = (),
        *,
        pure: bool = True,
        checks: bool = False,
    ) -> Any:
        self.check_open()
        written = [self._writable(w) for w in writes if w is not None]
        with suspended():
            made = function(*mapped(args, _concrete), **mapped(kwargs, _concrete))
        if made is None and pure and not written and not checks:
            written = [self._writable(args[0])]
        given = [x for x in leaves((args, kwargs)) if type(x) is Traced]
        function, plain = plainly(function, made, [x.array for x in given])
        shown = self._shown(plain, given)
        results = tuple(_new_values(shown, given))
        if results or written or not pure or checks:
            call = Call(
                function,
                mapped(args, _value),
                mapped(kwargs, _value),
                results,
                tuple(w.value for w in written),
                pure
                and (not checks or bool(written) or not all(map(_is_view, results))),
                self._origin or _name(function),
                np.geterr()["invalid"] == "ignore",
                Place(*user_place()),
            )
            self.program.calls.append(call)
        return refilled(made, leaves(shown))

    def check_open(self) -> None:
        """Raise CaptureError where the recording is over."""
        if self.closed:
            raise CaptureError(
                "tg.compile: a tensor of a step that was recorded is used after it; "
                "return it from the step, itself or in tuples, lists, dicts and "
                "objects with attributes, instead of keeping it elsewhere"
            )

    def _writable(self, target: Traced) -> Traced:
        """Return what a call writes to, if its replay may write to the same."""
        value = owner(target.value)
        if isinstance(value, Input):
            raise refusal(
                "writes to its argument", "write to a copy and return it", CaptureError
            )
        fresh = () if self._mark is None else self.outside[self._mark :]
        if any(value is known.traced.value for known in fresh):
            raise refusal("writes to an array made by plain NumPy", "make a new one")
        if isinstance(value, Constant):
            raise refusal(
                "writes to an array that it makes with plain NumPy in each call",
                "write x = x + y in place of x += y",
                CaptureError,
            )
        return target

    # Results.

    def _shown(self, made: Any, given: list[Traced]) -> Any:
        """Return what stands for what a call returned."""
        if isinstance(made, tuple | list):
            return mapped(made, lambda x: self._shown(x, given))
        if isinstance(made, np.ndarray | np.generic):
            return self._array(made, given)
        if type(made) in (bool, int, float):
            return TracedNumber(self, made, Number())
        return made

    def _array(self, made: Any, given: list[Traced]) -> Traced:
        array = np.asarray(made)
        if array.dtype.hasobject:
            raise refusal("makes an array of objects", "give it a numeric dtype")
        for x in given:
            if array is x.array:
                return x
        if made is array and array.base is not None:
            for x in given:
                whole = x.base if type(x.base) is Traced else x
                if array.size == 0 or np.may_share_memory(array, whole.array):
                    make = layout(array, whole.array)
                    view = View(*_kind(array), base=whole.value, make=make)
                    return Traced(self, array, view, False, whole)
        return Traced(self, array, Result(*_kind(array)), made is not array, None)


def _new_values(shown: Any, given: list[Traced]) -> Iterator[Value | Number]:
    """Yield what a call has made, views among it, and not only written to."""
    known = {id(x) for x in given}
    for x in leaves(shown):
        if type(x) is TracedNumber or (type(x) is Traced and id(x) not in known):
            yield x.value


def _is_view(value: Value | Number) -> bool:
    return isinstance(value, View)


def _kind(array: Array) -> tuple[Any, Any, Any]:
    return array.shape, array.dtype, array.strides


def _concrete(x: Any) -> Any:
    if type(x) is Traced:
        return x.array
    return x.number if type(x) is TracedNumber else x


def _value(x: Any) -> Any:
    return x.value if type(x) in (Traced, TracedNumber) else x


def _name(function: Function) -> str:
    return getattr(function, "__name__", type(function).__name__)
