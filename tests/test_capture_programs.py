"""Losses and science in plain NumPy, as people bring them, replayed both ways."""

import numpy as np
import pytest
from profiles import NIGHTLY
from random_steps import array_of
from tensors import bits

import tensorgrad as tg
from tensorgrad.capture.kernels import compile as kernels

rng = np.random.default_rng(7)
X = rng.standard_normal((8, 5))
Y = rng.standard_normal((8, 3))
LABELS = rng.integers(0, 3, 8)
SIGNS = np.where(rng.random((8, 3)) > 0.5, 1.0, -1.0)
COUNTS = rng.integers(0, 6, (8, 3)).astype(float)


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def huber(p, y, delta):
    d = np.abs(p - y)
    return np.mean(np.where(d < delta, 0.5 * d**2, delta * (d - 0.5 * delta)))


def cosine(a, b):
    return np.sum(a * b, -1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


def triplet(p, y):
    near, far = np.sum((p - y) ** 2, -1), np.sum((p - y[::-1]) ** 2, -1)
    return relu(near - far + 1.0).mean()


def gaussian_nll(p, y):
    mean, log_var = p[:, 0], p[:, 1]
    return 0.5 * np.mean(log_var + (y[:, 0] - mean) ** 2 / np.exp(log_var))


def contrastive(p):
    unit = p / np.linalg.norm(p, axis=1, keepdims=True)
    scores = unit @ unit.T / 0.5 - 10 * np.eye(len(p))
    return -np.mean(log_softmax(scores)[np.arange(8), np.arange(8)[::-1]])


def focal(p):
    logs = log_softmax(p)[np.arange(8), LABELS]
    return -np.mean((1 - np.exp(logs)) ** 2 * logs)


def dice(p):
    q, t = sigmoid(p), SIGNS > 0
    return 1 - (2 * np.sum(q * t) + 1) / (np.sum(q) + np.sum(t) + 1)


def ranking(p, y):
    return np.mean(np.log1p(np.exp(-(p[:, 0] - p[:, 1]) * np.sign(y[:, 0] - y[:, 1]))))


def quantile(p, y, q):
    d = y - p
    return np.mean(np.maximum(q * d, (q - 1) * d))


def smoothed(p):
    t = np.full((8, 3), 0.1 / 3)
    t[np.arange(8), LABELS] += 0.9
    return -np.mean(np.sum(t * log_softmax(p), axis=1))


def kl(p, y):
    target = np.exp(log_softmax(y))
    return np.sum(target * (log_softmax(y) - log_softmax(p))) / len(p)


def center(p):
    means = np.stack([p[k == LABELS].mean(axis=0) for k in range(3)])
    return np.sum((p - means[LABELS]) ** 2)


LOSSES = {
    "mse": lambda p, y, s: np.mean((p - y) ** 2),
    "rmse": lambda p, y, s: np.sqrt(np.mean((p - y) ** 2)),
    "mae": lambda p, y, s: np.abs(p - y).mean(),
    "huber": lambda p, y, s: huber(p, y, s),
    "log-cosh": lambda p, y, s: np.mean(np.log(np.cosh(p - y))),
    "bce": lambda p, y, s: (
        -np.mean(
            (SIGNS > 0) * np.log(sigmoid(p)) + (SIGNS < 0) * np.log(1 - sigmoid(p))
        )
    ),
    "bce of logits": lambda p, y, s: np.mean(
        relu(p) - p * (SIGNS > 0) + np.log1p(np.exp(-np.abs(p)))
    ),
    "hinge": lambda p, y, s: relu(1 - SIGNS * p).mean() * s,
    "squared hinge": lambda p, y, s: np.mean(relu(1 - SIGNS * p) ** 2),
    "kl": lambda p, y, s: kl(p, y),
    "cosine": lambda p, y, s: 1 - cosine(p, y).mean(),
    "triplet": lambda p, y, s: triplet(p, y),
    "poisson": lambda p, y, s: np.mean(np.exp(p) - COUNTS * p),
    "gaussian nll": lambda p, y, s: gaussian_nll(p, y),
    "cross-entropy": lambda p, y, s: -log_softmax(p)[np.arange(8), LABELS].mean(),
    "softmax cross-entropy": lambda p, y, s: tg.softmax_cross_entropy(p, LABELS),
    "label smoothing": lambda p, y, s: smoothed(p),
    "focal": lambda p, y, s: focal(p),
    "dice": lambda p, y, s: dice(p),
    "contrastive": lambda p, y, s: contrastive(p),
    "ranking": lambda p, y, s: ranking(p, y),
    "quantile": lambda p, y, s: quantile(p, y, s / 4),
    "r squared": lambda p, y, s: np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2),
    "correlation": lambda p, y, s: (
        -np.mean((p - p.mean()) * (y - y.mean())) / (np.std(p) * np.std(y))
    ),
    "percentage": lambda p, y, s: np.mean(np.abs((y - p) / (np.abs(y) + 0.1))),
    "msle": lambda p, y, s: np.mean((np.log1p(p**2) - np.log1p(y**2)) ** 2),
    "wing": lambda p, y, s: np.mean(np.log1p(np.abs(p - y) / s)),
    "maximum": lambda p, y, s: np.max(np.abs(p - y)),
    "penalised": lambda p, y, s: np.mean((p - y) ** 2) + s * np.linalg.norm(p),
    "elastic": lambda p, y, s: np.sum(p * p) * s + np.abs(p).sum() * (1 - s),
    "entropy": lambda p, y, s: np.sum(np.exp(log_softmax(p)) * log_softmax(p)),
    "weighted": lambda p, y, s: np.average((p - y) ** 2, weights=np.abs(y) + 1),
}


