"""One target at one point: its laws, then its gradients, then single entries of what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from gradcheck._checking.elsewhere import look_elsewhere
from gradcheck._checking.taped_entries import TapedEntries
from gradcheck._common.arrays import Array, Values, as_complex
from gradcheck._common.errors import UserCodeError
from gradcheck._common.verdict import Verdict, worst_verdict
from gradcheck._common.wording import comma_separated
from gradcheck._comparing.comparer import Comparer
from gradcheck._comparing.declared_clip import as_clipped, judge_declared_clip
from gradcheck._comparing.judging import judge_gradients, mask_wrong_entries, rejudge_by_entries
from gradcheck._comparing.rounding import as_given
from gradcheck._comparing.wrong_entries import find_wrong
from gradcheck._laws import laws as _laws
from gradcheck._laws.choice import EVERY
from gradcheck._laws.independence import CallCounter
from gradcheck._laws.off_zero import nothing_off_zero, off_zero
from gradcheck._laws.scale import scale
from gradcheck._numeric.entries import Entries, difference_entries
from gradcheck._numeric.evaluator import DOMAIN_ERRORS, DOUBLE, Evaluator
from gradcheck._numeric.gradients import parse_gradients
from gradcheck._symptoms.lost_shares import find_single_slice
from gradcheck._symptoms.wrong_regions import GradientContext, find_region
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck.report.evidence import Symptom
from gradcheck.report.finding_phrases import describe_symptom
from gradcheck.report.records import Block, Law

#: wrong gradients up to this size are differenced entry by entry
EVERY_ENTRY = 1024
#: how many times as much as by rounding float64 losses and gradients may change where parameters are moved by roundoffs
ROUNDOFFS_BESIDE = 16.0
#: losses asked for once more where the gradients are not the same when asked twice
EXTRA_LOSSES = 8
#: the noise of a float64 loss, as a part of its value, that is worth a word
NOISE_WORTH_A_NOTE = 1e-9
#: what is said of every gradient where the loss is not the same
NOT_REPEATABLE_MESSAGE = "the loss is not the same when asked twice, so its differences mean nothing"
#: what is said of the law that asks for slopes elsewhere
IN_STEPS = "the loss is piecewise constant, so that no slope tells what the gradients should be elsewhere"


@dataclass
class Audit:
    """What was found at one point.

    `gradients` are the analytic ones, `numerical` those that were differenced whole; `places` say which entries are
    wrong of gradients that are right elsewhere.
    """

    blocks: dict[str, Block] = field(default_factory=dict)
    laws: dict[str, Law] = field(default_factory=dict)
    gradients: Values = field(default_factory=dict)
    numerical: Values = field(default_factory=dict)
    places: dict[str, Symptom] = field(default_factory=dict)
    #: what is wrong at another point alone, and what makes the difference
    elsewhere: dict[str, Symptom] = field(default_factory=dict)
    scheme: str = ""
    evaluations: int = 0
    notes: tuple[str, ...] = ()
    #: what is said of where the entries of a full check come from, if they need not all be differences
    sources_told: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of the gradients and the broken laws."""
        parts = [block.verdict for block in self.blocks.values()]
        return worst_verdict(parts + [law.breach for law in self.laws.values() if not law.holds])

    @property
    def wrong(self) -> tuple[str, ...]:
        """The names of the wrong gradients."""
        return tuple(name for name, block in self.blocks.items() if block.verdict == "wrong")

    @property
    def wrong_here(self) -> tuple[str, ...]:
        """The names of the gradients that are wrong at the point itself."""
        return tuple(name for name in self.wrong if name not in self.elsewhere)

    def note(self, *laws: Law) -> None:
        """Add laws; a broken one stays broken, whatever a later law of its name says."""
        for law in laws:
            if law.name not in self.laws or self.laws[law.name].holds:
                self.laws[law.name] = law


