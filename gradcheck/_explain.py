"""From a failed check to findings with a line: what is traced at which sizes, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from gradcheck._adjoints import OutOfTimeError
from gradcheck._causes import CommonFactor, factor_at
from gradcheck._errors import TargetError
from gradcheck._repair import Mend, Patch, chains, changed_lines, diff, mends, mends_by_run
from gradcheck._report import Finding, Fix
from gradcheck._rewrite import Statement
from gradcheck._sizes import Sizes, TargetFactory
from gradcheck._target import Target, Values, _VjpTarget
from gradcheck._trace import Fault, NoSourceError, Trace

#: seconds for edits that are judged by value, and by running the backward
BY_VALUE, BY_RUN = 3.0, 3.0
#: how much larger weights and cotangents are made where a clip hides at the usual scale
LARGER = (64.0, 1024.0)


@dataclass
class Explanation:
    """What the trace found; `patch` is the verified chain of edits that mends everything found, if there is one."""

    findings: list[Finding] = field(default_factory=list)
    patch: Patch | None = None
    evaluations: int = 0
    note: str = ""


def sizes_to_trace(factory: TargetFactory) -> Iterator[Sizes]:
    """Small sizes, no two of them equal; then the defaults."""
    small = dict(factory.sizes)
    free = sorted((name for name in small if name not in factory.pinned), key=lambda name: small[name])
    taken = {small[name] for name in factory.pinned}
    value = 2
    for name in free:
        while value in taken:
            value += 1
        small[name] = value
        value += 1
    yield small
    if factory.sizes != small:
        yield dict(factory.sizes)


def explain(
    subject: Target | TargetFactory,
    seed: int,
    common: CommonFactor | None,
    failing: Sizes,
    hidden: bool,
    content: Callable[[Patch, Trace], bool],
) -> Explanation:
    """Trace the backward where it is wrong; `hidden`: it is wrong only where weights or cotangents are large."""
    if isinstance(subject, Target):
        return _at(subject, seed, 1.0 if common is None else common.value, hidden, content)
    tried: list[Sizes] = []
    result = Explanation()
    for sizes in [*sizes_to_trace(subject), failing]:
        if sizes in tried:
            continue
        tried.append(sizes)
        try:
            target = subject.build(seed, sizes)
            divisor = 1.0 if common is None else factor_at(common.label, sizes)
        except (TargetError, StopIteration):
            continue
        result = _at(target, seed, divisor, hidden, content)
        if result.findings:
            break
    return result


def _at(
    target: Target, seed: int, divisor: float, hidden: bool, content: Callable[[Patch, Trace], bool]
) -> Explanation:
    with target.preserved():
        target.begin(np.random.default_rng([seed, 1]))
        for base in _points(target, hidden):
            try:
                with Trace(target, divisor, base) as trace:
                    faults = trace.faults()
                    found = mends(trace, faults, BY_VALUE)
            except NoSourceError as error:
                return Explanation(note=str(error))
            except OutOfTimeError:
                return Explanation(note="the backward was not traced: the loss takes too long")
            if not faults:
                continue
            mends_by_run(trace, found, BY_RUN)
            patch = _verified(found, trace, content)
            findings = [_finding(mend, trace, patch) for mend in found]
            return Explanation(findings, patch, trace.evaluations)
    return Explanation(note=_hidden(trace))


def _points(target: Target, hidden: bool) -> Iterator[Values]:
    """Where to trace: at the parameters as they are, or at larger ones."""
    base = target.values()
    if not hidden:
        yield base
        return
    if isinstance(target, _VjpTarget):
        cotangents = target.cotangents
        for factor in LARGER:
            target.cotangents = [factor * cotangent for cotangent in cotangents]
            yield base
        target.cotangents = cotangents
        return
    for name, array in base.items():
        if array.ndim >= 2:
            for factor in LARGER:
                yield {**base, name: array * factor}


def _hidden(trace: Trace) -> str:
    if not trace.program.hidden:
        return ""
    return f"no line can be named in {', '.join(trace.program.hidden)}: the source is not at hand"


def _verified(found: list[Mend], trace: Trace, content: Callable[[Patch, Trace], bool]) -> Patch | None:
    """The first chain of edits that the whole check is content with."""
    if not all(mend.alternatives for mend in found):
        return None
    for chosen in chains(found):
        patch = Patch(chosen, trace.program.sources)
        try:
            if content(patch, trace):
                return patch
        except (TargetError, SyntaxError):
            continue
    return None


def _finding(mend: Mend, trace: Trace, patch: Patch | None) -> Finding:
    fault = mend.fault
    statement, fix, others = fault.statement, None, ""
    if patch is not None:
        chosen = next(one for one in patch.chosen if one in mend.alternatives)
        statement = chosen[0]
        sources = trace.program.sources
        line, before, after = changed_lines(*chosen, sources)
        alone = Patch([chosen], sources)
        fix = Fix(line, before, after, diff(alone, statement.file), verified=True)
        equivalent = [changed_lines(*one, sources) for one in mend.alternatives if one != chosen]
        if equivalent:
            others = "; equivalent: " + "; ".join(f"line {at}: {text}" for at, _, text in equivalent[:3])
    return Finding(
        "line",
        _message(fault, statement) + others,
        fault.blocks,
        statement.file,
        statement.line if fix is None else fix.line,
        statement.text if fix is None else fix.before,
        fix,
    )


def _message(fault: Fault, statement: Statement) -> str:
    ratio = fault.ratio
    gave = "a derivative of nothing"
    if ratio is not None:
        gave = "the same with the wrong sign" if abs(ratio + 1) < 1e-9 else f"{ratio:.6g} times that"
        gave = "zero" if abs(ratio) < 1e-12 else gave
    inputs = [f"{name} is {_plain(label)}, right" for name, label in list(fault.inputs.items())[:3]]
    named = f"`{' '.join(statement.text.split())}`"
    given = f" ({'; '.join(inputs)})" if inputs else ""
    many = "gradients" if len(fault.blocks) > 1 else "gradient"
    return (
        f"{named}, in {statement.function}, should give dL/d({fault.label}) and gives {gave}{given}; "
        f"because of it the {many} of {', '.join(fault.blocks)} {'are' if len(fault.blocks) > 1 else 'is'} wrong"
    )


def _plain(label: str) -> str:
    return label.partition(" at execution ")[0]
