"""Cells of notebooks: the code of a cell goes by the name of a file that is none, which nobody wants to read.

Imports nothing but Python's own modules. IPython is asked only where it is running already.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import PurePath
from typing import NamedTuple

#: how the cells of a notebook's file are called (`gradcheck._common.notebooks`)
_OF_FILE = re.compile(r"(.+\.ipynb), cell \[(\d+)\]", re.DOTALL)
#: how IPython calls the cells of a session, with their numbers
_OF_SESSION = re.compile(r"<ipython-input-(\d+)-.*>")
#: how a kernel calls them, with their hashes
_OF_KERNEL = re.compile(r".*ipykernel_\d+[\\/]\d+\.py", re.DOTALL)


class Cell(NamedTuple):
    """A cell of a notebook: its file, if it is not the one of the session; its number, if that is known."""

    notebook: str
    number: int | None


def name_of_cell(notebook: str, number: int) -> str:
    """The name of file by which the code of a cell goes."""
    return f"{notebook}, cell [{number}]"


def cell_of(file: str) -> Cell | None:
    """The cell that goes by this name of file; None if it is none."""
    if found := _OF_FILE.fullmatch(file):
        return Cell(found[1], int(found[2]))
    if (number := _number_in_session(file)) is not None:
        return Cell("", number)
    if found := _OF_SESSION.fullmatch(file):
        return Cell("", int(found[1]))
    return Cell("", None) if _OF_KERNEL.fullmatch(file) else None


def on_disk(file: str) -> str:
    """The file on the disk that holds the code: a notebook of its cell, any other file itself."""
    cell = cell_of(file)
    return cell.notebook if cell is not None and cell.notebook else file


def shown_file(file: str) -> str:
    """A file as a reader knows it: its path from here, if it lies here; the number of a cell."""
    cell = cell_of(file)
    if cell is None:
        return path_from_here(file)
    number = "a cell" if cell.number is None else f"cell [{cell.number}]"
    return f"{path_from_here(cell.notebook)}, {number}" if cell.notebook else number


def format_place(file: str, line: int) -> str:
    """``file:line``; of a cell ``cell [1], line 82``."""
    return f"{shown_file(file)}{':' if cell_of(file) is None else ', line '}{line}"


def path_from_here(file: str) -> str:
    """The path from the current folder, if it lies there; else the whole path."""
    path, here = PurePath(file), PurePath(os.getcwd())
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _number_in_session(file: str) -> int | None:
    """The number of a cell of the session that is running, as IPython has it now."""
    ask = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = None if ask is None else ask()
    known = getattr(getattr(shell, "compile", None), "_filename_map", {})
    number = known.get(file) if isinstance(known, dict) else None
    return number if isinstance(number, int) else None
