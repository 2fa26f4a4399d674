"""The mutation audit: bugs planted in correct and in weakly checked backwards."""

from __future__ import annotations

import cProfile
import json
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradcheck
from gradcheck import cli
from gradcheck._common.files import load
from gradcheck._mutation import mutation_audit as _mutate
from gradcheck._mutation.operators import OPERATORS

CELL = """
import os
import numpy as np
import gradcheck


def forward(x, h, w):
    states, inputs = [], []
    for step in x:
        inputs.append((step, h))
        h = np.tanh(step @ w["W"] + h @ w["U"] + w["b"])
        states.append(h)
    return np.stack(states), inputs


def backward(dstates, states, inputs, w):
    LIMIT
    grads = {name: np.zeros_like(array) for name, array in w.items()}
    carried = np.zeros_like(dstates[0])
    for t in reversed(range(len(dstates))):
        step, h = inputs[t]
        dz = (dstates[t] + carried) * (1 - states[t] ** 2)
        grads["W"] += step.T @ dz
        grads["U"] += h.T @ dz
        grads["b"] += dz.sum(axis=0)
        carried = dz @ w["U"].T
        EXTRA
    return grads


@gradcheck.target
def cell(rng, SIZES):
    w = {"W": rng.standard_normal((D, H)), "U": rng.standard_normal((H, H)), "b": rng.uniform(-1, 1, H)}
    x, h0, goal = rng.standard_normal((T, B, D)), rng.standard_normal((B, H)), rng.standard_normal((T, B, H))

    def loss():
        return float(np.sum((forward(x, h0, w)[0] - goal) ** 2))

    def grads():
        states, inputs = forward(x, h0, w)
        return backward(2 * (states - goal), states, inputs, w)

    return gradcheck.Target(w, loss, grads)
"""

#: of few statements, so that an audit takes no time
SMALL = """
import os
import numpy as np
import gradcheck


@gradcheck.target
def small(rng, *, T=3):
    w, x = rng.uniform(-0.5, 0.5, 8), rng.standard_normal((T, 8))

    def grads():
        dw = 2 * w * (x**2).sum(axis=0)
        LIMIT
        return {"w": dw}

    return gradcheck.Target({"w": w}, lambda: float(np.sum((x * w) ** 2)), grads)
"""
#: what a check at small sizes does not look into
LARGER_ONLY = "dw = dw * (1.0 if len(x) < 20 else 1.0)"


def whole_cell(extra="pass"):
    """The source of a correct cell."""
    source = CELL.replace("LIMIT", "pass").replace("EXTRA", extra)
    return source.replace("SIZES", "*, T=3, B=2, D=3, H=4")


@pytest.fixture
def cell(tmp_path):
    """A correct cell in a file of its own; the file."""

    def write(extra="pass"):
        path = tmp_path / "recurrent.py"
        path.write_text(whole_cell(extra), encoding="utf-8")
        return path

    return write


@pytest.fixture
def small(tmp_path):
    """A correct target of a few statements in a file of its own; the file."""

    def write(limit="pass", name="small.py"):
        path = tmp_path / name
        path.write_text(SMALL.replace("LIMIT", limit), encoding="utf-8")
        return path

    return write


class Audited(NamedTuple):
    """A correct cell of which every mutant was judged, and its gradients before that."""

    path: Path
    factory: Any
    right: dict[str, Any]
    report: gradcheck.MutationReport


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """The audit of the correct cell, once for all tests that look at it."""
    path = tmp_path_factory.mktemp("whole") / "recurrent.py"
    path.write_text(whole_cell(), encoding="utf-8")
    factory = load(path).cell
    return Audited(path, factory, gradients_of(factory), gradcheck.mutate(factory))


def gradients_of(factory):
    """The gradients at the default sizes."""
    target = factory.build(0, factory.sizes)
    return target.grads_at(target.values())


def test_every_bug_in_a_well_checked_backward_is_killed(audited):
    """A user would be told that a strong check is weak, or the other way round."""
    report = audited.report
    assert report.survived == ()
    assert report.score == 1.0
    assert report.ok
    assert len(report.killed) > 60
    assert {"wrong"} < {one.how for one in report.killed}
    assert "mutants killed (100%)" in str(report)
    assert {one.operator for one in report.mutations} == {one.name for one in OPERATORS}


def test_what_was_planted_is_taken_out(audited):
    """The user's module would go on with a bug in it, or their file would be changed."""
    again = gradients_of(audited.factory)
    assert all(np.array_equal(audited.right[name], gradient) for name, gradient in again.items())
    assert audited.path.read_text(encoding="utf-8") == whole_cell()


