import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import types
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad import cli, data
from tensorgrad.cli import reproduce, save, table
from tensorgrad.cli import train as training
from tensorgrad.cli.signals import interruptible

LINE = re.compile(
    r"epoch: (\d+), acc: (\d\.\d{3}), loss: (\d+\.\d{3}), lr: ([\d.e+-]{1,8})$", re.M
)


@pytest.fixture
def run(capsys):
    """Run the command; what it printed is checked for tracebacks every time."""

    def run(*argv):
        status = cli.main([str(word) for word in argv])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return run


@pytest.fixture
def refused(run):
    """Run what cannot be done: status 2, and one sentence on standard error."""

    def refused(*argv):
        status, out, err = run(*argv)
        assert status == 2
        assert out == ""
        assert err.startswith("tensorgrad: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        return err

    return refused


@pytest.fixture
def blobs(tmp_path):
    """Write a CSV file of three overlapping classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = rng.normal(100, 1, (90, 2)) + 2 * np.c_[y, -y]
    names = np.array(["ash", "birch", "cedar"])[y]
    lines = [f"{a},{b},{name}" for (a, b), name in zip(x, names, strict=True)]
    path = tmp_path / "blobs.csv"
    path.write_text("\n".join(["width,height,tree", *lines]))
    return path


def printed(out):
    """Return the printed rows as numbers: epoch, accuracy, loss, rate."""
    return [tuple(map(float, row)) for row in LINE.findall(out)]


def loaded(path):
    with np.load(path) as file:
        return dict(file)


# Training on a built-in data set.


def plain_training(make, seed, epochs, batch_size=None):
    """Return rows and parameters of `tensorgrad train` with Adam, written out."""
    rng = np.random.RandomState(seed)
    x, y = make(100, 3, rng)
    first, last = tg.nn.Dense(2, 64, rng=rng), tg.nn.Dense(64, 3, rng=rng)
    model = tg.nn.Sequential(first, tg.nn.ReLU(), last)
    optimizer = tg.optim.Adam(model.parameters(), 0.05, decay=1e-3)
    rows = []
    for epoch in range(epochs):
        every = [slice(None)]
        if batch_size:
            order = rng.permutation(300)
            every = [order[i : i + batch_size] for i in range(0, 300, batch_size)]
        lr, hits, total = optimizer.lr, 0, 0
        for batch in every:
            logits = model(x[batch])
            loss = tg.softmax_cross_entropy(logits, y[batch])
            hits += data.accuracy(logits, y[batch]) * len(y[batch])
            total += loss.item() * len(y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        rate = float(f"{lr:.4g}")
        rows.append((epoch, round(hits / 300, 3), round(total / 300, 3), rate))
    return rows, {name: p.data for name, p in model.named_parameters()}


@pytest.mark.parametrize(
    ("name", "seed", "batch_size"),
    [("spiral", 0, None), ("vertical", 3, None), ("spiral", 1, 128)],
)
def test_figures_and_parameters_are_those_of_a_plain_loop(
    run, tmp_path, name, seed, batch_size
):
    path = tmp_path / "model.npz"
    options = ["--epochs", 12, "--seed", seed, "--save", path]
    if batch_size:
        options += ["--batch-size", batch_size]
    status, out, err = run("train", name, *options)
    rows, parameters = plain_training(getattr(data, name), seed, 12, batch_size)
    assert (status, err) == (0, "")
    assert printed(out) == rows
    saved = loaded(path)
    assert list(saved) == [
        f"layers.{i}.{p}" for i in (0, 2) for p in ("weight", "bias")
    ]
    for key, value in parameters.items():
        assert saved[key].dtype == np.float32
        assert np.array_equal(saved[key], value)


@pytest.mark.parametrize("size", ["300", "64"])
def test_a_compiled_training_prints_what_an_eager_one_prints(run, size):
    argv = ["train", "spiral", "--epochs", "30", "--batch-size", size]
    (_, eager, _), (_, compiled, _) = run(*argv), run(*argv, "--compile")
    assert printed(compiled) == printed(eager)


def test_the_defaults_learn_the_spiral(run):
    status, out, _ = run("train", "spiral", "--epochs", 2001)
    assert status == 0
    rows = printed(out)
    assert [row[0] for row in rows] == [*range(0, 2001, 20)]
    assert rows[-1][1] > 0.9
    assert re.search(r"^training: accuracy 0\.9\d\d, loss 0\.\d{3} on 300", out, re.M)
    assert re.search(r"^trained for 2001 epochs in \d+\.\d s$", out, re.M)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "rmsprop", "adam"])
def test_every_optimizer_learns(run, optimizer):
    _, out, _ = run("train", "vertical", "--optimizer", optimizer, "--epochs", 101)
    rows = printed(out)
    assert rows[0][1] < 0.7
    assert rows[-1][1] > 0.85


def test_the_options_reach_the_optimizer(run):
    options = ["--lr", 0.5, "--decay", 0.25, "--momentum", 0]
    _, out, _ = run("train", "spiral", "--optimizer", "sgd", "--epochs", 3, *options)
    assert "model 2-64-3; sgd with lr 0.5, decay 0.25, momentum 0\n" in out
    assert [row[3] for row in printed(out)] == [0.5, 0.5, 0.4]
    _, out, _ = run("train", "spiral", "--optimizer", "rmsprop", "--rho", 0.5,
                    "--epochs", 1, "--hidden", 5)  # fmt: skip
    assert "model 2-5-3; rmsprop with lr 0.02, decay 0.001, rho 0.5" in out


def test_a_last_epoch_off_the_interval_is_printed(run):
    _, out, _ = run("train", "vertical", "--epochs", 106)
    assert [row[0] for row in printed(out)] == [*range(0, 106, 2), 105]


def test_a_batch_larger_than_the_data_is_all_of_it(run):
    rows = [
        printed(run("train", "spiral", "--epochs", 3, *more)[1])
        for more in ([], ["--batch-size", 300], ["--batch-size", 1000])
    ]
    assert rows[0] == rows[1] == rows[2]


# Training on a file.


def test_a_file_is_learned_and_what_is_saved_suffices_to_use_it(run, blobs, tmp_path):
    path = tmp_path / "model.npz"
    status, out, err = run("train", blobs, "--save", path, "--epochs", 60)
    assert (status, err) == (0, "")
    assert f"{blobs}: 72 rows, 18 held out, 3 classes of 'tree'; model 2-64-3" in out
    saved = loaded(path)
    assert saved["columns"].tolist() == ["width", "height"]
    assert saved["target"].item() == "tree"
    assert saved["classes"].tolist() == ["ash", "birch", "cedar"]

    # The model, from the file alone, on the rows that were held out.
    whole = table.read(blobs)
    parts = table.split(whole, np.random.RandomState(0))
    raw = parts.held_x * parts.std + parts.mean
    x = (raw - saved["feature_mean"]) / saved["feature_std"]
    h = np.maximum(0, x @ saved["layers.0.weight"] + saved["layers.0.bias"])
    scores = h @ saved["layers.2.weight"] + saved["layers.2.bias"]
    accuracy = data.accuracy(scores, parts.held_y)
    loss = float(tg.softmax_cross_entropy(scores, parts.held_y))
    assert 0.7 < accuracy < 1
    assert out.endswith(
        f"held out: accuracy {accuracy:.3f}, loss {loss:.3f} on 18 samples\n"
        f"saved: {path}\n"
    )


def test_the_target_may_be_named(run, tmp_path):
    path = tmp_path / "first.csv"
    path.write_text("t,a\n" + "0,1\n1,2\n" * 10)
    status, out, _ = run("train", path, "--target", "t", "--epochs", 30)
    assert status == 0
    assert "held out: accuracy 1.000" in out


# What trains, and means nothing.


@pytest.fixture
def warned(run, tmp_path):
    """Train on lines of a file; return what is printed and the warnings."""

    def warned(lines, *options):
        path = tmp_path / "odd.csv"
        path.write_text("\n".join([*lines, ""]))
        status, out, err = run("train", path, "--epochs", 2, *options)
        assert status == 0
        head = f"tensorgrad: warning: {path}: "
        told = err.splitlines()
        assert all(line.startswith(head) for line in told)
        return out, [line.removeprefix(head) for line in told]

    return warned


def rows_of(*columns):
    return [",".join(map(str, row)) for row in zip(*columns, strict=True)]


RNG = np.random.default_rng(0)
N = 60
A, B = RNG.normal(size=(2, N)).round(3)
KIND = np.array(["ant", "bee", "cat"])[RNG.integers(0, 3, N)]

# Disease progression of the 442 patients of Efron et al. (2004): 25 to 346, a whole
# number. Here drawn alike.
PROGRESSION = RNG.integers(25, 347, 442)

QUANTITIES = {
    "progression": PROGRESSION,
    "floats that are whole": [f"{x}.0" for x in PROGRESSION],
    "few rows": [5, 9, 14, 3, 8, 11, 20, 17, 5, 30, 2, 41],
    # The waists of 20 men, in inches, in the data of Linnerud.
    "very few rows": [
        *(36, 37, 38, 35, 35, 36, 38, 34, 31, 33),
        *(34, 33, 34, 40, 36, 37, 38, 32, 46, 33),
    ],
    "prices": RNG.integers(50_000, 500_000, 300),
    "counts of some size": RNG.poisson(200, 900),
    "many values, many rows": RNG.integers(0, 3000, 9000),
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_quantity_is_no_class(refused, tmp_path, name):
    y = QUANTITIES[name]
    path = tmp_path / "quantity.csv"
    a = RNG.normal(size=len(y)).round(3)
    path.write_text("\n".join(["a,b,y", *rows_of(a, a * a, y)]))
    count = len(set(map(float, y)))
    words = (
        f"column 'y' holds {count} different numbers in {len(y)} rows, as a quantity"
    )
    message = refused("train", path)
    assert words in message
    assert "choose a column of classes with --target, or write the quantity" in message


@pytest.mark.parametrize(
    "labels",
    [
        [f"person {k}" for k in range(N)],
        [f"2024-01-{k % 31 + 1:02}" for k in range(N)],
        [f"{k:08x}" for k in RNG.integers(0, 2**32, N - 1)] + ["1e860838"],
    ],
)
def test_a_name_is_no_class(refused, tmp_path, labels):
    path = tmp_path / "names.csv"
    path.write_text("\n".join(["a,b,who", *rows_of(A, B, labels)]))
    words = f"column 'who' holds {len(set(labels))} different labels in {N} rows, as na"
    assert words in refused("train", path)


@pytest.mark.parametrize("count", [2, 10, 20])
def test_numbers_may_be_classes(warned, count):
    y = [*range(count)] * 20
    a = RNG.normal(size=len(y)).round(3)
    assert warned(["a,b,y", *rows_of(a, a * a, y)])[1] == []


@pytest.mark.parametrize(("first", "count"), [(18, 42), (2000, 12), (3, 6)])
def test_numbers_that_may_be_a_quantity_are_told(warned, first, count):
    y = [*range(first, first + count)] * 25
    a = RNG.normal(size=len(y)).round(3)
    (told,) = warned(["a,b,age", *rows_of(a, a * a, y)])[1]
    assert told.startswith(
        f"each of the {count} numbers in column 'age' is taken for a class"
    )


def test_a_first_row_of_data_is_data(warned):
    out, (told,) = warned(rows_of(A, B, KIND))
    assert f"48 rows, 12 held out, 3 classes of 'column 3'; model {2}-" in out
    assert told.startswith("the first row is taken for data, which it reads like, and")
    numbers = RNG.integers(0, 2, N)
    assert warned(rows_of(A, B, numbers))[1] == [told]


@pytest.mark.parametrize(
    "header",
    [
        "a,b,kind",
        "0,1,kind",
        "1,2,kind",
        "0,1,2",
        "1,2,3",
        "x 1,2,kind",
        "nan,inf,kind",
    ],
)
def test_a_header_is_a_header(warned, header):
    out, told = warned([header, *rows_of(A, B, KIND)])
    assert "48 rows, 12 held out" in out
    assert told == []


def test_a_header_of_years_is_a_header(warned):
    columns = A, B, A * A, B * B
    out, told = warned(["2018,2019,2020,2021,kind", *rows_of(*columns, KIND)])
    assert "48 rows, 12 held out" in out
    assert told == []


@pytest.mark.parametrize("header", ["5.1,0.3,kind", "0,1,ant"])
def test_a_header_of_numbers_may_be_doubtful(warned, header):
    out, (told,) = warned([header, *rows_of(A, B, KIND)])
    assert "48 rows, 12 held out" in out
    assert told.startswith("the first row, of numbers, is taken for the names of the")


@pytest.mark.parametrize(
    ("name", "first"), [("Unnamed: 0", 0), ("", 0), ("index", 1), ("any", 1), ("n", 73)]
)
def test_a_column_that_numbers_the_rows_is_left_out(warned, name, first):
    count = range(first, first + N)
    out, told = warned([f"{name},a,b,kind", *rows_of(count, A, B, KIND)])
    assert "model 2-" in out
    assert told == [f"column {name!r} numbers the rows and is left out of the features"]


def test_an_index_whose_rows_were_shuffled_is_left_out(warned):
    _, told = warned(["Unnamed: 0,a,kind", *rows_of(RNG.permutation(N), A, KIND)])
    assert told == [
        "column 'Unnamed: 0' numbers the rows and is left out of the features"
    ]


def test_a_file_that_only_numbers_its_rows(refused, tmp_path):
    path = tmp_path / "index.csv"
    path.write_text("\n".join(["i,kind", *rows_of(range(N), KIND)]))
    assert "column 'i' only numbers the rows, and there is no oth" in refused(
        "train", path
    )


@pytest.mark.parametrize(
    ("name", "values", "is_told"),
    [
        ("customer_id", RNG.permutation(10**6)[:N], True),
        ("PatientID", RNG.permutation(10**6)[:N], True),
        ("rank", RNG.permutation(N), True),
        ("time", range(1600000000, 1600000000 + 60 * N, 60), True),
        ("left", range(N, 0, -1), True),
        ("price", RNG.permutation(10**6)[:N], False),
        ("id", RNG.integers(0, 20, N), False),
        ("acid", RNG.permutation(10**6)[:N], False),
    ],
)
def test_ids_are_told(warned, name, values, is_told):
    _, told = warned([f"{name},a,kind", *rows_of(values, A, KIND)])
    wanted = f"column {name!r} holds another whole number in every row, as an id does"
    assert [s.startswith(wanted) for s in told] == [True] * is_told


def test_constant_features_are_told(warned):
    one = [7] * N
    _, told = warned(["a,c,kind", *rows_of(A, one, KIND)])
    assert told == [
        "column 'c' is the same in every row and tells no class from another"
    ]
    _, told = warned(["a,c,d,e,f,kind", *rows_of(A, one, one, one, one, KIND)])
    assert told[0].startswith(
        "each of the columns 'c', 'd', 'e' and 1 more is the same"
    )


@pytest.mark.parametrize(
    ("values", "labels", "is_told"),
    [
        (np.unique(KIND, return_inverse=True)[1], KIND, True),
        (np.unique(KIND, return_inverse=True)[1] * -2.5, KIND, True),
        ([0, 1] * 30, ["no", "yes"] * 30, True),
        ([3, 5] * 30, [3, 5] * 30, True),
        ([5, 3] * 30, ["no", "yes"] * 30, False),
        ([1.5, 2.5] * 30, [0, 1] * 30, False),
    ],
)
def test_a_feature_that_is_the_label_is_told(warned, values, labels, is_told):
    _, told = warned(["a,code,kind", *rows_of(A, values, labels)])
    wanted = (
        "column 'code' is another writing of column 'kind', which is to be predicted"
    )
    assert [s.startswith(wanted) for s in told] == [True] * is_told


def test_odd_names_of_classes_are_told(warned):
    labels = ["Yes", "yes", "no", "NA"] * (N // 4)
    _, told = warned(["a,b,kind", *rows_of(A, B, labels)])
    assert told == [
        "column 'kind' holds 'NA' in 15 rows, and it is taken for a class; if it "
        "stands for a missing label, leave those rows out",
        "column 'kind' holds 'Yes' and 'yes', which are taken for different classes; "
        "write them alike if they are one",
    ]


@pytest.mark.parametrize(
    "name", ["iris", "wine", "breast_cancer", "digits", "diabetes"]
)
def test_data_sets_that_come_with_scikit_learn(run, tmp_path, name):
    datasets = pytest.importorskip("sklearn.datasets")
    pytest.importorskip("pandas")
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    path, numbered = tmp_path / "plain.csv", tmp_path / "numbered.csv"
    frame.to_csv(path, index=False)
    frame.to_csv(numbered)
    status, out, err = run("train", path, "--epochs", 20)
    again, out_numbered, err_numbered = run("train", numbered, "--epochs", 20)
    if name == "diabetes":
        assert (status, again) == (2, 2)
        assert "'target' holds 214 different numbers in 442 rows, as a quant" in err
        return
    assert (status, again) == (0, 0)
    assert out.splitlines()[-1].split()[:3] == ["held", "out:", "accuracy"]
    assert "column '' numbers the rows and is left out of the features" in err_numbered
    model = re.search(r"model (\d+)-", out)[1]
    assert model == re.search(r"model (\d+)-", out_numbered)[1]
    told = err.count("\n")
    assert told == (1 if name == "digits" else 0)
    if name == "digits":
        assert (
            "each of the columns 'pixel_0_0', 'pixel_4_0', 'pixel_4_7' is the s" in err
        )


CELLS = st.one_of(
    st.integers(-3, 30).map(str),
    st.floats(-1e3, 1e3).map(lambda x: f"{x:.3g}"),
    st.sampled_from(["", "NA", "?", "nan", "inf", "1e999", "x", "Y", "2024-05-01"]),
    st.sampled_from(["é", '"a,b"', "'", "\t", "0x1", "1_0", "1e308", "-", " 7 "]),
)
COLUMNS = st.sampled_from(
    [
        lambda n, rng: range(n),
        lambda n, rng: range(1, n + 1),
        lambda n, rng: rng.normal(size=n).round(2),
        lambda n, rng: [1.5] * n,
        lambda n, rng: rng.integers(0, 4, n),
        lambda n, rng: rng.permutation(n),
        lambda n, rng: rng.integers(0, 500, n),
        lambda n, rng: np.array(["a", "b", "A", "NA"])[rng.integers(0, 4, n)],
        lambda n, rng: [f"id{k}" for k in range(n)],
        lambda n, rng: rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n),
    ]
)


@given(
    st.lists(COLUMNS, min_size=1, max_size=5),
    st.integers(0, 40),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["a,b,c,d,e", "0,1,2,3,4", "index,id,x,y,y", "", '"a,é,b,c,d']),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 4), CELLS), max_size=2),
    st.sampled_from([",", ";", "\t", ", "]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_trains_a_model_or_is_refused_in_a_sentence(
    run, tmp_path, columns, rows, seed, header, changes, comma
):
    rng = np.random.default_rng(seed)
    cells = [list(map(str, column(rows, rng))) for column in columns]
    for row, column, cell in changes:
        if row < rows and column < len(cells):
            cells[column][row] = cell
    names = header.split(",")[: len(columns)] if header else []
    lines = [
        comma.join(row)
        for row in ([names] if names else []) + [*zip(*cells, strict=True)]
    ]
    path = tmp_path / "any.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    status, out, err = run("train", path, "--epochs", 1, "--hidden", 2)
    told = err.splitlines()
    assert all(line.startswith("tensorgrad: ") for line in told)
    if status == 2:
        assert out == ""
        assert len(told) == 1
    else:
        assert status == 0 or (status == 1 and "the loss became" in err)
        counted = re.search(r": (\d+) rows, (\d+) held out, (\d+) classes", out)
        used, held, classes = map(int, counted.groups())
        assert rows - 1 <= used + held <= rows + 1
        assert 2 <= classes <= used
        assert all(
            ": warning: " in line for line in told[: None if status == 0 else -1]
        )


def test_a_huge_held_out_value_is_no_traceback(run, tmp_path):
    path = tmp_path / "far.csv"
    for seed in range(8):
        rows = [f"{1e38 if i == 3 else i},{i % 2}\n" for i in range(10)]
        path.write_text("a,t\n" + "".join(rows))
        status, out, err = run("train", path, "--epochs", 2, "--seed", seed)
        assert status in (0, 2)
        assert err.count("\n") == (1 if status else 0)
        assert status or "held out: accuracy" in out


# What cannot be done.

BAD_OPTIONS = {
    "--lr=nan": "--lr: expected a finite number above 0, got 'nan'",
    "--lr=0": "--lr: expected a finite number above 0, got '0'",
    "--lr inf": "--lr: expected a finite number above 0, got 'inf'",
    "--lr -1e-3": "--lr: expected a finite number above 0, got '-1e-3'",
    "--lr fast": "--lr: expected a finite number above 0, got 'fast'",
    "--lr": "--lr: expected one argument",
    "--decay -1": "--decay: expected a finite number of at least 0, got '-1'",
    "--decay nan": "--decay: expected a finite number of at least 0, got 'nan'",
    "--momentum 1": "--momentum: expected a number from 0 to below 1, got '1'",
    "--rho -inf": "--rho: expected a number from 0 to below 1, got '-inf'",
    "--epochs 0": "--epochs: expected a whole number of at least 1, got '0'",
    "--epochs -5": "--epochs: expected a whole number of at least 1, got '-5'",
    "--epochs 1.5": "--epochs: expected a whole number of at least 1, got '1.5'",
    "--hidden 0": "--hidden: expected a whole number from 1 to 1000000, got '0'",
    "--hidden 10000000": "--hidden: expected a whole number from 1 to 1000000, got",
    "--batch-size 0": "--batch-size: expected a whole number of at least 1, got '0'",
    "--seed -1": "--seed: expected a whole number from 0 to 4294967295, got '-1'",
    "--seed 4294967296": "--seed: expected a whole number from 0 to 4294967295, got",
    "--optimizer lion": "--optimizer: invalid choice: 'lion' (choose from",
    "--epoch 5": "unrecognized arguments: --epoch 5",
    "--momentum .5": "--momentum belongs to --optimizer sgd, got --optimizer adam",
    "--optimizer sgd --rho .5": "--rho belongs to --optimizer rmsprop, got",
    "--optimizer adagrad --momentum 0": "got --optimizer adagrad; leave it out",
    "--target kind": "--target names a column of a CSV file, but spiral is",
    "--save model.txt": "--save: expected a file name ending in .npz, got 'model.txt'",
}


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS.items(), ids=BAD_OPTIONS)
def test_a_bad_option(refused, options, words):
    assert words in refused("train", "spiral", *options.split())


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("", "arguments are required: COMMAND; see tensorgrad --help"),
        ("fly", "invalid choice: 'fly'"),
        ("train", "are required: {spiral,vertical,FILE.csv}; see tensorgrad train"),
        ("train sprial", "sprial: there is no such file; expected spiral, vertical or"),
        ("train spiral vertical", "unrecognized arguments: vertical"),
        ("reproduce --run 10", "--run: expected a run from 1 to 9, got '10'"),
        ("reproduce --run 0", "--run: expected a run from 1 to 9, got '0'"),
        ("reproduce --epochs 0", "--epochs: expected a whole number of at least 1"),
    ],
)
def test_a_bad_command(refused, argv, words):
    assert words in refused(*argv.split())


BAD_FILES = {
    "empty": ("", "got an empty file"),
    "header only": ("a,b\n", "expected rows of data below the header"),
    "no features": ("a\n1\n", "separate columns by commas"),
    "text": ("a,b\n1,x\nred,y\n", "line 3, column 'a': expected a number, got 'red'"),
    "NaN": ("a,b\nnan,x\n", "line 2, column 'a': expected a finite number, got nan"),
    "empty cell": ("a,b\n,x\n", "line 2, column 'a': the cell is empty"),
    "ragged": ("a,b\n1\n", "line 2: expected 2 cells as in the header, got 1"),
    "one class": ("a,b\n1,x\n2,x\n", "expected at least two classes in column 'b'"),
    "too few rows": ("a,b\n1,x\n2,y\n", "expected a class with at least two rows"),
    "twice": ("a,a\n1,x\n", "got 'a' more than once"),
    "too large": ("a,b\n" + "1,x\n1e308,x\n-1e308,y\n" * 9, "too large to standardise"),
    "not UTF-8": ("a,b\n1,\udcff\n", "line 2 is not UTF-8"),
}


@pytest.mark.parametrize(("content", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file(refused, tmp_path, content, words):
    path = tmp_path / "bad.csv"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    message = refused("train", path)
    assert words in message
    assert message.startswith(f"tensorgrad: {path}: ")


def test_other_bad_files(refused, tmp_path, blobs):
    assert "got a folder" in refused("train", tmp_path)
    assert "no such file" in refused("train", tmp_path / ("a" * 300))
    words = "no column 'bush' to use as the target; the columns are 'width', 'height'"
    assert words in refused("train", blobs, "--target", "bush")


def test_a_sentence_of_several_lines_would_be_seen(refused, monkeypatch):
    monkeypatch.setattr(cli, "_run", lambda argv: print("x", file=sys.stderr) or 2)
    with pytest.raises(AssertionError):
        refused("train", "spiral")


# Saving.


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none/model.npz", "none'; make it first"),
        ("folder.npz", "expected a file, got the folder"),
        ("file.npz/model.npz", "file.npz'; make it first"),
        ("a" * 300 + ".npz", "name too long"),
    ],
)
def test_a_place_that_cannot_be_saved_to(refused, tmp_path, name, words):
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file.npz").write_text("kept")
    assert words in refused("train", "spiral", "--save", tmp_path / name)
    assert (tmp_path / "file.npz").read_text() == "kept"


def test_a_folder_without_permission_is_found_before_training(
    refused, tmp_path, monkeypatch
):
    def deny(path, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(save.Path, "open", deny)
    words = refused("train", "spiral", "--save", tmp_path / "model.npz")
    assert "cannot be written: Permission denied; choose another place" in words


def test_a_link_that_points_nowhere_is_replaced(run, tmp_path):
    path = tmp_path / "model.npz"
    path.symlink_to(path)
    status, _, _ = run("train", "spiral", "--epochs", 1, "--save", path)
    assert status == 0
    assert len(loaded(path)) == 4


def test_a_failed_write_leaves_what_was_there(run, tmp_path, monkeypatch):
    def fill(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    path = tmp_path / "model.npz"
    path.write_text("the model of yesterday")
    monkeypatch.setattr(save.np, "savez", fill)
    status, out, err = run("train", "spiral", "--epochs", 2, "--save", path)
    assert status == 1
    assert "cannot be written: No space left on device" in err
    assert "training: accuracy" in out
    assert path.read_text() == "the model of yesterday"
    assert os.listdir(tmp_path) == ["model.npz"]


def test_saving_replaces_the_file_a_link_points_at(run, tmp_path):
    path, link = tmp_path / "real.npz", tmp_path / "link.npz"
    path.write_text("old")
    link.symlink_to(path)
    run("train", "spiral", "--epochs", 1, "--save", link)
    assert link.is_symlink()
    assert "layers.0.weight" in loaded(path)


# Training that fails.


def test_a_loss_that_is_not_finite_ends_it_and_the_last_state_is_kept(run, tmp_path):
    path = tmp_path / "model.npz"
    options = ["--optimizer", "sgd", "--epochs", 50, "--lr", 1e20, "--save", path]
    status, out, err = run("train", "spiral", *options)
    assert status == 1
    assert re.fullmatch(
        r"tensorgrad: the loss became (nan|inf) after \d+ epochs; try a smaller --lr "
        r"than 1e\+20; the parameters before that are saved\n",
        err,
    )
    assert len(printed(out)) == int(re.search(r"after (\d+)", err)[1])
    saved = loaded(path)
    x, y = data.spiral(100, 3)
    h = np.maximum(0, x @ saved["layers.0.weight"] + saved["layers.0.bias"])
    logits = h @ saved["layers.2.weight"] + saved["layers.2.bias"]
    assert np.isfinite(float(tg.softmax_cross_entropy(logits, y)))


def test_a_last_step_that_diverges_is_seen_too(run):
    options = ["--optimizer", "sgd", "--epochs", 1, "--lr", 1e38]
    status, out, err = run("train", "spiral", *options)
    assert status == 1
    assert len(printed(out)) == 1
    assert "the loss became nan after 1 epochs; try a smaller --lr" in err


def test_out_of_memory_is_a_sentence(run, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(training, "_model", exhausted)
    status, _, err = run("train", "spiral")
    assert (status, err.count("\n")) == (1, 1)
    assert "out of memory; try a smaller --batch-size or --hidden" in err


# Processes: Ctrl-C, a reader that goes away, a fresh interpreter.


# Output is buffered as for most users: what is left in the buffer shows at exit.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}


@contextmanager
def start(*argv, stdout=subprocess.PIPE, **environment):
    """Yield the command as a process, which does not outlive the test."""
    options = {}
    if os.name == "posix":
        # As in a terminal, also where the tests run in the background of a shell.
        options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        [sys.executable, "-m", "tensorgrad", *map(str, argv)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | environment,
        **options,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def wait_for_an_epoch(child):
    for line in child.stdout:
        if line.startswith("epoch: "):
            return
    raise AssertionError(child.stderr.read())


posix = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")


@posix
@pytest.mark.parametrize("batch_size", [[], ["--batch-size", 7]])
def test_ctrl_c_ends_cleanly_and_saves(tmp_path, batch_size):
    path = tmp_path / "model.npz"
    options = ["--epochs", 10**7, "--save", path, *batch_size]
    with start("train", "spiral", *options) as child:
        wait_for_an_epoch(child)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (130, "")
    assert re.search(r"^stopped by Ctrl-C after \d+ epochs in ", out, re.M)
    assert "training: accuracy" in out
    assert out.endswith(f"saved: {path}\n")
    assert len(loaded(path)) == 4
    assert os.listdir(tmp_path) == ["model.npz"]


@posix
def test_sigterm_ends_as_ctrl_c_does(tmp_path):
    path = tmp_path / "model.npz"
    with start("train", "spiral", "--epochs", 10**7, "--save", path) as child:
        wait_for_an_epoch(child)
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (143, "")
    assert re.search(r"^stopped by SIGTERM after \d+ epochs in ", out, re.M)
    assert out.endswith(f"saved: {path}\n")
    assert len(loaded(path)) == 4
    with start("reproduce") as child:
        child.stdout.readline()
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (143, "tensorgrad: stopped by SIGTERM\n")


@posix
def test_ctrl_c_while_the_command_loads_is_a_sentence(tmp_path):
    # NumPy is one of the first modules that are loaded; this one waits for a signal.
    (tmp_path / "numpy.py").write_text(
        "import time\nprint('loading', flush=True)\ntime.sleep(60)\n"
    )
    root = os.path.dirname(os.path.dirname(tg.__file__))
    path = os.pathsep.join([str(tmp_path), root])
    with start("train", "spiral", PYTHONPATH=path) as child:
        assert child.stdout.readline() == "loading\n"
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (130, "tensorgrad: stopped by Ctrl-C\n")


@posix
def test_a_program_that_loads_the_package_keeps_its_ctrl_c():
    code = "import signal, tensorgrad; print(signal.getsignal(2).__name__)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert found.stdout == "default_int_handler\n"


@posix
def test_ctrl_c_elsewhere_is_a_sentence():
    with start("reproduce") as child:
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (130, "tensorgrad: stopped by Ctrl-C\n")


@posix
def test_a_reader_that_goes_away_ends_it_in_silence():
    with start("train", "spiral") as child:
        child.stdout.readline()
        child.stdout.close()
        assert child.wait(timeout=30) == 141
        assert child.stderr.read() == ""


@posix
def test_without_a_reader_the_model_is_still_trained_and_saved(tmp_path):
    path = tmp_path / "model.npz"
    with start("train", "spiral", "--epochs", 200, "--save", path) as child:
        child.stdout.close()
        assert child.wait(timeout=30) == 0
        assert child.stderr.read() == ""
    _, parameters = plain_training(data.spiral, 0, 200)
    assert np.array_equal(
        loaded(path)["layers.0.weight"], parameters["layers.0.weight"]
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_a_sentence():
    with open("/dev/full", "w") as full, start("train", "spiral", stdout=full) as child:
        _, err = child.communicate(timeout=30)
    assert child.returncode == 1
    assert err == "tensorgrad: the output cannot be written: No space left on device\n"


def test_a_fresh_interpreter_and_an_ascii_terminal(tmp_path):
    path = tmp_path / "bäume.csv"
    path.write_text("größe,t\n" + "1,x\n2,y\n" * 5, encoding="utf-8")
    with start("train", path, "--epochs", 2, PYTHONIOENCODING="ascii") as child:
        out, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (0, "")
    assert r"b\xe4ume.csv: 8 rows, 2 held out" in out


def test_training_works_outside_the_main_thread(run):
    results = []
    thread = threading.Thread(
        target=lambda: results.append(cli.main(["train", "spiral", "--epochs", "2"]))
    )
    thread.start()
    thread.join()
    assert results == [0]


@posix
@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_the_handler_of_ctrl_c_is_put_back(run, handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        run("train", "spiral", "--epochs", 1)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


@posix
def test_ctrl_c_stays_ignored_where_it_was(run):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible() as stopping:
            signal.raise_signal(signal.SIGINT)
            assert not stopping()
    finally:
        signal.signal(signal.SIGINT, before)


@posix
def test_a_second_ctrl_c_does_not_wait():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with interruptible() as stopping:
            signal.raise_signal(signal.SIGINT)
            assert stopping()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_version_and_help(run):
    assert run("--version") == (0, f"tensorgrad {tg.__version__}\n", "")
    for argv in (["--help"], ["train", "-h"], ["reproduce", "-h"]):
        status, out, err = run(*argv)
        assert (status, err) == (0, "")
        assert out.startswith("usage: tensorgrad")


# Progress.


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Bar:
    made: list["Bar"] = []

    def __init__(self, total, **_):
        self.total, self.count, self.closed = total, 0, False
        self.made.append(self)

    def update(self):
        self.count += 1

    def close(self):
        self.closed = True

    @staticmethod
    def write(text, file, end):
        file.write(f"{text}{end}")


@pytest.fixture
def tqdm(monkeypatch):
    monkeypatch.setattr(Bar, "made", [])
    monkeypatch.setitem(sys.modules, "tqdm", types.SimpleNamespace(tqdm=Bar))
    return Bar


def test_a_terminal_gets_a_bar(monkeypatch, tqdm, run):
    monkeypatch.setattr(sys, "stderr", Terminal())
    _, out, _ = run("train", "spiral", "--epochs", 7)
    (bar,) = tqdm.made
    assert (bar.total, bar.count, bar.closed) == (7, 7, True)
    assert [row[0] for row in printed(out)] == [*range(7)]


def test_no_terminal_no_bar(tqdm, run):
    run("train", "spiral", "--epochs", 2)
    assert tqdm.made == []


def test_without_tqdm_a_terminal_gets_the_lines_alone(monkeypatch, run):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    _, out, err = run("train", "spiral", "--epochs", 2)
    assert len(printed(out)) == 2
    assert err == ""


@pytest.mark.parametrize("epochs", [1, 2, 50, 101, 102, 202, 999, 10001, 10**6 + 1])
def test_lines_are_some_dozens(epochs):
    lines = (epochs - 1) // training.interval(epochs) + 1
    assert min(epochs, 40) <= lines <= 101


# The text's runs.


def test_the_run_that_reproduces(run):
    status, out, err = run("reproduce", "--run", 3, "--epochs", 1001)
    assert (status, err) == (0, "")
    assert "run 3: SGD, learning_rate 1, decay 0.01" in out
    assert " 1000  0.417 0.417  1.077 1.077  0.09099181073703366   0.0909918107" in out
    assert out.endswith(
        "agree within 0.001 in 11 of 11 rows, the learning rate to the last digit in "
        "11 of 11\n"
    )


def test_every_run_starts_as_the_text_says(run):
    status, out, _ = run("reproduce", "--epochs", 101)
    assert status == 0
    assert [int(n) for n in re.findall(r"^run (\d):", out, re.M)] == [*range(1, 10)]
    assert out.count("the book prints no row before epoch 6000") == 1
    assert out.count("the book prints no row before epoch 300") == 1
    assert "in 14 of 14 rows, the learning rate to the last digit in 10 of 10" in out


def test_a_run_asked_for_twice_is_done_once(run):
    _, out, _ = run("reproduce", "--run", 4, "--run", 1, "--run", 4, "--epochs", 1)
    assert re.findall(r"^run (\d):", out, re.M) == ["4", "1"]


def test_wrong_figures_would_be_seen(run, monkeypatch):
    planted = reproduce.load()
    rows = planted["runs"][2]["printed"]
    rows[1]["loss"] += 0.002
    rows[2]["accuracy"] -= 0.002
    rows[3]["learning_rate"] += 1e-15
    monkeypatch.setattr(reproduce, "load", lambda: planted)
    _, out, _ = run("reproduce", "--run", 3, "--epochs", 401)
    assert "in 3 of 5 rows, the learning rate to the last digit in 4 of 5" in out
    assert [line.endswith(" no") for line in out.splitlines()].count(True) == 2


def test_the_figures_carried_are_complete():
    reference = reproduce.load()
    assert len(reference["runs"]) == 9
    assert sum(len(r["printed"]) for r in reference["runs"]) == 121
    assert json.dumps(reference["model"]["layers"]) == "[2, 64, 3]"
