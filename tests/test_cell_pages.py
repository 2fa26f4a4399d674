"""Each page on a cell shows code that is right, and a wrong line that is found wrong."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import gradcheck
from gradcheck._common.files import load

ROOT = Path(__file__).parent.parent
CELLS = ROOT / "docs" / "cells"
PAGES = sorted(page for page in CELLS.glob("*.md") if page.stem != "index")
IDS = [page.stem for page in PAGES]


@pytest.fixture(scope="module")
def excerpts() -> ModuleType:
    """What the site is built with: code from files."""
    sys.path.insert(0, str(ROOT / "docs" / "building"))
    try:
        import excerpts
    finally:
        del sys.path[0]
    return excerpts


def file_of(page: Path) -> Path:
    """The file that a page takes its code from and tells its reader to check."""
    (path,) = re.findall(r"^gradcheck check (\S+)$", page.read_text("utf-8"), re.M)
    return ROOT / path


def target_in(file: Path) -> gradcheck.TargetFactory:
    """The one target of a file."""
    (found,) = [one for one in vars(load(file)).values() if isinstance(one, gradcheck.TargetFactory)]
    return found


@pytest.mark.parametrize("file", sorted({file_of(page) for page in PAGES}), ids=lambda file: file.stem)
def test_the_code_is_right(file: Path) -> None:
    """A reader would learn a backward that is wrong."""
    report = gradcheck.check(target_in(file), full=True)
    assert report.ok, report


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_code_shown_is_of_the_file_that_is_checked(page: Path, excerpts: ModuleType) -> None:
    """A page would show code that is gone, or other code than the one that is found right."""
    text = page.read_text("utf-8")
    files = {(page.parent / path).resolve() for _, path in excerpts.DIRECTIVE.findall(text)}
    assert files == {file_of(page)}
    shown = excerpts.with_excerpts(text, page.parent, ROOT)
    assert "[code:" not in shown
    assert shown.count("```python") >= 2


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_wrong_line_is_found_wrong(page: Path, tmp_path: Path) -> None:
    """A page would warn of a line that does no harm, or that no check sees."""
    ((right, wrong),) = re.findall(r"```diff\n- (.+)\n\+ (.+)\n```", page.read_text("utf-8"))
    source = file_of(page).read_text("utf-8")
    assert source.count(right) == 1
    file = tmp_path / f"wrong_{page.stem.replace('-', '_')}.py"
    file.write_text(source.replace(right, wrong), encoding="utf-8")
    target = target_in(file)
    report = gradcheck.check(target.with_sizes(**target.sizes), explain=False)
    assert report.verdict == "wrong", report


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_a_page_has_equations_both_ways_and_is_in_the_list(page: Path) -> None:
    """A reader would look for an equation, or never find the page."""
    text = page.read_text("utf-8")
    assert text.count("```math") >= 2
    assert re.findall(r"^## (.*)$", text, re.M)[:3] == ["Forward", "Backward", "What people get wrong"]
    assert f"]({page.name})" in (CELLS / "index.md").read_text("utf-8")


def test_a_name_that_is_gone_is_told(excerpts: ModuleType) -> None:
    """A page would be built without its code."""
    with pytest.raises(KeyError, match=r"defines no backwards: .*backward"):
        excerpts.excerpt(ROOT / "tests" / "gallery" / "lstm.py", ["backwards"])


def test_a_method_is_shown_from_its_margin(excerpts: ModuleType) -> None:
    """Code on a page would be indented as it stands in its class."""
    shown = excerpts.excerpt(ROOT / "examples" / "gru_class.py", ["GRU.backward"])
    assert shown.startswith("def backward(self)")
    assert "\n    grads = {" in shown
