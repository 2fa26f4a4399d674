"""The pytest plugin as its users meet it: every test runs pytest on files of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree
from typing import Any

# A run of pytest inside this process forgets what it was the first to import, and NumPy cannot be imported twice.
import hypothesis  # noqa: F401
import numpy  # noqa: F401
import pytest

from gradcheck import plugin
from gradcheck._checking import check as _check
from gradcheck._repair import explain as _explain
from gradcheck.report import text  # noqa: F401

MODELS = """
import numpy as np
from gradcheck import Target

def of(factor):
    w = np.array([1.0, -2.0, 3.0])
    return Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": factor * w}, name=f"times{factor}")

def kinked():
    w = np.zeros(3)
    return Target({"w": w}, lambda: float(np.sum(np.abs(w))), lambda: {"w": np.where(w < 0, -1.0, 1.0)}, name="kinked")

def raising():
    def loss():
        raise ValueError("the sum is off")
    return Target({"w": np.ones(2)}, loss, dict, name="raising")
"""
TARGETS = """
import numpy as np
import gradcheck

@gradcheck.target
def square(rng, *, N=3):
    w = rng.standard_normal(N)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w})

@gradcheck.target
def cube(rng, *, N=3):
    w = rng.standard_normal(N)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**3)), lambda: {"w": 2 * w**2})
