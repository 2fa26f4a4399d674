"""Files that are written at once or not at all: beside the old one first, and then in its place."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path

#: what is somebody's own work, and no report
SOURCE_SUFFIXES = (".py", ".pyi", ".pyw", ".pyx", ".ipynb")


class FileChangedError(OSError):
    """A file is no longer what was read."""


def replace_file(path: Path, data: bytes, *, expected: bytes | None = None) -> None:
    """Write a file; mode and owner stay, and a link stays one. The old contents stay where anything goes wrong.

    Raises:
        FileChangedError: If it does not hold what is `expected` any more.
        OSError: If it must not be written, or its owner cannot be kept; it names the file.
    """
    with _Naming(path):
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "it is read-only")
        final = path.resolve()

        def put(new: str) -> None:
            if expected is not None and path.read_bytes() != expected:
                raise FileChangedError(errno.EBUSY, "it has changed meanwhile")
            os.replace(new, final)

        _write(final.parent, data, final if final.exists() else None, put)


def write_copy(like: Path, names: Iterable[Path], data: bytes) -> Path:
    """Write a file under the first of the names that is free, with the mode and, if possible, the owner of another.

    Raises:
        OSError: If it must not be written.
    """
    for path in names:
        with _Naming(path), suppress(FileExistsError):
            if not os.path.lexists(path):
                _write(path.parent, data, like, lambda new, path=path: _link(new, path), strict=False)  # type: ignore[misc]
                return path
    raise AssertionError("there is always another name")


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet.

    Raises:
        OSError: If there is one of that name, or it must not be written.
    """
    with _Naming(path):
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "it exists")
        _write(path.parent, data, None, lambda new: _link(new, path))


def write_output(path: Path, data: bytes) -> None:
    """Write what a user asked for, unless it would take the place of somebody's work.

    Raises:
        OSError: If it must not be written.
    """
    refusal = why_refused(path)
    if refusal:
        raise OSError(errno.EEXIST, refusal, str(path))
    if path.exists() and not path.is_file():  # a terminal, a pipe: there is nothing to be replaced
        with _Naming(path):
            path.write_bytes(data)
    else:
        replace_file(path, data)


def why_refused(path: Path, inputs: Iterable[Path] = ()) -> str:
    """Why nothing may be written there; empty if it may."""
    if not (path.is_symlink() or path.exists()):
        return ""
    if path.is_symlink() and (path.is_file() or not path.exists()):
        return "it is a link to another file"
    for one in inputs:
        with suppress(OSError):
            if path.samefile(one):
                return "it is a file that is checked"
    return "it holds source code" if path.suffix.lower() in SOURCE_SUFFIXES else ""


class _Naming:
    """Lets an error name the file that is meant, and not a temporary one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(self.path), None


def _write(folder: Path, data: bytes, like: Path | None, put: Callable[[str], None], *, strict: bool = True) -> None:
    """Write a temporary file and put it where it belongs; nothing of it is left otherwise."""
    number, name = _temporary(folder)
    try:
        with open(number, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if like is not None:
            _make_alike(name, like, strict=strict)
        put(name)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _temporary(folder: Path) -> tuple[int, str]:
    """A new file, with the mode that any new file has."""
    for number in count():
        name = str(folder / f".gradcheck-{os.getpid()}-{number}")
        with suppress(FileExistsError):
            return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), name
    raise AssertionError("there is always another number")


def _make_alike(name: str, like: Path, *, strict: bool) -> None:
    """Give it the mode and the owner of another file. Only root gives files away: `strict` refuses then."""
    wanted, found = like.stat(), os.stat(name)
    os.chmod(name, stat.S_IMODE(wanted.st_mode) & 0o700)  # nobody else, until it belongs to whom it should
    if hasattr(os, "chown") and (wanted.st_uid, wanted.st_gid) != (found.st_uid, found.st_gid):
        try:
            os.chown(name, wanted.st_uid, wanted.st_gid)
        except OSError as error:
            if strict:
                raise PermissionError(errno.EPERM, "it belongs to somebody else, and would not any more") from error
    os.chmod(name, stat.S_IMODE(wanted.st_mode))


def _link(new: str, path: Path) -> None:
    """Give it another name, unless there is something of that name."""
    try:
        os.link(new, path)
    except FileExistsError:
        raise
    except OSError:  # there are file systems without links
        os.rename(new, path)