def training(loss):
    """A step of a linear model on a batch, with a number that changes."""

    def make():
        w = tg.Tensor(np.linspace(-1, 1, 15).reshape(5, 3), requires_grad=True)
        b = tg.Tensor(np.full(3, 0.1), requires_grad=True)
        optimizer = tg.optim.SGD([w, b], lr=0.05, momentum=0.5)

        def step(x, y, s):
            optimizer.zero_grad()
            found = loss(x @ w + b, y, s)
            found.backward()
            optimizer.step()
            return found

        return step, [w, b]

    def args(call):
        return X + 0.1 * call, Y - 0.05 * call, 0.5 + 0.25 * call

    return make, args


# Science. Each makes a function of arrays and numbers, and its arguments for each call.


def kalman():
    def likelihood(q, r, zs):
        m, p, total = 0.0, 1.0, 0.0
        for k in range(8):
            p = p + q
            s = p + r
            gain, e = p / s, zs[k] - m
            m, p = m + gain * e, (1 - gain) * p
            total = total - 0.5 * (np.log(s) + e**2 / s)
        return total

    return tg.value_and_grad(likelihood, (0, 1)), lambda call: (
        0.1 + 0.05 * call,
        np.array(0.5),
        X[:, 0] * (1 + call),
    )


def hidden_markov():
    def likelihood(a, b, start):
        logs, emit = log_softmax(a), log_softmax(b)
        alpha = log_softmax(start) + emit[:, LABELS[0]]
        for label in LABELS[1:]:
            alpha = tg.logsumexp(alpha[:, None] + logs, axis=0) + emit[:, label]
        return tg.logsumexp(alpha)

    return tg.value_and_grad(likelihood, (0, 1, 2)), lambda call: (
        X[:3, :3] + call,
        Y[:3] * (call + 1),
        Y[0] + 0.0,
    )


def greeks():
    z = np.random.default_rng(3).standard_normal((16, 4))

    def price(spot, vol, rate):
        steps = (rate - 0.5 * vol**2) / 4 + vol * np.sqrt(0.25) * z
        paths = spot * np.exp(np.cumsum(steps, axis=1))
        payoff = relu(paths.mean(axis=1) - 100.0)
        return np.exp(-rate) * payoff.mean()

    return tg.value_and_grad(price, (0, 1, 2)), lambda call: (
        100.0 + call,
        0.2 + 0.01 * call,
        0.05,
    )


def bodies():
    def energy(q, v, dt):
        mass = np.array([1.0, 0.5, 0.25])
        for _ in range(3):
            d = q[:, None] - q[None]
            r = np.sqrt(np.sum(d * d, -1) + 0.1)
            v = v - dt * np.sum(mass[None, :, None] * d / r[..., None] ** 3, axis=1)
            q = q + dt * v
        return 0.5 * np.sum(mass * np.sum(v * v, -1)) + q[0, 0] * 2

    return tg.value_and_grad(energy, (0, 1)), lambda call: (
        X[:3, :2] + 0.1 * call,
        Y[:3, :2],
        0.05,
    )


def heat():
    n = 6
    laplace = np.diag(np.full(n, -2.0)) + np.eye(n, k=1) + np.eye(n, k=-1)

    def misfit(k, u):
        for _ in range(3):
            u = np.linalg.solve(np.eye(n) - 0.1 * k * laplace, u)
        return np.sum((u - 0.5) ** 2)

    return tg.value_and_grad(misfit, (0, 1)), lambda call: (
        0.5 + 0.1 * call,
        np.linspace(0, 1 + call, n),
    )


def newton_logistic():
    def newton(w, x):
        t = SIGNS[:, 0] > 0
        p = sigmoid(x @ w)
        g = x.T @ (p - t) + 0.1 * w
        h = (x * (p * (1 - p))[:, None]).T @ x + 0.1 * np.eye(5)
        return w - np.linalg.solve(h, g), np.sum(g * g)

    return newton, lambda call: (np.linspace(-0.5, 0.5, 5) * call, X + 0.0)


