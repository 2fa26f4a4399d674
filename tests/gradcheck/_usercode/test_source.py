"""A file of the user's: whatever its lines and its encoding are, the right place is named, and only that is changed."""

from __future__ import annotations

import ast
import linecache
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck._common.errors import TargetError
from gradcheck._usercode.source import Edit, Source, apply_edits, first_line, split_lines

#: what str.splitlines() takes for the end of a line, and Python does not
NOT_AN_END = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def written(folder: Path, data: bytes) -> Source:
    """A file of these bytes, read again."""
    path = folder / "users.py"
    path.write_bytes(data)
    return Source.read(str(path))


def replacing(source: Source, old: str, new: str) -> Edit:
    """The edit that replaces a text, which stands on one line."""
    line = next(i for i, text in enumerate(source.lines) if old in text)
    begin = len(source.lines[line].partition(old)[0].encode())
    return Edit((line + 1, begin), (line + 1, begin + len(old.encode())), new)


@pytest.mark.parametrize("mark", NOT_AN_END)
def test_lines_are_pythons_own(mark: str) -> None:
    """Every statement after such a character would be named by a wrong line."""
    text = f"a = '{mark}'\nb = 2\n"
    assert split_lines(text) == [f"a = '{mark}'\n", "b = 2\n"]
    source = Source("x.py", text)
    second = source.tree.body[1]
    assert source.lines[second.lineno - 1] == source.segment_of(second) == "b = 2"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_endings_stay_as_they_are(end: str, tmp_path: Path) -> None:
    """A fix would rewrite every line of a file from another system."""
    text = f"a = 1{end}b = 2{end}c = 3"
    source = written(tmp_path, text.encode())
    assert source.lines == ["a = 1", "b = 2", "c = 3"]
    assert source.newline == end
    source.write([replacing(source, "2", "(4 +\n5)")])
    assert (tmp_path / "users.py").read_bytes() == f"a = 1{end}b = (4 +{end}5){end}c = 3".encode()


@pytest.mark.parametrize(
    ("encoding", "cookie"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("latin-1", "# coding: latin-1\n"),
        ("cp1252", "# -*- coding: cp1252 -*-\n"),
    ],
)
def test_the_encoding_stays_as_it_is(encoding: str, cookie: str, tmp_path: Path) -> None:
    """A fix would turn every umlaut of the file into two wrong letters, or end in an error."""
    text = cookie + "s = 'größe'; y = 1\n"
    source = written(tmp_path, text.encode(encoding))
    assert source.text == text
    backup = source.write([replacing(source, "y = 1", "y = 2")])
    assert (tmp_path / "users.py").read_bytes() == text.replace("y = 1", "y = 2").encode(encoding)
    assert backup.read_bytes() == text.encode(encoding)


def test_a_cookie_is_found_in_a_file_with_old_line_endings(tmp_path: Path) -> None:
    """Such a file would be read in another encoding than Python's."""
    assert written(tmp_path, "#!python\r# coding: latin-1\rs = 'ö'\r".encode("latin-1")).lines[2] == "s = 'ö'"


def test_what_is_no_text_is_said(tmp_path: Path) -> None:
    """The command would end in a traceback of ours."""
    with pytest.raises(TargetError, match=r"cannot read .*users\.py: invalid or missing encoding"):
        written(tmp_path, b"s = '\xf6'\n")
    with pytest.raises(TargetError, match=r"cannot read .*none\.py: No such file"):
        Source.read(str(tmp_path / "none.py"))


def test_a_character_that_the_encoding_lacks_is_said(tmp_path: Path) -> None:
    """Half a file would be written."""
    source = written(tmp_path, b"# coding: latin-1\na = 1\n")
    with pytest.raises(TargetError, match=r"cannot write .*users\.py in its encoding"):
        source.write([replacing(source, "a = 1", "Δ = 1")])
    assert os.listdir(tmp_path) == ["users.py"]


