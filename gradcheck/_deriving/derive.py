"""Writes the backward of a target from its forward, and verifies what it wrote."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from gradcheck._deriving.backward import Backward
from gradcheck._deriving.carrying import ReadAgainError
from gradcheck._deriving.layout import in_style, without_copies
from gradcheck._deriving.naming import Names
from gradcheck._deriving.reader import Reader
from gradcheck._deriving.rendering import as_python
from gradcheck._deriving.scopes import Path, syntax_of, users_function
from gradcheck._deriving.statements import (
    Block,
    CannotError,
    clone,
    every,
    expressions_of,
    holds_numbers,
    known,
    names_in,
    shape_of,
    value_of,
)  # fmt: skip
from gradcheck._deriving.tidying import needed_only, settle_positions
from gradcheck._deriving.written import Written, output_name, source_of
from gradcheck._mending.syntax import Code
from gradcheck._mending.vjp import Cotangent
from gradcheck._targets.adapters import CallProblem, UpdateProblem
from gradcheck._targets.opening import opened
from gradcheck._targets.problems import InPlaceProblem
from gradcheck._targets.pure_problems import FunctionProblem, VjpProblem
from gradcheck._targets.structure import rebuilt
from gradcheck._targets.target import Target
from gradcheck._usercode.source import Source

#: how often a forward is read again when a loop turns out to hand on more than it seemed
MOST_READINGS = 60


def write_backward(target: Target, seed: int, name: str) -> Written:
    """The backward of a target as source, not verified yet; `name` is that of the target in its file.

    Raises:
        CannotError: Where the forward has a construct that no backward can be written for.
        TargetError: If the loss cannot be run.
    """
    with opened(target, seed):
        target.loss_at(target.values())  # what is wrong with the loss itself is told as ever
        learned = Learned({}, set(), set(), set(), set())
        for _ in range(MOST_READINGS):
            try:
                with _placed(target):
                    return _Derivation(target, learned).written(name)
            except ReadAgainError:
                continue
    raise CannotError("no backward can be written: what the loops hand from step to step cannot be told")


@dataclass
class Learned:
    """What earlier readings showed: see `Reader`."""

    handed_on: dict[int, list[tuple[int, str]]]
    unmoved: set[tuple[int, str]]
    moved: set[str]
    taken: set[tuple[int, str]]
    begun: set[str]


@contextmanager
def _placed(target: Target) -> Iterator[None]:
    """Hidden state as it is when a loss begins."""
    problem = target.problem
    if isinstance(problem, InPlaceProblem):
        with problem.placed_at(target.values()):
            yield
    else:
        yield


class _Derivation:
    """One reading of a target's forward, and the backward of it."""

    def __init__(self, target: Target, learned: Learned) -> None:
        self.target, self.problem = target, target.problem
        begin = self._begin()
        found = users_function(_plain(begin)[0])
        if found is None or syntax_of(found[0]) is None:
            raise CannotError(f"no backward can be written: the source of {target.name}'s loss is not at hand")
        self.function, self.path = found[0], _plain(begin)[1]
        self.file = self.function.__code__.co_filename
        self.names = Names(self.function.__globals__, FilePath(self.file).name)
        self.names.remember(self.function, self.path if not found[1] else self.path.then("function", ""))
        if "np" not in self.function.__globals__:
            self.names.imports["np"] = "import numpy as np"
        self.handed, parameters = self._handed()
        self.reader = Reader(self.names, parameters, self.function)
        self.reader.of_loops, self.reader.scopes = set(), []
        self.reader.around, self.reader.of_one_step = [], []
        reader = self.reader
        reader.learned, reader.unmoved, reader.moved = learned.handed_on, learned.unmoved, learned.moved
        reader.taken, reader.begun = learned.taken, learned.begun
        self.reader.where = self.file
        self.reader.env["np"] = np
        self.begin, self.first = begin, found[1]

    def _begin(self) -> Callable[..., Any]:
        problem = self.problem
        if isinstance(problem, InPlaceProblem):
            return problem.loss
        if isinstance(problem, FunctionProblem):
            return problem._f
        assert isinstance(problem, VjpProblem)
        return problem._forward

    def _handed(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the function is called with, and the parameters that derivatives are wanted of."""
        problem = self.problem
        live = problem.arrays()
        if isinstance(problem, VjpProblem):
            values = {name: np.array({**live, **problem.inputs}[name]) for name in problem._order}
            return values, {name: values[name] for name in live}
        if isinstance(problem, FunctionProblem):
            values = {name: np.array(array) for name, array in live.items()}
            whole = {name: rebuilt(name, value, values) for name, value in problem._structure.items()}
            return {"params": whole}, values
        return {}, live

    def _arguments(self) -> list[ast.expr]:
        """The expressions that the function is called with."""
        reader, made = self.reader, list[ast.expr]()
        if self.first:
            name = self.names.argument(_owner_name(self.first[0]), self.first[0], self.path.then("self", ""))
            reader.env[name] = self.first[0]
            made.append(reader.noted(ast.Name(name, ast.Load()), self.first[0]))
        names = self.function.__code__.co_varnames[: self.function.__code__.co_argcount][len(made) :]
        partial = self.begin if isinstance(self.begin, functools.partial) else None
        for k, value in enumerate(partial.args if partial else ()):
            made.append(self._argument(names[k], value, self.path_of_partial(str(k))))
        names = names[len(partial.args) if partial else 0 :]
        self.handed_names: list[str] = []
        for k, (label, value) in enumerate(self.handed.items()):
            hint = names[k] if k < len(names) else label
            node = self._argument(hint, value, None)
            assert isinstance(node, ast.Name)
            self.handed_names.append(node.id)
            made.append(node)
        return made

    def path_of_partial(self, name: str) -> Path:
        """Where an argument that was given beforehand is found."""
        return Path().then("partial", name)

    def _argument(self, hint: str, value: Any, path: Path | None) -> ast.expr:
        name = self.names.argument(hint, value, path)
        self.reader.env[name] = value
        return self.reader.noted(ast.Name(name, ast.Load()), value)

    # -- writing ---------------------------------------------------------------------------------------------------

    def written(self, label: str) -> Written:
        """The source."""
        reader = self.reader
        is_vjp, which = isinstance(self.problem, VjpProblem), self._which_result()
        arguments = self._arguments()
        keywords = {}
        if isinstance(self.begin, functools.partial):
            keywords = {
                name: self._argument(name, value, self.path_of_partial(name))
                for name, value in self.begin.keywords.items()
            }
        result = reader.inlined(self.function, arguments, keywords, None if which is None else frozenset({which}))
        if which is not None and isinstance(value_of(result), tuple):
            result = reader.item(result, reader.noted(ast.Constant(which), which))
        block = reader.block
        roots = self._outputs(result) if is_vjp else [result]
        if not is_vjp and not holds_numbers(value_of(result)):
            raise CannotError("no backward can be written: the loss is no floating-point number")
        needed_only(block, {name for root in roots for name in names_in(root)})
        settle_positions(block, reader.env)
        parameters = self._parameters(block, roots)
        backward = Backward(self.names, reader.env, reader.active, parameters, self.file)
        backward.results_of(block)
        cotangents: list[str] = []
        seeds: list[tuple[ast.expr, Cotangent]] = []
        for root in roots:
            if is_vjp:
                output = output_name(root)
                cotangents.append(self.names.fresh(f"d{output}"))
                backward.shares.cotangents.setdefault(output, cotangents[-1])
                seeds.append((root, Cotangent(ast.Name(cotangents[-1], ast.Load()), shape_of(root))))
            else:
                seeds.append((root, Cotangent(ast.Constant(1), shape_of(root))))
        context = backward.write(block, seeds)
        finals = self._finals(backward, context)
        statements = without_copies([*backward.shares.beginning, *context.out])
        needed_only(block, names_in(*statements, *finals.values()))
        return self._assembled(label, block, statements, finals, cotangents)

    def _which_result(self) -> int | None:
        """Which of several results the loss is (or the outputs are); None where there is one."""
        problem = self.problem
        if isinstance(problem, CallProblem):
            if not isinstance(problem._select_loss, int):
                raise CannotError("no backward can be written: the loss is picked from what f() returns by no index")
            return problem._select_loss
        if isinstance(problem, UpdateProblem):
            return 0 if problem._is_one_call else None
        return None if isinstance(problem, InPlaceProblem) else 0

    def _outputs(self, result: ast.expr) -> list[ast.expr]:
        if isinstance(result, ast.Tuple):
            return [leaf for one in result.elts for leaf in self._outputs(one)]
        return [result]

    def _parameters(self, block: Block, roots: list[ast.expr]) -> dict[str, ast.expr]:
        """An expression for each parameter."""
        found: dict[str, ast.expr] = {}
        trees = [tree for one in every(block) for tree in expressions_of(one)] + list(roots)
        for tree in trees:
            for node in ast.walk(tree):
                info = known(node)
                if isinstance(node, ast.expr) and info is not None and info.parameter is not None:
                    found.setdefault(info.parameter, clone(node))
        missing = [name for name in self.problem.arrays() if name not in found]
        if missing:
            raise CannotError(
                f"no backward can be written: the loss does not read {', '.join(missing)}, as far as it was read"
            )
        return found

    def _finals(self, backward: Backward, context: Any) -> dict[str, ast.expr]:
        """What is returned for each parameter."""
        finals: dict[str, ast.expr] = {}
        for name in self.problem.arrays():
            key = f"parameter:{name}"
            g = backward.shares.take(context, key)
            if g is None:
                like = backward.shares.like(key)
                finals[name] = ast.parse(f"np.zeros_like({ast.unparse(like)})", mode="eval").body
            else:
                finals[name] = g.node
        return finals

    def _assembled(
        self,
        label: str,
        block: Block,
        statements: list[ast.stmt],
        finals: dict[str, ast.expr],
        cotangents: list[str],
    ) -> Written:
        keys: list[ast.expr | None] = [ast.Constant(name) for name in finals]
        returned = ast.Return(ast.Dict(keys, list(finals.values())))
        if isinstance(self.problem, VjpProblem) and list(finals) == self.problem._order:
            values = list(finals.values())
            returned = ast.Return(ast.Tuple(values, ast.Load()) if len(values) > 1 else values[0])
        forward = as_python(block)
        body = [*forward, *statements, returned]
        used = names_in(*body)
        paths = {name: path for name, path in self.names.arguments.items() if name in used and path is not None}
        lost = [
            name for name, path in self.names.arguments.items()
            if name in used and path is None and name not in self.handed_names
        ]  # fmt: skip
        if lost:
            raise CannotError(f"no backward can be written: {', '.join(lost)} cannot be found from outside the loss")
        name = self.names.fresh(f"{label}_backward")
        arguments = [*cotangents, *self.handed_names, *paths]
        source = source_of(name, arguments, forward, [*statements, returned])
        file = Source.of_running(self.file)
        source = in_style(source, "'" if file is None else Code.of(file.text).quote)
        imports = [line for key, line in self.names.imports.items() if key in used]
        return Written(
            name, source, cotangents, self.handed_names, paths, self.function.__globals__, self.file, imports
        )


def _plain(begin: Any) -> tuple[Any, Path]:
    """The function behind a partial."""
    path = Path()
    while isinstance(begin, functools.partial):
        begin, path = begin.func, path.then("function", "")
    return begin, path


def _owner_name(owner: Any) -> str:
    return type(owner).__name__.lower()
