"""The order in which repairs are tried, and what is told where none is verified."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gradcheck._common.errors import TargetError
from gradcheck._repair import strategies
from gradcheck._repair.by_running import PartialRepair
from gradcheck._repair.by_value import Repair
from gradcheck._repair.strategies import MOST_UNMENDED, Case, find_repair
from gradcheck._tracing.faults import Fault
from gradcheck._usercode.patching import Edit
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.source import Source
from gradcheck.report.evidence import Label

FILE = "cell.py"
SOURCE = "a = 1\nb = 2\nc = 3\nd = 4\n"
BODY = ast.parse(SOURCE).body
STATEMENTS = [Statement(FILE, node, ast.unparse(node), "backward") for node in BODY]


def one(number: int, text: str = "0") -> tuple[Statement, Edit]:
    """An edit of the value of a statement."""
    return STATEMENTS[number], Edit((number + 1, 4), (number + 1, 5), text)


def repair(number: int, *texts: str) -> Repair:
    """What the trace found at a statement, with an edit for each text."""
    value = {(number, 0): np.ones(2)}
    fault = Fault(STATEMENTS[number], value, value, Label("x"), blocks=("W",))
    return Repair([one(number, text) for text in texts], ("W",), fault)


class FakeSearch:
    """A search by running that finds what it is told to find."""

    def __init__(self, single: Any = (), chain: Any = (), left: Any = (), scaling: Any = ()) -> None:
        self.places: list[Any] = []
        self.asked: list[str] = []
        self._single, self._chain, self._left, self._scaling = single, chain, left, scaling

    def limited_to_share(self, share: float) -> AbstractContextManager[None]:
        self.asked.append(f"share {share}")
        return nullcontext()

    def limited_to_runs(self, runs: int) -> AbstractContextManager[None]:
        self.asked.append(f"runs {runs}")
        return nullcontext()

    def single(self, tiers: Any = None) -> Iterator[PartialRepair]:
        self.asked.append("single" if tiers is None else "exchange")
        return iter(self._single)

    def chain(self) -> list[PartialRepair]:
        return list(self._chain)

    def wrong(self, _: Any) -> tuple[str, ...]:
        return tuple(self._left)

    def step(self, *_: Any, **__: Any) -> None:
        return None

    def scaling(self, *_: Any) -> Iterator[PartialRepair]:
        return iter(self._scaling)


def step(number: int, text: str = "0", rest: tuple[str, ...] = ()) -> PartialRepair:
    """One edit found by running."""
    return PartialRepair([one(number, text)], ("W",), rest)


def case(traced: list[Repair], search: FakeSearch, accepted: Any, wrong: tuple[str, ...] = ("W", "b")) -> Case:
    """A case whose whole check is content with these edits, given as (line, text)."""
    program = SimpleNamespace(sources={FILE: Source(FILE, SOURCE)}, codes={})
    trace: Any = SimpleNamespace(program=program, stop_dividing=lambda: None)

    def content(patch: Any, _: Any, still_wrong: Any, laws: Any) -> bool:
        edits = {(edit.start[0] - 1, edit.text) for _, edit in patch.chosen}
        return bool(accepted(edits, still_wrong, laws))

    return Case(trace, search, content, wrong, traced)  # type: ignore[arg-type]


def exactly(*edits: tuple[int, str]) -> Any:
    """Content with just these edits."""
    return lambda found, *_: found == set(edits)


def test_edits_by_value_are_verified_first() -> None:
    """The search by running, which takes seconds, would be asked for what is known."""
    search = FakeSearch(single=[step(1)])
    found = find_repair(case([repair(0, "5", "6")], search, exactly((0, "6"))), 1.0)
    assert found.patch is not None
    assert [edit.text for _, edit in found.patch.chosen] == ["6"]
    assert search.asked == []


def test_two_faults_may_be_one_exchange() -> None:
    """Two lines would be accused where the arguments of one call are exchanged."""
    search = FakeSearch(single=[step(2)])
    found = find_repair(case([repair(0, "5"), repair(1, "5")], search, exactly((2, "0"))), 1.0)
    assert [one.alternatives[0][0] for one in found.repairs] == [STATEMENTS[2]]
    assert search.asked[0:2] == [f"runs {strategies.FEW_RUNS}", "exchange"]


def test_another_line_may_explain_as_much() -> None:
    """A fault whose first edit is not verified would go without a fix, though a rival has one."""
    first = repair(0, "5")
    first.instead = [repair(1, "7")]
    found = find_repair(case([first], FakeSearch(), exactly((1, "7"))), 1.0)
    assert found.repairs == first.instead


def test_a_single_edit_is_looked_for_by_running() -> None:
    """What cannot be judged by value would go without a fix; or lose what the trace says of the same line."""
    traced = [repair(0)]
    found = find_repair(case(traced, FakeSearch(single=[step(0, "9")]), exactly((0, "9"))), 1.0)
    assert found.patch is not None
    assert found.repairs[0].fault is traced[0].fault
    elsewhere = find_repair(case(traced, FakeSearch(single=[step(1, "9")]), exactly((1, "9"))), 1.0)
    assert elsewhere.repairs[0].fault is None


def test_a_chain_may_leave_gradients_wrong() -> None:
    """What is mended in part would not be told at all, or be told as mended whole."""
    chain = [step(0, "8", ("b",))]
    found = find_repair(case([], FakeSearch(chain=chain), lambda _, rest, __: rest == ("b",)), 1.0)
    assert (found.still_wrong, len(found.repairs)) == (("b",), 1)


def test_edits_of_the_trace_that_mend_as_much_as_a_chain_are_preferred() -> None:
    """A longer chain would be shown where the trace knows the line; or the fault without an edit be forgotten."""
    traced = [repair(1), repair(0, "5")]
    search = FakeSearch(chain=[step(2, "8", ("b",))], left=("b",))
    found = find_repair(case(traced, search, exactly((0, "5"))), 1.0)
    assert found.repairs == traced
    assert found.still_wrong == ("b",)


def test_without_a_verified_patch_only_the_first_faults_are_told() -> None:
    """Lines would be accused that only follow from others."""
    traced = [repair(i % 4) for i in range(MOST_UNMENDED + 2)]
    found = find_repair(case(traced, FakeSearch(), lambda *_: False), 1.0)
    assert found.repairs == traced[:MOST_UNMENDED]
    assert found.patch is None


@pytest.mark.parametrize("error", [TargetError("no"), SyntaxError("no")])
def test_code_that_does_not_run_is_no_repair(error: Exception) -> None:
    """A wrong edit would end the search."""

    def raising(*_: Any) -> bool:
        raise error

    assert find_repair(case([repair(0, "5")], FakeSearch(), raising), 1.0).patch is None


def test_a_common_factor_is_taken_out_on_top() -> None:
    """A factor of all gradients would stay, or be mended in the place of the other mistakes."""
    search = FakeSearch(scaling=[step(3, "4 / T")])
    found = find_repair(
        case([repair(0, "5")], search, lambda edits, _, laws: bool(laws) == ((3, "4 / T") in edits)), 3.0
    )
    assert found.patch is not None
    assert len(found.patch.chosen) == 2
    assert [one.kind for one in found.repairs] == ["line", "reduction"]


def test_a_common_factor_waits_for_the_other_mistakes() -> None:
    """A factor would be taken out of gradients that are wrong besides, where nothing can be verified."""
    search = FakeSearch(scaling=[step(3, "4 / T")])
    assert find_repair(case([repair(0)], search, lambda _, __, laws: bool(laws)), 3.0).patch is None
    alone = find_repair(case([], search, lambda _, __, laws: bool(laws), wrong=()), 3.0)
    assert alone.patch is not None
