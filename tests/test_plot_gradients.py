"""Pictures of Jacobians, gradients and updates show the numbers they are given."""

import numpy as np
import pytest

import tensorgrad as tg

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is missing")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def words(ax):
    return [t.get_text() for t in ax.texts]


def model_with_gradients():
    model = tg.nn.Sequential(
        tg.nn.Dense(2, 4, rng=0), tg.nn.ReLU(), tg.nn.Dense(4, 3, rng=1)
    )
    x = np.random.default_rng(0).normal(size=(8, 2)).astype("f4")
    tg.softmax_cross_entropy(model(x), [0, 1, 2, 0, 1, 2, 0, 1]).backward()
    return model


def test_jacobian_of_softmax():
    x = np.array([2.0, 1.0, 0.1])
    ax, scale = tg.plot.jacobian(tg.softmax, x, title="softmax").axes
    y = tg.softmax(x)
    expected = np.diag(y) - np.outer(y, y)
    assert words(ax) == [f"{v:.2g}" for v in expected.ravel()]
    colours = ax.images[0].get_array()
    red, blue = colours[0, 0], colours[0, 1]
    assert red[0] > red[2]
    assert blue[0] < blue[2]
    assert ax.get_title() == "softmax"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("input", "output")
    np.testing.assert_allclose(scale.get_ylim(), [-expected.max(), expected.max()])


def test_jacobian_of_several_axes_is_a_matrix():
    f = lambda x: (x * 2).sum(axis=0)  # noqa: E731
    ax, _ = tg.plot.jacobian(f, np.ones((2, 3))).axes
    assert ax.images[0].get_array().shape[:2] == (3, 6)
    assert words(ax)[:4] == ["2", "0", "0", "2"]


def test_large_jacobians_have_no_numbers():
    ax, _ = tg.plot.jacobian(np.ones((30, 20))).axes
    assert words(ax) == []
    assert len(ax.get_yticks()) <= 10


def test_jacobian_refuses_other_shapes():
    with pytest.raises(ValueError, match="reshape it"):
        tg.plot.jacobian(np.ones(3))


def test_gradient_flow_shows_the_root_mean_square():
    model = model_with_gradients()
    (ax,) = tg.plot.gradient_flow(model).axes
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels == [name for name, _ in model.named_parameters()]
    weights, biases = [line for line in ax.lines if line.get_marker() == "o"]
    assert weights.get_ydata().tolist() == [0, 2]
    assert biases.get_ydata().tolist() == [1, 3]
    expected = [np.sqrt(np.mean(p.grad.numpy() ** 2.0)) for p in model.parameters()]
    np.testing.assert_allclose(weights.get_xdata(), expected[::2], rtol=1e-6)
    np.testing.assert_allclose(biases.get_xdata(), expected[1::2], rtol=1e-6)
    assert ax.get_xscale() == "log"


def test_gradient_flow_of_a_deep_network_fits_a_screen():
    deep = [tg.Tensor(np.ones((2, 2)), requires_grad=True) for _ in range(40)]
    for p in deep:
        p.grad = np.ones((2, 2))
    figure = tg.plot.gradient_flow(deep, title="deep")
    assert figure.get_size_inches()[1] * figure.dpi < 900
    assert figure.axes[0].get_title(loc="left") == "deep"


def test_gradient_flow_tells_zeros():
    w = tg.Tensor(np.ones(4), requires_grad=True)
    v = tg.Tensor(np.ones(2), requires_grad=True)
    (w * np.array([1.0, 0, 0, 0]) + 0 * v.sum()).sum().backward()
    (ax,) = tg.plot.gradient_flow([w, v]).axes
    assert words(ax) == ["75% zero", "all zero"]


def test_gradient_flow_needs_gradients():
    with pytest.raises(ValueError, match="after loss.backward"):
        tg.plot.gradient_flow(tg.nn.Dense(2, 2, rng=0))


def recorded(steps):
    x, y = tg.data.spiral(20, 3, rng=0)
    model = tg.nn.Sequential(tg.nn.Dense(2, 4, rng=0), tg.nn.Dense(4, 3, rng=0))
    optimizer = tg.optim.SGD(model.parameters(), 0.5)
    history = tg.plot.History(model, x, y, steps=steps, frames=2)
    kept = []
    for _ in range(steps):
        kept.append([p.numpy().copy() for p in model.parameters()])
        logits = model(x)
        loss = tg.softmax_cross_entropy(logits, y)
        history.record(loss.item(), tg.data.accuracy(logits, y), optimizer.lr)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return history, kept


def test_updates_are_those_of_the_steps():
    history, kept = recorded(6)
    (ax,) = tg.plot.updates(history).axes
    before, after = kept[-2], kept[-1]
    for row, said in enumerate(words(ax)):
        ratio = np.abs(after[row] - before[row]) / np.abs(before[row])
        assert said.startswith(f"median {10 ** np.median(np.log10(ratio)):.1g}")
    assert len(words(ax)) == 4


def test_updates_need_a_step():
    history, _ = recorded(1)
    with pytest.raises(ValueError, match="record more steps"):
        tg.plot.updates(history)


def test_pictures_are_written(tmp_path):
    path = tmp_path / "jacobian.png"
    assert tg.plot.jacobian(np.eye(3), path=path) is None
    assert plt.imread(path).shape[2] == 4
    with pytest.raises(ValueError, match=r"\.png, \.svg, \.pdf"):
        tg.plot.gradient_flow(model_with_gradients(), tmp_path / "flow.mp4")