"""
RIGHT = "from models import of\ndef test_right(gradcheck):\n    gradcheck(of(2))\n"
WRONG = "from models import of\ndef test_wrong(gradcheck):\n    gradcheck(of(3))\n"
MARKED = "import pytest\n@pytest.mark.gradcheck\ndef test_marked():\n    assert False\n"


@pytest.fixture(autouse=True)
def models(pytester: pytest.Pytester) -> None:
    """The module that the inner tests take their targets from, and a fixed width for what they print."""
    pytester.makepyfile(models=MODELS)
    pytester.makeini("[pytest]\naddopts = -p no:benchmark -p no:cacheprovider")
    pytester._monkeypatch.setenv("COLUMNS", "140")
    for variable in ("FORCE_COLOR", "CI", "BUILD_NUMBER"):  # under CI pytest repeats a whole failure in its summary
        pytester._monkeypatch.delenv(variable, raising=False)


def ini(pytester: pytest.Pytester, **keys: str) -> None:
    """Write the inner ini file."""
    pytester.makeini("\n".join(["[pytest]", "addopts = -p no:benchmark", *(f"{k} = {v}" for k, v in keys.items())]))


def properties(run: pytest.HookRecorder) -> list[tuple[str, object]]:
    """The user properties on the reports of the calls."""
    reports = run.getreports("pytest_runtest_logreport")
    return [pair for report in reports if report.when == "call" for pair in report.user_properties]


# -- on and off --------------------------------------------------------------------------------------------------------


def test_marked_tests_are_skipped_without_the_option(pytester: pytest.Pytester) -> None:
    """A marked audit that was not asked for would run, or count as passed, or be skipped without saying why."""
    pytester.makepyfile(MARKED)
    result = pytester.runpytest("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["gradcheck: off (--gradcheck runs the audits)", "SKIPPED*: needs --gradcheck"])


def test_marked_tests_run_with_the_option(pytester: pytest.Pytester) -> None:
    """CI would skip its audits although it asked for them."""
    pytester.makepyfile(MARKED)
    pytester.runpytest("--gradcheck").assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], "--gradcheck --gradcheck-seed=0"),
        (["--gradcheck-seed=7", "--gradcheck-full"], "--gradcheck --gradcheck-full --gradcheck-seed=7"),
        (["--gradcheck-budget=5"], "--gradcheck --gradcheck-budget=5 --gradcheck-seed=0"),
        (["--gradcheck-no-explain"], "--gradcheck --gradcheck-no-explain --gradcheck-seed=0"),
    ],
)
def test_header_says_how_to_replay(pytester: pytest.Pytester, arguments: list[str], shown: str) -> None:
    """A log of a failing run would not say with which options it fails again."""
    pytester.runpytest("--gradcheck", *arguments).stdout.fnmatch_lines([f"gradcheck: on ({shown})"])


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("def test_it(): pass", "failed"),
        ("def test_it(gradcheck): pass", "failed"),
        ("def test_it(gradcheck): [gradcheck(one) for one in ()]", "failed"),
        ("def test_it(): pytest.skip()", "skipped"),
        ("def test_it(gradcheck): gradcheck(models.of(2))", "passed"),
        ("def test_it(): assert gradcheck.check(models.of(2)).ok", "passed"),
        ("def test_it(): gradcheck.assert_gradients(models.of(2))", "passed"),
        ("@pytest.fixture(scope='module')\ndef report(): return gradcheck.check(models.of(2))\n"
         "def test_first(report): assert report.ok\ndef test_it(report): assert report.blocks", "passed"),
        ("import unittest\nclass TestIt(unittest.TestCase):\n    def test_it(self): pass", "failed"),
    ],
)  # fmt: skip
def test_a_marked_test_that_checks_nothing_fails(pytester: pytest.Pytester, body: str, outcome: str) -> None:
    """An audit whose call was forgotten, or whose list of targets is empty, would pass for ever."""
    pytester.makepyfile(f"import pytest, gradcheck, models\npytestmark = pytest.mark.gradcheck\n{body}")
    result = pytester.runpytest("--gradcheck")
    result.assert_outcomes(**{outcome: body.count("def test_")})
    if outcome == "failed":
        result.stdout.fnmatch_lines(["*marked gradcheck, but nothing was checked: call the fixture gradcheck*"])
    pytester.runpytest().assert_outcomes(skipped=body.count("def test_"))


def test_unmarked_tests_run_either_way(pytester: pytest.Pytester) -> None:
    """The fixture without the marker would depend on the option: only the marker does."""
    pytester.makepyfile(RIGHT)
    pytester.runpytest().assert_outcomes(passed=1)


def test_plain_tests_run_without_the_plugin(pytester: pytest.Pytester) -> None:
    """Tests that have nothing to do with audits would break where the plugin is disabled."""
    pytester.makepyfile("def test_plain(): pass\n")
    # In a process of its own: in this one the modules that pytest would rewrite are imported already, and it warns.
    result = pytester.runpytest_subprocess("-p", "no:gradcheck", "-W", "error")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("gradcheck:*")


def test_help_has_one_group(pytester: pytest.Pytester) -> None:
    """The options and ini keys would be missing from --help."""
    result = pytester.runpytest("--help")
    result.stdout.fnmatch_lines(["gradient audits:", "*--gradcheck *", "*--gradcheck-full*", "*--gradcheck-seed=N*"])
    result.stdout.fnmatch_lines(["*gradcheck_files (args):*", "*gradcheck_full (bool):*", "*gradcheck_seed (string):*"])


def test_marker_is_registered(pytester: pytest.Pytester) -> None:
    """Users of --strict-markers could not collect a marked test."""
    pytester.makepyfile(MARKED)
    pytester.runpytest("--strict-markers").assert_outcomes(skipped=1)
    pytester.runpytest("--markers").stdout.fnmatch_lines(["@pytest.mark.gradcheck(full=False, seed=0): *"])


# -- usage mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("sede=1", "takes full, laws, seed, explain and budget by name, got sede"),
        ("3", "takes full, laws, seed, explain and budget by name, got 3"),
        ("seed=-1", "has seed=-1: expected an integer of at least 0"),
        ("seed=True", "has seed=True: expected an integer of at least 0"),
        ("full='no'", "has full='no': expected True or False or \"tape\""),
        ("laws='scales'", "has laws='scales': no law 'scales': expected some of *, or none"),
        ("explain=0", "has explain=0: expected True or False"),
        ("budget=0", "has budget=0: expected seconds above 0, or None for no limit"),
        ("budget='1'", "has budget='1': expected seconds above 0, or None for no limit"),
    ],
)
def test_marker_arguments_that_make_no_sense_are_refused(pytester: pytest.Pytester, marker: str, message: str) -> None:
    """A typing error in a marker would be ignored, and the audit run with other settings than it says."""
    pytester.makepyfile(f"import pytest\n@pytest.mark.gradcheck({marker})\ndef test_it(): pass")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *::test_it: the marker gradcheck {message}"])


@pytest.mark.parametrize("value", ["-1", "x", "1.5"])
def test_seed_that_is_none_is_refused(pytester: pytest.Pytester, value: str) -> None:
    """A seed that is no seed would end in a traceback from NumPy in the middle of the run."""
    result = pytester.runpytest(f"--gradcheck-seed={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*'{value}' is not a seed: expected an integer of at least 0"])


def test_seed_of_the_ini_file_is_checked_at_once(pytester: pytest.Pytester) -> None:
    """A bad ini file would be noticed only once a fixture asks, and be reported as a failing test."""
    ini(pytester, gradcheck_seed="none")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: gradcheck_seed in the ini file: 'none' is not a seed*"])


# -- precedence --------------------------------------------------------------------------------------------------------

SEEDS = """
import pytest
from models import of

