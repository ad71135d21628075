"""Pictures of training: what is recorded, drawn, written, and how calm it is."""

import json
import re
import sys
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import cli, data

pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")

from PIL import Image
from scipy.ndimage import uniform_filter

from tensorgrad.plot import palette, plane, squares, writers
from tensorgrad.plot.calm import Follower
from tensorgrad.plot.canvas import Canvas
from tensorgrad.plot.runs import Runs
from tensorgrad.plot.writers import frames


def trained(make, steps, *, kept=6, x=None, y=None, hidden=16, **about):
    """Return the history of a run, and the parameters before each of its steps."""
    if x is None:
        x, y = data.spiral(40, 3, rng=0)
    rng = np.random.RandomState(1)
    first = tg.nn.Dense(x.shape[1], hidden, rng=rng)
    last = tg.nn.Dense(hidden, int(y.max()) + 1, rng=rng)
    model = tg.nn.Sequential(first, tg.nn.ReLU(), last)
    optimizer = make(model.parameters())
    history = tg.plot.History(model, x, y, steps=steps, frames=kept, **about)
    passed = []
    with np.errstate(all="ignore"):
        for _ in range(steps):
            logits = model(x)
            loss = tg.softmax_cross_entropy(logits, y)
            passed.append([p.data.copy() for p in model.parameters()])
            history.record(loss.item(), data.accuracy(logits, y), optimizer.lr)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return history, passed


adam = partial(tg.optim.Adam, lr=0.05, decay=1e-3)


@pytest.fixture(scope="module")
def short():
    history, _ = trained(adam, 61, kept=5, title="Adam, lr 0.05")
    return history


@pytest.fixture(scope="module")
def drawn(short):
    """Labels and pictures of all frames."""
    return [*frames(Canvas(short))]


# What is recorded.


@pytest.mark.parametrize(
    ("steps", "kept", "chosen"),
    [
        (50, 5, [0, 12, 24, 37, 49]),
        (3, 100, [0, 1, 2]),
        (1, 4, [0]),
        (9, 1, [8]),
        (10, 2, [0, 9]),
    ],
)
def test_moments_and_updates_are_those_of_the_run(steps, kept, chosen):
    history, passed = trained(adam, steps, kept=kept)
    assert [m.step for m in history.moments] == chosen
    assert len(history.losses) == len(history.rates) == steps
    for moment in history.moments:
        before = passed[max(moment.step - 1, 0)]
        now = passed[moment.step]
        for i, shown in enumerate(moment.parameters):
            assert np.array_equal(shown, now[i])
            assert np.array_equal(moment.update[i], now[i] - before[i])


def test_a_recorded_run_has_the_bits_of_one_that_is_not(capsys, tmp_path):
    files = [tmp_path / "plain.tg", tmp_path / "drawn.tg"]
    options = ["train", "spiral", "--epochs", "30", "--save"]
    assert cli.main([*options, str(files[0])]) == 0
    picture = str(tmp_path / "run.png")
    assert cli.main([*options, str(files[1]), "--plot", picture]) == 0
    plain, drawn = (tg.train.load(file)["network"] for file in files)
    assert all(plain[k].tobytes() == drawn[k].tobytes() for k in plain)


def test_drawing_leaves_the_model_alone(short):
    live = [p.data.copy() for p in short._live]
    short.scores(short.moments[0], short.x)
    assert all(
        np.array_equal(p.data, q) for p, q in zip(short._live, live, strict=True)
    )


def test_scores_are_those_of_the_moment(short):
    w1, b1, w2, b2 = short.moments[2].parameters
    expected = np.maximum(short.x @ w1 + b1, 0) @ w2 + b2
    given = short.scores(short.moments[2], short.x)
    assert np.allclose(given, expected, rtol=1e-5, atol=1e-5)


def test_a_huge_model_keeps_fewer_moments(monkeypatch):
    monkeypatch.setattr(sys.modules["tensorgrad.plot.history"], "MEMORY", 3000)
    history, _ = trained(adam, 20, kept=20)  # 99 parameters: 792 bytes a moment
    assert [m.step for m in history.moments] == [0, 10, 19]


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": np.ones(3)},
        {"y": np.ones(2, int)},
        {"x": np.ones((0, 2)), "y": np.ones(0, int)},
        {"steps": 0},
        {"frames": 0},
    ],
)
def test_what_cannot_be_recorded_is_refused(wrong):
    given = {"x": np.ones((3, 2)), "y": np.zeros(3, int), "steps": 3} | wrong
    model = tg.nn.Dense(2, 2, rng=0)
    with pytest.raises(ValueError, match="^History: .*, got "):
        tg.plot.History(model, **given)


