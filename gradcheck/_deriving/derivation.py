"""The verb: write a backward, check it as any other, and hand it over only if it is right."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck._common.turns import in_turn
from gradcheck._common.wording import format_sizes, shown_path
from gradcheck._deriving.derive import write_backward
from gradcheck._deriving.statements import CannotError
from gradcheck._deriving.verifying import verify
from gradcheck._deriving.written import Written
from gradcheck._targets.factory import TargetFactory, target_of
from gradcheck._targets.pure_problems import VjpProblem
from gradcheck._targets.target import Target
from gradcheck.report.report import Report

#: laws that say something of the loss alone, which a backward cannot help
OF_THE_LOSS = frozenset({"scalar", "dependence"})


@dataclass(frozen=True)
class Derivation:
    """A backward as source, and the report of the full check that found it right."""

    name: str
    source: str
    report: Report


@in_turn
def derive(subject: Target | TargetFactory, seed: int = 0) -> Derivation:
    """Write the backward of a target from its forward, and verify it.

    Args:
        subject: The target, or its factory, which is then checked at all its sizes. What its gradients are does not
            matter: they may raise.
        seed: As of a check.

    Raises:
        TargetError: If the loss cannot be run; if no backward can be written for a construct in it, with the line and
            why; or if what was written is not right by the full check.
    """
    target = target_of(subject, seed)
    name = subject.name if isinstance(subject, TargetFactory) else target.name
    written = write_backward(target, seed, name if name.isidentifier() else "written")
    report = verify(subject, written, seed)
    wrong = [name for name, block in report.blocks.items() if block.verdict != "right"]
    broken = [name for name, law in report.laws.items() if not law.holds and name not in OF_THE_LOSS]
    undecided = [name for name in wrong if report.blocks[name].verdict in ("inconclusive", "vacuous")]
    if undecided and undecided == wrong:
        verdict = report.blocks[undecided[0]].verdict
        raise CannotError(
            f"a backward was written for {name}, and is not shown: the full check finds the gradient of "
            f"{', '.join(undecided)} {verdict}, so it is not verified; see gradcheck check"
        )
    if wrong or broken:
        of = f"of {', '.join(wrong)}" if wrong else f"(law {', '.join(broken)})"
        raise CannotError(
            f"the backward that was written for {name} is not verified, so it is not shown: by the full check it is "
            f"{report.verdict} {of}; the forward has something that is not followed"
        )
    return Derivation(written.name, _text(name, target, written, report), report)


def _text(name: str, target: Target, written: Written, report: Report) -> str:
    others = len(report.trials) - 1
    sizes = (
        f" at {format_sizes(report.sizes)}" + (f" and {others} other sizes" if others > 0 else "")
        if report.sizes
        else ""
    )
    count = len(report.blocks)
    right = f"all {count} gradients" if count > 1 else "the gradient"
    head = [
        f"# The backward of {name}, written by gradcheck derive from the forward in {shown_path(written.file)};",
        f"# put it there. Verified: by the full check, {right} are right{sizes}."
        if count > 1
        else f"# put it there. Verified: by the full check, {right} is right{sizes}.",
        f"# To check it: {_use(target, written)}",
    ]
    lost = [law for law in report.laws if not report.laws[law].holds]
    if lost:
        head.insert(
            2, f"# The loss itself breaks the law{'s' if len(lost) > 1 else ''} {', '.join(lost)}: see gradcheck check."
        )
    imports = [line for line in written.imports if line]
    return (
        "\n".join([*head, *imports, "", "", written.source.rstrip()] if imports else [*head, written.source.rstrip()])
        + "\n"
    )


def _use(target: Target, written: Written) -> str:
    """How a target is made of it."""
    call = f"{written.name}({', '.join(written.arguments)})"
    if isinstance(target.problem, VjpProblem):
        given = ", ".join(["*d" if len(written.cotangents) > 1 else "d", "*arrays", *written.paths])
        back = f"lambda d, arrays: {written.name}({given})"
        return f"Target.from_vjp(lambda *arrays: (forward(*arrays)[0], arrays), {back}, inputs)"
    if written.handed:
        return f"Target.from_function(lambda {written.handed[0]}: (loss({written.handed[0]}), {call}), params)"
    return f"Target(params, loss, lambda: {call})"
