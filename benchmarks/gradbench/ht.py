"""Hand tracking: how far a posed hand is from points, and the Jacobian of that."""

import numpy as np

import tensorgrad as tg

from .ba import rotated
from .function import Function, fields

FINGERS, GLOBAL = 5, 6


def errors(theta, us, model, points, corners):
    """Return the distances of points to theirs on the posed hand, one after another.

    `corners` are the vertices of each point's triangle, `us` its place in it; without
    `us` the corner itself is meant.
    """
    vertices = skin(posed(theta, model), model)
    placed = rotated(theta[:3], vertices) + theta[3:6]
    if us is None:
        return np.ravel(points - placed[corners])
    u, v = us.T[..., None]
    first, second, third = (placed[c] for c in corners.T)
    return np.ravel(points - (u * first + v * second + (1 - u - v) * third))


def posed(theta, model):
    """Return the place of each bone: its own turn, within that of its parent."""
    bases = model["base_relatives"]
    turned = bases[..., :3] @ turns(theta, len(bases))
    relatives, places = np.concatenate([turned, bases[..., 3:]], 2), []
    for bone, parent in zip(relatives, model["parents"], strict=True):
        places.append(bone if parent < 0 else places[parent] @ bone)
    return np.stack(places)


def turns(theta, bones):
    """Return the rotation of each bone: about x, then y, then z."""
    place = np.full((bones, 3), len(theta))
    for finger in range(FINGERS):
        start, first = 2 + 4 * finger, GLOBAL + 4 * finger
        place[start : start + 3, 0] = first, first + 2, first + 3
        place[start, 1] = first + 1
    x, z, y = np.concatenate([theta, np.zeros(1)])[place].T
    (sx, sy, sz), (cx, cy, cz) = map(np.sin, (x, y, z)), map(np.cos, (x, y, z))
    rows = (
        (cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx),
        (sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx),
        (-sy, cy * sx, cy * cx),
    )
    return np.stack([np.stack(row, -1) for row in rows], -2)


def skin(places, model):
    """Return the vertices, each moved by the bones that it hangs on."""
    moves = (places @ model["inverse_base_absolutes"])[:, :3]
    weights = model["weights"]
    blended = (weights @ moves.reshape(len(moves), -1)).reshape(-1, 3, 4)
    return np.sum(blended * model["base_positions"][:, None], -1) * model["mirror"]


def jacobian(theta, us, model, points, corners):
    """Return the derivatives in each point's own place, and in `theta`."""
    if us is None:
        return tg.jacobian(errors)(theta, us, model, points, corners)

    def moved(both):
        """Move all the places in their triangles alike: each point sees its own."""
        return errors(both[2:], us + both[:2], model, points, corners)

    return tg.jacobian(moved)(np.concatenate([np.zeros(2), theta]))


ARRAYS = ("base_relatives", "inverse_base_absolutes", "base_positions", "weights")


def arguments(message):
    """Return angles, places in triangles, the model, points and their corners."""
    data, model = message["data"], message["data"]["model"]
    hand = dict(zip(ARRAYS, fields(*ARRAYS)(model), strict=True))
    hand["parents"] = model["parents"]
    hand["mirror"] = np.array([-1.0 if model["is_mirrored"] else 1.0, 1.0, 1.0])
    theta, us = fields("theta", "us")(message)
    corners = np.array(data["correspondences"])
    if us.size:
        corners = np.array(model["triangles"])[corners]
    return theta, us if us.size else None, hand, *fields("points")(data), corners


FUNCTIONS = {
    "objective": Function(errors, arguments),
    "jacobian": Function(jacobian, arguments),
}
