"""Packages that only pictures need, loaded where they are used."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["load"]


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
        package = module.partition(".")[0].replace("_", "-")
        raise ImportError(
            f"{purpose} needs {package}; install it with "
            f"pip install 'tensorgrad-numpy[{extra}]'"
        ) from error
