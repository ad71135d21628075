"""Groups of parameters, each with an optimizer of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

from ..core.errors import GraphError
from ..core.tensor import Tensor
from .settings import StateDict

if TYPE_CHECKING:
    from .optimizer import Optimizer


@final
class Groups:
    """Optimizers that take their steps as one: groups of parameters.

    ``Adam([{"params": weights, "weight_decay": 0.1}, {"params": biases}], lr=0.01)``
    makes one of `Adam` optimizers. Those of several kinds are joined here.

    Parameters
    ----------
    optimizers : iterable of Optimizer
        One for each group.

    Attributes
    ----------
    param_groups : list of Optimizer
        Settings are read and set there: ``groups.param_groups[0].lr = 0.1``, or
        ``["lr"]`` as in other libraries.

    Raises
    ------
    ValueError
        If a parameter is in two groups.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w, b = (tg.Tensor([1.0], requires_grad=True) for _ in range(2))
    >>> optimizer = tg.optim.SGD([{"params": [w], "lr": 0.5}, {"params": [b]}], lr=0.1)
    >>> (w + b).sum().backward()
    >>> optimizer.step()
    >>> w.item(), b.item()
    (0.5, 0.9)
    """

    param_groups: list[Optimizer]

    def __init__(self, optimizers: Iterable[Optimizer]) -> None:
        vars(self)["param_groups"] = [*optimizers]
        self._check()

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"Groups.{name} cannot be set, as each group has its own: set "
            f"param_groups[i].{name}"
        )

    @property
    def params(self) -> list[Tensor]:
        """The parameters of all groups, in their order."""
        return [p for group in self.param_groups for p in group.params]

    @property
    def steps(self) -> int:
        """Steps taken."""
        return max(group.steps for group in self.param_groups)

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next backward starts afresh."""
        for group in self.param_groups:
            group.zero_grad()

    def step(self) -> None:
        """Update every parameter that has a gradient, in place.

        Raises
        ------
        GraphError
            If no parameter has a gradient.
        """
        for group in self.param_groups:
            group._note_changes()
        self._check()
        gradients = [group._gradients() for group in self.param_groups]
        absent = [sum(g is None for g in row) for row in gradients]
        if sum(absent) == sum(map(len, gradients)):
            raise GraphError(
                "Groups.step: none of the parameters has a gradient; call backward() "
                "on a loss that depends on them first"
            )
        for group, row, n in zip(self.param_groups, gradients, absent, strict=True):
            group._take_step(row, n)

    def state_dict(self) -> StateDict:
        """Return a copy of what each group has in its `state_dict`.

        Returns
        -------
        dict
            Of strings, numbers, lists and arrays.
        """
        return {"groups": [group.state_dict() for group in self.param_groups]}

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Go on from what `state_dict` returned, with the same groups in order.

        Parameters
        ----------
        state_dict : dict
            From as many groups.

        Raises
        ------
        ValueError
            If it does not fit.
        """
        saved = state_dict.get("groups", [])
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"Groups.load_state_dict: expected {len(self.param_groups)} groups, "
                f"got {len(saved)}"
            )
        for group, state in zip(self.param_groups, saved, strict=True):
            group.load_state_dict(state)

    def _check(self) -> None:
        if len({*self.params}) < len(self.params):
            raise ValueError("Groups: a parameter is in two groups; put it in one")

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.param_groups))


def groups_of(
    kind: Any, params: Any, args: tuple[Any, ...], settings: dict[str, Any]
) -> Groups | None:
    """Return what a list of dicts makes, None for parameters themselves.

    Parameters
    ----------
    kind : type
        The class of the optimizers.
    params : list of dict, or any other
        What that class is called with.
    args, settings : tuple, dict
        The other arguments, which hold for all groups.

    Returns
    -------
    Groups or None
        Of one optimizer for each dict.
    """
    if not isinstance(params, list | tuple):
        return None
    if not any(isinstance(group, dict) for group in params):
        return None
    shared = dict(zip(("lr", "decay"), args, strict=False)) | settings
    optimizers = []
    for i, group in enumerate(params):
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(
                f"{kind.__name__}: group {i} must be a dict with 'params' and the "
                f"settings that differ, as all the others, got {group!r:.60}"
            )
        own = dict(group)
        members = own.pop("params")
        members = [members] if isinstance(members, Tensor) else members
        optimizers.append(kind(members, **(shared | own)))
    return Groups(optimizers)
