"""Draw the layers of the package and one pass back: ``python docs/pictures_design.py``.

Writes docs/_static/layers.svg and docs/_static/backward.svg. The numbers in the second
are those of a run. Needs the extra `plot`.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tensorgrad as tg

STATIC = Path(__file__).parent / "_static"
INK, QUIET, EDGE = "#1a1a1a", "#4a4a4a", "#757575"
BLUE, ORANGE, GREEN, YELLOW = "#0072b2", "#b34700", "#00734f", "#9a6a00"
SMALL, UNIT = 8.5, 0.58
PALE = {BLUE: "#eaf3fa", GREEN: "#e6f3ee", YELLOW: "#fdf1d6", EDGE: "#f4f4f4"}


class Part(NamedTuple):
    """A part of the package: where it is drawn, and what it is for."""

    x: float
    y: float
    width: float
    about: str
    color: str = BLUE


PARTS = {
    "cli": Part(0, 4, 13.5, "the command: uses everything below", EDGE),
    "formats": Part(0, 3, 1.95, "files of others"),
    "explanation": Part(2.15, 3, 1.95, "tg.explain", GREEN),
    "train": Part(4.3, 3, 1.95, "loop, checkpoints"),
    "testing": Part(0, 2, 1.95, "checks of gradients", GREEN),
    "nn": Part(2.15, 2, 1.95, "layers of networks"),
    "sklearn": Part(6.4, 3, 1.95, "its estimators", GREEN),
    "linalg": Part(4.3, 2, 1.2, "of NumPy"),
    "plot": Part(5.7, 2, 2.6, "pictures of runs", GREEN),
    "ops": Part(0, 1, 5.5, "the operations: each forward beside its rules"),
    "transforms": Part(5.7, 1, 2.6, "derivatives of functions"),
    "optim": Part(8.5, 1, 1.9, "optimizers"),
    "capture": Part(10.6, 1, 1.8, "tg.compile"),
    "xla": Part(12.6, 3, 0.9, "devices", GREEN),
    "core": Part(0, 0, 13.5, "tensor, graph, backward"),
    "data": Part(8.5, 3, 1.2, "data sets", YELLOW),
    "extras": Part(9.8, 3, 1.0, "optional", YELLOW),
    "files": Part(10.9, 3, 0.85, "on disk", YELLOW),
    "bar": Part(11.85, 3, 0.55, "tqdm", YELLOW),
    "random": Part(8.5, 2, 1.3, "generators", YELLOW),
    "facts": Part(10, 2, 1.1, "of NumPy", YELLOW),
    "loading": Part(11.3, 2, 1.1, "Ctrl-C", YELLOW),
}
HEIGHT = 0.62
USES = [
    ("explanation", "nn"),
    ("formats", "nn"),
    ("train", "nn"),
    ("sklearn", "nn"),
    ("testing", "ops"),
    ("nn", "ops"),
    ("linalg", "ops"),
    ("plot", "transforms"),
    ("ops", "core"),
    ("transforms", "core"),
    ("optim", "core"),
    ("capture", "core"),
    ("data", "random"),
    ("xla", "capture"),
]
"""What is drawn as an arrow: the nearest layer below that a part uses."""


def canvas(x: tuple[float, float], y: tuple[float, float]) -> tuple[Any, Any]:
    """Return a figure without axes in which a unit is UNIT inches."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "tensorgrad", "font.size": 10})
    figure = plt.figure(figsize=(UNIT * (x[1] - x[0]), UNIT * (y[1] - y[0])))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.set(xlim=x, ylim=y)
    return figure, axes


def box(
    axes: Any, corner: tuple[float, float], size: tuple[float, float], color: str
) -> None:
    """Draw a rounded box in a pale shade of a colour."""
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.08"
    patch = FancyBboxPatch(
        corner, *size, boxstyle=style, facecolor=PALE[color], edgecolor=color
    )
    axes.add_patch(patch)


def write(
    axes: Any, at: tuple[float, float], text: str, color: str = INK, **how: Any
) -> None:
    """Write a text centred at a point."""
    axes.text(*at, text, **{"ha": "center", "va": "center", "color": color, **how})


