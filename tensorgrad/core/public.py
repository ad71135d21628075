"""Which module the public classes are known from."""

from typing import Any


def publish(module: dict[str, Any]) -> None:
    """Let the public classes of a module show it as theirs: ``tensorgrad.Tensor``."""
    for name in module["__all__"]:
        if isinstance(kind := module.get(name), type):
            kind.__module__ = module["__name__"]
