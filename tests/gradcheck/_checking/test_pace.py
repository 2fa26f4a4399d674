"""The verdict comes first, then as much as there is time for."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from operator import getitem
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Report, Target, TargetError, check
from gradcheck._checking.pace import Headway, Pace, TimeTable
from gradcheck._common import clock
from gradcheck._repair import explain, likeliest_mend, next_fault
from tests.gradcheck._checking.small_nets import network, squares

pytestmark = pytest.mark.lines


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [0.0]
    monkeypatch.setattr(clock, "now", partial(getitem, now, 0))
    return now


def passing(now: list[float], seconds: float = 1.0) -> Callable[[], None]:
    """Lets time pass."""

    def wait() -> None:
        now[0] += seconds

    return wait


def test_without_a_cut_the_report_is_that_of_no_limit() -> None:
    """The same seed would give another report, for nothing but a limit that is never reached."""
    reports = [check(network(), budget=budget).to_dict() for budget in (30.0, None)]
    for report in reports:
        del report["seconds"]
    assert reports[0] == reports[1]
    assert reports[0]["cuts"] == []
    assert reports[0]["findings"][0]["fix"]["verified"]


def test_the_verdict_comes_before_any_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits would not know what is known."""
    told: list[Report] = []
    looked: list[int] = []
    found = explain.find_by_tape
    monkeypatch.setattr(explain, "find_by_tape", lambda *all_, **more: looked.append(len(told)) or found(*all_, **more))
    report = check(network(), on_verdict=told.append)
    assert looked == [1]
    assert (told[0].verdict, told[0].blocks, told[0].laws) == (report.verdict, report.blocks, report.laws)
    assert all(finding.line is None for finding in told[0].findings)


def test_of_what_is_right_nothing_is_told_twice() -> None:
    """The report would be printed in two halves, for no reason."""
    told: list[Report] = []
    check(squares(2.0), on_verdict=told.append)
    assert told == []


def test_a_slow_loss_gets_its_verdict_and_an_end(time: list[float]) -> None:
    """A loss of a second would be looked at for an hour, and end in nothing."""
    report = check(network(passing(time)), budget=3.0)
    assert report.verdict == "wrong"
    assert (report.blocks["W"].verdict, report.blocks["b"].verdict) == ("wrong", "right")
    assert {cut.stage for cut in report.cuts} >= {"sizes", "smallest"}
    assert {(cut.seconds, cut.is_interrupt) for cut in report.cuts} == {(3.0, False)}
    assert next(cut.left for cut in report.cuts if cut.stage == "sizes") + len(report.trials) - 1 == 6
    assert "as its time of 3 s was up" in str(report)
    assert report.laws["reduction"].holds  # which is told from the entries, and a sweep tells these
    assert "Go on with --budget 12 (budget=12 in Python)" in " ".join(str(report).split())


def test_what_is_right_so_far_is_tried_at_all_sizes(time: list[float]) -> None:
    """Something would be called right that nobody has looked at to the end."""

    @gradcheck.target
    def right(rng: np.random.Generator, *, N: int = 4) -> Target:
        w = rng.standard_normal(N)

        def loss() -> float:
            time[0] += 1.0
            return float(np.sum(w**2))

        return Target({"w": w}, loss, lambda: {"w": 2 * w})

    report = check(right, budget=0.5)
    assert report.ok
    assert report.cuts == ()
    assert len(report.trials) == 5