class Watcher:
    """Is told how an audit gets on; as it stands here it says nothing, and lets it take its time."""

    def gradients_do_not_fit(self, claimed: float, measured: float) -> None:
        """Along a direction the gradients claim another slope than the loss has."""

    def judged(self, result: Audit, count: int, total: int) -> None:
        """So many of the gradients are judged."""

    def details(self, result: Audit) -> AbstractContextManager[None]:  # noqa: ARG002 - a check may limit them
        """Around what only says more of gradients that are judged; it may end before all of it is done."""
        return nullcontext()


@dataclass(frozen=True)
class AuditOptions:
    """How far an audit goes.

    `laws`: also those that cost evaluations, of these the ones that are `asked`; `entries`: of wrong gradients; `full`:
    of all; `by_tape`: from one reverse sweep, where it is confirmed; `stop`: at the first wrong one. The gradients are
    divided by `divisor` first: a factor that is known to be wrong already. `suspects` are known to be wrong at other
    sizes, or before an edit.
    """

    laws: bool = True
    asked: frozenset[str] = EVERY
    entries: bool = True
    full: bool = False
    by_tape: bool = False
    stop: bool = False
    divisor: float = 1.0
    suspects: frozenset[str] = frozenset()
    difference_entries: Callable[[Evaluator, str], Entries] = difference_entries

    def asks(self, law: str) -> bool:
        """Whether a law that costs evaluations is asked."""
        return self.laws and law in self.asked


def audit(
    target: Target,
    seed: int,
    depth: AuditOptions,
    tick: Callable[[], None] | None = None,
    watcher: Watcher | None = None,
) -> Audit:
    """Check one target at the point where it stands, and leave it there.

    Raises:
        TargetError: If the target cannot be run; `UserCodeError` if it is the user's code that raises.
    """
    result = Audit()
    with opened(target, seed):
        evaluator = Evaluator(target, tick)
        runs = CallCounter(evaluator, counting=depth.asks("independence"))
        comparer = _check_preconditions(result, runs, seed, depth)
        if comparer is not None:
            _judge(result, comparer, runs, depth, watcher or Watcher())
        result.blocks = {name: result.blocks[name] for name in evaluator.names if name in result.blocks}
        result.evaluations = evaluator.evaluations
        result.scheme = evaluator.scheme_in_words
    return result


def _check_preconditions(result: Audit, runs: CallCounter, seed: int, depth: AuditOptions) -> Comparer | None:
    """The laws that must hold before anything can be compared; None if one of them does not."""
    evaluator = runs.evaluator
    with closing(evaluator.raw_loss_then_grads()) as asked:
        raw_loss = next(asked)
        changed_by_loss = evaluator.target.names_changed_by_last_call()
        value = as_complex(raw_loss)
        result.note(_laws.scalar(raw_loss), _laws.finite_loss(value))
        if np.iscomplexobj(raw_loss) or not math.isfinite(value.real):
            _all_undecided(result, evaluator, "the loss is not one finite real number")
            return None
        evaluator.loss_value = value.real
        raw_grads = next(asked)
    changed_by_both = evaluator.target.names_changed_by_last_call()
    result.note(_laws.purity(changed_by_loss, [name for name in changed_by_both if name not in changed_by_loss]))
    laws, gradients, faults = parse_gradients(raw_grads, evaluator.base)
    del raw_grads, raw_loss, asked  # what is large is not to be there twice
    result.note(*laws)
    comparer = Comparer(evaluator, gradients, seed, depth.divisor)
    comparer.probing_sharply = depth.laws
    _check_determinism(result, comparer, runs)
    repeatable = result.laws["repeatability"].holds
    if not repeatable:
        _all_undecided(result, evaluator, NOT_REPEATABLE_MESSAGE)
    shapes = {name: array.shape for name, array in evaluator.base.items()}
    result.blocks |= {name: Block(name, shapes[name], "wrong", message=fault) for name, fault in faults.items()}
    return comparer if gradients and repeatable else None


