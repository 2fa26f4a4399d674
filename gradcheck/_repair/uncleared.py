"""What a call adds up and nothing sets to zero before the next: gradients that are right once, then twice as large."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck._common.user_files import is_users_class
from gradcheck._mending import Mend
from gradcheck._mending.gaps import Function, Idle, beginnings
from gradcheck._mending.looking import frames_at
from gradcheck._mending.syntax import Code
from gradcheck._mending.trials import Trial
from gradcheck._repair.forward import backward_functions
from gradcheck._repair.found import Mended
from gradcheck._repair.points import Point
from gradcheck._tape import Statement, TapedRun
from gradcheck._usercode.source import Edit
from gradcheck.report.codes import FindingCode

#: edits that are run
MOST_TRIED = 40
_ZEROS = frozenset({"zeros", "zeros_like", "fill"})


def uncleared(run: TapedRun, others: Sequence[Point]) -> Mended | None:
    """The fault that sums are not cleared before a call, and the statement that clears them; None if none does.

    Args:
        run: A run whose gradients are right, the first time.
        others: Where else the statement is tried.
    """
    trial, tried = Trial(run), 0
    for statement, function in backward_functions(run):
        for edit in _clearing(run, statement, function):
            tried += 1
            if tried > MOST_TRIED:
                return None
            if _is_right(trial, statement.file, edit) and all(
                _is_right_at(one, statement.file, edit) for one in others
            ):
                mend = Mend(statement.file, (edit,), statement, (), (), f"run at {1 + len(others)} points")
                return Mended.of(statement, [mend], code=FindingCode.NOT_CLEARED)
    return None


def _is_right(trial: Trial, file: str, edit: Edit) -> bool:
    return trial.right_with(file, [edit]) == frozenset(trial.truth)


def _is_right_at(point: Point, file: str, edit: Edit) -> bool:
    with point.taped() as run:
        return _is_right(Trial(run), file, edit)


def _clearing(run: TapedRun, statement: Statement, function: Function) -> Iterator[Edit]:
    """Statements that clear sums, wherever the function could begin with one."""
    local = next((found[-1].local for place in statement.places if (found := frames_at(run, place))), {})
    code = Code.of(statement.source.text)
    for gap, bound in beginnings(function):
        yield from (gap.filled(text) for text in _calls(local, bound, code))
        sums = [text for text in _sums(function, local) if Idle(text).name in bound]
        if sums:
            yield gap.filled(*(f"{one}[...] = 0.0" for one in sums))


def _calls(local: Mapping[str, Any], bound: set[str], code: Code) -> Iterator[str]:
    """Calls of methods that set something to zero and take nothing."""
    clearing = {one.name for one in ast.walk(code.tree) if isinstance(one, ast.FunctionDef) and _clears(one)}
    owners = {name: value for name, value in local.items() if name in bound and is_users_class(type(value))}
    inner = {f"{name}.{key}": one for name, value in owners.items() for key, one in vars(value).items()}
    for text, value in (owners | inner).items():
        if is_users_class(type(value)):
            yield from (f"{text}.{name}()" for name in sorted(clearing) if callable(getattr(value, name, None)))


def _clears(function: ast.FunctionDef) -> bool:
    """Whether a method without arguments sets something to zero, and does little else."""
    if len(function.args.args) != 1 or len(function.body) > 3:
        return False
    called = [one.func for one in ast.walk(function) if isinstance(one, ast.Call)]
    names = {one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", "") for one in called}
    numbers = [one.value for one in ast.walk(function) if isinstance(one, ast.Assign)]
    return bool(names & _ZEROS) or any(isinstance(one, ast.Constant) and one.value == 0 for one in numbers)


def _sums(function: Function, local: Mapping[str, Any]) -> list[str]:
    """The arrays in attributes and dictionaries that the function adds to."""
    found: dict[str, None] = {}
    for node in ast.walk(function):
        target = node.target if isinstance(node, ast.AugAssign) else None
        match target:
            case ast.Attribute(value=ast.Name(id=name), attr=attr):
                value = getattr(local.get(name), attr, None)
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=key)):
                owner = local.get(name)
                value = owner.get(key) if isinstance(owner, dict) else None
            case _:
                continue
        if isinstance(value, np.ndarray):
            found[ast.unparse(target)] = None
    return list(found)