@pytest.mark.parametrize(("room", "stage"), [(likeliest_mend, "MendSearch"), (next_fault, "localise")])
def test_ctrl_c_while_lines_are_looked_for_keeps_the_verdict(
    room: Any, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was known would be lost; or the search would go on; or something of the user's would stay changed."""

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(room, stage, interrupted)
    monkeypatch.setattr(explain, "why_none_found", lambda *_: pytest.fail("the search went on"))
    empty = np.empty
    report = check(network())
    assert (report.verdict, report.exit_status, report.is_interrupted) == ("wrong", 1, True)
    assert [cut.stage for cut in report.cuts] == ["lines"]
    assert "not finished, interrupted: the search for lines and edits" in str(report)
    assert np.empty is empty


def test_ctrl_c_in_the_users_code_puts_everything_back() -> None:
    """Weights would stay perturbed, or functions edited, in the session that goes on."""
    params = {"w": np.arange(1.0, 4.0)}
    before, asked = params["w"].copy(), [0]

    def loss() -> float:
        asked[0] += 1
        return float(np.sum(params["w"] ** 2))

    def grads() -> dict[str, Any]:
        dw = 3 * params["w"]
        return {"w": dw}

    codes = loss.__code__, grads.__code__
    usual = check(Target(params, loss, grads))
    whole, verdicts = asked[0], []
    told: list[int] = []
    check(Target(params, loss, grads), on_verdict=lambda _: told.append(asked[0]))
    for moment in range(told[0] - whole, whole, max(1, whole // 12)):
        asked[0] = 0
        plain = loss

        def cut_short(moment: int = moment, plain: Callable[[], float] = plain) -> float:
            if asked[0] == moment:
                raise KeyboardInterrupt
            return plain()

        report = check(Target(params, cut_short, grads))
        verdicts.append(report.verdict)
        assert np.array_equal(params["w"], before)
        assert (loss.__code__, grads.__code__) == codes
    assert set(verdicts) == {usual.verdict}


def test_ctrl_c_once_something_is_wrong_ends_all_that_is_left() -> None:
    """Ctrl-C would end the trials at other sizes, and the search for lines would begin."""
    asked, whole = [0], [10**9]

    def count() -> None:
        asked[0] += 1
        if asked[0] == whole[0]:
            raise KeyboardInterrupt

    told: list[tuple[str, int]] = []
    check(network(count), explain=True, progress=lambda stage, _: told.append((stage, asked[0])))
    first_trial = next(count for stage, count in told if stage.startswith("trying"))
    asked[0], whole[0] = 0, first_trial + 5
    report = check(network(count))
    assert (report.verdict, report.is_interrupted) == ("wrong", True)
    assert [cut.stage for cut in report.cuts] == ["sizes", "smallest", "lines"]
    assert asked[0] == whole[0]


def test_ctrl_c_before_the_verdict_is_one() -> None:
    """Ctrl-C would give a verdict on what was not looked at."""

    def loss() -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(Target({"w": np.ones(2)}, loss, lambda: {"w": np.ones(2)}))


def test_what_was_found_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Edits that were found and not verified would be lost, or pass for verified."""

    def late(*_: Any) -> bool:
        raise clock.TimeUpError

    monkeypatch.setattr(explain, "_accepts", late)
    report = check(network())
    (finding,) = report.findings
    assert finding.line is not None
    assert finding.fix is not None
    assert not finding.fix.verified
    assert report.patch == {}
    assert [cut.stage for cut in report.cuts] == ["verifying"]
    assert "the verification of the edits" in str(report)


def test_what_was_cut_is_data() -> None:
    """A tool would have to read a sentence."""
    cuts = json.loads(check(network(), budget=0.0).to_json())["cuts"]
    assert {"stage": "lines", "seconds": 0.0, "is_interrupt": False, "left": 0} in cuts


def test_no_explanation_is_no_cut() -> None:
    """Who asks for the verdict alone would be told that it is not finished."""
    report = check(network(), explain=False, budget=0.0)
    assert (report.verdict, report.cuts, report.findings) == ("wrong", (), ())
    assert len(report.trials) == 7


@pytest.mark.parametrize("budget", [-1.0, float("nan")])
def test_a_budget_that_is_no_time_is_refused(budget: float) -> None:
    """A slip would look for no line, and say so only at the end."""
    with pytest.raises(TargetError, match="expected seconds, of at least 0, or None"):
        check(squares(2.0), budget=budget)


def test_what_is_left_is_estimated(time: list[float]) -> None:
    """Whoever waits would not know for how long; or be told of time that details do not get."""
    pace = Pace(expected=30.0)
    assert pace.left(0) is None
    time[0] = 5.0
    assert pace.left(10) == 10.0
    pace.limited, pace.limit = 16.0, 3.0
    assert pace.left(10) == 2.0 + 3.0
    assert pace.left(30) is None


def test_progress_tells_what_is_wrong_before_the_table(time: list[float]) -> None:
    """A slow loss would be silent until all of its gradients are judged."""
    told: list[Any] = []
    check(network(passing(time)), budget=3.0, progress=lambda stage, _: told.append(stage))
    news = list(dict.fromkeys(stage.news for stage in told if getattr(stage, "news", "")))
    assert news[:1] == ["first look"]
    assert news[-1] == "all judged"
    assert any(stage.left for stage in told if stage.news == "all judged")
    assert next(stage.left for stage in told if stage == "looking for the lines") == 3.0


def test_what_cannot_be_run_is_not_counted() -> None:
    """The cost of a check would have losses of sizes at which nothing was found."""
    told: list[tuple[str, int]] = []
    headway = Headway(lambda stage, count: told.append((str(stage), count)), TimeTable(None), has_limits=False)

    def raising(tick: Callable[[], None]) -> tuple[None, int]:
        tick()
        raise TargetError("outside of the domain")

    headway.counted("trying T=1", lambda tick: (tick(), 1))
    with pytest.raises(TargetError):
        headway.counted("trying T=2", raising)
    assert headway.evaluations == 1
    assert told == [("trying T=1", 1), ("trying T=2", 2)]
