"""One edit where a variable is bound, in the place of those that make another value of it where it is read.

Who forgets a derivative in `dz = dh` spoils every statement that reads `dz`, and each of them has an edit of its own.
Where one statement alone reads a variable, that is what the variable is for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

from gradcheck._common.errors import TargetError
from gradcheck._localising.ground import Ground
from gradcheck._localising.incomplete import given_whole_of_forward
from gradcheck._localising.spoiling import spoiling
from gradcheck._localising.standing import Standing
from gradcheck._mending import Mend
from gradcheck._mending.begun import begun_with
from gradcheck._mending.misnamed import side_by_side
from gradcheck._mending.syntax import Code, difference, names_in
from gradcheck._repair.forward import at_work
from gradcheck._repair.found import Found, Mended, add_mend
from gradcheck._repair.wrong_values import EVIDENCE, Taped, wrong_gradients
from gradcheck._tape import Statement, TapedRun
from gradcheck._tape.parts import whole_name
from gradcheck._usercode.patching import RebindError
from gradcheck._usercode.source import Edit, Source


def mend_where_bound(found: Found, taped: Taped) -> None:
    """Take one edit for several, or for that of the only reader, where as much is right with it.

    Args:
        found: What is found.
        taped: Puts edits in place, and gives a run with them.
    """
    replaced = list(_replaced_names(found))
    for name, new, fault, is_chosen in replaced:
        if fault not in found.faults:
            continue
        code = Code.of(found.sources[fault.statement.file].text)
        alike = [id(other) for of_name, by, other, _ in replaced if of_name == name and ast.dump(by) == ast.dump(new)]
        group = [
            one for one in found.faults if (one.is_by_value or id(one) in alike) and _concerns(one, name, fault, code)
        ]
        places = _bound_before(name, fault, code)
        if len(group) < 2:
            if not is_chosen:
                continue  # edits that would do as well tell what several have in common, no more
            group = [fault]
            places = places if len(places) == 1 and _is_read_once(name, places[0][0], code) else []
        for bound, value in places:
            edit = code.replaced(value, Replacing(name, value).visit(deepcopy(new)))
            if any(edit.start < other.end and other.start < edit.end for one in found.faults for other in one.edits):
                continue
            instead = _of_binding(found.sources[fault.statement.file], bound, edit)
            if takes(found, taped, group, instead, spares_givers=not _is_returned(name, fault, code)):
                break
    for fault in list(found.faults):
        _begin_with_term(found, taped, fault)
    for fault in list(found.faults):
        _mend_where_renamed(found, taped, fault)


def _mend_where_renamed(found: Found, taped: Taped, fault: Mended) -> None:
    """Take an edit where a value only gets another name for what follows: something was to be done to it there."""
    match _edited_once(found, fault):
        case _Edited(
            source, code, ast.Assign(targets=[ast.Name(id=name)], value=old) as statement, ast.Assign(value=new)
        ):
            named = _Naming(old, name)
            done = named.visit(deepcopy(new))
            renamed = _renamed(name, statement, code) if named.is_found else None
            if renamed is not None and isinstance(done, ast.expr):
                instead = _of_binding(source, renamed, code.replaced(renamed.value, done))
                takes(found, taped, [fault], instead, spares_givers=False, goes_by_values=False)


class _Edited(NamedTuple):
    """A statement as it is, in its file, and as it becomes with the edit of a fault."""

    source: Source
    code: Code
    before: ast.stmt | None
    after: ast.stmt | None


def _edited_once(found: Found, fault: Mended) -> _Edited | None:
    """The statement of a fault that one edit mends; None of another fault."""
    source = found.sources.get(fault.statement.file)
    if source is not None and len(fault.edits) == 1 and fault.line is not None:
        with suppress(SyntaxError):
            code, edited = Code.of(source.text), ast.parse(source.edited(fault.edits))
            return _Edited(source, code, statement_of(code.tree, fault.line), statement_of(edited, fault.line))
    return None


def _renamed(name: str, statement: ast.stmt, code: Code) -> ast.Assign | None:
    """The only statement that reads a variable, if it gives the value another name, one that is not handed round."""
    function = code.function(statement)
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)] if function is not None else []
    readers = [node for node in names if node.id == name and isinstance(node.ctx, ast.Load)]
    around = code.parent(readers[0]) if len(readers) == 1 else None
    match around:
        case ast.Assign(targets=[ast.Name(id=other)], lineno=line) if line > statement.lineno:
            return None if any(node.id == other and node.lineno < line for node in names) else around
    return None


class _Naming(ast.NodeTransformer):
    """Puts a variable in the place of what is bound to it."""

    def __init__(self, old: ast.expr, name: str) -> None:
        self.old, self.name, self.is_found = ast.dump(old), name, False

    def visit(self, node: ast.AST) -> ast.AST:
        """The same tree, with the variable."""
        if ast.dump(node) == self.old:
            self.is_found = True
            return ast.Name(self.name, ast.Load())
        return self.generic_visit(node)


def _begin_with_term(found: Found, taped: Taped, fault: Mended) -> None:
    """Of a term more in one of several statements that add to a variable, or return it, an edit where that begins."""
    match _edited_once(found, fault):
        case _Edited(
            code=code,
            before=ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value) as statement,
            after=ast.AugAssign(value=ast.BinOp(left=same, op=ast.Add(), right=term)),
        ) if ast.dump(same) == ast.dump(value):
            _begin(found, taped, fault, name, term, code.above(statement))
        case _Edited(code=code, before=ast.Return() as statement, after=ast.Return() as other):
            match difference(statement, other):
                case ast.Name(id=name), ast.BinOp(left=ast.Name() as same, op=ast.Add(), right=term):
                    if same.id == name:
                        _begin(found, taped, fault, name, term, code.above(statement))


def _begin(found: Found, taped: Taped, fault: Mended, name: str, term: ast.expr, above: Sequence[ast.stmt]) -> None:
    begun = begun_with(name, "+", ast.unparse(term), above)
    if begun is not None:
        source = found.sources[fault.statement.file]
        takes(found, taped, [fault], _of_binding(source, begun.bound, begun.edit), goes_by_values=False)


class Instead(NamedTuple):
    """An edit of a statement of the text as it is, in the place of others."""

    file: str
    line: int
    kind: str
    text: str
    edit: Edit


def _of_binding(source: Source, bound: ast.Assign, edit: Edit) -> Instead:
    return Instead(source.file, bound.lineno, "Assign", source.segment_of(bound), edit)


def takes(
    found: Found,
    taped: Taped,
    group: Sequence[Mended],
    instead: Instead,
    *,
    spares_givers: bool = True,
    goes_by_values: bool = True,
) -> bool:
    """Put the edit in the place of those of the group, if as much is right with it; whether it does.

    Args:
        found: What is found.
        taped: Puts edits in place, and gives a run with them.
        group: The faults whose edits it replaces.
        instead: The edit.
        spares_givers: Not for that of a single reader, where the statement gives a derivative that lacks nothing.
        goes_by_values: Whether values tell also where no gradient is wrong any more: who reads a derivative under
            another name may spoil none of them by that.
    """
    trial = found.copy()
    places = [found.faults.index(one) for one in group]
    for one in [trial.faults[number] for number in places]:
        trial.take_back(one)
    first = group[0]
    with suppress(TargetError, SyntaxError, RebindError):
        with taped(found) as run:
            spoiled, whole = _spoiled(run), run.once(given_whole_of_forward)
        with taped(trial) as run:
            statement = _statement(run.statements, instead)
            is_spared = spares_givers and len(group) == 1
            if statement is None:
                return False
            if is_spared and (_gives_whole_derivatives(run, statement) or _fetches_value(run, statement)):
                return False
        gradients = tuple(dict.fromkeys(name for one in group for name in one.gradients))
        mend = Mend(instead.file, (instead.edit,), statement, (), (), EVIDENCE)
        fault = Mended(statement, gradients, None, mend, is_by_value=True)
        if len(group) == 1 and first.mend is not None:
            mend = replace(first.mend, file=instead.file, edits=(instead.edit,), statement=statement)
            fault = replace(first, statement=statement, suspect=None, mend=mend, others=(), edits=[])
        if not add_mend(trial, fault, {}):
            return False
        with taped(trial) as run:
            wrong = set(map(whole_name, wrong_gradients(run)))
            if not wrong <= set(found.still_wrong):
                return False
            is_told = goes_by_values or wrong  # where others are wrong still, the values tell
            if is_told and (_spoiled(run) > spoiled or not whole <= run.once(given_whole_of_forward)):
                return False
        trial.faults[-1].line = instead.line
        trial.faults.insert(places[0], trial.faults.pop())
        lines = {(one.statement.file, one.line) for one in group}
        found.signs = [one for one in found.signs if (one.statement.file, one.line) not in lines]
        found.faults, found.edits = trial.faults, trial.edits
        found.note_edits()
        return True
    return False


def _spoiled(run: TapedRun) -> int:
    """How many statements spoil derivatives: where all gradients are wrong still, these tell one edit from another."""
    return sum(bool(one.executions) for one in run.once(spoiling))


def _replaced_names(found: Found) -> Iterator[tuple[str, ast.expr, Mended, bool]]:
    """Variables in whose place an edit puts something else, with that; and whether it is the edit that is told."""
    for fault in found.faults:
        for edits, (old, new) in replacements(found, fault) if fault.code is None else ():
            if isinstance(old, ast.Name) and isinstance(new, ast.expr):
                yield old.id, new, fault, edits is fault.edits


def replacements(found: Found, fault: Mended) -> Iterator[tuple[Sequence[Edit], tuple[ast.AST, ast.AST]]]:
    """The edits that mend a fault, those that are told first, each with what it puts in the place of what."""
    source = found.sources.get(fault.statement.file)
    if source is None or fault.line is None or not fault.edits:
        return
    before = statement_of(Code.of(source.text).tree, fault.line)
    for edits in (fault.edits, *(one.edits for one in fault.others)):
        with suppress(SyntaxError):
            after = statement_of(ast.parse(source.edited(edits)), fault.line)
            pair = None if before is None or after is None else difference(before, after)
            if pair is not None:
                yield edits, pair


def statement_of(tree: ast.AST, line: int) -> ast.stmt | None:
    """The statement that begins at a line."""
    return next((one for one in ast.walk(tree) if isinstance(one, ast.stmt) and one.lineno == line), None)


def _concerns(fault: Mended, name: str, other: Mended, code: Code) -> bool:
    """Whether a fault is of a statement that reads or binds a variable, in the function of another."""
    here, there = fault.statement, other.statement
    if (here.file, here.function) != (there.file, there.function) or fault.line is None:
        return False
    statement = statement_of(code.tree, fault.line)
    return statement is not None and name in names_in(statement)


def _bound_before(name: str, fault: Mended, code: Code) -> list[tuple[ast.Assign, ast.expr]]:
    statement = None if fault.line is None else statement_of(code.tree, fault.line)
    return [] if statement is None else bindings(name, statement, code)


def bindings(name: str, statement: ast.stmt, code: Code) -> list[tuple[ast.Assign, ast.expr]]:
    """The statements of a function before one that give a variable its value, with that: the last one first."""
    function = code.function(statement)
    found = [
        (node, value)
        for node in (ast.walk(function) if function is not None else ())
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and node.lineno < statement.lineno
        for target, value in side_by_side(node.targets[0], node.value)
        if target.id == name
    ]
    return sorted(found, key=lambda one: -one[0].lineno)


def _is_read_once(name: str, bound: ast.Assign, code: Code) -> bool:
    """Whether one expression alone reads what is bound to a variable in a function, at the same depth of loops."""
    function = code.function(bound)
    nodes = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name] if function else []
    read = [node for node in nodes if isinstance(node.ctx, ast.Load)]
    return len(nodes) == 2 and len(read) == 1 and list(code.loops_around(read[0])) == list(code.loops_around(bound))


def _is_returned(name: str, fault: Mended, code: Code) -> bool:
    """Whether a fault's statement returns a variable as it is, beside others: nothing is to be calculated there."""
    statement = None if fault.line is None else statement_of(code.tree, fault.line)
    if not isinstance(statement, ast.Return):
        return False
    read = (node for node in ast.walk(statement) if isinstance(node, ast.Name) and node.id == name)
    return all(_is_handed_round(node, statement, code) for node in read)


