"""The estimators: scikit-learn's checks, its own numbers, and what is added to it."""

import pickle
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from sklearn import datasets, neural_network  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.model_selection import GridSearchCV, train_test_split  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler, scale  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import tensorgrad as tg  # noqa: E402
from tensorgrad.sklearn import MLPClassifier, MLPRegressor, training  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
QUIET = "ignore::sklearn.exceptions.ConvergenceWarning"
pytestmark = pytest.mark.filterwarnings(QUIET)

OURS = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}


@pytest.fixture(autouse=True)
def _no_trainer_of_another_test():
    training._idle.clear()


@pytest.mark.slow
@parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
@pytest.mark.filterwarnings("ignore")
def test_checks_of_scikit_learn(estimator, check):
    state = np.random.get_state()
    try:
        check(estimator)
    finally:
        np.random.set_state(state)


# The same numbers as scikit-learn's.


@pytest.fixture(scope="module")
def digits():
    X, y = datasets.load_digits(return_X_y=True)
    return X[:400] / 16, y[:400]


@pytest.fixture(scope="module")
def diabetes():
    X, y = datasets.load_diabetes(return_X_y=True)
    return X, y / 100


@pytest.fixture(scope="module")
def cancer():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return scale(X), y


def both(name, settings, X, y, **fit):
    """Return scikit-learn's estimator and ours, fitted alike."""
    return [
        kind(random_state=0, **settings).fit(X, y, **fit)
        for kind in (getattr(neural_network, name), OURS[name])
    ]


def assert_same(theirs, ours, rtol=1e-9):
    for name in ("loss_curve_", "validation_scores_", "coefs_", "intercepts_"):
        a, b = (getattr(e, name, None) for e in (theirs, ours))
        assert (a is None) == (b is None)
        for p, q in zip(a or (), b or (), strict=True):
            np.testing.assert_allclose(q, p, rtol, rtol)
    for name in ("loss_", "best_loss_", "best_validation_score_"):
        a, b = (getattr(e, name, None) for e in (theirs, ours))
        assert a == b or np.isclose(a, b, rtol)
    for name in ("t_", "n_iter_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(theirs, name) == getattr(ours, name)


CLASSIFIERS = [
    {},
    {"batch_size": 32, "max_iter": 25},
    {"solver": "sgd", "learning_rate_init": 0.05},
    {"solver": "sgd", "nesterovs_momentum": False, "learning_rate": "invscaling"},
    {"solver": "sgd", "momentum": 0.0, "shuffle": False, "alpha": 1.0},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2},
    {"activation": "tanh", "hidden_layer_sizes": (30, 20), "beta_1": 0.8},
    {"activation": "logistic", "epsilon": 1e-3},
    {"activation": "identity", "hidden_layer_sizes": ()},
    {"early_stopping": True, "n_iter_no_change": 2, "validation_fraction": 0.2},
]


@pytest.mark.parametrize("settings", CLASSIFIERS)
def test_the_loss_curve_is_scikit_learns(settings, digits):
    assert_same(*both("MLPClassifier", {"max_iter": 15} | settings, *digits))


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}])
def test_two_classes_are_fitted_as_by_scikit_learn(settings, cancer):
    theirs, ours = both("MLPClassifier", {"max_iter": 15} | settings, *cancer)
    assert_same(theirs, ours)
    X, _ = cancer
    np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X))


def test_labels_of_several_classes_are_fitted_as_by_scikit_learn(cancer):
    X, y = cancer
    rows = np.stack([y, 1 - y, X[:, 0] > 0], axis=1).astype(int)
    theirs, ours = both("MLPClassifier", {"max_iter": 15}, X, rows)
    assert_same(theirs, ours)
    assert (theirs.predict(X) == ours.predict(X)).all()


REGRESSORS = [
    {},
    {"solver": "sgd", "learning_rate_init": 0.01},
    {"loss": "poisson"},
    {"early_stopping": True},
]


