"""Writes new expressions as the user writes theirs: only what an edit changes looks different afterwards.

What stands unchanged somewhere in the replaced expression keeps its text, with its quotes, numbers and spaces. An
expression of the same form keeps what stands between its parts, comments and line breaks too. What is new takes its
quotes, and the space around its operators, from the rest of the file.
"""

from __future__ import annotations

import ast
import copy
import io
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TypeAlias

from gradcheck._usercode.source import Edit, Place, Source, apply_edits, span_of

#: the operators of expressions, as they are written
_SYMBOLS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.MatMult: "@",
    ast.Pow: "**",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_OPERATORS = frozenset(_SYMBOLS.values())
#: what ends an operand: an operator after it has two sides
_OPERAND_TOKENS = (tokenize.NAME, tokenize.NUMBER, tokenize.STRING)
#: names that no operand ends with
_WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "return", "lambda", "for", "yield", "await"})
#: from one place to another
_Span: TypeAlias = tuple[Place, Place]
_ASSIGNMENT = re.compile(r"\s*[-+*/]?=\s*")
#: a name that no source has, so that it can stand for an unchanged part
_PLACEHOLDER = "_gradcheck_part_{}_"


def styled_edit(statement: ast.stmt, edit: Edit, source: Source) -> Edit:
    """The edit in the style of the file, without parentheses that do nothing; it means the same."""
    if _ASSIGNMENT.fullmatch(edit.text):
        between = source.segment(edit.start, edit.end)
        return edit._replace(text=re.sub(r"[-+*/]?=", edit.text.strip(), between, count=1))
    meant = _meaning(statement, edit, source)
    for text in _ways_to_write(statement, edit, source):
        tried = edit._replace(text=text)
        if meant is not None and _meaning(statement, tried, source) == meant:
            return tried
    return edit


def rendered(new: ast.expr, old: ast.expr, source: Source) -> str:
    """A new expression, to stand in the place of an old one of this source.

    Args:
        new: The expression; where it stands does not matter.
        old: The expression that it replaces, as it was parsed from the source.
        source: The source that `old` has its places in.
    """
    return _Renderer(old, source, source).text(new, old)


def _ways_to_write(statement: ast.stmt, edit: Edit, source: Source) -> Iterator[str]:
    """Texts for what an edit inserts, the best first."""
    if isinstance(statement, ast.AugAssign) and (edit.start, edit.end) == span_of(statement):
        target_end, value_start = span_of(statement.target)[1], span_of(statement.value)[0]
        sign = re.sub(r"\S+=", "=", source.segment(target_end, value_start), count=1)
        yield source.segment(edit.start, target_end) + sign + source.segment(value_start, edit.end)
    new = _parsed(edit.text)
    # In parentheses, so that an expression over several lines is one; its places are then those of this text.
    whole = Source("<edit>", f"({source.segment(edit.start, edit.end)}\n)")
    old = _parsed(whole.text)
    if new is not None and old is not None:
        text = _Renderer(old, whole, source).text(new, old)
        if span_of(old)[0] == (1, 0) and isinstance(new, ast.Tuple):  # its parentheses are those put around it here
            text = text[1:-1].rstrip("\n")
        yield from (text, f"({text})")
    if edit.text.startswith("(") and edit.text.endswith(")"):
        yield edit.text[1:-1]


def _meaning(statement: ast.stmt, edit: Edit, source: Source) -> str | None:
    """What the statement says after the edit; None if that is no statement."""
    node = edited_statement(statement, edit, source)
    return None if node is None else ast.dump(node)


def edited_statement(statement: ast.stmt, edit: Edit, source: Source) -> ast.stmt | None:
    """The statement after an edit inside it; None if that is no statement."""
    try:
        body = ast.parse(source.edited_segment(statement, edit)).body
    except SyntaxError:
        return None
    return body[0] if len(body) == 1 else None


