"""The public names of the package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gradcheck


@pytest.mark.parametrize("name", gradcheck.__all__)
def test_every_public_name_is_where_the_table_says(name: str) -> None:
    """A name that the documentation promises would raise ImportError when somebody first uses it."""
    assert name in dir(gradcheck)
    if name in gradcheck._HOMES:
        assert getattr(gradcheck, name).__module__ == f"gradcheck.{gradcheck._HOMES[name]}"


def test_type_checkers_see_the_table() -> None:
    """A type checker would look for a public name in another module than the program does, or not know it."""
    tree = ast.parse(Path(gradcheck.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == alias.asname
    }
    assert seen == {name: f"gradcheck.{home}" for name, home in gradcheck._HOMES.items()}


def test_unknown_name() -> None:
    """A misspelt name would be an obscure error from importlib, or None."""
    with pytest.raises(AttributeError, match="module 'gradcheck' has no attribute 'chekc'"):
        _ = gradcheck.chekc