@pytest.mark.parametrize("settings", REGRESSORS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_numbers_are_fitted_as_by_scikit_learn(settings, outputs, diabetes):
    X, y = diabetes
    y = y if outputs == 1 else np.stack([y, 2 * y, y**2], axis=1)
    assert_same(*both("MLPRegressor", {"max_iter": 15} | settings, X, y))


def test_weights_are_scikit_learns(digits):
    X, y = digits
    weights = np.random.default_rng(0).integers(0, 3, len(y))
    settings = {"max_iter": 15, "batch_size": 64}
    assert_same(*both("MLPClassifier", settings, X, y, sample_weight=weights))


def test_lbfgs_is_scikit_learns(digits):
    settings = {"solver": "lbfgs", "max_iter": 15}
    assert_same(*both("MLPClassifier", settings, *digits), 1e-6)


def test_partial_fit_goes_on_as_scikit_learns(digits):
    X, y = digits
    estimators = [
        k(random_state=0) for k in (neural_network.MLPClassifier, OURS["MLPClassifier"])
    ]
    for estimator in estimators:
        for part in range(4):
            rows = slice(100 * part, 100 * part + 100)
            estimator.partial_fit(X[rows], y[rows], classes=range(10))
    assert_same(*estimators)


def test_sparse_samples_are_fitted_as_dense_ones(digits):
    sparse = pytest.importorskip("scipy.sparse")
    X, y = digits
    dense, thin = (
        MLPClassifier(max_iter=5, random_state=0).fit(samples, y)
        for samples in (X, sparse.csr_array(X))
    )
    assert_same(dense, thin)
    assert (thin.predict(sparse.csc_array(X)) == dense.predict(X)).all()


def test_float32_stays_float32(digits):
    X, y = digits
    found = MLPClassifier(max_iter=5, random_state=0)
    found.fit(X.astype(np.float32), y, 1.0 + y)
    assert {part.dtype for part in found._parts} == {np.dtype(np.float32)}
    assert found.predict_proba(X.astype(np.float32)).dtype == np.float32


# How it is computed.


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_recorded_steps_give_the_same_bits(solver, digits):
    settings = {"solver": solver, "max_iter": 20, "random_state": 0, "dropout": 0.2}
    plain, replayed = (
        MLPClassifier(compile=choice, **settings).fit(*digits)
        for choice in (False, True)
    )
    assert (plain.compiled_, replayed.compiled_) == (None, "NumPy")
    for a, b in zip(plain._parts, replayed._parts, strict=True):
        assert (a == b).all()


def test_steps_are_recorded_where_that_pays(digits, capsys):
    X, y = digits
    few = MLPClassifier(max_iter=3, random_state=0).fit(X, y)
    many = MLPClassifier(max_iter=200, tol=1, verbose=True, random_state=0).fit(X, y)
    assert (few.compiled_, many.compiled_) == (None, "NumPy")
    assert "Steps are recorded, and replayed by NumPy" in capsys.readouterr().out


def test_a_recorded_step_serves_later_fits(digits):
    X, y = digits
    settings = {"random_state": 0, "max_iter": 20, "compile": True}
    first = MLPClassifier(**settings).fit(X, y)
    (((trainer, _),),) = training._idle.values()
    second = MLPClassifier(alpha=1.0, **settings).fit(X[:300], y[:300])
    (((again, _),),) = training._idle.values()
    assert again is trainer
    training._idle.clear()
    assert_same(second, MLPClassifier(alpha=1.0, **settings).fit(X[:300], y[:300]), 0)
    assert not np.shares_memory(first.coefs_[0], second.coefs_[0])


def test_few_trainers_are_kept(digits):
    X, y = digits
    for width in range(1, 12):
        MLPClassifier((width,), max_iter=1, random_state=0).fit(X, y)
    assert len(training._idle) == training._MANY


def test_a_trainer_with_much_memory_is_not_kept(digits, monkeypatch):
    """A batch may be all samples, and it has memory of its own."""
    X, y = digits
    batch, parameters = X[:100].size, 64 * 2 + 2 + 2 * 10 + 10
    for most, kept in ((batch + parameters, 1), (batch + parameters - 1, 0)):
        monkeypatch.setattr(training, "_LARGE", most)
        MLPClassifier((2,), max_iter=1, batch_size=100, random_state=0).fit(X, y)
        assert len(training._idle) == kept
        training._idle.clear()


def test_a_recorded_step_takes_batches_of_several_sizes(digits):
    X, y = digits
    settings = {"random_state": 0, "max_iter": 20, "compile": True}
    for size in (30, 50, 30):
        again = MLPClassifier(batch_size=size, **settings).fit(X, y)
        idle = dict(training._idle)
        training._idle.clear()
        assert_same(again, MLPClassifier(batch_size=size, **settings).fit(X, y), 0)
        training._idle.clear()
        training._idle.update(idle)


def test_a_loss_may_compute_with_targets_in_numpy(digits):
    X, y = digits

    def loss(scores, targets):
        weights = np.sqrt(1 + targets.sum(axis=0) / len(targets))
        return (weights * (scores - targets) ** 2).sum(axis=1)

    settings = {"random_state": 0, "max_iter": 20, "loss": loss}
    fits = [MLPClassifier(compile=c, **settings).fit(X, y) for c in (False, True)]
    assert fits[1].compiled_
    np.testing.assert_allclose(fits[0].loss_curve_, fits[1].loss_curve_, rtol=1e-6)


def test_a_fit_that_fails_leaves_no_trainer(digits):
    def careless(scores, targets):
        return ((scores - targets) ** 2).mean()

    with pytest.raises(ValueError, match="loss of each of 200 samples.*reduction"):
        MLPClassifier(loss=careless, random_state=0).fit(*digits)
    assert not training._idle


# What scikit-learn's have not.


@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_dropout_and_normalization(normalization, dropout, digits):
    X, y = digits
    settings = {"normalization": normalization, "dropout": dropout}
    found = MLPClassifier(max_iter=60, batch_size=64, random_state=0, **settings)
    found.fit(X[:300], y[:300])
    assert found.score(X[300:], y[300:]) > 0.85
    assert len(found.scales_) == len(found.shifts_) == (normalization is not None)
    assert (
        found.predict_proba(X[:5])
        == pickle.loads(pickle.dumps(found)).predict_proba(X[:5])
    ).all()


def test_batches_of_normalised_units_go_on_in_partial_fit(digits):
    X, y = digits
    found = MLPClassifier(normalization="batch", random_state=0)
    for _ in range(30):
        found.partial_fit(X, y, classes=range(10))
    assert found.score(X, y) > 0.95


LOSSES = ["absolute_error", "huber", "quantile", "poisson"]


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_numbers(loss, diabetes):
    X, y = diabetes
    found = MLPRegressor(
        loss, (20,), max_iter=300, learning_rate_init=0.01, random_state=0
    )
    assert found.fit(X, y).score(X, y) > 0.4


def test_a_quantile_lies_where_it_should(diabetes):
    X, y = diabetes
    found = MLPRegressor(
        "quantile",
        (10,),
        quantile=0.9,
        max_iter=400,
        learning_rate_init=0.01,
        random_state=0,
    )
    assert 0.86 < (y <= found.fit(X, y).predict(X)).mean() < 0.94


def test_any_loss(digits):
    X, y = digits

    def loss(scores, targets):
        return -(targets * tg.log_softmax(scores)).sum(axis=1)

    own, built_in = (
        MLPClassifier(loss=f, random_state=0, max_iter=10).fit(X, y)
        for f in (loss, "log_loss")
    )
    np.testing.assert_allclose(own.loss_curve_, built_in.loss_curve_)


def test_any_optimizer_and_schedule(digits):
    X, y = digits
    rate = tg.optim.inverse_time(0.01, 1e-3)
    for solver in (tg.optim.RMSProp, partial(tg.optim.AdamW, weight_decay=0.1)):
        found = MLPClassifier(
            solver=solver, learning_rate_init=rate, max_iter=30, random_state=0
        )
        assert found.fit(X, y).score(X, y) > 0.9


def test_weights_of_classes_are_those_of_their_samples(digits):
    X, y = digits
    settings = {"random_state": 0, "max_iter": 10}
    names = np.array([f"class {label}" for label in y])
    by_class = MLPClassifier(class_weight={"class 3": 5.0}, **settings).fit(X, names)
    by_sample = MLPClassifier(**settings).fit(X, names, np.where(y == 3, 5.0, 1.0))
    assert_same(by_class, by_sample, 0)
    assert MLPClassifier(class_weight="balanced", **settings).fit(X, y)
    with pytest.raises(ValueError, match="give class_weight as a dict"):
        MLPClassifier(class_weight="balanced", random_state=0).partial_fit(
            X, y, classes=range(10)
        )


def test_given_validation_data_is_scored_and_stops_early(cancer):
    X, y = cancer
    X, X_held, y, y_held = train_test_split(X, y, random_state=0)
    found = MLPClassifier(max_iter=20, random_state=0)
    found.fit(X, y, validation_data=(X_held, y_held))
    assert len(found.validation_scores_) == len(found.validation_loss_curve_) == 20
    assert found.validation_scores_[-1] == found.score(X_held, y_held)
    assert found.t_ == 20 * len(X)
    early = MLPClassifier(early_stopping=True, random_state=0)
    early.fit(X, y, validation_data=(X_held, y_held, np.ones(len(y_held))))
    assert early.t_ == early.n_iter_ * len(X)
    assert early.score(X_held, y_held) == early.best_validation_score_
    with pytest.raises(ValueError, match=r"classes that y has not: \[2\]"):
        found.fit(X, y, validation_data=(X_held, y_held + 1))


def test_numbers_held_out_are_scored(diabetes):
    X, y = diabetes
    found = MLPRegressor(max_iter=10, random_state=0)
    found.fit(X[:300], y[:300], validation_data=(X[300:], y[300:]))
    assert found.validation_scores_[-1] == found.score(X[300:], y[300:])


def test_progress(digits, capsys):
    pytest.importorskip("tqdm")
    MLPClassifier(max_iter=3, progress=True, random_state=0).fit(*digits)
    assert "2/3 [" in capsys.readouterr().err


def test_the_end_of_the_epochs_is_warned_of(digits):
    with pytest.warns(ConvergenceWarning, match=r"\(2\) reached") as caught:
        MLPClassifier(max_iter=2, random_state=0).fit(*digits)
    assert caught[0].filename == __file__


# As a part of scikit-learn.


def test_grids_pipelines_and_clones(digits):
    X, y = digits
    pipeline = make_pipeline(
        StandardScaler(),
        MLPClassifier(max_iter=9, learning_rate_init=0.02, random_state=0),
    )
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__dropout": [0.0, 0.1]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.6
    assert clone(search.best_estimator_[-1]).get_params()["max_iter"] == 9


def test_tables_and_weights_are_routed(cancer):
    pandas = pytest.importorskip("pandas")
    X, y = cancer
    table = pandas.DataFrame(X).add_prefix("x")
    with sklearn.config_context(enable_metadata_routing=True):
        last = MLPClassifier(max_iter=3, random_state=0).set_fit_request(
            sample_weight=True
        )
        pipeline = make_pipeline(
            StandardScaler()
            .set_output(transform="pandas")
            .set_fit_request(sample_weight=False),
            last,
        )
        pipeline.fit(table, y, sample_weight=1.0 + y)
    assert list(last.feature_names_in_[:2]) == ["x0", "x1"]
    assert_same(clone(last).fit(X, y, 1.0 + y), last)


def test_pickles_go_on(digits):
    X, y = digits
    found = MLPClassifier(random_state=0).partial_fit(X, y, classes=range(10))
    twin = pickle.loads(pickle.dumps(found))
    assert_same(found.partial_fit(X, y), twin.partial_fit(X, y), 0)


def test_a_warm_start_goes_on(digits):
    X, y = digits
    estimators = [
        k(warm_start=True, max_iter=3, random_state=0)
        for k in (neural_network.MLPClassifier, MLPClassifier)
    ]
    for estimator in estimators:
        for _ in range(3):
            estimator.fit(X, y)
    assert_same(*estimators)


def test_a_warm_start_with_other_layers_is_refused(digits):
    found = MLPClassifier((5,), warm_start=True, max_iter=1, random_state=0)
    found.fit(*digits)
    with pytest.raises(ValueError, match=r"must be those of the last fit.*\(64, 5\)"):
        found.set_params(hidden_layer_sizes=(6,)).fit(*digits)


def test_a_loss_that_changes_between_fits_is_recorded_anew(digits):
    X, y = digits
    power = 2.0

    def loss(scores, targets):
        return np.abs(scores - targets) ** power

    settings = {"loss": loss, "max_iter": 5, "compile": True, "random_state": 0}
    first = MLPClassifier(**settings).fit(X, y)
    power = 1.5
    assert first.loss_ != MLPClassifier(**settings).fit(X, y).loss_
    assert not training._idle


def test_without_scikit_learn_the_error_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None; import tensorgrad.sklearn"
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=ROOT, text=True
    )
    assert re.search(
        r"ImportError: tensorgrad\.sklearn needs scikit-learn; type pip install -e "
        r"'\.\[sklearn\]'",
        child.stderr,
    )
