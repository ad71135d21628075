"""What works on tensors has NumPy's own name; the reference lists the rest."""

from operator import attrgetter

import numpy as np
from listed import REFERENCE

import tensorgrad as tg
from tensorgrad.core.dispatch import implementation, is_implemented


def numpy_names():
    """Return the functions of NumPy that work on tensors: exp, linalg.inv."""
    return [
        prefix + name
        for prefix, module in (("", np), ("linalg.", np.linalg))
        for name, function in sorted(vars(module).items())
        if callable(function) and name in module.__all__
        if hasattr(function, "__name__") and is_implemented(function)
    ]


NUMPY = numpy_names()
OURS = [*tg.__all__, *(f"linalg.{name}" for name in tg.linalg.__all__)]
LISTED = {name.rpartition(".")[2] for name in REFERENCE}
OTHERS = {
    *("data", "formats", "linalg", "nn", "optim", "plot", "tensor", "testing", "train"),
    "xla",
}
"""Parts of the package, and a second name of a class."""
NEWER = {"astype", "cumulative_prod", "cumulative_sum", "matvec", "unstack", "vecmat"}
"""Functions that NumPy has since 2.1 or 2.2."""


def nameless(numpy, ours):
    """Return the functions of NumPy that have no such name here."""
    return sorted(set(numpy) - set(ours))


def unlisted(ours, numpy, listed):
    """Return the names that are neither NumPy's nor in a table of the reference."""
    return sorted(set(ours) - set(numpy) - listed - OTHERS - NEWER)


def test_what_works_on_tensors_has_its_numpy_name():
    assert {"exp", "abs", "argmax", "shape", "linalg.inv", "linalg.outer"} < set(NUMPY)
    assert nameless(NUMPY, OURS) == []


def test_all_else_is_listed():
    assert unlisted(OURS, NUMPY, LISTED) == []


def test_a_name_outside_the_rule_would_be_seen():
    assert nameless(["exp", "linalg.inv"], ["exp", "inv"]) == ["linalg.inv"]
    assert unlisted(["exp", "nn", "relu", "helper"], ["exp"], {"relu"}) == ["helper"]


def calls_another(name, ours):
    """Whether NumPy's function, called on a tensor, is not the one of that name."""
    return implementation(attrgetter(name)(np)) is not attrgetter(name)(ours)


def test_it_is_what_numpy_calls_on_tensors():
    # np.where has a form of one argument, which np.nonzero has too.
    assert [name for name in NUMPY if calls_another(name, tg)] == ["where"]
    assert calls_another("sin", np)


def test_where_gives_what_numpy_gives():
    x = tg.Tensor([-1.0, 2.0])
    assert tg.where(x > 0, x, 0.0).tolist() == np.where(x > 0, x, 0.0).tolist()


def test_what_only_asks_gives_constants_and_answers():
    x = tg.Tensor([[3.0, 1.0, 2.0]], requires_grad=True)
    assert not tg.less(x, 2).requires_grad
    assert tg.argmax(x).item() == 0
    assert [i.tolist() for i in tg.nonzero(x > 1)] == [[0, 0], [0, 2]]
    assert (tg.shape(x), tg.size(x), tg.allclose(x, x)) == ((1, 3), 3, True)
    assert tg.linalg.matrix_rank(x).item() == 1
    assert tg.argmax(x.numpy()) == 0
