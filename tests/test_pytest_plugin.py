"""The plugin of pytest: fixture, marker, seed, and that it costs nothing unused."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

CHECKS = """
    import numpy as np
    import pytest

    def test_tensors(gradcheck):
        assert gradcheck(np.sin, np.ones(2)).seed == {seed}

    def test_second_order(gradcheck):
        assert gradcheck.gradgradcheck(np.sin, np.ones(2)).order == 2

    def test_plain(gradcheck):
        assert gradcheck.check_gradient(np.sin, np.cos, np.ones(2)).seed == {seed}
        assert gradcheck.check_vjp(np.sin, lambda g, x: g * np.cos(x), 1.0)

    def test_model(gradcheck):
        import tensorgrad as tg

        model = tg.nn.Dense(2, 3, rng=0)
        loss = tg.softmax_cross_entropy
        assert gradcheck.check_model(model, loss, np.ones((1, 2)), np.array([1]))
"""


@pytest.fixture
def plugged(pytester):
    """Run pytest with the plugin on the tests of a text."""

    def plugged(text, *options):
        pytester.makepyfile(text)
        # By the name of its entry point: where it is installed it is loaded already.
        return pytester.runpytest_inprocess(
            "-p",
            "pytest_tensorgrad",
            "-p",
            "no:cacheprovider",
            "--strict-markers",
            *options,
        )

    return plugged


def test_the_fixture_makes_every_check(plugged):
    found = plugged(CHECKS.format(seed=0))
    found.assert_outcomes(passed=4)
    assert "gradcheck-seed" not in found.stdout.str()


def test_the_seed_is_an_option_and_in_the_header(plugged):
    found = plugged(CHECKS.format(seed=17), "--gradcheck-seed=17")
    found.assert_outcomes(passed=4)
    found.stdout.fnmatch_lines(["gradcheck: --gradcheck-seed=17"])


def test_a_random_seed_is_told_and_repeats(plugged):
    text = """
        import numpy as np

        def test(gradcheck):
            print("the seed is", gradcheck(np.sin, np.ones(2)).seed)
            assert False
    """
    found = plugged(text, "--gradcheck-seed=random").stdout.str()
    (header,) = [x for x in found.splitlines() if x.startswith("gradcheck: ")]
    seed = header.rpartition("=")[2]
    assert f"the seed is {seed}" in found
    assert f"repeat with --gradcheck-seed={seed}" in found
    again = plugged(text, f"--gradcheck-seed={seed}").stdout.str()
    assert f"the seed is {seed}" in again


@pytest.mark.parametrize("seed", ["-1", "1.5", "none", ""])
def test_a_bad_seed(plugged, seed):
    found = plugged("", f"--gradcheck-seed={seed}")
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    found.stderr.fnmatch_lines(
        ["*--gradcheck-seed: expected a whole number of at lea*"]
    )


def test_a_failure_is_the_report_and_the_seed(plugged):
    found = plugged(
        """
        import numpy as np

        def test(gradcheck):
            gradcheck.check_gradient(np.sin, np.sin, np.ones(2))
        """,
        "--gradcheck-seed=5",
    )
    found.assert_outcomes(failed=1)
    shown = found.stdout.str()
    assert "GradientError: gradient: DISAGREES" in shown
    assert "seed 5" in shown
    assert "repeat with --gradcheck-seed=5" in shown
    assert "pytest_tensorgrad.py" not in shown
    assert "check.py" not in shown


def test_the_marker_gives_options(plugged):
    plugged(
        """
        import numpy as np
        import pytest

        pytestmark = pytest.mark.gradcheck(rtol=0.5, order=2)

        def test_of_the_module(gradcheck):
            assert gradcheck(np.sin, np.ones(2)).order == 2

        @pytest.mark.gradcheck(order=1, rng=9)
        class TestNearer:
            def test_of_the_class(self, gradcheck):
                result = gradcheck(np.sin, np.ones(2))
                assert (result.order, result.seed) == (1, 9)

            @pytest.mark.gradcheck(rng=3)
            def test_of_the_test(self, gradcheck):
                assert gradcheck(np.sin, np.ones(2)).seed == 3
                assert gradcheck(np.sin, np.ones(2), rng=4).seed == 4
        """
    ).assert_outcomes(passed=3)


def test_the_marker_gives_tolerances(plugged):
    found = plugged(
        """
        import numpy as np
        import pytest

        def check(gradcheck):
            gradcheck.check_gradient(np.sin, lambda x: 1.01 * np.cos(x), np.ones(2))

        @pytest.mark.gradcheck(rtol=0.1)
        def test_wide(gradcheck):
            check(gradcheck)

        def test_narrow(gradcheck):
            check(gradcheck)
        """
    )
    found.assert_outcomes(passed=1, failed=1)


def test_the_marker_takes_names_alone(plugged):
    found = plugged(
        """
        import pytest

        @pytest.mark.gradcheck(2)
        def test(gradcheck):
            pass
        """
    )
    assert "the marker gradcheck takes options by name" in found.stdout.str()


def test_all_processes_use_one_random_seed(plugged, pytester):
    pytest.importorskip("xdist")
    text = """
        import pytest

        @pytest.mark.parametrize("k", range(4))
        def test(gradcheck, k):
            open(f"seed{k}", "w").write(str(gradcheck.seed))
    """
    plugged(text, "--gradcheck-seed=random", "-n2").assert_outcomes(passed=4)
    assert len({p.read_text() for p in pytester.path.glob("seed*")}) == 1


def test_it_costs_nothing_where_it_is_not_used(pytester):
    pytester.makepyfile(
        """
        import sys

        def test():
            assert "pytest_tensorgrad" in sys.modules
            assert not {"numpy", "tensorgrad"} & set(sys.modules)
        """
    )
    command = [sys.executable, "-m", "pytest", "-p", "pytest_tensorgrad", "-q"]
    found = subprocess.run(
        [*command, "-p", "no:hypothesispytest", str(pytester.path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert found.returncode == 0, found.stdout


def test_it_is_entered_for_pytest_to_find():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    entries = project["project"]["entry-points"]["pytest11"]
    assert entries == {"pytest_tensorgrad": "pytest_tensorgrad"}
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert "pytest_tensorgrad.py" in wheel["packages"]
