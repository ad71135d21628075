"""Profiles of the property tests, and a guard against tests that leak state."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from profiles import PROFILE

import tensorgrad as tg
from tensorgrad import cli
from tensorgrad.core.observe import observers

pytest_plugins = ["pytester"]

# No part of an installed package; last, so that it is the installed one that is tested.
sys.path.append(str(Path(__file__).resolve().parents[1]))

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=_SLOW, max_examples=20
)
settings.register_profile(
    "nightly", settings.get_profile("ci"), max_examples=400, derandomize=False
)
settings.register_profile("brief", settings.get_profile("ci"), max_examples=7)
settings.load_profile(PROFILE)


SMOKE = {
    *("test_backward", "test_capture_replay", "test_checker_report", "test_data"),
    *("test_losses", "test_nn", "test_package", "test_strong"),
    *("test_tensor", "test_textbook", "test_transforms"),
}
"""Files of tests that look at every part, in less than a minute together."""


UNMEASURED = {
    *("test_benchmarks", "test_capture_fuzz", "test_capture_kinds"),
    *("test_capture_random", "test_checker_power", "test_corpus", "test_nine_runs"),
    *("test_ops", "test_optim_state", "test_package", "test_random_graphs"),
}
"""Files of tests that go over the same lines many times, or read them, at twice the
cost where that is counted.
"""


CHILDREN = "COVERAGE_PROCESS_CONFIG"
"""What tells processes that coverage.py measures them."""


def _is_smoke(item):
    return item.path.stem in SMOKE and item.get_closest_marker("slow") is None


def pytest_addoption(parser):
    """Let captured steps run elsewhere than in NumPy."""
    parser.addoption("--target", choices=["xla"], help="where captured steps run")


def pytest_configure(config):
    """Let captured steps run there."""
    if config.getoption("--target"):
        import jax  # It draws from NumPy's global generator.
        import on_xla

        assert jax
        on_xla.install()


def _leave_out(items):
    """Skip the tests of what another target has otherwise."""
    from on_xla import ELSEWHERE, OTHERWISE, REFUSED

    for item in items:
        names = {item.name, getattr(item, "originalname", "")}
        if names & OTHERWISE or item.path.stem in ELSEWHERE:
            item.add_marker(pytest.mark.skip(reason="of bits, or of NumPy's plan"))
        if item.name in REFUSED:
            item.add_marker(pytest.mark.xfail(raises=tg.CaptureError))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark the tests of SMOKE that are not slow, and run them first."""
    if config.getoption("--target"):
        _leave_out(items)
    for item in items:
        if _is_smoke(item):
            item.add_marker("smoke")
        if item.path.stem in UNMEASURED:
            item.add_marker("unmeasured")
    items.sort(key=lambda item: not _is_smoke(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Run what is unmeasured without a tracer, and so the processes that it starts.

    ``no_cover`` of pytest-cov stops one measurement; where workers run the tests there
    are others below it, which then go on.
    """
    if not item.get_closest_marker("unmeasured"):
        return (yield)
    tracer = sys.gettrace()
    sys.settrace(None)
    children = {CHILDREN: os.environ.pop(CHILDREN)} if CHILDREN in os.environ else {}
    try:
        return (yield)
    finally:
        sys.settrace(tracer)
        os.environ.update(children)


def pytest_terminal_summary(terminalreporter):
    """Name the tests that were skipped in the file that SKIPPED_TESTS asks for."""
    if file := os.environ.get("SKIPPED_TESTS"):
        skipped = {r.nodeid for r in terminalreporter.stats.get("skipped", [])}
        Path(file).write_text("".join(f"{name}\n" for name in sorted(skipped)), "utf-8")


@pytest.fixture(autouse=True)
def no_leaks():
    """Fail a test that leaves grad mode, debug mode or global state changed."""
    before = np.random.get_state()[1].copy(), np.geterr()
    yield
    assert tg.is_grad_enabled(), "the test left grad mode off"
    assert not observers, "the test left debug mode or an explanation on"
    assert (np.random.get_state()[1] == before[0]).all(), "global random state used"
    assert np.geterr() == before[1], "the test left NumPy's error state changed"


@pytest.fixture(scope="session")
def jax():
    """JAX, which draws from NumPy's global generator when it is imported."""
    return pytest.importorskip("jax")


BROWSER = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    "--window-size=1400,900",
)


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("needs Chromium and its driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in BROWSER:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver)
    chrome = webdriver.Chrome(options=options, service=service)
    yield chrome
    chrome.quit()


@pytest.fixture
def uncompiled(monkeypatch):
    """Let kernels run as they are written, in plain Python."""
    from plain_kernels import in_python

    from tensorgrad.capture.gemm import matmul
    from tensorgrad.capture.kernels import factors, fuse

    monkeypatch.setattr(fuse, "require_llvm", lambda: None)
    monkeypatch.setattr(fuse, "unusable", str)
    for module in (factors, fuse):
        monkeypatch.setattr(module, "prepared", lambda source, *_: in_python(source))
    # Tiles have no meaning in Python.
    monkeypatch.setattr(matmul, "registers", lambda: None)


@pytest.fixture
def run(capsys):
    """Run the command; what it printed is checked for tracebacks every time."""

    def run(*argv):
        status = cli.main([str(word) for word in argv])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return run


@pytest.fixture
def refused(run):
    """Run what cannot be done: status 2, and one sentence on standard error."""

    def refused(*argv):
        status, out, err = run(*argv)
        assert status == 2
        assert out == ""
        assert err.startswith("tensorgrad: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        return err

    return refused
