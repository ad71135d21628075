"""Run another tool's script, with JAX waiting for what a jitted function returns.

    python benchmarks/gradbench/waiting.py tools/jax/run.py

JAX returns before it has computed, and GradBench's tool takes the time of that alone.
"""

import functools
import runpy
import sys
from pathlib import Path

import jax

jit = jax.jit


@functools.wraps(jit)
def waiting(f, *args, **options):
    compiled = jit(f, *args, **options)

    @functools.wraps(f)
    def call(*args, **kwargs):
        return jax.block_until_ready(compiled(*args, **kwargs))

    return call


if __name__ == "__main__":
    script = Path(sys.argv[1]).resolve()
    jax.jit = waiting
    sys.argv, sys.path[0] = sys.argv[1:], str(script.parent)
    runpy.run_path(str(script), run_name="__main__")
