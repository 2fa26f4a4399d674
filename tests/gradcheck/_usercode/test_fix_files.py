"""Verified fixes in the user's files: all of them or an error that says why, and the file as it was beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._common.errors import TargetError
from gradcheck._usercode.fix_files import collect_fixes, write_fixes, write_patch
from gradcheck.cli import main
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import Fix
from gradcheck.report.records import Finding
from gradcheck.report.report import Report

CELL = """\
# coding: {cookie}
import numpy as np
import gradcheck


@gradcheck.target
def cell(rng, *, B=2, H=3):
    größe = {{"W": rng.standard_normal((H, H))}}
    x = rng.standard_normal((B, H))

    def grads():
        h = np.tanh(x @ größe["W"])
        return {{"W": x.T @ (1 + h**2)}}

    return gradcheck.Target(größe, lambda: float(np.sum(np.tanh(x @ größe["W"]))), grads)"""


def report(file: Path, *fixes: tuple[int, str, str]) -> Report:
    """A report with verified fixes of whole lines."""
    findings = [
        Finding(FindingCode.WRONG_LINE, file=str(file), line=line, fix=Fix(line, before, after, "", True))
        for line, before, after in fixes
    ]
    edits = [(line, 0, line, len(before.encode()), after) for line, before, after in fixes]
    return Report("f", "wrong", {}, {}, tuple(findings), patch={str(file): edits})


def test_fixes_of_two_reports_come_together(tmp_path: Path) -> None:
    """What two targets of a file have in common would be mended twice."""
    path = tmp_path / "f.py"
    path.write_text("a = 1\nb = 2\n")
    fixes = collect_fixes(
        [report(path, (1, "a = 1", "a = 3")), report(path, (1, "a = 1", "a = 4"), (2, "b = 2", "b = 5"))]
    )
    assert list(write_fixes(fixes)) == [f"fixed 2 places in {path} (original kept as {path}.orig)"]
    assert path.read_text() == "a = 3\nb = 5\n"
    assert collect_fixes([]) == []


def test_one_fix_is_one_place(tmp_path: Path) -> None:
    """The command would speak of 1 places."""
    path = tmp_path / "f.py"
    path.write_text("a = 1\n")
    (said,) = write_fixes(collect_fixes([report(path, (1, "a = 1", "a = 3"))]))
    assert said.startswith("fixed 1 place in ")


def test_a_file_that_was_edited_since_is_refused(tmp_path: Path) -> None:
    """A fix would be written into another statement than the one that was checked."""
    path = tmp_path / "f.py"
    path.write_text("import os\na = 1\n")
    fixes = collect_fixes([report(path, (1, "a = 1", "a = 3"))])
    with pytest.raises(TargetError, match=r"f\.py, line 1, has changed since it was checked: run the check again"):
        list(write_fixes(fixes))
    with pytest.raises(TargetError, match="has changed since"):
        write_patch(tmp_path / "out.diff", fixes)
    assert path.read_text() == "import os\na = 1\n"
    assert not (tmp_path / "f.py.orig").exists()


@pytest.mark.parametrize("cookie", ["latin-1", "cp1252", "utf-8"])
def test_fix_keeps_the_encoding_and_the_style(cookie: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--fix would end in an error for a file in another encoding, or change more than the mistake."""
    path = tmp_path / f"{cookie.replace('-', '_')}.py"
    before = CELL.format(cookie=cookie).encode(cookie)
    path.write_bytes(before)
    main(["check", str(path), "--fix"])
    assert f"fixed 1 place in {path} (original kept as {path}.orig)" in capsys.readouterr().err
    assert path.read_bytes() == before.replace(b"(1 + h**2)", b"(1 - h**2)")
    assert Path(f"{path}.orig").read_bytes() == before


def test_a_file_that_must_not_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command would end in a traceback, or say that all is well."""
    path = tmp_path / "guarded_fix.py"
    path.write_text(CELL.format(cookie="utf-8"), encoding="utf-8")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main(["check", str(path), "--fix"]) == 2
    assert f"cannot write {path}: it is read-only" in capsys.readouterr().err