class _Renderer:
    """Writes expressions from the parts of an old one."""

    def __init__(self, old: ast.expr, source: Source, file: Source) -> None:
        self.source, self.file = source, file
        self.known: dict[str, ast.expr] = {}
        waiting: list[ast.AST] = [old]
        while waiting:
            node = waiting.pop(0)
            if isinstance(node, ast.expr) and not isinstance(node, (ast.Slice, ast.Starred)):
                self.known.setdefault(_key(node), node)
            if not isinstance(node, ast.JoinedStr):  # before Python 3.12 nobody knows the places in it
                waiting += ast.iter_child_nodes(node)

    def text(self, new: ast.expr, old: ast.expr) -> str:
        """The new expression, written like the old one as far as they agree."""
        if _key(new) == _key(old):
            return self.source.segment_of(old)
        for write in (self._in_the_form_of, self._from_known_parts):
            text = write(new, old)
            if text is not None:
                return text
        return ast.unparse(new)

    def _in_the_form_of(self, new: ast.expr, old: ast.expr) -> str | None:
        """The old text with the parts exchanged that differ; None if the two are not of one form."""
        of_one_form = type(new) is type(old) and not isinstance(new, ast.JoinedStr) and _frame(new) == _frame(old)
        if _key(new) in self.known or not of_one_form:
            return None
        pairs = list(zip(_children(new), _children(old), strict=True))
        parts = [(a, b) for a, b in pairs if _key(a) != _key(b)]
        start, end = span_of(old)
        here = Source("<old>", self.source.segment(start, end))
        spans = [(a, _relative(b, start)) for a, b in parts]
        places = [_with_brackets(span, old, here) if _is_atom(a) else span for a, span in spans]
        edits = [Edit(*place, self.text(a, b)) for (a, b), place in zip(parts, places, strict=True)]
        edits += _operator_edits(new, old, start, here)
        return _with_parentheses(
            new, [one.text for one in edits[: len(parts)]], lambda texts: _replaced(here, edits, texts)
        )

    def _from_known_parts(self, new: ast.expr, _: ast.expr) -> str | None:
        """What is new, in the style of the file, around the texts of what is known."""
        parts: list[ast.expr] = []
        renderer = self

        class Marked(ast.NodeTransformer):
            def visit(self, node: ast.AST) -> ast.AST:
                known = renderer.known.get(_key(node)) if isinstance(node, ast.expr) else None
                if known is None:
                    return node if isinstance(node, ast.JoinedStr) else self.generic_visit(node)
                parts.append(known)
                return ast.Name(_PLACEHOLDER.format(len(parts) - 1), ast.Load())

        outline = in_file_style(ast.unparse(Marked().visit(copy.deepcopy(new))), self.file)

        def filled(texts: list[str]) -> str:
            text = outline
            for i, part in enumerate(texts):
                text = text.replace(_PLACEHOLDER.format(i), part)
            return text

        return _with_parentheses(new, [self.source.segment_of(part) for part in parts], filled)


def _with_parentheses(new: ast.expr, parts: list[str], filled: Callable[[list[str]], str]) -> str | None:
    """The text with as few of its parts in parentheses as it takes to mean what is new; None if it cannot."""
    wanted = _key(new)
    if _means(filled(parts), wanted):
        return filled(parts)
    texts = [f"({part})" for part in parts]
    if not _means(filled(texts), wanted):
        return None
    for i, part in enumerate(parts):
        fewer = [*texts[:i], part, *texts[i + 1 :]]
        texts = fewer if _means(filled(fewer), wanted) else texts
    return filled(texts)


def _means(text: str, wanted: str) -> bool:
    node = _parsed(f"({text}\n)")
    if node is not None:
        return _key(node) == wanted
    index = _parsed(f"_[{text}\n]")  # a slice is an expression there alone
    return isinstance(index, ast.Subscript) and _key(index.slice) == wanted


def _replaced(source: Source, edits: list[Edit], texts: list[str]) -> str:
    """The text with the edits, the first of them with these texts."""
    new = [edit._replace(text=text) for edit, text in zip(edits, texts, strict=False)]
    return apply_edits(source.text, [*new, *edits[len(texts) :]])


def _operator_edits(new: ast.expr, old: ast.expr, start: tuple[int, int], here: Source) -> list[Edit]:
    """Edits that put the operators of the new expression in the place of the old one's."""
    operators: list[tuple[ast.AST, ast.AST, tuple[int, int], tuple[int, int]]] = []
    if isinstance(new, ast.BinOp) and isinstance(old, ast.BinOp):
        operators = [(new.op, old.op, _relative(old.left, start)[1], _relative(old.right, start)[0])]
    elif isinstance(new, ast.Compare) and isinstance(old, ast.Compare):
        sides = [_relative(side, start) for side in (old.left, *old.comparators)]
        operators = [
            (a, b, sides[i][1], sides[i + 1][0]) for i, (a, b) in enumerate(zip(new.ops, old.ops, strict=True))
        ]
    return [
        _operator_edit(begin, here.segment(begin, end), _SYMBOLS[type(old_one)], _SYMBOLS[type(new_one)])
        for new_one, old_one, begin, end in operators
        if type(new_one) is not type(old_one)
    ]


def _operator_edit(begin: Place, between: str, old: str, new: str) -> Edit:
    """An operator in the place of another; the brackets that stand between the operands as well are no part of it."""
    *above, before = between[: between.index(old)].split("\n")
    place = begin[0] + len(above), len(before.encode()) + (0 if above else begin[1])
    return Edit(place, (place[0], place[1] + len(old)), new)


