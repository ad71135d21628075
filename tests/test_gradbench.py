"""The tool for GradBench answers its protocol, with the derivatives of its evals."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg
from benchmarks.gradbench import (
    ba,
    descent,
    det,
    gmm,
    ht,
    kmeans,
    llsq,
    lse,
    lstm,
    ode,
    particle,
    saddle,
)
from benchmarks.gradbench.function import chosen
from benchmarks.gradbench.run import EVALS, functions, response

ROOT = Path(__file__).resolve().parents[1]
BONES = 22


def uniform(*shape):
    return np.random.default_rng(len(shape)).random(shape).tolist()


def hand(us=True):
    """Return a message with a hand of five vertices."""
    model = {
        "parents": [-1, 0, 1, *[0] * (BONES - 3)],
        "base_relatives": uniform(BONES, 4, 4),
        "inverse_base_absolutes": uniform(BONES, 4, 4),
        "base_positions": uniform(5, 4),
        "weights": uniform(5, BONES),
        "triangles": [[0, 1, 2], [2, 3, 4]],
        "is_mirrored": True,
    }
    data = {"model": model, "correspondences": [1, 0, 1], "points": uniform(3, 3)}
    return {"theta": uniform(26), "data": data, "us": uniform(3, 2) if us else []}


MESSAGES = {
    "hello": ("double", 3.0),
    "lse": ("gradient", {"x": uniform(4), "min_runs": 3, "min_seconds": 0}),
    "llsq": ("gradient", {"x": uniform(4), "n": 7}),
    "kmeans": ("dir", {"points": uniform(9, 2), "centroids": uniform(9, 2)[-3:]}),
    "ode": ("gradient", {"x": uniform(4), "s": 3}),
    "det": ("gradient", {"A": uniform(16), "ell": 4}),
    "gmm": (
        "jacobian",
        {
            "x": uniform(6, 3),
            "alpha": uniform(2),
            "mu": uniform(2, 3),
            "q": uniform(2, 3),
            "l": uniform(2, 3),
            "m": 1,
            "gamma": 1.5,
        },
    ),
    "lstm": (
        "jacobian",
        {
            "main_params": uniform(4, 8),
            "extra_params": uniform(3, 2),
            "state": uniform(4, 2),
            "sequence": uniform(3, 2),
        },
    ),
    "ba": (
        "jacobian",
        {
            "n": 2,
            "m": 3,
            "p": 4,
            "cam": uniform(11),
            "x": [0.3, 0.1, 4.0],
            "w": 0.7,
            "feat": [0.2, 0.5],
        },
    ),
    "ht": ("jacobian", hand()),
    "particle": ("rr", {"w": 0.2071918}),
    "saddle": ("rf", {"start": [0.1, 0.1]}),
}


def differences(f, x):
    """Return the Jacobian of `f` by central differences."""
    steps = 1e-6 * np.eye(x.size).reshape(x.size, *x.shape)
    return np.stack([(f(x + h) - f(x - h)) / 2e-6 for h in steps], -1)


def outcome(name, mode="eager"):
    """Return arguments and output of a function of an eval."""
    function, message = MESSAGES[name]
    found = functions({"module": name})[function]
    return found.arguments(message), found.run(message, mode)["output"]


def test_each_eval_has_a_message_here():
    assert [*EVALS] == sorted(MESSAGES)


@pytest.mark.parametrize(
    ("name", "primal"),
    [
        ("lse", lse.log_sum_exp),
        ("llsq", llsq.squares),
        ("ode", lambda x, s: ode.solution(x, s)[-1]),
        ("det", det.determinant),
    ],
    ids=["lse", "llsq", "ode", "det"],
)
def test_the_gradient_of_one_array_is_that_of_differences(name, primal):
    (x, *others), gradient = outcome(name)
    expected = differences(lambda x: primal(x, *others), x)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_the_gradient_of_a_mixture_is_that_of_differences():
    (parameters, *data), gradients = outcome("gmm")
    for name, gradient in gradients.items():
        expected = differences(
            lambda x, name=name: gmm.log_posterior({**parameters, name: x}, *data),
            parameters[name],
        )
        np.testing.assert_allclose(np.ravel(gradient), expected, rtol=1e-6)


def test_the_gradient_of_the_memory_is_that_of_differences():
    ((layers, extra), *data), gradient = outcome("lstm")
    expected = [
        differences(lambda x: lstm.loss((x, extra), *data), layers),
        differences(lambda x: lstm.loss((layers, x), *data), extra),
    ]
    np.testing.assert_allclose(gradient, np.concatenate(expected), rtol=1e-5, atol=1e-9)


def test_what_runs_often_is_replayed_and_what_runs_once_is_not():
    ways = [
        chosen("auto", partial(sum, ()), 1, 1.0),
        chosen("auto", partial(sum, ()), 200, 0.0),
        chosen("auto", partial(sum, ()), 5, 0.0),
        chosen("kernels", partial(sum, ()), 1, 0.0),
    ]
    assert ways == ["replay", "replay", "eager", "kernels"]


@pytest.mark.parametrize("mode", ["replay", "kernels"])
def test_a_compiled_gradient_is_that_of_the_eager_one(mode):
    if mode == "kernels":
        pytest.importorskip("llvmlite")
    np.testing.assert_allclose(outcome("lse", mode)[1], outcome("lse")[1], rtol=1e-14)


def test_the_determinant_is_numpys():
    (a,), _ = outcome("det")
    np.testing.assert_allclose(det.determinant(a), np.linalg.det(a), rtol=1e-12)


def test_newtons_step_takes_each_centroid_to_the_mean_of_its_points():
    (points, centroids), step = outcome("kmeans")
    nearest = np.argmin(np.sum((points[:, None] - centroids) ** 2, 2), 1)
    means = [points[nearest == k].mean(0) for k in range(len(centroids))]
    np.testing.assert_allclose(centroids - step, means, rtol=1e-12)
    apart = np.sum((points - centroids[nearest]) ** 2)
    np.testing.assert_allclose(kmeans.cost(points, centroids), apart)


def test_the_sparse_jacobian_is_that_of_differences():
    (cameras, points, weights, *seen), _ = outcome("ba")
    rows, columns, own, values, by_weight = ba.jacobian(cameras, points, weights, *seen)
    whole = np.zeros((12, cameras.size + points.size + weights.size))
    columns = np.concatenate([np.repeat(columns, 2, 0).ravel(), own])
    lines = np.repeat(np.arange(12), np.diff(rows))
    whole[lines, columns] = np.concatenate([values.ravel(), by_weight])

    def errors(x):
        parts = np.split(x, [cameras.size, cameras.size + points.size])
        cameras_, points_ = parts[0].reshape(-1, 11), parts[1].reshape(-1, 3)
        errors = ba.objective(cameras_, points_, parts[2], *seen)
        return np.concatenate([np.ravel(e) for e in errors])

    x = np.concatenate([np.ravel(a) for a in (cameras, points, weights)])
    np.testing.assert_allclose(whole, differences(errors, x), rtol=1e-5, atol=1e-8)


def test_a_rotation_by_nothing_is_none_and_has_a_derivative():
    x = np.array([1.0, 2.0, 3.0])
    rotated = partial(ba.rotated, x=x)
    np.testing.assert_array_equal(rotated(np.zeros(3)), x)
    expected = differences(rotated, np.zeros(3))
    np.testing.assert_allclose(tg.jacobian(rotated)(np.zeros(3)), expected, atol=1e-9)


@pytest.mark.parametrize("us", [True, False], ids=["complicated", "simple"])
def test_the_jacobian_of_the_hand_is_that_of_differences(us):
    found = functions({"module": "ht"})["jacobian"]
    theta, places, *others = found.arguments(hand(us))
    jacobian = ht.jacobian(theta, places, *others)
    angles = differences(lambda x: ht.errors(x, places, *others), theta)
    np.testing.assert_allclose(jacobian[:, -26:], angles, rtol=1e-4, atol=1e-6)
    if us:
        own = differences(lambda x: ht.errors(theta, x, *others), places)
        blocks = [own[3 * i : 3 * i + 3, 2 * i : 2 * i + 2] for i in range(3)]
        expected = np.concatenate(blocks)
        np.testing.assert_allclose(jacobian[:, :2], expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("inner", "rf")
@pytest.mark.parametrize("outer", "rf")
def test_a_derivative_within_a_derivative_is_that_of_differences(
    outer, inner, monkeypatch
):
    monkeypatch.setattr(particle, "STEP", 2.0)
    missed = partial(particle.missed, descent.GRADIENTS[inner])
    w = np.array([0.3])
    expected = differences(missed, w)
    np.testing.assert_allclose(descent.GRADIENTS[outer](missed)(w), expected, rtol=1e-6)


def test_descent_finds_the_least_and_the_greatest():
    def bowl(x):
        return 1e3 * np.sum((x - 1) ** 2)

    low = descent.least(tg.grad, bowl, np.zeros(2))
    high = descent.greatest(tg.grad, lambda x: -bowl(x), np.zeros(2))
    np.testing.assert_allclose(low, 1, atol=1e-4)
    np.testing.assert_array_equal(low, high)


def test_the_saddle_is_a_maximum_within_a_minimum(monkeypatch):
    def height(x, y):
        return 3e4 * (np.sum((x - 1) ** 2) - np.sum((y - 2) ** 2))

    monkeypatch.setattr(saddle, "height", height)
    found = saddle.saddle("r", "f", np.zeros(2))
    np.testing.assert_allclose(found, [1, 1, 2, 2], atol=1e-4)


def message(name):
    function, input = MESSAGES[name]
    return {"kind": "evaluate", "module": name, "function": function, "input": input}


def test_the_tool_answers_over_pipes():
    messages = [
        {"id": 0, "kind": "start"},
        {"id": 1, "kind": "define", "module": "lse"},
        *({"id": 2, **message(name)} for name in MESSAGES),
        {"id": 3, "kind": "analysis", "of": 2, "valid": True},
    ]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "gradbench" / "run.py"],
        input="\n".join(map(json.dumps, messages)),
        capture_output=True,
        text=True,
        check=True,
    )
    start, define, *evaluated, analysis = map(json.loads, done.stdout.splitlines())
    assert start == {"id": 0, "tool": "tensorgrad", "config": {"mode": "auto"}}
    assert define == {"id": 1, "success": True}
    assert analysis == {"id": 3}
    for name, answer in zip(MESSAGES, evaluated, strict=True):
        assert answer["success"], answer
        assert len(answer["timings"]) == (3 if name == "lse" else 1)
    assert evaluated[0]["output"] == 6.0
    assert evaluated[1]["output"] == outcome("lse")[1]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "JSONDecodeError: "),
        ("[]", "expected a message that is a JSON object"),
        ('{"kind": "define", "module": "os"}', "expected as module one of ba, det"),
        (
            '{"kind": "evaluate", "module": "lse", "function": "f"}',
            "expected as function one of primal, gradient, got 'f'",
        ),
        (
            '{"kind": "evaluate", "module": "lse", "function": "primal", "input": {}}',
            "expected an input with the field 'x', got none of that name",
        ),
        (
            '{"kind": "evaluate", "module": "lse", "function": "primal", '
            '"input": {"x": "a"}}',
            "ValueError: could not convert string to float",
        ),
    ],
    ids=["json", "object", "module", "function", "field", "value"],
)
def test_what_cannot_be_answered_gets_a_sentence(line, sentence):
    answer = response(line, "eager")
    assert answer["success"] is False
    assert answer["error"].startswith(sentence)
    assert "\n" not in answer["error"]


EVAL = """
import json

