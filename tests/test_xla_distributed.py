"""Trainings of several processes, one of which is killed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg

jax = pytest.importorskip("jax")

ROOT = Path(__file__).resolve().parents[1]


def test_two_processes_resume_and_do_what_one_does(tmp_path):
    environment = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = subprocess.run(
        [sys.executable, "benchmarks/distributed.py", "--kill"],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    killed, resumed, equal = done.stdout.splitlines()
    assert killed == "process 1 was ended by signal 9, and the others with it"
    assert resumed == "resuming from step-0008"
    assert equal.startswith("equal to one process: 2 processes, at most ")


def doubled(devices):
    """Return a step that writes to a tensor and returns nothing, compiled."""
    w = tg.Tensor(np.ones((300, 300)), requires_grad=True)
    optimizer = tg.optim.SGD([w], lr=1e-3)

    def step(x):
        loss = tg.tanh(tg.tanh(x @ w) @ w).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return w, tg.compile(step, target="xla", devices=devices)


def test_processes_that_begin_with_different_parameters_are_told(monkeypatch):
    from jax.experimental import multihost_utils

    _, step = doubled(1)
    step(np.ones((4, 300)))
    step(np.ones((4, 300)))
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(
        multihost_utils, "process_allgather", lambda sums: np.stack([sums, sums + 1])
    )
    with pytest.raises(ValueError, match="begin with different parameters"):
        step(np.ones((4, 300)))


def test_each_process_needs_a_device(monkeypatch):
    _, step = doubled(1)
    step(np.ones((4, 300)))
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match="leaves out some of 2 processes"):
        step(np.ones((4, 300)))


def test_a_step_waits_for_all_devices(monkeypatch):
    """One may otherwise still read the batch when the caller overwrites it."""
    waits = []
    monkeypatch.setattr(jax, "block_until_ready", waits.append)
    w, step = doubled(1)
    for _ in range(3):
        step(np.ones((4, 300)))
    (((new,), _),) = waits
    np.testing.assert_array_equal(new, w.numpy())
