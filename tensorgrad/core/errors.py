"""The exceptions of the library.

::

    TensorgradError
    ├── GraphError            the graph cannot be differentiated as asked
    │   └── MutationError     something backward needs was written to since
    ├── RuleError             a gradient rule returned what cannot be a gradient
    ├── NonFiniteError        NaN or infinity was made of finite numbers, in debug()
    └── CaptureError          a step cannot be replayed as it would run

    PerformanceWarning        a result is right, but takes longer than it could
    GradientWarning           a derivative is zero, and may not be meant to be

Wrong arguments raise the built-in ``TypeError``, ``ValueError`` and ``IndexError``.
"""


class TensorgradError(Exception):
    """Base of the library's own exceptions."""


class GraphError(TensorgradError, RuntimeError):
    """The graph cannot be differentiated as asked; the message says the remedy."""


class MutationError(GraphError):
    """An array that backward needs was written to after the forward pass."""


class RuleError(TensorgradError, RuntimeError):
    """A gradient rule returned something that is not a gradient of its input."""


class CaptureError(TensorgradError, RuntimeError):
    """A step given to ``tg.compile`` would not do the same when it is replayed."""


class NonFiniteError(TensorgradError, FloatingPointError):
    """An operation or a gradient made NaN or infinity, in ``tg.debug()``."""


class PerformanceWarning(UserWarning):
    """A result is right, but takes longer to compute than it could."""


class GradientWarning(UserWarning):
    """A derivative is zero because no tensor came back that it could be of."""
