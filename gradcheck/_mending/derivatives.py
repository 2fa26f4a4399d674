"""Edits after which a statement gives a derivative, told from its own values: no gradient need be right for that.

Where several statements on the way to a gradient are at fault, no edit of one makes it right. But what a backward
calculates from right derivatives is the derivative of something, and the forward's tape knows of what.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradcheck._localising.blame import SUMS
from gradcheck._localising.standing import origin
from gradcheck._mending.building import elements, hole_of
from gradcheck._mending.details import Family
from gradcheck._mending.distance import distance
from gradcheck._mending.formula import formula, formula_of_part
from gradcheck._mending.frames import UnknownError
from gradcheck._mending.holes import Execution, Hole, Needed
from gradcheck._mending.larger_edits import (
    clipped,
    factors,
    formed_others,
    helped,
    jacobians,
    masks,
    other_expressions,
    other_operands,
    other_scales,
    swishes,
    terms,
)
from gradcheck._mending.needed import Known
from gradcheck._mending.outside import Edit
from gradcheck._mending.products import at_hand, long_products, products
from gradcheck._mending.residual import Residual, agree
from gradcheck._mending.series import orders
from gradcheck._mending.slopes import slopes
from gradcheck._mending.slots import Candidate, Workplace, is_in_vain
from gradcheck._mending.small_edits import FIRST
from gradcheck._mending.sparing import sparing_others
from gradcheck._mending.suspects import Suspect, roots
from gradcheck._mending.syntax import binary, expressions, loop_counters, names_in, span
from gradcheck._tape import Node, Statement, TapedRun
from gradcheck._tape.nodes import Array
from gradcheck._tape.pairs import as_pairs
from gradcheck._tape.places import Span
from gradcheck._usercode.sums import going_on

#: candidates of one family that are tried
MOST_CANDIDATES = 1500
#: larger edits; those that are looked at only where no other gives a derivative
LARGER: tuple[Family, ...] = (factors, other_expressions, masks, slopes, other_scales, jacobians, swishes, clipped)
LARGEST: tuple[Family, ...] = (other_operands, terms, helped, formed_others)
#: tokens that count for what fits by chance
FROZEN = 4
#: tokens by which an edit may be larger that reads what is of the step, where another reads what is the same in each
FOLLOWS = 6.0
#: derivatives of which the formula is written, and those for which terms are solved
MOST_FORMULAS = 10
MOST_SOLVED = 3
_NOTHING: tuple[frozenset[tuple[object, ...]], list[Array]] = frozenset(), []
#: the values of the forward that an array is the derivative of
Lookup = Callable[[Array], Sequence[Node]]


@dataclass(frozen=True)
class Look:
    """A statement in a run.

    Attributes:
        run: The loss and the gradients, on the tape.
        statement: Its values are looked at.
        executions: Those at which it has to give derivatives.
        idle: Others, at which it may give zero as well; it has to give a derivative somewhere.
        kept: Others, at which it is to give what it gives.
        is_known: Tells whether a value is any derivative; all that the others tell are.
        lookup: Tells derivatives; it does not know those that the statement reads.
        parts: The same for what comes back through some uses alone.
        shares: The same, where others give what comes back through each of the other uses.
        near: Values of the forward whose derivatives it could be meant to give, the nearest first.
        wanted: What it has to give at the executions, where that is known: of which value, and what part of it.
        at: Where the expression begins and ends that has to give it, where it is not all that the statement gives.
    """

    run: TapedRun
    statement: Statement
    executions: Sequence[int]
    idle: Collection[int]
    kept: Collection[int]
    is_known: Callable[[Array], bool]
    lookup: Lookup
    parts: Lookup
    shares: Lookup
    near: Sequence[Node]
    wanted: Sequence[tuple[Node, Array]] = ()
    at: Span | None = None


@dataclass(frozen=True)
class ToDerivative:
    """Edits after which a statement gives derivatives of something of the forward, and of what."""

    edits: tuple[Edit, ...]
    distance: float
    root: ast.expr
    candidate: Candidate
    what: frozenset[tuple[object, ...]]
    values: list[Array]
    #: whether it fits the steps that are looked at, and is seldom what is meant
    is_chance: bool
    #: whether what it writes reads the counter of a loop around, and whether what was there did not
    reads_loop: bool
    follows_loop: bool

    @property
    def is_whole(self) -> bool:
        """Whether they are the derivatives through all uses."""
        return any(is_whole for is_whole, *_ in self.what)


class EditsToDerivatives:
    """Edits of a statement after which it gives derivatives.

    Args:
        look: Where they are looked for.
    """

    def __init__(self, look: Look) -> None:
        with np.errstate(all="ignore"):
            self._found = list(_search(look))
        seen = {*look.executions, *look.idle, *look.kept}
        self._sees_all = all(node.execution in seen for node in look.run.nodes if _is_of(node, look.statement))

    def __bool__(self) -> bool:
        return bool(self._found)

    def keep(self, look: Look) -> None:
        """Keep those that give the derivative of the same in another run."""
        if not self._found:
            return
        with np.errstate(all="ignore"):
            values = _Values(look)
            told = [(one, values.given(one.root, one.candidate)[0]) for one in self._found]
        both = [(one, one.what & given, given) for one, given in told]
        self._found = [replace(one, what=what) for one, what, given in both if what and _sites(what) == _sites(given)]

    @property
    def nearest(self) -> list[tuple[Edit, ...]]:
        """The nearest of the edits to each derivative, the nearest first."""
        result: list[ToDerivative] = []
        for one in sorted(self._found, key=_nearness):
            alike = (k for k, other in enumerate(result) if one.what & other.what and _same(one.values, other.values))
            number = next(alike, None)
            if number is None:
                result.append(one)
            elif self._is_likelier(one, result[number]):
                result[number] = one
        return [one.edits for one in result]

    def _is_likelier(self, one: ToDerivative, nearer: ToDerivative) -> bool:
        """Whether it fits as well and goes with the loop, where not all steps are looked at."""
        follows = one.follows_loop and not nearer.reads_loop and not self._sees_all
        return follows and one.distance <= nearer.distance + FOLLOWS


class _Values:
    """What a statement gives, and would give with expressions in the place of others."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.suspect = Suspect(look.run, look.statement, look.run.once(Residual))
        added = going_on(self.suspect.tree) if self._goes_on() else None
        self._given = list(_given_by(self.suspect.tree, look)) if added is None else [added.term]
        alone = added is not None or look.at is not None
        found = (self._hole(root, alone=alone) for root in self._given)
        self.holes = [hole for hole in found if hole is not None]

    def _goes_on(self) -> bool:
        """Whether at one of several executions something is added to what another gave: what that was is wrong too."""
        executions = {*self.look.executions, *self.look.idle}
        sums = (
            node
            for node in self.look.run.backward
            if node.op in SUMS and node.execution in executions and _is_of(node, self.look.statement)
        )
        before = (origin(one) for node in sums for one in node.inputs)
        return not self.look.wanted and any(
            _is_of(one, self.look.statement) and one.execution in executions and one.op in SUMS for one in before
        )

    def _hole(self, root: ast.expr, *, alone: bool) -> Hole | None:
        """The hole of what the statement gives, or of one of several values, as of a tuple or a dictionary.

        `alone`: of an augmented assignment, or an expression in a statement, that by itself.
        """
        look, suspect = self.look, copy.copy(self.suspect.within(root))
        looked_at = sorted({*look.executions, *look.idle, *look.kept})
        nodes = {str(k): node for k in looked_at if (node := _value(suspect, root, k, alone=alone)) is not None}
        if not nodes or (not _is_evaluated(root, suspect) and self._is_right(nodes)):
            return None
        truth = {name: np.asarray(node.value, float) + 1.0 for name, node in nodes.items()}
        suspect.residual = Residual(look.run, truth, nodes)
        hole = hole_of(suspect, root, alone=alone)
        if hole is not None:
            hole.executions = [one for one in hole.executions if one.number in looked_at]
        return hole if hole is not None and hole.executions else None

    def _is_right(self, nodes: Mapping[str, Node]) -> bool:
        """Whether there is nothing to mend in one of several values."""
        values = [np.asarray(node.value, float) for node in nodes.values()]
        return all(not np.any(value) or self.look.is_known(value) for value in values)

    def given(self, root: ast.expr, candidate: Candidate) -> tuple[frozenset[tuple[object, ...]], list[Array]]:
        """What of the forward a candidate gives the derivative of at all executions, and its values there."""
        hole = next((one for one in self.holes if one.root is root), None)
        if hole is None:
            return _NOTHING
        results: list[Array] = []
        for one, result in zip(hole.executions, hole.results(list(candidate.swaps)), strict=True):
            if result is None or not self._is_hopeful(one.number, result, hole):
                return _NOTHING
            if np.any(result) and self._is_given_beside(root, one.number, result):
                return _NOTHING
            results.append(result)
        targets = [one.target for one in hole.executions]
        if all(target is not None and agree(v, as_pairs(target)) for v, target in zip(results, targets, strict=True)):
            return _NOTHING  # nothing is added: what was right before stays right
        pairs = list(zip(hole.executions, results, strict=True))
        asked = [(_site(one), v) for one, v in pairs if self._is_asked(one.number, v)]
        told = [value for _, value in asked]
        found = [self.look.lookup(value) for value in told]
        is_whole = all(found)
        if not is_whole:
            is_whole = self._is_sum_at_once(hole)  # with a term left out it is a part in any case
            parts = self.look.shares if is_whole else self.look.parts
            found = [one or parts(value) for one, value in zip(found, told, strict=True)]
        of_site: dict[int | None, set[tuple[object, ...]]] = {}
        for (site, _), nodes in zip(asked, found, strict=True):
            what: set[tuple[object, ...]] = {(is_whole, *_what(node), site) for node in nodes}
            of_site[site] = of_site.get(site, what) & what
        is_told = bool(of_site) and all(of_site.values())  # a helper's value is of something else for each who calls it
        return (frozenset().union(*of_site.values()), told) if is_told else _NOTHING

    def _is_asked(self, execution: int, value: Array) -> bool:
        """Whether it has to be a derivative there."""
        return execution not in self.look.kept and not self._may_be_idle(execution, value)

    def _is_given_beside(self, root: ast.expr, execution: int, value: Array) -> bool:
        """Whether another expression of the same statement gives it."""
        nodes = (self.suspect.nodes_of(one, execution) for one in self._given if one is not root)
        return any(node is not None and agree(value, np.asarray(node.value, float)) for node in nodes)

    def _is_hopeful(self, execution: int, value: Array, hole: Hole) -> bool:
        """Whether it may be what the statement is to give at an execution."""
        given = hole.residual.given[str(execution)]
        if execution in self.look.kept:
            return agree(value, given)
        return value.shape == given.shape and (self._may_be_idle(execution, value) or self.look.is_known(value))

    def _may_be_idle(self, execution: int, value: Array) -> bool:
        return execution in self.look.idle and not np.any(value)

    def _is_sum_at_once(self, hole: Hole) -> bool:
        """Whether all that is added up is written here."""
        is_sum = isinstance(hole.root, ast.BinOp) and isinstance(hole.root.op, (ast.Add, ast.Sub))
        return is_sum and self.look.statement.kind != "AugAssign"