def _frame(node: ast.expr) -> list[object]:
    """What has to be the same in two expressions of one form: all but their parts, and their operators."""
    found: list[object] = []
    for name, value in ast.iter_fields(node):
        for one in value if isinstance(value, list) else [value]:
            match one:
                case ast.expr_context():
                    continue
                case ast.expr():
                    found.append((name, "an expression"))
                case ast.keyword():
                    found.append((name, one.arg))
                case ast.operator() | ast.cmpop() if type(one) in _SYMBOLS:
                    found.append((name, "an operator"))
                case ast.AST():
                    found.append((name, _key(one)))
                case _:
                    found.append((name, repr(one)))
    return found


def _children(node: ast.expr) -> list[ast.expr]:
    """The expressions directly inside, those of keywords too."""
    return [
        one.value if isinstance(one, ast.keyword) else one
        for one in ast.iter_child_nodes(node)
        if isinstance(one, (ast.expr, ast.keyword))
    ]


def _is_atom(node: ast.expr) -> bool:
    """Whether it means the same without brackets beside any operator."""
    return isinstance(node, (ast.Name, ast.Constant, ast.Attribute, ast.Subscript, ast.Call))


def _with_brackets(span: _Span, around: ast.expr, source: Source) -> _Span:
    """The span of an operand with the brackets around it; those of a call are around no operand."""
    if not isinstance(around, (ast.BinOp, ast.Compare, ast.UnaryOp)):
        return span
    (line, begin), (last, end) = span
    lead = re.search(r"\([ \t]*$", source.segment((line, 0), span[0]))
    trail = re.match(r"[ \t]*\)", source.segment(span[1], (last, len(source.lines[last - 1].encode(source.codec)))))
    if lead is None or trail is None:
        return span
    return (line, begin - len(lead[0])), (last, end + len(trail[0]))


def _relative(node: ast.expr, start: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The span of a node in the text that begins at a place."""
    first, last = span_of(node)
    begin, end = ((line - start[0] + 1, at - (start[1] if line == start[0] else 0)) for line, at in (first, last))
    return begin, end


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def _key(node: ast.AST) -> str:
    """The same for expressions that are the same but for their places, read or written to."""
    return ast.dump(node).replace("ctx=Store()", "ctx=Load()")


# -- the style of a file -----------------------------------------------------------------------------------------------


def in_file_style(text: str, source: Source) -> str:
    """An expression as `ast.unparse` writes it, with the quotes of a file and the space around its operators."""
    close, double = _habits(source)
    pieces: list[str] = []
    end, is_close = 0, False
    for _, token, has_two_sides in _tokens(text):
        begins_close = has_two_sides and token.string in close
        if not (is_close or begins_close):
            pieces.append(text[end : token.start[1]])
        end, is_close = token.end[1], begins_close or (token.string == "," and "," in close)
        written = text[token.start[1] : end]
        if double and token.type == tokenize.STRING and written[0] == "'" and not set('"\\') & set(written):
            written = f'"{written[1:-1]}"'
        pieces.append(written)
    return "".join(pieces)


@lru_cache(maxsize=16)
def _habits(source: Source) -> tuple[frozenset[str], bool]:
    """The operators (and the comma) with no space around them, mostly; whether most strings are in double quotes."""
    close: Counter[str] = Counter()
    quotes: Counter[str] = Counter()
    for before, token, has_two_sides in _tokens(source.text):
        if has_two_sides and before is not None:
            close[token.string] += 1 if before.end == token.start else -1
        elif (
            before is not None
            and before.string == ","
            and before.end[0] == token.start[0]
            and token.string not in ")]}"
        ):
            close[","] += 1 if before.end == token.start else -1
        if token.type == tokenize.STRING or tokenize.tok_name[token.type] == "FSTRING_START":
            opening = token.string.lstrip("rRbBfFuU")
            quotes[opening[:1]] += not opening.startswith(('"""', "'''"))
    arithmetic = [symbol for symbol in "+-*/@" if close[symbol]]
    of_others = sum(close[symbol] for symbol in arithmetic) > 0  # for an operator that the file does not have
    chosen = {symbol for symbol in _OPERATORS if (close[symbol] > 0 if close[symbol] else of_others)}
    return frozenset(chosen | ({","} if close[","] > 0 else set())), quotes['"'] > quotes["'"]


def _tokens(text: str) -> Iterator[tuple[tokenize.TokenInfo | None, tokenize.TokenInfo, bool]]:
    """Each token of the text with the one before it, and whether it is an operator with two sides."""
    before: tokenize.TokenInfo | None = None
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.NL, tokenize.COMMENT):
                continue
            after_operand = before is not None and (
                (before.type in _OPERAND_TOKENS and before.string not in _WORDS) or before.string in (")", "]", "}")
            )
            yield before, token, token.string in _OPERATORS and after_operand
            before = token
    except (tokenize.TokenError, SyntaxError):  # what was read until here tells enough
        return
