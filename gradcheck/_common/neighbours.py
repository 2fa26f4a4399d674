"""The modules beside a file: while it is imported, they come before modules of the same names in other folders.

Two folders may each hold a `model.py`. What one of them imports as `model` must not be the other's, which is in
`sys.modules` since its own folder was checked: the verdict would be on code that the file has nothing to do with.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from gradcheck._common.import_path import NEEDED, is_added


@contextmanager
def neighbours_first(folder: str) -> Iterator[None]:
    """Import from this folder what it holds, in spite of modules of other folders that have the same names.

    Those that come from no folder of a checked file are somebody else's, and are back afterwards.
    """
    hidden = _modules_that_hide(folder)
    for name in hidden:
        del sys.modules[name]
    finder = _Neighbours(folder)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        sys.modules.update(
            {name: one for name, one in hidden.items() if not is_added(_folder_of(hidden[name.partition(".")[0]]))}
        )


class _Neighbours:
    """Finds the modules of one folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the import system asks for it; parts of packages are found by their packages."""
        return PathFinder.find_spec(name, [self.folder], target) if path is None and _holds(self.folder, name) else None


def _modules_that_hide(folder: str) -> dict[str, ModuleType]:
    """The modules, with what they contain, that the folder has others of the same names for."""
    roots = {name.partition(".")[0] for name in [*sys.modules]}
    hiding = {name for name in roots if _holds(folder, name) and _is_of_another_folder(sys.modules.get(name), folder)}
    return {name: one for name, one in [*sys.modules.items()] if name.partition(".")[0] in hiding}


def _is_of_another_folder(module: ModuleType | None, folder: str) -> bool:
    home = _folder_of(module)
    return home is not None and home != os.path.realpath(folder)


def _folder_of(module: ModuleType | None) -> str | None:
    """The folder in which a module that is in no package was found; None where it was made by hand."""
    file: str | None = getattr(module, "__file__", None)
    if file is None:
        return None
    folder = os.path.dirname(os.path.realpath(file))
    return os.path.dirname(folder) if os.path.basename(file).startswith("__init__.") else folder


def _holds(folder: str, name: str) -> bool:
    """Whether the folder has a module of this name, other than Python's own and those that the checker needs."""
    if name in sys.stdlib_module_names or name in NEEDED or name == "__main__":
        return False
    place = os.path.join(folder, name)
    return os.path.isfile(f"{place}.py") or os.path.isfile(os.path.join(place, "__init__.py"))
