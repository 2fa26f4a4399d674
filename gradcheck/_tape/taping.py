"""One run of a target on the tape, and all that can be asked of it afterwards."""

from __future__ import annotations

import copy
import gc
import math
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from gradcheck._common.arrays import Values, owner_of
from gradcheck._common.errors import UserCodeError
from gradcheck._tape.convention import carries_conjugates, conjugated
from gradcheck._tape.driving import Outcome, as_gradients, copies, drive
from gradcheck._tape.last_factor import last_factor
from gradcheck._tape.nodes import Array, Binding, Call, Node, TapeError, Write, is_value
from gradcheck._tape.parts import Parts, in_parts, parts_of_parameters, parts_of_sink
from gradcheck._tape.places import Place, Statement
from gradcheck._tape.program import Program
from gradcheck._tape.recorder import Recorder
from gradcheck._tape.replay import Scope, replayed, scopes_of
from gradcheck._tape.sweep import ancestors, seeds_of, seeds_of_terms, sweep
from gradcheck._tape.tape import NOWHERE, Tape
from gradcheck._tape.unused_rows import leave_out_unused
from gradcheck._targets.target import Target

#: bytes
BUDGET = 1_000_000_000

T = TypeVar("T")


def tape_target(
    target: Target,
    base: Values,
    *,
    multiple: float = 1.0,
    budget: int = BUDGET,
    most: float = math.inf,
    apart: bool = False,
) -> TapedRun:
    """The loss and then the gradients at these values of the parameters; the target has begun.

    All true derivatives are those of `multiple` times the loss: where the gradients have a factor in common that is
    told by itself, what else is wrong shows against that multiple. `apart`: gradients are told in parts (`parts`).

    Raises:
        TapeTooLargeError: If the values take more bytes than `budget`, or are clearly more than `most`.
        TapeError: If the code runs, but not on the tape.
    """
    return TapedRun(target, base, budget, gradients=True, multiple=multiple, most=most, apart=apart)


def tape_forward(target: Target, base: Values, *, budget: int = BUDGET) -> TapedRun:
    """The loss alone: there are no gradients and no sinks."""
    return TapedRun(target, base, budget, gradients=False)


