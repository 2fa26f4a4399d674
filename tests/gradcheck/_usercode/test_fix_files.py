"""Verified fixes in the user's files: all of them or an error that says why, and the file as it was beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._common.errors import TargetError
from gradcheck._usercode import fix_files
from gradcheck._usercode.fix_files import collect_fixes, write_fixes, write_patch
from gradcheck.cli import main
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import Fix
from gradcheck.report.records import Finding
from gradcheck.report.report import Report

pytestmark = pytest.mark.lines

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
    lines = [(str(file), line, before) for line, before, _ in fixes]
    return Report("f", "wrong", {}, {}, tuple(findings), patch={str(file): edits}, patch_lines=lines)


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


def test_no_file_is_written_where_one_cannot_be(tmp_path: Path) -> None:
    """Of two files that belong together one would be fixed, and the other not."""
    paths = [tmp_path / "f.py", tmp_path / "g.py"]
    for path in paths:
        path.write_text("a = 1\n")
    fixes = collect_fixes([report(path, (1, "a = 1", "a = 3")) for path in paths])
    paths[1].write_text("a = 2\n")
    with pytest.raises(TargetError, match=r"g\.py, line 1, has changed since"):
        list(write_fixes(fixes))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["f.py", "g.py"]
    assert paths[0].read_text() == "a = 1\n"


TWO_STEPS = """\
import numpy as np
import gradcheck


@gradcheck.target
def first(rng, *, B=2, H=3):
    W, x = rng.standard_normal((H, H)), rng.standard_normal((B, H))
    def grads():
        h = np.tanh(x @ W)
        return {{"W": x.T @ (1 + h**2)}}
    return gradcheck.Target({{"W": W}}, lambda: float(np.tanh(x @ W).sum()), grads)


@gradcheck.target
def second(rng, *, B=2, H=3):
    W, x = rng.standard_normal((H, H)), rng.standard_normal((B, H))
    return gradcheck.Target({{"W": W}}, lambda: float(np.tanh(x @ W).sum()), lambda: {{"W": {second}}})
"""
RIGHT = "x.T @ (1 - np.tanh(x @ W) ** 2)"


@pytest.mark.parametrize(
    ("arguments", "second", "status", "told"),
    [
        (["mended.py"], RIGHT, 0, ["first is right", "second is right"]),
        (["mended.py"], "rng.standard_normal(W.shape)", 1, ["first is right", "second is wrong"]),
        (["mended.py::first", "--size", "H=2"], "rng.standard_normal(W.shape)", 0, ["first is right"]),
    ],
)
def test_the_status_of_fix_is_that_of_the_written_file(
    arguments: list[str],
    second: str,
    status: int,
    told: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A script could not tell whether all is mended; or it would be told so without anybody having looked."""
    monkeypatch.chdir(tmp_path)
    Path("mended.py").write_text(TWO_STEPS.format(second=second))
    assert main(["check", *arguments, "--fix"]) == status
    err = capsys.readouterr().err
    found = [line for line in err.splitlines() if "checked again" in line]
    assert [line.partition(" · ")[0] for line in found] == [f"gradcheck: checked again: {one}" for one in told]
    assert "1 - h**2" in Path("mended.py").read_text()


def test_a_fixed_file_that_does_not_run_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command would say that all is mended where nothing could be checked again."""
    monkeypatch.chdir(tmp_path)
    text = TWO_STEPS.format(second=RIGHT)
    Path("once.py").write_text(f"import pathlib\npathlib.Path('ran').touch(exist_ok=False)\n{text}")
    assert main(["check", "once.py", "--fix"]) == 2
    assert "FileExistsError" in capsys.readouterr().err


def test_a_line_that_changed_while_it_was_checked_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was typed while a check ran would be overwritten, or mended in the wrong place."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "typed.py"
    path.write_text(TWO_STEPS.format(second=RIGHT))
    collect = fix_files.collect_fixes

    def typed_meanwhile(reports: list[Report]) -> list[fix_files.FileFixes]:
        path.write_text("# typed\n" + path.read_text())
        return collect(reports)

    monkeypatch.setattr(fix_files, "collect_fixes", typed_meanwhile)
    assert main(["check", "typed.py", "--fix"]) == 2
    assert "has changed since it was checked: run the check again" in capsys.readouterr().err
    assert path.read_text() == "# typed\n" + TWO_STEPS.format(second=RIGHT)
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["typed.py"]


@pytest.mark.parametrize("option", ["--patch", "--html"])
@pytest.mark.parametrize("name", ["spoken.py", "other.py", "link.txt"])
def test_somebodys_work_is_not_overwritten(
    option: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip of the fingers would replace the file that is checked by the report about it."""
    monkeypatch.chdir(tmp_path)
    for one in ("spoken.py", "other.py"):
        Path(one).write_text(TWO_STEPS.format(second=RIGHT))
    Path("link.txt").symlink_to("other.py")
    with pytest.raises(SystemExit) as ended:
        main(["check", "spoken.py::first", option, name])
    assert ended.value.code == 2
    assert f"argument {option}: '{name}' is not overwritten" in capsys.readouterr().err
    assert {Path(one).read_text() for one in ("spoken.py", "other.py")} == {TWO_STEPS.format(second=RIGHT)}


def test_two_outputs_are_not_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report would be lost under the patch."""
    out = str(tmp_path / "out")
    with pytest.raises(SystemExit):
        main(["check", "any.py", "--html", out, "--patch", out])
    assert "is what --html is written to" in capsys.readouterr().err


def test_there_is_no_patch_of_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`git apply` refuses an empty file; and the patch of last time would be gone."""
    monkeypatch.chdir(tmp_path)
    Path("nothing.py").write_text(TWO_STEPS.format(second=RIGHT))
    for before in (None, "the last patch"):
        if before is not None:
            Path("out.diff").write_text(before)
        assert main(["check", "nothing.py::second", "--patch", "out.diff"]) == 0
        assert "no verified fix to write" in capsys.readouterr().err
        assert Path("out.diff").exists() == (before is not None)


def test_no_line_is_named_in_a_file_that_has_changed_since_it_was_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines of the new text would be accused, and mended, for what the old code does."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "saved.py"
    saved = "import pathlib\nhere = pathlib.Path(__file__)\nhere.write_text('# saved\\n' + here.read_text())\n"
    path.write_text(TWO_STEPS.format(second=RIGHT) + saved)
    before = path.read_text()
    assert main(["check", "saved.py::first", "--fix"]) == 1
    out, err = capsys.readouterr()
    assert "saved.py has changed since it was imported: run the check again" in " ".join(out.split())
    assert "saved.py:" not in out
    assert "no verified fix to write" in err
    assert path.read_text() == "# saved\n" + before
