"""The training loop: steps over batches, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .. import capture
from ..bar import bar
from ..core.errors import NonFiniteError
from ..core.mode import no_grad
from ..core.tensor import Tensor
from ..nn import Module
from ..optim import Groups, Optimizer
from .batches import Batches, Generator, random_state, set_random_state
from .checkpoints import Checkpoints
from .log import Log

__all__ = ["Run", "evaluate", "fit", "training_step"]

Array = NDArray[Any]
Loss = Callable[..., Tensor]
Metric = Callable[[Any, Any], float]
Compile = bool | Callable[[Callable[..., Any]], Callable[..., Any]]


def training_step(
    model: Module, loss: Loss, optimizer: Optimizer, *, compile: Compile = False
) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return a function that does one step of training.

    Parameters
    ----------
    model : Module
        What is trained.
    loss : callable
        Takes the model's output and the target; returns a scalar tensor.
    optimizer : Optimizer
        Of the model's parameters.
    compile : bool or callable
        Whether to record the step and replay it, as `tensorgrad.compile` does; or what
        does so, such as ``functools.partial(tg.compile, fused=False)``.

    Returns
    -------
    callable
        Takes the parts of a batch, the target last; returns the loss and the model's
        output, both as they were before the update.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x, y = tg.data.spiral(100, 3)
    >>> model = tg.nn.Dense(2, 3, rng=0)
    >>> optimizer = tg.optim.SGD(model.parameters(), 0.1)
    >>> step = training_step(model, tg.softmax_cross_entropy, optimizer, compile=True)
    >>> for epoch in range(5):
    ...     for batch in tg.train.Batches(x, y, rng=0):
    ...         loss, output = step(*batch)
    """

    def step(*batch: Any) -> tuple[Tensor, Tensor]:
        *inputs, target = batch
        optimizer.zero_grad()
        output = model(*inputs)
        value = loss(output, target)
        value.backward()
        optimizer.step()
        return value, output

    if not compile:
        return step
    compiler = capture.compile if compile is True else compile
    compiled: Callable[..., tuple[Tensor, Tensor]] = compiler(step)
    return compiled