def test_plain(gradcheck):
    report = gradcheck(of(2))
    print("\\nplain", report.seed, report.full)

@pytest.mark.gradcheck(seed=0, full=False)
def test_zero(gradcheck):
    report = gradcheck(of(2))
    print("\\nzero", report.seed, report.full)

@pytest.mark.gradcheck(seed=5)
class TestClass:
    @pytest.mark.gradcheck(full=True)
    def test_both(self, gradcheck):
        report = gradcheck(of(2))
        print("\\nboth", report.seed, report.full)

    def test_call(self, gradcheck):
        report = gradcheck(of(2), full=True, seed=3)
        print("\\ncall", report.seed, report.full)
"""


@pytest.mark.parametrize(
    ("keys", "arguments", "plain"),
    [
        ({}, [], "plain 0 False"),
        ({"gradcheck_seed": "8", "gradcheck_full": "true"}, [], "plain 8 True"),
        ({"gradcheck_seed": "8"}, ["--gradcheck-seed=0", "--gradcheck-full"], "plain 0 True"),
        ({"gradcheck_seed": "8"}, ["--gradcheck-seed=9"], "plain 9 False"),
    ],
)
def test_call_before_marker_before_command_line_before_ini(
    pytester: pytest.Pytester, keys: dict[str, str], arguments: list[str], plain: str
) -> None:
    """A setting nearer to the test would lose to one farther away, or a seed of 0 be taken for none."""
    ini(pytester, **keys)
    pytester.makepyfile(SEEDS)
    result = pytester.runpytest("--gradcheck", "-s", *arguments)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines([plain, "zero 0 False", "both 5 True", "call 3 True"])


# -- the fixture -------------------------------------------------------------------------------------------------------


def test_fixture_returns_the_report(pytester: pytest.Pytester) -> None:
    """A test could not look further into a report that is right."""
    pytester.makepyfile("""
        from gradcheck import Report
        from models import of
        def test_it(gradcheck):
            report = gradcheck(of(2))
            assert isinstance(report, Report) and report.ok and list(report.blocks) == ["w"]
    """)
    pytester.runpytest().assert_outcomes(passed=1)


@pytest.mark.lines
def test_fixture_fails_the_test_with_the_report(pytester: pytest.Pytester) -> None:
    """A wrong gradient would pass, or fail without saying which gradient is wrong; or the text would come twice."""
    pytester.makepyfile(WRONG)
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *GradientError: ✗ times3: wrong · 1 of 1 gradients wrong",
            "E *= the line should give dL/d(w)*",
            "FAILED *::test_wrong - models.py:6: the term w is missing",
        ]
    )
    assert str(result.stdout).count("the line should give dL/d(w)") == 1


def test_fixture_shows_no_frame_of_ours(pytester: pytest.Pytester) -> None:
    """The line that failed would drown in the inner life of the checker."""
    pytester.makepyfile(WRONG)
    result = pytester.runpytest()
    result.stdout.no_fnmatch_line("*plugin.py*")
    result.stdout.no_fnmatch_line("*_checking*")


def test_text_is_plain_where_colour_is_forced(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI that sets FORCE_COLOR the report, which is text in an assertion, would be full of escape sequences."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    pytester.makepyfile(WRONG)
    result = pytester.runpytest("--color=no")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*\x1b*")


def test_failure_is_an_assertion_error(pytester: pytest.Pytester) -> None:
    """A test that plants a bug could not say, as of any assertion, that it expects the check to fail."""
    pytester.makepyfile("""
        import pytest
        from gradcheck import GradientError
        from models import of
        def test_it(gradcheck):
            with pytest.raises(AssertionError, match="the gradient of w is 1.5 times the true one"):
                gradcheck(of(3))
            with pytest.raises(GradientError) as caught:
                gradcheck(of(3))
            assert caught.value.report.verdict == "wrong"
    """)
    pytester.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize(("model", "verdict"), [("kinked()", "inconclusive"), ("of(0)", "wrong")])
def test_all_but_right_fails(pytester: pytest.Pytester, model: str, verdict: str) -> None:
    """What was not verified would pass."""
    pytester.makepyfile(f"from models import *\ndef test_it(gradcheck): gradcheck({model})")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E *: {verdict} ·*"])


def test_fixture_is_taken_by_hypothesis(pytester: pytest.Pytester) -> None:
    """Hypothesis refuses a function-scoped fixture; and each of its examples would add a line to the summary."""
    pytester.makepyfile("""
        from hypothesis import Phase, given, settings, strategies as st
        from models import of
        quick = settings(deadline=None, max_examples=5, database=None, phases=[Phase.generate, Phase.shrink])
        @quick
        @given(factor=st.just(2), n=st.integers())
        def test_right(gradcheck, factor, n):
            gradcheck(of(factor))
        @quick
        @given(factor=st.just(5), n=st.integers())
        def test_wrong(gradcheck, factor, n):
            gradcheck(of(factor))
    """)
    result = pytester.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*gradcheck=gradcheck,", "*factor=5,"])
    result.stdout.fnmatch_lines(["wrong: times5*(*::test_wrong)", "1 right, 1 wrong"])


def test_fixture_has_the_names_of_the_package(pytester: pytest.Pytester) -> None:
    """The argument `gradcheck` hides the imported package, so that gradcheck.Target would fail inside a test."""
    pytester.makepyfile("""
        import numpy as np
        import pytest
        import gradcheck
        def test_it(gradcheck):
            w = np.ones(2)
            assert gradcheck(gradcheck.Target({"w": w}, lambda: float(w @ w), lambda: {"w": 2 * w})).ok
            with pytest.raises(AttributeError):
                gradcheck.nonsense
    """)
    pytester.runpytest().assert_outcomes(passed=1)


def test_target_that_raises_shows_the_users_traceback(pytester: pytest.Pytester) -> None:
    """An error in the user's loss would be shown as a long traceback through the checker."""
    pytester.makepyfile("from models import raising\ndef test_it(gradcheck):\n    gradcheck(raising())")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *ValueError: the sum is off",
            "models.py:*: ValueError",
            ">   *gradcheck(raising())",
            "E *UserCodeError: loss() raised ValueError: the sum is off (*models.py:*, in loss)",
        ]
    )
    result.stdout.no_fnmatch_line("*_target.py*")


