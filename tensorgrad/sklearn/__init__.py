"""The perceptrons of scikit-learn, fitted by the engine, and what they leave out."""

from ..core.public import publish
from ..extras import load

load("sklearn", "sklearn", "tensorgrad.sklearn")

from .estimators import MLPClassifier, MLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]

publish(globals())
