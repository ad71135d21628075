"""One recorded call of a step: what it returns, and what a replay will return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from ...core import tree
from ...core.draws import Draws
from ...core.observe import recorded_by
from ...core.tensor import Tensor, wrap
from ..program import Value, owner
from .bundles import CYCLE, has_fields, kind_of, leaves
from .reads import Reads
from .recorder import Recorder
from .refusal import refusal_in
from .signature import Arguments
from .traced import Traced, TracedNumber


class Slot(NamedTuple):
    """Where in what a step returns a value of the program stands, and as what."""

    value: Value
    kind: type


class Recording(NamedTuple):
    """A recorded call of a step.

    Attributes
    ----------
    recorder : Recorder
    result : object
        What the call returned, for the caller to keep.
    returned : nest of Slot and objects
        What the step returns, with slots for values of the program.
    reads : Reads
        The code that ran, and on what.
    """

    recorder: Recorder
    result: Any
    returned: Any
    reads: Reads


def record(
    step: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    own: dict[int, Tensor],
    before: Recorder | None = None,
    draws: Draws | None = None,
) -> Recording:
    """Call a step once, for real, and record what it does."""
    recorder, reads = Recorder(before, draws), Reads()
    arguments = Arguments(recorder, own)
    try:
        with recorded_by(recorder):
            traced = arguments.standing_for(args), arguments.standing_for(kwargs)
            with reads.noted(recorder):
                result = step(*traced[0], **traced[1])
            arguments.check_unwritten()
            copies: list[Any] = []
            returned = tree.mapped(result, lambda x: _slot(x, recorder, copies), _look)
    except Exception as error:
        # NumPy turns our error into a ValueError where it asks for a number.
        refused = refusal_in(error)
        if refused is None or refused is error:
            raise
        raise refused from None
    finally:
        recorder.closed = True
        _settle_gradients(recorder)
        recorder.close()
    _check_written(recorder)
    slots = [x for x in tree.leaves(returned, _look) if type(x) is Slot]
    recorder.program.returned[:] = [slot.value for slot in slots]
    return Recording(recorder, filled(returned, copies), returned, reads)


def _slot(x: Any, recorder: Recorder, copies: list[Any]) -> Any:
    """Return the slot of a result, and add its contents to `copies`."""
    kind: Any
    if type(x) is Tensor:
        kind, traced = Tensor, recorder.value(x)
    elif type(x) is TracedNumber:
        kind, traced = float, recorder.call(np.asarray, (x,))
    else:
        traced = recorder.adopted(x)
        if type(traced) is not Traced:
            return traced
        kind = np.generic if traced.scalar else np.ndarray
    copies.append(_copy(traced))
    return Slot(traced.value, kind)


def _copy(x: Traced) -> Any:
    return x.array.copy("K")[()] if x.scalar else x.array.copy("K")


def filled(returned: Any, arrays: Iterable[Any]) -> Any:
    """Return what a step returns, with arrays or NumPy's scalars in its slots."""
    rest = iter(arrays)
    return tree.mapped(
        returned, lambda x: _shown(x, next(rest)) if type(x) is Slot else x, _look
    )


def _shown(slot: Slot, x: Any) -> Any:
    if slot.kind is Tensor:
        return wrap(x, None)
    if slot.kind is np.ndarray and not slot.value.shape:
        return np.asarray(x, slot.value.dtype)
    return x.item() if slot.kind is float else x


def builder(returned: Any) -> Callable[[Sequence[Any]], Any]:
    """Return the function that `filled` is of arrays, for one nest: code of its own."""
    names: dict[str, Any] = {"wrap": wrap, "asarray": np.asarray, "filled": filled}
    text = _text(returned, count(), names)
    function: Callable[[Sequence[Any]], Any] = eval(f"lambda x: {text}", names)
    return function


def _text(x: Any, numbers: Iterator[int], names: dict[str, Any]) -> str:
    """Return an expression for part of what a step returns, of arrays named x."""
    if type(x) is Slot:
        place = f"x[{next(numbers)}]"
        if x.kind is Tensor:
            return f"wrap({place}, None)"
        if x.kind is np.ndarray and not x.value.shape:
            return f"asarray({place}, {_named(x.value.dtype, names)})"
        return f"{place}.item()" if x.kind is float else place
    kind = type(x)
    if kind in (tuple, list):
        items = "".join(f"{_text(item, numbers, names)}, " for item in x)
        return f"({items})" if kind is tuple else f"[{items}]"
    if kind is dict:
        pairs = ((_named(k, names), _text(v, numbers, names)) for k, v in x.items())
        return f"{{{', '.join(map(': '.join, pairs))}}}"
    here = [next(numbers) for leaf in tree.leaves(x, _look) if type(leaf) is Slot]
    arrays = "".join(f"x[{k}], " for k in here)
    name = _named(x, names)
    return name if _look(x) is None else f"filled({name}, ({arrays}))"


def _named(x: Any, names: dict[str, Any]) -> str:
    name = f"c{len(names)}"
    names[name] = x
    return name


def _look(x: Any) -> tree.Kind | None:
    return None if type(x) in _ITEMS else kind_of(x, _holds_recorded)


def _holds_recorded(x: Any) -> bool:
    """Whether an object holds what the step has computed."""
    if isinstance(x, type) or callable(x) or not has_fields(x):
        return False
    inner = [*leaves(x, _RECORDED)]
    return not any(leaf is CYCLE for leaf in inner) and any(
        type(leaf) in _RECORDED
        or (type(leaf) is Tensor and type(leaf._value) is Traced)
        for leaf in inner
    )


_RECORDED = (Traced, TracedNumber, Slot)
_ITEMS = (Tensor, *_RECORDED)


def _settle_gradients(recorder: Recorder) -> None:
    """Put arrays back in place of traced values in gradients of tensors outside."""
    for tensor in tensors_of(recorder):
        if tensor._grad is not None and type(tensor._grad._value) is Traced:
            tensor._grad = wrap(_copy(tensor._grad._value), None)


def tensors_of(recorder: Recorder) -> list[Tensor]:
    """Return the tensors from outside that a recorded step used or gave a gradient."""
    used = {id(t): t for array in recorder.outside for t in array.tensors}
    return [*(used | recorder.received).values()]


def _check_written(recorder: Recorder) -> None:
    """Raise where the step has written to an outside array without a recorded call."""
    written = {owner(w) for call in recorder.program.calls for w in call.writes}
    for array in recorder.outside:
        if array.traced.value not in written:
            array.check_unwritten()
