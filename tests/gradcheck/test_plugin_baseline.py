"""The baseline of a run of pytest: saved, compared, accepted."""

from __future__ import annotations

import json

# A run of pytest inside this process forgets what it was the first to import, and NumPy cannot be imported twice.
import hypothesis  # noqa: F401
import numpy  # noqa: F401
import pytest

from gradcheck.report import baseline, text  # noqa: F401

TESTS = """
import numpy as np
import pytest
from gradcheck import Target

def net(names="vw", loss=lambda w: float(np.sum(w**2)), scale=1.0):
    params = {name: np.array([1.0, -2.0]) for name in names}
    def total():
        return sum(np.sum(w**2) for w in params.values())
    return Target(params, total, lambda: {name: 2 * w for name, w in params.items()}, name="net")

def test_net(gradcheck):
    gradcheck(net())

def test_other(gradcheck):
    gradcheck(net("u"))
"""


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tests of right targets."""
    pytester.makepyfile(test_nets=TESTS)
    pytester.makeini("[pytest]\naddopts = -p no:benchmark -p no:cacheprovider")
    monkeypatch.setenv("COLUMNS", "160")


def edit(pytester: pytest.Pytester, before: str, after: str) -> None:
    """Change the tests."""
    assert before in TESTS
    pytester.makepyfile(test_nets=TESTS.replace(before, after))


def save(pytester: pytest.Pytester, *more: str) -> pytest.RunResult:
    """A run that keeps what it finds."""
    return pytester.runpytest("--gradcheck-save=base.json", "--gradcheck-no-explain", *more)


def compare(pytester: pytest.Pytester, *more: str) -> pytest.RunResult:
    """A run that compares."""
    return pytester.runpytest("--gradcheck-compare=base.json", "--gradcheck-no-explain", *more)


def test_the_same_code_is_as_good_as_before(pytester: pytest.Pytester) -> None:
    """CI would be red although nothing changed, or not say that it compared."""
    result = save(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["written to base.json: 3 right gradients of 2 checks; keep it in the repository"])
    result = compare(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["nothing is worse than in base.json: 3 right gradients of 2 checks"])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('gradcheck(net())', 'gradcheck(net("v"))', "*test_net: net: the gradient of w was right, and is gone"),
        ("def test_other(gradcheck)", "@pytest.mark.skip\ndef test_other(gradcheck)",
         "*test_other: net: is no longer checked; right before: u"),
        ("def test_other", "def t_other", "*test_other: net: is no longer checked; right before: u"),
        ("sum(np.sum(w**2) for w in params.values())",
         "float(sum(np.sum(w**2) for w in params.values()))", "*complex steps fell back to Richardson differences*"),
    ],
)  # fmt: skip
def test_a_green_run_that_sees_less_fails(pytester: pytest.Pytester, before: str, after: str, said: str) -> None:
    """All tests would pass, and a gradient would not be verified any more."""
    save(pytester)
    edit(pytester, before, after)
    result = compare(pytester)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes().get("failed", 0) == 0
    result.stdout.fnmatch_lines([said, "*accept it with pytest --gradcheck --gradcheck-save=base.json*"])


def test_a_change_is_accepted_by_saving(pytester: pytest.Pytester) -> None:
    """A change that was meant could not be accepted."""
    save(pytester)
    edit(pytester, "gradcheck(net())", 'gradcheck(net("v"))')
    save(pytester)
    assert compare(pytester).ret == 0


def test_a_run_of_some_tests_is_compared_by_those(pytester: pytest.Pytester) -> None:
    """Running one test would be red for all the others, or saving it would throw them away."""
    save(pytester)
    for some in (["-k", "other"], ["test_nets.py::test_net"]):
        result = compare(pytester, *some)
        assert result.ret == 0
        result.stdout.fnmatch_lines(["1 of its 2 tests were not part of this run"])
    save(pytester, "-k", "other")
    assert set(json.loads((pytester.path / "base.json").read_text())["tests"]) == {
        "test_nets.py::test_net", "test_nets.py::test_other",
    }  # fmt: skip


def test_workers_bring_what_they_checked(pytester: pytest.Pytester) -> None:
    """Under xdist everything would be gone."""
    pytest.importorskip("xdist")
    save(pytester)
    result = pytester.runpytest_subprocess("--gradcheck-compare=base.json", "-n", "1")
    result.stdout.fnmatch_lines(["nothing is worse than in base.json: *"])
    assert result.ret == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "base.json: no such file; --gradcheck-save base.json writes it"),
        ("{}", 'base.json is no baseline: expected "schema": "gradcheck.baseline"'),
    ],
)
def test_a_baseline_that_cannot_be_read_ends_the_run_at_once(
    pytester: pytest.Pytester, content: str | None, said: str
) -> None:
    """A misspelt name would make every run green, or the run would take its hour first."""
    if content is not None:
        (pytester.path / "base.json").write_text(content)
    result = compare(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])


def test_a_folder_that_is_not_there_is_told_before_the_run(pytester: pytest.Pytester) -> None:
    """The result of an hour could not be written."""
    result = pytester.runpytest("--gradcheck-save=nowhere/base.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--gradcheck-save nowhere*: there is no folder 'nowhere'"])
