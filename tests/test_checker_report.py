"""The options of a check, and the report it gives."""

import json
import pickle
import sys
from copy import deepcopy
from html.parser import HTMLParser

import numpy as np
import pytest
from checks import verdict, wrong

import tensorgrad as tg
from tensorgrad.testing import check_gradient, check_vjp, gradcheck

X = np.array([0.5, -1.2, 2.0])


# Options.


@pytest.mark.parametrize("rng", [0, 7, np.int64(7), None, np.random.default_rng(3)])
def test_seed_is_in_the_report_and_repeats_the_check(rng):
    result = verdict(wrong(2.0), X, rng=rng)
    assert f"seed {result.seed}" in str(result)
    assert f"rng={result.seed}" in str(result)
    assert str(verdict(wrong(2.0), X, rng=result.seed)) == str(result)
    if isinstance(rng, int):
        assert result.seed == rng


def test_seeds_are_drawn_from_the_generator():
    generator = np.random.default_rng(3)
    seeds = [gradcheck(np.sin, X, rng=generator).seed for _ in range(3)]
    seeds += [gradcheck(np.sin, X, rng=None).seed for _ in range(3)]
    assert len(set(seeds)) == 6


def test_seed_draws_the_directions():
    def analytic(seed):
        result = gradcheck(np.sin, X, rng=seed, largest=1)
        return result.comparison.analytic

    assert (analytic(1) == analytic(1)).all()
    assert (analytic(1) != analytic(2)).all()


def test_tolerances():
    f = wrong(1.001)
    assert not verdict(f, X)
    assert verdict(f, X, rtol=0.01)
    assert verdict(f, X, atol=0.01)
    assert not verdict(f, X, rtol=1e-4)
    assert not verdict(f, X, atol=1e-4, rtol=1e-5)
    for options, passes in (({"rtol": 0.01}, True), ({"atol": 1e-5}, False)):
        result = check_gradient(
            np.sin, lambda x: 1.001 * np.cos(x), X, raise_on_failure=False, **options
        )
        assert bool(result) == passes


def test_argnums():
    f = wrong(2.0)

    def g(a, b, n):
        return a * f(b) * n

    n = np.array([1, 2, 3])
    assert gradcheck(g, X, X, n, argnums=0)
    assert gradcheck(g, X, X, n, argnums=[0])
    assert gradcheck(g, X, X, n, argnums=-3)
    assert not verdict(g, X, X, n, argnums=1)
    assert not verdict(g, X, X, n)
    with pytest.raises(TypeError, match="input 2, which is not floating point"):
        gradcheck(g, X, X, n, argnums=2)
    with pytest.raises(ValueError, match="input 3, expected one of 3"):
        gradcheck(g, X, X, n, argnums=3)


def test_order_below_one():
    with pytest.raises(ValueError, match="order must be 1 or more, got 0"):
        gradcheck(np.sin, X, order=0)


def test_inputs_that_are_tensors_keep_their_gradient():
    x = tg.Tensor(X, requires_grad=True)
    assert gradcheck(np.sin, x)
    assert x.grad is None


@pytest.mark.slow
def test_large_jacobian_is_checked_along_random_directions():
    x = np.random.default_rng(0).normal(size=(40, 30))
    result = gradcheck(np.tanh, x)
    assert result.comparison.experiment.name == "random directions"
    assert "random direction" in str(result)
    partly = verdict(
        lambda x: np.where(x > 2, wrong(1.1)(x), np.sin(x)), x, explain=False
    )
    assert not partly


