"""Programs as people write them, on XLA beside eager mode."""

import numpy as np
import pytest
from profiles import some
from strangers import PROGRAMS, adversaries

import tensorgrad as tg
from tensorgrad.capture.xla.remote import State
from tensorgrad.core.tree import leaves

pytest.importorskip("jax")


def same(found, expected):
    """Compare to rounding; of single precision where some of a step is."""
    pairs = zip(leaves(found), leaves(expected), strict=True)
    for a, b in pairs:
        a, b = (x.numpy() if type(x) is tg.Tensor else np.asarray(x) for x in (a, b))
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("make", some(PROGRAMS), ids=lambda make: make.__name__)
def test_a_program_computes_the_same_and_its_state_stays_away(make, monkeypatch):
    ours, theirs = make(), make()
    fetched, come_home = [], State.come_home

    def noted(state):
        fetched.append(state._is_new)
        come_home(state)

    monkeypatch.setattr(State, "come_home", noted)
    step = tg.compile(ours.step, target="xla")
    for call, (a, b) in enumerate(zip(ours.args, theirs.args, strict=True)):
        # The first calls of another size are recorded, with all state at home.
        if call >= 6:
            fetched.clear()
        found, expected = step(*a), theirs.step(*b)
        same(found, expected)
        assert call < 6 or not any(fetched)
        for program, loss in ((ours, found), (theirs, expected)):
            if program.reported:
                program.reported(loss)
    same(ours.params, theirs.params)
    for optimizer, other in zip(ours.optimizers, theirs.optimizers, strict=True):
        same(optimizer.state, other.state)


def test_checkpoints_between_targets(tmp_path):
    theirs = adversaries()
    expected = [theirs.step(*args) for args in (theirs.args * 2)[:16]]
    file = tmp_path / "state.ckpt"
    for turn, target in enumerate(("xla", None, "xla", None)):
        ours = adversaries()
        if turn:
            saved = tg.train.load(file)
            for p, a in zip(ours.params, saved["params"], strict=True):
                p.data = a
            for optimizer, state in zip(ours.optimizers, saved["state"], strict=True):
                optimizer.load_state_dict(state)
        step = tg.compile(ours.step, target=target)
        for k in range(4 * turn, 4 * turn + 4):
            same(step(*ours.args[k % 10]), expected[k])
        params = [p.numpy() for p in ours.params]
        states = [optimizer.state_dict() for optimizer in ours.optimizers]
        tg.train.save(file, {"params": params, "state": states})
    same(ours.params, theirs.params)