def _is_handed_round(node: ast.AST, statement: ast.stmt, code: Code) -> bool:
    around = code.parent(node)
    while around is not statement:
        if not isinstance(around, (ast.Tuple, ast.List, ast.Dict, ast.Call, ast.keyword)):
            return False
        around = code.parent(around)
    return True


def _gives_whole_derivatives(run: TapedRun, statement: Statement) -> bool:
    """Whether a statement gives a derivative that lacks nothing somewhere, so that its readers are to blame."""
    standings = run.once(Ground).standings
    given = (node for of_one, node in standings.calculated if of_one is statement)
    return any(standings.of(node) is Standing.FULL or standings.is_of_turned(node) for node in given)


def _fetches_value(run: TapedRun, statement: Statement) -> bool:
    """Whether a statement only fetches what the forward has kept: what is made of that is to blame, not who fetches."""
    tree = Code.of(statement.source.text).statement(statement.line, statement.kind)
    value = tree.value if isinstance(tree, ast.Assign) else None
    if not isinstance(value, (ast.Subscript, ast.Attribute)) and not (isinstance(value, ast.Call) and not value.args):
        return False
    return id(statement) not in run.once(at_work)


class Replacing(ast.NodeTransformer):
    """Puts an expression in the place of a variable."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self.name, self.value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.value if node.id == self.name else node


def _statement(statements: Sequence[Statement], instead: Instead) -> Statement | None:
    of_file = (one for one in statements if one.file == instead.file and one.kind == instead.kind)
    alike = (one for one in of_file if one.text == instead.text)  # with edits before it, it stands on another line
    return min(alike, key=lambda one: abs(one.line - instead.line), default=None)
