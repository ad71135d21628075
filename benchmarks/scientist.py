"""Ten programs of a scientist's, in NumPy's names and nothing else.

Each takes the namespace those names come from, tensorgrad's being NumPy itself, and
returns an objective of one array, and where to differentiate it. The data are the same
for all.
"""

import numpy


def kalman(np):
    """Return the likelihood of a path seen through noise, in the logs of two noises."""
    steps = _normal(50, 2)
    seen = numpy.cumsum(numpy.cumsum(0.1 * steps, 0), 0) + _normal(50, 2, seed=1)
    move = numpy.kron([[1.0, 1.0], [0.0, 1.0]], numpy.eye(2))
    look, drift = (
        numpy.eye(2, 4),
        numpy.kron([[1 / 3, 1 / 2], [1 / 2, 1]], numpy.eye(2)),
    )

    def likelihood(noises):
        process, sight = np.exp(noises[0]) * drift, np.exp(noises[1]) * numpy.eye(2)
        mean, spread, total = numpy.zeros(4), 10 * numpy.eye(4), 0.0
        for y in seen:
            mean, spread = move @ mean, move @ spread @ move.T + process
            error, around = y - look @ mean, look @ spread @ look.T + sight
            total = total + np.linalg.slogdet(around)[1] / 2
            total = total + error @ np.linalg.solve(around, error) / 2
            gain = np.linalg.solve(around, look @ spread).T
            mean, spread = mean + gain @ error, spread - gain @ look @ spread
        return total

    return likelihood, numpy.array([-2.0, 0.5])


def hidden_markov(np):
    """Return the likelihood of 100 symbols under a chain of 8 states, in its logits."""
    states, symbols = 8, 12
    seen = numpy.random.default_rng(0).integers(0, symbols, 100)

    def likelihood(logits):
        rows = np.exp(logits)
        moves = rows[:, :states] / np.sum(rows[:, :states], 1, keepdims=True)
        shows = rows[:, states:] / np.sum(rows[:, states:], 1, keepdims=True)
        belief, total = numpy.full(states, 1 / states), 0.0
        for symbol in seen:
            belief = (belief @ moves) * shows[:, symbol]
            mass = np.sum(belief)
            belief, total = belief / mass, total - np.log(mass)
        return total

    return likelihood, _normal(states, states + symbols)


def greeks(np):
    """Return the price of an Asian option over 5,000 paths, in spot, rate and sigma."""
    steps, strike = 50, 100.0
    shocks = _normal(5000, steps) / numpy.sqrt(steps)

    def price(market):
        spot, rate, sigma = market[0], market[1], market[2]
        moves = (rate - sigma**2 / 2) / steps + sigma * shocks
        paths = spot * np.exp(np.cumsum(moves, 1))
        gains = np.maximum(np.mean(paths, 1) - strike, 0.0)
        return np.exp(-rate) * np.mean(gains)

    return price, numpy.array([100.0, 0.05, 0.2])


def bodies(np):
    """Return the spread of 20 bodies after 50 leaps, in their first velocities."""
    count, step = 20, 0.01
    start = _normal(count, 3)

    def pull(places):
        apart = places[None] - places[:, None]
        cubes = (np.sum(apart**2, 2) + 0.1) ** 1.5
        return np.sum(apart / cubes[:, :, None], 1)

    def spread(velocities):
        places = start
        for _ in range(50):
            velocities = velocities + step / 2 * pull(places)
            places = places + step * velocities
            velocities = velocities + step / 2 * pull(places)
        return np.sum(places**2)

    return spread, 0.1 * _normal(count, 3, seed=1)


def heat(np):
    """Return how far 40 implicit steps of heat end from a goal, in conductivities."""
    n, step = 50, 10.0
    start = numpy.exp(-(numpy.linspace(-3, 3, n) ** 2))
    slopes = numpy.eye(n - 1, n, 1) - numpy.eye(n - 1, n)

    def miss(logs):
        matrix = numpy.eye(n) + step * slopes.T @ (np.exp(logs)[:, None] * slopes)
        warm = start
        for _ in range(40):
            warm = np.linalg.solve(matrix, warm)
        return np.sum((warm - numpy.mean(start)) ** 2)

    return miss, -3 + 0.1 * _normal(n - 1)


