"""Optional packages, loaded where they are used, and what to type without them."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["load", "missing"]


_DISTRIBUTIONS = {"sklearn": "scikit-learn"}
"""What pip calls a package that is imported under another name."""


def load(module: str, extra: str, purpose: str) -> Any:
    """Import a module by name.

    Parameters
    ----------
    module : str
        Full name of the module.
    extra : str
        The extra of this package that brings it.
    purpose : str
        What it is for, the beginning of the message.

    Raises
    ------
    ImportError
        If it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing(module, extra, purpose) from error


def missing(module: str, extra: str, purpose: str) -> ImportError:
    """Return the error for a module that is not installed, with what to type.

    Until there is a release, the extra is installed from a copy of the repository.
    """
    package = module.partition(".")[0].replace("_", "-")
    package = _DISTRIBUTIONS.get(package, package)
    return ImportError(
        f"{purpose} needs {package}; type pip install -e '.[{extra}]' in a copy of the "
        f"tensorgrad repository, or pip install {package}"
    )