def test_places_count_bytes_of_utf_8(tmp_path: Path) -> None:
    """A letter that is not ASCII would shift every edit after it."""
    source = written(tmp_path, "# coding: latin-1\ns = 'ä'; y = a\n".encode("latin-1"))
    node = source.tree.body[1]
    assert isinstance(node, ast.Assign)
    assert source.segment_of(node) == "y = a"
    start, end = (2, node.value.col_offset), (2, node.value.end_col_offset or 0)
    assert source.edited([Edit(start, end, "b")]).endswith("s = 'ä'; y = b\n")


def test_edits_of_several_lines() -> None:
    """Of several edits only one would be made, or one at the place of another."""
    edits = [Edit((1, 0), (1, 1), "xx"), Edit((1, 4), (2, 1), "")]
    assert apply_edits("a = (b\n+c)\nd\n", edits) == "xx = c)\nd\n"
    source = Source("x.py", "a = (b +\n     c)\nd\n")
    assert source.change(Edit((1, 5), (2, 6), "c")) == (1, "a = (b +\n     c)", "a = (c)")
    assert source.segment((1, 5), (2, 6)) == "b +\n     c"


def test_the_first_line_of_a_decorated_function() -> None:
    """A decorated function would not be found by the line that its code object names."""
    source = Source("x.py", "@one\n@two(\n    3)\ndef f():\n    pass\n\n\ndef g():\n    pass\n")
    assert [first_line(node) for node in source.tree.body] == [1, 8]
    space: dict[str, object] = {"one": lambda f: f, "two": lambda _: lambda f: f}
    exec(compile(source.text, "x.py", "exec"), space)
    assert space["f"].__code__.co_firstlineno == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("tool", [["patch", "-p1", "-i"], ["git", "apply"]])
