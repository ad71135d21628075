"""Primitives: a forward in NumPy, and beside it one rule for each input."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np

from .dispatch import operations
from .foreign import NATIVE, computed, is_array, operand
from .hooks import is_foreign
from .mode import enabled as is_grad_enabled
from .node import Node, clock, shape_and_dtype
from .observe import current_observers, current_recorder, observers
from .parts import PartPlan
from .place import user_place
from .saves import OUTPUT, SHAPE, Plan, Rule
from .tensor import Tensor, plain, wrap
from .types import Operand, Operation, P, Q, R, R_co, T_co

__all__ = ["Primitive", "primitive"]


_new: Any = object.__new__

_FEW = 16
"""Plans for more inputs than that are not kept."""


class Residual(NamedTuple):
    """How to compute a residual again, from named arguments, when it is recorded."""

    recompute: Callable[..., Any]
    names: tuple[str, ...]


class Primitive(Operation[P, T_co, R_co]):
    """An operation that knows its gradient.

    Call it on tensors, arrays and numbers: with a tensor among the arguments the
    result is a tensor, recorded where one of them needs a gradient; with none the
    result is what the NumPy forward returns.

    Made by :func:`primitive`; see there.

    Parameters
    ----------
    forward : callable
        Computes the output from arrays, with NumPy.
    residuals : mapping of str to callable
        By-products of the forward, and how to compute each again.
    multiple : bool
        Whether the forward returns a tuple of outputs.

    Raises
    ------
    ValueError
        If an argument of the forward is named ``g`` or ``y``.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        residuals: Residuals,
        multiple: bool,
    ) -> None:
        self.forward = forward
        self.name = forward.__name__
        self.__name__ = forward.__name__
        self.__qualname__ = forward.__qualname__
        self.__module__ = forward.__module__
        self.__doc__ = forward.__doc__
        self.__wrapped__ = forward
        self.multiple = multiple
        parameters = list(inspect.signature(forward).parameters.values())
        self.names = tuple(p.name for p in parameters)
        if OUTPUT in self.names or "g" in self.names:
            raise ValueError(
                f"{self.name}: in rules y is the output and g the incoming gradient; "
                "give the arguments other names"
            )
        self.position = {name: i for i, name in enumerate(self.names)}
        self.defaults = tuple(p.default for p in parameters)
        self.variadic = (
            0 if parameters[0].kind is inspect.Parameter.VAR_POSITIONAL else None
        )
        self.frame = (*self.names, OUTPUT, *residuals)
        self.residuals = {
            name: Residual(again, tuple(inspect.signature(again).parameters))
            for name, again in residuals.items()
        }
        self.special = multiple or bool(residuals)
        self.rules: dict[int, tuple[Rule, tuple[str, ...]]] = {}
        self.plans = _Plans(self)
        self.foreign = False
        self._arity = len(parameters)

    def __reduce__(self) -> str:
        # Pickled and copied as functions are: by name.
        return self.__qualname__

    def vjp(self, **rules: Rule) -> None:
        """Give the gradient rules, one for each differentiable argument.

        Each is a function of ``g``, the incoming gradient, and of whatever else it
        names: arguments of the forward, ``y`` for the output, ``x_shape`` for the
        shape of argument ``x``, residuals. What it names is kept until backward, and
        nothing else. It returns the gradient of its argument; the walk sums broadcast
        axes back. A rule is plain NumPy, must not write to its arguments, and must
        not ask for values (``if g > 0``), because it may be run on tensors.

        A rule for ``*arrays`` takes the place of the operand before ``g``.

        Parameters
        ----------
        **rules : callable
            The rule of each argument, by its name.

        Raises
        ------
        ValueError
            If there is no such argument, or a rule names what there is not.
        """
        for argument, rule in rules.items():
            if argument not in self.position:
                raise ValueError(
                    f"{self.name}.vjp: no argument {argument!r}; "
                    f"the forward takes {', '.join(self.names)}"
                )
            at = self.position[argument]
            names = tuple(inspect.signature(rule).parameters)
            names = names[2:] if at == self.variadic else names[1:]
            for name in names:
                if name not in self.frame and not self.is_shape(name):
                    raise ValueError(
                        f"{self.name}.vjp: the rule for {argument!r} names {name!r}, "
                        f"which is none of {', '.join(self.frame)}"
                    )
            self.rules[at] = rule, names
            self.foreign |= is_foreign(rule)
        self.plans.clear()

    def is_shape(self, name: str) -> bool:
        """Whether `name` in a rule means the shape of an argument.

        Parameters
        ----------
        name : str
            A parameter of a rule.

        Returns
        -------
        bool
            True for ``x_shape`` where ``x`` is an argument.
        """
        return name not in self.frame and name.removesuffix(SHAPE) in self.position

    def rule_for(self, argument: int) -> tuple[Rule, tuple[str, ...]]:
        """Return the rule of an argument and the names it asks for.

        Parameters
        ----------
        argument : int
            Its position.

        Returns
        -------
        rule : callable
            As passed to `vjp`.
        names : tuple of str
            Its parameters after ``g``.

        Raises
        ------
        TypeError
            If the argument is not differentiable.
        """
        if argument not in self.rules:
            raise TypeError(
                f"{self.name}: no gradient rule for argument "
                f"{self.names[argument]!r}; pass it as a constant (.detach())"
            )
        return self.rules[argument]

    def _call(self: Primitive, *args: Any, **kwargs: Any) -> Any:
        """Compute the output, and record the call where a gradient is needed."""
        if observers and (recorder := current_recorder()):
            self, args, kwargs = recorder.entered(self, args, kwargs)
        if self.variadic is not None:
            return self._call_variadic(args, kwargs)
        if kwargs or len(args) < self._arity:
            args = self._bound(args, kwargs)
        plain = True
        strange = False
        mask = 0
        bit = 1
        parents = []
        values = []
        for value in args:
            if type(value) is Tensor:
                plain = False
                if value.node is not None:
                    mask += bit
                    parents.append(value.node)
                values.append(value._value)
            else:
                if type(value) not in NATIVE:
                    strange = True
                values.append(value)
            bit += bit
        if strange:
            answer = self._admit(args, values, plain)
            if answer is not NotImplemented:
                return answer
        y = self.forward(*values)
        if (self.special or type(y) is Tensor) and not plain:
            self._check_arrays(y)
        if mask and is_grad_enabled():
            return self.recorded(self.plans[mask], tuple(parents), values, y)
        return self.constant(values, y, plain)

    if not TYPE_CHECKING:
        __call__ = _call

    # Parents are nodes and leaves: that none is None no checker can see in the callers.
    def recorded(
        self,
        plan: Plan,
        parents: tuple[Any, ...],
        values: Sequence[Operand],
        y: Operand,
    ) -> Operand:
        """Return the output as a tensor with a node that keeps what the plan saves.

        Parameters
        ----------
        plan : Plan
            That of the inputs that need a gradient.
        parents : tuple of Node and Leaf
            The nodes of those inputs.
        values : sequence
            The arguments, as arrays.
        y : array or tuple
            What the forward returned.

        Returns
        -------
        Tensor or tuple of Tensor
            One for each output.
        """
        if self.residuals or self.multiple or observers:
            return self._recorded_with_more(plan, parents, values, y)
        dtype = getattr(y, "dtype", None)
        if dtype is None or dtype.kind != "f":
            raise _not_real(self.name, y)
        saved: tuple[Any, ...] = ()
        if plan.save is not None:
            frame = _frame(plan, values, y) if plan.shapes_of else (*values, y)
            saved = plan.save(frame)
        # A node and a tensor without their constructors: half the time of both.
        node = _new(Node)
        node.plan = plan
        node.parents = parents
        node.saved = saved
        node.shape = y.shape
        node.dtype = dtype
        node.index = next(clock)
        node.code, node.offset = user_place(3)
        tensor = _new(Tensor)
        tensor._value = y
        tensor.node = node
        tensor._grad = None
        return tensor

    def _recorded_with_more(
        self, plan: Plan, parents: tuple[Any, ...], values: Sequence[Any], y: Any
    ) -> Any:
        residuals: Sequence[Any] = ()
        if self.residuals:
            y, *residuals = y
        if not (self.multiple or _kind(y) == "f"):
            raise _not_real(self.name, y)
        saved: tuple[Any, ...] = ()
        if plan.save is not None:
            saved = plan.save(_frame(plan, values, y, residuals))
        node = Node(plan, parents, saved, *shape_and_dtype(y))
        for observer in current_observers():
            observer(node, values, y)
        return self.outputs(y, node) if self.multiple else wrap(y, node)

    def constant(
        self, values: Sequence[Operand], y: Operand, plain: bool = False
    ) -> Operand:
        """Return the output where nothing is recorded: plain if all inputs are.

        Parameters
        ----------
        values : sequence
            The arguments, as arrays.
        y : array or tuple
            What the forward returned.
        plain : bool
            Whether no argument was a tensor.

        Returns
        -------
        Tensor, tuple of Tensor, or what the forward returned
            Constants.

        Raises
        ------
        TypeError
            If the output holds no real numbers, as a tensor does.
        """
        if self.residuals:
            y = y[0]
        if plain:
            return y
        if not self.multiple and _kind(y) not in _REAL:
            raise _not_real(self.name, y)
        if observers:
            self.show(values, y)
        return self.outputs(y, None) if self.multiple else wrap(y, None)

    def show(self, values: Sequence[Operand], y: Operand) -> None:
        """Show a call that is not recorded to the observers.

        Parameters
        ----------
        values : sequence
            The arguments, as arrays.
        y : array or tuple
            The output.
        """
        node = Node(SimpleNamespace(op=self), (), (), *shape_and_dtype(y))
        for observer in current_observers():
            observer(node, values, y)

    def _call_variadic(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        arrays = tuple(
            a._value if type(a) is Tensor else operand(a, self.name) for a in args
        )
        kwargs = {name: plain(value) for name, value in kwargs.items()}
        y = self.forward(*arrays, **kwargs)
        self._check_arrays(y)
        inputs = tuple(
            i for i, a in enumerate(args) if type(a) is Tensor and a.node is not None
        )
        rest = zip(self.names[1:], self.defaults[1:], strict=True)
        values = [arrays, *(kwargs.get(name, default) for name, default in rest)]
        if not inputs or not is_grad_enabled():
            plain_ = not any(type(a) is Tensor for a in args)
            return self.constant(values, y, plain_)
        parents = tuple(args[i].node for i in inputs)
        return self.recorded(self.plans[inputs], parents, values, y)

    def _admit(self, args: tuple[Any, ...], values: list[Any], alone: bool) -> Any:
        """Make arrays of lists among the values; leave other libraries' arrays to them.

        Returns the result of such an array, NotImplemented where there is none.
        """
        for at, value in enumerate(values):
            if type(value) is list or (type(value) is tuple and at in self.rules):
                values[at] = operand(value, self.name)
            elif type(value) is tuple:
                values[at] = plain(value)
            elif at in self.rules and not alone and type(args[at]) is not Tensor:
                if is_array(type(value)):
                    is_ours = operations.get(self.name) is self
                    function = getattr(np, self.name, None) if is_ours else None
                    return computed(function, self.name, args, {})
                values[at] = operand(value, self.name)
        return NotImplemented

    def _check_arrays(self, y: Any) -> None:
        """Raise where a forward computed with a tensor that is no argument."""
        if any(type(part) is Tensor for part in (y if self.special else (y,))):
            raise TypeError(
                f"{self.name}: the forward returned a Tensor, so it computes with one "
                "that is no argument, or hidden in one, and whose gradient would be "
                "lost; make it an argument of its own, or .detach() it"
            )

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        values = [*args, *self.defaults[len(args) :]]
        for name, value in kwargs.items():
            at = self.position.get(name)
            if at is None or at < len(args):
                raise TypeError(
                    f"{self.name}: "
                    + (
                        f"unexpected argument {name!r}"
                        if at is None
                        else f"{name!r} twice"
                    )
                    + f"; it takes {', '.join(self.names)}"
                )
            values[at] = value
        for name, value in zip(self.names, values, strict=False):
            if value is inspect.Parameter.empty:
                raise TypeError(f"{self.name}: missing argument {name!r}")
        return tuple(values)

    def outputs(
        self, values: Sequence[Operand], node: Node | None
    ) -> tuple[Tensor, ...]:
        """Return a tensor for each of several outputs of one node.

        Parameters
        ----------
        values : tuple of array
            The outputs.
        node : Node or None
            The node of the call; None makes constants.

        Returns
        -------
        tuple of Tensor
            As many as there are values.
        """
        if node is None:
            return tuple(wrap(v, None) for v in values)
        return tuple(wrap(v, self._part(i, v, node)) for i, v in enumerate(values))

    def _part(self, number: int, value: Any, node: Node) -> Node:
        plan = PartPlan(self, number)
        kind = (node.shape, node.dtype)
        return Node(plan, (node,), kind, value.shape, value.dtype)

    def __repr__(self) -> str:
        return f"<primitive {self.name}({', '.join(self.names)})>"


class _Plans(dict[Any, Any]):
    """The plans of a primitive, each made on first use.

    Keys are the inputs that need a gradient: a bit mask of arguments, or the operands
    of a variadic primitive.
    """

    def __init__(self, op: Primitive) -> None:
        self.op = op

    def __missing__(self, key: int | tuple[int, ...]) -> Plan:
        if isinstance(key, tuple):
            inputs = [(0, i) for i in key]
        else:
            inputs = [(i, 0) for i in range(key.bit_length()) if key >> i & 1]
        plan = Plan(self.op, tuple(inputs))
        # One for every number of operands of a long join would never be used again.
        if len(inputs) <= _FEW:
            self[key] = plan
        return plan


_REAL = "fiub"


def _kind(y: Any) -> str:
    """Return the kind of an array's dtype; for anything else a kind that none has."""
    return y.dtype.kind if hasattr(y, "dtype") else "none"


def _not_real(name: str, y: Any) -> TypeError:
    array = hasattr(y, "dtype")
    kind = f"of dtype {y.dtype}" if array else f"of type {type(y).__name__}"
    return TypeError(
        f"{name}: expected real numbers in a NumPy array or scalar, got a result "
        f"{kind}, through which no gradient flows; use arguments of a real dtype, or "
        ".numpy()"
    )


def _frame(
    plan: Plan, values: Sequence[Any], y: Any, residuals: Sequence[Any] = ()
) -> tuple[Any, ...]:
    """Return the names of what can be saved: arguments, outputs, residuals, shapes."""
    frame = (*values, y, *residuals)
    if plan.shapes_of:
        frame += tuple(_shape(values[i]) for i in plan.shapes_of)
    return frame


def _shape(value: Any) -> Any:
    return tuple(map(np.shape, value)) if type(value) is tuple else np.shape(value)


# Rules know the types of their arguments; forwards and residuals take anything.
Residuals = Mapping[str, Callable[..., Any]]
WithMore = Callable[Q, tuple[R, *tuple[Any, ...]]]


@overload
def primitive(
    forward: Callable[Q, R], *, multiple: Literal[False] = False
) -> Primitive[Q, Tensor, R]: ...


@overload
def primitive(
    *, residuals: Residuals, multiple: Literal[False] = False
) -> Callable[[WithMore[Q, R]], Primitive[Q, Tensor, R]]: ...


@overload
def primitive(
    *, multiple: Literal[True]
) -> Callable[[Callable[Q, R]], Primitive[Q, tuple[Tensor, ...], R]]: ...


@overload
def primitive(
    *, residuals: Residuals, multiple: Literal[True]
) -> Callable[[WithMore[Q, R]], Primitive[Q, tuple[Tensor, ...], R]]: ...


def primitive(
    forward: Callable[..., Any] | None = None,
    *,
    residuals: Residuals | None = None,
    multiple: bool = False,
) -> Any:
    """Make an operation of a NumPy function; give it rules with ``.vjp``.

    Parameters
    ----------
    forward : callable
        Computes the output from arrays, with NumPy. Its arguments are what rules can
        name. Arguments without a rule are constants. A first argument ``*arrays``
        makes it variadic; the others are keywords then.
    residuals : mapping of str to callable, optional
        The forward returns the output followed by these by-products, which rules can
        name. Each function computes its residual again from arguments of the forward
        it names, out of differentiable operations: it is used where the rule itself
        is recorded, when a by-product is not a constant.
    multiple : bool
        The forward returns a tuple of outputs; ``g`` in a rule is a tuple then.

    Returns
    -------
    Primitive
        To be called like the function; without rules it cannot be differentiated.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> @tg.primitive
    ... def cube(x):
    ...     return x**3
    >>> cube.vjp(x=lambda g, x: g * 3 * x**2)
    >>> x = tg.Tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    Tensor(12.)
    """
    if forward is None:
        return lambda f: Primitive(f, residuals or {}, multiple)
    return Primitive(forward, residuals or {}, multiple)