@pytest.mark.parametrize("others", [0.0, 5.0])
def test_rounding_of_a_gradient_of_zero_is_no_difference(others):
    """An edit that changes no gradient but by rounding would count as a bug that the check does not see."""
    original = {"w": np.zeros(3), "v": np.full(2, others)}
    rounded = original | {"w": np.full(3, 1e-16)}
    assert _mutate._distance(rounded, original) < _mutate.SAME_GRADIENT
    assert _mutate._distance(original | {"w": np.full(3, 1e-3)}, original) > _mutate.SAME_GRADIENT
    assert _mutate._distance(original | {"w": np.full(3, np.nan)}, original) == np.inf
    undefined = {"u": np.full(2, np.nan)}
    assert (
        _mutate._distance(undefined | original | {"w": np.full(3, 1e-3)}, undefined | original) > _mutate.SAME_GRADIENT
    )


def test_a_mutant_is_shown_as_a_diff(audited):
    """A survivor could not be found in the source."""
    one = next(one for one in audited.report.mutations if one.operator == "transpose" and "step.T" in one.before)
    assert one.after == 'grads["W"] += step @ dz'
    assert one.diff.splitlines()[0].startswith("--- a/")
    assert '-        grads["W"] += step.T @ dz' in one.diff.splitlines()
    assert one.line == 1 + whole_cell().splitlines().index('        grads["W"] += step.T @ dz')


def test_what_changes_no_gradient_leaves_the_count(small):
    """Changes of dead code would count as bugs that the check missed."""
    report = gradcheck.mutate(load(small("unused = dw * 2")).small)
    dead = [one for one in report.mutations if one.before == "unused = dw * 2"]
    assert dead
    assert {one.outcome for one in dead if "raises" not in one.how} == {"equivalent"}
    assert report.survived == ()


def test_a_bug_that_shows_at_larger_sizes_only_survives_and_it_is_said(small):
    """A user would not learn that their sizes are too small for what their code does at larger ones."""
    report = gradcheck.mutate(load(small(LARGER_ONLY)).small)
    survived = [one for one in report.survived if "else" in one.before]
    assert survived
    assert all("larger sizes would show it, such as T=35" in one.how for one in survived)
    assert report.score < 1
    assert not report.ok
    assert "survived" in str(report)


def test_a_bug_that_shows_from_other_parameters_only_is_told_so(small):
    """A user would not learn that what their factory draws hides a bug."""
    closer = "np.max(w**2) < 2.5 * np.mean(w**2)"  # where all are larger by one factor as well
    report = gradcheck.mutate(load(small(f"dw = dw * (1.0 if {closer} else 1.0)")).small)
    survived = [one for one in report.survived if "else" in one.before]
    assert survived
    assert {one.how for one in survived} == {"parameters further from those that the factory makes would show it"}


def test_a_mutant_that_hangs_is_counted(small, monkeypatch):
    """One bug that loops for ever would keep the audit from ending."""
    monkeypatch.setattr(_mutate, "LEAST_SECONDS", 1.0)
    monkeypatch.setattr(_mutate, "TIMEOUT_FACTOR", 0.0)
    report = gradcheck.mutate(load(small("k = len(dw)\n        while k > 0:\n            k -= 1")).small)
    assert "hangs" in Counter(one.how for one in report.killed)
    assert report.survived == ()


def test_a_mutant_that_ends_its_process_is_counted_and_the_others_go_on(small):
    """One bug that ends a worker would end the audit."""
    limit = "k = len(w)\n        if len(w) != k:\n            os._exit(1)"
    report = gradcheck.mutate(load(small(limit)).small, jobs=2)
    ways = Counter(one.how for one in report.killed)
    assert ways["ends the process"] == 1
    assert ways["wrong"] > 5
    assert report.untried == ()


def test_worker_processes_find_the_same(small):
    """The result would depend on the number of processes."""
    factory = load(small(LARGER_ONLY)).small
    alone, shared = gradcheck.mutate(factory), gradcheck.mutate(factory, jobs=2)
    assert {one.outcome for one in alone.mutations} >= {"killed", "survived", "equivalent"}
    assert [one.outcome for one in alone.mutations] == [one.outcome for one in shared.mutations]


def test_what_there_is_no_time_for_is_said(cell):
    """A part of the audit would pass for the whole."""
    report = gradcheck.mutate(load(cell()).cell, budget=0.05)
    assert report.untried
    assert f"{len(report.untried)} untried: the time was up" in str(report)


def test_a_backward_that_is_wrong_is_refused(cell):
    """A check that says wrong of everything would seem to be the strongest of all."""
    path = cell()
    path.write_text(path.read_text(encoding="utf-8").replace("step.T @ dz", "step.T @ dz * 2"), encoding="utf-8")
    with pytest.raises(
        gradcheck.TargetError, match="cell is wrong: the check must pass before its strength can be measured"
    ):
        gradcheck.mutate(load(path).cell)


def test_a_target_is_refused():
    """A plain target, which cannot be made anew, would be left with a bug's traces in it."""
    target = gradcheck.Target({"w": np.ones(2)}, lambda: 0.0, dict)
    with pytest.raises(gradcheck.TargetError, match="needs a factory"):
        gradcheck.mutate(target)


