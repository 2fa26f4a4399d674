"""What stands in a file: its functions, classes, the arrays that are its variables, the sizes of these, and clips."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from gradcheck._common.definitions import does_more_than_define, parsed

#: how the gradient of W is called
GRADIENT_PATTERNS = ("d{}", "d_{}", "{}_diff", "{}_grad", "grad_{}", "{}_d", "g{}", "{}grad", "D{}", "delta_{}")
_LOSS = re.compile(r".*(loss|cost)$|.*_loss.*|loss.*|^err(or)?$|^J$|^L$|^E$|total_?error", re.I)
_GRADIENTS = re.compile(r"(.*grad(s|ients?)?|gs|derivs?|diffs?)$", re.I)
#: what makes an array of a shape, and where the shape stands
_MAKERS = {"zeros": 0, "ones": 0, "empty": 0, "randn": None, "rand": None, "normal": 2, "uniform": 2, "random": 0,
           "standard_normal": 0}  # fmt: skip


@dataclass(frozen=True)
class Function:
    """A function or a method: the names of its arguments, those with defaults, and what each return names."""

    name: str
    node: ast.FunctionDef
    arguments: tuple[str, ...]
    with_defaults: tuple[str, ...]
    returns: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, node: ast.FunctionDef, *, method: bool = False) -> Function:
        """As it is written."""
        names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)][int(method) :]
        required = len(names) - len(node.args.defaults)
        returns = [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None]
        return cls(node.name, node, tuple(names[:required]), tuple(names[required:]), tuple(map(_names, returns)))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The arguments whose defaults are integers."""
        pairs = zip(self.with_defaults, self.node.args.defaults, strict=True)
        return tuple(name for name, value in pairs if isinstance(value, ast.Constant) and type(value.value) is int)

    @property
    def returned(self) -> tuple[str, ...]:
        """What its last return names, in order; an item that is no name is empty."""
        return self.returns[-1] if self.returns else ()

    @property
    def place_of_loss(self) -> int | None:
        """Which of the returned is the loss."""
        return next((i for i, name in enumerate(self.returned) if _LOSS.fullmatch(name)), None)

    @property
    def place_of_gradients(self) -> int | None:
        """Which of the returned holds all gradients."""
        return next((i for i, name in enumerate(self.returned) if _GRADIENTS.fullmatch(name)), None)


def weights_of(names: Sequence[str], weights: Collection[str]) -> dict[int, str]:
    """Which of these names are called like the gradients of weights: the place of each, and the weight."""
    for pattern in GRADIENT_PATTERNS:
        called = {pattern.format(one): one for one in weights}
        found = {i: called[name] for i, name in enumerate(names) if name in called}
        if found:
            return found
    return {}


