"""The estimators: scikit-learn's, but for how the network is built and fitted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import islice
from numbers import Real
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn import config_context, neural_network
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    validate_data,
)

from ..bar import bar
from ..core.tensor import Tensor
from ..optim import SGD, Adam, Optimizer
from .network import ACTIVATIONS, LOSSES, OUTPUTS, Loss, Network, quantile_loss
from .training import KERNELS, Data, Trainer, borrowed

Array = np.ndarray[Any, Any]
Held = tuple[Any, Array, Array]
"""Samples, targets and weights that are scored after each epoch."""


_RECORDED = (
    *("activation", "normalization", "dropout", "loss", "quantile", "solver"),
    *("learning_rate_init", "momentum", "nesterovs_momentum"),
    *("beta_1", "beta_2", "epsilon", "compile"),
)
"""Parameters that a recorded step depends on."""


class _Adam(Adam):
    """Adam as scikit-learn has it: eps is not corrected for the start."""

    def step_numbers(self) -> tuple[float, float]:
        rate, _ = super().step_numbers()
        return rate, self.eps


class _Perceptron(BaseEstimator):
    """What the two estimators share: how a network is built and fitted."""

    _parameter_constraints: dict[str, list[Any]] = {
        **neural_network.MLPRegressor._parameter_constraints,
        "activation": [StrOptions({*ACTIVATIONS}), callable],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"}), callable],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), callable],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "normalization": [StrOptions({"batch", "layer"}), None],
        "compile": [StrOptions({"auto"}), "boolean"],
        "progress": ["boolean"],
    }

    loss_curve_: list[float]
    # Or None, as scikit-learn has it.
    best_loss_: Any
    best_validation_score_: Any
    validation_scores_: Any
    validation_loss_curve_: Any
    _best: list[Array]
    _state: Any

    def _store(self, parameters: dict[str, Any]) -> None:
        """Set the parameters of ``__init__``."""
        self.__dict__.update((k, v) for k, v in parameters.items() if k != "self")

    def _check_solver(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. lbfgs is not "
                "stochastic."
            )
        return True

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation_data: tuple[Any, ...] | None = None,
    ) -> Any:
        """Fit the network.

        Parameters
        ----------
        X : (n, features) array_like or sparse matrix
            Samples.
        y : (n,) or (n, outputs) array_like
            Classes, rows of labels, or numbers.
        sample_weight : (n,) array_like, optional
            What each sample counts.
        validation_data : tuple, optional
            ``(X, y)`` or ``(X, y, sample_weight)``, scored after each epoch, and used
            by early stopping in place of a part of `X`.

        Returns
        -------
        object
            The estimator itself.
        """
        self._validate_params()
        # What scikit-learn is called with here needs no validation of its own.
        with config_context(skip_parameter_validation=True):
            return self._fit(X, y, sample_weight, validation_data=validation_data)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        incremental: bool = False,
        validation_data: tuple[Any, ...] | None = None,
    ) -> Any:
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        again = hasattr(self, "coefs_") and (self.warm_start or incremental)
        X, y = self._validate_input(X, y, incremental, reset=not again)
        weights = self._weights(X, y, sample_weight, incremental)
        y = y.reshape(len(y), -1).astype(X.dtype)
        held = None if validation_data is None else self._held(X, *validation_data)
        self._random_state = check_random_state(self.random_state)
        network = self._built([X.shape[1], y.shape[1]])
        if not again:
            self._forget(network, X.dtype)
        elif network.shapes != tuple(part.shape for part in self._parts):
            raise ValueError(
                "hidden_layer_sizes, normalization and outputs must be those of the "
                f"last fit, whose arrays were {[part.shape for part in self._parts]}, "
                f"got {list(network.shapes)}; to begin anew, set warm_start=False"
            )
        with self._borrowed(network, X.dtype, incremental, len(y)) as trainer:
            try:
                if self.solver == "lbfgs":
                    self._fit_at_once(trainer, Data(X, y, weights, len(y)))
                else:
                    self._fit_epochs(trainer, X, y, weights, held, incremental)
            finally:
                self._take(trainer)
        if not all(np.isfinite(part).all() for part in self._parts):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may "
                "contain large values and need to be preprocessed."
            )
        return self

    # What is fitted.

    def _built(self, ends: list[int]) -> Network:
        hidden = [int(n) for n in np.atleast_1d(self.hidden_layer_sizes)]
        if min(hidden, default=1) < 1:
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        widths = [ends[0], *hidden, ends[1]]
        return Network(widths, self.activation, self.normalization, self.dropout)

    def _forget(self, network: Network, dtype: Any) -> None:
        """Start anew."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_, self.n_outputs_ = network.depth + 1, network.shapes[-1][0]
        self.out_activation_ = self._out_activation()
        self._set(network, network.start(self._random_state, dtype))
        self._running, self._state = network.running(dtype), None
        if self.solver != "lbfgs":
            early = self.early_stopping
            self.loss_curve_ = []
            self._no_improvement_count, self._best = 0, []
            self.best_loss_ = None if early else np.inf
            self.best_validation_score_ = -np.inf if early else None
            self.validation_scores_ = [] if early else None
            self.validation_loss_curve_ = [] if early else None

    def _set(self, network: Network, theta: Array) -> None:
        """Let the attributes be views of the parameters."""
        self._network, parts = network, iter(network.parts(theta))
        self.coefs_, self.intercepts_, self.scales_, self.shifts_ = (
            list(islice(parts, count)) for count in network.counts
        )

    @property
    def _parts(self) -> list[Array]:
        return [*self.coefs_, *self.intercepts_, *self.scales_, *self.shifts_]

    @contextmanager
    def _borrowed(
        self, network: Network, dtype: Any, incremental: bool, n: int
    ) -> Iterator[Trainer]:
        """Lend a trainer that is where this estimator is."""
        steps = self._planned(n, incremental)
        kernels = steps >= KERNELS and find_spec("llvmlite") is not None
        loss, optimizer = self._loss(), None
        if self.solver != "lbfgs":
            optimizer = self._optimizer
        settings = [getattr(self, name, None) for name in _RECORDED]
        what = kernels, dtype, self.out_activation_, *network.shapes, *settings
        # What a function of the user reads may change between fits.
        key = None if any(map(callable, settings)) else what
        theta = np.concatenate([part.reshape(-1) for part in self._parts])
        seed = self._random_state.randint(2**31) if self.dropout else 0
        make = partial(Trainer, network, loss, dtype, self._scale(), optimizer)
        with borrowed(key, make) as (trainer, fresh):
            state = self._state if incremental and self._state else fresh
            trainer.load([theta, *self._running], state, seed)
            trainer.prepare(steps, self.compile, kernels)
            if self.verbose and trainer.compiled:
                print(f"Steps are recorded, and replayed by {trainer.compiled}")
            yield trainer

    def _take(self, trainer: Trainer) -> None:
        """Take over what a trainer has come to."""
        theta, *running = (value.copy() for value in trainer.values())
        self._set(trainer.network, theta)
        self._running, self.compiled_ = running, trainer.compiled
        if trainer.optimizer is not None:
            self._state = trainer.optimizer.state_dict()

    def _optimizer(self, params: list[Tensor]) -> Optimizer:
        lr = self.learning_rate_init
        if self.solver == "sgd":
            nesterov = self.nesterovs_momentum and self.momentum > 0
            return SGD(params, lr, momentum=self.momentum, nesterov=nesterov)
        if self.solver == "adam":
            betas = {"beta1": self.beta_1, "beta2": self.beta_2}
            return _Adam(params, lr, eps=self.epsilon, **betas)
        made: Optimizer = self.solver(params, lr=lr)
        return made

    # How it is fitted.

    def _planned(self, n: int, incremental: bool) -> int:
        """Return how many steps there are at most."""
        if self.solver == "lbfgs":
            return int(min(self.max_iter, self.max_fun))
        epochs = 1 if incremental else int(self.max_iter)
        return -(-n // self._batch(n)) * epochs

    def _batch(self, n: int) -> int:
        return min(200 if self.batch_size == "auto" else int(self.batch_size), n)

    def _fit_at_once(self, trainer: Trainer, data: Data) -> None:
        found = minimize(
            trainer.value_and_gradient,
            trainer.theta.numpy().copy(),
            args=(data, self.alpha),
            jac=True,
            method="L-BFGS-B",
            options={
                "maxfun": self.max_fun,
                "maxiter": self.max_iter,
                "gtol": self.tol,
            },
        )
        trainer.theta.numpy()[...] = found.x
        self.loss_, self.n_iter_ = float(found.fun), min(found.nit, self.max_iter)
        if found.status:
            warnings.warn(
                f"lbfgs did not converge in {found.nit} iterations: {found.message}; "
                "increase max_iter or scale the data",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _fit_epochs(
        self,
        trainer: Trainer,
        X: Any,
        y: Array,
        weights: Array | None,
        held: Held | None,
        incremental: bool,
    ) -> None:
        rows = np.arange(len(y))
        if self.early_stopping and held is None:
            rows, held = self._split(X, y, weights)
        size = self._batch(len(rows))
        if self.batch_size != "auto" and self.batch_size > size:
            warnings.warn(
                f"Got `batch_size` {self.batch_size}, larger than the {size} samples. "
                "It is going to be clipped",
                stacklevel=4,
            )
        data = Data(X, y, weights, size, self.normalization == "batch")
        epochs = 1 if incremental else self.max_iter
        self.n_iter_ = 0
        try:
            with bar(epochs, " epochs", self.progress) as shown:
                for _ in range(epochs):
                    if self.shuffle:
                        # What sklearn.utils.shuffle does, in a tenth of the time.
                        rows = rows[self._random_state.permutation(len(rows))]
                    self.loss_ = trainer.epoch(data, rows, self.alpha)
                    shown.set_postfix({"loss": f"{self.loss_:.4g}"})
                    shown.update(1)
                    if self._is_last(trainer, len(rows), held):
                        break
                else:
                    if not incremental:
                        self._warn_of_end()
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        if self.early_stopping and self._best:
            trainer.load(self._best)
            self._best = []

    def _warn_of_end(self) -> None:
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and "
            "the optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=5,
        )

    def _split(self, X: Any, y: Array, weights: Any) -> tuple[Array, Held]:
        """Return the rows to train on, and those held out."""
        binary = self.out_activation_ == "logistic" and y.shape[1] == 1
        rows, held = train_test_split(
            np.arange(len(y)),
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=y if binary else None,
        )
        if len(held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or "
                "the size of your dataset."
            )
        w = np.ones(len(held)) if weights is None else weights[held]
        return rows, (X[held], y[held], w)

    def _held(self, like: Any, X: Any, y: Any, sample_weight: Any = None) -> Held:
        """Return what is given to be scored after each epoch, as arrays."""
        X = validate_data(
            self, X, accept_sparse=["csr", "csc"], dtype=like.dtype, reset=False
        )
        y = self._targets(y).reshape(len(y), -1).astype(X.dtype)
        check_consistent_length(X, y)
        return X, y, _check_sample_weight(sample_weight, X)

    def _is_last(self, trainer: Trainer, n: int, held: Held | None) -> bool:
        """Note an epoch, and whether to stop after it."""
        self.n_iter_ += 1
        self.t_ += n
        self.loss_curve_.append(self.loss_)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
        if held is not None:
            self._score_held(trainer, *held)
        self._count_improvements(trainer)
        constant = callable(self.learning_rate_init) or self.solver == "adam"
        schedule = "constant" if constant else self.learning_rate
        if schedule == "invscaling":
            rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t
            trainer.optimizer.lr = rate
        if self._no_improvement_count <= self.n_iter_no_change:
            return False
        return self._stops(trainer.optimizer, schedule == "adaptive")

    def _stops(self, optimizer: Any, adaptive: bool) -> bool:
        """Whether nothing is left to try; lower the rate first if it is adaptive."""
        stops = not adaptive or optimizer.lr <= 1e-6
        if not stops:
            optimizer.lr /= 5
            self._no_improvement_count = 0
        if self.verbose:
            what = "Validation score" if self.early_stopping else "Training loss"
            print(
                f"{what} did not improve more than tol={self.tol:f} for "
                f"{self.n_iter_no_change} consecutive epochs.",
                "Stopping." if stops else f"The rate is now {optimizer.lr:f}",
            )
        return stops

    def _score_held(self, trainer: Trainer, X: Any, y: Array, w: Array) -> None:
        scores, loss = trainer.evaluate(X, y, w)
        if self.validation_scores_ is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
        self.validation_scores_.append(float(self._score_of(scores, y, w)))
        self.validation_loss_curve_.append(loss)
        if self.verbose:
            print(f"Validation score: {self.validation_scores_[-1]:f}")

    def _count_improvements(self, trainer: Trainer) -> None:
        """Count epochs without one, and keep the best parameters."""
        if self.early_stopping:
            best, now = self.best_validation_score_, self.validation_scores_[-1]
            is_short = now < best + self.tol
            if now > best:
                self.best_validation_score_ = now
                self._best = [value.copy() for value in trainer.values()]
        else:
            is_short = self.loss_ > self.best_loss_ - self.tol
            self.best_loss_ = min(self.best_loss_, self.loss_)
        self._no_improvement_count = self._no_improvement_count + 1 if is_short else 0

    # What it is used for.

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> Array:
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        outputs: Array = OUTPUTS[self.out_activation_](
            self._network.scores(self._parts, self._running, X)
        )
        return outputs


class MLPClassifier(_Perceptron, neural_network.MLPClassifier):
    """Perceptron for classes: scikit-learn's, and what it leaves out.

    With the same `random_state` the loss curve is that of scikit-learn to rounding.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size : as in scikit-learn
        With its meaning and defaults. Also, `activation` may be "elu", "gelu",
        "leaky_relu", "silu", "softplus" or a function of a tensor, and `solver` a class
        of ``tg.optim``, or a function that makes an optimizer of ``(params, lr=lr)``.
    learning_rate, learning_rate_init, power_t, max_iter : as in scikit-learn
        Also, `learning_rate_init` may be a schedule: a function of the step from 0.
    shuffle, random_state, tol, verbose, warm_start, momentum : as in scikit-learn
        `momentum` is below 1.
    nesterovs_momentum, early_stopping, validation_fraction : as in scikit-learn
        Validation data given to `fit` takes the place of the fraction.
    beta_1, beta_2, epsilon, n_iter_no_change, max_fun : as in scikit-learn
        With its meaning and defaults.
    loss : "log_loss" or callable
        A function of scores and targets, both of shape (n, outputs), that returns the
        loss of each sample, or of each output of it.
    class_weight : dict or "balanced", optional
        What the samples of a class count.
    dropout : float
        Which part of the hidden units is dropped in training.
    normalization : {"batch", "layer"}, optional
        Of the hidden units before their activation.
    compile : "auto" or bool
        Whether steps are recorded and replayed; by default where so many are planned
        that it pays, and in kernels of LLVM where llvmlite is installed and that pays.
    progress : bool
        Show a bar of the epochs, where tqdm is installed.

    Attributes
    ----------
    coefs_, intercepts_, classes_, n_iter_, n_layers_, n_outputs_ : as in scikit-learn
        So are ``out_activation_``, ``t_``, ``loss_``, ``best_loss_``, ``loss_curve_``,
        ``validation_scores_``, ``best_validation_score_``, ``n_features_in_`` and
        ``feature_names_in_``.
    scales_, shifts_ : list of ndarray
        What normalised units are multiplied with, and what is added then.
    validation_loss_curve_ : list of float, or None
        The loss of the validation data after each epoch, without the penalty.
    compiled_ : {"NumPy", "kernels"}, or None
        What replayed the steps; None where they were not recorded.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from tensorgrad.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20,), learning_rate_init=0.03, dropout=0.1, tol=0.001)
    >>> model.set_params(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **_Perceptron._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), callable],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: Any = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        class_weight: Any = None,
        dropout: float = 0.0,
        normalization: str | None = None,
        compile: Any = "auto",
        progress: bool = False,
    ) -> None:
        self._store(locals())

    def _out_activation(self) -> str:
        many = self._label_binarizer.y_type_ == "multiclass"
        return "softmax" if many else "logistic"

    def _loss(self) -> Loss:
        return self.loss if callable(self.loss) else LOSSES[self.out_activation_]

    def _scale(self) -> float:
        return 1.0

    def _weights(
        self, X: Any, y: Array, sample_weight: Any, incremental: bool
    ) -> Array | None:
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        if self.class_weight is None:
            weights: Array | None = sample_weight
            return weights
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "partial_fit sees a part of the classes at a time: give class_weight "
                "as a dict of the weights that compute_class_weight finds, not as "
                "'balanced'"
            )
        labels = self._label_binarizer.inverse_transform(y.astype(int))
        by_class: Array = compute_sample_weight(self.class_weight, labels)
        return by_class if sample_weight is None else by_class * sample_weight

    def _targets(self, y: Any) -> Array:
        if len(unknown := np.setdiff1d(unique_labels(y), self.classes_)):
            raise ValueError(
                f"validation_data has classes that y has not: {unknown}; y has "
                f"{self.classes_}"
            )
        rows: Array = self._label_binarizer.transform(y)
        return rows

    def _score_of(self, scores: Array, y: Array, weights: Array) -> Any:
        if self.out_activation_ == "softmax":
            right = scores.argmax(axis=1) == y.argmax(axis=1)
        else:
            right = ((scores > 0) == (y > 0)).all(axis=1)
        return np.average(right, weights=weights)


class MLPRegressor(_Perceptron, neural_network.MLPRegressor):
    """Perceptron for numbers: scikit-learn's, and what it leaves out.

    With the same `random_state` the loss curve is that of scikit-learn to rounding.

    Parameters
    ----------
    loss : str or callable
        "squared_error", "poisson", "absolute_error", "huber" or "quantile", or a
        function of outputs and targets, both of shape (n, outputs), that returns the
        loss of each sample, or of each output of it.
    hidden_layer_sizes, activation, solver, alpha, batch_size : as in scikit-learn
        With its meaning and defaults. Also, `activation` may be "elu", "gelu",
        "leaky_relu", "silu", "softplus" or a function of a tensor, and `solver` a class
        of ``tg.optim``, or a function that makes an optimizer of ``(params, lr=lr)``.
    learning_rate, learning_rate_init, power_t, max_iter : as in scikit-learn
        Also, `learning_rate_init` may be a schedule: a function of the step from 0.
    shuffle, random_state, tol, verbose, warm_start, momentum : as in scikit-learn
        `momentum` is below 1.
    nesterovs_momentum, early_stopping, validation_fraction : as in scikit-learn
        Validation data given to `fit` takes the place of the fraction.
    beta_1, beta_2, epsilon, n_iter_no_change, max_fun : as in scikit-learn
        With its meaning and defaults.
    quantile : float
        Which quantile the loss "quantile" is least at.
    dropout : float
        Which part of the hidden units is dropped in training.
    normalization : {"batch", "layer"}, optional
        Of the hidden units before their activation.
    compile : "auto" or bool
        Whether steps are recorded and replayed; by default where so many are planned
        that it pays, and in kernels of LLVM where llvmlite is installed and that pays.
    progress : bool
        Show a bar of the epochs, where tqdm is installed.

    Attributes
    ----------
    coefs_, intercepts_, n_iter_, n_layers_, n_outputs_ : as in scikit-learn
        So are ``out_activation_``, ``t_``, ``loss_``, ``best_loss_``, ``loss_curve_``,
        ``validation_scores_``, ``best_validation_score_``, ``n_features_in_`` and
        ``feature_names_in_``.
    scales_, shifts_ : list of ndarray
        What normalised units are multiplied with, and what is added then.
    validation_loss_curve_ : list of float, or None
        The loss of the validation data after each epoch, without the penalty.
    compiled_ : {"NumPy", "kernels"}, or None
        What replayed the steps; None where they were not recorded.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from tensorgrad.sklearn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor("huber", (20,), learning_rate_init=0.03, random_state=0)
    >>> model.set_params(tol=0.01).fit(X, y / 100).score(X, y / 100) > 0.4
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **_Perceptron._parameter_constraints,
        "loss": [StrOptions({*LOSSES, "quantile"} - {"softmax", "logistic"}), callable],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: Any = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        quantile: float = 0.5,
        dropout: float = 0.0,
        normalization: str | None = None,
        compile: Any = "auto",
        progress: bool = False,
    ) -> None:
        self._store(locals())

    def _out_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _loss(self) -> Loss:
        if self.loss == "quantile":
            return partial(quantile_loss, q=self.quantile)
        return self.loss if callable(self.loss) else LOSSES[self.loss]

    def _scale(self) -> float:
        return (
            1.0
            if callable(self.loss) or self.loss == "poisson"
            else 1 / self.n_outputs_
        )

    def _weights(
        self, X: Any, y: Array, sample_weight: Any, incremental: bool
    ) -> Array | None:
        if sample_weight is None:
            return None
        weights: Array = _check_sample_weight(sample_weight, X)
        return weights

    def _targets(self, y: Any) -> Array:
        numbers: Array = check_array(y, ensure_2d=False, dtype="numeric")
        return numbers

    def _score_of(self, scores: Array, y: Array, weights: Array) -> Any:
        outputs = OUTPUTS[self.out_activation_](scores)
        if not np.isfinite(outputs).all():
            return np.nan
        return r2_score(y, outputs, sample_weight=weights)
