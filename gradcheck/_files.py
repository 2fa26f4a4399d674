"""Python files as modules: how a file named on the command line, or in a worker, is run."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from gradcheck._errors import TargetError, UserCodeError


def load(path: str | Path) -> ModuleType:
    """Import the file as a module of its own, with its folder on the import path, as ``python FILE`` does.

    Raises
    ------
    TargetError
        If there is no such Python file; `UserCodeError` if it raises while it is imported.
    """
    file = Path(path).resolve()
    if not file.exists():
        raise TargetError(f"{path}: no such file")
    if file.is_dir() or file.suffix != ".py":
        raise TargetError(f"{path}: expected a Python file (.py)")
    name = f"_gradcheck_{file.stem}_{hashlib.sha1(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None  # a .py file has a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserCodeError(f"importing {path}", error) from error
    return module
