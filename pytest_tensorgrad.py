"""Plugin of pytest: the checks of tensorgrad with a seed from the command line.

It stands beside the package, so that pytest can load it without loading NumPy: nothing
is imported until a test asks for the fixture.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tensorgrad.testing import Result

SEED = pytest.StashKey[int]()


class Gradcheck:
    """What the fixture `gradcheck` gives: called, it is :func:`tensorgrad.gradcheck`.

    Every check takes the seed of the session and the options of the marker; arguments
    of the call itself come before them.

    Parameters
    ----------
    seed : int
    options : dict
        Of the marker.
    """

    def __init__(self, seed: int, options: dict[str, Any]) -> None:
        self.seed = seed
        self.options = options

    def __call__(self, f: Callable[..., Any], *inputs: Any, **options: Any) -> Result:
        """As :func:`tensorgrad.gradcheck`."""
        __tracebackhide__ = True
        return self._made("gradcheck", (f, *inputs), options)

    def gradgradcheck(
        self, f: Callable[..., Any], *inputs: Any, **options: Any
    ) -> Result:
        """As :func:`tensorgrad.gradgradcheck`."""
        __tracebackhide__ = True
        return self._made("gradcheck", (f, *inputs), {"order": 2} | options)

    def check_gradient(
        self, f: Callable[..., Any], df: Any, x: Any, **options: Any
    ) -> Result:
        """As :func:`tensorgrad.testing.check_gradient`."""
        __tracebackhide__ = True
        return self._made("check_gradient", (f, df, x), options)

    def check_vjp(
        self, f: Callable[..., Any], vjp: Callable[..., Any], x: Any, **options: Any
    ) -> Result:
        """As :func:`tensorgrad.testing.check_vjp`."""
        __tracebackhide__ = True
        return self._made("check_vjp", (f, vjp, x), options)

    def check_model(
        self, model: Any, loss: Callable[..., Any], X: Any, y: Any, **options: Any
    ) -> Result:
        """As :func:`tensorgrad.testing.check_model`."""
        __tracebackhide__ = True
        return self._made("check_model", (model, loss, X, y), options)

    def _made(
        self, name: str, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Result:
        __tracebackhide__ = True
        from tensorgrad import testing

        check: Callable[..., Result] = getattr(testing, name)
        return check(*args, **{"rng": self.seed} | self.options | options)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the seed."""
    parser.getgroup("tensorgrad", "checks of gradients").addoption(
        "--gradcheck-seed",
        default="0",
        metavar="N",
        help="seed of the fixture gradcheck: a whole number, or random (default: 0)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the seed, and name the marker."""
    text = config.getoption("--gradcheck-seed")
    if text != "random" and not text.isdecimal():
        raise pytest.UsageError(
            "--gradcheck-seed: expected a whole number of at least 0, or random, got "
            f"{text!r}"
        )
    if text == "random":
        # A process of pytest-xdist is told what was drawn.
        drawn = random.SystemRandom().getrandbits(32)
        text = getattr(config, "workerinput", {}).get("gradcheck_seed", drawn)
    config.stash[SEED] = int(text)
    config.addinivalue_line(
        "markers",
        "gradcheck(**options): options of the checks that a test makes by the fixture "
        "gradcheck, as in gradcheck(order=2, rtol=1e-6)",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist the seed."""
    node.workerinput["gradcheck_seed"] = node.config.stash[SEED]


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say the seed, where one was asked for."""
    if config.getoption("--gradcheck-seed") == "0":
        return None
    return f"gradcheck: --gradcheck-seed={config.stash[SEED]}"


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> Gradcheck:
    """Checks of gradients, with the seed of ``--gradcheck-seed`` and the options of the
    marker ``gradcheck``.
    """
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("gradcheck"))):
        if marker.args:
            raise pytest.UsageError(
                f"{request.node.nodeid}: the marker gradcheck takes options by name, "
                "as in gradcheck(order=2)"
            )
        options |= marker.kwargs
    seed = request.config.stash[SEED]
    # Shown where the test fails.
    repeat = f"repeat with --gradcheck-seed={seed}"
    request.node.add_report_section("call", "gradcheck", repeat)
    return Gradcheck(seed, options)