def _judge(result: Audit, comparer: Comparer, runs: CallCounter, depth: AuditOptions, watcher: Watcher) -> None:
    _ask_laws(result, comparer, depth)
    if depth.asks("independence"):
        result.note(runs.independence(comparer))
    comparer.undo_norm_clip()
    result.gradients = comparer.gradients
    comparer.when_apart = watcher.gradients_do_not_fit
    for count, block in enumerate(judge_gradients(comparer, depth.suspects), 1):
        block = judge_declared_clip(comparer, block)
        result.blocks[block.name] = block
        watcher.judged(result, count, len(comparer.gradients))
        if depth.stop and block.verdict == "wrong":
            return
    if result.verdict != "wrong":
        _ask_at_other_points(result, comparer, depth)
    with watcher.details(result):
        taped = TapedEntries(comparer)
        for name in comparer.gradients:
            # what is wrong elsewhere alone has its entries there
            is_wrong_here = result.blocks[name].verdict == "wrong" and name not in result.elsewhere
            if depth.full or (depth.entries and is_wrong_here):
                _ask_entries(result, comparer, name, depth, taped)
        if depth.by_tape:
            result.sources_told = taped.told()
    result.notes = (*_notes(comparer), *result.sources_told)


def _ask_at_other_points(result: Audit, comparer: Comparer, depth: AuditOptions) -> None:
    """The laws that move the target far away: scale, and elsewhere, which may be answered along with it."""
    zeros = off_zero(comparer) if depth.asks("elsewhere") else nothing_off_zero()
    if depth.asks("scale") and not comparer.evaluator.target.is_vjp:
        result.note(Law.untested("scale", IN_STEPS) if comparer.evaluator.is_in_steps else scale(comparer, zeros))
    if depth.asks("elsewhere") and result.verdict != "wrong":
        decided = [name for name, block in result.blocks.items() if block.verdict != "inconclusive"]
        found = look_elsewhere(comparer, decided, zeros)
        result.note(*found.laws)
        for name, (block, symptom) in found.wrong.items():
            result.blocks[name], result.elsewhere[name] = block, symptom


def _check_determinism(result: Audit, comparer: Comparer, runs: CallCounter) -> None:
    """Repeatability and statelessness, at every depth: whether losses and gradients may be asked for more than once.

    They are asked for a few roundoffs away, which tells how large those of the gradients are as well; and where they
    are not the same there, at the point itself.
    """
    evaluator = comparer.evaluator
    gradients: Values = {}
    try:
        room = (
            ROUNDOFFS_BESIDE if comparer.given.epsilon <= DOUBLE else 1.0
        )  # of less precision there is none to give away
        repeatability, statelessness, gradients = _evaluate_again(
            comparer, runs, comparer.given.jittered_by_roundoffs(), room
        )
        again = not (repeatability.holds and statelessness.holds)
    except UserCodeError as error:
        if not isinstance(error.error, DOMAIN_ERRORS):
            raise
        again = True
    if again:
        repeatability, here, _ = _evaluate_again(comparer, runs, evaluator.base)
        # what was found at first says more of the cause: by now a sum that is not set to zero is three times as large
        statelessness = here if here.holds or not gradients else statelessness
    comparer.given.stateless = statelessness.holds
    comparer.given.measure_rounding(gradients)
    result.note(repeatability)
    if not statelessness.holds:  # by chance a small mask may have been drawn alike for two losses
        losses = [as_complex(evaluator.raw_loss()) for _ in range(EXTRA_LOSSES)]
        result.note(*(_laws.repeatability(evaluator.loss_value, loss, evaluator.epsilon) for loss in losses))
    if result.laws["repeatability"].holds and comparer.gradients:
        result.note(statelessness)


def _evaluate_again(
    comparer: Comparer, runs: CallCounter, values: Values, room: float = 1.0
) -> tuple[Law, Law, Values]:
    """Whether loss and gradients are the same at these values, to so many times their rounding; and those gradients."""
    evaluator = comparer.evaluator
    raw_loss, raw_grads = runs.raw_loss_and_grads(values)
    first = {name: as_given(gradient, 1 / comparer.given.divisor) for name, gradient in comparer.gradients.items()}
    again = parse_gradients(raw_grads, evaluator.base)[1]
    repeatability = _laws.repeatability(evaluator.loss_value, as_complex(raw_loss), room * evaluator.epsilon)
    epsilons = {name: room * own for name, own in comparer.given.epsilons.items()}
    return repeatability, _laws.statelessness(first, again, epsilons), again


