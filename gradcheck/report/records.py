"""What a check found out: plain records of builtin types, ready for JSON, a terminal or another process."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, NamedTuple, TypeAlias

from gradcheck._common.cells import format_place
from gradcheck._common.printable import printable
from gradcheck._common.verdict import Verdict
from gradcheck.report.evidence import Evidence, FindingRecord
from gradcheck.report.finding_phrases import describe

#: names what a report as data is; it never changes
SCHEMA = "gradcheck.report"
#: grows where a field changes its meaning or goes; a new field alone leaves it
VERSION = 1
#: what can be cut short: what says more of wrong gradients, and the search for lines and edits
CutStage: TypeAlias = Literal["entries", "sizes", "smallest", "lines", "verifying"]


class Worst(NamedTuple):
    """The entry where the two gradients are farthest apart."""

    index: tuple[int, ...]  # type: ignore[assignment]  # hides tuple.index, which nobody asks a Worst for
    analytic: float
    numerical: float


@dataclass(frozen=True)
class Block:
    """One parameter's gradient, judged.

    `error` is |analytic - numerical| relative to the gradient's norm, `error_bar` what the comparison
    could resolve, `sensitivity` the size of an error that would have been missed with a probability of at most 1e-6,
    all in the same measure. `worst` is None where no single entry was differenced. `factor` is a factor common to
    every gradient (see the law "reduction") that was divided out before judging; 1.0 otherwise. `where` says which
    part of a wrong gradient is wrong, if it is right elsewhere.
    """

    name: str
    shape: tuple[int, ...]
    verdict: Verdict
    error: float | None = None
    error_bar: float | None = None
    sensitivity: float | None = None
    worst: Worst | None = None
    message: str = ""
    factor: float = 1.0
    where: str = ""


@dataclass(frozen=True)
class Law:
    """Something every backward obeys, whatever it computes; `breach` is the verdict that breaking it leads to.

    `holds` is false only where it is broken. Where it could not be asked, `tested` is false: nothing is known of it
    then, and `message` says why.
    """

    name: str
    holds: bool
    message: str
    breach: Verdict = "wrong"
    tested: bool = True

    @property
    def is_shown(self) -> bool:
        """Whether it was asked and holds."""
        return self.holds and self.tested

    @classmethod
    def untested(cls, name: str, reason: str) -> Law:
        """A law that could not be asked."""
        return cls(name, True, reason, tested=False)


class Finding(FindingRecord):
    """One thing that is wrong: what it is as data (`code`, `evidence`), and in words (`headline`, `message`)."""

    @property
    def kind(self) -> str:
        """The word for it before there were codes; of a line, what the gradients look like that it spoils."""
        return (self.symptom or self.code).kind

    @property
    def headline(self) -> str:
        """What is wrong, in short."""
        return describe(self)[0]

    @property
    def message(self) -> str:
        """What is wrong, why, and what shows it: one sentence that begins with the headline."""
        return "".join(describe(self))

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        from gradcheck.report.finding_html import finding_to_html
        from gradcheck.report.stylesheet import scoped

        return scoped(finding_to_html(self))

    def __repr__(self) -> str:
        """In short: the code, the place, the headline."""
        at = f" at {format_place(self.file, self.line)}" if self.file is not None and self.line is not None else ""
        return printable(f"<Finding {self.code}{at}: {self.headline}>")

    def to_dict(self) -> dict[str, Any]:
        """The finding as builtins, its words and the kind of each evidence included."""
        told = {"code": self.code, "kind": self.kind, "headline": self.headline, "message": self.message}
        result: dict[str, Any] = _plain(told) | _fields(self)
        return result


@dataclass(frozen=True)
class Trial:
    """The outcome at one set of sizes: its verdict, the wrong gradients, and what else is to be said."""

    sizes: dict[str, int]
    verdict: Verdict
    wrong: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class Cut:
    """Work that was left undone when its time was up, or at Ctrl-C; no verdict rests on it.

    `seconds` is the time that there was for it, None if there was no limit; `left` is how many sizes were not tried.
    """

    stage: CutStage
    seconds: float | None = None
    is_interrupt: bool = False
    left: int = 0


@dataclass(frozen=True)
class ReportRecord:
    """Everything a check found out, as data; `gradcheck.report.report.Report` adds the forms in which it is read."""

    name: str
    verdict: Verdict
    blocks: dict[str, Block]
    laws: dict[str, Law]
    findings: tuple[Finding, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    smallest: dict[str, int] | None = None
    trials: tuple[Trial, ...] = ()
    scheme: str = ""
    seed: int = 0
    full: bool = False
    evaluations: int = 0
    seconds: float = 0.0
    doc: str = ""
    #: what else is to be said, a line each
    notes: tuple[str, ...] = ()
    #: the laws that were left out because that was asked for
    laws_not_asked: tuple[str, ...] = ()
    #: what was left undone, since the time for it was up
    cuts: tuple[Cut, ...] = ()
    #: by file, the edits that together make everything right that was found, if there are any: each replaces
    #: the text from (line, byte) to (line, byte)
    patch: dict[str, list[tuple[int, int, int, int, str]]] = field(default_factory=dict)
    #: the lines that `patch` touches, as they were when they were checked: file, number, text
    patch_lines: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True only when every gradient is right and every law holds."""
        return self.verdict == "right"

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C cut it short once the verdict was known."""
        return any(cut.is_interrupt for cut in self.cuts)

    @property
    def exit_status(self) -> int:
        """0 all right, 1 something wrong, 3 nothing wrong but not all verified."""
        return {"right": 0, "wrong": 1}.get(self.verdict, 3)

    def to_dict(self) -> dict[str, Any]:
        """The report as builtins: dicts, lists, strings, numbers, booleans and None."""
        return {"schema": SCHEMA, "version": VERSION, "ok": self.ok, **_fields(self)}

    def to_json(self, *, indent: int | None = 2) -> str:
        """The report as JSON; numbers that are not finite become null."""
        return json.dumps(_finite(self.to_dict()), indent=indent, allow_nan=False)


def _fields(record: Any) -> dict[str, Any]:
    """The fields of a record as builtins."""
    return {one.name: _plain(getattr(record, one.name)) for one in dataclasses.fields(record)}


def _plain(value: Any) -> Any:
    """Builtins all the way down."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Worst):
        return _plain(value._asdict())
    if isinstance(value, Finding):
        return value.to_dict()
    if isinstance(value, Evidence):
        return {"kind": value.kind, **_fields(value)}
    if dataclasses.is_dataclass(value):
        return _fields(value)
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
