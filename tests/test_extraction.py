"""Values that Python and NumPy take out of tensors: no gradient is lost by it."""

import logging
import math
import operator
import struct
from math import log as logarithm

import numpy as np
import pytest
from tensors import leaf

import tensorgrad as tg


def message(function):
    with pytest.raises(TypeError) as raised:
        function()
    return str(raised.value)


def test_the_message_names_the_line_and_the_remedy():
    t = leaf(1.5)

    def fit():
        return float(t)  # this one

    line = fit.__code__.co_firstlineno + 1
    said = message(fit)
    assert said.startswith(f"{__file__}:{line} in fit: float(), or a function that")
    for remedy in ("t.item()", "np.stack", "tg.index_update"):
        assert remedy in said
    assert "\n" not in said


def test_a_function_of_math_is_named_with_its_counterpart():
    t = leaf(0.5)
    assert "math.exp takes" in message(lambda: 2 * math.exp(t))
    assert "use np.log, which" in message(lambda: logarithm(math.pi + t * t))
    assert "use np.sqrt, which" in message(lambda: abs(math.sqrt(t if t > 0 else -t)))
    assert "use np.sum, which" in message(lambda: math.fsum([t, t]))
    assert "use np.trunc, which" in message(lambda: math.trunc(t))
    assert "use tg.erf, which" in message(lambda: math.erf(t))
    assert "math.remainder takes" in message(lambda: math.remainder(t, 1))
    assert "np.remainder" not in message(lambda: math.remainder(t, 1))


@pytest.mark.parametrize(
    "function",
    [
        lambda t: float(math.cos(0) * t),
        lambda t: [*map(math.exp, [t])],
        lambda t: (math.exp if t > 0 else math.log)(t),
        lambda t: [math.pi, float(t)],
    ],
)
def test_no_function_of_math_is_named_where_that_is_not_certain(function):
    said = message(lambda: function(leaf(1.5)))
    assert "float()" in said
    assert "math" not in said


def test_a_function_that_takes_the_value_is_named():
    t = leaf(1.5)
    assert "numpy.interp takes" in message(lambda: np.interp(0, [1, 2], [3, 4], left=t))
    assert "numpy.full takes" in message(lambda: np.full(3, t))
    assert "numpy.float64 takes" in message(lambda: np.float64(t))
    chebyshev = np.polynomial.Chebyshev
    assert "numpy.polynomial.Chebyshev takes" in message(lambda: chebyshev([t, 1.0]))
    assert "use np.isclose, which takes" in message(lambda: math.isclose(t, 1.0))
    special = pytest.importorskip("scipy.special")
    said = message(lambda: special.logsumexp(t))
    assert "scipy.special.logsumexp takes" in said
    assert "use tg.logsumexp, which" in said


def test_a_ufunc_from_elsewhere_is_named_with_its_counterpart():
    special = pytest.importorskip("scipy.special")
    t = leaf(0.5)
    for name, instead in (
        ("erf", "tg.erf"),
        ("expit", "tg.sigmoid"),
        ("log1p", "np.log1p"),
        ("gammaln", ""),
        ("psi", ""),
    ):
        function = getattr(special, name)
        said = message(lambda f=function: f(t))
        assert said.startswith(f"scipy.special.{name} has no rule")
        assert (f"use {instead}," if instead else "tensorgrad.primitive") in said
    own = np.frompyfunc(abs, 1, 1)
    assert message(lambda: own(t)).startswith("abs (vectorized) has no rule")


def test_the_line_is_the_users_where_a_library_takes_the_value():
    from statistics import NormalDist

    assert "test_extraction.py" in message(lambda: NormalDist(leaf(1.5), 1.0))


