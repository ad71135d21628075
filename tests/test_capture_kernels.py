"""Kernels are an offer: whatever stands against them, the step is done all the same."""

import ctypes
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.capture import capture as captures
from tensorgrad.capture.kernels import compile as kernels
from tensorgrad.capture.kernels import fuse
from tensorgrad.capture.numpy import replay
from tensorgrad.capture.program import Live

needs_llvm = pytest.mark.skipif(
    not kernels.installed(), reason="needs llvmlite, of the extra 'fast'"
)

BOTH = [False, pytest.param(True, marks=needs_llvm)]


def slope(x):
    """A step that two kernels or more take part in."""
    y = np.exp(x - x.max())
    return np.sqrt(y / y.sum() + 1.0), (x * y).sum()


X = np.arange(12.0).reshape(3, 4)


def check(step=slope, fused=None, calls=4):
    compiled = tg.compile(step, fused=fused)
    for _ in range(calls):
        for found, expected in zip(compiled(X), step(X), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-14)
    (capture,) = compiled._captures.values()
    return capture.replay.has_kernels


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """Forget what was compiled and said before."""
    monkeypatch.setenv("TENSORGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fuse, "_warned", set())
    forget()
    yield tmp_path / "cache"
    forget()


def forget():
    """Forget what was compiled, so that it is looked for on disk."""
    kernels._compiled.cache_clear()
    kernels._broken.cache_clear()
    chain = sys.modules.get("tensorgrad.capture.kernels.chain")
    if chain is not None:
        chain._driver.cache_clear()


# Where kernels cannot be had.


MACHINE = (
    "chain",
    "disk",
    "elementary",
    "intrinsics",
    "machine",
    "tiles",
    "translate",
)
"""Modules of this package that import llvmlite."""


@contextmanager
def broken(error):
    """Let llvmlite be found, and raise where it is imported."""

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "llvmlite":
                raise error

    hidden = {
        name: sys.modules.pop(name)
        for name in list(sys.modules)
        if name.split(".")[0] == "llvmlite" or name.endswith(MACHINE)
    }
    sys.meta_path.insert(0, Finder)
    try:
        yield
    finally:
        sys.meta_path.remove(Finder)
        sys.modules.update(hidden)


@pytest.mark.parametrize(
    "error",
    [
        ImportError("cannot be imported on Python 3.19"),
        OSError("Could not find/load shared object file 'libllvmlite.so'"),
        AttributeError("module 'numpy' has no attribute 'trapz'"),
        SystemError("initialization of _internal failed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_llvmlite_that_cannot_be_imported_is_said_once(error, fresh, monkeypatch):
    monkeypatch.setattr(fuse, "installed", lambda: True)
    monkeypatch.setattr(kernels, "installed", lambda: True)
    with broken(error), pytest.warns(tg.PerformanceWarning) as said:
        assert [check(), check(lambda x: slope(x * 2.0))] == [False, False]
    (one,) = said
    assert str(error) in str(one.message)
    assert one.filename == __file__


def test_kernels_that_are_asked_for_need_llvmlite_that_works(fresh, monkeypatch):
    monkeypatch.setattr(kernels, "installed", lambda: True)
    with (
        broken(ImportError("needs Python 3.12 or less")),
        pytest.raises(ImportError, match=r"llvmlite is installed, but .* 3.12 or less"),
    ):
        check(fused=True)


def test_without_llvmlite_nothing_is_said(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    assert not check()


@needs_llvm
def test_what_fails_while_kernels_are_built_is_warned(fresh, monkeypatch):
    def fails(*args):
        raise KeyError("a fault of ours")

    monkeypatch.setattr(fuse, "nested", fails)
    for fused in (True, None):
        with pytest.warns(tg.PerformanceWarning, match="report it .*a fault of ours"):
            assert not check(fused=fused)


# When they are compiled.


@needs_llvm
@pytest.mark.parametrize("fused", [None, True, False])
def test_kernels_of_long_programs_are_compiled_late(fused, fresh, monkeypatch):
    monkeypatch.setattr(captures, "_LONG", 2)
    step = tg.compile(slope, fused=fused)
    had = []
    for k in range(105):
        x = np.array([k / 100, 1.0])
        for found, expected in zip(step(x), slope(x), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-14)
        had.append("fused(" in step.plan)
        if fused is None and k > 0:
            left = f"compiled after {101 - k} more steps"
            assert (left in step.plan) == (k < 101)
    assert had.count(True) == {None: 4, True: 104, False: 0}[fused]


@needs_llvm
def test_a_profile_is_that_of_the_kernels_to_come(fresh, monkeypatch):
    monkeypatch.setattr(captures, "_LONG", 2)
    assert "kernel of" in str(tg.compile(slope).profile(np.ones(2)))


# Where they are kept.


def run_apart(code, **environment):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


APART = (
    "import tensorgrad as tg, test_capture_kernels as t\n"
    "import tensorgrad.capture.kernels.machine as machine\n"
    "def counted(function, calls):\n"
    "    return lambda *args: calls.append(args) or function(*args)\n"
    "compiled, linked = [], []\n"
    "machine.object_file = counted(machine.object_file, compiled)\n"
    "machine.linked = counted(machine.linked, linked)\n"
    "assert t.check()\n"
    "print(len(linked), len(linked) - len(compiled))\n"
)


def compiled_apart(folder, processes=1):
    """Return how many kernels a process has, and how many it found compiled."""
    run = [run_apart(APART, TENSORGRAD_CACHE=str(folder)) for _ in range(processes)]
    for child in run:
        out, errors = child.communicate(timeout=120)
        assert child.returncode == 0, errors
    return tuple(map(int, out.split()))


def spoil(file, how):
    text = file.read_bytes()
    middle = len(text) // 2
    file.write_bytes(
        {
            "empty": b"",
            "cut": text[:middle],
            "garbage": b"garbage",
            "turned": text[:middle] + bytes(255 - b for b in text[middle:]),
            "one bit": text[:middle] + bytes([text[middle] ^ 1]) + text[middle + 1 :],
        }[how]
    )


@needs_llvm
def test_files_that_are_spoiled_are_made_anew(fresh):
    assert check()
    expected = {file: file.read_bytes() for file in fresh.rglob("kernel_*.o")}
    assert expected
    for how in ("empty", "cut", "garbage", "turned", "one bit"):
        for file in expected:
            if file.exists():
                spoil(file, how)
        forget()
        assert check()
    forget()
    assert check()
    assert all(f.read_bytes() == text for f, text in expected.items())


@needs_llvm
def test_processes_share_what_they_compile(tmp_path):
    count, _ = compiled_apart(tmp_path, processes=2)
    assert count > 0
    assert compiled_apart(tmp_path) == (count, count)


@needs_llvm
@pytest.mark.parametrize("what", ["a file", "read-only", "no home"])
def test_a_folder_that_keeps_nothing(what, fresh, tmp_path, monkeypatch):
    if what == "a file":
        (tmp_path / "cache").write_text("")
    elif what == "read-only":
        (tmp_path / "cache").mkdir(mode=0o500)
    else:
        for name in ("TENSORGRAD_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(Path, "home", no_home)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check()


def no_home():
    raise RuntimeError("Could not determine home directory.")


@needs_llvm
def test_threads_that_compile_at_once(fresh):
    wrong = []

    def run():
        try:
            assert check()
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


SHARED = (
    "import atexit, os, warnings, numpy as np, tensorgrad as tg\n"
    "warnings.filterwarnings('ignore', '.*fork', DeprecationWarning)\n"
    "x = np.linspace(-3, 3, 1_000_000)\n"
    "step = tg.compile(lambda x: tg.silu(np.exp(x) * x).sum(), fused=True)\n"
    "found = [step(x).item() for _ in range(4)]\n"
    "def same():\n"
    "    assert step(x).item() == found[3]\n"
    "    print('same', flush=True)\n"
    "child = os.fork() if hasattr(os, 'fork') else 1\n"
    "if not child:\n"
    "    same()\n"
    "    os._exit(0)\n"
    "if hasattr(os, 'fork'):\n"
    "    assert os.wait()[1] == 0\n"
    "same()\n"
    "atexit.register(same)\n"
)


@needs_llvm
def test_threads_are_had_in_a_forked_process_and_not_needed_at_the_end(tmp_path):
    """Several threads share a kernel, except where none can be started any more."""
    places = {"TENSORGRAD_CACHE": str(tmp_path), "OPENBLAS_NUM_THREADS": "2"}
    out, errors = run_apart(SHARED, **places).communicate(timeout=120)
    assert (out, errors) == ("same\n" * (3 if hasattr(os, "fork") else 2), "")


BITS = (
    "import numpy as np, tensorgrad as tg\n"
    "x = np.random.default_rng(0).normal(size=(4000, 513)).astype('f4')\n"
    "programs = (\n"
    "    lambda x: np.sum(tg.softmax(x) * np.tanh(x)),\n"
    "    lambda x: np.mean(tg.logsumexp(x * x, axis=1)),\n"
    "    lambda x: np.sum(np.exp(np.sum(np.tanh(x), 0) / 4000)),\n"
    ")\n"
    "for f in programs:\n"
    "    step = tg.compile(tg.value_and_grad(f), fused=True)\n"
    "    found = [step(x) for _ in range(3)][-1]\n"
    "    print(*(hash(np.asarray(part).tobytes()) for part in found))\n"
)


@needs_llvm
def test_bits_do_not_depend_on_how_many_threads_there_are(tmp_path):
    told = set()
    for threads in ("1", "2", "7"):
        places = {"TENSORGRAD_CACHE": str(tmp_path), "OPENBLAS_NUM_THREADS": threads}
        child = run_apart(BITS, PYTHONHASHSEED="0", **places)
        told.add(child.communicate(timeout=120))
    ((out, errors),) = told
    assert (len(out.split()), errors) == (6, "")


# Arguments that lie in memory which the step writes to.


def buffer_and_parameter():
    """A parameter of six entries, within a buffer of twelve."""
    buffer = bytearray(8 * 12)
    flat = np.frombuffer(buffer)
    flat[:] = np.arange(12) / 5
    w = tg.Tensor(np.zeros(6), requires_grad=True)
    w.data = flat[2:8]
    return buffer, w


def in_torch(array):
    return pytest.importorskip("torch").from_numpy(array).numpy()


ALIASES = {
    "data": lambda buffer, w, v: w.data,
    "a tensor": lambda buffer, w, v: w.detach(),
    "reversed": lambda buffer, w, v: w.data[::-1],
    "strided": lambda buffer, w, v: np.lib.stride_tricks.as_strided(w.data, (6,), (8,)),
    "repeated": lambda buffer, w, v: np.broadcast_to(w.data[:1], (6,)),
    "window": lambda buffer, w, v: np.lib.stride_tricks.sliding_window_view(
        np.frombuffer(buffer), 6
    )[3],
    "over its end": lambda buffer, w, v: np.frombuffer(buffer)[3:9],
    "memoryview": lambda buffer, w, v: np.asarray(memoryview(w.data)),
    "unaligned": lambda buffer, w, v: np.frombuffer(buffer, "u1")[4:52].view(float),
    "beside it": lambda buffer, w, v: np.frombuffer(buffer)[-6:],
    "read-only": lambda buffer, w, v: np.frombuffer(bytes(buffer))[3:9],
    "momentum": lambda buffer, w, v: v.data,
    "torch": lambda buffer, w, v: in_torch(w.data),
}


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("fused", BOTH)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_arguments_in_memory_that_is_written_see_the_writes(alias, fused):
    def run(compiled):
        buffer, w = buffer_and_parameter()
        v = tg.Tensor(np.full(6, 0.125))

        def step(x, y):
            w.grad = None
            # Without functions that kernels round: last bits of w may be first of x.
            ((w * x + np.sqrt(w * w + 1)) ** 2).sum().backward()
            with tg.no_grad():
                v[...] = v * 0.5 + w.grad
                w[...] = w - 0.125 * v
            return x * 2 + w, y - x

        f = tg.compile(step, fused=fused) if compiled else step
        free = np.linspace(0, 1, 6)
        found = []
        for number in range(6):
            # Kernels are for the others: the step is replayed by both in turn.
            x = free if number == 3 else ALIASES[alias](buffer, w, v)
            found += [
                np.array(y.numpy() if type(y) is tg.Tensor else y) for y in f(x, free)
            ]
        return [*found, w.numpy(), v.numpy()]

    for eager, compiled in zip(run(False), run(True), strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-12)


@needs_llvm
def test_a_processor_that_llvm_does_not_know_has_no_features(fresh, monkeypatch):
    def fails():
        raise RuntimeError("failed to get host cpu features.")

    binding = pytest.importorskip("llvmlite.binding")
    monkeypatch.setattr(binding, "get_host_cpu_features", fails)
    from tensorgrad.capture.kernels import disk

    disk.version.cache_clear()
    try:
        assert check()
    finally:
        disk.version.cache_clear()


# How a kernel is called.

SUM = """\
def kernel(n0, s0, a0, a1):
    v1 = float64(0.0)
    for i in range(n0):
        v1 = plus(v1, get(a0, within(get(a1, i), n0)))
    put(a0, 0, s0 * v1)
"""


def summed(count):
    arrays = [Live(a.shape, a.dtype, a.strides, a) for a in (np.ones(3), np.arange(3))]
    return kernels.prepared(SUM, arrays, integers=1, numbers=1)(count)


@needs_llvm
@pytest.mark.parametrize("number", [2, 2.0, np.float64(2)])
def test_a_kernel_takes_numbers_and_arrays(number, fresh):
    x = np.arange(3.0)
    assert summed(3)(number, x, np.arange(3)) is None
    assert x[0] == 6.0


@needs_llvm
@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((2.0, np.ones(3)), TypeError),
        ((2.0, np.ones(3), np.arange(3), np.arange(3)), TypeError),
        ((2.0, [1.0, 2.0, 3.0], np.arange(3)), TypeError),
        ((2.0, np.ones(3), None), TypeError),
        (("2", np.ones(3), np.arange(3)), TypeError),
        ((2.0, np.ones(3), np.array([0, 1, 3])), IndexError),
        ((2.0, np.ones(3), np.array([0, -4, 1])), IndexError),
    ],
)
def test_a_kernel_refuses_what_it_is_not_for(args, error, fresh):
    with pytest.raises(error):
        summed(3)(*args)


@needs_llvm
def test_a_kernel_keeps_the_memory_that_says_what_it_is(fresh):
    """CPython looks there as it forgets the function, whatever else is gone."""
    source = "def kernel(n, a):\n    put(a, n, 1.0)\n"
    kernel = kernels.prepared(source, (np.zeros(3),), 1)(2).alone
    told = ctypes.c_void_p.from_address(id(kernel) + object.__basicsize__).value
    low, high = np.lib.array_utils.byte_bounds(kernel.__self__)
    assert low <= told < high


def chain(*links, arrays=0):
    """Return the function of kernels that sum, and take no other numbers than 2."""
    native = summed(3)
    args = [(native, (0, *link)) for link in links]
    return native.chained(args, 1, arrays)


@needs_llvm
def test_kernels_are_called_one_after_the_other(fresh):
    """Each with arrays of its own, with those of the call, or with both."""
    x, y, at = np.arange(3.0), np.array([3.0, 4.0, 5.0]), np.arange(3)
    call = chain((x, at), (1, at), (x, 2), (1, 2), arrays=2)
    call(2.0, y, at)
    assert (x[0], y[0]) == (18.0, 66.0)
    call(1.0, x, at)
    assert x[0] == 30.0


def folds(x, a):
    for k in range(400):
        x = np.abs(x * a - k)
    return x


@needs_llvm
@pytest.mark.parametrize("most", [1, 2, 500])
def test_the_kernels_of_a_program_are_called_together(most, fresh, monkeypatch):
    monkeypatch.setattr(replay, "_LINKS", most)
    step = tg.compile(folds, fused=True)
    x = np.linspace(0.0, 1.0, 1000)
    for _ in range(2):
        step(x, 1.0)
    for a in (1.0, 0.5):
        np.testing.assert_allclose(step(x, a), folds(x, a), rtol=1e-12)
    (captured,) = step._captures.values()
    kernels = [call for call in captured.replay.program if call.writes_last]
    calls = captured.replay.source.count("(n1")
    assert len(kernels) > 4
    assert calls == -(-len(kernels) // most)


@needs_llvm
def test_nothing_is_computed_after_an_error(fresh):
    x, y, at = np.arange(3.0), np.arange(3.0), np.arange(3)
    call = chain((x, at), (1, 2), (y, at), arrays=2)
    with pytest.raises(IndexError, match="out of bounds"):
        call(2.0, np.ones(3), at + 1)
    assert (x[0], y[0]) == (6.0, 0.0)


@needs_llvm
def test_a_chain_keeps_its_arrays(fresh):
    call = chain((np.arange(3.0), np.arange(3)), (1, np.arange(3)), arrays=1)
    others, x = [np.full(3, 99) for _ in range(100)], np.arange(3.0)
    call(2.0, x)
    assert x[0] == 6.0
    assert len(others) == 100


@needs_llvm
def test_threads_call_one_chain_with_arrays_of_their_own(fresh):
    """Python runs other threads while kernels work."""
    at, kernel = np.zeros(200_000, np.int64), summed(200_000)

    def work(value):
        x = np.full(200_000, value)
        for _ in range(20):
            x[0] = value
            kernel(1.0, x, at)
            assert x[0] == 200_000 * value
        return value

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(work, np.arange(4.0))] == [0.0, 1.0, 2.0, 3.0]


SUMS = """\
def kernel(n, a, b, c):
    for i in range(n):
        total = float64(0.0)
        for j in range({columns}):
            x = get(a, {columns} * i + j)
            total = plus(total, x)
            put(c, {columns} * i + j, x * x)
        put(b, i, total)
"""


@pytest.mark.parametrize("columns", [16, 30, 64])
def test_loops_over_columns_are_vectorised_as_they_are(columns):
    """Unrolled first, they would be loops over rows, with a load for each lane."""
    ir = pytest.importorskip("llvmlite.ir")
    from tensorgrad.capture.kernels import machine, translate

    if not machine.features().get("avx2"):
        pytest.skip("needs a processor with AVX2")
    module, text = ir.Module("sums"), SUMS.format(columns=columns)
    kinds = [np.dtype("f8")] * 3
    translate.Translator(module, text, kinds, 1, 0, {}).function.linkage = ""
    code = str(machine.optimized(module, machine._machine()))
    assert "@llvm.vector.reduce.fadd" in code
    assert "gather" not in code