def test_nothing_recorded_is_refused():
    history = tg.plot.History(
        tg.nn.Dense(2, 2, rng=0), np.ones((3, 2)), np.zeros(3, int), steps=4
    )
    with pytest.raises(ValueError, match="at least one moment recorded"):
        tg.plot.training(history)
    with pytest.raises(ValueError, match="at least one moment recorded"):
        tg.plot.comparison([])


# Colours.


def test_tints_share_one_luminance_and_so_do_their_mixtures():
    tints = palette.tints(7)
    mixed = np.vstack([tints, np.eye(7)[:3].mean(0) @ tints])
    lights = palette.luminance(palette.as_bytes(mixed))
    assert np.ptp(lights) < 0.01
    assert tints.min() >= 0
    assert tints.max() <= 1


def test_ends_of_the_scale_are_equally_dark_and_the_middle_is_white():
    low, middle, high = palette.diverging(np.array([-1.0, 0.0, 1.0]))
    assert middle.tolist() == [255, 255, 255]
    assert low[2] > low[0]
    assert high[0] > high[2]
    lights = palette.luminance(np.array([low, high]))
    assert abs(lights[0] - lights[1]) < 0.01


def test_depth_falls_linearly_in_luminance():
    lights = palette.luminance(palette.diverging(np.linspace(0, 1, 11)))
    assert np.allclose(np.diff(lights), np.diff(lights).mean(), atol=0.005)


# Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color
# vision deficiency", 2009, severity 1.
DEFICIENT = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(light):
    """Return CIE L*a*b* of light intensities (n, 3), for the white of sRGB."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722]])
    xyz = np.vstack([xyz, [0.0193, 0.1192, 0.9505]])
    f = np.cbrt(np.clip(light, 1e-4, 1) @ xyz.T / [0.9505, 1, 1.089])
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def nearest(light):
    """Return the smallest distance between two colours in L*a*b*."""
    c = lab(light)
    apart = np.linalg.norm(c[:, None] - c, axis=-1)
    return apart[~np.eye(len(c), dtype=bool)].min()


@pytest.mark.parametrize("kind", DEFICIENT)
def test_colour_blind_readers_can_tell_three_classes_apart(kind):
    seen = np.array(DEFICIENT[kind]).T
    full = np.array([palette.light_of(c) for c in palette.CLASSES[:3]])
    ends = np.array([palette.light_of(c) for c in (palette.RED, palette.BLUE)])
    # A just noticeable difference is 2.3; shapes of marks tell classes apart, too.
    assert nearest(full @ seen) > 7 * 2.3
    assert nearest(ends @ seen) > 7 * 2.3
    assert nearest(palette.tints(3) @ seen) > 3 * 2.3


# Planes.


def test_two_features_are_the_plane():
    x, y = data.spiral(5, 3, rng=0)
    drawn = plane.plane_of(x, y, ("a", "b"))
    assert drawn.is_feature_space
    assert (drawn.labels, drawn.note) == (("a", "b"), "")
    assert np.array_equal(drawn.points, x)
    grid = drawn.grid(3)
    left, right, bottom, top = drawn.extent()
    assert np.allclose(grid[0], [left, top])
    assert np.allclose(grid[-1], [right, bottom])
    assert np.allclose(grid[1], [(left + right) / 2, top])


def test_more_features_are_projected_on_the_two_widest_directions():
    rng = np.random.default_rng(0)
    turned, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    scores = rng.normal(size=(400, 5)) * [9, 4, 0.1, 0.1, 0.1]
    drawn = plane.plane_of(scores @ turned.T + 7, np.zeros(400, int))
    assert not drawn.is_feature_space
    assert "two principal components of 5 features, 100% of variance" in drawn.note
    centred = scores - scores.mean(axis=0)
    for i in range(2):
        assert abs(np.corrcoef(drawn.points[:, i], centred[:, i])[0, 1]) > 0.99


def test_one_feature_is_drawn_against_the_class():
    drawn = plane.plane_of(np.arange(4.0)[:, None], np.array([0, 1, 0, 1]))
    assert drawn.labels == ("feature 1", "class")
    assert drawn.points.tolist() == [[0, 0], [1, 1], [2, 0], [3, 1]]


def test_of_many_samples_some_are_drawn_and_that_is_said():
    x, y = data.spiral(4000, 3, rng=0)
    drawn = plane.plane_of(x, y)
    assert len(drawn.points) == 2000
    assert drawn.note == "2,000 of 12,000 samples shown"


def test_probabilities_of_logits_probabilities_and_ruins():
    logits = np.array([[0.0, np.log(3)], [1000.0, 0.0], [np.nan, 1.0], [np.inf, 0.0]])
    given = plane.probabilities(logits)
    assert np.allclose(given, [[0.25, 0.75], [1, 0], [0.5, 0.5], [0.5, 0.5]])
    assert np.array_equal(plane.probabilities(given), given)


def test_a_border_is_where_the_class_changes():
    border = plane.edges(np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]]))
    assert border.tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 1]]


# Squares.


def wide(count):
    return 1.2


@pytest.mark.parametrize(("rows", "columns"), [(2, 64), (64, 3), (7, 7), (1, 1)])
def test_every_weight_and_bias_has_one_square(rows, columns):
    names, shapes = ["layers.0.weight", "layers.0.bias"], [(rows, columns), (columns,)]
    (field,) = squares.fields_of(names, shapes, wide)
    assert field.layer.title == f"Dense 1: {rows} to {columns}"
    count = (rows + 1) * columns
    assert sorted(field.places[field.places >= 0]) == [*range(count)]
    arrays = [np.arange(rows * columns).reshape(rows, columns), -np.arange(columns)]
    values = field.values(arrays)
    assert values.tolist() == [*range(rows * columns), *(-np.arange(columns))]


def test_long_lines_are_folded_in_order():
    (field,) = squares.fields_of(["w"], [(2, 6)], lambda count: 3 / 5)
    assert field.places.tolist() == [
        [0, 1, 2],
        [6, 7, 8],
        [-1] * 3,
        [3, 4, 5],
        [9, 10, 11],
    ]


def test_a_huge_layer_is_thinned_and_that_is_said():
    shapes = [(500, 3000), (3000,)]
    (field,) = squares.fields_of(["weight", "bias"], shapes, wide)
    assert field.note == "bias in the last row, 8,192 of 1,503,000 shown"
    assert field.places.max() == 1_502_999


def test_of_a_deep_model_the_ends_are_shown():
    names = [f"layers.{i}.{p}" for i in range(9) for p in ("weight", "bias")]
    fields = squares.fields_of(names, [(4, 4), (4,)] * 9, wide)
    assert [f.layer.title[:7] for f in fields] == [
        f"Dense {i}" for i in (1, 2, 3, 7, 8, 9)
    ]


def test_squares_have_the_colours_of_their_values():
    (field,) = squares.fields_of(["w"], [(1, 3)], wide)
    cells = field.fill(np.array([-1.0, 0.0, 1.0]))
    side = squares.SIDE
    picture = field.picture(cells)
    middles = picture[side // 2 :: side, side // 2 :: side].reshape(-1, 3)
    inside = middles[(field.places >= 0).ravel()]
    assert np.array_equal(inside, palette.diverging(np.array([-1.0, 0.0, 1.0])))


# The canvas.


def test_a_canvas_shows_the_moment(short):
    canvas = Canvas(short)
    for i, moment in enumerate(short.moments):
        canvas.show(i)
        loss, accuracy, _ = canvas.curves
        assert loss.line.get_xdata()[-1] == moment.step
        assert loss.line.get_ydata()[-1] == short.losses[moment.step]
        assert accuracy.value.get_text() == f"{short.accuracies[moment.step]:.3f}"
        biggest = np.abs(
            np.concatenate([moment.update[0].ravel(), moment.update[1]])
        ).max()
        words = canvas.panels[1].largest.get_text()
        assert words == (f"update, largest {biggest:.2g}" if i else "update, zero")
        assert canvas.label(i) == f"epoch {moment.step}"


def test_hollow_marks_are_the_samples_the_model_has_wrong(short):
    canvas = Canvas(short)
    canvas.show(3)
    moment = short.moments[3]
    wrong = short.scores(moment, short.x).argmax(axis=1) != short.y
    for k, drawn in enumerate(canvas.regions._samples):
        hollow = (drawn.get_facecolor()[:, :3] > 0.999).all(axis=1)
        assert np.array_equal(hollow, wrong[short.y == k])
    assert 0 < wrong.mean() == pytest.approx(1 - short.accuracies[moment.step])


def test_regions_have_the_tint_of_the_class(short):
    canvas = Canvas(short, raw=True)
    canvas.show(4)
    regions = canvas.regions
    image = np.asarray(regions._image.get_array())
    scores = short.scores(short.moments[4], regions._grid)
    winners = scores.argmax(axis=1).reshape(image.shape[:2])
    inside = ~plane.edges(winners)
    tints = palette.as_bytes(palette.tints(3))
    assert np.array_equal(image[inside], tints[winners[inside]])


def test_nothing_but_what_moves_is_drawn_again(short):
    canvas = Canvas(short)
    canvas.show(0)
    first = canvas.picture()
    drawn = []
    canvas.figure.canvas.draw = lambda: drawn.append(1)
    canvas.show(4)
    assert not np.array_equal(canvas.picture(), first)
    canvas.show(0)
    canvas.panels[0].follow._shown = None
    assert not drawn


def test_a_frame_is_the_figure_as_it_is_saved(short, tmp_path):
    still = Canvas(short, raw=True)
    still.show(2)
    still.figure.savefig(tmp_path / "still.png", dpi=100)
    moving = Canvas(short, raw=True)
    for i in (0, 4, 2):
        moving.show(i)
        shown = moving.picture()
    saved = np.asarray(Image.open(tmp_path / "still.png").convert("RGB"), dtype=int)
    # Lines and words are composed over what stands still in another order.
    assert (np.abs(saved - shown) > 40).mean() < 0.002


@pytest.mark.parametrize("features", [1, 5])
def test_data_that_have_no_plane_are_drawn_without_regions(features, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, features)).astype(np.float32)
    history, _ = trained(adam, 5, x=x, y=rng.integers(0, 3, 30))
    canvas = Canvas(history)
    canvas.show(1)
    assert canvas.regions._image is None
    said = canvas.figure.axes[0].get_xlabel()
    assert ("two principal components of 5 features" in said) == (features == 5)


def test_a_run_that_explodes_is_drawn(tmp_path):
    explode = partial(tg.optim.SGD, lr=1e6)
    history, _ = trained(explode, 30)
    tg.plot.training(history, tmp_path / "run.png")
    assert sum(1 for _ in frames(Canvas(history))) >= 6


def test_epochs_of_several_batches_are_named():
    history, _ = trained(adam, 9, kept=3, steps_per_epoch=4)
    canvas = Canvas(history)
    assert [canvas.label(i) for i in range(3)] == ["epoch 0", "epoch 1", "epoch 2"]
    history, _ = trained(adam, 10, kept=3, steps_per_epoch=4)
    canvas = Canvas(history)
    assert canvas.label(2) == "epoch 2, step 1"
    titles = [ax.get_title(loc="left") for ax in canvas.figure.axes[-3:]]
    assert titles == ["loss of each batch", "accuracy of each batch", "learning rate"]


def test_without_a_path_the_figure_is_returned(short, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    from matplotlib import pyplot

    figure = tg.plot.training(short)
    assert figure.number in pyplot.get_fignums()
    pyplot.close(figure)


# Calm.


def test_a_follower_goes_no_faster_than_told():
    follow = Follower(0.25)
    assert follow(np.array([0.0])).item() == 0
    assert [follow(np.array([1.0])).item() for _ in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert follow.settled
    follow(np.array([-1.0]))
    assert not follow.settled
    assert Follower(np.inf)(np.array([3.0])).item() == 3


def test_shares_that_are_followed_stay_shares():
    follow = Follower(0.25, together=True)
    follow(np.array([[1.0, 0, 0], [0.2, 0.3, 0.5]]))
    shown = follow(np.array([[0.0, 1, 0], [0.2, 0.2, 0.6]]))
    assert np.allclose(shown, [[0.75, 0.25, 0], [0.2, 0.2, 0.6]])
    assert not follow.settled


def flashing(film):
    """Return the largest part of any ninth of the picture that changes like a flash.

    That is a change of relative luminance by 10 % or more where the darker state is
    below 80 %; 341 x 256 pixels of 1024 x 768 count (WCAG 2.2, general flash). The
    second figure is the largest share of pixels in a saturated red.
    """
    worst, before, reds = 0.0, None, 0.0
    for _, picture in frames(film):
        light = palette.luminance(picture)
        reds = max(reds, palette.is_saturated_red(picture).mean())
        if before is not None:
            changed = (np.abs(light - before) >= 0.1) & (
                np.minimum(light, before) < 0.8
            )
            h, w = changed.shape
            window = uniform_filter(
                changed.astype(float), (h // 3, w // 3), mode="constant"
            )
            worst = max(worst, float(window.max()))
        before = light
    return worst, reds


# Each swings between states far apart, frame by frame.
WILD = {
    "a large rate": partial(tg.optim.SGD, lr=4.0, momentum=0.5),
    "AdaGrad": partial(tg.optim.AdaGrad, lr=1.0, decay=1e-4),
}


@pytest.mark.parametrize("name", WILD)
def test_wild_runs_are_drawn_without_a_flash(name):
    history, _ = trained(WILD[name], 40, kept=12)
    worst, reds = flashing(Canvas(history))
    # A quarter would be allowed, three times a second. What remains is lines that move.
    assert worst < 0.05
    assert reds == 0


def test_a_flash_would_be_seen():
    history, _ = trained(WILD["a large rate"], 40, kept=12)
    assert flashing(Canvas(history, raw=True))[0] > 0.1


def test_the_last_frame_is_held_until_nothing_lags(short, drawn):
    shown = [label for label, _ in drawn]
    labels = [f"epoch {m.step}" for m in short.moments]
    assert shown[:5] == labels
    assert set(shown[5:]) == {labels[-1]}
    assert 0 < len(shown[5:]) < 20
    assert [label for label, _ in frames(Canvas(short, raw=True))] == labels


# Files.


# Its reader leaves pipes to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_mp4_has_every_frame(short, drawn, tmp_path):
    ffmpeg = pytest.importorskip(
        "imageio_ffmpeg", reason="the extra 'video' is missing"
    )
    path = tmp_path / "run.mp4"
    tg.plot.training(short, path, fps=5)
    read = ffmpeg.read_frames(str(path))
    about = next(read)
    assert (about["size"], about["fps"]) == ((1280, 960), 5)
    pictures = [np.frombuffer(f, np.uint8).reshape(960, 1280, 3) for f in read]
    assert len(pictures) == len(drawn)
    for shown, (_, picture) in zip(pictures, drawn, strict=True):
        assert np.abs(shown.astype(np.int16) - picture).mean() < 4


@pytest.mark.parametrize("ending", [".webp", ".gif"])
def test_pillow_formats_have_every_frame(short, drawn, tmp_path, ending):
    path = tmp_path / f"run{ending}"
    tg.plot.training(short, path)
    shown = []
    with Image.open(path) as image:
        for i in range(image.n_frames):
            image.seek(i)
            image.load()
            # Frames that have become equal are stored as one that lasts longer.
            again = round(image.info["duration"] / 100)
            shown += again * [np.asarray(image.convert("RGB"), dtype=np.int16)]
    assert len(shown) == len(drawn)
    for found, (_, picture) in zip(shown, drawn, strict=True):
        assert np.abs(found - picture).mean() < 4
        # Small things keep their colour, as the deepest red.
        reddest = (picture[..., 0] - picture[..., 1].astype(np.int16)).argmax()
        assert np.abs(found - picture).reshape(-1, 3)[reddest].max() < 60


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_stills_are_written(short, tmp_path, ending):
    path = tmp_path / f"run{ending}"
    tg.plot.training(short, path)
    assert path.stat().st_size > 10_000
    assert [f.name for f in tmp_path.iterdir()] == [path.name]


def test_an_unknown_ending_is_refused(short, tmp_path):
    with pytest.raises(ValueError, match=r"ending in \.png, .*\.html, got 'run\.avi'"):
        tg.plot.training(short, tmp_path / "run.avi")


def test_a_failure_leaves_what_was_there(short, tmp_path, monkeypatch):
    path = tmp_path / "run.webp"
    path.write_text("before")
    monkeypatch.setattr(Canvas, "picture", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tg.plot.training(short, path)
    assert path.read_text() == "before"
    assert [f.name for f in tmp_path.iterdir()] == [path.name]


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ImportError, match=r"\[video\].* or choose a name that ends in"):
        writers.check("run.mp4")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"needs matplotlib; .*\[plot\]"):
        writers.check("run.png")


# The page.


@pytest.fixture(scope="module")
def page(short, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "run.html"
    tg.plot.training(short, path, fps=25)
    return path


def test_a_page_needs_nothing_else(page):
    text = page.read_text("utf-8")
    without_pictures = re.sub(r"data:image/webp;base64,[\w+/=]+", "", text)
    assert not re.search(r"https?:|//[a-z]|src=|@\w+@|import", without_pictures)
    frames_in_it = json.loads(re.search(r"const frames = (\[.*\]);", text)[1])
    labels = json.loads(re.search(r"const labels = (\[.*\]);", text)[1])
    assert len(frames_in_it) == len(labels) > 5
    assert "<title>Adam, lr 0.05</title>" in text


@pytest.fixture
def player(browser, page):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(page.as_uri())
    wait = WebDriverWait(browser, 20, poll_frequency=0.02)

    class Player:
        last = int(browser.execute_script("return last"))

        def at(self, frame):
            """Wait until a frame is drawn."""
            script = "return picture.dataset.frame"
            wait.until(lambda b: b.execute_script(script) == str(frame))

        def press(self, key):
            browser.switch_to.active_element.send_keys(key)

        def find(self, name):
            return browser.find_element("id", name)

        def pixels(self):
            script = "return pen.getImageData(60, 80, 480, 480).data.join()"
            return browser.execute_script(script)

    found = Player()
    found.at(0)
    yield found
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []


def test_the_page_plays_to_the_end_and_again(player):
    first = player.pixels()
    player.find("play").click()
    assert player.find("play").text == "Pause"
    player.at(player.last)
    assert player.pixels() != first
    assert player.find("label").text == "epoch 60"
    while player.find("play").text != "Play":
        pass
    player.find("play").click()
    player.at(player.last)


def test_the_page_scrubs_and_pauses(player, browser):
    browser.execute_script("slider.value = 3; slider.dispatchEvent(new Event('input'))")
    player.at(3)
    assert player.find("label").text == "epoch 45"
    assert player.find("play").text == "Play"
    assert browser.execute_script("return slider.getAttribute('aria-valuetext')")


def test_the_page_is_played_by_keys_alone(player):
    from selenium.webdriver.common.keys import Keys

    player.press(Keys.END)
    player.at(player.last)
    player.press(Keys.ARROW_LEFT)
    player.at(player.last - 1)
    player.press(Keys.HOME)
    player.at(0)
    player.press(Keys.ARROW_RIGHT)
    player.at(1)
    player.press(Keys.TAB)  # on to the button: space must press it once
    player.press(Keys.SPACE)
    assert player.find("play").text == "Pause"
    player.at(player.last)


def test_the_speed_is_chosen(player, browser):
    script = """
        const done = arguments[arguments.length - 1], began = performance.now();
        speed.value = arguments[0];
        seek(0);
        start();
        const watch = setInterval(() => {
            if (timer !== null) return;
            clearInterval(watch);
            done(performance.now() - began);
        }, 5);
    """
    browser.set_script_timeout(30)
    fast, slow = (browser.execute_async_script(script, s) for s in ("2", "0.25"))
    assert slow > 2 * fast
    assert slow > 1000 / (25 * 0.25) * player.last


# Runs side by side.


@pytest.fixture(scope="module")
def several():
    makes = {
        "SGD, lr 1": partial(tg.optim.SGD, lr=1.0),
        "AdaGrad, lr 1": WILD["AdaGrad"],
        "Adam, lr 0.05": adam,
    }
    return [trained(m, 21, kept=4, title=t)[0] for t, m in makes.items()]


def test_all_runs_have_the_same_axes(several):
    film = Runs(several)
    film.show(3)
    losses, accuracies = film.curves[:3], film.curves[3:]
    for curves in (losses, accuracies):
        spans = {(c.line.axes.get_xlim(), c.line.axes.get_ylim()) for c in curves}
        assert len(spans) == 1
    for curve, history in zip(losses, several, strict=True):
        assert curve.line.get_ydata().tolist() == history.losses.tolist()
    words = {t.get_text() for t in film.figure.texts}
    assert {"SGD", "lr 1", "AdaGrad", "Adam", "lr 0.05", "epoch 20"} <= words


def test_a_run_that_was_broken_off_stays_at_its_end(several):
    broken, _ = trained(adam, 3, kept=2, title="Adam, lr 1")
    film = Runs([several[0], broken])
    assert film.count == 4
    film.show(3)
    assert film.curves[1].line.get_xdata()[-1] == 2
    assert film.label(3) == "epoch 20"


def test_the_comparison_does_not_flash(several):
    worst, reds = flashing(Runs(several))
    assert worst < 0.05
    assert reds == 0


# The command.


def run(capsys, *argv):
    status = cli.main([str(a) for a in argv])
    return status, *capsys.readouterr()


def test_the_command_draws_and_animates(capsys, tmp_path):
    still, moving = tmp_path / "run.png", tmp_path / "run.webp"
    options = ["--epochs", 7, "--layers", 8, "--plot", still, "--animate", moving]
    status, out, err = run(capsys, "train", "spiral", *options)
    assert (status, err) == (0, "")
    assert out.endswith(f"drawn: {still}\ndrawn: {moving}\n")
    with Image.open(still) as image:
        assert image.size == (1920, 1440)
    with Image.open(moving) as image:
        assert image.n_frames >= 7


def test_the_command_draws_a_table_in_batches(capsys, tmp_path):
    pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    rows = [
        "a,b,c,kind",
        *(
            f"{r[0]},{r[1]},{r[2]},k{i % 3}"
            for i, r in enumerate(rng.normal(size=(60, 3)))
        ),
    ]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    path = tmp_path / "t.png"
    options = ["--epochs", 3, "--batch-size", 20, "--plot", path, "--raw"]
    status, _, err = run(capsys, "train", tmp_path / "t.csv", *options)
    assert (status, err) == (0, "")
    assert path.exists()


def test_the_command_draws_a_run_that_explodes(capsys, tmp_path):
    path = tmp_path / "run.png"
    options = ["--optimizer", "sgd", "--lr", "1e20", "--plot", path]
    status, out, err = run(capsys, "train", "spiral", *options)
    assert status == 1
    assert "try a smaller --lr" in err
    assert out.endswith(f"drawn: {path}\n")
    assert path.exists()


def test_the_command_draws_runs_side_by_side(capsys, tmp_path, monkeypatch):
    path, told = tmp_path / "runs.png", []
    draw = tg.plot.comparison
    monkeypatch.setattr(
        tg.plot, "comparison", lambda r, *a, **k: (told.append(r), draw(r, *a, **k))
    )
    status, out, err = run(capsys, "reproduce", "--epochs", 3, "--plot", path)
    assert (status, err) == (0, "")
    assert out.endswith(f"drawn: {path}\n")
    titles = [r.title for r in told[0]]
    assert len(titles) == 10
    assert titles[5] == "SGD, lr 1, decay 0.001, momentum 0.9"
    assert titles[9] == "Adam, lr 0.05, decay 0.001"
    assert {len(r.losses) for r in told[0]} == {3}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--plot", "run.mp4"], "--plot: expected a file name ending in .png"),
        (["--animate", "run.png"], "--animate: expected a file name ending in .mp4"),
        (["--animate", "no/run.gif"], "--animate: there is no folder"),
        (["--raw"], "--raw belongs to --animate or --plot"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_the_run(
    capsys, tmp_path, monkeypatch, options, said
):
    monkeypatch.chdir(tmp_path)
    for command in (["train", "spiral"], ["reproduce"]):
        status, out, err = run(capsys, *command, *options)
        assert (status, out) == (2, "")
        assert said in err


def test_without_ffmpeg_the_command_names_the_extra(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    path = tmp_path / "run.mp4"
    status, out, err = run(capsys, "train", "spiral", "--animate", path)
    assert (status, out) == (2, "")
    assert "[video]" in err


def test_the_package_loads_no_plotting_before_it_is_asked(tmp_path):
    import subprocess

    code = (
        "import sys, tensorgrad as tg; assert 'tensorgrad.plot' not in sys.modules; "
        "tg.plot.History; assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_frames_differ_from_one_to_the_next(short):
    pictures = [picture for _, picture in frames(Canvas(short))]
    assert all((a != b).any() for a, b in pairwise(pictures[:5]))
