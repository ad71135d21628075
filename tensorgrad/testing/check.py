"""Checks of gradients: of functions of Tensors, and of plain functions of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.types import Nest
from .arguments import (
    Nesting,
    Point,
    Seed,
    as_seed,
    nested,
    point_of,
    unnested,
)
from .examine import Settings
from .experiment import LARGEST
from .identities import adjoint
from .model import Model, ModelProblem, located
from .plain import (
    GradientProblem,
    VjpProblem,
    as_arguments,
    as_outputs,
    only,
    value_and_derivative,
)
from .problem import Array
from .procedure import of_integers, raise_failure, run
from .result import Result
from .tensors import TensorProblem


def gradcheck(
    f: Callable[..., Any],
    *inputs: Nest,
    order: int = 1,
    rng: Seed = 0,
    argnums: int | Sequence[int] | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    linear: bool = False,
    directions: int = 8,
    largest: int = LARGEST,
    explain: bool = True,
    raise_on_failure: bool = True,
) -> Result:
    """Check the gradient of a function of Tensors against numerical derivatives.

    Parameters
    ----------
    f : callable
        Takes Tensors and returns a Tensor or a tuple of Tensors. Must be deterministic.
    *inputs : array_like, Tensor or nest of these
        The point. Floating-point inputs are checked, others are held constant. The
        check is made in float64; where an input is float32 or float16 the gradient
        computed in that precision is compared with that in float64 too.
    order : int
        Highest order of derivatives: 2 checks the gradient of the gradient too, in the
        inputs and in the incoming gradient, and its symmetry.
    rng : int, Generator or None
        Source of the random directions and cotangents; None for a new seed. The seed
        is in the report.
    argnums : int or sequence of int, optional
        Inputs to check, where not all.
    atol, rtol : float, optional
        Allow this besides the error bar of the numerical derivative, in place of what
        rounding of the gradient may come to.
    linear : bool
        `f` is linear in every single entry of its inputs: a large step is exact then.
    directions : int
        Random directions for every input and output of a large Jacobian.
    largest : int
        Entries of a Jacobian up to which each of them is checked.
    explain : bool
        Whether to look for the likeliest fault and the smallest failing input.
    raise_on_failure : bool
        Whether a failure raises, or is returned.

    Returns
    -------
    Result
        True where the gradient passes; its text is the report.

    Raises
    ------
    GradientError
        If the check fails; the message is the report.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.testing import gradcheck
    >>> gradcheck(lambda x: (x * tg.tanh(x)).sum(), [0.5, -2.0, 1.5]).verdict
    'agrees'
    """
    __tracebackhide__ = True
    if order < 1:
        raise ValueError(f"gradcheck: order must be 1 or more, got {order}")
    seed = as_seed(rng)
    settings = Settings((atol, rtol), directions, largest, explain)
    nesting = _tensor_inputs(f, inputs, argnums)
    if not nesting.live:
        return raise_failure(of_integers(nesting.leaves, seed), raise_on_failure)
    point = Point.of(nesting)
    claim = TensorProblem(point.arrays, nesting.function(f), exact=linear)
    return raise_failure(run(claim, point, settings, seed, order), raise_on_failure)


def _tensor_inputs(
    f: Callable[..., Any], inputs: Sequence[Any], argnums: int | Sequence[int] | None
) -> Nesting:
    """Return the inputs of a function of Tensors."""
    if hasattr(f, "plan") and hasattr(f, "step"):
        raise TypeError(
            "gradcheck: f is compiled, and a replay records nothing for backward; "
            "check tg.compile(tg.value_and_grad(f)) by check_gradient with df=True, or "
            "f itself"
        )
    return Nesting("gradcheck", f, inputs, argnums, named=any(map(nested, inputs)))


def gradgradcheck(
    f: Callable[..., Any],
    *inputs: Nest,
    **options: Any,  # those of `gradcheck`, each of its own type
) -> Result:
    """Check the gradient of the gradient too: :func:`gradcheck` with ``order=2``.

    Parameters
    ----------
    f : callable
        As for :func:`gradcheck`.
    *inputs : array_like or Tensor
        Where to check it.
    **options : as in :func:`gradcheck`
        All but ``order``.

    Returns
    -------
    Result
        Of both orders; its last examination is that of the second.

    Raises
    ------
    GradientError
        If the check fails; the message is the report.
    """
    __tracebackhide__ = True
    return gradcheck(f, *inputs, order=2, **options)


def check_gradient(
    f: Callable[..., Any],
    df: Callable[..., Any] | bool,
    x: Nest,
    *,
    rng: Seed = 0,
    atol: float | None = None,
    rtol: float | None = None,
    directions: int = 8,
    largest: int = LARGEST,
    explain: bool = True,
    raise_on_failure: bool = True,
) -> Result:
    """Check the gradient of a plain function of NumPy arrays, from any framework.

    Parameters
    ----------
    f : callable
        From an array, or several, to a number or an array.
    df : callable or True
        The derivative: of a number, its gradient, of the shape of `x`; of an array,
        its Jacobian, of the shapes of `f` and `x` joined, or for a function that works
        element by element the derivative of each element. A Jacobian may be a sparse
        matrix or a ``LinearOperator`` of SciPy, of shape ``(f(x).size, x.size)``. True
        where `f` returns both, value and derivative, as for SciPy's ``jac=True``.
    x : array_like, nest of arrays, or tuple of them
        The point; a tuple for a function of several arguments, `df` gives a tuple
        then. An argument may be a dict, list, namedtuple or dataclass of arrays, nested
        in any way: `df` gives the same nesting, and the report names what is wrong by
        its path, ``params['w'][0, 2]``. Leaves that are no floating-point numbers are
        held constant.
    rng, atol, rtol, directions, largest, explain, raise_on_failure : optional
        As in :func:`gradcheck`.

    Returns
    -------
    Result
        True where the gradient passes; printed, it is the report.

    Raises
    ------
    GradientError
        If the check fails; the message is the report.

    Examples
    --------
    >>> import numpy as np
    >>> from tensorgrad.testing import check_gradient
    >>> check_gradient(lambda x: np.sum(x**3), lambda x: 3 * x**2, [1.0, 2.0]).verdict
    'agrees'
    """
    __tracebackhide__ = True
    if not callable(df):
        f, df = value_and_derivative(f, df)
    point = point_of("check_gradient", f, x)
    if point.nesting:
        f, df = point.nesting.function(f), point.nesting.derivative(df)
    settings = Settings((atol, rtol), directions, largest, explain)
    claim = GradientProblem(point.arrays, f, df)
    result = run(claim, point, settings, as_seed(rng))
    return raise_failure(result, raise_on_failure)


def check_vjp(
    f: Callable[..., Any],
    vjp: Callable[..., Any],
    x: Nest,
    *,
    jvp: Callable[..., Any] | None = None,
    rng: Seed = 0,
    atol: float | None = None,
    rtol: float | None = None,
    directions: int = 8,
    largest: int = LARGEST,
    explain: bool = True,
    raise_on_failure: bool = True,
) -> Result:
    """Check a backward function of plain NumPy arrays, from any framework.

    Parameters
    ----------
    f : callable
        From an array, or several, to an array or a nest of arrays: a tuple, list, dict,
        namedtuple or dataclass of them.
    vjp : callable
        ``vjp(g, x)`` gives the gradient of <g, f(x)>, of the shape of `x`; for several
        arrays ``vjp(g, a, b)`` gives a tuple. `g` is nested as what `f` returns is,
        but for a tuple of one array.
    x : array_like, nest of arrays, or tuple of them
        The point, as in :func:`check_gradient`.
    jvp : callable, optional
        ``jvp(u, x)``, the derivative of `f` along `u`: checked to be the adjoint of
        `vjp`, without differences.
    rng, atol, rtol, directions, largest, explain, raise_on_failure : optional
        As in :func:`gradcheck`.

    Returns
    -------
    Result
        True where the gradient passes; printed, it is the report.

    Raises
    ------
    GradientError
        If the check fails; the message is the report.

    Examples
    --------
    >>> import numpy as np
    >>> from tensorgrad.testing import check_vjp
    >>> w = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> wrong = check_vjp(
    ...     lambda x: x @ w, lambda g, x: g @ w, np.ones((3, 2)), raise_on_failure=False
    ... )
    >>> wrong.fault
    'transposed'
    """
    __tracebackhide__ = True
    point = point_of("check_vjp", f, x)
    if point.nesting:
        f, vjp = point.nesting.function(f), point.nesting.derivative(vjp)
        jvp = jvp and point.nesting.pushforward(jvp)
    settings = Settings((atol, rtol), directions, largest, explain)
    f, nest = unnested(f)
    claim = VjpProblem(point.arrays, f, lambda g, *xs: vjp(nest(g), *xs))
    seed = as_seed(rng)
    result = run(claim, point, settings, seed)
    if jvp is not None and result.ok:
        _check_adjoint(result, jvp, seed)
    return raise_failure(result, raise_on_failure)


def check_model(
    model: Callable[..., Any],
    loss: Callable[..., Any],
    X: Nest,
    y: Nest,
    *,
    rng: Seed = 0,
    atol: float | None = None,
    rtol: float | None = None,
    directions: int = 8,
    largest: int = LARGEST,
    explain: bool = True,
    raise_on_failure: bool = True,
) -> Result:
    """Check the gradients of a loss in all parameters of a model.

    What is checked is an ordinary step, ``loss(model(X), y).backward()``, in float64
    and in the precision of the parameters too. Parameters, their gradients and buffers
    are afterwards what they were.

    Parameters
    ----------
    model : Module
        Of this library or of PyTorch: callable, with ``named_parameters()``. It must
        be deterministic: set dropout to evaluation.
    loss : callable
        From the output and `y` to a tensor of one number.
    X : array_like
        What the model takes; a tuple for several arguments. For a PyTorch model arrays
        become tensors.
    y : array_like
        What the loss takes besides, None where it needs nothing.
    rng, atol, rtol, directions, largest, explain, raise_on_failure : optional
        As in :func:`gradcheck`.

    Returns
    -------
    Result
        Its report names parameters as the model does, ``layers.2.weight[3, 1]``, and
        the layers in which the fault is likely to be.

    Raises
    ------
    GradientError
        If the check fails; the message is the report.
    TypeError
        If the model has no parameters, or the loss gives no tensor of one number.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> from tensorgrad.testing import check_model
    >>> model = tg.nn.Sequential(tg.nn.Dense(2, 4, rng=0), tg.tanh, tg.nn.Dense(4, 3))
    >>> X, y = np.array([[0.5, -1.0], [2.0, 0.3]]), np.array([2, 0])
    >>> check_model(model, tg.softmax_cross_entropy, X, y).verdict
    'agrees'
    """
    __tracebackhide__ = True
    wrapped = Model(model, loss, X, y)
    arrays = [p.array for p in wrapped.parameters]
    settings = Settings((atol, rtol), directions, largest, explain)
    with wrapped.borrowed():
        claim = ModelProblem(arrays, wrapped.value, wrapped.vjp)
        result = run(claim, Point(arrays, [], fixed=True), settings, as_seed(rng))
    result.names = wrapped.names
    result.last.findings += located(result, wrapped.layers())
    return raise_failure(result, raise_on_failure)


def _check_adjoint(result: Result, jvp: Callable[..., Any], seed: int) -> None:
    last = result.last

    def pushed(us: list[Array]) -> list[Array]:
        u = only(as_arguments(us))
        return as_outputs(unnested(jvp)[0](u, *as_arguments(last.problem.inputs)))

    findings = adjoint(last.problem, pushed, np.random.default_rng(seed))
    last.findings += findings
    if findings:
        result.verdict = "disagrees"
        result.diagnosed = findings[0]
