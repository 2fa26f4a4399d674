"""Links of a page to files of the repository: each such file becomes a page of the site, so that no link leads out."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

#: where those pages are
PLACE = "repository"
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
#: what stands in it is no link
_FENCE = re.compile(r"(^```.*?^```$|^    .*?$|`[^`\n]*`)", re.M | re.S)
_LANGUAGES = {".py": "python", ".c": "c", ".yml": "yaml", ".ipynb": "json", ".json": "json", ".cfg": "ini"}


def links_of(markdown: str, origin: str) -> list[str]:
    """The files and folders that a page at `origin` in the repository links to, as paths in the repository."""
    found = []
    for part in _FENCE.split(markdown)[::2]:
        found += [_resolved(link[2], origin) for link in _LINK.finditer(part) if _is_relative(link[2])]
    return found


def page_of(path: str) -> str:
    """The page of the site for a file of the repository."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if "." not in posixpath.basename(path):
        return f"{PLACE}/{path}/index.md"  # a folder
    return f"{PLACE}/{path}" if path.endswith(".md") else f"{PLACE}/{path}.md"


def origin_of(root: Path, path: str) -> str:
    """Where the links of a file's page begin; those of a folder begin within it."""
    return f"{path}/index.md" if (root / path).is_dir() else path


def with_site_links(markdown: str, origin: str) -> str:
    """The page with its links leading to pages of the site."""
    here = posixpath.dirname(page_of(origin))

    def moved(link: re.Match[str]) -> str:
        if not _is_relative(link[2]):
            return link[0]
        _, hash_sign, anchor = link[2].partition("#")
        target = posixpath.relpath(page_of(_resolved(link[2], origin)), here or ".")
        return f"{link[1]}{target}{hash_sign}{anchor}{link[3]}"

    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(moved, part) for part in parts[::2]]
    return "".join(parts)


def page_text(root: Path, path: str, files: list[str]) -> str:
    """The Markdown of a page for a file or folder of the repository.

    Raises:
        FileNotFoundError: If the repository has neither.
    """
    file = root / path
    if path.endswith(".md"):
        return file.read_text(encoding="utf-8")
    if file.is_dir():
        inside = [one for one in files if one.startswith(path.rstrip("/") + "/")]
        return f"# {path}\n\n" + "".join(f"- [{one}]({posixpath.relpath(one, path)})\n" for one in inside)
    if file.suffix == ".svg":
        raise FileNotFoundError(path)
    text = file.read_text(encoding="utf-8")
    fence = "`" * (3 + max((len(run) for run in re.findall(r"`{3,}", text)), default=0))
    return f"# {path}\n\n{fence}{_LANGUAGES.get(file.suffix, 'text')}\n{text}\n{fence}\n"


def _resolved(target: str, origin: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), target.partition("#")[0]))


def _is_relative(target: str) -> bool:
    return not target.startswith("#") and "://" not in target and not target.startswith("mailto:")
