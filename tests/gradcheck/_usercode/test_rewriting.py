"""Every value passes through a tap, and the taps know where they stand."""

from __future__ import annotations

import ast
from typing import Any

from gradcheck._usercode.rewriting import TAP, Rewriter, Site
from gradcheck._usercode.source import Source


def rewritten(text: str) -> tuple[ast.Module, list[Site]]:
    """The module with taps, and the taps."""
    sites: list[Site] = []
    return Rewriter(Source("x.py", text), sites, None).rewritten(ast.parse(text)), sites


def values(text: str, call: str) -> list[tuple[str, Any]]:
    """The text and the value of each tap, in the order in which they are met."""
    tree, sites = rewritten(text)
    seen: list[tuple[str, Any]] = []

    def tap(number: int, value: Any) -> Any:
        seen.append((sites[number].text, value))
        return value

    class Loaded(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            return ast.copy_location(ast.Name("tap", ast.Load()), node) if node.value == TAP else node

    space: dict[str, Any] = {"tap": tap}
    exec(compile(Loaded().visit(tree), "x.py", "exec"), space)
    eval(call, space)
    return seen


def test_values_are_met_from_the_inside_out() -> None:
    """A wrong value could not be told from one that was computed from it."""
    seen = values("def f(a, b):\n    return a * b + a\n", "f(2, 3)")
    assert seen == [("a", 2), ("b", 3), ("a", 2), ("b", 3), ("a * b", 6), ("a", 2), ("a * b + a", 8)]


def test_an_update_is_met_after_it() -> None:
    """What an array holds after `+=` would not be known."""
    seen = values("def f(y):\n    y['a'] += 2\n", "f({'a': 1})")
    assert ("y['a']", 3) in seen
    assert seen[-2] == ("y", {"a": 3})


def test_a_site_knows_its_statement_and_its_inputs() -> None:
    """A line could not be named, or what it was computed from would not be looked at."""
    _, sites = rewritten("NOTE = '\x0c'\n\n\n@NOTE\ndef f(a):\n    # first\n    y = -a\n    return y\n")
    (negation,) = [site for site in sites if site.text == "-a"]
    assert negation.statement.text == "y = -a"
    assert negation.statement.line == negation.line == 7
    assert [sites[number].text for number in negation.inputs] == ["a"]
    assert negation.is_statement_value
    header = next(site for site in sites if site.kind == "bind").statement
    assert header.text == "def f(a):"


def test_only_wanted_functions_are_rewritten() -> None:
    """Functions that do not run would be slowed down, and named."""
    text = "def f(a):\n    return a\n\n@staticmethod\ndef g(a):\n    return a\n"
    sites: list[Site] = []
    Rewriter(Source("x.py", text), sites, {4}).rewritten(ast.parse(text))
    assert {site.statement.function for site in sites} == {"g"}


def test_modules_and_self_are_left_alone() -> None:
    """A tap would be handed numpy, or the model."""
    _, sites = rewritten("import numpy as np\ndef f(self, a):\n    return np.dot(self.W, a)\n")
    assert {site.text for site in sites} == {"a", "self.W", "np.dot(self.W, a)"}
