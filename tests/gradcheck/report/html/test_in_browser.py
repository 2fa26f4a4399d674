"""Pages as a browser lays them out: on a telephone and on a desk nothing sticks out."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gradcheck.report.html import to_html
from gradcheck.report.html.pictures import Pictures
from gradcheck.report.html.traced import traces_to_html
from tests.gradcheck.report.html.test_pictures import CURVES, TRACE
from tests.gradcheck.report.sample_reports import EVERY_VERDICT, WRONG

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
)
#: in a frame of this width, since no window is as narrow as a telephone
HOST = """<!DOCTYPE html><iframe width="{width}" height="900" frameborder="0" srcdoc="{page}"></iframe>
<script>onload = () => document.body.dataset.wide = frames[0].document.documentElement.scrollWidth</script>"""
PAGES = {
    "check": to_html([WRONG], [Pictures(TRACE, CURVES)]),
    "several": to_html(EVERY_VERDICT),
    "trace": traces_to_html([("net.py::net", TRACE)]),
}


def width_in_browser(page: str, folder: Path, width: int) -> int:
    """How wide the page is where there is so much room."""
    file = folder / "page.html"
    text = page.encode(errors="replace").decode()
    file.write_text(HOST.format(width=width, page=html.escape(text)), encoding="utf-8")
    command = [str(BROWSER), *QUIET.split(), f"--user-data-dir={folder}", "--window-size=1400,1000", "--dump-dom"]
    done = subprocess.run([*command, file.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'data-wide="(\d+)"', done.stdout)
    assert found is not None, done.stderr
    return int(found[1])


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
@pytest.mark.parametrize("window", [390, 1280])
@pytest.mark.parametrize("page", PAGES)
def test_nothing_sticks_out_of_the_window(page: str, window: int, tmp_path: Path) -> None:
    """A reader on a telephone would have to push the whole page to and fro; wide tables scroll by themselves."""
    assert width_in_browser(PAGES[page], tmp_path, window) <= window
