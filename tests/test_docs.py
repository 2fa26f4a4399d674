"""The documentation names what exists, and its picture is what the command draws."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]


def test_the_picture_is_what_the_command_draws() -> None:
    """The picture would show steps or rooms that the command no longer draws."""
    code = "import draw_how_a_check_works as drawing; print(drawing.draw(), end='')"
    drawn = subprocess.run([sys.executable, "-X", "utf8", "-c", code], cwd=DOCS, capture_output=True, check=True).stdout
    assert drawn.decode() == (DOCS / "how-a-check-works.svg").read_text(encoding="utf-8")


def test_the_picture_names_rooms_that_exist() -> None:
    """A reader would look for a folder that was renamed."""
    rooms = re.findall(r'font-family="monospace">([^<]*)<', (DOCS / "how-a-check-works.svg").read_text("utf-8"))
    assert rooms
    for name in " ".join(rooms).split():
        assert (ROOT / "gradcheck" / name / "__init__.py").exists(), name


def test_the_reading_order_names_files_that_exist() -> None:
    """A newcomer would be sent to a file that was renamed."""
    rows = re.findall(r"^\| (`gradcheck/.*?) \|", (DOCS / "how-a-check-works.md").read_text("utf-8"), re.M)
    assert rows
    for row in rows:
        first, *others = re.findall(r"`([^`]*)`", row)
        for path in [ROOT / first, *((ROOT / first).parent / other for other in others)]:
            assert path.exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A reader would follow a link to nothing."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_recipes_for_found_code_run(tmp_path: Path) -> None:
    """A reader would copy a recipe that does not work."""
    import gradcheck

    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "adapters.md").read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 5
    for block in blocks:
        names: dict[str, object] = {}
        exec(compile(block, str(tmp_path / "recipe.py"), "exec"), names)
        for one in names.values():
            if isinstance(one, gradcheck.TargetFactory):
                report = gradcheck.check(one, explain=False)
                assert report.ok, f"{block}\n{report}"