def _nearness(one: ToDerivative) -> tuple[int, int]:
    """Of equally near edits, that which writes least anew shows best what was mistaken."""
    return round(one.distance) + FROZEN * one.is_chance, sum(len(edit.text) for edit in one.edits)


def _is_of(node: Node, statement: Statement) -> bool:
    return node.place is not None and node.place.statement is statement


def _is_chance(candidate: Candidate, counters: set[str]) -> bool:
    """Whether a number stands for a name, the same item is read at each step, or the step is calculated with.

    Or a part of an array ends where another size says.
    """
    if any(names_in(old) and not names_in(new) for old, new in candidate.swaps):
        return True
    if any(isinstance(old, ast.Slice) and names_in(new) - names_in(old) for old, new in candidate.swaps):
        return True
    items = [(old, new) for old, new in candidate.swaps if isinstance(old, ast.Subscript)]
    if any(counters & names_in(old) and not counters & names_in(new) for old, new in items):
        return True
    return any(counters & (_factors(new) - _factors(old)) for old, new in candidate.swaps)


def _factors(tree: ast.expr) -> set[str]:
    """The names that are multiplied or divided."""
    products = (
        node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div))
    )
    return {one.id for node in products for one in (node.left, node.right) if isinstance(one, ast.Name)}


def _search(look: Look) -> Iterator[ToDerivative]:
    values = _Values(look)
    for hole in values.holes:
        place, is_found = Workplace(hole), False
        small, larger, largest = (_candidates(place, families) for families in (FIRST, LARGER, LARGEST))
        # what gives derivatives at some steps says what it should: there only its details can be wrong
        written, solved = sparing_others(_written(place, look)), sparing_others(_solved(place, look))
        for stage in (small,) if look.kept else (small, written, larger, solved, largest):
            if is_found and stage in (solved, largest):
                continue
            for one in _accepted(values, hole, stage):
                is_found = is_found or one.is_whole
                yield one


