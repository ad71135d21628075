"""Descents: each situation of the gallery is what its title says; pictures show it."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.plot import Descent, descent, descents, losses
from tensorgrad.plot.palette import linear

GALLERY = Path(__file__).resolve().parents[1] / "docs" / "gallery"
MINIMA = (-5.518, -3.791, -1.920, 0.0)
FIRST, SECOND, THIRD, LOWEST = MINIMA


@pytest.fixture(scope="module")
def situations():
    """Return the eleven descents of the gallery, by name."""
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    script = runpy.run_path(str(GALLERY / "plot_1_situations.py"))
    plt.close("all")
    return {
        name: Descent.walked(
            script["curve"], script["START"], script["sgd"](lr, momentum), steps
        )
        for name, (lr, momentum, steps) in script["SITUATIONS"].items()
    }


def test_the_rates_of_the_gallery_are_what_they_are_called():
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    script = runpy.run_path(str(GALLERY / "plot_3_rates.py"))
    plt.close("all")
    low, good, high, too_high = (
        abs(run.points[:, 0]) for run in script["runs"].values()
    )
    x = script["runs"]["high, 1.8"].points[:, 0]
    assert good[-1] < high[-1] < low[-1] < low[0] < too_high[-1]
    assert (np.sign(x[1:]) == -np.sign(x[:-1])).all()


def arrival(run, minimum=LOWEST):
    """Return the first step after which it stays in the valley of a minimum."""
    near = np.abs(run.points[:, 0] - minimum) < 0.9
    return len(near) - int(np.argmin(near[::-1])) if near[-1] else None


@pytest.mark.parametrize(
    ("name", "minimum"),
    [
        ("stuck in the first local minimum", FIRST),
        ("stuck in the second", SECOND),
        ("stuck in the third", THIRD),
        ("reached slowly", LOWEST),
        ("better", LOWEST),
        ("in some fifty steps", LOWEST),
        ("good", LOWEST),
        ("efficient", LOWEST),
    ],
)
def test_where_it_ends(situations, name, minimum):
    assert situations[name].points[-1, 0] == pytest.approx(minimum, abs=0.06)


def test_the_lowest_point_is_reached_ever_faster(situations):
    names = ["reached slowly", "better", "in some fifty steps", "good", "efficient"]
    taken = [len(situations[name].points) - 1 for name in names]
    assert taken == sorted(taken, reverse=True)
    arrived = [arrival(situations[name]) for name in names]
    assert all(a is not None and a <= n for a, n in zip(arrived, taken, strict=True))
    assert arrived[-1] < arrived[0] / 4


def test_unstable_jumps_about_one_minimum(situations):
    last = situations["unstable"].points[-20:, 0]
    assert np.ptp(last) > 0.5
    assert np.abs(last).max() < 1.3


def test_far_too_high_a_rate_jumps_over_several(situations):
    last = situations["far too high a rate"].points[-40:, 0]
    valleys = {int(np.argmin(np.abs(np.abs(x) + np.array(MINIMA)))) for x in last}
    assert len(valleys) >= 3


def test_an_explosion_leaves(situations):
    run = situations["gradient explosion"]
    assert run.left
    assert len(run.points) < 61
    assert run.values[-1] > 1e20


def test_others_stay(situations):
    assert [n for n, run in situations.items() if run.left] == ["gradient explosion"]


def bowl(x):
    return (x**2).sum()


def sgd(params):
    return tg.optim.SGD(params, lr=0.1)


def test_the_path_is_that_of_the_optimizer():
    run = Descent.walked(bowl, 2.0, sgd, 5)
    np.testing.assert_allclose(run.points[:, 0], 2 * 0.8 ** np.arange(6))
    np.testing.assert_allclose(run.values, run.points[:, 0] ** 2)


def test_pictures_show_the_path():
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    for start in (2.0, [2.0, 1.0]):
        figure = descent(bowl, start, sgd, 5, title="a bowl", span=(-3, 3))
        ax = figure.axes[0]
        drawn = np.asarray(ax.collections[-1].get_offsets())
        run = Descent.walked(bowl, start, sgd, 5)
        other = run.values if run.points.shape[1] == 1 else run.points[:, 1]
        np.testing.assert_allclose(drawn, np.column_stack([run.points[:, 0], other]))
        colours = ax.collections[-1].get_facecolors()
        assert colours[0, 2] > colours[0, 0]
        assert colours[-1, 0] > colours[-1, 2]
        assert (np.diff(linear(colours[:, :3]) @ [0.2126, 0.7152, 0.0722]) < 0).all()
        assert ax.get_title(loc="left") == "a bowl"
        lowest = next(line for line in ax.lines if line.get_marker() == "*")
        np.testing.assert_allclose(lowest.get_data(), 0, atol=0.05)
        assert f"step 5: f = {run.values[-1]:.3g}" in labels(ax)
    figure = losses({"a": Descent.walked(bowl, 2.0, sgd, 5)})
    assert len(figure.axes[0].lines[0].get_xdata()) == 6
    plt.close("all")


def labels(ax):
    return [text.get_text() for text in ax.texts]


def test_a_path_that_has_left_is_announced():
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    far = descent(bowl, 2.0, lambda p: tg.optim.SGD(p, lr=2.0), 60, span=(-3, 3))
    assert labels(far.axes[0])[-1].startswith("left at step 12, f = ")
    plt.close("all")


def test_no_lowest_point_is_marked_where_it_lies_outside():
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    for start in (2.0, [2.0, 1.0]):
        figure = descent(lambda x: x.sum(), start, sgd, 5)
        assert "lowest" not in labels(figure.axes[0])
    plt.close("all")


def test_files_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    runs = {"one": sgd, "two": lambda p: tg.optim.Adam(p, lr=0.1)}
    assert descents(bowl, [1.0, 2.0], runs, 5, tmp_path / "d.svg") is None
    assert "</svg>" in (tmp_path / "d.svg").read_text("utf-8")


@pytest.mark.parametrize(("x0", "steps"), [([1.0, 2.0, 3.0], 5), (1.0, 0)])
def test_what_cannot_be_drawn_is_refused(x0, steps):
    with pytest.raises(ValueError, match="one or two numbers"):
        descent(bowl, x0, sgd, steps)