def ask(**message):
    print(json.dumps(message), flush=True)
    return json.loads(input())

ask(id=0, kind="start")
ask(id=1, kind="define", module="lse")
x = {"x": [0.0, 0.0], "min_runs": 4, "min_seconds": 0}
answer = ask(id=2, kind="evaluate", module="lse", function="gradient", input=x)
ask(id=3, kind="analysis", of=2, valid=answer["output"] == [0.5, 0.5])
"""
WRONG = """
import json, sys

for line in sys.stdin:
    run = {"name": "evaluate", "nanoseconds": 5000}
    answer = {"success": True, "output": 0, "timings": [run]}
    print(json.dumps({"id": json.loads(line)["id"], **answer}), flush=True)
"""


def test_tools_are_compared_and_a_wrong_one_is_named(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "gradbench" / "compare.py"]
    for name, text in {"eval": EVAL, "wrong": WRONG, "gone": "input()"}.items():
        (tmp_path / name).write_text(text)
    for name in ("wrong", "gone"):
        command += ["--tool", f"{name}={sys.executable} {name}"]
    command += ["--eval", f"small={sys.executable} eval", "--output", "figures"]
    done = subprocess.run(
        [*command, "--mode", "eager", "--rounds", "1", "--root", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    head, row, problem = done.stdout.splitlines()
    assert head.split() == ["eval", "eager", "wrong", "gone"]
    assert row.split()[:2] == ["small", "gradient"]
    assert row.split()[3:] == ["(1.00)", "-", "-"]
    assert problem.split() == ["small", "gradient", "wrong", "invalid"]
    figures = json.loads((tmp_path / "figures").read_text())
    assert [f["tool"] for f in figures] == ["eager", "wrong"]
    assert figures[1]["seconds"] == [5e-6]