def arrow(
    axes: Any, start: tuple[float, float], end: tuple[float, float], color: str = EDGE
) -> None:
    """Draw an arrow."""
    line = {"color": color, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", **line})


def save(figure: Any, name: str) -> None:
    """Write a figure as SVG, the same bytes on every run."""
    STATIC.mkdir(exist_ok=True)
    figure.savefig(STATIC / name, metadata={"Date": None})


# The layers.


def draw_layers() -> Any:
    """Return the figure of the layers: an arrow points at what is imported."""
    figure, axes = canvas((-0.2, 13.7), (-0.2, 4.8))
    for name, part in PARTS.items():
        box(axes, (part.x, part.y), (part.width, HEIGHT), part.color)
        middle = part.x + part.width / 2
        write(axes, (middle, part.y + 0.42), name, weight="bold")
        write(axes, (middle, part.y + 0.18), part.about, QUIET, fontsize=SMALL)
    for user, used in USES:
        upper, lower = PARTS[user], PARTS[used]
        x = upper.x + upper.width / 2
        end = min(max(x, lower.x + 0.2), lower.x + lower.width - 0.2)
        arrow(axes, (x, upper.y), (end, lower.y + HEIGHT))
    return figure


# One pass back.


class Stage(NamedTuple):
    """A step of the computation, or a leaf, and where it is drawn."""

    text: str
    tensor: Any
    at: tuple[float, float]
    rule: str = ""
    kept: tuple[str, ...] = ()


WIDE, HIGH, STEP = 1.9, 0.95, 3.1


def neuron() -> list[Stage]:
    """Compute a neuron and the square of its output."""
    x = np.array([1.0, -2.0, 3.0])
    w = tg.Tensor([-3.0, -1.0, 2.0], requires_grad=True)
    b = tg.Tensor(1.0, requires_grad=True)
    s = tg.dot(x, w)
    z = s + b
    y = tg.relu(z)
    loss = tg.square(y)
    return [
        Stage("w", w, (0, 0)),
        Stage("s = x · w", s, (STEP, 0), "g x", ("x",)),
        Stage("z = s + b", z, (2 * STEP, 0), "g"),
        Stage("y = relu(z)", y, (3 * STEP, 0), "g if y > 0\nelse 0", ("y",)),
        Stage("loss = y²", loss, (4 * STEP, 0), "2 y g", ("y",)),
        Stage("b", b, (2 * STEP, 2)),
    ]


def run_back(stages: list[Stage]) -> dict[str, Any]:
    """Run the pass back, and return the gradient that arrives at each stage."""
    found: dict[str, Any] = {}
    for stage in stages:
        node = stage.tensor.node
        arrays = [v for v in getattr(node, "saved", ()) if hasattr(v, "dtype")]
        # What the picture says is kept is what is kept.
        assert len(arrays) == len(stage.kept), (stage.text, arrays)
        stage.tensor.register_hook(functools.partial(_keep, found, stage.text))
    stages[4].tensor.backward()
    return found


def _keep(found: dict[str, Any], name: str, g: tg.Tensor) -> None:
    found[name] = g.numpy().copy()


def numbers(value: Any) -> str:
    """Return an array as a reader writes it."""
    show = {"all": "{:g}".format}
    text = np.array2string(np.asarray(value), separator=", ", formatter=show)
    return text.replace("-", "\N{MINUS SIGN}")


def draw_stage(axes: Any, stage: Stage, gradient: Any) -> None:
    """Draw a box with its value, the gradient that arrives, and what is kept."""
    x, y = stage.at
    box(axes, stage.at, (WIDE, HIGH), BLUE if stage.rule else YELLOW)
    middle = x + WIDE / 2
    write(axes, (middle, y + 0.67), stage.text)
    write(axes, (middle, y + 0.28), numbers(stage.tensor.numpy()), BLUE)
    below = y - 0.22 if y == 0 else y + HIGH + 0.22
    write(axes, (middle, below), f"gradient {numbers(gradient)}", ORANGE)
    if stage.rule:
        kept = f"keeps {', '.join(stage.kept) or 'nothing'}"
        write(axes, (middle, y - 0.58), kept, QUIET, fontsize=SMALL)


def draw_backward() -> Any:
    """Return the figure of a neuron: values to the right, gradients to the left."""
    figure, axes = canvas((-0.5, 4 * STEP + WIDE + 0.5), (-0.9, 3.4))
    stages = neuron()
    found = run_back(stages)
    for stage in stages:
        draw_stage(axes, stage, found[stage.text])
    for stage in stages[1:5]:
        right, left = stage.at[0], stage.at[0] - STEP + WIDE
        arrow(axes, (left, 0.67), (right, 0.67), BLUE)
        arrow(axes, (right, 0.28), (left, 0.28), ORANGE)
        at = ((left + right) / 2, 0.16)
        write(axes, at, stage.rule, ORANGE, fontsize=SMALL, va="top")
    middle = 2 * STEP + WIDE / 2
    arrow(axes, (middle - 0.2, 2), (middle - 0.2, HIGH), BLUE)
    arrow(axes, (middle + 0.2, HIGH), (middle + 0.2, 2), ORANGE)
    write(axes, (middle + 0.4, 1.5), "g", ORANGE, fontsize=SMALL)
    return figure


def main() -> None:
    """Draw both."""
    save(draw_layers(), "layers.svg")
    save(draw_backward(), "backward.svg")


if __name__ == "__main__":
    main()
