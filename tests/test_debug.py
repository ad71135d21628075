"""Debug mode: what makes NaN and infinity; and where NumPy's own warnings point."""

import warnings
from contextlib import nullcontext

import numpy as np
import pytest
from tensors import leaf

import tensorgrad as tg

HERE = r"test_debug\.py:\d+ in "


pytestmark = pytest.mark.filterwarnings("default::RuntimeWarning")


def raised(function, *args):
    with tg.debug(), np.errstate(all="ignore"), pytest.raises(tg.NonFiniteError) as e:
        function(*args)
    return str(e.value)


def test_the_error_is_one_of_ours_and_of_pythons():
    assert issubclass(tg.NonFiniteError, tg.TensorgradError)
    assert issubclass(tg.NonFiniteError, FloatingPointError)


def test_a_forward_is_named_with_line_element_and_ranges():
    x = leaf([[4.0, 1.0, 0.0], [2.0, 0.0, 3.0]])
    text = raised(lambda: np.log(x * 2.0))
    assert text.startswith("log, called at ")
    assert "test_debug.py" in text
    assert "made -inf at index (0, 2) (2 of 6 entries) out of finite numbers" in text
    assert "of shape (2, 3) and dtype float64, 0.0 to 8.0 and 0.0 there" in text


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: np.log(x), "log"),
        (lambda x: np.sqrt(x - 10.0), "sqrt"),
        (lambda x: 1.0 / x, "divide"),
        (lambda x: np.exp(x * 1e6), "exp"),
        (lambda x: (x * 1e200) * (x * 1e200), "multiply"),
        (lambda x: (x * 1e200) @ (x * 1e200), "matmul"),
        (lambda x: np.concatenate([np.log(x), x]), "log"),
        (lambda x: tg.softmax_cross_entropy((x / x)[None], [0]), "divide"),
    ],
)
@pytest.mark.parametrize("kind", ["leaf", "constant", "no_grad"])
def test_the_first_operation_is_named(function, name, kind):
    x = tg.Tensor([0.0, 2.0], requires_grad=kind != "constant")

    def run():
        if kind == "no_grad":
            with tg.no_grad():
                function(x).sum()
        else:
            function(x).sum()

    assert raised(run).startswith(f"{name}, called at ")


def test_what_was_not_finite_before_is_not_the_first():
    x = leaf([np.nan, np.inf, 1.0])
    with tg.debug(), np.errstate(all="ignore"):
        y = (np.log(x) * x - x).sum()
        np.where([True, False, True], leaf([1.0, 2.0, 3.0]), -np.inf).max()
        y.backward()
    assert np.isnan(x.grad.numpy()[0])


def test_finite_programs_run():
    x = leaf([1.0, 2.0])
    with tg.debug():
        y = (np.exp(x) @ x).sum()
        y.backward(create_graph=True)
        (x.grad * x).sum().backward()
        whole, part = np.modf(x)
        (whole + part).sum().backward()


def test_it_can_be_switched_off():
    x = leaf([0.0, 1.0])
    with tg.debug(nan=False), np.errstate(all="ignore"):
        np.log(x).sum().backward()
    assert np.isinf(x.grad.numpy()[0])
    with tg.debug(), np.errstate(all="ignore"):
        with tg.debug(nan=False):
            y = np.log(x)
        with pytest.raises(tg.NonFiniteError):
            np.log(x)
    y.sum().backward()


# Backward.


@pytest.mark.parametrize("inside", ["forward", "backward", "both"])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_is_named_with_the_line_of_its_forward(inside, create_graph):
    x = leaf([4.0, 0.0])

    def forward():
        return np.sqrt(x) * 3.0

    def backward(y):
        y.sum().backward(create_graph=create_graph)

    def run():
        with tg.debug() if inside != "backward" else nullcontext():
            y = forward()
        with tg.debug() if inside != "forward" else nullcontext():
            backward(y)

    with pytest.raises(tg.NonFiniteError) as error:
        run()
    text = str(error.value)
    assert text.startswith("the gradient of sqrt, called at ")
    assert " in forward, is inf at index (1,) (1 of 2 entries)" in text
    assert "the incoming gradient of shape (2,) and dtype float64, 3.0 to 3.0" in text


def test_gradients_that_overflow_as_they_add_up():
    x = leaf([1e-300])
    h = x * 1.0
    with tg.debug(), pytest.raises(tg.NonFiniteError, match="result of multiply.*add"):
        (h * 1e308 + h * 1e308).backward([1.0])
    with tg.debug(), pytest.raises(tg.NonFiniteError, match=r"tensor of shape \(1,\)"):
        (x * 1e308 + x * 1e308).backward([1.0])


def test_gradients_that_overflow_as_they_are_cast():
    x = leaf([1.0], np.float32)
    with tg.debug(), pytest.raises(tg.NonFiniteError, match="gradient of multiply"):
        (x * np.array([1e300])).backward([1.0])