@pytest.mark.slow
@pytest.mark.parametrize("at", [(0, 0), (39, 12)])
def test_of_a_large_jacobian_a_wrong_entry_is_named(at):
    x = np.random.default_rng(0).normal(size=(40, 30))

    def wrong_at(g, x):
        gradient = g * np.cos(x)
        gradient[at] += 0.01 * g[3, 4]
        return gradient

    result = check_vjp(np.sin, wrong_at, x, raise_on_failure=False)
    where = ", ".join(map(str, at))
    assert f"worst entry: d output 0[3, 4] / d input 0[{where}], " in str(result)
    right = np.cos(x[at]) if at == (3, 4) else 0.0
    assert abs(result.worst.numerical - right) <= result.worst.error
    assert result.worst.analytic == pytest.approx(right + 0.01)
    whole = check_vjp(np.sin, lambda g, x: 2 * g * np.cos(x), x, raise_on_failure=False)
    assert whole.worst.index == whole.worst.output_index
    assert whole.worst.analytic == pytest.approx(2 * whole.worst.numerical)


@pytest.mark.slow
def test_very_many_numbers_take_few_evaluations():
    x = np.random.default_rng(0).normal(size=20_000)
    right = check_vjp(np.sin, lambda g, x: g * np.cos(x), x)
    slopes = np.where(np.arange(x.size) == 777, 1.5, 1.0)

    def one_wrong(g, x):
        return g * slopes * np.cos(x)

    wrong = check_vjp(np.sin, one_wrong, x, raise_on_failure=False)
    assert (wrong.verdict, wrong.worst.index) == ("disagrees", (777,))
    assert (right.evaluations < 200, wrong.evaluations < 800) == (True, True)


@pytest.mark.parametrize("at_zero", [0.0, 1.0, 7.0, -0.1])
def test_very_many_kinks_are_told_by_a_single_entry(at_zero):
    x = np.random.default_rng(0).normal(size=10_500)
    x[::7] = 0

    def vjp(g, x):
        return g * np.where(x == 0, at_zero, x > 0)

    result = check_vjp(lambda x: np.maximum(x, 0), vjp, x, raise_on_failure=False)
    if 0 <= at_zero <= 1:
        assert result.verdict == "kink"
    else:
        assert (result.verdict, result.fault) == ("disagrees", "tie")
        assert x[result.worst.index] == 0


# The report.


def test_error_carries_the_result():
    with pytest.raises(tg.GradientError) as caught:
        tg.gradcheck(wrong(-1.0), X)
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, tg.TensorgradError)
    assert str(caught.value) == str(caught.value.result)
    assert not caught.value.result


def test_report_gives_a_smaller_input_that_fails():
    x = np.linspace(0.3, 1.7, 36).reshape(6, 6)
    result = verdict(wrong(3.0), x)
    (small,) = result.shrunk
    assert small.size < x.size
    printed = str(result).split("rng=0:")[1]
    names = {"np": np}
    exec(printed.strip(), names)
    assert np.array_equal(names["x0"], small)
    assert not verdict(wrong(3.0), small)


def test_report_fits_a_terminal():
    x = np.random.default_rng(0).normal(size=(30, 30))
    for result in (verdict(wrong(3.0), x), verdict(np.sin, x)):
        lines = str(result).splitlines()
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 80


# The report for programs, for notebooks and for pytest.


def nested_and_wrong(df=lambda p: {"w": 3 * p["w"]}):
    point = {"w": X}
    return check_gradient(
        lambda p: np.sum(p["w"] ** 2), df, point, raise_on_failure=False
    )


