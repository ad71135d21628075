"""What the checker, and four others, say of gradients from outside (tests/corpus).

Wrong gradients of other projects, wrong gradients that are nearly right, and right
functions of SciPy, PyTorch and JAX, as they are, in other units, and in float32. The
others are given the same cases, each by its own way in for a function of NumPy with a
gradient by hand, with its own defaults. One that is not installed is left out.

    python benchmarks/checker_corpus.py [--only SciPy] [--every 6] [--ours] [--seeds 20]
"""

import argparse
import collections
import importlib
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from corpus import historical, subtle
from corpus.units import SCALES, in_float32, in_units

from tensorgrad.testing import check_vjp


class Trial(NamedTuple):
    """A function with a gradient that is claimed for it."""

    name: str
    f: Callable[..., Any]
    vjp: Callable[..., Any]
    point: tuple[Any, ...]


def ours(trial: Trial, seed: int = 0) -> str:
    """Return the verdict of this project's checker."""
    options = {"rng": seed, "explain": False, "raise_on_failure": False}
    return check_vjp(trial.f, trial.vjp, trial.point, **options).verdict


def said(accepted: Any) -> str:
    """Return the verdict of a checker that has two."""
    return "agrees" if accepted else "disagrees"


def as_tuple(found: Any, arrays: Any) -> tuple[Any, ...]:
    """Return gradients as float64 arrays, zeros where there is none."""
    several = found if isinstance(found, tuple) else (found,)
    pairs = zip(several, arrays, strict=True)
    return tuple(
        np.zeros_like(x) if d is None else np.asarray(d, dtype=np.float64)
        for d, x in pairs
    )


def torch_gradcheck() -> Callable[[Trial], str]:
    """Return ``torch.autograd.gradcheck`` as a checker."""
    import torch

    class Given(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, trial: Trial, *xs: Any) -> Any:
            ctx.trial, ctx.arrays = trial, [x.detach().numpy().copy() for x in xs]
            return torch.from_numpy(np.array(trial.f(*ctx.arrays), dtype=np.float64))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            arrays = [x.copy() for x in ctx.arrays]
            found = as_tuple(ctx.trial.vjp(g.numpy().copy()[()], *arrays), arrays)
            return None, *(torch.from_numpy(np.array(d)) for d in found)

    def check(trial: Trial) -> str:
        xs = [torch.from_numpy(np.array(x)).requires_grad_() for x in trial.point]
        return said(
            torch.autograd.gradcheck(
                lambda *xs: Given.apply(trial, *xs), xs, raise_exception=False
            )
        )

    return check


def jax_check_grads() -> Callable[[Trial], str]:
    """Return ``jax.test_util.check_grads`` as a checker."""
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)

    def check(trial: Trial) -> str:
        arrays = [np.array(x) for x in trial.point]
        like = jax.ShapeDtypeStruct(np.shape(trial.f(*arrays)), np.float64)
        likes = tuple(jax.ShapeDtypeStruct(x.shape, np.float64) for x in arrays)

        def run(*xs: Any) -> Any:
            return np.asarray(trial.f(*map(np.array, xs)), dtype=np.float64)

        def back(g: Any, *xs: Any) -> Any:
            given = [np.array(x) for x in xs]
            return as_tuple(trial.vjp(np.array(g)[()], *given), given)

        @jax.custom_vjp
        def f(*xs: Any) -> Any:
            return jax.pure_callback(run, like, *xs)

        f.defvjp(
            lambda *xs: (f(*xs), xs),
            lambda xs, g: jax.pure_callback(back, likes, g, *xs),
        )
        check_grads(f, tuple(map(jax.numpy.asarray, arrays)), 1, modes=["rev"])
        return "agrees"

    return check