def test_bad_target_fails_on_the_users_line(pytester: pytest.Pytester) -> None:
    """A mistake in the call would be shown inside the checker."""
    pytester.makepyfile("def test_it(gradcheck):\n    gradcheck(3)")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([">   *gradcheck(3)", "E *TargetError: expected a gradcheck.Target*got int"])
    result.stdout.no_fnmatch_line("*_checking*")


# -- factories as tests ------------------------------------------------------------------------------------------------


def test_factories_are_tests_with_the_option_only(pytester: pytest.Pytester) -> None:
    """A file of targets would be audited unasked, or not be audited when asked."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(cells=TARGETS)
    assert pytester.runpytest().ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result = pytester.runpytest("--gradcheck", "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["cells.py::square PASSED*", "cells.py::cube FAILED*"])


def test_factory_that_is_wrong_shows_the_report_once(pytester: pytest.Pytester) -> None:
    """The report would be missing, or come with a traceback through the checker, or twice."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(cells=TARGETS)
    result = pytester.runpytest("--gradcheck")
    result.stdout.fnmatch_lines(["*_ gradcheck cube _*", "✗ cube: wrong · 1 of 1 gradients wrong"])
    assert str(result.stdout).count("error[factor]: the gradient of w is 0.666667 times the true one") == 1
    result.stdout.no_fnmatch_line("*Traceback*")