class TapedRun:
    """See the page of the package."""

    def __init__(
        self,
        target: Target,
        base: Values,
        budget: int,
        *,
        gradients: bool,
        multiple: float = 1.0,
        most: float = math.inf,
        apart: bool = False,
    ) -> None:
        self.target, self.base, self.multiple = target, base, multiple
        #: how many times the derivatives the backward calculates with, where that is looked at
        self.inner = 1.0
        self._both = gradients
        self.loss: Node | None = None
        self.sinks: dict[str, Node | None] = {}
        self.leaves: dict[str, Node] = {}
        self.gradients: dict[str, Array] = {}
        #: the number of nodes there were when the gradients were asked for
        self.boundary = 0
        self._executed_before: list[int] = []
        self._worked_out: dict[tuple[Hashable, ...], Any] = {}
        self._worked_out_while_open: dict[tuple[Hashable, ...], Any] = {}
        tape = Tape(budget, most)
        with target.preserved():
            self.program = Program(lambda: target.grads_at(base) if gradients else target.loss_at(base))
            recorder = Recorder(tape, self.program.places, self.program.all_codes())
            with self.program.running(recorder), _uncollected(), _failing_as_tape():
                self._run(tape, recorder)
        self.nodes: list[Node] = tape.nodes
        self.calls: list[Call] = tape.calls
        self.bindings: list[Binding] = recorder.bindings
        self.opaque: list[str] = list(recorder.caller.opaque)
        self.untraced: list[str] = [*self.program.hidden, *recorder.caller.untraced]
        self.places: list[Place] = self.program.places
        self.statements: list[Statement] = self.program.statements
        self.bytes = tape.bytes
        #: by the index of a write into all of an array: what it held before
        self.before_write: dict[int, Node] = tape.before
        #: the entries of the parts in which gradients are told, by name
        self.parts: Parts = {}
        if apart:
            self._take_apart()
        self.writes = [
            Write(node, at[0], at[1], node.label, node.index in tape.repeating)
            for node, _, at in tape.stores
            if at[0] is not None
        ]

    def once(self, made: Callable[..., T], *asked: Hashable) -> T:
        """What a class or a function makes of the run, and of what is asked; made once, and kept as long as it is."""
        return self._made(self._worked_out, made, *asked)

    def once_while_open(self, made: Callable[..., T]) -> T:
        """The same for what holds functions of the user's, which are others once the target is made anew."""
        return self._made(self._worked_out_while_open, made)

    def _made(self, known: dict[tuple[Hashable, ...], Any], made: Callable[..., T], *asked: Hashable) -> T:
        key = made, *asked
        if key not in known:
            known[key] = made(self, *asked)
        result: T = known[key]
        return result

    def expecting(self, gradients: Mapping[str, Array]) -> TapedRun:
        """The same run, of which other gradients are taken for the true ones."""
        result = copy.copy(self)
        result._worked_out, result.true_gradients = {}, dict(gradients)
        return result

    def within(self) -> TapedRun:
        """The same run, of which nothing was asked yet, seen from within the backward.

        Derivatives are the multiples that the backward calculates with before its last operations take a factor out
        of all gradients; the true gradients are what they are.
        """
        result = copy.copy(self)
        result.inner = last_factor(self.sinks.values())
        return result

    @contextmanager
    def resumed(self, target: Target) -> Iterator[None]:
        """The code can be run again, by this target, made as the one that was taped, while that is closed."""
        before = self.target, self._worked_out_while_open
        self.target, self._worked_out_while_open = target, {}
        try:
            yield
        finally:
            self.target, self._worked_out_while_open = before

    def in_parts(self, gradients: Mapping[str, Any]) -> dict[str, Any]:
        """Gradients of this target, told in the parts in which this run tells them."""
        return in_parts(self._as_parameters(gradients), self.parts)

    def _take_apart(self) -> None:
        parameters = {name: leaf for name, leaf in self.leaves.items() if name in self.base}
        found = parts_of_parameters(self.nodes[: self.boundary], parameters)
        shapes = {name: None if sink is None else sink.shape for name, sink in self.sinks.items()}
        self.parts = {name: masks for name, masks in found.items() if shapes.get(name) == masks[0].shape}

        sinks: dict[str, Node | None] = {}
        for name, sink in self.sinks.items():
            if sink is None or name not in self.parts:
                sinks[name] = sink
                continue
            made = parts_of_sink(sink, self.parts[name], len(self.nodes))
            sinks |= zip(self.in_parts({name: self.gradients[name]}), made, strict=True)
            self.nodes += made
        self.gradients, self.sinks = self.in_parts(self.gradients), sinks

    # -- the run ---------------------------------------------------------------------------------------------------

    def _run(self, tape: Tape, recorder: Recorder) -> None:
        def before(outcome: Outcome) -> None:
            for name, array in outcome.handed.items():
                if is_value(array):
                    self.leaves[name] = tape.leaf(array, name)

        def between(outcome: Outcome) -> None:
            self._label(tape, outcome)
            self.loss = self._loss_node(tape, outcome)
            self.boundary = len(tape.nodes)
            self._executed_before = list(recorder.counts)

        def updated(weight: Array, gradient: Array, rate: float) -> None:
            self._note_update(tape, weight, gradient, rate)

        outcome = drive(self.target, self.base, before, between, gradients=self._both, updated=updated)
        self._label(tape, outcome)
        found = as_gradients(outcome.returned) if self._both else {}
        given = copies(found)
        self.gradients = self._as_parameters(given)
        #: gradients that were given in another shape than that of their parameters
        self.out_of_shape = frozenset(name for name, one in given.items() if one.shape != self.gradients[name].shape)
        self.sinks = {}
        for (key, value), name in zip(outcome.returned.items(), found, strict=True) if found else ():
            recorder.read_from(outcome.returned, key, value)
            self.sinks[name] = _sink(tape, recorder, value)
        for binding in recorder.bindings:
            binding.value = binding.state = None
        recorder.slots.clear()
        recorder.by_name.clear()
        del outcome
        leave_out_unused(tape, [self.loss, *self.sinks.values()])
        tape.close()

    def _as_parameters(self, gradients: Mapping[str, Any]) -> dict[str, Any]:
        """Gradients in the shapes of their parameters, if only axes of length one are in the way: a law tells that."""

        def shaped(name: str, one: Any) -> Any:
            wanted, own = np.shape(self.base[name]) if name in self.base else np.shape(one), np.shape(one)
            is_near = wanted != own and [k for k in wanted if k != 1] == [k for k in own if k != 1]
            return np.reshape(one, wanted) if is_near else one

        return {name: shaped(name, one) for name, one in gradients.items()}

    def _note_update(self, tape: Tape, weight: Array, gradient: Array, rate: float) -> None:
        """A gradient is what an update took from a weight, which is put back then, where the tape does not see it."""
        after = tape.node(weight)
        if after is None:
            return
        tape.about_to_write(weight)
        name = next((name for name, leaf in self.leaves.items() if leaf is after), None)
        if name is not None:
            return  # nothing was taken from it
        node = tape.new("update", (after,), (lambda g: -g / rate,), gradient.shape, tape.hold(gradient), NOWHERE)
        tape.track(gradient, node)

    def _label(self, tape: Tape, outcome: Outcome) -> None:
        """Name the leaves of arrays that were handed to the user's code."""
        for name, array in outcome.handed.items():
            buffer = tape.buffers.get(id(owner_of(array))) if isinstance(array, np.ndarray) else None
            if name in self.leaves or buffer is None or buffer.root is None:
                continue
            root = buffer.root if buffer.root.op == "leaf" else (*buffer.root.inputs, None)[0]
            if root is not None and root.op == "leaf" and root.shape == array.shape:
                self.leaves[name] = root
                root.label = buffer.label = name

    def _loss_node(self, tape: Tape, outcome: Outcome) -> Node | None:
        if not outcome.outputs:
            loss = outcome.loss
            if isinstance(loss, np.ndarray) and loss.size != 1:
                return None
            return tape.node(loss)
        pairs = [(tape.node(output), cotangent) for cotangent, output in outcome.outputs]
        kept = [(node, np.array(cotangent, np.float64)) for node, cotangent in pairs if node is not None]
        pulls = tuple((lambda g, c=c: g.reshape(-1, *(1,) * c.ndim) * c) for _, c in kept)
        return tape.new("loss", tuple(node for node, _ in kept), pulls, (), tape.hold(float(outcome.loss)), NOWHERE)

    # -- derivatives of the loss -----------------------------------------------------------------------------------

    @cached_property
    def _swept(self) -> tuple[list[Array | None], dict[tuple[int, int], Array]]:
        uses: dict[tuple[int, int], Array] = {}
        if self.loss is None:
            return [None] * len(self.nodes), uses

        def told(consumer: int, operand: int, part: Array) -> None:
            uses[consumer, operand] = part[0]

        found = sweep(self.nodes, {self.loss.index: np.full((1, *self.loss.shape), self.multiple * self.inner)}, told)
        return [None if g is None else g[0] for g in found], uses

    @cached_property
    def twins(self) -> dict[int, Node]:
        """Values of the forward that the gradients calculate again: the index of each, and the node it repeats."""
        if self.loss is None:
            return {}
        first = {(id(n.place), n.op, n.execution): n for n in self.nodes[: self.boundary] if n.place is not None}
        result: dict[int, Node] = {}
        found = self._swept[0]
        for node in self.nodes[self.boundary :]:
            if node.place is None or found[node.index] is not None:
                continue
            again = node.execution - self._executed_before[node.place.number]
            twin = first.get((id(node.place), node.op, again))
            if twin is not None and found[twin.index] is not None and _equal(node, twin):
                result[node.index] = twin
        return result

    @cached_property
    def derivatives(self) -> list[Array | None]:
        """dL/d(value) of each node; of what repeats a value of the forward, that of the value it repeats."""
        found = list(self._swept[0])
        if self.carries_conjugates:
            found = [v if v is None else self.as_carried(node, v) for node, v in zip(self.nodes, found, strict=True)]
        for index, twin in self.twins.items():
            found[index] = found[twin.index]
        return found

    @cached_property
    def carries_conjugates(self) -> bool:
        """Whether the backward carries dL/dRe - i dL/dIm for complex values; all derivatives are so then."""
        return carries_conjugates(self.backward, self.nodes, self._swept[0])

    def as_carried(self, node: Node, derivative: Array) -> Array:
        """dL/dRe and dL/dIm of a value as the backward carries them; or what it carries as these."""
        return conjugated(derivative) if node.is_complex and self.carries_conjugates else derivative

    def brought_back(self, node: Node, operand: int, derivative: Array) -> Array:
        """What comes back to an input of a value of the derivative with respect to that, both as they are carried."""
        return self.as_carried(node.inputs[operand], node.brought_back(operand, self.as_carried(node, derivative)))

    def derivative(self, node: Node) -> Array | None:
        """dL/d(value), None where the loss does not depend on it."""
        return self.derivatives[node.index]

    @property
    def contributions(self) -> Mapping[tuple[int, int], Array]:
        """By the consumer's index and the number of its input: what comes back through that use alone."""
        return self._uses_as_carried

    @cached_property
    def _uses_as_carried(self) -> Mapping[tuple[int, int], Array]:
        return self._turned_uses(self._swept[1]) if self.carries_conjugates else self._swept[1]

    def _turned_uses(self, uses: Mapping[tuple[int, int], Array]) -> dict[tuple[int, int], Array]:
        return {
            (consumer, operand): conjugated(part) if self.nodes[consumer].inputs[operand].is_complex else part
            for (consumer, operand), part in uses.items()
        }

    @cached_property
    def of_terms(self) -> tuple[list[Array | None], dict[tuple[int, int], Array]]:
        """The derivatives of each term of the loss, one behind the other, and what comes back through each use; none
        where the loss is no sum of a few."""
        uses: dict[tuple[int, int], Array] = {}
        seeds = {} if self.loss is None else seeds_of_terms(self.loss, self.multiple * self.inner)

        def told(consumer: int, operand: int, part: Array) -> None:
            uses[consumer, operand] = part

        nothing: list[Array | None] = [None] * len(self.nodes)
        found = sweep(self.nodes, seeds, told) if seeds else nothing
        if not self.carries_conjugates:
            return found, uses
        turned = [v if v is None else self.as_carried(node, v) for node, v in zip(self.nodes, found, strict=True)]
        return turned, self._turned_uses(uses)

    @cached_property
    def true_gradients(self) -> dict[str, Array]:
        """dL/d(parameter) of each parameter."""
        result: dict[str, Array] = {}
        for name, value in self.base.items():
            leaf = self.leaves.get(name)
            found = None if leaf is None else self._swept[0][leaf.index]
            result[name] = np.zeros(value.shape) if found is None else np.array(found) / self.inner
        return self.in_parts(result)

    @cached_property
    def _ancestors(self) -> set[int]:
        return set() if self.loss is None else ancestors(self.loss)

    def is_forward(self, node: Node) -> bool:
        """Whether the loss was calculated from it, or it repeats what the loss was calculated from."""
        return node.index in self._ancestors or node.index in self.twins

    @cached_property
    def backward(self) -> list[Node]:
        """The values of which the loss is not calculated, nor repeats of such: one function may return both."""
        return [node for node in self.nodes if not self.is_forward(node)]

    # -- derivatives of the gradients ------------------------------------------------------------------------------

    def sensitivities(
        self, projections: Mapping[str, Array], cut: Collection[int] = (), kept: Collection[int] | None = None
    ) -> dict[int, Array]:
        """How projections of the gradients move with each value: (m, size) by the node's index.

        Args:
            projections: For each gradient (m, *its shape), with the same m for all; those left out do not count.
            cut: Indices of nodes that count as given: what they were calculated from does not matter through them.
            kept: Indices of nodes of interest; all if none are named.
        """
        found = sweep(self.nodes, seeds_of(self.sinks, projections), cut=cut, kept=kept)
        return {index: g.reshape(len(g), -1) for index, g in enumerate(found) if g is not None}

    def uses(self, projections: Mapping[str, Array]) -> dict[tuple[int, int], Array]:
        """The same by use: (m, size) by the consumer's index and the number of its input."""
        result: dict[tuple[int, int], Array] = {}

        def told(consumer: int, operand: int, part: Array) -> None:
            result[consumer, operand] = part.reshape(len(part), -1)

        sweep(self.nodes, seeds_of(self.sinks, projections), told)
        return result

    # -- running again ---------------------------------------------------------------------------------------------

    def overrides(self, values: Mapping[tuple[Place, int], Any]) -> dict[str, Array]:
        """The gradients that are returned when some executions of some places have other values."""
        return self._as_parameters(replayed(self.program, self.target, self.base, values))

    def scopes(self, place: Place, executions: Sequence[int] | None = None) -> list[Scope]:
        """Copies of the variables around executions of a place (all, if none are named), just before each ends."""
        return scopes_of(self.program, self.target, self.base, place, executions)

    def executions(self, place: Place) -> int:
        """How often a place was executed, as far as values were recorded there."""
        return self._executions[place.number]

    @cached_property
    def _executions(self) -> Counter[int]:
        result: Counter[int] = Counter()
        for node in self.nodes:
            if node.place is not None:
                result[node.place.number] = max(result[node.place.number], node.execution + 1)
        return result


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: all that is made is kept, and looking through it again and again takes long."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _failing_as_tape() -> Iterator[None]:
    """What raises here is none of the user's errors: the same code has just run to find out which functions do."""
    try:
        yield
    except UserCodeError as error:
        raise TapeError(f"the code runs, but not on the tape: {error}") from error


def _sink(tape: Tape, recorder: Recorder, value: Any) -> Node | None:
    """The node of what was returned for a gradient, in lists as well."""
    try:
        return tape.node(recorder.caller.as_array(NOWHERE, value))
    except ValueError:  # lists of different lengths
        return None


def _equal(node: Node, twin: Node) -> bool:
    if node.shape != twin.shape:
        return False
    if node.cell is None or twin.cell is None:
        return node.cell is twin.cell
    return bool(np.array_equal(node.value, twin.value))