@dataclass
class Reading:
    """The file, read."""

    file: Path
    tree: ast.Module
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    #: what is assigned at the top, by name; the last wins
    assigned: dict[str, ast.expr] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path) -> Reading:
        """Read a file.

        Raises:
            TargetError: If it cannot be read, or is no Python 3.
        """
        reading = cls(file, parsed(file))
        for node in reading.tree.body:
            if isinstance(node, ast.FunctionDef):
                reading.functions[node.name] = Function.of(node)
            elif isinstance(node, ast.ClassDef):
                reading.classes[node.name] = node
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    reading._assign(target, node.value)
        return reading

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.assigned.setdefault(target.id, value)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, part in zip(target.elts, value.elts, strict=True):
                self._assign(one, part)
        elif isinstance(target, ast.Tuple):
            for one in target.elts:
                if isinstance(one, ast.Name):
                    self.assigned.setdefault(one.id, value)

    @cached_property
    def needs_definitions_alone(self) -> bool:
        """Whether importing it would train, read or print, or it has words of Python 2."""
        old = any(isinstance(node, ast.Name) and node.id == "xrange" for node in ast.walk(self.tree))
        return old or does_more_than_define(self.tree) or not self.file.stem.isidentifier()

    @cached_property
    def imported_packages(self) -> set[str]:
        """The modules and packages that it imports, by the first parts of their names."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {one.name.partition(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
        return found

    @cached_property
    def arrays(self) -> dict[str, ast.expr]:
        """The shapes of arrays that are variables of the file."""
        found = {name: shape for name, value in self.assigned.items() if (shape := _shape_of(value)) is not None}
        return {name: shape for name, shape in found.items() if not self.gradient_of(name, set(found))}

    @cached_property
    def holders(self) -> dict[str, tuple[list[str], str]]:
        """Classes whose objects hold weights and their gradients: the names, and the pattern of the gradients'."""
        found = {}
        for name, node in self.classes.items():
            held = [
                target.attr
                for one in ast.walk(node)
                if isinstance(one, ast.Assign)
                for target in one.targets
                if isinstance(target, ast.Attribute)
            ]
            for pattern in GRADIENT_PATTERNS:
                names = [one for one in dict.fromkeys(held) if pattern.format(one) in held]
                if len(names) > 1:
                    found[name] = names, pattern
                    break
        return found

    def gradient_of(self, name: str, names: set[str]) -> str | None:
        """The other name of which this one is the gradient's."""
        return next((one for one in names for p in GRADIENT_PATTERNS if p.format(one) == name and one != name), None)

    def names_in(self, function: Function) -> set[str]:
        """What a function names, itself or in the functions of the file that it calls."""
        seen: set[str] = set()
        waiting = [function]
        while waiting:
            one = waiting.pop()
            named = {node.id for node in ast.walk(one.node) if isinstance(node, ast.Name)}
            waiting += [self.functions[name] for name in named - seen if name in self.functions]
            seen |= named
        return seen

    def methods(self, name: str) -> dict[str, Function]:
        """The methods of a class, those of its bases in the file included."""
        node = self.classes[name]
        found: dict[str, Function] = {}
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in self.classes and base.id != name:
                found |= self.methods(base.id)
        for one in node.body:
            if isinstance(one, ast.FunctionDef):
                static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in one.decorator_list)
                found[one.name] = Function.of(one, method=not static)
        return found

    @cached_property
    def clips(self) -> dict[str, str]:
        """Clips of gradients that are meant, by the function that they stand in, as an argument of a target."""
        found: dict[str, str] = {}
        norms = {name: bound for name, function in self.functions.items() if (bound := _bound_of_norm(function.node))}
        for top in self.tree.body:
            for node in ast.walk(top):
                if isinstance(node, ast.FunctionDef) and (clips := list(_clips_in(node, norms))):
                    found[node.name] = clips[-1]
        return found


def _clips_in(node: ast.FunctionDef, norms: dict[str, float]) -> Iterator[str]:
    for call in ast.walk(node):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name == "clip" and len(call.args) >= 3:
            low, high = (_number(one) for one in call.args[1:3])
            if high is not None and low == -high:
                yield f"clipped={high:g}"
        elif name in norms:
            yield f"clipped_norm={norms[name]:g}"


def _bound_of_norm(node: ast.FunctionDef) -> float | None:
    """The bound of a function that clips a norm."""
    if not re.search(r"clip.*norm", node.name, re.I) or not node.args.defaults:
        return None
    return _number(node.args.defaults[-1])


def _number(node: ast.expr) -> float | None:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return float(value) if isinstance(value, (int, float)) else None


def _shape_of(value: ast.expr) -> ast.expr | None:
    """The shape that the first call in an expression gives an array."""
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MAKERS:
            named = next((one.value for one in node.keywords if one.arg in ("size", "shape")), None)
            place = _MAKERS[node.func.attr]
            if named is not None:
                return named
            if place is None:
                return ast.Tuple(node.args, ast.Load()) if node.args else None
            return node.args[place] if len(node.args) > place else None
    return None


def _names(value: ast.expr) -> tuple[str, ...]:
    items = value.elts if isinstance(value, ast.Tuple) else [value]
    return tuple(
        one.id if isinstance(one, ast.Name) else one.attr if isinstance(one, ast.Attribute) else "" for one in items
    )
