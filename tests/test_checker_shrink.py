"""The report from which a person goes on, and the smallest input in it that fails."""

import numpy as np
import pytest
from checks import primitive, verdict
from tensors import normal

from tensorgrad.testing import check_vjp
from tensorgrad.testing.locate import shrink

doubled = primitive(lambda x: np.sin(x), x=lambda g, x: 2 * g * np.cos(x))


def test_report_says_what_a_person_needs():
    result = verdict(doubled, normal(3, 4), rng=7)
    worst = result.worst
    text = str(result)
    assert text.startswith("gradient: DISAGREES\n")
    assert " ".join(result.diagnosis.split()) in " ".join(text.split())
    assert (
        f"d output 0{list(worst.output_index)} / d input 0{list(worst.index)}" in text
    )
    assert f"analytic   {worst.analytic: .12g}" in text
    assert f"numerical  {worst.numerical: .12g} ± {worst.error:.1e}" in text
    assert worst.error < 1e-9 < abs(worst.analytic - worst.numerical)
    assert "rng=7" in text


def copied(result):
    """Run what the report prints, as a person would who copies it."""
    printed = str(result).split(f"rng={result.seed}:\n")[1]
    names = {"np": np, "result": result}
    exec("\n".join(line[4:] for line in printed.splitlines()), names)
    return [names[f"x{k}"] for k in range(len(result.inputs))]


def product(x, *others):
    y = doubled(x)
    for other in others:
        y = y @ other
    return y


def in_single(g, x):
    return g * (1 - np.tanh(x) ** 2) * (1 + (x.dtype == np.float32))


FAILING = {
    "a matrix": (product, [(3, 4)], {}),
    "a number": (product, [()], {}),
    "a vector": (product, [(40,)], {}),
    "a large matrix": (lambda x: doubled(x).sum(axis=0), [(100, 100)], {}),
    "three inputs": (product, [(5, 6), (6, 7), (7, 5)], {}),
    "an empty one too": (lambda x, y: doubled(x) * 1 + y.sum(), [(3,), (0, 2)], {}),
    "second order": (product, [(3, 3), (3, 2)], {"order": 2}),
    "along directions": (product, [(30, 3)], {"largest": 10}),
}


@pytest.mark.parametrize("name", FAILING)
def test_printed_input_reproduces_the_failure(name):
    f, shapes, options = FAILING[name]
    inputs = [normal(*shape, seed=k) for k, shape in enumerate(shapes)]
    result = verdict(f, *inputs, rng=7, **options)
    with np.printoptions(precision=2, threshold=3, suppress=True):
        again = verdict(f, *copied(result), rng=7, **options)
    assert again.verdict == "disagrees"
    assert again.fault == result.fault == "factor"


def test_printed_input_is_of_the_same_precision():
    f = primitive(lambda x: np.tanh(x), x=in_single)
    result = verdict(f, normal(3).astype(np.float32))
    (x,) = copied(result)
    assert x.dtype == np.float32
    assert verdict(f, x).fault == result.fault == "float32"


def fussy(x):
    """Take no other shape, so that nothing smaller fails."""
    return doubled(x).reshape(40) if np.size(x) == 40 else np.zeros((0, 0)).sum(axis=3)


def test_report_fits_a_terminal():
    several = [normal(8, 5, seed=k) for k in range(4)]
    results = [
        verdict(doubled, normal(8, 5)),
        verdict(fussy, normal(8, 5)),
        verdict(lambda a, b, c, d: doubled(a) + b * c * d, *several),
        verdict(lambda a: doubled(a), 1e-200 * normal(8, 5)),
        check_vjp(
            lambda x: x @ x.T,
            lambda g, x: g @ x,
            normal(8, 5),
            raise_on_failure=False,
        ),
    ]
    for result in results:
        lines = str(result).splitlines()
        assert not result
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 80


# The smallest input that fails.


def test_shrink_shortens_and_rounds_as_far_as_it_fails():
    x, y = normal(6, 5), normal(5, seed=1)

    def fails(inputs):
        a, b = inputs
        return a.shape[0] >= 2 and a.shape[1] == len(b) and abs(b[0]) > 0.2

    small, other = shrink([x, y], fails)
    assert small.shape == (2, 1)
    assert other.shape == (1,)
    assert other == np.round(y[0], 1)
    assert fails([small, other])


def test_shrink_keeps_what_nothing_smaller_fails():
    x = normal(4)
    (same,) = shrink([x], lambda inputs: np.array_equal(inputs[0], x))
    assert np.array_equal(same, x)


def test_shrink_tries_no_more_than_it_may():
    tried = []

    def fails(inputs):
        tried.append(inputs)
        return False

    shrink([normal(50, 40)], fails, most=9)
    assert len(tried) == 9
