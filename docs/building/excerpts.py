"""Code on pages is taken from the files it stands in: a line such as ``[code: forward](../tests/gallery/lstm.py)``."""

from __future__ import annotations

import ast
import re
from pathlib import Path

#: a line of its own: the names of functions or classes, and the file
DIRECTIVE = re.compile(r"^\[code: ([^\]\n]+)\]\(([^)\n]+)\)$", re.M)


def excerpt(path: Path, names: list[str]) -> str:
    """The source of these definitions, in their order; of a method as ``Class.method``.

    Raises:
        KeyError: If the file has no such definition.
    """
    source = path.read_text(encoding="utf-8")
    found = _definitions(ast.parse(source).body)
    lines = source.splitlines()
    parts = []
    for name in names:
        if name not in found:
            raise KeyError(f"{path.name} defines no {name}: {', '.join(found)}")
        node = found[name]
        first = min(one.lineno for one in (node, *node.decorator_list))
        block = lines[first - 1 : node.end_lineno]
        parts.append("\n".join(line[node.col_offset :] for line in block))
    return "\n\n\n".join(parts)


def _definitions(body: list[ast.stmt], before: str = "") -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """The functions and classes of a module or class, by name."""
    found: dict[str, ast.FunctionDef | ast.ClassDef] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[before + node.name] = node
        if isinstance(node, ast.ClassDef):
            found |= _definitions(node.body, f"{before}{node.name}.")
    return found


def with_excerpts(markdown: str, folder: Path, root: Path) -> str:
    """The page with code where a directive stood; below it a link to the whole file.

    Raises:
        KeyError: If a file has no such definition.
        OSError: If there is no such file.
    """

    def block(found: re.Match[str]) -> str:
        path = (folder / found[2]).resolve()
        code = excerpt(path, [name.strip() for name in found[1].split(",")])
        return f"```python\n{code}\n```\n\n[{path.relative_to(root).as_posix()}]({found[2]}){{ .file }}"

    return DIRECTIVE.sub(block, markdown)
