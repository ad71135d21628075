"""Explanations: a graph, the numbers in it, and the pass back through it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from ..core.errors import GraphError
from ..core.node import Node
from ..core.tensor import Tensor, TensorLike
from ..core.terminal import printable
from ..core.types import Operand
from .boxes import Box, boxes
from .drawing import dot, mermaid, svg
from .names import names_in
from .observer import watching
from .page import page
from .passes import steps_to
from .sections import grouped
from .steps import Step, Variable
from .text import as_text


class Explanation:
    """The steps that led to a number, and the gradient of each.

    Its text is for a terminal; ``mermaid()`` and ``dot()`` give the graph in those
    languages, ``html()`` a page on which steps open and the pass is played.

    Parameters
    ----------
    steps : list of Step
        In the order of the forward pass; the last is what is explained.
    variables : list of Variable
        The leaves, which gradients flow to.

    Attributes
    ----------
    steps : list of Step
    variables : list of Variable
    """

    def __init__(self, steps: list[Step], variables: list[Variable]) -> None:
        self.steps = steps
        self.variables = variables

    def __str__(self) -> str:
        return printable(as_text(self))

    __repr__ = __str__

    def _boxes(self) -> list[Box]:
        return boxes(grouped(self.steps))

    def mermaid(self) -> str:
        """Return the graph in Mermaid's language, for Markdown pages.

        Returns
        -------
        str
            A flowchart.
        """
        return mermaid(self._boxes())

    def dot(self) -> str:
        """Return the graph in the language of Graphviz.

        Returns
        -------
        str
            A digraph.
        """
        return dot(self._boxes())

    def svg(self) -> str:
        """Return the graph drawn, as one SVG element that needs nothing else.

        Returns
        -------
        str
            The element.
        """
        return svg(self._boxes(), f"graph of {self.steps[-1].name}")

    def html(self) -> str:
        """Return a page, in need of nothing else, that plays both passes.

        Returns
        -------
        str
            The page, with style and script inside.
        """
        return page(self.steps, self.variables)

    def save(self, path: str | PathLike[str]) -> None:
        """Write it in the format of the file name's ending.

        Parameters
        ----------
        path : path
            With the ending .html, .svg, .mmd (Mermaid), .dot or .txt.

        Raises
        ------
        ValueError
            For another ending.
        """
        formats: dict[str, Callable[[], str]] = {
            ".html": self.html,
            ".svg": self.svg,
            ".mmd": self.mermaid,
            ".dot": self.dot,
            ".txt": lambda: as_text(self),
        }
        write = formats.get(Path(path).suffix)
        if write is None:
            raise ValueError(
                f"save: expected a name that ends in {', '.join(formats)}, got {path}"
            )
        Path(path).write_text(write(), "utf-8")

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        # In a frame of its own, so that the page's style and script stay inside.
        return (
            f'<iframe srcdoc="{escape(self.html())}" width="100%" height="520" '
            'style="border: 1px solid #ccc"></iframe>'
        )


def explain(
    result: Tensor | Callable[..., Any],
    *inputs: Operand,
    gradient: TensorLike | None = None,
    names: Mapping[str, object] | None = None,
) -> Explanation:
    """Explain how a tensor was computed, and how gradients flow back from it.

    Nothing is changed: no ``grad`` is written and the graph stays as it is.

    Parameters
    ----------
    result : Tensor or callable
        The tensor, before ``backward()`` has freed its graph; or a function, which is
        called with `inputs` and all of whose values are shown.
    *inputs : Tensor
        Arguments, where `result` is a function.
    gradient : array_like, optional
        The incoming gradient, of the shape of the result; ones by default.
    names : mapping of str to Tensor, array or Module, optional
        Names to use. Variables of the caller need none.

    Returns
    -------
    Explanation
        Of every step; print it, save it, or show it in a notebook.

    Raises
    ------
    GraphError
        If the tensor needs no gradient, or its graph has been freed.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.Tensor([1.0, -2.0], requires_grad=True)
    >>> y = tg.relu(x).sum()
    >>> explanation = tg.explain(y)
    >>> [step.expression for step in explanation.steps]
    ['relu(x)', 'sum(t1)']
    >>> explanation.variables[0].gradient
    array([1., 0.])
    """
    variables = names_in(sys._getframe(1), names or {})
    if callable(result) and not isinstance(result, Tensor):
        with watching():
            result = result(*inputs)
    if type(result) is not Tensor or type(result.node) is not Node:
        raise GraphError(
            "explain: expected the result of operations on tensors that need a "
            f"gradient, got {result!r:.60}; make an input with requires_grad=True"
        )
    return Explanation(*steps_to(result, gradient, variables))
