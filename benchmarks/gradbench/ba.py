"""Bundle adjustment: where cameras see points, and the sparse Jacobian of that."""

import numpy as np

import tensorgrad as tg

from .function import Function

CAMERA, POINT = 11, 3


def error(camera, point, weight, seen):
    """Return by how much a camera should see a point elsewhere than it does."""
    turn, centre, focus, middle, bend = np.split(camera, [3, 6, 7, 9])
    x = rotated(turn, point - centre)
    flat = x[:2] / x[2]
    square = np.sum(flat**2)
    flat = flat * (1 + bend[0] * square + bend[1] * square**2)
    return weight * (flat * focus + middle - seen)


def rotated(turn, x):
    """Return x, rows too, rotated by the angle |turn| about turn, after Rodrigues."""
    angle = np.linalg.norm(turn)
    across = np.cross(turn, x) * np.sinc(angle / np.pi)
    along = turn * (x @ turn)[..., None] * np.sinc(angle / (2 * np.pi)) ** 2 / 2
    return x * np.cos(angle) + across + along


def weight_error(weight):
    """Return by how much the square of a weight is less than 1."""
    return 1 - weight**2


def objective(cameras, points, weights, seen, pairs):
    """Return the errors of all observations, pairs of camera and point."""
    camera, point = pairs
    errors = tg.vmap(error)(cameras[camera], points[point], weights, seen)
    return errors, weight_error(weights)


def jacobian(cameras, points, weights, seen, pairs):
    """Return rows, columns and values of the Jacobian, two rows and one for a pair."""
    camera, point = pairs
    blocks = tg.vmap(tg.jacobian(error, argnums=(0, 1, 2)))(
        cameras[camera], points[point], weights, seen
    )
    by_weight = tg.vmap(tg.grad(weight_error))(weights)
    values = np.concatenate([*blocks[:2], blocks[2][..., None]], -1)
    return *pattern(len(cameras), len(points), pairs), values, by_weight


def pattern(n, m, pairs):
    """Return where rows start, and which columns each pair's two rows have."""
    camera, point = pairs
    own = CAMERA * n + POINT * m + np.arange(len(camera))
    parts = CAMERA * camera, CAMERA * n + POINT * point, own
    widths = CAMERA, POINT, 1
    columns = [p[:, None] + np.arange(w) for p, w in zip(parts, widths, strict=True)]
    lengths = np.repeat([sum(widths), 1], [2 * len(own), len(own)])
    rows = np.concatenate([[0], np.cumsum(lengths)])
    return rows, np.concatenate(columns, 1), own


def arguments(message):
    """Return one camera and one point many times over, seen in turn."""
    n, m, p = (message[name] for name in ("n", "m", "p"))
    camera, point, seen = (np.array(message[name]) for name in ("cam", "x", "feat"))
    pairs = np.arange(p) % n, np.arange(p) % m
    repeated = np.tile(camera, (n, 1)), np.tile(point, (m, 1))
    return *repeated, np.full(p, message["w"]), np.tile(seen, (p, 1)), pairs


def errors_answer(value):
    """Return the first errors, all being equal."""
    errors, weights = value
    return {
        "reproj_error": {"elements": errors[0], "repeated": len(errors)},
        "w_err": {"element": weights[0], "repeated": len(weights)},
    }


def jacobian_answer(value):
    """Return the first 30 rows, columns and values, and the last."""
    rows, columns, own, values, by_weight = value
    return {
        "rows": [*rows[:30], rows[-1]],
        "cols": [*columns[0], *columns[0], own[-1]],
        "vals": [*values[0].ravel(), by_weight[-1]],
    }


FUNCTIONS = {
    "objective": Function(objective, arguments, errors_answer),
    "jacobian": Function(jacobian, arguments, jacobian_answer),
}
