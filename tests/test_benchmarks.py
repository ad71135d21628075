"""The harness of the benchmarks is right; nothing here judges a time."""

import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cases, record, rows, session
from benchmarks.__main__ import parser, settings, threads
from benchmarks.agreement import TOLERANCE, disagreement, reference
from benchmarks.fair import MISLEADING, THREADS, clean_environment
from benchmarks.machine import in_child
from benchmarks.page import page
from benchmarks.peers import PEERS, Peer, chosen
from benchmarks.plot import MARKERS, SHOWN, chart, plot
from benchmarks.process import PeerError, Process
from benchmarks.table import block
from benchmarks.worker import Measured, describe, described, projections

ROOT = Path(__file__).resolve().parents[1]
BRIEF = session.Settings(rounds=2, seconds=0.0, patience=60.0)
HAND, EAGER = PEERS["hand"], PEERS["eager"]
SPIRAL = cases.CASES["spiral"]


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Return a function that makes a peer of a text."""

    def make(text, kinds=("training",)):
        (tmp_path / "planted.py").write_text(text, "utf-8")
        paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        return Peer("planted", "planted", "planted", kinds)

    return make


WRONG = """
from benchmarks.peers.handwritten import finish
from benchmarks.peers import handwritten
from dataclasses import asdict, replace

def training(case):
    # Without the momentum: right at the first step, wrong from the third.
    plain = type("Plain", (), {"rate": case.rate, "momentum": 0.0})
    parameters = case.start()
    update = handwritten.sgd(plain, parameters)
    return handwritten.looped(*case.data(), parameters, update)
"""
ENVIRONMENT = """
import os

def finish(value):
    raise RuntimeError(" ".join(sorted(os.environ)))

def training(case):
    return lambda: None