def test_code_without_source_is_refused():
    """Nothing would be planted, and nothing would survive."""
    names = {}
    body = CELL.replace("LIMIT", "pass").replace("EXTRA", "pass").replace("SIZES", "*, T=3, B=2, D=3, H=4")
    exec(compile(textwrap.dedent(body), "<nowhere>", "exec"), names)
    with pytest.raises(gradcheck.TargetError, match="source of its backward is not at hand"):
        gradcheck.mutate(names["cell"])


def test_the_command_tells_by_its_status(small, capsys):
    """CI could not fail on a check that has become weaker."""
    path, weak = small(), small(LARGER_ONLY, name="weak.py")
    assert cli.main(["mutate", str(path)]) == 0
    assert "✓ small:" in capsys.readouterr().out
    assert cli.main(["mutate", f"{weak}::small", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["score"] < 1
    assert {"survived"} <= {one["outcome"] for one in found["mutations"]}
    assert cli.main(["mutate", f"{path}::none"]) == 2
    assert cli.main(["mutate", str(path), "--budget", "0.0001"]) == 3


@pytest.mark.parametrize("budget", ["0", "-1", "soon"])
def test_a_budget_that_is_none_is_refused(cell, budget, capsys):
    """A slip would try nothing, and say so only at the end."""
    with pytest.raises(SystemExit):
        cli.main(["mutate", str(cell()), "--budget", budget])
    assert "expected a number of seconds above 0" in capsys.readouterr().err


def test_pytest_plants_bugs_too(pytester):
    """`--gradcheck-mutate` would do nothing, or fail without a word of what survived."""
    pytester.makepyfile(weak=SMALL.replace("LIMIT", LARGER_ONLY))
    pytester.makeini("[pytest]\ngradcheck_files = weak.py\naddopts = -p no:benchmark -p no:cacheprovider")
    result = pytester.runpytest_subprocess("--gradcheck-mutate", "weak.py")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*survived (number)*larger sizes would show it*", "*mutants killed*"])


def test_an_audit_that_is_profiled(small):
    """`mutate` under cProfile would end in an error, or end the profile."""
    factory, outer = load(small()).small, cProfile.Profile()

    def later():
        pass

    outer.enable()
    try:
        report = gradcheck.mutate(factory)
        later()
    finally:
        outer.disable()
    assert report.killed
    assert later.__code__ in {entry.code for entry in outer.getstats()}


@pytest.mark.parametrize("mark", ["\x0c", "\x1c", "\u2028"])
def test_a_form_feed_hides_nothing(cell, mark):
    """A file with such a character would have no bugs to plant, or they would be shown at wrong lines."""
    path = cell()
    before = path.read_text(encoding="utf-8")
    path.write_text(f"NOTE = '''{mark}'''\n" + before, encoding="utf-8")
    report = gradcheck.mutate(load(path).cell, budget=0.01)
    assert len(report.mutations) > 60
    lines = path.read_text(encoding="utf-8").split("\n")
    assert all(lines[one.line - 1].strip() == one.before for one in report.mutations)


def test_a_mutant_is_shown_in_the_style_of_the_file(cell):
    """A diff would show changes of quotes and spaces that nobody planted."""
    report = gradcheck.mutate(load(cell(extra='grads["b"]+=0*(dz.sum(axis=0))')).cell, budget=0.01)
    planted = [one for one in report.mutations if one.before.startswith('grads["b"]+=')]
    assert 'grads["b"]=0*(dz.sum(axis=0))' in [one.after for one in planted if one.operator == "= for +="]
    assert "grads['b']" not in "".join(one.after for one in planted)


KERNEL = """
import ctypes
import os
import numpy as np
import gradcheck


def copied(x):
    n = 8 * x.size
    out = np.zeros_like(x)
    if n != x.nbytes:
        os.kill(os.getpid(), 11)  # as it ends if the length is wrong
    ctypes.memmove(out.ctypes.data, x.ctypes.data, n)
    return out


@gradcheck.target
def net(rng, *, N=3):
    w = rng.standard_normal(N)

    def grads():
        dw = 2 * copied(w)
        return {"w": dw}

    return gradcheck.Target({"w": w}, lambda: float(np.sum(w ** 2)), grads)
"""


@pytest.mark.parametrize("how", [{}, {"isolated": True}])
def test_a_mutant_that_crashes_in_c_is_an_outcome(tmp_path, how):
    """The session that measures a check would be lost, or bugs be planted in what is handed to C."""
    path = tmp_path / "kernel.py"
    path.write_text(KERNEL, encoding="utf-8")
    report = gradcheck.mutate(load(path).net, **how)
    ways = Counter(one.how for one in report.killed)
    assert ways["ends the process"] >= 1
    assert ways["wrong"] >= 1
    assert report.survived == ()
    assert not any("memmove" in one.before for one in report.mutations)