def test_patterns_are_paths_or_names(pytester: pytest.Pytester) -> None:
    """A pattern with a folder would match elsewhere, or one without it only at the root."""
    for folder in ("examples/deep", "other"):
        pytester.mkdir(folder.split("/")[0])
        pytester.path.joinpath(folder).mkdir(exist_ok=True)
        pytester.path.joinpath(folder, "cells.py").write_text(TARGETS)
    pytester.path.joinpath("other", "net.py").write_text(TARGETS)
    pytester.path.joinpath("other", "net.txt").write_text(TARGETS)
    ini(pytester, gradcheck_files="examples/*.py net.*")
    result = pytester.runpytest("--gradcheck", "--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    collected = [line for line in result.outlines if "::" in line]
    assert collected == [
        "examples/deep/cells.py::square",
        "examples/deep/cells.py::cube",
        "other/net.py::square",
        "other/net.py::cube",
    ]


def test_file_that_is_a_test_file_too_is_imported_once(pytester: pytest.Pytester) -> None:
    """A test file with factories would be imported twice, and its factories be collected twice."""
    ini(pytester, gradcheck_files="test_*.py")
    pytester.makepyfile(test_cells="print('hello, here I am')\n" + TARGETS + "\ndef test_plain(): pass\n")
    result = pytester.runpytest("--gradcheck", "-s", "-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["test_cells.py::square *", "test_cells.py::cube *", "test_cells.py::test_plain *"])
    assert str(result.stdout).count("hello, here I am") == 1


def test_file_named_on_the_command_line_is_not_collected_twice(pytester: pytest.Pytester) -> None:
    """pytest takes any file that is named for a test file, so its factories would be there twice."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(cells=TARGETS)
    pytester.runpytest("--gradcheck", "cells.py").assert_outcomes(passed=1, failed=1)
    result = pytester.runpytest("--gradcheck", "cells.py::square")
    result.assert_outcomes(passed=1)


def test_factories_of_a_notebook_are_tests(pytester: pytest.Pytester) -> None:
    """The targets of a notebook could not be audited in CI."""
    ini(pytester, gradcheck_files="*.ipynb")
    cells = [{"cell_type": "code", "source": f"%load_ext gradcheck\n{TARGETS}"}]
    (pytester.path / "cells.ipynb").write_text(json.dumps({"cells": cells}))
    result = pytester.runpytest("--gradcheck", "--gradcheck-no-explain", "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["cells.ipynb::square PASSED*", "cells.ipynb::cube FAILED*"])


def test_doctests_of_the_file_do_not_hide_its_factories(pytester: pytest.Pytester) -> None:
    """With --doctest-modules the factories would silently not be audited."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(cells='"""\n>>> 1 + 1\n2\n"""\n' + TARGETS)
    pytester.runpytest("--gradcheck", "--doctest-modules", "-k", "not models").assert_outcomes(passed=2, failed=1)


@pytest.mark.parametrize("option", [[], ["--gradcheck"]])
def test_factory_called_test_is_no_test_function(pytester: pytest.Pytester, option: list[str]) -> None:
    """pytest would call the factory as a test and complain that there is no fixture `rng`."""
    pytester.makepyfile(TARGETS.replace("square", "test_square") + "\ndef test_plain(): pass\n")
    pytester.runpytest(*option).assert_outcomes(passed=1)


def test_imported_factories_belong_to_their_own_file(pytester: pytest.Pytester) -> None:
    """A factory would be audited once more in every file that imports it."""
    ini(pytester, gradcheck_files="cells.py user.py test_user.py")
    pytester.makepyfile(cells=TARGETS, user="from cells import square", test_user="from cells import cube")
    pytester.runpytest("--gradcheck").assert_outcomes(passed=1, failed=1)


def test_file_of_a_package_may_import_relatively(pytester: pytest.Pytester) -> None:
    """The cells of a package could not be audited where they stand."""
    ini(pytester, gradcheck_files="net/cells.py")
    package = pytester.mkpydir("net")
    (package / "constants.py").write_text("TWO = 2")
    (package / "cells.py").write_text("from .constants import TWO\n" + TARGETS.replace("2 * w}", "TWO * w}"))
    pytester.runpytest("--gradcheck").assert_outcomes(passed=1, failed=1)


def test_file_that_does_not_import_is_a_collection_error(pytester: pytest.Pytester) -> None:
    """The user's traceback would be missing, or buried in ours, or the run be green."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(cells="def helper():\n    raise RuntimeError('no weights')\nhelper()")
    result = pytester.runpytest("--gradcheck")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "Traceback (most recent call last):",
            '  File "*cells.py", line 3, in <module>',
            '  File "*cells.py", line 2, in helper',
            "RuntimeError: no weights",
            "importing *cells.py raised RuntimeError: no weights (*cells.py:2, in helper)",
        ],
        consecutive=False,
    )
    result.stdout.no_fnmatch_line("*importlib*")


