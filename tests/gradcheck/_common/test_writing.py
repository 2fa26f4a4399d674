"""Files are written at once or not at all, and never in the place of somebody's work."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from gradcheck._common.writing import FileChangedError, replace_file, why_refused, write_copy, write_output

posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes and links")


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    """A report could be read by nobody else, or by everybody."""
    (tmp_path / "plain").write_bytes(b"")
    write_output(tmp_path / "new", b"data")
    assert (tmp_path / "new").read_bytes() == b"data"
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("function", ["open", "fsync", "chmod", "replace"])
def test_the_old_file_stays_where_the_new_one_cannot_be_written(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk would leave half a file, an empty one, or a temporary one; the error would name the latter."""
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "temporary")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="No space left") as caught:
        write_output(path, b"new")
    monkeypatch.undo()
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_that_is_no_longer_what_was_read_is_not_replaced(tmp_path: Path) -> None:
    """What somebody has written meanwhile would be lost."""
    path = tmp_path / "out"
    path.write_bytes(b"theirs")
    with pytest.raises(FileChangedError):
        replace_file(path, b"new", expected=b"old")
    assert path.read_bytes() == b"theirs"
    replace_file(path, b"new", expected=b"theirs")
    assert path.read_bytes() == b"new"


@posix
def test_the_owner_and_the_mode_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of somebody else's would become ours, or could suddenly be read by all."""
    path = tmp_path / "out"
    path.write_bytes(b"old")
    path.chmod(0o640)
    given: list[tuple[int, int]] = []
    real = os.stat

    def of_somebody_else(name: object, **options: object) -> os.stat_result:
        found = list(real(name, **options))  # type: ignore[call-overload]
        if str(name) == str(path):
            found[4], found[5] = 12345, 54321
        return os.stat_result(found)

    monkeypatch.setattr(os, "stat", of_somebody_else)
    monkeypatch.setattr(os, "chown", lambda _, user, group: given.append((user, group)))
    replace_file(path, b"new")
    copy = write_copy(path, [path, tmp_path / "copy"], b"copied")
    assert given == [(12345, 54321)] * 2
    assert [one.stat().st_mode & 0o777 for one in (path, copy)] == [0o640] * 2
    assert (copy.name, copy.read_bytes()) == ("copy", b"copied")

    def forbidden(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", forbidden)
    with pytest.raises(PermissionError, match="it belongs to somebody else"):
        replace_file(path, b"newer")
    assert path.read_bytes() == b"new"


@posix
def test_a_copy_takes_the_place_of_nothing(tmp_path: Path) -> None:
    """An older copy would be lost, or a file that a link names would be made or written."""
    path = tmp_path / "users.py"
    path.write_bytes(b"x")
    names = [tmp_path / name for name in ("file", "link", "dangling", "free")]
    names[0].write_bytes(b"kept")
    names[1].symlink_to(names[0])
    names[2].symlink_to(tmp_path / "nowhere")
    assert write_copy(path, names, b"x") == names[3]
    assert names[0].read_bytes() == b"kept"
    assert not (tmp_path / "nowhere").exists()


@posix
def test_what_is_refused_and_what_is_not(tmp_path: Path) -> None:
    """A report would be written over the code that it is about."""
    source, other, linked = tmp_path / "net.txt", tmp_path / "other.py", tmp_path / "hard.html"
    for path in (source, other):
        path.write_text("x = 1\n")
    linked.hardlink_to(source)
    (tmp_path / "link.html").symlink_to(other)
    (tmp_path / "dangling.html").symlink_to(tmp_path / "nowhere.py")
    found = {
        name: why_refused(tmp_path / name, [source])
        for name in ("net.txt", "hard.html", "other.py", "link.html", "dangling.html", "new.html", "new.py")
    }
    assert found == {
        "net.txt": "it is a file that is checked",
        "hard.html": "it is a file that is checked",
        "other.py": "it holds source code",
        "link.html": "it is a link to another file",
        "dangling.html": "it is a link to another file",
        "new.html": "",
        "new.py": "",
    }
    assert why_refused(Path(os.devnull)) == ""
    write_output(Path(os.devnull), b"anything")
    with pytest.raises(OSError, match="it is a link to another file"):
        write_output(tmp_path / "dangling.html", b"anything")
    assert not (tmp_path / "nowhere.py").exists()
