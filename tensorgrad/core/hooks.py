"""Functions called with the gradient that arrives at a node, total and final."""

import weakref
from collections.abc import Callable
from typing import Any

from .node import Leaf, Node
from .place import is_inside

Hook = Callable[[Any], Any]

hooks: "weakref.WeakKeyDictionary[Node | Leaf, list[Hook]]"
hooks = weakref.WeakKeyDictionary()
"""What is called with the gradient that arrives at a node. A node whose rule calls the
user's code has an entry too."""

_foreign_rules = False


def is_foreign(rule: Any) -> bool:
    """Whether a gradient rule is from outside the package: then walks are checked."""
    global _foreign_rules
    foreign = hasattr(rule, "__code__") and not is_inside(rule.__code__)
    _foreign_rules |= foreign
    return foreign


def users_code_may_run() -> bool:
    """Whether a walk may call code of the user: hooks, rules, what it calls again.

    Such code may write to what the walk needs, or walk over the same nodes itself.
    """
    return _foreign_rules or bool(hooks)


registered = [0]
"""How often hooks were registered or removed: a captured step looks whether any was."""


class Handle:
    """What ``register_hook`` returns: ``remove()`` takes the hook away again."""

    def __init__(self, node: Node | Leaf, hook: Hook) -> None:
        self._node = weakref.ref(node)
        self._hook = hook
        hooks.setdefault(node, []).append(hook)
        registered[0] += 1

    def remove(self) -> None:
        """Take the hook away; harmless when it is gone."""
        node = self._node()
        if node is not None and self._hook in hooks.get(node, ()):
            hooks[node].remove(self._hook)
            registered[0] += 1
            if not hooks[node]:
                del hooks[node]


def hooked(node: Node | Leaf, g: Any) -> Any:
    """Return `g` after the hooks of `node`, in the order they were registered."""
    for hook in tuple(hooks.get(node, ())):
        g = hook(g)
    return g
