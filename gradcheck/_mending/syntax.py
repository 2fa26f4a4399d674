"""The user's source as text and as a tree, and new expressions written in its style."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import TypeGuard

from gradcheck._mending.outside import Edit, split_lines

_BINDING: dict[type[ast.AST], int] = {
    ast.Lambda: 0, ast.IfExp: 0, ast.NamedExpr: 0, ast.Starred: 0, ast.Compare: 4, ast.UnaryOp: 11,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], tuple[str, int]] = {
    ast.BitOr: ("|", 5), ast.BitXor: ("^", 6), ast.BitAnd: ("&", 7), ast.LShift: ("<<", 8), ast.RShift: (">>", 8),
    ast.Add: ("+", 9), ast.Sub: ("-", 9), ast.Mult: ("*", 10), ast.Div: ("/", 10), ast.FloorDiv: ("//", 10),
    ast.Mod: ("%", 10), ast.MatMult: ("@", 10), ast.Pow: ("**", 12),
}  # fmt: skip
_ATOM = 14
#: the name of NumPy in what is written anew, until it is written into a file that has another
NUMPY = "np"
_TALLIES = frozenset({"sum", "mean", "max", "min", "prod", "size", "count_nonzero"})


class Code:
    """One file: its text, its tree, and who stands around whom."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.lines = [line.encode() for line in split_lines(text)]
        self.parents: dict[int, ast.AST] = {}
        self._statements: dict[tuple[int, str], list[ast.stmt]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.stmt):
                self._statements.setdefault((node.lineno, type(node).__name__), []).append(node)
            for child in ast.iter_child_nodes(node):
                if not isinstance(child, (ast.operator, ast.unaryop, ast.cmpop, ast.expr_context, ast.boolop)):
                    self.parents[id(child)] = node

    @staticmethod
    @lru_cache(maxsize=8)
    def of(text: str) -> Code:
        """The code of this text."""
        return Code(text)

    @cached_property
    def calls_dot(self) -> bool:
        """Whether products of matrices are written as calls of `dot`, and not with `@`."""
        nodes = list(ast.walk(self.tree))
        called = any(isinstance(one, ast.Attribute) and one.attr == "dot" for one in nodes)
        return called and not any(isinstance(one, ast.MatMult) for one in nodes)

    @cached_property
    def conjugates_by_method(self) -> bool:
        """Whether it says x.conj() where it conjugates, and not np.conj(x)."""
        found = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call) and conjugated(node) is not None]
        return bool(found) and all(not node.args for node in found)

    @cached_property
    def tallies(self) -> list[ast.Call]:
        """Calls that count, add up or measure something that has a name, each text once: `mask.sum()`, `len(words)`."""
        found = {ast.unparse(node): node for node in ast.walk(self.tree) if _is_tally(node)}
        return [node for node in found.values() if isinstance(node, ast.Call)]

    @cached_property
    def items(self) -> list[ast.Subscript]:
        """What is read of arrays, lists and dictionaries, each text once: `self.masks[l - 1][t]`."""
        found = {ast.unparse(node): node for node in self.subscripts}
        return [node for node in found.values() if isinstance(node.ctx, ast.Load)]

    @cached_property
    def tests(self) -> dict[str, ast.expr]:
        """Conditions by their text: what is asked anywhere, and what has a name."""
        asked = [one.test for one in ast.walk(self.tree) if isinstance(one, (ast.If, ast.While, ast.IfExp))]
        named = [one.value for one in ast.walk(self.tree) if isinstance(one, ast.Assign)]
        found = [*asked, *(one for one in named if isinstance(one, (ast.BoolOp, ast.Compare)))]
        parts = [part for one in found if isinstance(one, ast.BoolOp) for part in one.values]
        return {ast.unparse(one): one for one in (*found, *parts)}

    @cached_property
    def subscripts(self) -> list[ast.Subscript]:
        """Each item and slice that is read or written."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Subscript)]

    @cached_property
    def subscript_texts(self) -> frozenset[str]:
        """Their texts."""
        return frozenset(map(ast.unparse, self.subscripts))

    @cached_property
    def slices(self) -> list[ast.Slice]:
        """What is taken of arrays, or written into them, each text once: `[:, 1 : n + 1]`."""
        parts = (part for one in self.subscripts for part in index_parts(one.slice))
        found = {ast.unparse(part): part for part in parts if isinstance(part, ast.Slice)}
        return [part for part in found.values() if part.lower is not None or part.upper is not None]

    @cached_property
    def turns(self) -> list[ast.expr]:
        """Subscripts that are read and turn axes round."""
        return [node.slice for node in self.items if turns_round(node.slice)]

    @cached_property
    def transposes(self) -> dict[int, list[ast.Call]]:
        """By how many axes there are: calls of `transpose` that name all of them, each form once."""
        calls = (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        named = (node for node in calls if isinstance(node.func, ast.Attribute) and node.func.attr == "transpose")
        result: dict[int, dict[str, ast.Call]] = {}
        for call in named:
            if len(call.args) > 2 and not call.keywords:
                text = ", ".join(map(ast.unparse, call.args))
                result.setdefault(len(call.args), {}).setdefault(text, call)
        return {axes: list(of_form.values()) for axes, of_form in result.items()}

    def has(self, node: ast.AST) -> bool:
        """Whether the node stands in the file."""
        return id(node) in self.parents

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node around it."""
        return self.parents.get(id(node))

    def statement(self, line: int, kind: str, column: int | None = None) -> ast.stmt | None:
        """The statement of this kind at this line, if several stand there that around the column."""
        found = self._statements.get((line, kind), [])
        if column is not None and len(found) > 1:
            found = [node for node in found if node.col_offset <= column < (node.end_col_offset or 0)] or found
        return found[0] if found else None

    def statement_around(self, node: ast.AST) -> ast.stmt | None:
        """The statement that a node stands in, or is."""
        around: ast.AST | None = node
        while around is not None and not isinstance(around, ast.stmt):
            around = self.parent(around)
        return around

    def loops_around(self, node: ast.AST) -> Iterator[ast.For | ast.While]:
        """The loops around a node in its function, the innermost first."""
        around = self.parent(node)
        while around is not None and not isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if isinstance(around, (ast.For, ast.While)):
                yield around
            around = self.parent(around)

    def function(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | None:
        """The innermost function around a node."""
        around = self.parent(node)
        while around is not None and not isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            around = self.parent(around)
        return around

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """The statements that it stands among."""
        blocks = (block for _, block in ast.iter_fields(self.parents[id(statement)]) if isinstance(block, list))
        return next(block for block in blocks if statement in block)

    def above(self, statement: ast.stmt) -> list[ast.stmt]:
        """The statements before it in its block."""
        block = self.block(statement)
        return block[: block.index(statement)]

    def between(self, start: tuple[int, int], end: tuple[int, int]) -> str:
        """The text between two positions."""
        lines = list(self.lines[start[0] - 1 : end[0]])
        lines[-1] = lines[-1][: end[1]]
        lines[0] = lines[0][start[1] :]
        return b"".join(lines).decode()

    def segment(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node."""
        return self.between(*span(node))

    # -- style -----------------------------------------------------------------------------------------------------

    @cached_property
    def _spaces(self) -> dict[str, str]:
        """How operators are written, as most of them are: with blanks around them or without."""
        counts: dict[str, Counter[str]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
                sign = _OPERATORS[type(node.op)][0]
                gap = self.between(span(node.left)[1], span(node.right)[0])
                counts.setdefault(sign, Counter())["" if f" {sign}" not in gap else " "] += 1
        return {sign: count.most_common(1)[0][0] for sign, count in counts.items()}

    @cached_property
    def quote(self) -> str:
        """The quotation mark that most strings have."""
        constants = [node for node in ast.walk(self.tree) if isinstance(node, ast.Constant)]
        marks = Counter(self.segment(node)[:1] for node in constants if isinstance(node.value, str))
        return "'" if marks["'"] > marks['"'] else '"'

    @cached_property
    def numpy(self) -> str:
        """The name that NumPy goes by."""
        imports = (node for node in ast.walk(self.tree) if isinstance(node, ast.Import))
        names = [one.asname or one.name for node in imports for one in node.names if one.name == "numpy"]
        return names[0] if names else NUMPY

    def space(self, sign: str) -> str:
        """What stands around an operator."""
        found = self._spaces.get(sign)
        return (self._spaces.get("*", " ") if sign in "/@" else " ") if found is None else found

    @cached_property
    def names_axis(self) -> bool:
        """Whether axes are written as keywords."""
        calls = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        named = sum(any(one.arg == "axis" for one in call.keywords) for call in calls)
        plain = sum(
            isinstance(call.func, ast.Attribute) and call.func.attr in ("sum", "mean") and len(call.args) == 1
            and isinstance(call.args[0], ast.Constant) for call in calls
        )  # fmt: skip
        return named >= plain

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, node: ast.expr, least: int = 0) -> str:
        """The node's text; in brackets where it binds less than is asked for."""
        text = self.segment(node) if self.has(node) else self._composed(node)
        if "\n" in text and least == 0 and isinstance(node, (ast.BinOp, ast.BoolOp, ast.Compare)):
            return f"({text})"
        return f"({text})" if binding(node) < least else text

    def _composed(self, node: ast.expr) -> str:
        match node:
            case ast.BinOp():
                sign, strength = _OPERATORS[type(node.op)]
                gap = self.space(sign)
                power = isinstance(node.op, ast.Pow)
                left = self.write(node.left, strength + power)
                return f"{left}{gap}{sign}{gap}{self.write(node.right, strength + (not power))}"
            case ast.Constant(value=str() as value) if "\\" not in value and self.quote not in value:
                return f"{self.quote}{value}{self.quote}"
            case ast.Name(id=id) if id == NUMPY:
                return self.numpy
            case ast.JoinedStr():
                text = ast.unparse(node)
                is_plain = text.startswith("f'") and self.quote not in text[1:-1].replace("'", "")
                return f"f{self.quote}{text[2:-1]}{self.quote}" if is_plain else text
            case ast.UnaryOp(op=ast.USub()):
                return f"-{self.write(node.operand, 11)}"
            case ast.Attribute():
                return f"{self.write(node.value, _ATOM)}.{node.attr}"
            case ast.Subscript():
                return f"{self.write(node.value, _ATOM)}[{self._index(node.slice)}]"
            case ast.Call():
                parts = [self.write(one) for one in node.args]
                parts += [f"{one.arg}={self.write(one.value)}" for one in node.keywords]
                return f"{self.write(node.func, _ATOM)}({', '.join(parts)})"
            case ast.Tuple():
                inner = ", ".join(self.write(one) for one in node.elts)
                return f"({inner},)" if len(node.elts) == 1 else f"({inner})"
            case ast.List():
                return f"[{', '.join(self.write(one) for one in node.elts)}]"
            case ast.Compare():
                return f"{self.write(node.left, 5)} {_sign(node.ops[0])} {self.write(node.comparators[0], 5)}"
        return ast.unparse(node)

    def _index(self, node: ast.expr) -> str:
        if isinstance(node, ast.Tuple) and node.elts:
            return ", ".join(self._index(one) for one in node.elts) + ("," if len(node.elts) == 1 else "")
        if isinstance(node, ast.Slice) and not self.has(node):
            parts = ["" if one is None else self.write(one) for one in (node.lower, node.upper)]
            return ":".join([*parts, *([] if node.step is None else [self.write(node.step)])])
        return self.write(node)

    def replaced(self, old: ast.expr, new: ast.expr) -> Edit:
        """The edit that puts an expression in the place of another, with no more brackets than are needed."""
        start, end = span(old)
        where = written_by(old)
        if where is not None and isinstance(self.parent(old), ast.Expr) and written_by(new) is None:
            return Edit(start, end, f"{self.write(where, _ATOM)}[...] = {self.write(new)}")
        needed = self._needed(old)
        brackets = self._brackets(old)
        if brackets is not None:
            if binding(new) >= needed:
                start, end = brackets
            needed = 0
        around = self.parent(old)
        if isinstance(around, (ast.Subscript, ast.Tuple)) and isinstance(old, (ast.Tuple, ast.Slice)) and (
            (isinstance(around, ast.Subscript) and around.slice is old) or isinstance(old, ast.Slice)
        ):  # fmt: skip
            return Edit(start, end, self._index(new))
        if isinstance(old, ast.Tuple) and isinstance(new, ast.Tuple) and not self.segment(old).startswith("("):
            return Edit(start, end, ", ".join(self.write(one) for one in new.elts))
        return Edit(start, end, self.write(new, needed))

    def _needed(self, node: ast.expr) -> int:
        """How strongly what stands in the node's place has to bind."""
        match self.parent(node):
            case ast.BinOp() as around:
                strength, power = _OPERATORS[type(around.op)][1], isinstance(around.op, ast.Pow)
                return strength + power if around.left is node else strength + (not power)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Invert()):
                return 11
            case ast.Attribute() | ast.Starred():
                return _ATOM
            case ast.Subscript() as around if around.value is node:
                return _ATOM
            case ast.Call() as around if around.func is node:
                return _ATOM
            case ast.Compare() | ast.BoolOp():
                return 5
            case ast.IfExp():
                return 1
        return 0

    def _brackets(self, node: ast.expr) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """The span of the innermost brackets that stand around a node for its own sake."""
        (line, column), (last, end) = span(node)
        around = self.parent(node)
        before, after = self.lines[line - 1][:column].rstrip(), self.lines[last - 1][end:]
        skipped = len(after) - len(after.lstrip(b" \t"))
        if not before.endswith(b"(") or after[skipped : skipped + 1] != b")" or around is None:
            return None
        start = (line, len(before) - 1)
        if not isinstance(around, (ast.expr, ast.stmt)) or start < span(around)[0]:
            return None
        if isinstance(around, ast.Call) and around.func is not node:
            called = span(around.func)[1]
            if not self.between(called, start).strip():
                return None
        if isinstance(around, ast.Tuple) and start == span(around)[0]:
            return None
        return start, (last, end + skipped + 1)


def written_by(call: ast.expr) -> ast.expr | None:
    """The array that a call writes its value into."""
    keywords = call.keywords if isinstance(call, ast.Call) else []
    return next((one.value for one in keywords if one.arg == "out"), None)


def span(node: ast.AST) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a node begins and ends: (line, byte in the line)."""
    end = getattr(node, "end_lineno", None), getattr(node, "end_col_offset", None)
    return (node.lineno, node.col_offset), (end[0] or 0, end[1] or 0)  # type: ignore[attr-defined]


def binding(node: ast.expr) -> int:
    """How strongly an expression binds."""
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)][1]
    if isinstance(node, ast.BoolOp):
        return 1 if isinstance(node.op, ast.Or) else 2
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return 11 if node.value < 0 else 13
    return _BINDING.get(type(node), _ATOM)


def _sign(op: ast.cmpop) -> str:
    signs = {ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}
    return signs.get(type(op), "==")


def is_zeros(node: ast.expr) -> bool:
    """Whether it is a call that makes an array of zeros."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("zeros", "zeros_like")


def indentation(code: Code, statement: ast.stmt) -> str | None:
    """What stands before a statement in its line; None where that is code, as `if x:`."""
    before = code.between((statement.lineno, 0), span(statement)[0])
    return None if before.strip() else before


def difference(old: ast.AST, new: ast.AST) -> tuple[ast.AST, ast.AST] | None:
    """The one part in which two trees differ, as far inside as there is one; None if they do not differ."""
    if ast.dump(old) == ast.dump(new):
        return None
    inside = differing_child(old, new)
    return (old, new) if inside is None else difference(*inside)


def differing_child(old: ast.AST, new: ast.AST) -> tuple[ast.AST, ast.AST] | None:
    """The one child in which two nodes of a kind differ; None if they are not alike, or differ in several."""
    children, others = list(ast.iter_child_nodes(old)), list(ast.iter_child_nodes(new))
    if type(old) is not type(new) or len(children) != len(others):
        return None
    differing = [(a, b) for a, b in zip(children, others, strict=True) if ast.dump(a) != ast.dump(b)]
    return differing[0] if len(differing) == 1 else None


def names_in(tree: ast.AST) -> set[str]:
    """The names that are read or written in it."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def loop_counters(code: Code, inner: ast.AST) -> list[str]:
    """The variables of the loops around a statement or an expression, the innermost first."""
    targets = [loop.target for loop in code.loops_around(inner) if isinstance(loop, ast.For)]
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def _is_tally(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr=attr), args=[], keywords=[]):
            return attr in _TALLIES and begins_with_name(owner)
        case ast.Call(func=ast.Attribute(attr=attr) | ast.Name(id=attr), args=[argument], keywords=[]):
            return attr in {*_TALLIES, "len"} and begins_with_name(argument)
    return False


def begins_with_name(node: ast.expr) -> bool:
    """Whether it is a name, or an item or attribute of one, however deep."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return isinstance(node, ast.Name)


def expressions(root: ast.AST) -> Iterator[ast.expr]:
    """The expressions below a node that are read, itself first; what is called is not among them."""
    if isinstance(root, ast.expr):
        if not isinstance(getattr(root, "ctx", ast.Load()), ast.Load):
            return
        yield root
    for child in ast.iter_child_nodes(root):
        if isinstance(root, ast.Call) and child is root.func:
            if isinstance(child, ast.Attribute):
                yield from expressions(child.value)
        elif isinstance(child, (ast.expr, ast.keyword, ast.comprehension)):
            yield from expressions(child)


def parsed(text: str) -> ast.expr:
    """An expression from its text."""
    return ast.parse(text, mode="eval").body


def name(text: str) -> ast.Name:
    """A variable, read."""
    return ast.Name(text, ast.Load())


def binary(left: ast.expr, op: ast.operator, right: ast.expr) -> ast.BinOp:
    """Two operands and what is done to them."""
    return ast.BinOp(left, op, right)


def matrix_product(code: Code, left: ast.expr, right: ast.expr) -> ast.expr:
    """A product of matrices or vectors, written as the file writes them."""
    if code.calls_dot:
        return ast.Call(ast.Attribute(name("np"), "dot", ast.Load()), [left, right], [])
    return binary(left, ast.MatMult(), right)


def is_minus(node: ast.AST) -> TypeGuard[ast.UnaryOp]:
    """Whether it is something with a minus before it."""
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def number(value: float) -> ast.Constant:
    """A number."""
    return ast.Constant(value)


def one_minus(node: ast.expr) -> ast.BinOp:
    """1 - x."""
    return ast.BinOp(ast.Constant(1), ast.Sub(), node)


def item(value: ast.expr, index: ast.expr) -> ast.Subscript:
    """x[index]."""
    return ast.Subscript(value, index, ast.Load())


def backwards() -> ast.Slice:
    """::-1."""
    return ast.Slice(None, None, ast.UnaryOp(ast.USub(), ast.Constant(1)))


def squared(node: ast.expr) -> ast.BinOp:
    """x ** 2."""
    return ast.BinOp(node, ast.Pow(), ast.Constant(2))


def transposed(node: ast.expr) -> ast.Attribute:
    """x.T."""
    return ast.Attribute(node, "T", ast.Load())


def conjugate(code: Code, node: ast.expr) -> ast.Call:
    """np.conj(x), or x.conj() as the file writes it."""
    if code.conjugates_by_method:
        return ast.Call(ast.Attribute(node, "conj", ast.Load()), [], [])
    return ast.Call(ast.Attribute(ast.Name("np", ast.Load()), "conj", ast.Load()), [node], [])


def conjugated(node: ast.AST | None) -> ast.expr | None:
    """What is conjugated, of np.conj(x), np.conjugate(x), x.conj() or x.conjugate(); None of anything else."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="conj" | "conjugate"), args=[x]):
            return x
        case ast.Call(func=ast.Attribute(value=x, attr="conj" | "conjugate"), args=[]):
            return x
    return None


def index_parts(index: ast.expr) -> list[ast.expr]:
    """What stands between brackets, axis by axis."""
    return index.elts if isinstance(index, ast.Tuple) else [index]


def turns_round(index: ast.expr) -> bool:
    """Whether a subscript turns axes round and does nothing else: ``[::-1]``, ``[:, ::-1]``."""
    parts = index_parts(index)
    steps = [ast.unparse(one.step) if one.step else "1" for one in parts if isinstance(one, ast.Slice)]
    whole = all(isinstance(one, ast.Slice) and one.lower is None and one.upper is None for one in parts)
    return whole and "-1" in steps and set(steps) <= {"1", "-1"}