def newton(np):
    """Return the loss of a logistic fit on other data, in the logs of its penalties."""
    samples, weights = _normal(800, 20), _normal(20, seed=1)
    signs = numpy.sign(samples @ weights + _normal(800, seed=2))
    (near, far), (near_signs, far_signs) = (
        samples.reshape(2, 400, 20),
        signs.reshape(2, -1),
    )

    def loss(logs):
        penalties, w = np.exp(logs), numpy.zeros(20)
        for _ in range(8):
            p = 1 / (1 + np.exp(near_signs * (near @ w)))
            slope = penalties * w - near.T @ (near_signs * p)
            bend = near.T @ ((p * (1 - p))[:, None] * near) + np.diag(penalties)
            w = w - np.linalg.solve(bend, slope)
        return np.mean(np.log(1 + np.exp(-far_signs * (far @ w))))

    return loss, numpy.zeros(20)


def gaussian_process(np):
    """Return the likelihood of 150 values, in the logs of length, scale and noise."""
    x = numpy.sort(3 * _normal(150))
    y = numpy.sin(x) + 0.1 * _normal(150, seed=1)
    squares = (x[:, None] - x) ** 2

    def likelihood(logs):
        length, scale, noise = np.exp(logs[0]), np.exp(logs[1]), np.exp(logs[2])
        near = scale * np.exp(-squares / (2 * length**2))
        root = np.linalg.cholesky(near + noise * numpy.eye(len(x)))
        white = np.linalg.solve(root, y)
        return np.sum(white**2) / 2 + np.sum(np.log(np.diag(root)))

    return likelihood, numpy.array([0.0, 0.0, -2.0])


def connectionist(np):
    """Return the CTC loss of 15 labels in 60 frames of 20 classes, in the logits."""
    frames, classes = 60, 20
    labels = numpy.zeros(31, int)
    labels[1::2] = numpy.random.default_rng(0).integers(1, classes, 15)
    skips = numpy.full(len(labels), -1e9)
    skips[2:][(labels[2:] != 0) & (labels[2:] != labels[:-2])] = 0.0
    never = numpy.full(2, -1e9)

    def loss(logits):
        logs = logits - np.log(np.sum(np.exp(logits), 1, keepdims=True))
        shown = logs[:, labels]
        paths = np.concatenate([shown[0, :2], numpy.full(len(labels) - 2, -1e9)])
        for t in range(1, frames):
            moved = np.concatenate([never[:1], paths[:-1]])
            skipped = np.concatenate([never, paths[:-2]]) + skips
            paths = np.logaddexp(np.logaddexp(paths, moved), skipped) + shown[t]
        return -np.logaddexp(paths[-1], paths[-2])

    return loss, _normal(frames, classes)


def neural_ode(np):
    """Return how far 40 steps of a learned field end from a goal, in its weights."""
    width, step = 32, 0.05
    start, goal = _normal(30, 2), _normal(30, 2, seed=1)

    def miss(weights):
        w, b, v = weights[:2], weights[2], weights[3:].T

        def field(x):
            return np.tanh(x @ w + b) @ v

        x = start
        for _ in range(40):
            k1 = field(x)
            k2 = field(x + step / 2 * k1)
            k3 = field(x + step / 2 * k2)
            k4 = field(x + step * k3)
            x = x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return np.mean((x - goal) ** 2)

    return miss, 0.3 * _normal(5, width)


def informed_network(np):
    """Return by how much a network misses u'' = -sin(x), in its weights."""
    width, x = 32, numpy.linspace(0, numpy.pi, 100)[:, None]

    def bent(z, slope, bend):
        """Return tanh of what has these derivatives in x, with its own."""
        t = np.tanh(z)
        d = 1 - t**2
        return t, d * slope, d * bend - 2 * t * d * slope**2

    def miss(weights):
        first, biases, last, second = weights[0], weights[1:3], weights[3], weights[4:]
        z = x * first + biases[0]
        value, slope, bend = bent(z, first + 0 * z, 0 * z)
        value, slope, bend = bent(
            value @ second + biases[1], slope @ second, bend @ second
        )
        inside = np.mean((bend @ last + np.sin(x[:, 0])) ** 2)
        ends = value @ last
        return inside + ends[0] ** 2 + ends[-1] ** 2

    return miss, _normal(width + 4, width) / numpy.sqrt(width)


def _normal(*shape, seed=0):
    """Return draws that are the same at each call."""
    return numpy.random.default_rng(seed).standard_normal(shape)
