"""The picture of a result holds the numbers of the result."""

import subprocess
import sys

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing import check_gradient, gradcheck

X = np.array([0.5, -1.2, 2.0])


@pytest.fixture
def ax():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot.figure().add_subplot()
    pyplot.close("all")


def drawn(ax, label):
    """Return the points and the ends of the error bars drawn under a label."""
    (container,) = (c for c in ax.containers if c.get_label().startswith(label))
    points, _, (bars,) = container.lines
    return points.get_xydata(), np.array(bars.get_segments())[:, :, 0]


def half_wrong(scale):
    return check_gradient(
        lambda x: scale * np.sin(x),
        lambda x: scale * np.cos(x) * np.where(x < 0, 1.5, 1),
        X,
        raise_on_failure=False,
    )


@pytest.mark.parametrize("scale", [1.0, np.array([1e-6, 1.0, 1e6])])
def test_points_and_bars_are_those_of_the_result(ax, scale):
    result = half_wrong(scale)
    assert result.plot(ax) is ax
    for verdict, count in (("agrees", 8), ("disagrees", 1)):
        entries = result.entries(verdict)
        points, bars = drawn(ax, verdict)
        assert len(entries) == len(points) == count
        assert points == pytest.approx(
            np.array([(e.numerical, e.analytic) for e in entries])
        )
        ends = [(e.numerical - e.error, e.numerical + e.error) for e in entries]
        assert bars == pytest.approx(np.array(ends))
    assert "DISAGREES" in ax.get_title(loc="left")
    assert ax.get_xlim() == ax.get_ylim()
    (line,) = (line for line in ax.lines if line.get_label() == "exact")
    assert (line.get_xdata() == line.get_ydata()).all()


def test_worst_entry_is_named(ax):
    half_wrong(1.0).plot(ax)
    assert [t.get_text() for t in ax.texts] == ["d output 0[1] / d input 0[1]"]


def test_bar_of_a_kink_is_what_lies_between_the_sides(ax):
    gradcheck(lambda x: 3 * tg.relu(x), np.array([0.0, 1.0])).plot(ax)
    points, bars = drawn(ax, "kink")
    assert points == pytest.approx(np.array([[1.5, 0.0]]))
    assert bars == pytest.approx(np.array([[0.0, 3.0]]), abs=1e-9)


def test_what_is_not_finite_is_counted(ax):
    check_gradient(np.log, lambda x: 1 / x, [-1.0, 1.0], raise_on_failure=False).plot(
        ax
    )
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any("not finite, not drawn" in label for label in labels)


def test_result_without_numbers_has_a_title(ax):
    result = gradcheck(lambda x: x, np.array([1]), raise_on_failure=False)
    result.plot(ax)
    assert "INVALID" in ax.get_title(loc="left")


def test_new_figure_is_made(ax):
    assert half_wrong(1.0).plot().figure is not ax.figure


def test_error_without_matplotlib_names_the_extra():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import tensorgrad as tg\n"
        "tg.gradcheck(lambda x: x * x, 1.5).plot()\n"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: result.plot() needs matplotlib" in child.stderr
    assert "pip install -e '.[plot]'" in child.stderr
