"""Gradients from outside: what the checker is measured on besides its own mutants.

``historical()`` gives wrong gradients that other projects have shipped, each written
anew, beside the right ones; ``subtle()`` wrong gradients that are nearly right; the
modules ``of_scipy``, ``of_torch`` and ``of_jax`` right functions of other libraries.
"""

from . import elementwise, indexing, linalg, neural, reductions
from . import subtle as _subtle
from .case import Case


def historical() -> list[Case]:
    """Return the wrong gradients that were found in other projects."""
    modules = (elementwise, reductions, indexing, linalg, neural)
    return [case for module in modules for case in module.case.all]


def subtle() -> list[Case]:
    """Return the wrong gradients that are nearly right."""
    return _subtle.case.all
