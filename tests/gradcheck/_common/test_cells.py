"""Places in notebooks: told by cell, and never by the name that the code of a cell goes by."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gradcheck._common.cells import Cell, cell_of, format_place, name_of_cell, on_disk
from gradcheck._common.errors import UserCodeError
from gradcheck._common.wording import shown_path


@pytest.mark.parametrize(
    ("file", "cell"),
    [
        ("<ipython-input-3-5fd27ba0a2c1>", Cell("", 3)),
        ("/tmp/ipykernel_4711/3683295082.py", Cell("", None)),
        (r"C:\Temp\ipykernel_4711\3683295082.py", Cell("", None)),
        (name_of_cell("/home/me/x.ipynb", 12), Cell("/home/me/x.ipynb", 12)),
        ("/home/me/model.py", None),
        ("<stdin>", None),
    ],
)
def test_the_names_of_cells_are_known(file: str, cell: Cell | None) -> None:
    """A finding in a notebook would lie in a temporary file, or one in a file in a cell."""
    assert cell_of(file) == cell


def test_a_running_session_knows_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Jupyter every finding would lie in 'a cell', whichever of forty."""
    file = "/tmp/ipykernel_4711/3683295082.py"
    shell = SimpleNamespace(compile=SimpleNamespace(_filename_map={file: 7}))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[arg-type]
    assert format_place(file, 82) == "cell [7], line 82"
    assert shown_path(file) == "cell [7]"


def test_a_place_without_a_session_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that was read back elsewhere would raise, or show the name of a temporary file."""
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))  # type: ignore[arg-type]
    assert format_place("/tmp/ipykernel_4711/3683295082.py", 82) == "a cell, line 82"


def test_places_in_files_are_as_editors_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place in a file could not be clicked, or would have a long path although it is here."""
    monkeypatch.chdir(tmp_path)
    assert format_place(str(tmp_path / "a" / "b.py"), 3) == str(Path("a/b.py:3"))
    assert format_place(name_of_cell(str(tmp_path / "x.ipynb"), 2), 3) == "x.ipynb, cell [2], line 3"
    assert on_disk(name_of_cell("x.ipynb", 2)) == "x.ipynb"
    assert on_disk("x.py") == "x.py"


def test_an_error_in_a_cell_names_the_cell() -> None:
    """A student whose loss raises would be sent to a file in /tmp."""
    file = "<ipython-input-5-abc>"
    try:
        exec(compile("\n1 / 0", file, "exec"))
    except ZeroDivisionError as raised:
        error = UserCodeError("loss()", raised)
    assert error.place == "cell [5], line 2, in <module>"
    assert 'File "cell [5]", line 2' in error.traceback_text
    assert "ipython-input" not in error.traceback_text