def _accepted(values: _Values, hole: Hole, candidates: Iterable[Candidate]) -> Iterator[ToDerivative]:
    code = values.suspect.code
    for candidate in candidates:
        what, given = values.given(hole.root, candidate)
        is_known = bool(values.look.wanted)  # then what is handed on is no other's
        if not what or is_in_vain(candidate, code) or (not is_known and _hands_on_another(hole, candidate)):
            continue
        swaps = list(candidate.swaps)
        if not hole.keeps_everything(swaps) and not hole.empties(swaps):
            edits = tuple(sorted(code.replaced(old, new) for old, new in candidate.swaps))
            counters = set(loop_counters(code, candidate.swaps[0][0]))
            is_chance = _is_chance(candidate, counters)
            reads = any(counters & names_in(new) for _, new in candidate.swaps)
            follows = any(counters & (names_in(new) - names_in(old)) for old, new in candidate.swaps)
            of_loop = is_chance, reads, follows
            yield ToDerivative(edits, distance(code.text, edits), hole.root, candidate, what, given, *of_loop)


def _hands_on_another(hole: Hole, candidate: Candidate) -> bool:
    """Whether nothing is calculated any more, and another derivative that is at hand, or a multiple, is given: of
    something else."""
    plain = (ast.Name, ast.Attribute, ast.Subscript)
    (old, new), *others = candidate.swaps
    new = _without_number(new)
    if others or old is not hole.root or isinstance(old, plain) or not isinstance(new, plain):
        return False
    return ast.dump(new) not in {ast.dump(part) for part in ast.walk(old) if isinstance(part, plain)}


