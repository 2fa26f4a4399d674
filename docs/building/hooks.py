"""What MkDocs does besides: code from files, equations, pages for the files of the repository that are linked to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from equations import equations  # MkDocs finds what stands beside a hook
from excerpts import with_excerpts
from mkdocs.structure.files import File
from repository import PLACE, links_of, origin_of, page_of, page_text, with_site_links

ROOT = Path(__file__).resolve().parents[2]
#: which file of the repository each page is made from
_origins: dict[str, str] = {}


def on_config(config: Any) -> Any:
    """Draw fences of equations."""
    fences = [{"name": "math", "class": "equations", "format": equations}]
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = fences
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the README as the home page, and a page for each file of the repository that is linked to."""
    _origins.clear()
    known = _tracked()
    for file in list(files.documentation_pages()):
        _origins[file.src_uri] = f"docs/{file.src_uri}"
    waiting = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", *_origins.values()]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        # what is not there is left to MkDocs, which names the link and fails
        if path in seen or not (ROOT / path).exists():
            continue
        seen.add(path)
        text = page_text(ROOT, path, known) if not path.startswith("docs/") else _page_in_docs(path)
        page = page_of(path)
        if page not in _origins and not path.startswith("docs/"):
            _origins[page] = path
            files.append(File.generated(config, page, content=text))
        waiting += links_of(text, origin_of(ROOT, path))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """The page with its code, and with links that stay in the site."""
    del config, files
    origin = _origins[page.file.src_uri]
    if page.file.src_uri.startswith(PLACE) and not origin.endswith(".md"):
        page.meta["search"] = {"exclude": True}
    return with_site_links(with_excerpts(markdown, (ROOT / origin).parent, ROOT), origin_of(ROOT, origin))


def _page_in_docs(path: str) -> str:
    """The text of a page; of a picture or a script nothing."""
    return (ROOT / path).read_text(encoding="utf-8") if path.endswith(".md") else ""


def _tracked() -> list[str]:
    """The files of the folders that pages link to; what was built or cached is no part of them."""
    folders = ("examples", "benchmarks", "tests/gallery")
    suffixes = (".py", ".c", ".md", ".ipynb", ".json")
    found = (one for folder in folders for one in sorted((ROOT / folder).rglob("*")) if one.suffix in suffixes)
    return [one.relative_to(ROOT).as_posix() for one in found]
