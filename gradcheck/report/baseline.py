"""What is kept of reports in a repository, and what has become less since."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from gradcheck._common.printable import printable
from gradcheck.report.records import Block, ReportRecord

#: names what the file is; it never changes
SCHEMA = "gradcheck.baseline"
VERSION = 1
#: a sensitivity so many times weaker is told
WEAKER = 10.0
#: what the scheme of a report is called that differentiates by complex steps
_COMPLEX = "complex"

#: of one check: scheme, laws that hold, gradients
Entry: TypeAlias = dict[str, Any]
#: by test, and by name of the target
Entries: TypeAlias = dict[str, dict[str, Entry]]


class BaselineError(ValueError):
    """The text is no baseline; the message says why."""


def entry_of(report: ReportRecord) -> Entry:
    """What is kept of a report: only what the same code gives again, so that the file changes where that does."""
    return {
        "scheme": report.scheme,
        "laws": sorted(law.name for law in report.laws.values() if law.is_shown),
        "gradients": {name: _kept(block) for name, block in sorted(report.blocks.items())},
    }


def write_baseline(entries: Mapping[str, Mapping[str, Entry]]) -> str:
    """The text of the file: sorted, a line a gradient, so that a diff of it says what changed."""
    tests = [
        f"  {json.dumps(test)}: {{\n{_joined(_target(name, entry) for name, entry in sorted(targets.items()))}\n  }}"
        for test, targets in sorted(entries.items())
    ]
    return f'{{\n "schema": "{SCHEMA}",\n "version": {VERSION},\n "tests": {{\n{_joined(tests)}\n }}\n}}\n'


def read_baseline(text: str) -> Entries:
    """The entries of a file.

    Raises:
        BaselineError: If the text is no baseline, or one of a later version.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise BaselineError(f"no JSON: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise BaselineError(f'expected "schema": "{SCHEMA}"')
    if data.get("version") != VERSION:
        raise BaselineError(f"version {data.get('version')!r}: this gradcheck reads version {VERSION}")
    tests = data.get("tests")
    if not isinstance(tests, dict) or not all(_is_well_formed(entry) for entry in _entries(tests)):
        raise BaselineError('expected "tests": by test and target, "scheme", "laws" and "gradients"')
    return tests


def losses(kept: Entries, now: Entries, *, is_complete: bool) -> list[str]:
    """What was right or asked for and is not any more, one line each.

    Args:
        kept: The baseline.
        now: The checks of this run.
        is_complete: Whether this run had all tests: then a check that is missing is lost.
    """
    found = []
    for test, targets in sorted(kept.items()):
        for name, entry in sorted(targets.items()):
            where = test if test.endswith(f"::{name}") else f"{test}: {name}"
            new = now.get(test, {}).get(name)
            if new is not None:
                found += [f"{where}: {what}" for what in _lost(entry, new)]
            elif (is_complete or test in now) and _right(entry):
                found.append(f"{where}: is no longer checked; right before: {', '.join(_right(entry))}")
    return [printable(one) for one in found]


def news(kept: Entries, now: Entries) -> int:
    """How many gradients of this run are right and not in the baseline."""
    return sum(
        name not in _right(kept.get(test, {}).get(target, {}))
        for test, targets in now.items()
        for target, entry in targets.items()
        for name in _right(entry)
    )


def count_right(entries: Entries) -> tuple[int, int]:
    """How many gradients are right, and how many checks there are."""
    every = list(_entries(entries))
    return sum(len(_right(entry)) for entry in every), len(every)


def describe_comparison(
    found: Sequence[str], kept: Entries, now: Entries, path: str, *, is_complete: bool
) -> list[str]:
    """What a comparison found, a line each, and how to accept it."""
    accept = f"pytest --gradcheck --gradcheck-save={path}"
    right, checks = count_right(kept)
    if found:
        lines = [
            f"{len(found)} {'thing is' if len(found) == 1 else 'things are'} worse than in {path}:",
            *(f"- {one}" for one in found),
            f"mend what is lost; or accept it with {accept}, and commit the file",
        ]
    else:
        lines = [f"nothing is worse than in {path}: {right} right gradients of {checks} check{'s' * (checks != 1)}"]
    left_out = sum(test not in now for test in kept)
    if left_out and not is_complete:
        lines.append(f"{left_out} of its {len(kept)} tests were not part of this run")
    if new := news(kept, now):
        lines.append(f"{new} right gradient{'s are' if new > 1 else ' is'} not in it yet: keep them with {accept}")
    return lines


def merged(kept: Entries, now: Entries, *, is_complete: bool) -> Entries:
    """What is to be kept from now on: after a run of some tests alone, the others stay as they were."""
    return now if is_complete else {**kept, **now}


# -- one check ---------------------------------------------------------------------------------------------------------


def _lost(kept: Entry, now: Entry) -> Iterator[str]:
    """What one check has lost."""
    if _COMPLEX in kept["scheme"] and _COMPLEX not in now["scheme"]:
        how = f"{now['scheme']} differences" if now["scheme"] else "no differences"
        yield f"complex steps fell back to {how}: does the loss still take complex numbers?"
    gone = [law for law in kept["laws"] if law not in now["laws"]]
    if gone:
        laws, are = ("law", "is") if len(gone) == 1 else ("laws", "are")
        yield f"{laws} {', '.join(gone)} held, and {are} now broken or not asked"
    for name, was in kept["gradients"].items():
        if was["verdict"] == "right":
            yield from _gradient_lost(name, was, now["gradients"].get(name))


def _gradient_lost(name: str, was: dict[str, Any], now: dict[str, Any] | None) -> Iterator[str]:
    if now is None:
        yield f"the gradient of {name} was right, and is gone"
    elif now["verdict"] != "right":
        yield f"the gradient of {name} was right, and is {now['verdict']}"
    elif _is_weaker(was["sensitivity"], now["sensitivity"]):
        sees = "nothing is promised now" if now["sensitivity"] is None else f"now {now['sensitivity']:.1e}"
        yield f"the gradient of {name}: errors of {was['sensitivity']:.1e} were seen, {sees}"


def _is_weaker(was: float | None, now: float | None) -> bool:
    return was is not None and (now is None or now > WEAKER * was)


def _right(entry: Entry) -> list[str]:
    return [name for name, one in entry.get("gradients", {}).items() if one["verdict"] == "right"]


# -- the file ----------------------------------------------------------------------------------------------------------


def _kept(block: Block) -> dict[str, Any]:
    """Two digits of the sensitivity: the others differ from machine to machine."""
    seen = block.sensitivity
    told = float(f"{seen:.1e}") if seen is not None and math.isfinite(seen) else None
    return {"verdict": block.verdict, "sensitivity": told}


def _target(name: str, entry: Entry) -> str:
    gradients = _joined(f"     {json.dumps(one)}: {json.dumps(held)}" for one, held in entry["gradients"].items())
    laws = json.dumps(entry["laws"])
    inner = (
        f'    "scheme": {json.dumps(entry["scheme"])},\n    "laws": {laws},\n    "gradients": {{\n{gradients}\n    }}'
    )
    return f"   {json.dumps(name)}: {{\n{inner}\n   }}"


def _joined(parts: Iterator[str] | Sequence[str]) -> str:
    return ",\n".join(parts)


def _entries(tests: Mapping[str, Any]) -> Iterator[Entry]:
    for targets in tests.values():
        yield from targets.values() if isinstance(targets, dict) else [{}]


def _is_well_formed(entry: Any) -> bool:
    if not (isinstance(entry, dict) and isinstance(entry.get("scheme"), str) and isinstance(entry.get("laws"), list)):
        return False
    gradients = entry.get("gradients")
    return isinstance(gradients, dict) and all(
        isinstance(one, dict)
        and isinstance(one.get("verdict"), str)
        and (one.get("sensitivity") is None or isinstance(one["sensitivity"], (int, float)))
        and "sensitivity" in one
        for one in gradients.values()
    )
