"""The training loop: its figures, its end, and that it goes on where it was."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from spiral_run import EPOCHS, KILLS, OPTIONS, REPLAY, X, Y, bits, parts

import tensorgrad as tg
from tensorgrad.train import (
    Checkpoints,
    EarlyStopping,
    evaluate,
    fit,
    training_step,
)

HELD = tg.data.spiral(20, 3, rng=1)
ACCURACY = {"accuracy": tg.data.accuracy}


@pytest.mark.parametrize("compile", [False, REPLAY])
def test_it_is_the_loop_that_people_write(compile):
    model, optimizer = parts()
    log = fit(
        model, optimizer, (X, Y), epochs=6, compile=compile, metrics=ACCURACY, **OPTIONS
    )
    other, its = parts()
    order, losses, hits = np.random.default_rng(5), [], []
    for _ in range(6):
        indices = order.permutation(len(X))
        total = right = 0.0
        for start in range(0, len(X), 32):
            part = indices[start : start + 32]
            output = other(X[part])
            loss = tg.softmax_cross_entropy(output, Y[part])
            its.zero_grad()
            loss.backward()
            its.step()
            total += loss.item() * len(part)
            right += tg.data.accuracy(output, Y[part]) * len(part)
        losses.append(total / len(X))
        hits.append(right / len(X))
    assert bits(model) == bits(other)
    assert log["loss"] == losses
    assert log["accuracy"] == hits
    assert log["epoch"] == [1, 2, 3, 4, 5, 6]
    assert not model.training


def test_validation_is_in_evaluation_mode_and_changes_nothing():
    model, optimizer = parts()
    log = fit(
        model,
        optimizer,
        (X, Y),
        epochs=3,
        validation=HELD,
        metrics=ACCURACY,
        **OPTIONS,
    )
    figures = evaluate(model, HELD, loss=tg.softmax_cross_entropy, metrics=ACCURACY)
    assert log.last["val_loss"] == figures["loss"]
    assert log.last["val_accuracy"] == tg.data.accuracy(model(HELD[0]), HELD[1])
    other, its = parts()
    fit(other, its, (X, Y), epochs=3, **OPTIONS)
    assert bits(model) == bits(other)


def test_several_inputs():
    class Sum(tg.nn.Module):
        def __init__(self):
            self.a, self.b = tg.nn.Dense(2, 1, rng=0), tg.nn.Dense(2, 1, rng=1)

        def forward(self, x, z):
            return self.a(x) + self.b(z)

    model = Sum()
    target = X.sum(axis=1, keepdims=True)
    log = fit(
        model,
        tg.optim.Adam(model.parameters(), 0.05),
        (X, -X, target),
        loss=lambda output, target: np.mean((output - target) ** 2),
        epochs=60,
        rng=0,
    )
    assert log["loss"][-1] < 1e-3 < log["loss"][0]


def test_callbacks_see_the_run_and_end_it():
    model, optimizer = parts()
    seen = []

    def callback(run):
        seen.append((run.epoch, run.steps, run.log.last["epoch"], run.model is model))
        return run.epoch == 2

    log = fit(model, optimizer, (X, Y), epochs=9, callbacks=[callback], **OPTIONS)
    assert seen == [(1, 4, 1, True), (2, 8, 2, True)]
    assert len(log) == 2


def test_early_stopping_restores_the_best_weights():
    model, optimizer = parts()
    figures, weights = iter([3.0, 2.0, 2.5, 1.99, 2.2, 9.0]), []

    def figure(run):
        run.log.last["figure"] = next(figures)
        weights.append(bits(run.model))

    stopping = EarlyStopping("figure", patience=3, min_delta=0.05)
    log = fit(
        model, optimizer, (X, Y), epochs=9, callbacks=[figure, stopping], **OPTIONS
    )
    assert len(log) == 5
    assert (stopping.best, stopping.best_epoch) == (2.0, 2)
    assert bits(model) == weights[1]


def test_early_stopping_on_a_figure_that_is_not_there():
    with pytest.raises(KeyError, match="no figure 'val_loss'; there are epoch, loss"):
        fit(*parts(), (X, Y), callbacks=[EarlyStopping()], **OPTIONS)
    with pytest.raises(ValueError, match="patience of at least 1"):
        EarlyStopping(patience=0)


@pytest.mark.parametrize("compile", [False, True])
def test_nan_names_step_batch_and_layer(compile):
    model, optimizer = parts()
    x = X.copy()
    x[33] = np.nan
    with pytest.raises(tg.NonFiniteError, match="batch 2: the batch holds NaN"):
        fit(model, optimizer, (x, Y), shuffle=False, compile=compile, **OPTIONS)
    model, optimizer = parts()
    with tg.no_grad():
        model.last.weight[0, 0] = np.inf
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            tg.NonFiniteError,
            match=r"step 1, epoch 1, batch 1: the parameters of last \(Dense\) hold it",
        ),
    ):
        fit(model, optimizer, (X, Y), compile=compile, **OPTIONS)


def test_nan_that_the_model_itself_makes_is_named():
    class Logarithm(tg.nn.Module):
        def __init__(self):
            self.dense = tg.nn.Dense(2, 3, rng=0)

        def forward(self, x):
            return np.log(self.dense(x))

    model = Logarithm()
    optimizer = tg.optim.SGD(model.parameters(), 0.1)
    message = r"the model \(Logarithm\) made it, in a line that tg.debug\(\) names"
    with np.errstate(all="ignore"), pytest.raises(tg.NonFiniteError, match=message):
        fit(model, optimizer, (X, Y), loss=tg.softmax_cross_entropy)


@pytest.mark.parametrize("compile", [False, True])
def test_the_parameters_after_nan_are_those_before_it(compile):
    model, optimizer = parts()
    x = X.copy()
    x[-1] = np.inf
    with np.errstate(all="ignore"), pytest.raises(tg.NonFiniteError, match="batch 4"):
        fit(model, optimizer, (x, Y), shuffle=False, compile=compile, **OPTIONS)
    other, its = parts()
    fit(other, its, (X[:96], Y[:96]), shuffle=False, compile=compile, **OPTIONS)
    assert bits(model) == bits(other)
    assert "forward" not in vars(model.last)


def test_groups_of_parameters(tmp_path):
    def train(epochs, inputs=X, **options):
        model = tg.nn.Dense(2, 3, rng=0)
        weights = {"params": [model.weight], "lr": 0.2}
        optimizer = tg.optim.SGD([weights, {"params": [model.bias]}], lr=0.1)
        options |= {"loss": tg.softmax_cross_entropy, "rng": 0, "epochs": epochs}
        return fit(model, optimizer, (inputs, Y), **options)

    log = train(2)
    assert log["lr"] == [0.2, 0.2]
    parts = {"checkpoints": Checkpoints(tmp_path)}
    train(1, **parts)
    assert train(2, **parts)["loss"] == log["loss"]
    with pytest.raises(tg.NonFiniteError, match="step 1, epoch 1, batch 1"):
        train(1, np.full_like(X, np.nan))
    smaller = pytest.raises(tg.NonFiniteError, match="smaller learning rate than 0.2")
    with np.errstate(all="ignore"), smaller:
        train(1, np.full_like(X, 3e38))


def test_a_name_in_place_of_an_optimizer_or_a_loss_is_refused():
    model = tg.nn.Dense(2, 3)
    optimizer = tg.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(TypeError, match="expected an optimizer, .* got 'adam'"):
        fit(model, "adam", (X, Y), loss=tg.softmax_cross_entropy)
    with pytest.raises(TypeError, match="expected a loss that is .* got 'mse'"):
        fit(model, optimizer, (X, Y), loss="mse")
    for options, message in (
        ({"metrics": ["accuracy"]}, r"metrics as a dict .* got \['accuracy'\]"),
        ({"metrics": {"accuracy": "accuracy"}}, "metrics as a dict of functions"),
        ({"callbacks": EarlyStopping()}, "a list of callbacks, got"),
        ({"validation": 0.2}, r"a tuple \(inputs, target\), .* got float"),
    ):
        with pytest.raises(TypeError, match=message):
            fit(model, optimizer, (X, Y), loss=tg.softmax_cross_entropy, **options)
    for data in ([X, Y], X):
        with pytest.raises(TypeError, match=r"a tuple \(inputs, target\), or batches"):
            fit(model, optimizer, data, loss=tg.softmax_cross_entropy)


def test_a_step_on_its_own():
    model, optimizer = parts()
    step = training_step(model, tg.softmax_cross_entropy, optimizer)
    loss, output = step(X, Y)
    assert output.shape == (120, 3)
    assert loss.item() == tg.softmax_cross_entropy(output, Y).item()


def test_no_batch():
    with pytest.raises(ValueError, match="at least one batch"):
        fit(*parts(), [], **OPTIONS)


def test_log_to_csv_and_pandas(tmp_path):
    log = fit(*parts(), (X, Y), epochs=2, **OPTIONS)
    log.to_csv(tmp_path / "log.csv")
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(tmp_path / "log.csv", index_col="epoch")
    assert frame["loss"].tolist() == log["loss"]
    assert log.to_pandas()["loss"].tolist() == log["loss"]
    assert repr(log).startswith("Log(2 epochs; last: loss ")
    with pytest.raises(KeyError, match="no figure 'x'; there are epoch, loss"):
        log["x"]


def test_log_is_drawn():
    pytest.importorskip("matplotlib").use("Agg")
    log = fit(*parts(), (X, Y), epochs=2, validation=HELD, **OPTIONS)
    labels = [line.get_label() for line in log.plot().lines]
    assert labels == ["loss", "val_loss"]


# Going on.


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("every", [1, 3])
def test_a_run_in_parts_has_the_bits_of_one(tmp_path, compile, every):
    def trained(epochs, **options):
        model, optimizer = parts()
        stopping = EarlyStopping("loss", patience=100)
        log = fit(
            model,
            optimizer,
            (X, Y),
            epochs=epochs,
            callbacks=[stopping],
            compile=compile,
            metrics=ACCURACY,
            **OPTIONS,
            **options,
        )
        rows = [{**row, "seconds": 0} for row in log]
        return bits(model), rows, stopping.state_dict()["best"]

    whole = trained(7)
    for epochs in (1, 2, 5, 7, 7):
        checkpoints = Checkpoints(tmp_path, every_steps=every)
        in_parts = trained(epochs, checkpoints=checkpoints)
    assert in_parts == whole


SCRIPT = """
import os
import sys
import tensorgrad as tg
sys.path.insert(0, {tests!r})
from spiral_run import EPOCHS, OPTIONS, REPLAY, X, Y, bits, parts