def test_factory_that_raises_shows_the_users_traceback(pytester: pytest.Pytester) -> None:
    """A factory that cannot be run would be shown as a traceback through the checker."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(
        cells="import gradcheck\nfrom models import raising\n@gradcheck.target\ndef net(rng): return raising()\n"
        "@gradcheck.target\ndef none(rng): return None\n"
    )
    result = pytester.runpytest("--gradcheck")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "Traceback (most recent call last):",
            '  File "*models.py", line *, in loss',
            "loss() raised ValueError: the sum is off (*models.py:*, in loss)",
            "*_ gradcheck none _*",
            "none must return a gradcheck.Target, got NoneType",
        ]
    )
    result.stdout.no_fnmatch_line("*_target.py*")


def test_factories_take_the_seed_and_full(pytester: pytest.Pytester) -> None:
    """A collected factory would ignore the settings that the fixture follows."""
    ini(pytester, gradcheck_files="cells.py test_cells.py")
    cells = "import pytest\npytestmark = pytest.mark.gradcheck(seed=4, full=True)\n" + TARGETS
    pytester.makepyfile(cells=TARGETS, test_cells=cells)
    result = pytester.runpytest("--gradcheck", "--gradcheck-seed=6", "-k", "cube")
    result.assert_outcomes(failed=2, deselected=2)
    result.stdout.fnmatch_lines_random(["*· seed 6", "*· seed 4"])


def test_nodeid_keyword_and_marker_select(pytester: pytest.Pytester) -> None:
    """One factory out of a file could not be run alone."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(cells=TARGETS, test_plain="def test_plain(): pass")
    pytester.runpytest("--gradcheck", "-k", "square").assert_outcomes(passed=1, deselected=2)
    pytester.runpytest("--gradcheck", "-m", "gradcheck and not square").assert_outcomes(
        passed=1, failed=1, deselected=1
    )


def test_last_failed_runs_the_factory_again(pytester: pytest.Pytester) -> None:
    """--lf would run nothing, or everything, after an audit has failed."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(cells=TARGETS)
    pytester.runpytest("--gradcheck").assert_outcomes(passed=1, failed=1)
    pytester.runpytest("--gradcheck", "--lf").assert_outcomes(failed=1)


def test_collect_only_lists_the_factories(pytester: pytest.Pytester) -> None:
    """--collect-only would not show what would run, or would run it."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(cells=TARGETS)
    result = pytester.runpytest("--gradcheck", "--collect-only")
    result.stdout.fnmatch_lines(["*<TargetFile cells.py>", "*<TargetItem square>", "*<TargetItem cube>"])
    result.stdout.no_fnmatch_line("*gradient audits*")


def test_pattern_that_matches_nothing_is_warned_of(pytester: pytest.Pytester) -> None:
    """A CI whose audits are in a folder that pytest never visits would be green without a single audit."""
    ini(pytester, gradcheck_files="cells.py nets/*.py", testpaths="tests")
    pytester.makepyfile(**{"tests/test_plain": "def test_plain(): pass", "tests/cells": TARGETS, "nets/rnn": TARGETS})
    message = "*gradcheck_files: no file that pytest visits matches nets/[*].py; is its folder in testpaths[?]*"
    result = pytester.runpytest_subprocess("--gradcheck", "--gradcheck-no-explain")
    result.assert_outcomes(passed=2, failed=1, warnings=1)
    result.stdout.fnmatch_lines([message])
    pytester.runpytest("--gradcheck", "tests").stdout.no_fnmatch_line(message)
    pytester.runpytest().stdout.no_fnmatch_line(message)


# -- what a run leaves behind ------------------------------------------------------------------------------------------


def test_summary_counts_and_names_what_is_not_right(pytester: pytest.Pytester) -> None:
    """The end of the log would not say what was audited, and what of it is not right."""
    pytester.makepyfile("""
        from models import of, kinked
        def test_right(gradcheck): gradcheck(of(2))
        def test_two(gradcheck): gradcheck(of(2.0)); gradcheck(of(3))
        def test_kinked(gradcheck): gradcheck(kinked())
        def test_none(): pass
    """)
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(
        [
            "*= gradient audits =*",
            "wrong: times3, 1 gradient, * evaluations (*::test_two)",
            "inconclusive: kinked, 1 gradient, * evaluations (*::test_kinked)",
            "1 inconclusive, 2 right, 1 wrong",
        ]
    )


