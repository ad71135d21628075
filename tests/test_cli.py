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
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad import cli, data
from tensorgrad.cli import models, recipes, reproduce, save, tasks
from tensorgrad.cli import train as training
from tensorgrad.cli.signals import interruptible
from tensorgrad.train import checkpoints

LINE = re.compile(
    r"epoch: (\d+), acc: (\d\.\d{3}), loss: (\d+\.\d{3}), lr: ([\d.e+-]{1,8})$", re.M
)


def printed(out):
    """Return the printed rows as numbers: epoch, accuracy, loss, rate."""
    return [tuple(map(float, row)) for row in LINE.findall(out)]


def loaded(path):
    """Return the arrays of a saved model by name."""
    return tg.train.load(path)["network"]


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
    path = tmp_path / "model.tg"
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
                    "--epochs", 1, "--layers", "5,7")  # fmt: skip
    assert "model 2-5-7-3; rmsprop with lr 0.02, decay 0.001, rho 0.5" in out


def test_a_last_epoch_off_the_interval_is_printed(run):
    _, out, _ = run("train", "vertical", "--epochs", 106)
    assert [row[0] for row in printed(out)] == [*range(0, 106, 2), 105]


def test_a_batch_larger_than_the_data_is_all_of_it(run):
    rows = [
        printed(run("train", "spiral", "--epochs", 3, *more)[1])
        for more in ([], ["--batch-size", 300], ["--batch-size", 1000])
    ]
    assert rows[0] == rows[1] == rows[2]


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
    "--layers 0": "--layers: expected a whole number from 1 to 1000000, got '0'",
    "--layers 8,10000000": "--layers: expected a whole number from 1 to 1000000, got",
    "--batch-size 0": "--batch-size: expected a whole number of at least 1, got '0'",
    "--seed -1": "--seed: expected a whole number from 0 to 4294967295, got '-1'",
    "--seed 4294967296": "--seed: expected a whole number from 0 to 4294967295, got",
    "--optimizer lion": "--optimizer: invalid choice: 'lion' (choose from",
    "--epoch 5": "unrecognized arguments: --epoch 5",
    "--momentum .5": "--momentum belongs to --optimizer sgd, got --optimizer adam",
    "--optimizer sgd --rho .5": "--rho belongs to --optimizer rmsprop or adadelta, got",
    "--optimizer adagrad --momentum 0": "got --optimizer adagrad; leave it out",
    "--target kind": "--target is about a file, but spiral is a built-in",
    "--save model.txt": "--save: expected a file name ending in .tg, got 'model.txt'",
}


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS.items(), ids=BAD_OPTIONS)
def test_a_bad_option(refused, options, words):
    assert words in refused("train", "spiral", *options.split())


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("", "arguments are required: COMMAND; see tensorgrad --help"),
        ("fly", "invalid choice: 'fly'"),
        ("train", "are required: {spiral,vertical,FILE}; see tensorgrad train"),
        ("train sprial", "sprial: there is no such file; expected spiral, vertical or"),
        ("train spiral vertical", "unrecognized arguments: vertical"),
        ("reproduce --run 10", "--run: expected a run from 1 to 9, got '10'"),
        ("reproduce --run 0", "--run: expected a run from 1 to 9, got '0'"),
        ("reproduce --epochs 0", "--epochs: expected a whole number of at least 1"),
    ],
)
def test_a_bad_command(refused, argv, words):
    assert words in refused(*argv.split())


def test_a_sentence_of_several_lines_would_be_seen(refused, monkeypatch):
    monkeypatch.setattr(cli, "_run", lambda argv: print("x", file=sys.stderr) or 2)
    with pytest.raises(AssertionError):
        refused("train", "spiral")


# Saving.


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none/model.tg", "none'; make it first"),
        ("folder.tg", "expected a file, got the folder"),
        ("file.tg/model.tg", "file.tg'; make it first"),
        ("a" * 300 + ".tg", "name too long"),
    ],
)
def test_a_place_that_cannot_be_saved_to(refused, tmp_path, name, words):
    (tmp_path / "folder.tg").mkdir()
    (tmp_path / "file.tg").write_text("kept")
    assert words in refused("train", "spiral", "--save", tmp_path / name)
    assert (tmp_path / "file.tg").read_text() == "kept"


