"""Layers against PyTorch's: same weights, outputs and all gradients."""

import numpy as np
import pytest
from layers import LAYERS, disturbed, made

import tensorgrad as tg
from tensorgrad.core.tree import leaves, mapped

torch = pytest.importorskip("torch")


def theirs(name, layer):
    """Return the layer of PyTorch of that name, with the parameters of ours."""
    args, options, _, _ = LAYERS[name]
    kind = {"Dense": "Linear"}.get(name.split()[0], name.split()[0])
    if kind == "GELU":
        args, options = (), {"approximate": args[0]}
    if "nonlinearity" in options and kind == "RNN":
        options = dict(options)
    other = getattr(torch.nn, kind)(*args, **options).double()
    state = {}
    for path, module in layer.named_modules():
        for key, tensor in module._members():
            if isinstance(tensor, tg.Tensor):
                transposed = isinstance(module, tg.nn.Dense) and key == "weight"
                array = tensor.numpy().T if transposed else tensor.numpy()
                state[f"{path}.{key}".lstrip(".")] = torch.tensor(array.copy())
    missing, unexpected = other.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return other


def compared(mine, other):
    np.testing.assert_allclose(
        np.asarray(mine), other.detach().numpy(), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_gradients(name, training):
    layer, inputs, named = made(name)
    other = theirs(name, disturbed(layer)).train(training)
    layer.train(training)
    xs = mapped(inputs, lambda x: tg.Tensor(x, requires_grad=x.dtype.kind == "f"))
    zs = mapped(inputs, lambda x: torch.tensor(x, requires_grad=x.dtype.kind == "f"))
    ys, others = layer(*xs, **named), other(*zs, **mapped(named, as_torch))
    pairs = [
        p for p in zip(leaves(ys), leaves(others), strict=True) if p[0] is not None
    ]
    loss, their_loss = 0, 0
    for y, z in pairs:
        compared(y.detach(), z)
        g = np.random.default_rng(0).normal(size=y.shape)
        loss, their_loss = (
            loss + (y * g).sum(),
            their_loss + (z * torch.tensor(g)).sum(),
        )
    loss.backward()
    their_loss.backward()
    for x, z in zip(leaves(xs), leaves(zs), strict=True):
        if z.requires_grad:
            compared(x.grad, z.grad)
    gradients = {n: p.grad for n, p in other.named_parameters()}
    assert len(gradients) == len(layer.parameters())
    for path, module in layer.named_modules():
        for key, tensor in module._members():
            if isinstance(tensor, tg.Tensor):
                place = f"{path}.{key}".lstrip(".")
                if not tensor.requires_grad:
                    compared(tensor, dict(other.named_buffers())[place])
                    continue
                transposed = isinstance(module, tg.nn.Dense) and key == "weight"
                compared(tensor.grad.T if transposed else tensor.grad, gradients[place])


def as_torch(value):
    return torch.tensor(value) if isinstance(value, np.ndarray) else value