def test_no_summary_without_audits(pytester: pytest.Pytester) -> None:
    """Every run of pytest in this environment would end with an empty section."""
    pytester.makepyfile("def test_plain(record_property): record_property('gradchecks', 1)")
    pytester.runpytest().stdout.no_fnmatch_line("*gradient audits*")


def test_junit_has_the_outcome(pytester: pytest.Pytester) -> None:
    """CI that reads JUnit would not see which audits ran."""
    pytester.makepyfile(RIGHT)
    pytester.runpytest("--junitxml=out.xml")
    found = xml.etree.ElementTree.parse(pytester.path / "out.xml").getroot().find(".//property")
    assert found is not None
    assert found.attrib["name"] == "gradcheck"
    assert found.attrib["value"].startswith("right: times2, 1 gradient, ")


def test_reports_hold_builtins_only(pytester: pytest.Pytester) -> None:
    """A NumPy scalar on a report makes a run under xdist end with "no tests ran" and exit status 0."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(RIGHT + WRONG, cells=TARGETS)
    run = pytester.inline_run("--gradcheck")
    found = properties(run)
    assert len(found) == 6
    assert {type(part) for pair in found for part in pair} == {str}


# -- xdist -------------------------------------------------------------------------------------------------------------


def test_xdist_with_one_worker(pytester: pytest.Pytester) -> None:
    """Under xdist a failing audit would lose its text, its summary, its JUnit property, or its exit status."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(
        RIGHT + WRONG + MARKED.replace("gradcheck\n", "gradcheck(sede=1)\n"),
        cells=TARGETS,
    )
    result = pytester.runpytest_subprocess("--gradcheck", "--gradcheck-no-explain", "-n", "1", "--junitxml=out.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=2, errors=1)
    result.stdout.fnmatch_lines_random(
        [
            "✗ cube: wrong · 1 of 1 gradients wrong",
            "E *GradientError: ✗ times3: wrong · 1 of 1 gradients wrong",
            "*::test_marked: the marker gradcheck takes full, laws, seed, explain and budget by name, got sede",
            "wrong: cube, 1 gradient, * evaluations (cells.py::cube)",
            "2 right, 2 wrong",
        ]
    )
    tree = xml.etree.ElementTree.parse(pytester.path / "out.xml")
    outcomes = [one.attrib["value"] for one in tree.iter("property") if one.attrib["name"] == "gradcheck"]
    assert sorted(one.partition(":")[0] for one in outcomes) == [
        "right",
        "right",
        "wrong",
        "wrong",
    ]


def test_xdist_with_two_workers(pytester: pytest.Pytester) -> None:
    """Two workers would collect different tests, which xdist refuses; or lose what is skipped."""
    ini(pytester, gradcheck_files="test_*.py")
    pytester.makepyfile(test_cells=TARGETS.replace("2 * w**2", "3 * w**2"), test_right=RIGHT)
    result = pytester.runpytest_subprocess("--gradcheck", "-n", "2")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["3 right"])


# -- cost --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["gradcheck", "gradcheck.plugin"])
def test_importing_costs_nothing(module: str) -> None:
    """Every run of pytest in this environment would pay for NumPy, whether it audits or not."""
    heavy = "{'numpy', 'rich', 'hypothesis'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_run_without_audits_does_not_import_numpy(pytester: pytest.Pytester) -> None:
    """Hooks that run for every file and every test would import NumPy on the way."""
    pytester.makepyfile("import sys\ndef test_plain(): assert 'numpy' not in sys.modules\n" + MARKED)
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-p", "no:xdist")
    result.assert_outcomes(passed=1, skipped=1)


# -- corners -----------------------------------------------------------------------------------------------------------


def test_file_outside_the_root_is_matched_by_its_name(pytester: pytest.Pytester) -> None:
    """A file outside the root folder would end the run with an internal error."""
    project = pytester.mkdir("project")
    (project / "pytest.ini").write_text("[pytest]\ngradcheck_files = cells.py\naddopts = -p no:benchmark")
    pytester.mkdir("beside").joinpath("cells.py").write_text(TARGETS)
    result = pytester.runpytest("--gradcheck", f"--rootdir={project}", "-c", str(project / "pytest.ini"), "beside")
    result.assert_outcomes(passed=1, failed=1)


