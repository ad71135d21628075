"""Which module the public names are known from."""

from typing import Any, get_overloads


def publish(module: dict[str, Any]) -> None:
    """Let what a module makes public show it as its own: ``tensorgrad.Tensor``.

    What has another name of its own, as ``abs`` is ``absolute``, shows that one's.
    """
    for name in module["__all__"]:
        public: Any = module.get(name)
        own = getattr(public, "__qualname__", None) == name
        # Overloads are looked up under the module where they stand.
        if own and not get_overloads(public):
            public.__module__ = module["__name__"]