@final
class Run:
    """A training as its callbacks see it.

    Parameters
    ----------
    model : Module
        What is trained.
    optimizer : Optimizer
        Of its parameters.
    batches : iterable
        Of an epoch, each a tuple of arrays with the target last.
    callbacks : sequence of callables
        Called after each epoch.

    Attributes
    ----------
    log : Log
        A row for each epoch.
    epoch, steps : int
        Epochs completed, and steps taken in all.
    ended : bool
        Whether a callback has ended the training.
    sums : dict of float
        Figures of the present epoch, added up over its samples.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        batches: Iterable[Any],
        callbacks: Sequence[Callable[[Run], Any]] = (),
    ) -> None:
        self.model, self.optimizer, self.batches = model, optimizer, batches
        self.callbacks = list(callbacks)
        self.log = Log()
        self.epoch = self.steps = 0
        self.ended = False
        self.sums: dict[str, float] = {}
        self._generators = list(generators(model))

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on, for a checkpoint.

        Returns
        -------
        dict
            Of model, optimizer and batches, of random generators, callbacks that have
            a state, and of this run.
        """
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "batches": _state(self.batches),
            "callbacks": [_state(callback) for callback in self.callbacks],
            "random": [random_state(rng) for rng in self._generators],
            "run": [self.epoch, self.steps, self.ended, self.sums, self.log.rows],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was called.

        Parameters
        ----------
        state : dict
            What `state_dict` returned.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it is of another model or optimizer.
        """
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        _load_state(self.batches, state["batches"])
        for callback, its in zip(self.callbacks, state["callbacks"], strict=True):
            _load_state(callback, its)
        for rng, its in zip(self._generators, state["random"], strict=True):
            set_random_state(rng, its)
        self.epoch, self.steps, self.ended, self.sums, self.log.rows = state["run"]


def fit(
    model: Module,
    optimizer: Optimizer,
    data: Any,  # a tuple of what Batches takes, or batches
    *,
    loss: Loss,
    epochs: int = 1,
    batch_size: int = 32,
    shuffle: bool = True,
    rng: Generator | int | None = None,
    validation: Any = None,  # likewise
    metrics: Mapping[str, Metric] | None = None,
    compile: Compile = False,
    callbacks: Sequence[Callable[[Run], Any]] = (),
    checkpoints: Checkpoints | None = None,
    progress: bool | None = None,
) -> Log:
    """Train a model.

    Parameters
    ----------
    model : Module
        In training mode in the steps, in evaluation mode on validation data and
        afterwards.
    optimizer : Optimizer
        Of the model's parameters.
    data : tuple of arrays, or iterable of tuples
        The inputs and last the target, for `Batches`; or such an iterable of batches,
        which is iterated over anew in each epoch.
    loss : callable
        Takes the model's output and the target; returns a scalar tensor, the mean over
        the batch.
    epochs : int
        Passes over the data, with those of a run that is resumed.
    batch_size : int
        Samples of a batch.
    shuffle : bool
        Whether each epoch has an order of its own.
    rng : int, numpy.random.Generator or RandomState, optional
        Where the order is drawn from; fresh entropy for None.
    validation : tuple of arrays, or iterable of tuples, optional
        To evaluate the model on after each epoch.
    metrics : dict of callables, optional
        By name; each takes the output and the target and returns a number, of which
        the mean over the samples is logged.
    compile : bool or callable
        Whether to record the step and replay it: faster, and refused with the line
        where the model decides in Python. Kernels, where llvmlite is there, may round
        otherwise than NumPy; ``functools.partial(tg.compile, fused=False)`` does not.
    callbacks : sequence of callables
        Called with the `Run` after each epoch; what returns True ends the training.
    checkpoints : Checkpoints, optional
        Where to write them. If there is one already, the training goes on from there,
        and ends with the bits of one that was never interrupted.
    progress : bool, optional
        Whether to show a bar; by default on a terminal where tqdm is installed.

    Returns
    -------
    Log
        A row of figures for each epoch.

    Raises
    ------
    NonFiniteError
        If a loss is NaN or infinite. The parameters are those before that step, and
        the message names the step, the batch and the layer that it came from.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x, y = tg.data.spiral(100, 3)
    >>> model = tg.nn.Sequential(tg.nn.Dense(2, 64, rng=0), tg.nn.ReLU(),
    ...                          tg.nn.Dense(64, 3, rng=1))
    >>> optimizer = tg.optim.Adam(model.parameters(), 0.01)
    >>> log = tg.train.fit(model, optimizer, (x, y), loss=tg.softmax_cross_entropy,
    ...                    epochs=3, rng=0, metrics={"accuracy": tg.data.accuracy})
    >>> log.names
    ['epoch', 'loss', 'accuracy', 'lr', 'seconds']
    """
    _check(optimizer, loss, metrics, callbacks)
    metrics = dict(metrics or {})
    batches = as_batches(data, batch_size=batch_size, shuffle=shuffle, rng=rng)
    held = None
    if validation is not None:
        held = as_batches(validation, batch_size=max(batch_size, 256), shuffle=False)
    step = training_step(model, loss, optimizer, compile=compile)
    run = Run(model, optimizer, batches, callbacks)
    if checkpoints is not None and checkpoints.resume(run) and compile:
        _record_again(run, step, checkpoints)
    with bar(epochs, "epoch", shown=progress) as shown:
        shown.update(run.epoch)
        while run.epoch < epochs and not run.ended:
            row = _epoch(run, step, loss, metrics, checkpoints)
            if held is not None:
                figures = evaluate(model, held, loss=loss, metrics=metrics)
                row |= {f"val_{name}": value for name, value in figures.items()}
            run.log.append(row)
            shown.set_postfix({k: f"{v:.4g}" for k, v in row.items() if k != "epoch"})
            shown.update(1)
            # Each is called, also after one that ends it.
            answers = [callback(run) for callback in run.callbacks]
            run.ended = any(answers)
            if checkpoints is not None:
                checkpoints.after_epoch(run, last=run.ended or run.epoch == epochs)
    model.eval()
    return run.log


def _check(optimizer: Any, loss: Any, metrics: Any, callbacks: Any) -> None:
    """Raise TypeError for names, or for one thing in place of several."""
    functions = isinstance(metrics, Mapping) and all(map(callable, metrics.values()))
    for right, expected, value in (
        (
            isinstance(optimizer, Optimizer | Groups),
            "an optimizer, such as tg.optim.Adam(model.parameters())",
            optimizer,
        ),
        (
            callable(loss),
            "a loss that is a function of output and target, such as "
            "tg.softmax_cross_entropy",
            loss,
        ),
        (
            metrics is None or functions,
            'metrics as a dict of functions, such as {"accuracy": tg.data.accuracy}',
            metrics,
        ),
        (isinstance(callbacks, Iterable), "a list of callbacks", callbacks),
    ):
        if not right:
            raise TypeError(f"tg.train.fit: expected {expected}, got {value!r:.60}")


def _epoch(
    run: Run,
    step: Callable[..., tuple[Tensor, Tensor]],
    loss: Loss,
    metrics: Mapping[str, Metric],
    checkpoints: Checkpoints | None,
) -> dict[str, Any]:
    """Take the steps that are left of an epoch; return its figures."""
    run.model.train()
    start, rate = perf_counter(), run.optimizer.param_groups[0].lr
    before = [p.data.copy() for p in run.optimizer.params]
    for number, batch in enumerate(run.batches):
        for p, copy in zip(run.optimizer.params, before, strict=True):
            np.copyto(copy, p.data)
        value, output = step(*batch)
        if not math.isfinite(number_of(value)):
            _restore(run.optimizer, before)
            raise NonFiniteError(_diagnosis(run, loss, number, batch, number_of(value)))
        run.steps += 1
        add_figures(run.sums, value, output, batch[-1], metrics)
        if checkpoints is not None:
            checkpoints.after_step(run)
    run.epoch += 1
    figures, run.sums = means(run.sums), {}
    seconds = perf_counter() - start
    return {"epoch": run.epoch, **figures, "lr": rate, "seconds": seconds}


def evaluate(
    model: Module,
    data: Any,  # a tuple of what Batches takes, or batches
    *,
    loss: Loss,
    metrics: Mapping[str, Metric] | None = None,
    batch_size: int = 256,
) -> dict[str, float]:
    """Return the loss and the metrics of a model, means over the samples.

    Parameters
    ----------
    model : Module
        In evaluation mode for it, and then in the mode it was in.
    data : tuple of arrays, or iterable of tuples
        The inputs and last the target.
    loss : callable
        Takes the model's output and the target; returns a scalar tensor.
    metrics : dict of callables, optional
        By name; each takes the output and the target and returns a number.
    batch_size : int
        Samples that are computed at once.

    Returns
    -------
    dict of float
        ``loss``, and the metrics by name.
    """
    sums: dict[str, float] = {}
    training = model.training
    model.eval()
    try:
        with no_grad():
            for *inputs, target in as_batches(
                data, batch_size=batch_size, shuffle=False
            ):
                output = model(*inputs)
                value = loss(output, target)
                add_figures(sums, value, output, target, metrics or {})
    finally:
        model.train(training)
    return means(sums)


def as_batches(data: Any, **options: Any) -> Any:
    """Return batches as they are, and a tuple of arrays as batches."""
    if isinstance(data, tuple):
        return Batches(*data, **options)
    arrays = isinstance(data, list) and all(hasattr(part, "shape") for part in data)
    if (arrays and data) or hasattr(data, "shape") or not isinstance(data, Iterable):
        raise TypeError(
            "tg.train: expected data that are a tuple (inputs, target), or batches "
            f"that are such tuples, got {type(data).__name__}"
        )
    return data


def number_of(value: Any) -> float:
    """Return a loss as a float."""
    return float(value.item() if hasattr(value, "item") else value)


def add_figures(
    sums: dict[str, float],
    value: Any,
    output: Any,
    target: Any,
    metrics: Mapping[str, Metric],
) -> None:
    """Add the figures of a batch, each times its number of samples."""
    size = len(target)
    for name, figure in (
        ("samples", 1.0),
        ("loss", number_of(value)),
        *((name, float(metric(output, target))) for name, metric in metrics.items()),
    ):
        sums[name] = sums.get(name, 0.0) + figure * size


def means(sums: Mapping[str, float]) -> dict[str, float]:
    """Return the mean of each figure over the samples."""
    if not sums:
        raise ValueError("expected at least one batch in an epoch, got none")
    samples = sums["samples"]
    return {name: s / samples for name, s in sums.items() if name != "samples"}


def generators(model: Module) -> Iterator[Any]:
    """Yield the random generators that modules have as attributes, each once."""
    kinds = (np.random.Generator, np.random.RandomState)
    seen: set[int] = set()
    for _, module in model.named_modules():
        for value in vars(module).values():
            if isinstance(value, kinds) and id(value) not in seen:
                seen.add(id(value))
                yield value


def _state(x: Any) -> Any:
    return x.state_dict() if hasattr(x, "state_dict") else None


def _load_state(x: Any, state: Any) -> None:
    if hasattr(x, "load_state_dict") and state is not None:
        x.load_state_dict(state)


def _restore(optimizer: Optimizer, before: list[Array]) -> None:
    with no_grad():
        for p, copy in zip(optimizer.params, before, strict=True):
            p[...] = copy


def _record_again(run: Run, step: Callable[..., Any], checkpoints: Checkpoints) -> None:
    """Let a compiled step record, as often as it had by then, and go back.

    From then on it is replayed, as in the run that is resumed: kernels may round
    otherwise than the calls that are recorded.
    """
    batches = run.batches
    if not isinstance(batches, Batches):
        return
    last = len(batches) - 1
    taken = run.epoch * (last + 1) + batches.position
    run.model.train()
    for number, times in ((0, taken - run.epoch), (last, run.epoch)):
        for _ in range(min(2, times)):
            step(*batches.at(number))
    checkpoints.resume(run)


def _diagnosis(
    run: Run, loss: Loss, number: int, batch: tuple[Any, ...], value: float
) -> str:
    """Say where a loss that is not finite comes from, by doing its step again."""
    culprit: list[str] = []
    rate = run.optimizer.param_groups[0].lr
    remedy = f"try a smaller learning rate than {rate:.4g}"
    with no_grad(), np.errstate(all="ignore"), _watched(run.model, culprit.append):
        try:
            output = run.model(*batch[:-1])
        except Exception:
            output = None
    if any(not _is_finite(part) for part in batch):
        source, remedy = "the batch holds NaN or infinity", "leave out those samples"
    elif culprit:
        source = culprit[0]
    elif output is not None and np.isfinite(number_of(loss(output, batch[-1]))):
        source = "it does not happen again: is the model random?"
    else:
        source = "the model's output is finite, the loss of it is not"
    return (
        f"tg.train.fit: the loss became {value} in step {run.steps + 1}, epoch "
        f"{run.epoch + 1}, batch {number + 1}: {source}; {remedy}. The parameters are "
        "those before that step"
    )


@contextmanager
def _watched(model: Module, note: Callable[[str], None]) -> Iterator[None]:
    """Note each module that makes NaN or infinity, innermost first."""
    modules = [
        (f"{name or 'the model'} ({type(module).__name__})", module)
        for name, module in model.named_modules()
        if "forward" not in vars(module)
    ]
    for name, module in modules:
        vars(module)["forward"] = _inspected(name, module, note)
    try:
        yield
    finally:
        for _, module in modules:
            del vars(module)["forward"]


def _inspected(
    name: str, module: Module, note: Callable[[str], None]
) -> Callable[..., Any]:
    """Return the module's forward, which notes an output that is not finite."""
    forward = module.forward

    def call(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        if not _is_finite(output):
            right = all(map(_is_finite, module.parameters()))
            made = f"{name} made it, in a line that tg.debug() names"
            note(made if right else f"the parameters of {name} hold it")
        return output

    return call


def _is_finite(x: Any) -> bool:
    array = np.asarray(x.numpy() if hasattr(x, "numpy") else x)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