def run():
    model, optimizer = parts()
    checkpoints = tg.train.Checkpoints({folder!r}, every_steps=1)
    tg.train.fit(model, optimizer, (X, Y), epochs=EPOCHS, compile={compile}, **OPTIONS,
                 checkpoints=checkpoints)
    print(b"".join(bits(model)).hex(), flush=True)

for line in sys.stdin:  # a process for each, which has all loaded
    pid = os.fork()
    if pid == 0:
        run()
        os._exit(0)
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("ended", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are copied")
@pytest.mark.parametrize("compile", ["False", "REPLAY"])
def test_a_run_that_is_killed_has_the_bits_of_one_that_is_not(tmp_path, compile):
    model, optimizer = parts()
    fit(model, optimizer, (X, Y), epochs=EPOCHS, compile=eval(compile), **OPTIONS)
    script = SCRIPT.format(
        tests=os.path.dirname(__file__), folder=str(tmp_path / "run"), compile=compile
    )
    draw, kills, lines = random.Random(0), 0, []
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A process of several threads cannot be copied.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    ) as runner:
        while not lines:
            before = newest(tmp_path)
            print("run", file=runner.stdin, flush=True)
            pid = int(runner.stdout.readline())
            if kills < KILLS:
                while newest(tmp_path) == before:
                    time.sleep(0.0005)
                time.sleep(draw.random() * 0.01)
                os.kill(pid, signal.SIGKILL)
                kills += 1
            lines = [*iter(runner.stdout.readline, "ended\n")]
        runner.stdin.close()
    assert kills == KILLS
    assert bytes.fromhex(lines[0]) == b"".join(bits(model))


def newest(folder):
    return max(map(str, (folder / "run").glob("step-*.ckpt")), default="")


def test_a_training_that_was_ended_stays_ended(tmp_path):
    def trained():
        model, optimizer = parts()
        callbacks = [lambda run: run.epoch == 2]
        checkpoints = Checkpoints(tmp_path)
        options = {"callbacks": callbacks, "checkpoints": checkpoints, **OPTIONS}
        log = fit(model, optimizer, (X, Y), epochs=5, **options)
        return bits(model), len(log)

    ended = trained()
    assert ended[1] == 2
    assert trained() == ended