def _without_number(node: ast.expr) -> ast.expr:
    """What a number is multiplied with, or a sign is turned of."""
    match node:
        case ast.BinOp(left=ast.Constant(), op=ast.Mult(), right=rest) | ast.UnaryOp(op=ast.USub(), operand=rest):
            return _without_number(rest)
        case ast.BinOp(left=rest, op=ast.Mult() | ast.Div(), right=ast.Constant()):
            return _without_number(rest)
    return node


def _candidates(place: Workplace, families: tuple[Family, ...]) -> Iterator[Candidate]:
    for family in families:
        yield from itertools.islice(sparing_others(family(place)), MOST_CANDIDATES)


def _written(place: Workplace, look: Look) -> Iterator[Candidate]:
    if look.wanted:
        return itertools.chain(_with_rest(place, look), formula_of_part(place, *zip(*look.wanted, strict=True)))
    return _formulas(place, look.near)


def _with_rest(place: Workplace, look: Look) -> Iterator[Candidate]:
    """What is given, and what it lacks of what is wanted, written out."""
    given = [place.hole.residual.given.get(str(execution)) for execution in look.executions]
    pairs = zip(look.wanted, given, strict=True)
    rest = [part - one for (_, part), one in pairs if one is not None and one.shape == part.shape]
    if len(rest) == len(look.wanted) and place.hole.operator in (None, "Add"):
        for one in formula_of_part(place, [node for node, _ in look.wanted], rest):
            ((_, term),) = one.swaps
            yield Candidate.of(place.hole.root, binary(place.hole.root, ast.Add(), term))


def _formulas(place: Workplace, values: Sequence[Node]) -> Iterator[Candidate]:
    """The derivatives of these values, written out."""
    hole = place.hole
    for known in itertools.chain.from_iterable(_wanted(place, values)):
        hole.needed = Needed(known, [], {}, True)
        for one in formula(place):
            yield from _in_the_place_of_a_term(hole, one)
            yield one