def autograd_check_grads() -> Callable[[Trial], str]:
    """Return ``autograd.test_util.check_grads`` as a checker."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    def check(trial: Trial) -> str:
        arrays = [np.array(x) for x in trial.point]

        def run(*xs: Any) -> Any:
            return np.asarray(trial.f(*map(np.array, xs)), dtype=np.float64)[()]

        def of(k: int) -> Any:
            def make(y: Any, *xs: Any) -> Any:
                given = [np.array(x) for x in xs]
                return lambda g: as_tuple(trial.vjp(np.array(g)[()], *given), given)[k]

            return make

        f = primitive(run)
        defvjp(f, *(of(k) for k in range(len(arrays))))
        np.random.seed(0)
        given = [x if x.ndim else float(x) for x in arrays]
        check_grads(f, modes=["rev"], order=1)(*given)
        return "agrees"

    return check


def scipy_check_grad() -> Callable[[Trial], str]:
    """Return ``scipy.optimize.check_grad`` as a checker of a random combination of the
    outputs; accepted is an error below 1e-5, or 1e-5 of the gradient's length.
    """
    from scipy.optimize import check_grad

    def check(trial: Trial) -> str:
        arrays = [np.array(x, dtype=np.float64) for x in trial.point]
        ends = np.cumsum([0, *(x.size for x in arrays)])
        v = np.random.default_rng(0).normal(size=np.shape(trial.f(*arrays)))

        def split(z: Any) -> list[Any]:
            spans = zip(ends, ends[1:], arrays, strict=False)
            return [z[a:b].reshape(x.shape).copy()[()] for a, b, x in spans]

        def f(z: Any) -> Any:
            return np.sum(v * trial.f(*split(z)))

        def df(z: Any) -> Any:
            found = as_tuple(trial.vjp(v.copy()[()], *split(z)), arrays)
            return np.concatenate([d.ravel() for d in found])

        z = np.concatenate([x.ravel() for x in arrays])
        allowed = 1e-5 * max(1.0, float(np.linalg.norm(df(z))))
        return said(check_grad(f, df, z) <= allowed)

    return check


PEERS = {
    "torch.autograd.gradcheck": torch_gradcheck,
    "jax.test_util.check_grads": jax_check_grads,
    "autograd.test_util.check_grads": autograd_check_grads,
    "scipy.optimize.check_grad": scipy_check_grad,
}


def quiet(check: Callable[[Trial], str], trial: Trial) -> str:
    """Return what a checker says; "raises" where it raises."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return check(trial)
        except AssertionError:
            return "disagrees"
        except Exception:
            return "raises"


def functions_of(library: str) -> list[Any]:
    """Return the right functions of a library, none where it is not installed."""
    try:
        return list(importlib.import_module(f"corpus.of_{library}").functions())
    except ImportError:
        return []


def low_precision(dtype: str) -> list[Any]:
    """Return functions of PyTorch in a precision below float64."""
    try:
        import torch
    except ImportError:
        return []
    module = importlib.import_module("corpus.of_torch")
    return list(module.in_low_precision(getattr(torch, dtype)))


def trials(cases: list[Any], vjp: str = "vjp") -> list[Trial]:
    """Return the cases with one of their gradients."""
    return [Trial(c.name, c.f, getattr(c, vjp), c.point) for c in cases]


def tripled(functions: list[Any]) -> list[Trial]:
    """Return functions with gradients that are three times too large."""

    def wrong(vjp: Any) -> Any:
        def three_times(g: Any, *xs: Any) -> Any:
            found = vjp(g, *xs)
            several = isinstance(found, tuple)
            return tuple(3 * d for d in found) if several else 3 * found

        return three_times

    return [Trial(f.name, f.f, wrong(f.vjp), f.point) for f in functions]


