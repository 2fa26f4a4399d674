"""The definitions of a script, without what it does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gradcheck
from gradcheck import TargetError
from gradcheck._common.definitions import does_more_than_define, parsed

TEXT = '''"""A script."""
from __future__ import annotations
import sys
import numpy as np
from not_there import thing, other as another

open("left_behind.txt", "w").write("read")
print("loud")
data = open("nothing.txt").read()
size = len(data)
width, depth = 3, 2 * 3
W = np.zeros((width, depth))
V = np.zeros((width, size))
np.random.seed(1)


def area(a: int) -> int:
    return a * width * depth


class Net:
    w = W


net = Net()
answer = area(2)
for i in range(3):
    width += 1
raise SystemExit(3)
'''


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Any]:
    """The definitions of the text above."""
    file = tmp_path / "a-script.py"
    file.write_text(TEXT, encoding="utf-8")
    modules, path = set(sys.modules), list(sys.path)
    yield gradcheck.load_definitions(file)
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = path


def test_functions_classes_and_constants_are_there(script: Any) -> None:
    """Code that trains when it is imported could not be checked."""
    assert script.area(2) == 36
    assert script.Net.w is script.W
    assert script.W.shape == (3, 6)
    assert script.__doc__ == "A script."


def test_what_acts_does_not_run(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A file would be written, read, or trained for hours, by somebody who wanted a check."""
    assert not Path("left_behind.txt").exists()
    assert capsys.readouterr().out == ""
    assert script.width == 3
    assert not {"data", "size", "V", "net", "answer"} & set(vars(script))


def test_lines_are_those_of_the_file(script: Any) -> None:
    """The wrong line would be named."""
    code = script.area.__code__
    assert code.co_filename == script.__file__
    assert TEXT.splitlines()[code.co_firstlineno - 1] == "def area(a: int) -> int:"


def test_what_could_not_be_imported_says_so_where_it_is_used(script: Any) -> None:
    """A plot that nobody needs would be in the way of a check; or an error would name nothing."""
    with pytest.raises(ImportError, match=r"not_there.thing could not be imported: No module named 'not_there'"):
        script.thing.draw()
    with pytest.raises(ImportError, match=r"not_there.other could not be imported"):
        script.another()


def test_it_is_loaded_once(script: Any) -> None:
    """Two targets of one file would have modules of their own, and set each its own weights."""
    assert gradcheck.load_definitions(script.__file__) is script


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The user would see a traceback of ours."""
    with pytest.raises(TargetError, match=r"cannot read .*none\.py"):
        gradcheck.load_definitions(tmp_path / "none.py")


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("import numpy as np\nW = np.zeros(3)\n\n\ndef f(): pass\n\n\nif __name__ == '__main__':\n    f()\n", False),
        ("try:\n    import cupy\nexcept ImportError:\n    pass\n", False),
        ("def f(): pass\n\n\nf()\n", True),
        ("data = open('x').read()\n", True),
        ("while True:\n    pass\n", True),
    ],
)
def test_whether_an_import_would_do_more(tmp_path: Path, text: str, more: bool) -> None:
    """A harmless module would be taken apart, or one that trains be imported."""
    file = tmp_path / "one.py"
    file.write_text(text, encoding="utf-8")
    assert does_more_than_define(parsed(file)) is more
