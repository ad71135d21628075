"""Train in several processes that share each batch, and compare with one process.

    python benchmarks/distributed.py [--processes N] [--kill]

The processes run on this machine, each on a device of its own, and add up gradients by
Gloo, JAX's collectives for processors. All are passed the whole batch, and each
computes some of its rows. With ``--kill`` the last one is killed on the way: the others
are ended, and another start goes on from the last checkpoint. Asserts that losses and
parameters are those of one process.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

import tensorgrad as tg

STEPS, EVERY, BATCH, FATAL = 20, 4, 64, 10
PATIENCE = 300.0
"""Seconds that a training may take."""


def train(folder, processes=1, fatal=None):
    """Train from the last checkpoint on; process 0 writes them."""
    rng = np.random.default_rng(0)
    model = tg.nn.Sequential(
        tg.nn.Dense(20, 32, rng=rng), tg.nn.ReLU(), tg.nn.Dense(32, 5, rng=rng)
    ).to(np.float64)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def advance(x, labels):
        loss = tg.softmax_cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step = tg.compile(advance, target="xla", devices=processes)
    losses = []
    if state := tg.train.Checkpoints(folder).latest():
        model.load_state_dict(state[0])
        optimizer.load_state_dict(state[1])
        losses = state[2]
    while len(losses) < STEPS:
        losses.append(step(*batch(len(losses))).item())
        if len(losses) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        if len(losses) % EVERY == 0 and jax.process_index() == 0:
            state = [model.state_dict(), optimizer.state_dict(), losses]
            tg.train.save(folder / f"step-{len(losses):04}.ckpt", state)


def batch(number):
    """Return samples and labels of a step."""
    rng = np.random.default_rng(number)
    return rng.standard_normal((BATCH, 20)), rng.integers(0, 5, BATCH)


def work(folder, port, processes, fatal, process):
    """Be one of several processes."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", processes, process)
    train(Path(folder), processes, fatal if process == processes - 1 else None)


def train_together(folder, processes, fatal=0):
    """Train in several processes; return why they ended early, if they did."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    options = map(str, (folder, port, processes, fatal))
    command = [sys.executable, __file__, "--work", *options]
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    logs = [folder / f"{process}.log" for process in range(processes)]
    children = []
    try:
        for process, log in enumerate(logs):
            with log.open("w") as file:
                child = subprocess.Popen(
                    [*command, str(process)], stdout=file, stderr=file, env=environment
                )
            children.append(child)
        return watch(children, logs)
    finally:
        for child in children:
            child.kill()
            child.wait()


def watch(children, logs):
    """Wait for all to end, or for one to fail; return how it did."""
    end = time.monotonic() + PATIENCE
    while None in (codes := [c.poll() for c in children]) and not any(codes):
        if time.monotonic() > end:
            return f"the processes took over {PATIENCE:.0f} s and were ended"
        time.sleep(0.05)
    if not any(codes):
        return None
    # A signal comes first: where one is killed, others fail.
    code = min(filter(None, codes))
    process = codes.index(code)
    if code > 0:
        print(logs[process].read_text("utf-8"), file=sys.stderr)
    how = f"signal {-code}" if code < 0 else f"an error, code {code}"
    return f"process {process} was ended by {how}, and the others with it"


def compare(folder, processes, kill):
    """Train in one process and in several; print how far apart they end."""
    one, several = folder / "one", folder / "several"
    for each in (one, several):
        each.mkdir()
    train(one)
    if kill:
        print(train_together(several, processes, FATAL))
        print(f"resuming from {tg.train.Checkpoints(several).paths()[0].stem}")
    if why := train_together(several, processes):
        sys.exit(why)
    ends = [tg.train.Checkpoints(each).latest() for each in (one, several)]
    found, expected = ([*model.values(), np.array(x)] for model, _, x in ends)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    apart = max(np.abs(a - b).max() for a, b in zip(found, expected, strict=True))
    print(f"equal to one process: {processes} processes, at most {apart:.0e} apart")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], *map(int, sys.argv[3:]))
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    parser.add_argument("--kill", action="store_true", help="kill one, and resume")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        compare(Path(temporary), asked.processes, asked.kill)
