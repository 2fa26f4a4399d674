"""Functions that are made in a loop get what they read of their round as defaults."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from gradcheck._mending.late_binding import bound_early
from gradcheck._mending.syntax import Code
from tests.gradcheck._mending.rewritten_texts import rewritten_texts

#: two functions of three rounds; what stands for `{made}` puts one into the list
ROUNDS = "pulls = []\nfor t in range(3):\n    twice = 2 * t\n    {made}\n"


def bound(text: str) -> list[str]:
    """What the text becomes with each edit."""
    return rewritten_texts(bound_early, text)


def heads(made: str) -> list[str]:
    """The lines that make functions, as they become in a round of a loop over `t`."""
    texts = bound(ROUNDS.format(made=made))
    return [line.strip() for text in texts for line in text.splitlines() if "lambda" in line or "def " in line]


def called(text: str, *arguments: Any) -> list[Any]:
    """What the functions of the list give once the loop is over."""
    names: dict[str, Any] = {}
    exec(compile(text, "made", "exec"), names)
    pulls = names["pulls"]
    return [pull(*arguments) for pull in (pulls.values() if isinstance(pulls, dict) else pulls)]


@pytest.mark.parametrize(
    "made",
    [
        "pulls.append(lambda d: d * t)",
        "pulls.append((lambda d:\n        d * t))",
        "pull = lambda d: d * t\n    pulls.append(pull)",
        "pulls += [lambda d: d * t]",
        "def pull(d):\n        return d * t\n    pulls.append(pull)",
        "def pull(d: float = 0.0) -> float:\n        scale = t\n        return d * scale\n    pulls.append(pull)",
        "if t >= 0: pulls.append(lambda d: d * t)",
        "ä = 'é'; pulls.append(lambda d: d * t)",
    ],
)
def test_what_a_loop_makes_reads_its_own_round(made: str) -> None:
    """A pullback of each step that reads the last step would get a fix that changes nothing, or does not run."""
    text = ROUNDS.format(made=made)
    assert called(text, 10) == [20, 20, 20]
    first, *_ = bound(text)
    assert called(first, 10) == [0, 10, 20]


@pytest.mark.parametrize(
    "text",
    [
        "pulls = [lambda d: d * t for t in range(3)]\n",
        "pulls = {t: lambda d: d * t for t in range(3)}\n",
        "pulls = list(lambda d: d * t for t in (0, 1, 2))\n",
        "pulls = [lambda d: d * t for _ in (0,) for t in range(3)]\n",
    ],
)
def test_what_a_comprehension_makes_reads_its_own_round(text: str) -> None:
    """Pullbacks that a comprehension makes, as short code does, would get no fix."""
    (made,) = bound(text)
    assert called(made, 10) == [0, 10, 20]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("lambda: t", "lambda t=t: t"),
        ("lambda d, e=2: d * e * t", "lambda d, e=2, t=t: d * e * t"),
        ("lambda d, e=2, f=(3, 4): d * t", "lambda d, e=2, f=(3, 4), t=t: d * t"),
        ("lambda d, *, e, f=3: d * t", "lambda d, *, e, f=3, t=t: d * t"),
        ("lambda d, /: d * t", "lambda d, t=t, /: d * t"),
    ],
)
def test_defaults_come_after_those_that_there_are(before: str, after: str) -> None:
    """The fix of a function that has arguments of its own would not compile, or would change what they mean."""
    assert heads(f"pulls.append({before})") == [f"pulls.append({after})"]


@pytest.mark.parametrize(
    ("before", "after"),
    [("def pull():", "def pull(t=t):"), ("def zurück():", "def zurück(t=t):"), ("def pull(d,):", "def pull(d, t=t,):")],
)
def test_a_function_with_a_name_gets_defaults_too(before: str, after: str) -> None:
    """A pullback that is written with `def`, as most are, would be rewritten in the wrong place."""
    assert heads(f"{before}\n        return t") == [after]


@pytest.mark.parametrize("arguments", ["*d", "d, **more", "*d, e=1", "d, *more, **rest"])
def test_what_takes_all_arguments_gets_none(arguments: str) -> None:
    """A caller's argument would go into the new one, and runs be spent on code that cannot be right."""
    assert heads(f"pulls.append(lambda {arguments}: t)") == []
    assert heads(f"def pull({arguments}):\n        return t") == []


def test_the_counter_is_bound_first_and_then_all_of_the_round() -> None:
    """A fix would bind more than it has to; or what is worked out in each round would be read too late as before."""
    counter, rest = heads("pulls.append(lambda d: d * t + twice)")
    assert counter == "pulls.append(lambda d, t=t: d * t + twice)"
    assert rest.count("t=t") == rest.count("twice=twice") == 1
    (made,) = bound(ROUNDS.format(made="pulls.append(lambda d: d + twice)"))
    assert called(made, 10) == [10, 12, 14]


@pytest.mark.parametrize(
    "text",
    [
        "scale = 2\npulls = []\nfor t in range(3):\n    pulls.append(lambda d: d * scale)\n",
        "pulls = []\nfor t in range(3):\n    pulls.append(lambda t: t)\n",
        "pulls = []\nfor t in range(3):\n    def pull(d):\n        t = d\n        return t\n    pulls.append(pull)\n",
        "pulls = []\nfor t in range(3):\n    pulls.append(lambda d: [t for t in d])\n",
    ],
)
def test_nothing_is_bound_but_what_is_read_of_the_round(text: str) -> None:
    """Right functions would be given arguments that they do not need, and runs be spent on them."""
    assert bound(text) == []


def test_of_loops_inside_each_other_all_counters_are_bound() -> None:
    """A pullback of one layer at one step would still read the last step."""
    text = (
        "pulls = []\nfor t, (a, b) in enumerate([(1, 2), (3, 4)]):\n"
        "    for k in range(2):\n        pulls.append(lambda d: d + (t, b, k))\n"
    )
    assert called(text, ()) == [(1, 4, 1)] * 4
    (made,) = bound(text)
    assert called(made, ()) == [(0, 2, 0), (0, 2, 1), (1, 4, 0), (1, 4, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "def made(t):\n    return lambda d: d * t\n\npulls = []\nfor t in range(3):\n    pulls.append(made(t))\n",
        "def made(t):\n    twice = 2 * t\n    def pull(d):\n        return d * twice\n    return pull\n",
        "pulls = [1]\nt = 2\npulls.append(lambda d: d * t)\n",
    ],
)
def test_functions_that_no_loop_makes_are_left_alone(text: str) -> None:
    """Pullbacks that are made in a function of their own, which is right, would be edited."""
    assert bound(text) == []


def test_what_a_function_makes_reads_what_the_function_holds() -> None:
    """A fix would bind a value twice, or inside a function to which it is no use."""
    text = "for t in range(3):\n    def made(d):\n        return (lambda e: e * t)(d)\n"
    assert bound(text) == [text.replace("made(d)", "made(d, t=t)", 1)]


def test_the_line_that_makes_the_function_is_edited_and_not_the_loop() -> None:
    """A loop would be named, and each edit be tried once for every statement around it."""
    code = Code("pulls = []\nfor t in range(3):\n    if t:\n        pulls.append(lambda d: d * t)\n")
    edited = [node for node in ast.walk(code.tree) if isinstance(node, ast.stmt) and list(bound_early(code, node))]
    assert [type(node) for node in edited] == [ast.Expr]
