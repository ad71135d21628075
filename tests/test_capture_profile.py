"""``step.profile``: where the time of a replayed step goes."""

import re

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.capture import Profile
from tensorgrad.core.errors import CaptureError


def descent(**options):
    """Return a step of gradient descent, and the parameter it changes."""
    w = tg.Tensor(np.full((3, 2), 0.5), requires_grad=True)
    optimizer = tg.optim.SGD([w], lr=0.1)

    def step(x):
        loss = np.tanh(x @ w).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return tg.compile(step, **options), w


X = np.linspace(-1, 1, 12).reshape(4, 3)


def replayed(step):
    """Return the calls of what the step replays."""
    (capture,) = step._captures.values()
    return capture.replay.program.calls


def check_each_call_once(step, profile):
    """Assert that the rows are all calls of the step, and their times its time."""
    assert isinstance(profile, Profile)
    assert sum(row.calls for row in profile.rows) == len(replayed(step))
    assert sum(row.share for row in profile.rows) == pytest.approx(1)
    assert sum(row.seconds for row in profile.rows) == pytest.approx(profile.seconds)
    assert [row.seconds for row in profile.rows] == sorted(
        (row.seconds for row in profile.rows), reverse=True
    )
    assert {"arguments and checks", "results"} <= {row.name for row in profile.rows}


def test_every_call_is_in_one_row():
    step, _ = descent(fused=False)
    profile = step.profile(X)
    check_each_call_once(step, profile)
    rows = {row.name: row for row in profile.rows}
    assert rows["matmul"].is_product
    assert rows["matmul"].nbytes == X.nbytes + 6 * 8 + 8 * 8
    assert rows["matmul"].line.startswith("test_capture_profile.py:")
    assert not rows["tanh"].is_product
    products = [row for row in profile.rows if row.is_product]
    assert len(products) == 2
    assert profile.products == pytest.approx(sum(row.share for row in products))
    assert profile.nbytes == sum(row.nbytes for row in profile.rows)


def test_kernels_are_rows():
    pytest.importorskip("llvmlite")
    step, _ = descent(fused=True)
    profile = step.profile(X)
    check_each_call_once(step, profile)
    names = [row.name for row in profile.rows]
    assert any(name.startswith("kernel of ") for name in names)
    (line,) = {row.line.split(":")[0] for row in profile.rows if row.line}
    assert line == "test_capture_profile.py"


@pytest.mark.parametrize("before", [0, 1, 2, 5])
def test_the_step_is_done_as_often_as_is_said(before):
    step, w = descent(fused=False)
    eager, expected = descent()
    for _ in range(before):
        step(X)
    step.profile(X, calls=7)
    # Recorded in the first two calls, and done once more to warm up.
    warm = max(2 - before, 1) + 1
    for _ in range(before + warm + 7):
        eager.step(X)
    np.testing.assert_array_equal(w.numpy(), expected.numpy())
    np.testing.assert_array_equal(step(X), eager.step(X).numpy())


def test_a_line_and_its_calls_are_one_row():
    def step(x):
        for _ in range(40):
            x = np.tanh(x)
        return x

    profile = tg.compile(step, fused=False).profile(np.ones(3))
    (row,) = [row for row in profile.rows if row.name == "tanh"]
    assert row.calls == 40
    assert row.nbytes == 40 * 2 * 24


def test_it_prints_as_a_table():
    step, _ = descent(fused=False)
    text = repr(step.profile(X, calls=3))
    title, head, *rows = text.splitlines()
    assert re.match(r"[\d,.]+ us a step, \d+% of it in matrix products; ", title)
    assert title.endswith("(3 steps)")
    assert head.split() == ["time", "share", "calls", "bytes", "line", "call"]
    assert all(re.match(r" +[\d,.]+ us +[\d.]+%", row) for row in rows)


def test_a_long_table_ends_with_a_sum():
    lines = "\n".join(f"    x = np.sin(x + {n})" for n in range(60))
    scope = {"np": np}
    exec(compile(f"def step(x):\n{lines}\n    return x", "long.py", "exec"), scope)
    profile = tg.compile(scope["step"], fused=False).profile(tg.Tensor(np.ones(3)))
    assert len(profile.rows) == 122
    last = repr(profile).splitlines()[-1]
    assert last.endswith("92 more rows")
    assert len(repr(profile).splitlines()) == 33


def test_arrays_that_the_step_writes_to_are_no_obstacle():
    pytest.importorskip("llvmlite")
    step, w = descent(fused=True)
    rows = np.vstack([w.numpy().T, w.numpy().T])[:, :3].copy()
    step.profile(rows)
    shared = w.numpy().reshape(2, 3)
    profile = step.profile(shared)
    assert not any("kernel" in row.name for row in profile.rows)


def test_a_method():
    class Model:
        scale = 2.0

        @tg.compile(fused=False)
        def step(self, x):
            return np.exp(x * self.scale)

    profile = Model.step.profile(Model(), np.ones(3))
    assert {row.name for row in profile.rows} >= {"exp", "multiply"}


@pytest.mark.parametrize("calls", [0, -1, 2.0, True, "all"])
def test_calls_is_a_positive_integer(calls):
    step, _ = descent(fused=False)
    with pytest.raises(ValueError, match=r"^profile: expected calls to be a positive"):
        step.profile(X, calls=calls)
    assert not step._captures


def test_a_step_that_runs_as_it_is():
    step, _ = descent(fused=False)
    with (
        tg.debug(),
        pytest.raises(CaptureError, match=r"^profile: expected a step that is replay"),
    ):
        step.profile(X)


def test_the_clock_ends_with_its_block():
    step, _ = descent(fused=False)
    step.profile(X)
    (capture,) = step._captures.values()
    run, times = capture.replay._run, list[float]()
    with capture.replay.clocked(times):
        assert capture.replay._run is not run
        with pytest.raises(ValueError, match="unpack"):
            capture.replay([], [])
    assert capture.replay._run is run
    assert not times