def test_what_asks_for_the_number_in_so_many_words_gets_it(caplog):
    t = leaf(1.5)
    assert t.item() == t.numpy()[()] == t.tolist() == 1.5
    assert f"{t:.2f} {t * 2:5.1f}" == "1.50   3.0"
    assert "{:.1e}".format(t) == "1.5e+00"  # noqa: UP032
    assert "%.2f" % t == "1.50"  # noqa: UP031
    text = "%.1f, %d"
    text %= (t, t)
    assert text == "1.5, 1"
    assert operator.mod("%.2f", t) == "1.50"
    assert operator.imod("%d", t) == "1"
    logging.getLogger("fit").info("loss %.2f", t)
    assert caplog.messages == ["loss 1.50"]
    assert t > 1
    assert 2 - t
    assert str(t) == "Tensor(1.5, requires_grad=True)"


def test_where_nothing_is_recorded_a_tensor_is_a_number():
    t = leaf(1.5)
    for free in (t.detach(), tg.Tensor(1.5)):
        assert float(free) == math.sqrt(free * free) == complex(free) == 1.5
        assert math.trunc(free) == int(free) == 1
        assert struct.pack("d", float(free))
    with tg.no_grad():
        assert float(t) == np.asarray(t) == tg.Tensor([t, t])[1].item() == 1.5
    with pytest.raises(ValueError, match="one element"):
        float(tg.Tensor([1.0, 2.0]))


def test_writing_into_an_array_raises():
    t, y = leaf(1.5), np.zeros(3)

    def write():
        y[0] = t

    # NumPy has words of its own, and ours are the cause.
    with pytest.raises(ValueError, match="array element") as raised:
        write()
    assert "np.stack" in str(raised.value.__cause__)
    assert not y.any()


def test_a_tensor_of_tensors_that_need_a_gradient_is_refused():
    x = leaf(1.5)
    for data in (x, [x, 2 * x], [[x], (x,)]):
        assert "tg.Tensor takes" in message(lambda data=data: tg.Tensor(data))


class TestPrimitives:
    """A tensor that no rule knows of is refused, wherever a forward gets it from."""

    x = tg.Tensor([1.0, 2.0], requires_grad=True)

    @staticmethod
    def scaled_by(find, **options):
        @tg.primitive(**options)
        def op(x, more=None):
            y = x * find(more)
            return (y, y) if options else y

        op.vjp(x=lambda g, more: g[0] if options else g)
        return op

    @pytest.mark.parametrize("x", [x, x.detach(), np.ones(2)])
    def test_within_a_list_or_a_tuple(self, x):
        op = self.scaled_by(lambda more: more[0])
        for more in ([leaf(1.5)], (leaf(1.5),), (1.0, (leaf(1.5),))):
            with pytest.raises(TypeError, match="takes the value out"):
                op(x, more)
        assert np.sum(op(x, (leaf(1.5).detach(),)) - op(x, (1.5,))) == 0

    @pytest.mark.parametrize("x", [x, x.detach()])
    @pytest.mark.parametrize("options", [{}, {"multiple": True}])
    def test_from_outside(self, x, options):
        w = leaf(1.5)
        op = self.scaled_by(lambda more: w if more is None else more["w"], **options)
        for more in (None, {"w": w}):
            with pytest.raises(TypeError, match="op: the forward returned a Tensor"):
                op(x, more)

    def test_as_an_argument_without_a_rule(self):
        op = self.scaled_by(lambda more: more)
        with pytest.raises(TypeError, match="no gradient rule for argument 'more'"):
            op(self.x, leaf(1.5))
        with pytest.raises(TypeError, match="no gradient rule for argument 'more'"):
            op(np.ones(2), more=leaf(1.5))

    def test_as_a_keyword_of_many_operands(self):
        @tg.primitive
        def total(*xs, scale=1.0):
            return sum(xs) * scale

        total.vjp(xs=lambda i, g, scale: g * scale)
        for scale in (leaf(1.5), (leaf(1.5),)):
            with pytest.raises(TypeError, match="takes the value out"):
                total(self.x, self.x, scale=scale)
        assert total(self.x, self.x, scale=leaf(1.5).detach()).tolist() == [3.0, 6.0]
