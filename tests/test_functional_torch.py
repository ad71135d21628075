"""nn.functional against PyTorch, on the sample inputs of PyTorch's own tests."""

import random
import warnings

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.nn import functional

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db

MOST = 24
"""So many samples of a function are tried, drawn from all."""

torch.set_num_threads(1)


def short(op):
    """Return what functional calls an operation, "" where it has none."""
    name = op.name.removeprefix("nn.functional.")
    other = name == op.name and name not in ("softmax", "log_softmax")
    drawn = name.startswith("dropout")
    real = {torch.float64, torch.int64} & set(op.dtypes)
    named = name in functional.__all__ and not (other or drawn)
    return name if named and real else ""


OPS = {f"{short(op)} {op.variant_test_name}".strip(): op for op in op_db if short(op)}
INDICES = "return_indices is not supported"
EMPTY = "zero-size array to reduction operation maximum"
REFUSED = {
    "adaptive_max_pool1d": (4, INDICES),
    "adaptive_max_pool2d": (12, INDICES),
    "batch_norm": (2, "expected samples (n, channels, ...)"),
    "conv_transpose2d": (2, "output_padding is below the stride"),
    "cosine_similarity": (1, "axis 0 is out of bounds"),
    "gaussian_nll_loss": (15, "expected arrays of one shape"),
    "interpolate bicubic": (24, "mode must be nearest"),
    "max_pool1d": (13, INDICES),
    "max_pool2d": (12, INDICES),
    "max_pool3d": (12, INDICES),
    "multi_margin_loss": (1, "expected scores of shape (n, classes, ...)"),
    "normalize": (1, "axis 0 is out of bounds"),
    "pad replicate_negative": (3, "can't extend empty axis"),
    "softmax": (1, EMPTY),
    "softmax with_dtype": (1, EMPTY),
    "softmin": (1, EMPTY),
    "softmin with_dtype": (1, EMPTY),
}
"""How many samples are refused, and the reason."""


def ours(value):
    """Return a sample in our terms, and note the pairs of tensors."""
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy()
        return tg.Tensor(array, requires_grad=value.requires_grad)
    if isinstance(value, list | tuple):
        return type(value)(map(ours, value))
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return functional.pairwise_distance if callable(value) else value


def samples(op):
    torch.manual_seed(0)
    state = np.random.get_state()
    dtype = torch.float64 if torch.float64 in op.dtypes else torch.int64
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = op.sample_inputs("cpu", dtype, requires_grad=dtype.is_floating_point)
        every = [s for s in every if not s.kwargs.get("dropout_p")]
    np.random.set_state(state)
    return random.Random(0).sample(every, min(MOST, len(every)))


def check(op, function, sample):
    args, kwargs = [sample.input, *sample.args], dict(sample.kwargs)
    mine = [*map(ours, args)], {k: ours(v) for k, v in kwargs.items()}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            first = mine[0][::-1] if short(op) == "embedding" else mine[0]
            y = function(*first, **mine[1])
        except (TypeError, ValueError) as error:
            return str(error)
        expected = op(*args, **kwargs)
        value = y.numpy() if isinstance(y, tg.Tensor) else y
        np.testing.assert_allclose(
            value, expected.detach().numpy(), rtol=1e-6, atol=1e-6
        )
        if not expected.requires_grad:
            return None
        g = np.random.default_rng(0).normal(size=expected.shape)
        if y.requires_grad:
            y.backward(g)
        expected.backward(torch.tensor(g))
    theirs = [*args, *kwargs.values()]
    pairs = zip([*mine[0], *mine[1].values()], theirs, strict=True)
    for a, b in pairs:
        if isinstance(b, torch.Tensor) and b.grad is not None:
            found = np.zeros(a.shape) if a.grad is None else a.grad.numpy()
            np.testing.assert_allclose(found, b.grad.numpy(), rtol=1e-6, atol=1e-6)
            b.grad = None
    return None


@pytest.mark.parametrize("name", sorted(OPS))
def test_values_and_gradients(name):
    op = OPS[name]
    function = getattr(functional, op.name.removeprefix("nn.functional."))
    found = [check(op, function, sample) for sample in samples(op)]
    refused = [r for r in found if r is not None]
    number, reason = REFUSED.get(name, (0, ""))
    assert len(refused) == number, refused
    assert all(reason in r for r in refused)


def test_a_wrong_function_would_be_seen():
    sample = max(samples(OPS["mish"]), key=lambda s: s.input.numel())
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check(OPS["mish"], lambda x: functional.mish(x) * 1.001, sample)