def _solved(place: Workplace, look: Look) -> Iterator[Candidate]:
    """Terms and products with which what is wanted is given, found by solving for them."""
    hole, before = place.hole, place.hole.residual
    near = itertools.islice(itertools.chain.from_iterable(_wanted(place, look.near)), MOST_SOLVED)
    numbers = [one.number for one in hole.executions]
    # of a part that is not reached each time, what is wanted where it is
    parts = dict(zip(look.executions, (part for _, part in look.wanted), strict=False))
    values = [parts[number] for number in numbers if number in parts]
    for given in (values,) if look.wanted else (known.values for known in near):
        if len(given) < len(numbers):
            continue
        told = {str(number): value for number, value in zip(numbers, given, strict=True)}
        if any(np.shape(value) != np.shape(before.given[key]) for key, value in told.items()):
            continue  # what is written into a whole array gives all of it
        hole.residual = before.wanting({**before.given, **told})
        try:
            # a single name that makes up what lacks is more often what another statement adds later
            yield from _candidates(place, (products, long_products) if look.wanted else (at_hand, products))
        finally:
            hole.residual = before


def _wanted(place: Workplace, values: Sequence[Node]) -> Iterator[Iterator[Known]]:
    """By value, the nearest first: its derivatives in the orders in which the executions may be meant to give them."""
    hole = place.hole
    nearness = {node.index: number for number, node in reversed(list(enumerate(values)))}
    shape = np.shape(hole.residual.truth[hole.residual.names[0]])
    looked_at = [one.number for one in hole.executions]
    # of one value beside others it is known which it is; all else that fits at some steps is written at all of them
    is_whole = _is_evaluated(hole.root, hole.suspect)
    numbers = looked_at if is_whole else range(len(hole.suspect.frames))
    calls = [None if (node := _value(hole.suspect, hole.root, k)) is None else node.call for k in numbers]
    asked = range(len(looked_at)) if is_whole else looked_at
    near = [series for series in hole.residual.series if series.shape == shape and not series.partial]
    wanted = [(min(nearness.get(node.index, len(nearness)) for node in series.sources), series) for series in near]
    nearest = sorted((one for one in wanted if one[0] < len(nearness)), key=lambda one: one[0])
    for _, series in nearest[:MOST_FORMULAS]:
        found = ([order[k] for k in asked] for order in orders([node.call for node in series.nodes], calls))
        yield (Known(series, [series.values[j] for j in order], order, frozenset()) for order in found)


def _in_the_place_of_a_term(hole: Hole, candidate: Candidate) -> Iterator[Candidate]:
    """Of a sum, of which one term alone is something at the executions: in its place, and the others stay.

    What comes back from later steps is nothing at the last of them.
    """
    ((_, new),) = candidate.swaps
    something = [one for one in _terms(hole.root) if any(_is_something(one, each) for each in hole.executions)]
    if len(something) == 1 and something[0] is not hole.root:
        yield Candidate.of(something[0], new)


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    """The terms of a sum."""
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _terms(left)
            yield from _terms(right)
        case _:
            yield node


def _is_something(node: ast.expr, one: Execution) -> bool:
    try:
        return bool(np.any(one.frame.value(node)))
    except UnknownError:
        return True


def _value(suspect: Suspect, root: ast.expr, execution: int, *, alone: bool = False) -> Node | None:
    """What the statement gives by this expression at an execution: of an augmented assignment the sum, or else `alone`
    what the expression gives."""
    found = None if alone else suspect.written("augment", execution)
    return suspect.nodes_of(root, execution) if found is None else found


def _given_by(tree: ast.stmt, look: Look) -> Iterator[ast.expr]:
    """What a statement gives, one by one; where one lacks a part, whoever reads several may be the one to add it."""
    inside = [one for root in roots(tree) for one in expressions(root) if span(one) == look.at]
    for root in inside or roots(tree):
        yield root
        yield from () if look.wanted else elements(root)


def _is_evaluated(root: ast.expr, suspect: Suspect) -> bool:
    """Whether it is all that the statement gives."""
    return any(root is one for one in roots(suspect.tree))


def _what(node: Node) -> tuple[int | None, str | None]:
    """Of which expression, parameter or part of one it is the value, at whatever execution."""
    return (None if node.place is None else node.place.number), node.label


def _same(values: list[Array], others: list[Array]) -> bool:
    """Whether these are the same: of one value there are several derivatives, through some uses each."""
    return len(values) == len(others) and all(agree(a, b) for a, b in zip(values, others, strict=True))


def _sites(what: frozenset[tuple[object, ...]]) -> set[object]:
    return {site for *_, site in what}


def _site(one: Execution) -> int | None:
    """Where the function that it runs in was called from."""
    calls = (node.call for node in one.nodes if node is not None and node.call is not None)
    return next((call.place.number for call in calls), None)
