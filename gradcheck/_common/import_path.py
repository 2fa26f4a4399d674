"""Where a user's folder stands on the import path: after Python's own modules, before installed ones.

`python FILE` puts the folder first. A file beside it called html.py or statistics.py would then be imported in the
place of Python's own module, by whatever needs that: the checker, what it is built on, its worker processes.

Imports nothing but `os` and `sys`, since it is imported before the path is in order.
"""

from __future__ import annotations

import os
import sys

#: packages that the checker cannot do without, here and in its workers
NEEDED = ("gradcheck", "numpy", "rich", "pygments", "markdown_it", "mdurl", "pytest", "_pytest", "hypothesis")
#: the folders that were added here
_ADDED: set[str] = set()
_STANDARD = os.path.dirname(os.path.realpath(os.__file__))


def add_to_import_path(folder: str) -> None:
    """Let modules of this folder be imported; at the very end where it holds what would hide a package we need."""
    if folder in _ADDED and folder in sys.path:
        sys.path.remove(folder)  # the last one comes first, as each would alone
    elif folder in sys.path:
        return
    _ADDED.add(folder)
    if any(_holds(folder, name) for name in NEEDED):
        sys.path.append(folder)
    else:
        sys.path.insert(_after_standard_library(), folder)


def is_added(folder: str | None) -> bool:
    """Whether modules are imported from this folder because a file of it was loaded."""
    return folder in {os.path.realpath(one) for one in _ADDED}


def hidden_modules(folder: str) -> list[str]:
    """The modules of this folder that have the names of Python's own, and so are not imported from there."""
    return sorted(name for name in sys.stdlib_module_names if _holds(folder, name))


def move_current_folder() -> None:
    """Put the folder that ``python -m`` puts first where other folders of the user's stand."""
    if not sys.flags.safe_path and sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
        add_to_import_path(os.getcwd())


def _holds(folder: str, name: str) -> bool:
    place = os.path.join(folder, name)
    return os.path.exists(f"{place}.py") or os.path.exists(os.path.join(place, "__init__.py"))


def _after_standard_library() -> int:
    standard = (_STANDARD, os.path.join(_STANDARD, "lib-dynload"))
    return max((i + 1 for i, path in enumerate(sys.path) if os.path.realpath(path or ".") in standard), default=0)
