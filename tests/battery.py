"""What every described operation must pass. The tests draw calls and run these checks;
the coverage page is made of the same checks on the described cases."""

import numpy as np
from tensors import as_tuple

import tensorgrad as tg
from benchmarks.described import calls
from tensorgrad.ops.support.registry import registry
from tensorgrad.testing import gradcheck
from tensorgrad.testing.calls import LAYOUTS

ENTRIES = sorted(registry)
SMOOTH = [n for n in ENTRIES if registry[n].kind != "constant"]
BINARY = [n for n in SMOOTH if registry[n].elementwise and registry[n].arity == 2]


def is_numpy(entry):
    """Whether an operation stands for a function of NumPy's that takes tensors."""
    module = getattr(entry.reference, "__module__", None) or ""
    return isinstance(entry.reference, np.ufunc) or module.startswith("numpy")


def described_calls(name):
    """Return a call of each described form of an operation, of changing layouts."""
    rng = np.random.default_rng(0)
    laid_out = [calls(registry[name], rng, layout) for layout in LAYOUTS]
    pairs = enumerate(zip(*laid_out, strict=True))
    return [alike[k % len(LAYOUTS)] for k, alike in pairs]


def check_forward(call):
    """The operation gives what NumPy gives, as tensors of the same dtype."""
    xs = [tg.Tensor(a) for a in call.arrays]
    found = as_tuple(call(*xs))
    # On the tensors' own arrays: NumPy's last bit may depend on the memory layout.
    arrays = [x.numpy() for x in xs]
    expected = as_tuple(call(*arrays, function=call.entry.reference))
    assert len(found) == len(expected)
    for f, e in zip(found, expected, strict=True):
        assert isinstance(f, tg.Tensor)
        assert f.dtype == np.asarray(e).dtype
        np.testing.assert_array_equal(f.numpy(), e)


def check_protocol(call):
    """The NumPy function itself, called on tensors, gives the same."""
    if not is_numpy(call.entry):
        return
    found = as_tuple(call(*map(tg.Tensor, call.arrays), function=call.entry.reference))
    expected = as_tuple(call(*map(tg.Tensor, call.arrays)))
    for f, e in zip(found, expected, strict=True):
        assert isinstance(f, tg.Tensor)
        np.testing.assert_array_equal(f.numpy(), e.numpy())


def check_gradient(call, order=1, dtype=np.float64):
    """The gradient agrees with differences, and with the identities of a gradient."""
    arrays = [a.astype(dtype) for a in call.arrays]
    result = gradcheck(call, *arrays, order=order, linear=call.linear)
    assert result.verdict == "agrees", result


def check_second_order(call, dtype=np.float64):
    """So does the gradient of the gradient, in the inputs and in the cotangents."""
    check_gradient(call, order=2, dtype=dtype)


def check_dtypes(call):
    """float32 in gives the dtypes that NumPy gives."""
    arrays = [a.astype(np.float32) for a in call.arrays]
    found = as_tuple(call(*map(tg.Tensor, arrays)))
    expected = as_tuple(call(*arrays, function=call.entry.reference))
    assert [t.dtype for t in found] == [np.asarray(e).dtype for e in expected]


def check_float32(call):
    """So it does, and the gradient in float32 is that of float64 up to rounding."""
    check_dtypes(call)
    check_gradient(call, dtype=np.float32)


def check_unshared(call):
    """Gradients share no memory with cotangents, nor with each other."""
    xs = [tg.Tensor(a, requires_grad=True) for a in call.arrays]
    ys = [y for y in as_tuple(call(*xs)) if y.requires_grad]
    vs = [np.ones(y.shape, dtype=y.dtype) for y in ys]
    for y, v in zip(ys, vs, strict=True):
        y.backward(v, retain_graph=True)
    found = [x.grad.numpy() for x in xs if x.grad is not None]
    for i, g in enumerate(found):
        assert not any(np.shares_memory(g, other) for other in vs + found[i + 1 :])


CHECKS = {
    "forward": check_forward,
    "through NumPy": check_protocol,
    "gradient": check_gradient,
    "second order": check_second_order,
    "float32": check_float32,
}
