"""From a failed check of torch or JAX code to findings with a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gradcheck._autodiff.case import Case
from gradcheck._autodiff.jax_rules import jax_cases
from gradcheck._autodiff.mending import CannotBeRunError, Diagnosis, PlacedEdit, diagnose
from gradcheck._autodiff.records import fault_finding, unnamed_finding
from gradcheck._autodiff.torch_rules import torch_cases
from gradcheck._autodiff.whole import whole_case
from gradcheck._common.arrays import Sizes
from gradcheck._common.clock import current_clock, limited
from gradcheck._common.errors import TargetError
from gradcheck._repair.explain import Explanation, Question
from gradcheck._targets.factory import TargetFactory, sizes_to_trace
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck._usercode.patching import Patch, RebindError
from gradcheck._usercode.source import Source
from gradcheck.report.records import CutStage

#: what is said where every rule alone is right
RULES_ARE_RIGHT = (
    "no line is looked for: run alone, the backward of {names} returns what {library} says that it should; look at "
    "what is around it: values that leave the graph (.detach(), .item(), stop_gradient), gradients that are changed "
    "after the backward"
)
#: what is said of tensors whose backward is not seen
NOT_SEEN = (
    "no line is looked for: the code calculates in {library}, with neither a rule of its own (torch.autograd.Function, "
    "jax.custom_vjp) nor a loss and gradients that can be followed in Python"
)


#: what is said of rules that the library cannot follow
NOT_FOLLOWED = (
    "no line is looked for: {library} cannot differentiate the forward of {names} as plain code: it leaves {library}, "
    "or does not run alone"
)
#: what libraries are called in a sentence
_SHOWN = {"torch": "torch", "jax": "JAX", "": ""}


@dataclass
class _Seen:
    """What was looked at: wrong cases, and right ones."""

    wrong: list[Diagnosis] = field(default_factory=list)
    right: list[Case] = field(default_factory=list)
    #: cases that cannot be run alone
    unseen: list[Case] = field(default_factory=list)
    is_cut: bool = False


def explain_in_library(question: Question) -> Explanation | None:
    """What is wrong in code that calculates in torch or JAX; None of any other code, which others explain."""
    seen = _Seen()
    with limited(current_clock()):
        seen.is_cut = True
        for target in _targets(question):
            with opened(target, question.seed):
                cases = _cases(target)
                if not cases:
                    return _not_seen(library_of(target))
                _look_at(cases, seen)
            if seen.wrong:
                break
        seen.is_cut = False
    return _explained(question, seen)


def _targets(question: Question) -> Iterator[Target]:
    """At small sizes, at the defaults, and where it is known to fail."""
    subject, tried = question.subject, list[Sizes]()
    if isinstance(subject, Target):
        yield subject
        return
    for sizes in [*sizes_to_trace(subject), question.failing]:
        if sizes not in tried:
            tried.append(sizes)
            target = _built(subject, question.seed, sizes)
            if target is not None:
                yield target


def _built(factory: TargetFactory, seed: int, sizes: Sizes) -> Target | None:
    try:
        target = factory.build(seed, sizes)
        with opened(target, seed):
            target.grads_at(target.values())
    except TargetError:
        return None
    return target


def _cases(target: Target) -> list[Case]:
    """The rules that the target's code goes through; without any, the target as a whole."""

    def run() -> None:
        target.grads_at(target.values())

    rules = [*torch_cases(run), *jax_cases(run)]
    if rules:
        return rules
    try:
        whole = whole_case(target)
    except TargetError:
        return []
    return [] if whole is None else [whole]


def library_of(target: Target) -> str:
    """The library that the parameters are of, as far as the target knows."""
    problem = target.problem
    if getattr(problem, "tensors", dict)():
        return "torch"
    return _SHOWN[getattr(problem, "library", "")]


def _not_seen(library: str) -> Explanation | None:
    """That no line is looked for; None where no library calculates, so that others may."""
    return Explanation(note=NOT_SEEN.format(library=library)) if library else None


def _look_at(cases: Sequence[Case], seen: _Seen) -> None:
    for case in cases:
        try:
            found = diagnose(case)
        except CannotBeRunError:
            seen.unseen.append(case)
            continue
        if found is not None:
            seen.wrong.append(found)
        else:
            seen.right.append(case)


def _explained(question: Question, seen: _Seen) -> Explanation | None:
    cut: CutStage | None = "lines" if seen.is_cut else None
    if not seen.wrong:
        rules, template = _names(seen.right), RULES_ARE_RIGHT
        if seen.unseen:
            rules, template = _names(seen.unseen), NOT_FOLLOWED
        if cut:
            return Explanation(cut=cut)
        looked_at = [*seen.unseen, *seen.right]
        library = _SHOWN[looked_at[0].library.name] if looked_at else ""
        if not rules:
            return _not_seen(library)
        return Explanation(note=template.format(names=" and of ".join(rules), library=library), cut=cut)
    blocks = tuple(sorted(question.expected_wrong or ()))
    if all(one.mended for one in seen.wrong):
        chosen, cut_verifying = _verified(question, seen.wrong)
        pairs = [(one, fault) for one in seen.wrong for fault in one.mended]
        shown = chosen or [fault[0] for _, fault in pairs]
        lines = [
            fault_finding(one, [edit, *(other for other in fault if other is not edit)], blocks, chosen is not None)
            for (one, fault), edit in zip(pairs, shown, strict=True)
        ]
        patch = None if chosen is None else _patch(seen.wrong, chosen)
        return Explanation(lines, patch, cut="verifying" if cut_verifying else cut)
    findings = [
        finding
        for one in seen.wrong
        for finding in (
            [fault_finding(one, fault, blocks, False) for fault in one.mended] or [unnamed_finding(one, blocks)]
        )
    ]
    return Explanation(findings, rest=blocks, cut=cut)


def _names(cases: Sequence[Case]) -> list[str]:
    """The rules, each once."""
    return list(dict.fromkeys(case.name for case in cases if case.name))


def _verified(question: Question, found: Sequence[Diagnosis]) -> tuple[list[PlacedEdit] | None, bool]:
    """An edit of each fault with which the whole check is content; whether the time was up before that was known."""
    faults = [fault for one in found for fault in one.mended]
    tried = [[fault[0] for fault in faults]]
    tried += [[*tried[0][:i], other, *tried[0][i + 1 :]] for i, fault in enumerate(faults) for other in fault[1:]]
    with limited(current_clock()):
        for chosen in tried:
            if _accepts(question, _patch(found, chosen), found):
                return chosen, False
        return None, False
    return None, True


def _patch(found: Sequence[Diagnosis], chosen: Sequence[PlacedEdit]) -> Patch:
    """These edits, all together."""
    sources: dict[str, Source] = {}
    for one in found:
        sources |= one.program.sources
    return Patch([(place.statement, edit) for place, edit in chosen], sources)


def _accepts(question: Question, patch: Patch, found: Sequence[Diagnosis]) -> bool:
    codes = list(dict.fromkeys(code for one in found for code in one.program.codes))
    laws = frozenset({"reduction"} if question.common is not None else ())
    try:
        return question.content(patch, codes, (), laws)
    except (TargetError, SyntaxError, RebindError):
        return False