def test_a_slope_that_does_not_matter_is_not_named():
    x = leaf([0.0, 4.0])
    with tg.debug():
        y = np.where(np.array([False, True]), np.sqrt(x), 0.0).sum()
        y.backward(create_graph=True)
    np.testing.assert_array_equal(x.grad.numpy(), [0.0, 0.25])


def test_a_seed_that_is_not_finite_is_the_callers():
    x = leaf([1.0])
    with tg.debug():
        (x * 2.0 + x).backward([np.inf])
    assert np.isinf(x.grad.numpy()[0])


def test_the_gradient_of_a_transform_is_named():
    with tg.debug(), pytest.raises(tg.NonFiniteError, match="gradient of sqrt"):
        tg.grad(lambda t: np.sum(np.sqrt(t)))(np.array([0.0, 1.0]))


def test_several_outputs_and_residuals_are_asked():
    @tg.primitive(multiple=True)
    def both(x):
        return x * 2.0, 1.0 / x

    both.vjp(x=lambda g, x: g[0] * 2.0 - g[1] / x**2)
    assert raised(lambda: both(leaf([0.0, 1.0]))).startswith("both, called at")
    x = leaf([1e-200, 1.0])
    with tg.debug(), pytest.raises(tg.NonFiniteError, match="gradient of both"):
        both(x)[1].sum().backward()


# Warnings point to the line that asked.


def warned(function, *args):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        function(*args)
    return found


def line_of(function):
    return function.__code__.co_firstlineno + 1


def a_log(x):
    return np.log(x)


def an_operator(x):
    return 1.0 / x


def a_method(x):
    return (x - 1.0).mean() / x.min()


def a_norm(x):
    return np.linalg.norm(x * 1e200, 3)


def a_layer(x):
    return tg.dense(x[None] * 1e308, np.full((2, 1), 1e308), np.ones(1))


@pytest.mark.parametrize("kind", ["leaf", "constant"])
@pytest.mark.parametrize("function", [a_log, an_operator, a_method, a_norm, a_layer])
def test_a_warning_is_of_the_users_line(function, kind):
    x = tg.Tensor([0.0, 1.0], requires_grad=kind == "leaf")
    found = warned(function, x)
    assert found
    for w in found:
        assert issubclass(w.category, RuntimeWarning)
        assert (w.filename, w.lineno) == (__file__, line_of(function))


def test_a_warning_of_a_step_is_of_its_line():
    p = leaf([1.0])
    optimizer = tg.optim.Adam([p])
    p.grad = [1e300]
    (w,) = {(w.filename, w.lineno) for w in warned(optimizer.step)}
    assert w[0] == __file__


def test_a_step_is_recorded_while_a_graph_of_debug_mode_is_alive():
    x = leaf([1.0, 2.0])
    with tg.debug():
        alive = np.sum(x * x)
    w = leaf([1.0, 2.0])

    @tg.compile(fused=False)
    def step(x):
        w.grad = None
        np.sum(w * x).backward()
        return w.grad

    for i in range(3):
        np.testing.assert_array_equal(step(np.full(2, i)).numpy(), np.full(2, i))
    alive.backward()


@pytest.mark.parametrize("function", [a_log, an_operator, a_method, a_norm])
def test_a_warning_of_a_replay_is_of_the_users_line(function):
    step = tg.compile(function, fused=False)
    for _ in range(2):
        warned(step, np.ones(2))
    found = warned(step, np.array([0.0, 1.0]))
    assert found
    assert {(w.filename, w.lineno) for w in found} == {(__file__, line_of(function))}
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module=__name__)
        with pytest.raises(RuntimeWarning):
            step(np.array([0.0, 1.0]))


def test_filters_see_the_users_module_and_line():
    x = leaf([0.0, 1.0])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", module=__name__)
        np.log(x)
    assert not found
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.filterwarnings("error", module=__name__)
        with pytest.raises(RuntimeWarning, match="divide by zero"):
            np.log(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="divide by zero"):
            np.log(x)


def test_each_line_warns_once():
    x = leaf([0.0, 1.0])
    globals().pop("__warningregistry__", None)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for _ in range(3):
            np.log(x)
            np.log(x)
    assert len({w.lineno for w in found}) == len(found) == 2
    globals().pop("__warningregistry__", None)


def test_numpys_error_state_is_the_users():
    x = leaf([0.0, 1.0])
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        np.log(x)
    assert not warned(ignoring, x)
    calls = []
    with np.errstate(divide="call", call=lambda *a: calls.append(a)):
        np.log(x)
    assert len(calls) == 1


def ignoring(x):
    with np.errstate(all="ignore"):
        np.log(x)


def test_warnings_of_others_are_left_alone():
    def plain():
        np.log(np.zeros(1))

    (w,) = warned(plain)
    assert (w.filename, w.lineno) == (__file__, line_of(plain))
    (w,) = warned(lambda: np.mean(np.zeros(0)[:0], axis=0, where=False) and None)[:1]
    assert "numpy" in w.filename
