"""Rewritten copies of the user's functions: they must compute the same, and leave no trace."""

from __future__ import annotations

import cProfile
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from gradcheck._common.files import load
from gradcheck._usercode.instrument import Program, instrumented, rewrite, tapped, the_same_code
from gradcheck._usercode.profiling import count_calls, count_returns, functions_run

SOURCE = '''
import functools
import numpy as np

SCALE = np.array([2.0, 3.0])

def plain(x, *more, power=2, **named):
    """A docstring."""
    total = x ** power + sum(more)
    for name in named:
        total = total + named[name]
    return total * SCALE

def updates(x):
    y = x.copy()
    y[0] += 1.0
    y *= 2
    a, (b, *c) = y[0], (y[1], y)
    return a + b + c[0]

def lazy(x):
    def each(n):
        for i in range(n):
            yield x * i
    return sum(each(3)) + sum([v for v in (x, x)]) + (lambda z: z - x)(x) + np.dot(x, x)

def counting(f):
    @functools.wraps(f)
    def wrapper(*args):
        wrapper.calls += 1
        return f(*args)
    wrapper.calls = 0
    return wrapper

@counting
def decorated(x):
    return -x if x.sum() > 0 else x

class Base:
    def twice(self, x):
        return 2 * x

class Child(Base):
    @property
    def offset(self):
        return SCALE

    @classmethod
    def make(cls):
        return cls()

    @staticmethod
    def halved(x):
        return x / 2

    def twice(self, x):
        return super().twice(x) + self.offset + self.halved(x)

def method(x):
    return Child.make().twice(x)

def raises(x):
    y = x + 1

    return y / {}

def escapes(x):
    return lambda: x + 1
'''


@pytest.fixture
def module(tmp_path: Path) -> Any:
    """The functions above, in a file of their own."""
    path = tmp_path / "users.py"
    path.write_text(SOURCE)
    return load(path)


def program_of(run: Callable[[], object]) -> Program:
    """The rewritten functions that run."""
    return rewrite(functions_run(run))


@pytest.mark.parametrize("name", ["plain", "updates", "lazy", "decorated", "method"])
def test_rewritten_functions_compute_the_same(name: str, module: Any) -> None:
    """A tap would change what the user's code does."""
    import numpy as np

    function, x = getattr(module, name), np.array([0.5, -1.5])
    expected = function(x)
    program = program_of(lambda: function(x))
    assert program.codes
    seen: list[int] = []

    def tap(site: int, value: Any) -> Any:
        seen.append(site)
        return value

    with instrumented(program), tapped(program, tap):
        assert np.array_equal(function(x), expected)
    assert seen
    seen.clear()
    assert np.array_equal(function(x), expected)
    assert not seen


def test_a_tap_replaces_a_value(module: Any) -> None:
    """Nothing could be perturbed."""
    import numpy as np

    x = np.array([1.0, 2.0])
    program = program_of(lambda: module.plain(x))

    def tap(site: int, value: Any) -> Any:
        return value + 1 if program.sites[site].text == "x ** power" else value

    with instrumented(program), tapped(program, tap):
        assert np.array_equal(module.plain(x), (x**2 + 1) * module.SCALE)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_functions_are_put_back_after_an_exception(error: type[BaseException], module: Any) -> None:
    """Ctrl-C would leave the user's functions rewritten."""
    import numpy as np

    codes = {name: value.__code__ for name, value in vars(module).items() if hasattr(value, "__code__")}
    names = set(vars(module))
    program = program_of(lambda: module.plain(np.ones(2)))

    def tap(*_: object) -> Any:
        raise error

    with pytest.raises(error), instrumented(program), tapped(program, tap):
        module.plain(np.ones(2))
    assert {name: value.__code__ for name, value in vars(module).items() if hasattr(value, "__code__")} == codes
    assert set(vars(module)) == names


def test_lines_of_a_traceback_are_the_users(module: Any) -> None:
    """The user would be sent to a line that is not theirs."""
    import numpy as np

    def lines() -> list[int | None]:
        try:
            module.raises(np.ones(2))
        except TypeError as error:
            return [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.name == "raises"]
        return []

    expected = lines()
    program = program_of(lambda: lines())
    with instrumented(program), tapped(program, lambda _, value: value):
        assert lines() == expected


def test_what_rewritten_code_made_is_put_back(module: Any) -> None:
    """A closure that outlives the trace would go on passing values through it."""
    import numpy as np

    program = program_of(lambda: module.escapes(np.ones(2)))
    with instrumented(program):
        made = module.escapes(np.ones(2))
    assert made.__code__ in module.escapes.__code__.co_consts


@pytest.mark.parametrize(
    "watch", [functions_run, lambda run: count_returns(run, bool), count_calls], ids=["observed", "counted", "calls"]
)
def test_the_profiler_is_put_back(watch: Any) -> None:
    """A profiler of the user's would be switched off."""

    def profiler(*_: object) -> None:
        return None

    sys.setprofile(profiler)
    try:
        watch(lambda: None)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


def test_calls_are_counted_in_a_run_that_is_profiled() -> None:
    """A check under cProfile would end in an error, or end the profile."""

    def twice(x: int) -> int:
        return 2 * x

    outer = cProfile.Profile()
    outer.enable()
    try:
        result, calls = count_calls(lambda: twice(1) + twice(2))
        twice(3)
    finally:
        outer.disable()
    assert result == 6
    assert calls.times[twice.__code__] == 2
    assert {entry.code: entry.callcount for entry in outer.getstats()}[twice.__code__] >= 1


def test_libraries_are_not_the_users() -> None:
    """NumPy and the standard library would be rewritten."""
    import json

    import numpy as np

    def run() -> None:
        json.dumps({})
        np.linalg.norm(np.ones(2))

    assert [code.co_name for code in functions_run(run)] == ["run"]


def test_code_without_source_stays_as_it_is() -> None:
    """A function of a REPL would end the search for lines in an error."""
    space: dict[str, Any] = {}
    exec("def nowhere(): return 1.0", space)  # as in a REPL
    program = program_of(space["nowhere"])
    assert not program.codes


def test_lambdas_of_one_line_are_told_apart() -> None:
    """The second function of a line would count as one without source, or run in the place of the first."""
    text = "import math\npair = (lambda x: math.sin(x)), (lambda x: math.cos(x))\n"
    whole = [one for one in compile(text, "x.py", "exec").co_consts if isinstance(one, CodeType)]
    # compiled without the import, as a part of the file is, the same call is other code
    parts = [one for one in compile("\n" + text.split("\n")[1], "x.py", "exec").co_consts if isinstance(one, CodeType)]
    assert [the_same_code(one, whole) for one in parts] == whole
    assert the_same_code(parts[0], [whole[0], whole[0].replace()]) is None