RESULTS = {
    "agrees": lambda: verdict(np.sin, X),
    "kink": lambda: verdict(np.absolute, [0.0, 1.0]),
    "disagrees": lambda: verdict(wrong(2.0), X),
    "of order 2": lambda: verdict(np.sin, X, order=2),
    "along directions": lambda: verdict(wrong(2.0), X, largest=1),
    "nested": nested_and_wrong,
    "shape": lambda: nested_and_wrong(lambda p: {"w": np.ones(2)}),
    "raises": lambda: nested_and_wrong(lambda p: 1 / 0),
    "not a number": lambda: nested_and_wrong(lambda p: {"w": p["w"] * np.nan}),
    "integers": lambda: verdict(np.sin, [1, 2]),
    "not finite": lambda: verdict(np.sin, [np.inf, 2.0]),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_can_be_written_as_json(name):
    result = RESULTS[name]()
    found = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert found == result.to_dict()
    assert (found["verdict"], found["ok"]) == (result.verdict, bool(result))
    assert found["diagnosis"] == result.diagnosis
    assert [tuple(x["shape"]) for x in found["inputs"]] == [
        x.shape for x in result.inputs
    ]
    if result.worst is not None:
        assert float(found["worst"]["analytic"]) == pytest.approx(
            result.worst.analytic, nan_ok=True
        )


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("copied", [lambda r: pickle.loads(pickle.dumps(r)), deepcopy])
def test_a_result_can_be_pickled_and_copied(name, copied):
    result = RESULTS[name]()
    again = copied(result)
    assert str(again) == str(result)
    assert again.to_dict() == result.to_dict()
    assert again._repr_html_() == result._repr_html_()
    assert repr(again.worst) == repr(result.worst)
    assert list(map(str, again.entries("agrees"))) == list(
        map(str, result.entries("agrees"))
    )
    error = copied(tg.GradientError(result))
    assert str(error) == str(result)
    assert str(error.result) == str(result)


class Tags(HTMLParser):
    """Checks that every tag is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


@pytest.mark.parametrize("name", RESULTS)
def test_a_notebook_shows_all_that_the_report_says(name):
    result = RESULTS[name]()
    tags = Tags()
    tags.feed(result._repr_html_())
    assert not tags.open
    shown = " ".join(tags.text.split())
    assert result.verdict in shown
    for sentence in (result.diagnosis, *result.notes, f"seed {result.seed}"):
        assert " ".join(sentence.split()) in shown
    if result.worst is not None and result.verdict != "invalid":
        assert f"{result.worst.numerical:.12g}" in shown


def test_names_and_messages_are_escaped_in_a_notebook():
    def df(p):
        raise ValueError("<script>alert(1)</script>")

    html = check_gradient(
        lambda p: np.sum(p["<b>"] ** 2), df, {"<b>": X}, raise_on_failure=False
    )._repr_html_()
    assert "<script" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;" in html


@pytest.mark.slow
def test_a_failure_shows_the_test_and_the_report_but_not_the_checker(pytester):
    pytester.makepyfile(
        """
        import numpy as np
        from tensorgrad.testing import check_gradient, check_vjp, gradcheck

        def slope(x):
            raise ZeroDivisionError("of the user")

        def test_wrong():
            check_gradient(np.sin, np.sin, np.ones(2))

        def test_raising():
            check_vjp(np.sin, lambda g, x: slope(x), np.ones(2))

        def test_tensors():
            gradcheck(lambda x: x.detach() * 2, np.ones(2))
        """
    )
    shown = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    shown.assert_outcomes(failed=3)
    shown.stdout.fnmatch_lines(["*GradientError: gradient: DISAGREES"])
    shown.stdout.fnmatch_lines(["*def slope(x):", "*ZeroDivisionError: of the user"])
    assert "check.py" not in shown.stdout.str()
    assert "_finished" not in shown.stdout.str()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437", "utf-8", "utf-16"])
def test_what_is_printed_can_be_encoded(tmp_path, monkeypatch, encoding):
    x = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    größe = np.sum(np.tanh(x @ x.T + np.eye(2)) ** 2)
    said = [verdict(np.sin, X), tg.explain(größe)]
    with (
        open(tmp_path / "out.txt", "w", encoding=encoding) as file,
        monkeypatch.context() as patch,
    ):
        patch.setattr(sys, "stdout", file)
        for told in said:
            print(told)
            print(f"{told!r}")
    printed = (tmp_path / "out.txt").read_text(encoding)
    kept = encoding.startswith("utf")
    assert ("ᵀ" in printed) == kept
    assert ("^T" in printed) == (not kept)
    assert ("+/-" in printed) == (encoding == "ascii")
    tg.explain(größe).save(tmp_path / "said.txt")
    assert "ᵀ" in (tmp_path / "said.txt").read_text("utf-8")