"""
NOISY = """
print("to standard output, where the answers go")
from benchmarks.peers.handwritten import finish, training
"""


def by_peer(results):
    return {result.peer: result for result in results}


def test_slow_rounds_are_fewer_but_three():
    how = session.Settings(rounds=30, budget=60.0)
    assert [how.rounds_of(s) for s in (0.0, 1.0, 6.0, 100.0)] == [30, 30, 10, 3]
    assert session.Settings(rounds=1, budget=60.0).rounds_of(100.0) == 1


def test_peers_that_agree_are_timed():
    found = by_peer(session.measure(SPIRAL, [HAND, EAGER], 1, BRIEF))
    for result in found.values():
        assert result.problem is None
        assert len(result.values) == BRIEF.rounds
        assert min(result.values) > 0
    assert len(found["hand"].numbers) == SPIRAL.checked


def test_a_wrong_peer_is_named_and_not_timed(planted):
    peers = [planted(WRONG), HAND]
    found = by_peer(session.measure(SPIRAL, peers, 1, BRIEF))
    assert found["planted"].problem.startswith("does not agree: number ")
    assert found["planted"].problem.endswith("by hand")
    assert found["planted"].values == []
    assert len(found["hand"].values) == BRIEF.rounds


def test_a_peer_that_fails_says_why(planted):
    peers = [planted("def training(case): raise ValueError('no\\nmore')"), HAND]
    found = by_peer(session.measure(SPIRAL, peers, 1, BRIEF))
    assert "finish" in found["planted"].problem
    assert found["hand"].problem is None


def test_a_peer_that_takes_too_long_is_ended(planted):
    peer = planted("import time; time.sleep(60)")
    process = Process(peer, SPIRAL, 1, patience=0.5)
    try:
        with pytest.raises(PeerError, match="took over 0.5 s"):
            process.ask("check")
    finally:
        process.close()


def test_a_peer_that_ends_unasked_leaves_its_last_words(planted):
    peer = planted("import os, sys; print('farewell', file=sys.stderr); os._exit(3)")
    process = Process(peer, SPIRAL, 1, patience=60)
    try:
        with pytest.raises(PeerError, match="farewell"):
            process.ask("check")
    finally:
        process.close()


def test_what_a_peer_prints_is_no_answer(planted):
    (result,) = session.measure(SPIRAL, [planted(NOISY)], 1, BRIEF)
    assert result.problem is None


@pytest.mark.parametrize("count", [0, 1])
def test_children_have_the_variables_unset(planted, monkeypatch, count):
    for name in (*MISLEADING, *THREADS):
        monkeypatch.setenv(name, "7")
    (result,) = session.measure(SPIRAL, [planted(ENVIRONMENT)], count, BRIEF)
    seen = result.problem.split()
    assert not set(MISLEADING) & set(seen)
    assert set(THREADS) & set(seen) == (set(THREADS) if count else set())
    assert clean_environment(1)["OMP_NUM_THREADS"] == "1"
    assert in_child(count)["misleading"] == []


def test_kernel_in_force_is_recorded():
    blas = in_child(1)["blas"]
    assert blas["name"]
    assert "kernel" in blas


@pytest.mark.parametrize(
    "case",
    [
        replace(cases.CASES["classes"], widths=(4, 5, 6), batch=7, rate=0.01),
        cases.Chain("nodes-1e1", "", 10),
        cases.Softmax("softmax", "", 5, 3),
        cases.Rules("rules", "", 5, 3),
    ],
    ids=["adam", "chain", "softmax", "rules"],
)
def test_every_kind_of_case_runs(case):
    peers = [peer for peer in PEERS.values() if not peer.needs and not peer.missing()]
    results = session.measure(case, peers, 1, BRIEF)
    assert results
    for result in results:
        assert result.problem is None
        assert len(result.values) == BRIEF.rounds


@pytest.mark.parametrize(
    ("function", "shape"),
    [("each_gradient", (4, 5, 3)), ("jacobian", (4,)), ("hessian", (6, 4))],
)
def test_mapped_cases_agree_with_their_loops(function, shape):
    case = cases.Mapped("small", "", function, shape, batch=6)
    loop, *others = (
        Measured(PEERS[name], case).check({})["numbers"]
        for name in ("turns", "eager", "replay")
    )
    assert len(loop) > 1
    for numbers in others:
        assert disagreement(numbers, "turns", loop) is None


def test_memory_is_of_the_step():
    case = replace(cases.CASES["memory"], widths=(256, 1024, 1024), batch=64)
    assert isinstance(case, cases.Memory)
    (result,) = session.measure(case, [HAND], 1, BRIEF)
    parameters = 4 * (256 * 1024 + 1024 * 1024)
    assert 3 * parameters < result.values[0] < 100 * parameters


def test_products_have_nothing_to_agree_on():
    found = by_peer(session.measure(SPIRAL, [HAND, PEERS["products"]], 1, BRIEF))
    assert found["products"].numbers is None
    assert found["products"].values


def test_descriptions_are_read_back():
    for thing in (*PEERS.values(), *cases.CASES.values()):
        assert described(describe(thing)) == thing


def test_checks_of_training_can_fail():
    """The steps that are checked move the loss by far more than the tolerance."""
    for name in ("spiral", "deep", "digits", "batch-16", "width-16", "depth-1"):
        case = cases.CASES[name]
        step = HAND.load().training(case)
        losses = [step().item() for _ in range(case.checked)]
        assert losses[0] - losses[-1] > 20 * TOLERANCE * losses[0], name


def test_agreement_is_of_half_the_digits():
    expected = [2.0, 1.0]
    assert disagreement([2.0, 1.0 + TOLERANCE], "hand", expected) is None
    assert "number 2 is 1.01" in disagreement([2.0, 1.01], "hand", expected)
    assert "number 1 is nan" in disagreement([float("nan"), 1.0], "hand", expected)
    assert "gives 1 numbers" in disagreement([2.0], "hand", expected)
    assert reference({"jax": [1.0], "hand": [2.0]}) == ("hand", [2.0])
    assert reference({"products": None}) is None


def test_projections_tell_arrays_apart():
    a = np.arange(6.0).reshape(2, 3)
    assert projections(np.array(3.0)) == [3.0]
    assert projections(a) != projections(a[::-1])


def result(peer, values, problem=None, case="spiral", count=1):
    return session.Result(case, count, peer, [1.0], problem, values, cores=1.0)


def made(*groups):
    return {
        "format": record.FORMAT,
        "made": "2000-01-01T00:00:00+00:00",
        "command": "python -m benchmarks --case spiral",
        "machine": {
            "processor": "abacus",
            "cores": 1,
            "memory": 2**30,
            "system": "none",
            "load": 0.0,
        },
        "versions": {"python": "3"},
        "blas": {"1": {"name": "b", "version": "1", "kernel": "k"}},
        "settings": {"rounds": 3, "seconds": 0.1, "patience": 1.0},
        "missing": {},
        "groups": [rows.group(results) for results in groups],
    }


RESULTS = [
    result("eager", [2e-4, 4e-4, 2e-4]),
    result("fused", [1e-4, 1e-4, 1e-4]),
    result("products", [5e-5, 5e-5, 5e-5]),
    result("jax", [5e-5, 1e-4, 5e-5]),
    result("torch", [4e-4, 8e-4, 4e-4]),
    result("mygrad", [], "does not agree: number 1 is 2, 1 by hand"),
]


def test_rows_are_medians_and_ratios_round_by_round():
    group = rows.group(RESULTS)
    torch = group.row(("torch",))
    assert torch.median == pytest.approx(400)
    assert torch.over_base == pytest.approx(2)
    assert torch.over_compiled == pytest.approx(4)
    assert torch.share == pytest.approx(0.125)
    assert group.row(("mygrad",)) is None


def test_chain_is_per_node_and_memory_in_mib():
    chain = rows.group([result("eager", [4e-3], case="nodes-1e3")])
    memory = rows.group([result("eager", [2**20], case="memory")])
    assert chain.rows[0].median == pytest.approx(4)
    assert memory.rows[0].median == pytest.approx(1)


def test_more_cores_than_asked_for_are_noted():
    greedy = replace(result("jax", [1e-4]), cores=1.9)
    assert "JAX jit kept 1.9 cores busy" in block(rows.group([greedy]))
    assert "busy" not in block(rows.group([replace(greedy, threads=0)]))


def test_record_is_read_as_written(tmp_path):
    path = tmp_path / "record.json"
    record.write(made(RESULTS), path)
    (found,), (group,) = record.read(path)["groups"], made(RESULTS)["groups"]
    assert {**record.read(path), "groups": None} == {**made(RESULTS), "groups": None}
    assert (found.case, found.threads) == (group.case, group.threads)
    for one, other in zip(found.rows, group.rows, strict=True):
        assert asdict(one) == pytest.approx(asdict(other))


def test_record_has_a_line_for_each_row_and_no_samples(tmp_path):
    path = tmp_path / "record.json"
    record.write(made(RESULTS), path)
    text = path.read_text("utf-8")
    assert sum('"peer"' in line for line in text.splitlines()) == len(RESULTS)
    assert "values" not in text


@pytest.mark.parametrize("text", ["[]", '{"format": 0}', '{"format": 2}'])
def test_no_record_is_refused(tmp_path, text):
    (tmp_path / "record.json").write_text(text, "utf-8")
    with pytest.raises(ValueError, match="expected"):
        record.read(tmp_path / "record.json")


def test_page_says_where_a_peer_is_ahead():
    text = page({"performance": made(RESULTS)})
    assert "JAX jit takes 0.50x the time of tensorgrad compiled, fused" in text
    assert "PyTorch eager takes" not in text
    assert "matrix products alone takes" not in text
    assert "| PyTorch eager | 400 | 400-600 | 2.00 | 4.00 | 12 % |" in text
    assert "- MyGrad: does not agree: number 1 is 2, 1 by hand" in text
    assert "abacus, 1 cores" in text
    assert "python -m benchmarks --case spiral" in text


def test_page_joins_records_measured_apart():
    later = made([result("eager", [1e-3], case="vmap-hessian")])
    later["made"], later["command"] = "2001-02-03T00:00:00+00:00", "python later"
    text = page({"performance": made(RESULTS), "performance-mapped": later})
    assert "| tensorgrad eager | 1000 | 1000-1000 | 1.00 |" in text
    assert text.index("python later") < text.index("on 2001-02-03, on this machine")
    assert "[performance-mapped.json](performance-mapped.json)" in text


def test_page_of_scaling_has_a_column_for_each_size():
    sizes = [[result("eager", [n * 1e-6], case=f"batch-{n}")] for n in (16, 64)]
    text = page({"performance": made(*sizes)})
    assert "| 1 thread, us per step | 16 | 64 |" in text
    assert "| tensorgrad eager | 16 | 64 |" in text


def test_page_opens_with_the_models_in_one_table_and_folds_the_rest():
    many = [replace(one, threads=0) for one in RESULTS]
    text = page({"performance": made(RESULTS, many)})
    title = SPIRAL.title
    first = text.index(f"| us per step | {title} |")
    assert text.index("| PyTorch eager | 400 |") > first
    assert text.count(f"<summary>{title}</summary>") == 1
    assert text.index("<details>") < text.index("| 1 thread, us | median |")
    assert text.index("| all threads, us | median |") < text.index("</details>")


def test_chart_has_a_mark_for_each_library(tmp_path):
    pytest.importorskip("matplotlib")
    groups = made(RESULTS)["groups"]
    assert [line.get_label() for line in chart(groups).axes[0].lines][:2] == [
        "tensorgrad eager",
        "PyTorch eager",
    ]
    assert plot(groups, tmp_path / "chart.png")[0].stat().st_size > 0
    assert plot([], tmp_path / "none.png") == []


def test_page_in_the_documentation_is_of_its_record():
    found = ROOT / "docs" / "performance.json"
    expected = page(record.family(found))
    text = found.with_suffix(".md").read_text("utf-8")
    assert text == expected, "run python -m benchmarks --page"


def test_options():
    options = parser().parse_args(["--quick", "--threads", "all"])
    assert threads(options) == [0]
    assert settings(options).rounds < session.Settings.rounds
    assert threads(parser().parse_args([])) == [1, 0]
    assert settings(parser().parse_args(["--rounds", "3"])).rounds == 3


@pytest.mark.parametrize(
    "given",
    [["--case", "none"], ["--peer", "none"], ["--threads", "2"], ["--rounds", "0"]],
)
def test_unknown_names_are_refused(given):
    done = run(*given)
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_names_choose():
    axis = cases.chosen(["depth"])
    assert [case.name for case in axis] == [f"depth-{n}" for n in cases.AXES["depth"]]
    assert len(cases.chosen(["spiral", "spiral"])) == 1
    assert chosen(["jax"]) == [PEERS["jax"]]


def run(*given):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *given],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_CORETYPE": "Prescott"},
        text=True,
    )


def test_command_writes_a_record_and_prints_a_table(tmp_path):
    path = tmp_path / "found" / "record.json"
    given = ["--quick", "--rounds", "1", "--peer", "hand", "--peer", "eager"]
    done = run(*given, "--case", "spiral", "--output", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tensorgrad eager" in done.stdout
    assert "BLAS" in done.stdout
    found = record.read(path)
    (group,) = found["groups"]
    assert [row.peer for row in group.rows] == ["hand", "eager"]
    assert set(found["blas"]) == {"1"}
    assert found["command"].startswith("python -m benchmarks --quick")


@pytest.mark.parametrize("case", cases.PROGRAMS, ids=lambda case: case.name)
def test_the_gradients_of_programs_are_those_of_differences(case):
    objective, x = case.start(np)
    value, gradient = EAGER.step(EAGER.load(), case)()
    assert value == objective(x)
    direction = np.random.default_rng(1).standard_normal(x.shape)
    ends = [objective(x + h * direction) for h in (1e-6, -1e-6)]
    slope = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(np.vdot(gradient, direction), slope, rtol=1e-5)


def test_no_two_libraries_are_drawn_alike():
    assert len(SHOWN) <= len(MARKERS) == len({*MARKERS})
