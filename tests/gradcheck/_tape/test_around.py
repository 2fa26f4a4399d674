"""Functions inside others hold what stands around them while the tape runs, and nothing more afterwards."""

from __future__ import annotations

import ast
import textwrap

import numpy as np
import pytest

from gradcheck._mending import mends
from gradcheck._mending.suspects import Suspect
from gradcheck._tape import tape_target
from gradcheck._tape.around import holding_all_around
from tests.gradcheck._tape.programs import draw, module, target_of

PULLBACKS = """
    import numpy as np

    kept = []

    def cell(p, h):
        new = np.tanh(p["a"] @ h)
        def pullback(bar):
            pre = bar * (1 - h * h)
            return np.outer(pre, h), p["a"].T @ pre
        kept.append(pullback)
        return new, pullback

    def loss(p):
        return np.sum(cell(p, p["b"])[0])

    def grads(p):
        new, pullback = cell(p, p["b"])
        da, db = pullback(np.ones_like(new))
        return {"a": da, "b": db}
    """


def held(text, lines=None):
    """By the name of each function, the variables that it takes from those around it, while they are held and after."""
    tree = ast.parse(textwrap.dedent(text))
    with holding_all_around(tree, lines):
        during = _free(compile(tree, "f", "exec"))
    return during, _free(compile(tree, "f", "exec"))


def _free(code):
    inner = [one for one in code.co_consts if hasattr(one, "co_freevars")]
    return {one.co_name: set(one.co_freevars) for one in inner} | {k: v for one in inner for k, v in _free(one).items()}


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("def f(a, *b, c=1, **d):\n    e = 1\n    def g(a): return a\n    return g", {"g": {"b", "c", "d", "e", "g"}}),
        ("def f(a):\n    b = a\n    return lambda x: x + a", {"<lambda>": {"a", "b"}}),
        ("def f(a):\n    def g():\n        a = 1\n        def h(): pass", {"g": {"g"}, "h": {"a", "g", "h"}}),
        ("def f(a):\n    def g():\n        nonlocal a\n        a = 1", {"g": {"a", "g"}}),
        ("def f(a):\n    global b\n    b = 2\n    def g(): pass", {"g": {"a", "g"}}),
        ("def f(a):\n    class C:\n        k = 1\n        def g(self): pass", {"g": {"a", "C"}}),
        ("def f(a):\n    s = [i for i in a if (j := i)]\n    def g(): pass", {"g": {"a", "s", "j", "g"}}),
        ("def f(a):\n    for i, (j, *k) in a:\n        with a as m: import n.o\n    def g(): pass",
         {"g": {"a", "i", "j", "k", "m", "n", "g"}}),
        ("def f(a):\n    match a:\n        case {'x': b, **c}: pass\n        case [*d]: pass\n    def g(): pass",
         {"g": {"a", "b", "c", "d", "g"}}),
        ("def f(a):\n    try: pass\n    except ValueError as e: pass\n    def g(): pass", {"g": {"a", "e", "g"}}),
    ],
)  # fmt: skip
def test_the_variables_around_are_held(text, more):
    """If it fails, a variable that a pullback forgot cannot be written there, or one that is no variable is named."""
    during, after = held(text)
    assert {name: during[name] for name in more} == more
    assert after == _free(compile(text, "f", "exec"))


def test_what_was_made_before_holds_what_it_did():
    """If it fails, a function that exists already is given code that reads variables it has no place for."""
    text = "def f(a):\n    b = 1\n    def g():\n        c = 2\n        def h(): pass\n        return h\n    return g"
    during, _ = held(text, lines={3, 5})  # f does not run: g exists
    assert during["g"] == set()
    assert during["h"] == {"c", "h"}


def test_a_variable_that_the_pullback_forgot_is_seen(tmp_path):
    """If it fails, `h` in the place of `new` gets no fix where nothing else of the pullback names `new`."""
    made = module(tmp_path, PULLBACKS)
    run = tape_target(target := target_of(made, a=draw(3, 3), b=draw(3, seed=1)), target.values())
    statement = next(one for one in run.statements if one.text.startswith("pre ="))
    frame = Suspect(run, statement, None).frames[0]
    assert np.allclose(frame.local["new"], np.tanh(run.base["a"] @ run.base["b"]))
    assert [edit.text for edit in mends(run, statement)[0].edits] == ["new", "new"]


def test_functions_that_outlive_the_run_are_as_they_would_have_been(tmp_path):
    """If it fails, a pullback that the user keeps goes on calling into the checker."""
    made = module(tmp_path, PULLBACKS)
    target = target_of(made, a=draw(3, 3), b=draw(3, seed=1))
    made.loss(target.values())
    mine, kept = made.kept[0], []
    code = mine.__code__
    with tape_target(target, target.values()).program.installed():
        made.loss(target.values())
        kept = list(made.kept)
    assert mine.__code__ is code
    for one in kept[1:]:
        assert one.__code__.co_filename == code.co_filename
        assert "gradcheck" not in repr(one.__code__.co_consts)
        assert np.allclose(one(np.ones(3))[1], mine(np.ones(3))[1])
    assert len(kept) > 1


def test_functions_made_before_are_followed(tmp_path):
    """If it fails, the derivatives end at a function that the user's code had made before it ran."""
    made = module(
        tmp_path,
        """
        import numpy as np
        made = []
        def make():
            left, factor = 1.0, 2.0
            def double(x):
                return factor * x
            return double
        def loss(p):
            if not made:
                made.append(make())
            return np.sum(made[0](p["a"]) ** 2 + make()(p["a"]))
        """,
    )
    target = target_of(made, a=draw(2, 3))
    run = tape_target(target, target.values())
    assert np.allclose(run.true_gradients["a"], 8 * run.base["a"] + 2)


def test_what_a_function_read_that_was_made_before_its_inner_functions_hold():
    """If it fails, a scale of the function around it all cannot be written in a pullback that forgot it."""
    inner = "    def g(x):\n        y = b * x\n        def h(): pass\n        return h\n"
    text = f"def f(a):\n    b = c = 1\n{inner}    return g"
    during, _ = held(text, lines={3, 5})  # f does not run: g exists, and holds b alone
    assert during["h"] == {"b", "x", "y", "h"}