@pytest.mark.parametrize(
    "data",
    [
        b"a = 1\nb = 2\n",
        b"a = 1\nb = 2",
        b"a = 1\n\nb = 2\n\nc = 3",
        b"\xef\xbb\xbfa = 1\nb = 2",
        b"# coding: latin-1\n# \xf6\nb = 2",
        b"a = 1\x0c\nb = 2\n",
        b"a = 1\rb = 2\r",
    ],
)
def test_a_diff_applies(tool: list[str], data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The diff that is offered could not be used."""
    monkeypatch.chdir(tmp_path)
    source = written(tmp_path, data)
    edits = [replacing(source, "b = 2", "b = 20")]
    (tmp_path / "out.diff").write_bytes(source.diff(edits).encode(source.codec))
    subprocess.run([*tool, "out.diff"], check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "users.py").read_bytes() == data.replace(b"b = 2", b"b = 20")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such names")
@pytest.mark.parametrize("tool", [["patch", "-p1", "-i"], ["git", "apply"]])
@pytest.mark.parametrize("name", ["my net.py", 'a "net".py', "back\\slash.py", "a\tb.py", "größe zwei.py"])
def test_a_diff_applies_whatever_the_path_is(
    tool: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The patch of a file with a space in its name could not be used, or would be for another file."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "some folder" / name
    path.parent.mkdir()
    path.write_bytes(b"# coding: latin-1\n# \xf6\nb = 2\n")
    source = Source.read(str(path))
    (tmp_path / "out.diff").write_bytes(source.encoded_diff([replacing(source, "b = 2", "b = 20")]))
    subprocess.run([*tool, "out.diff"], check=True, cwd=tmp_path, capture_output=True)
    assert path.read_bytes() == b"# coding: latin-1\n# \xf6\nb = 20\n"


def test_a_path_that_the_files_encoding_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--patch would end in a traceback."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "网络.py"
    path.write_bytes(b"# coding: latin-1\nb = 2\n")
    source = Source.read(str(path))
    diff = source.encoded_diff([replacing(source, "b = 2", "b = 20")])
    assert diff.startswith("--- a/网络.py\n+++ b/网络.py\n".encode())


def test_a_diff_keeps_windows_line_endings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The diff of a file from Windows could not be used."""
    monkeypatch.chdir(tmp_path)
    source = written(tmp_path, b"a = 1\r\nb = 2\r\n")
    (tmp_path / "out.diff").write_bytes(source.diff([replacing(source, "2", "3")]).encode())
    subprocess.run(["git", "apply", "out.diff"], check=True, cwd=tmp_path)
    assert (tmp_path / "users.py").read_bytes() == b"a = 1\r\nb = 3\r\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
def test_mode_and_links_stay(tmp_path: Path) -> None:
    """A script could not be run any more, or a secret one could be read; a link would become a file."""
    source = written(tmp_path, b"a = 1\n")
    path = tmp_path / "users.py"
    path.chmod(0o740)
    link = tmp_path / "link.py"
    link.symlink_to(path)
    source = Source.read(str(link))
    backup = source.write([replacing(source, "1", "2")])
    assert backup == tmp_path / "link.py.orig"
    assert [one.stat().st_mode & 0o777 for one in (path, backup)] == [0o740, 0o740]
    assert link.is_symlink()
    assert path.read_bytes() == b"a = 2\n"
    assert sorted(os.listdir(tmp_path)) == ["link.py", "link.py.orig", "users.py"]


def test_a_file_that_changes_at_the_last_moment_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an editor saves while the fix is written would be lost."""
    source = written(tmp_path, b"a = 1\n")
    sync = os.fsync

    def saved_meanwhile(number: int) -> None:
        sync(number)
        (tmp_path / "users.py").write_bytes(b"theirs = 1\n")

    monkeypatch.setattr(os, "fsync", saved_meanwhile)
    with pytest.raises(TargetError, match=r"users\.py has changed since it was checked"):
        source.write([replacing(source, "1", "2")])
    assert (tmp_path / "users.py").read_bytes() == b"theirs = 1\n"
    assert os.listdir(tmp_path) == ["users.py"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_interrupt_loses_nothing(moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C would leave a backup of nothing, or take away the only copy of what was replaced."""
    source = written(tmp_path, b"a = 1\n")
    replace = os.replace

    def interrupted(*names: str) -> None:
        if moment == "after":
            replace(*names)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        source.write([replacing(source, "1", "2")])
    found = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    before, after = {"users.py": b"a = 1\n"}, {"users.py": b"a = 2\n", "users.py.orig": b"a = 1\n"}
    assert found == (before if moment == "before" else after)


def test_an_older_backup_is_kept(tmp_path: Path) -> None:
    """The file as the user wrote it would be lost with the second fix."""
    source = written(tmp_path, b"a = 1\n")
    source.write([replacing(source, "1", "2")])
    source = Source.read(source.file)
    assert source.write([replacing(source, "2", "3")]).name == "users.py.orig2"
    assert (tmp_path / "users.py.orig").read_bytes() == b"a = 1\n"


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk would leave half a file, or a temporary one; and the error would name a file nobody knows."""
    source = written(tmp_path, b"a = 1\n")

    def replace(*_: object) -> None:
        raise OSError(28, "No space left on device", "temporary")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="No space left") as caught:
        source.write([replacing(source, "1", "2")])
    assert caught.value.filename == str(tmp_path / "users.py")
    assert os.listdir(tmp_path) == ["users.py"]


def test_code_without_a_file_has_its_source() -> None:
    """No line could be named in a notebook, in a doctest, or in code that was made."""
    text = "def f(x):\n    '''\x0c'''\n    return x\n"
    linecache.cache["<cell 7>"] = (len(text), None, text.splitlines(keepends=True), "<cell 7>")
    source = Source.of_running("<cell 7>")
    assert source is not None
    assert source.lines[2] == "    return x"
    assert source.data is None
    with pytest.raises(TargetError, match="<cell 7> is no file"):
        source.write([])
    assert Source.of_running("<nowhere>") is None


def test_the_source_that_runs_is_the_files(tmp_path: Path) -> None:
    """Its line endings and encoding would be lost, and a last line would seem to end."""
    data = b"# coding: latin-1\r\ns = '\xf6'"
    source = written(tmp_path, data)
    running = Source.of_running(source.file)
    assert running is source
    assert running.data == data
