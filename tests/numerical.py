"""Central differences, for the tests of the operations."""

import numpy as np

import tensorgrad as tg

STEP = 1e-5


def total(outputs, cotangents):
    """Return the sum of <cotangent, output> over the outputs that have one."""
    pairs = zip(cotangents, as_tuple(outputs), strict=True)
    return sum(float(np.sum(v * np.asarray(y))) for v, y in pairs if v is not None)


def central_difference(scalar, arrays):
    """Return the gradient of a scalar function of float64 arrays, entry by entry."""
    gradients = []
    for k, x in enumerate(arrays):
        g = np.zeros(x.shape, dtype=np.float64)
        for at in np.ndindex(x.shape):
            sides = []
            for sign in (1, -1):
                moved = np.array(x)
                moved[at] += sign * STEP
                sides.append(scalar(*arrays[:k], moved, *arrays[k + 1 :]))
            g[at] = (sides[0] - sides[1]) / (2 * STEP)
        gradients.append(g)
    return gradients


def as_tuple(outputs):
    """Return one output or several as a tuple."""
    return tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,)


def weighted_sum(outputs, cotangents):
    """Return the sum of <cotangent, output> as a tensor."""
    pairs = zip(cotangents, as_tuple(outputs), strict=True)
    parts = [(y * v).sum() for v, y in pairs if v is not None and y is not None]
    return sum(parts[1:], parts[0])


def gradients(function, arrays, cotangents, create_graph=False):
    """Return the tensors made of `arrays` and the analytic gradients in them."""
    xs = [
        a if isinstance(a, tg.Tensor) else tg.Tensor(a, requires_grad=True)
        for a in arrays
    ]
    weighted_sum(function(*xs), cotangents).backward(create_graph=create_graph)
    return xs, [x.grad for x in xs]
