"""The posterior of a mixture of Gaussians with Wishart priors, and its gradient."""

from math import lgamma

import numpy as np

import tensorgrad as tg

from .function import Function, fields

PARAMETERS = ("alpha", "mu", "q", "l")


def log_posterior(parameters, x, m, gamma):
    """Return the log posterior of the parameters, given points x."""
    alpha, mu, q, lower = (parameters[name] for name in PARAMETERS)
    (n, d), k = x.shape, len(alpha)
    roots = triangles(q, lower)
    centred = x - mu[:, None]
    lengths = np.sum((centred @ np.swapaxes(roots, 1, 2)) ** 2, 2).T
    terms = alpha + np.sum(q, 1) - lengths / 2
    likelihood = np.sum(log_sum_exp(terms)) - n * log_sum_exp(alpha)
    prior = m * np.sum(q) - gamma**2 / 2 * np.sum(roots**2)
    return likelihood + prior + constant(n, d, k, m, gamma)


def triangles(q, lower):
    """Return the roots of the precisions: exp(q) on the diagonal, below by columns."""
    k, d = q.shape
    place = np.full((d, d), -1)
    place[np.diag_indices(d)] = np.arange(d)
    place.T[np.triu_indices(d, 1)] = d + np.arange(d * (d - 1) // 2)
    return np.concatenate([np.exp(q), lower, np.zeros((k, 1))], 1)[:, place]


def log_sum_exp(x):
    """Return log(sum(exp(x))) over the last axis."""
    top = np.max(x, -1, keepdims=True)
    return np.log(np.sum(np.exp(x - top), -1)) + top[..., 0]


def constant(n, d, k, m, gamma):
    """Return what does not depend on the parameters."""
    freedom = d + m + 1
    gammas = sum(lgamma((freedom - j) / 2) for j in range(d))
    gammas += d * (d - 1) / 4 * np.log(np.pi)
    wishart = freedom * d * np.log(gamma / np.sqrt(2)) - gammas
    return k * wishart - n * d / 2 * np.log(2 * np.pi)


def arguments(message):
    """Return the parameters, and what they are to explain."""
    arrays = fields(*PARAMETERS, "x")(message)
    parameters = dict(zip(PARAMETERS, arrays, strict=False))
    return parameters, arrays[-1], message["m"], message["gamma"]


FUNCTIONS = {
    "objective": Function(log_posterior, arguments),
    "jacobian": Function(tg.grad(log_posterior), arguments),
}