def test_a_folder_without_permission_is_found_before_training(
    refused, tmp_path, monkeypatch
):
    def deny(path, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(save.Path, "open", deny)
    words = refused("train", "spiral", "--save", tmp_path / "model.tg")
    assert "cannot be written: Permission denied; choose another place" in words


def test_a_link_that_points_nowhere_is_replaced(run, tmp_path):
    path = tmp_path / "model.tg"
    path.symlink_to(path)
    status, _, _ = run("train", "spiral", "--epochs", 1, "--save", path)
    assert status == 0
    assert len(loaded(path)) == 4


def test_a_failed_write_leaves_what_was_there(run, tmp_path, monkeypatch):
    def fill(archive, arrays):
        raise OSError(28, "No space left on device")

    path = tmp_path / "model.tg"
    path.write_text("the model of yesterday")
    monkeypatch.setattr(checkpoints, "write_arrays", fill)
    status, out, err = run("train", "spiral", "--epochs", 2, "--save", path)
    assert status == 1
    assert "cannot be written: No space left on device" in err
    assert "training: accuracy" in out
    assert path.read_text() == "the model of yesterday"
    assert os.listdir(tmp_path) == ["model.tg"]


def test_saving_replaces_the_file_a_link_points_at(run, tmp_path):
    path, link = tmp_path / "real.tg", tmp_path / "link.tg"
    path.write_text("old")
    link.symlink_to(path)
    run("train", "spiral", "--epochs", 1, "--save", link)
    assert link.is_symlink()
    assert "layers.0.weight" in loaded(path)


# Training that fails.


def test_a_loss_that_is_not_finite_ends_it_and_the_last_state_is_kept(run, tmp_path):
    path = tmp_path / "model.tg"
    options = ["--optimizer", "sgd", "--epochs", 50, "--lr", 1e20, "--save", path]
    status, out, err = run("train", "spiral", *options)
    assert status == 1
    assert re.fullmatch(
        r"tensorgrad: the loss became (nan|inf) in step \d+, epoch \d+, batch 1: .+; "
        r"try a smaller --lr than 1e\+20; the parameters before that are saved\n",
        err,
    )
    assert len(printed(out)) == int(re.search(r"epoch (\d+)", err)[1]) - 1
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
    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(training, "Model", exhausted)
    status, _, err = run("train", "spiral")
    assert (status, err.count("\n")) == (1, 1)
    assert "out of memory; try a smaller --batch-size or --layers" in err


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
    path = tmp_path / "model.tg"
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
    assert os.listdir(tmp_path) == ["model.tg"]


@posix
def test_sigterm_ends_as_ctrl_c_does(tmp_path):
    path = tmp_path / "model.tg"
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
    path = tmp_path / "model.tg"
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
    pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
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

    def update(self, count):
        self.count += count

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


# What is held out.


@given(st.lists(st.integers(0, 4), min_size=2), st.floats(0.01, 0.99), st.integers(0))
def test_what_is_held_out_leaves_every_class_a_row(labels, fraction, seed):
    y = np.unique(labels, return_inverse=True)[1]
    held = tasks.held_out(y, fraction, np.random.default_rng(seed))
    most = len(y) - len(set(labels))
    assert held.sum() == min(max(1, round(fraction * len(y))), most)
    assert set(y[~held]) == set(y)


def test_the_classes_share_in_what_is_held_out():
    y = np.repeat([0, 1, 2], [500, 50, 10])
    held = tasks.held_out(y, 0.2, np.random.default_rng(0))
    assert np.bincount(y[held]).tolist() == [100, 10, 2]


def test_the_seed_decides_what_is_held_out():
    first, again, other = (
        tasks.held_out(np.arange(100) % 2, 0.2, np.random.RandomState(seed))
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


# Layers, schedules, checkpoints.


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_optimizer_and_activation_and_schedule(run, name):
    activations, schedules = list(models.ACTIVATIONS), list(recipes.SCHEDULES)
    i = list(recipes.RECIPES).index(name)
    chosen = {
        "--optimizer": name,
        "--activation": activations[i % len(activations)],
        "--schedule": schedules[i % len(schedules)],
    }
    options = [word for pair in chosen.items() for word in pair]
    options += ["--lr", 0.1] if name == "sgd" else []
    _, out, _ = run("train", "vertical", "--epochs", 60, "--layers", "16,8", *options)
    assert f"model 2-16-8-3; {name} with lr " in out
    assert f", {chosen['--schedule']} schedule\n" in out
    assert float(re.search(r"training: accuracy ([\d.]+)", out)[1]) > 0.6


def test_the_rate_of_a_schedule_is_printed(run):
    _, out, _ = run("train", "vertical", "--epochs", 5, "--schedule", "linear")
    assert [row[3] for row in printed(out)] == [0.05, 0.05, 0.04, 0.03, 0.02]
    _, out, _ = run("train", "vertical", "--epochs", 2001, "--optimizer", "sgd")
    assert "steps are recorded and replayed" in out
    options = ["--schedule", "plateau", "--lr", 1e-7, "--optimizer", "sgd"]
    _, out, _ = run("train", "vertical", "--epochs", 30, *options)
    assert printed(out)[-1][3] < 1e-7


def test_dropout_is_for_training_alone(run, tmp_path):
    path = tmp_path / "model.tg"
    options = ["--dropout", 0.5, "--epochs", 30, "--save", path]
    _, out, _ = run("train", "vertical", *options)
    x, y = data.vertical(100, 3, np.random.RandomState(0))
    model = models.load(str(path))
    accuracy = data.accuracy(model.outputs(x), y)
    assert f"training: accuracy {accuracy:.3f}" in out
    _, again, _ = run("train", "vertical", *options, "--compile")
    assert printed(again)[-1] == pytest.approx(printed(out)[-1], abs=2e-3)


@pytest.mark.parametrize("more", [[], ["--batch-size", 64, "--dropout", 0.1]])
def test_a_training_that_is_resumed_ends_with_the_same_bits(run, tmp_path, more):
    path, folder = tmp_path / "model.tg", tmp_path / "checkpoints"
    argv = ["train", "spiral", "--save", path, *more]
    run(*argv, "--epochs", 40)
    undisturbed = loaded(path)
    kept = ["--checkpoints", folder]
    assert run(*argv, *kept, "--epochs", 25)[0] == 0
    status, _, err = run(*argv, *kept, "--epochs", 40)
    assert status == 2
    assert "holds those of another training; add --resume" in err
    status, out, err = run(*argv, *kept, "--epochs", 40, "--resume")
    assert (status, err) == (0, "")
    assert printed(out)[0][0] == 25
    for name, array in loaded(path).items():
        assert np.array_equal(array, undisturbed[name])


def test_a_training_that_goes_on_is_not_drawn(run, refused, tmp_path):
    pytest.importorskip("matplotlib")
    kept = ["--checkpoints", tmp_path, "--resume", "--epochs", 30]
    assert run("train", "spiral", *kept)[0] == 0
    assert "leave them out with --resume" in refused(
        "train", "spiral", *kept, "--plot", tmp_path / "run.png"
    )


def test_checkpoints_of_another_training_and_damaged_ones(run, tmp_path):
    kept = ["--checkpoints", tmp_path, "--resume", "--epochs", 30]
    assert run("train", "spiral", *kept)[0] == 0
    status, _, err = run("train", "spiral", *kept, "--layers", 8)
    assert status == 2
    assert "are of another training" in err
    newest = max(tmp_path.glob("*.ckpt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    status, _, err = run("train", "spiral", *kept)
    assert status == 0
    assert err.startswith("tensorgrad: warning: ")
    assert err.count("\n") == 1
    for path in tmp_path.glob("*.ckpt"):
        path.write_bytes(b"PK")
    status, _, err = run("train", "spiral", *kept)
    assert status == 2
    assert "can be read; remove them to begin anew" in err


# Use of a saved model, without a file of data.


@pytest.fixture
def saved(run, tmp_path):
    path = tmp_path / "model.tg"
    run("train", "spiral", "--epochs", 20, "--save", path)
    return path


def test_info(run, saved):
    status, out, _ = run("info", saved)
    assert status == 0
    assert "model 2-64-3, relu: 387 parameters\nclasses: 0, 1, 2\n" in out
    assert "trained on spiral: adam with lr 0.05, decay 0.001, 20 epochs" in out


def test_export_of_weights(run, refused, saved, tmp_path):
    path = tmp_path / "weights.npz"
    assert run("export", saved, "--weights", path)[0] == 0
    with np.load(path) as file:
        arrays = dict(file)
    for name, array in loaded(saved).items():
        assert np.array_equal(arrays[name], array)
    assert "export: name a file to write" in refused("export", saved)
    assert "ending in .npz, .safetensors" in refused(
        "export", saved, "--weights", tmp_path / "weights.txt"
    )


@pytest.mark.parametrize("command", ["info", "export", "predict", "evaluate"])
def test_a_file_that_is_no_model(refused, saved, tmp_path, command):
    more = ["x.csv"] if command in ("predict", "evaluate") else []
    bad = tmp_path / "bad.tg"
    assert "there is no such file" in refused(command, bad, *more)
    assert "got a folder" in refused(command, tmp_path, *more)
    bad.write_bytes(saved.read_bytes()[:-100])
    assert "is damaged, or was not written by tensorgrad train" in refused(
        command, bad, *more
    )
    bad.write_text("a,b\n")
    assert "is no checkpoint" in refused(command, bad, *more)
    for state in ([], {"format": 1}, {"format": models.FORMAT, "network": {}}):
        tg.train.save(bad, state)
        assert "expected a model that tensorgrad train --save has written" in refused(
            command, bad, *more
        )
    state = tg.train.load(saved)
    for name, value in (
        *(("activation", "magic"), ("layers", [2, 10**9]), ("layers", "ab")),
        *(("columns", [{}]), ("classes", None), ("network", {"x": 1})),
        *(("columns", []), ("classes", ["a"]), ("training", 3), ("scale", "x")),
    ):
        tg.train.save(bad, state | {name: value})
        assert "expected a model that tensorgrad train --save has written" in refused(
            command, bad, *more
        )
