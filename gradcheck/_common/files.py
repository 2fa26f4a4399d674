"""Python files as modules: how a file named on the command line, or in a worker, is run."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from gradcheck._common.cells import on_disk
from gradcheck._common.errors import TargetError, UserCodeError
from gradcheck._common.import_path import add_to_import_path, hidden_modules
from gradcheck._common.neighbours import neighbours_first
from gradcheck._common.notebooks import load_notebook
from gradcheck._common.similar import did_you_mean

#: what can be loaded
SUFFIXES = (".py", ".ipynb")
#: what each file that was loaded held then
_LOADED: dict[str, str] = {}


def load(path: str | Path) -> ModuleType:
    """Import the file, with its folder on the import path, as ``python FILE`` does, but after Python's own modules.

    A file of a package (a folder with an ``__init__.py``) is imported as a part of it, so that relative imports work.
    Of a notebook the code cells are run.

    Raises:
        TargetError: If there is no such Python file or notebook; `UserCodeError` if it raises while it is imported.
    """
    file = Path(on_disk(str(path))).resolve()
    if not file.exists():
        raise TargetError(f"{path}: no such file{_similar_file(file)}")
    if file.is_dir() or file.suffix not in SUFFIXES:
        raise TargetError(f"{path}: expected a Python file (.py) or a notebook (.ipynb)")
    digest, before = _digest(file), set(sys.modules)
    try:
        module = load_notebook(file) if file.suffix == ".ipynb" else _of_package(file) or _alone(file)
        if module.__name__ not in before:
            _LOADED[str(file)] = digest
        return module
    except TargetError:
        raise
    except (Exception, SystemExit) as error:
        raise UserCodeError(f"importing {path}{_hint(error, file.parent)}", error) from error


def _similar_file(file: Path) -> str:
    """What was likely meant, of the files beside."""
    beside = [one.stem for one in file.parent.glob(f"*{file.suffix}")] if file.suffix in SUFFIXES else []
    return did_you_mean(file.stem, beside)


def _hint(error: BaseException, folder: Path) -> str:
    """What the user may not know of a module that does not have what they look for."""
    hidden = hidden_modules(str(folder)) if isinstance(error, (ImportError, AttributeError)) else []
    return f" (Python's own {', '.join(hidden)} comes before the file of that name beside it)" if hidden else ""


def remember_contents(file: Path) -> None:
    """What the file holds now is what runs from now on."""
    _LOADED[str(file)] = _digest(file)


def has_changed(file: str) -> bool:
    """Whether a file that was loaded is another one on the disk now, so that its lines are not those that run."""
    path = on_disk(file)
    loaded = _LOADED.get(path)
    return loaded is not None and loaded != _digest(Path(path))


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


class _FromSource(SourceFileLoader):
    """Reads the source itself: compiled code that was kept would be run for what was changed within the same second."""

    def get_code(self, fullname: str) -> CodeType:
        """The compiled source; nothing is kept beside the file."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _alone(file: Path) -> ModuleType:
    """The file as a module of its own, under a name that no other module has."""
    name = f"_gradcheck_{file.stem}_{hashlib.sha1(os.fsencode(file)).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file, loader=_FromSource(name, str(file)))
    assert spec is not None  # a .py file has a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    add_to_import_path(str(file.parent))
    try:
        with neighbours_first(str(file.parent)):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _of_package(file: Path) -> ModuleType | None:
    """The file as a part of its package; None if it is in none, or if another package goes by that name."""
    names = [] if file.stem == "__init__" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").exists() and folder.name.isidentifier():
        names.insert(0, folder.name)
        folder = folder.parent
    if folder == file.parent:
        return None
    add_to_import_path(str(folder))
    with neighbours_first(str(folder)):
        package = importlib.util.find_spec(names[0])
        if package is None or package.origin != str(folder / names[0] / "__init__.py"):
            return None
        return importlib.import_module(".".join(names))
