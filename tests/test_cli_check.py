"""`tensorgrad check`: conventions, points, exit status, and what is refused."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad import cli

LOSSES = """
from dataclasses import dataclass

import numpy as np
import tensorgrad as tg

x0 = np.array([1.0, 2.0])


def mean(w):
    return np.mean(w**2)


def mean_grad(w):
    return 2 * w / w.size


def wrong(w):
    return np.mean(w**2)


def grad_wrong(w):
    return 2 * w


def both(w):
    return np.sum(np.log(w)), 1 / w


def alone(w):
    return np.sum(w)


def product(A, x):
    return A @ x


def product_vjp(g, A, x):
    return np.outer(g, x), A.T @ g


def nested(params):
    return np.sum(params["w"] ** 2) + params["b"]


def nested_gradient(params):
    return {"w": 2 * params["w"], "b": 1.0}


@dataclass
class Cases:
    @staticmethod
    def f(x):
        return np.sum(x**2)

    @staticmethod
    def f_der(x):
        return 2 * x


cube = tg.primitive(lambda x: x**3)
cube.vjp(x=lambda g, x: g * 3 * x**2)
number = 3


def boom(x):
    raise RuntimeError("of many\\nlines")


def boom_grad(x):
    return x


def nowhere(x):
    return x * np.nan