def _notes(comparer: Comparer) -> tuple[str, ...]:
    """What is to be said of the precision, even if everything is right."""
    evaluator, notes = comparer.evaluator, []
    remark = evaluator.target.problem.remark
    if remark:
        notes.append(remark)
    elif comparer.given.coarse:
        told = f"the gradients of {comma_separated(comparer.given.coarse)} have no more digits than float32"
        notes.append(f"low precision: {told}, the parameters have more; errors below that precision are not seen")
    loss = abs(evaluator.loss_value)  # of a loss that is next to nothing, no part says anything
    if not remark and evaluator.epsilon <= DOUBLE and loss > evaluator.noise() > NOISE_WORTH_A_NOTE * loss:
        part = f"{evaluator.noise() / abs(evaluator.loss_value):.0e}"
        notes.append(
            f"low precision: the loss changes at random by {part} of its value; look for float32, cancellation, or "
            "chaos over many steps in it"
        )
    clip = evaluator.target.clip
    if clip is not None and clip.of_norm and comparer.given.divisor_of_clip < 1:
        notes.append(
            f"the gradients are clipped to a norm of {clip.bound:g}, as declared: they were "
            f"{1 / comparer.given.divisor_of_clip:.6g} times as large; a factor that all have in common is not seen"
        )
    return (*notes, *evaluator.remarks)


def _ask_laws(result: Audit, comparer: Comparer, depth: AuditOptions) -> None:
    evaluator = comparer.evaluator
    has_inputs = bool(evaluator.target.inputs()) and depth.asks("dependence")
    is_vjp = evaluator.target.is_vjp and depth.asks("linearity")
    if not (has_inputs or is_vjp):
        return
    rng = np.random.default_rng([comparer.given.seed, 2])
    if has_inputs:
        result.note(_laws.dependence(evaluator, rng))
    if is_vjp:
        result.note(_laws.linearity(evaluator, rng, comparer.given.epsilon))


def _ask_entries(result: Audit, comparer: Comparer, name: str, depth: AuditOptions, taped: TapedEntries) -> None:
    block, size = result.blocks[name], comparer.gradients[name].size
    if not size:
        return
    known = taped.of(name) if depth.by_tape or not depth.full else None
    if known is None and not depth.full and size > EVERY_ENTRY:
        wrong = find_wrong(comparer.probe(name), comparer.gradients[name], comparer.given.rng(name))
        result.blocks[name], off = replace(block, worst=wrong.worst), wrong.mask
    else:
        entries = as_clipped(comparer, known or depth.difference_entries(comparer.evaluator, name))
        result.numerical[name] = entries.values
        result.blocks[name], off = (
            rejudge_by_entries(comparer, block, entries),
            mask_wrong_entries(comparer, name, entries),
        )
    if result.blocks[name].verdict == "wrong":
        _describe_wrong_entries(result, comparer, name, off)


def _describe_wrong_entries(result: Audit, comparer: Comparer, name: str, off: Array) -> None:
    base, target = comparer.evaluator.base, comparer.evaluator.target
    gradient, true = comparer.gradients[name], result.numerical.get(name)
    setting = GradientContext({other: array.shape for other, array in base.items()}, target.gates, target.inputs())
    sources = {**{other: array for other, array in base.items() if array.ndim == 3}, **target.inputs()}
    made = None if true is None else find_single_slice(gradient, true, sources)
    found = made or find_region(off, gradient, true, setting)
    if found is not None:
        result.places[name] = found
        result.blocks[name] = replace(result.blocks[name], where=describe_symptom(found))


def _all_undecided(result: Audit, evaluator: Evaluator, message: str) -> None:
    for name, array in evaluator.base.items():
        result.blocks[name] = Block(name, array.shape, "inconclusive", message=message)
