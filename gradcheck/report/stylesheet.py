"""The style of a page, and of a part of somebody else's page: a notebook's output."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from gradcheck.report.markup import Html, tag

#: the element in which all that a notebook shows of ours stands
SCOPE = ".gradcheck"
#: how pages that have a theme of their own say which it is: JupyterLab, VS Code, Sphinx
_DARK = ('[data-jp-theme-light="false"]', ".vscode-dark", '[data-theme="dark"]')
_LIGHT = ('[data-jp-theme-light="true"]', ".vscode-light", '[data-theme="light"]')
_MEDIA = "@media screen and (prefers-color-scheme: dark)"
#: what begins a rule: its selectors, and the space before them
_RULE = re.compile(r"^( *)([^@{}\n]+)\{", re.MULTILINE)


@cache
def page_style() -> Html:
    """The style of a whole page, light or dark as the reader's system is."""
    light, dark, style = map(_read, ("light", "dark", "style"))
    return Html(f":root {{\ncolor-scheme: light dark;\n{light}}}\n{_MEDIA} {{\n:root {{\n{dark}}}\n}}\n{style}")


@cache
def scoped_style() -> Html:
    """The style of a part: it touches nothing beside the part, and follows the theme of the page around it."""
    light, dark, style = map(_read, ("light", "dark", "style"))
    themes = [(_LIGHT, light), (_DARK, dark)]
    forced = "".join(f"{', '.join(f'{theme} {SCOPE}' for theme in names)} {{\n{these}}}\n" for names, these in themes)
    rules = _RULE.sub(lambda found: f"{found[1]}{', '.join(map(_scoped, found[2].split(',')))} {{", style)
    return Html(f"{SCOPE} {{\n{light}}}\n{_MEDIA} {{\n{SCOPE} {{\n{dark}}}\n}}\n{forced}{rules}")


def scoped(*parts: Html) -> str:
    """Parts of a page with their style, to stand in somebody else's page."""
    return tag("div", tag("style", scoped_style()), *parts, class_=SCOPE.removeprefix("."))


def _scoped(selector: str) -> str:
    selector = selector.strip()
    return SCOPE if selector in ("body", "main") else f"{SCOPE} {selector}"


def _read(name: str) -> str:
    return files("gradcheck.report").joinpath("styles", f"{name}.css").read_text(encoding="utf-8")