def sets(only: str, every: int = 1) -> Iterator[tuple[str, bool, list[Trial]]]:
    """Yield the parts of the corpus: name, whether the gradients are right, trials."""
    scipy = functions_of("scipy")

    def in_other_units() -> list[Any]:
        several = enumerate(scipy)
        return [in_units(f, SCALES[k % 4], SCALES[k // 4 % 4]) for k, f in several]

    parts: list[tuple[str, bool, Callable[[], list[Trial]]]] = [
        ("historical", False, lambda: trials(historical(), "wrong")),
        ("subtle", False, lambda: trials(subtle(), "wrong")),
        (
            "the same, mended",
            True,
            lambda: trials(historical() + subtle(), "right"),
        ),
        ("SciPy", True, lambda: trials(scipy)),
        ("SciPy, in other units", True, lambda: trials(in_other_units())),
        ("SciPy, in other units, tripled", False, lambda: tripled(in_other_units())),
        ("SciPy, in float32", True, lambda: trials([in_float32(f) for f in scipy])),
        ("PyTorch", True, lambda: trials(functions_of("torch"))),
        ("PyTorch, in float32", True, lambda: trials(low_precision("float32"))),
        ("PyTorch, in float16", True, lambda: trials(low_precision("float16"))),
        ("JAX", True, lambda: trials(functions_of("jax"))),
    ]
    for name, right, make in parts:
        if only in name:
            yield name, right, make()[::every]


def checkers() -> dict[str, Callable[[Trial], str]]:
    """Return the checkers that are installed, ours first."""
    found: dict[str, Callable[[Trial], str]] = {"tensorgrad.testing": ours}
    for name, make in PEERS.items():
        try:
            found[name] = make()
        except ImportError:
            print(f"{name} is left out: it is not installed", file=sys.stderr)
    return found


ACCEPTED = ("agrees", "kink")
VERDICTS = ("agrees", "kink", "too noisy", "disagrees", "invalid", "raises")
FOR_OURS = ("float32", "float16", "PyTorch", "JAX")
"""Only ours is measured: the others ask for float64, or it would be their own."""


def row(cells: list[Any]) -> str:
    """Return a row of a table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def measure(only: str, step: int, peers: bool, listed: bool) -> int:
    """Print the tables; return how many verdicts of ours are wrong."""
    every = checkers() if peers else {"tensorgrad.testing": ours}
    print(row(["set", "gradients", *every]))
    print(row(["---", "---:", *["---:"] * len(every)]))
    verdicts, wrong = {}, 0
    for name, right, cases in sets(only, step):
        cells: list[Any] = [name, len(cases)]
        for who, check in every.items():
            if who != "tensorgrad.testing" and any(w in name for w in FOR_OURS):
                cells.append("")
                continue
            said = [quiet(check, t) for t in cases]
            passed = sum(s in ACCEPTED for s in said)
            cells.append(f"{passed} pass" if right else f"{len(cases) - passed} fail")
            if who == "tensorgrad.testing":
                verdicts[name] = collections.Counter(said)
                odd = [
                    (s, t.name)
                    for s, t in zip(said, cases, strict=True)
                    if (s in ACCEPTED) != right
                ]
                wrong += len(odd)
                if listed:
                    for s, of in odd:
                        print(f"  {s}: {of}", file=sys.stderr)
        print(row(cells), flush=True)
    print()
    print(row(["set", *VERDICTS]))
    print(row(["---", *["---:"] * len(VERDICTS)]))
    for name, counted in verdicts.items():
        print(row([name, *(counted[v] or "" for v in VERDICTS)]))
    return wrong


def steadiness(only: str, seeds: int) -> int:
    """Print how many verdicts of ours depend on the seed; return that number."""
    changing = count = 0
    for name, _, cases in sets(only):
        for trial in cases:
            count += 1
            said = {quiet(lambda t, s=s: ours(t, s), trial) for s in range(seeds)}
            if len({s in ACCEPTED for s in said}) > 1:
                changing += 1
                print(f"  {name}: {trial.name}: {', '.join(sorted(said))}")
    print(f"{changing} of {count} pass or fail by the seed, of {seeds}")
    return changing


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="sets whose name holds this")
    parser.add_argument("--seeds", type=int, default=0, help="measure the steadiness")
    parser.add_argument("--every", type=int, default=1, help="one gradient in so many")
    parser.add_argument("--ours", action="store_true", help="no other checker")
    parser.add_argument("--list", action="store_true", help="name what is misjudged")
    options = parser.parse_args()
    logging.disable(logging.ERROR)  # JAX tells of what a gradient raises
    start = time.perf_counter()
    if options.seeds:
        changing = steadiness(options.only, options.seeds)
        return 1 if changing else 0
    wrong = measure(options.only, options.every, not options.ours, options.list)
    print(f"\n{wrong} misjudged; {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