def gaussian_process():
    def evidence(length, scale, noise):
        x = X[:6, 0]
        k = scale**2 * np.exp(-0.5 * (x[:, None] - x[None]) ** 2 / length**2)
        k = k + noise**2 * np.eye(6)
        chol = np.linalg.cholesky(k)
        a = np.linalg.solve(chol, Y[:6, 0])
        return 0.5 * np.sum(a * a) + np.sum(np.log(np.diagonal(chol)))

    return tg.value_and_grad(evidence, (0, 1, 2)), lambda call: (
        1.0 + 0.1 * call,
        np.float64(1.5),
        0.3,
    )


def ctc():
    word = np.array([0, 1, 0, 2, 0])
    skips = np.array([False, False, False, True, False])

    def loss(z):
        logs = log_softmax(z)[:, word]
        alpha = np.where(np.arange(5) < 2, logs[0], -1e9)
        for row in range(1, 6):
            one = np.concatenate([np.array([-1e9]), alpha[:-1]])
            two = np.concatenate([np.array([-1e9, -1e9]), alpha[:-2]])
            ways = np.stack([alpha, one, np.where(skips, two, -1e9)])
            alpha = tg.logsumexp(ways, axis=0) + logs[row]
        return -np.logaddexp(alpha[-1], alpha[-2])

    return tg.value_and_grad(loss), lambda call: (Y[:6] * (1 + 0.1 * call),)


def neural_ode():
    def end(w, y, t):
        def f(y):
            return np.tanh(y @ w)

        h = t / 4
        for _ in range(4):
            a = f(y)
            b = f(y + 0.5 * h * a)
            c = f(y + 0.5 * h * b)
            y = y + h / 6 * (a + 2 * b + 2 * c + f(y + h * c))
        return np.sum((y - 1.0) ** 2)

    return tg.value_and_grad(end, (0, 1)), lambda call: (
        X[:3, :3] * 0.5,
        Y[0] + 0.1 * call,
        1.0 + 0.25 * call,
    )


def informed_network():
    x = np.linspace(0, 1, 6)

    def residual(w, b, c):
        def u(x):
            return np.sum(np.tanh(x[:, None] * w + b) * c, axis=1)

        _, slope = tg.jvp(u, (x,), (np.ones(6),))
        return np.mean((slope + u(x)) ** 2) + (u(x)[0] - 1.0) ** 2

    return tg.value_and_grad(residual, (0, 1, 2)), lambda call: (
        X[0] + 0.1 * call,
        X[1] + 0.0,
        X[2] + 0.0,
    )


SCIENCE = [kalman, hidden_markov, greeks, bodies, heat, newton_logistic]
SCIENCE += [gaussian_process, ctc, neural_ode, informed_network]


def science(program):
    def make():
        return program()[0], []

    return make, program()[1]


def told(make, args, compiled):
    step, parameters = make()
    step = compiled(step)
    found = []
    for call in range(6):
        returned = step(*args(call))
        flat = [*leaves(returned), *parameters]
        found.append([np.array(array_of(x)) for x in flat])
    return found, step


def leaves(x):
    if isinstance(x, tuple | list):
        return [leaf for item in x for leaf in leaves(item)]
    return [x]


def check(make, args, replay, request):
    if replay == "text":
        request.getfixturevalue("uncompiled")
    expected, _ = told(make, args, lambda f: f)
    fused = replay != "numpy"
    found, step = told(make, args, lambda f: tg.compile(f, fused=fused))
    (capture,) = step._captures.values()
    assert capture.replay.has_kernels == fused or step.target
    for a, b in zip(found, expected, strict=True):
        for x, y in zip(a, b, strict=True):
            assert (x.shape, x.dtype) == (y.shape, y.dtype)
            if fused:
                np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)
            else:
                assert bits(x) == bits(y)


@pytest.mark.parametrize("replay", ["numpy", "text"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_eager(name, replay, request):
    check(*training(LOSSES[name]), replay, request)


@pytest.mark.parametrize("replay", ["numpy", "text"])
@pytest.mark.parametrize("program", SCIENCE, ids=lambda program: program.__name__)
def test_science_is_that_of_eager(program, replay, request):
    check(*science(program), replay, request)


@pytest.mark.skipif(
    not kernels.installed(), reason="needs llvmlite, of the extra 'fast'"
)
@pytest.mark.unmeasured
@pytest.mark.parametrize("part", range(4) if NIGHTLY else (0, 2))
def test_losses_and_science_compiled(part, request):
    """Some of each, in one step for each: it is compiling that takes long."""
    names = list(LOSSES)[part::4]
    for kind in (
        [training(LOSSES[name]) for name in names],
        [science(program) for program in SCIENCE[part::4]],
    ):
        check(*together(kind), "compiled", request)


def together(programs):
    def make():
        made = [make() for make, _ in programs]

        def step(*args):
            return [f(*given) for (f, _), given in zip(made, args, strict=True)]

        return step, [p for _, parameters in made for p in parameters]

    return make, lambda call: [args(call) for _, args in programs]