def test_factory_without_a_code_object_has_a_place(pytester: pytest.Pytester) -> None:
    """A callable object as a factory would end the run with an internal error."""
    ini(pytester, gradcheck_files="cells.py")
    pytester.makepyfile(
        cells="""
        import gradcheck
        from models import of
        class Make:
            def __call__(self, rng): return of(2)
        net = gradcheck.target(Make())
        """
    )
    pytester.runpytest("--gradcheck").assert_outcomes(passed=1)


def test_traceback_without_frames_of_ours() -> None:
    """Where there is no traceback at all, showing the error would fail itself."""
    assert plugin._user_frames(None) is None


# -- lines, and the time for them --------------------------------------------------------------------------------------


def of_test(file: str) -> str:
    """The file without its import."""
    return file.partition("\n")[2]


@pytest.mark.parametrize(
    ("keys", "arguments", "marker", "has_lines"),
    [
        ({}, [], "", True),
        ({"gradcheck_explain": "false"}, [], "", False),
        ({"gradcheck_explain": "false"}, [], "explain=True", True),
        ({}, ["--gradcheck-no-explain"], "", False),
        ({}, [], "explain=False", False),
    ],
)
def test_lines_are_looked_for_unless_unwanted(
    pytester: pytest.Pytester, keys: dict[str, str], arguments: list[str], marker: str, has_lines: bool
) -> None:
    """An option of the marker, the command line or the ini file would have no effect."""
    ini(pytester, **keys)
    pytester.makepyfile(f"import pytest\nfrom models import of\n@pytest.mark.gradcheck({marker})\n{of_test(WRONG)}")
    result = pytester.runpytest("--gradcheck", *arguments)
    result.assert_outcomes(failed=1)
    assert ("error[factor]: " in result.stdout.str()) == has_lines


@pytest.mark.parametrize(
    ("keys", "arguments", "marker", "seconds"),
    [
        ({"gradcheck_budget": "7"}, [], "", 7.0),
        ({"gradcheck_budget": "7"}, ["--gradcheck-budget=6"], "", 6.0),
        ({"gradcheck_budget": "7"}, ["--gradcheck-budget=6"], "budget=5", 5),
    ],
)
def test_budget_reaches_the_check(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    keys: dict[str, str],
    arguments: list[str],
    marker: str,
    seconds: float,
) -> None:
    """A budget of the marker, the command line or the ini file would have no effect."""
    given: list[float] = []
    plain = _check.check

    def noting(subject: Any, **options: Any) -> Any:
        given.append(options["budget"])
        return plain(subject, **options)

    monkeypatch.setattr(_check, "check", noting)
    ini(pytester, **keys)
    pytester.makepyfile(f"import pytest\nfrom models import of\n@pytest.mark.gradcheck({marker})\n{of_test(RIGHT)}")
    pytester.runpytest("--gradcheck", *arguments).assert_outcomes(passed=1)
    assert given == [seconds]


def test_a_budget_of_the_ini_file_that_is_none(pytester: pytest.Pytester) -> None:
    """A slip would end in a traceback, or look for no line at all."""
    ini(pytester, gradcheck_budget="soon")
    result = pytester.runpytest("--gradcheck")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: gradcheck_budget in the ini file: 'soon' is not a time: *"])


@pytest.mark.lines
def test_ctrl_c_while_lines_are_looked_for_ends_the_run_with_the_verdict(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict would be lost, or the next test be begun."""

    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_explain, "explain", interrupted)
    pytester.makepyfile(WRONG + RIGHT)
    result = pytester.runpytest("--gradcheck")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*not finished, interrupted: *", "*interrupted while lines were looked for*"])


def test_bugs_that_were_not_tried_are_no_pass(pytester: pytest.Pytester) -> None:
    """A check would pass for strong of which two bugs in a hundred were tried."""
    pytester.makepyfile(cells=TARGETS.partition("@gradcheck.target\ndef cube")[0])
    ini(pytester, gradcheck_files="cells.py")
    result = pytester.runpytest_subprocess("--gradcheck-mutate", "--gradcheck-budget=0.001", "cells.py")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["* of * tried, * untried: the time was up*", "*larger --gradcheck-budget*"])
    assert result.ret == 3
