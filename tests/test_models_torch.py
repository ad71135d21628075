"""Models of the benchmarks against PyTorch's: the losses of a training."""

import functools
import importlib
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg

pytest.importorskip("torch")

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(params=["transformer", "lenet"])
def case(request, monkeypatch):
    """Return a model, the steps of both libraries, and batches."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    script = importlib.import_module(request.param)
    model, batches = getattr(script, request.param, None), script.batches
    if request.param == "transformer":
        sizes = {"layers": 2, "heads": 2, "width": 16, "context": 8}
        model = functools.partial(script.Transformer, script.text()[1], **sizes)
        batches = functools.partial(batches, size=4, context=8)
    return model, script.step_of, script.their_step_of, batches


def losses(step, batches, count):
    return [
        step(*batch).item() for _, batch in zip(range(count), batches, strict=False)
    ]


def test_losses_agree(case):
    """In float64 to rounding, step by step."""
    steps = importlib.import_module("steps")
    steps.agree(*case)


NAMES = [
    "residual",
    "depthwise",
    "autoencoder",
    "dilated",
    "LSTM",
    "GRU",
    "encoder",
    "factors",
    "perceptron",
    "normalised",
]


@pytest.mark.parametrize("name", NAMES)
def test_losses_of_small_models_agree(name, monkeypatch):
    pytest.importorskip("safetensors")
    monkeypatch.syspath_prepend(BENCHMARKS)
    models = importlib.import_module("models")
    assert [*models.MODELS] == NAMES
    importlib.import_module("steps").agree(*models.case(name))


def test_another_rate_is_noticed(case, monkeypatch):
    model, ours, theirs, batches = case
    steps = importlib.import_module("steps")
    ours.__globals__["RATE"] *= 1 + 1e-5
    other = theirs(model(dtype=np.float64))
    ours.__globals__["RATE"] /= 1 + 1e-5
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        steps.agree(model, ours, lambda _: other, batches)


def test_a_training_in_single_precision(case):
    model, ours, theirs, batches = case
    found = [losses(make(model()), batches(), 20) for make in (ours, theirs)]
    np.testing.assert_allclose(*found, rtol=1e-4)
    assert found[0][-1] < found[0][0]


def test_compiled(case):
    """Replay has the bits of eager mode."""
    model, ours, _, batches = case
    eager = losses(ours(model()), batches(), 5)
    assert losses(tg.compile(ours(model()), fused=False), batches(), 5) == eager