"""


@pytest.fixture
def losses(tmp_path, monkeypatch):
    (tmp_path / "tg_losses.py").write_text(LOSSES)
    (tmp_path / "tg_broken.py").write_text("import no_such_module_at_all")
    (tmp_path / "tg_wrong.py").write_text("def f(:")
    (tmp_path / "tg_leaving.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in [n for n in sys.modules if n.startswith("tg_")]:
        del sys.modules[name]


@pytest.fixture
def run(capsys, losses):
    def run(*argv):
        status = cli.main(["check", *map(str, argv)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert err.count("\n") == (status == 2)
        assert bool(out) == (status != 2)
        return status, out, err

    return run


@pytest.mark.parametrize(
    ("argv", "heading"),
    [
        ("mean", "mean, gradient mean_grad, at a point drawn of shape (3,), seed 0"),
        (
            "both",
            "both, which returns value and gradient, at a point drawn of shape (3,)",
        ),
        ("product", "product_vjp, at a point drawn of shape (3, 3), (3,), seed 0"),
        ("Cases.f", "Cases.f, gradient f_der, at"),
        ("cube", "cube, by its own rules, at a point drawn of shape (3,)"),
        ("wrong --grad mean_grad", "wrong, gradient mean_grad"),
        ("wrong --grad tg_losses:mean_grad", "wrong, gradient mean_grad"),
        ("mean --at x0", "at x0"),
        ("mean --at -1.5,2", "at -1.5,2"),
        ("mean --at [[1,2],[3,4]]", "at [[1,2],[3,4]]"),
        ("product --at [[1,2],[3,4]] --at 1,2", "at [[1,2],[3,4]] 1,2"),
        ("nested --at {'w':[1,2],'b':0.5}", "gradient nested_gradient, at"),
        ("mean --shape 2,3 --seed 5", "drawn of shape (2, 3), seed 5"),
        ("mean --shape ()", "drawn of shape (), seed 0"),
        ("product --shape 2,3 --shape 3", "of shape (2, 3), (3,)"),
    ],
)
def test_a_right_gradient(run, argv, heading):
    name, *options = argv.split()
    status, out, _ = run(f"tg_losses:{name}", *options)
    assert status == 0
    assert heading in out.splitlines()[0]
    assert out.splitlines()[1].endswith(": AGREES")


def test_a_wrong_gradient(run):
    status, out, _ = run("tg_losses:wrong")
    assert status == 1
    assert (
        "gradient: DISAGREES\n  the gradient of input 0 is wrong by a constant" in out
    )
    assert run("tg_losses:wrong", "--rtol", 4)[0] == 0
    assert run("tg_losses:wrong", "--at", "2")[0] == 1 - 1


def test_a_file_and_a_point_in_a_file(run, losses):
    np.save(losses / "x.npy", np.arange(1.0, 5.0))
    status, out, _ = run("tg_losses.py:mean", "--at", losses / "x.npy")
    assert status == 0
    status, out, _ = run(losses / "tg_losses.py:wrong", "--at", "1,2,3,4", "--json")
    found = json.loads(out)
    assert status == 1
    assert found["verdict"] == "disagrees"
    assert found["inputs"][0]["shape"] == [4]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("", "the following arguments are required: MODULE:FUNCTION"),
        ("tg_losses", "expected MODULE:FUNCTION, such as losses:huber or"),
        ("tg_losses:", "expected MODULE:FUNCTION"),
        ("tg_none:f", "there is no module 'tg_none'; name one that Python can import"),
        ("tg_none.py:f", "tg_none.py: there is no such file"),
        (
            "tg_broken:f",
            "tg_broken: importing it raised ModuleNotFoundError: No module",
        ),
        ("tg_wrong:f", "tg_wrong: importing it raised SyntaxError: "),
        ("tg_wrong.py:f", "tg_wrong.py: importing it raised SyntaxError: "),
        ("tg_leaving:f", "tg_leaving: importing it raised SystemExit: 3"),
        (
            "tg_losses:none",
            "tg_losses has no function 'none'; it has dataclass, mean, me",
        ),
        ("tg_losses:number", "tg_losses:number is no function, but int"),
        (
            "tg_losses:alone",
            "no gradient was found; name it alone_grad, give it by --gr",
        ),
        ("tg_losses:mean --grad none", "tg_losses has no function 'none'"),
        (
            "tg_losses:mean --at word",
            "--at: expected numbers such as 1.5,2 or [[1,2],[3",
        ),
        (
            "tg_losses:mean --at mean",
            "--at: expected numbers such as 1.5,2 or [[1,2],[3",
        ),
        ("tg_losses:mean --at [1,[2]]", "--at: expected numbers such as 1.5,2"),
        ("tg_losses:mean --at none.npy", "--at none.npy: FileNotFoundError"),
        ("tg_losses:mean --at 1 --shape 2", "--shape draws a point and --at gives one"),
        (
            "tg_losses:mean --shape 2,x",
            "--shape: expected lengths such as 3 or 2,3, got",
        ),
        (
            "tg_losses:mean --shape 2 --shape 3",
            "expected one shape, or one for each of",
        ),
        ("tg_losses:mean --seed x", "--seed: expected a whole number from 0"),
        ("tg_losses:mean --rtol -1", "--rtol: expected a finite number of at least 0"),
        ("tg_losses:boom", "no point was found at which it is finite; give one, as by"),
        ("tg_losses:boom --at 1", "tg_losses:boom: RuntimeError: of many"),
        ("tg_losses:nowhere", "no point was found at which it is finite"),
    ],
)
def test_what_cannot_be_checked(run, argv, words):
    status, _, err = run(*argv.split())
    assert status == 2
    assert err.startswith("tensorgrad: ")
    assert words in err


WORDS = [
    *("tg_losses:mean", "tg_losses.py:both", "tg_losses:", "::", ".:x", "..:f", ":"),
    *(
        "os:getcwd",
        "math:sin",
        "builtins:dict",
        "numpy:sin",
        "tg_losses:Cases",
        "x\0:f",
    ),
    *("--at", "1,2", "[1,[2]]", "{}", "{'a':[1]}", "x0", "nan", "1e999", "None", "()"),
    *("", "1j", "'s'", "lambda", "[1,2", "1" * 300, "--shape", "2", "0", "99999999"),
    *("--seed", "-1", "--grad", "mean_grad", "np", "--json", "none.npy", "-", "é:f"),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(WORDS), max_size=5))
def test_any_words_are_checked_or_refused_in_a_sentence(run, argv):
    assert run(*argv)[0] in (0, 1, 2)


def test_a_function_of_scipy(run):
    pytest.importorskip("scipy")
    assert run("scipy.optimize:rosen")[0] == 0


def test_the_folder_of_the_command_is_looked_in(losses):
    found = subprocess.run(
        [sys.executable, "-P", "-m", "tensorgrad", "check", "tg_losses:mean"],
        capture_output=True,
        text=True,
        cwd=losses,
        env={"PYTHONPATH": tg.__file__.rpartition("tensorgrad")[0]},
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "AGREES" in found.stdout
