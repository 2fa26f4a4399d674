"""A draft as text: the head of a target file, and its factories."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from gradcheck._drafting.guesses import SIZES
from gradcheck._drafting.reading import Reading

TODO = "# TODO"
#: how far above a file the packages are looked for that it imports
LEVELS = 5
#: of a line inside a factory
WIDTH = 100


@dataclass(frozen=True)
class Draft:
    """A factory: its name, its lines inside, and what it is of."""

    name: str
    subject: str
    lines: tuple[str, ...]
    is_complete: bool = True
    #: whether its gradients can only be those that are meant, so that it fits as soon as it runs
    fits_if_it_runs: bool = False

    @property
    def text(self) -> str:
        """The factory."""
        body = "\n".join(f"    {line}" if line else "" for line in self.lines)
        used = [name for name in SIZES if re.search(rf"(?<![\w.]){name}(?!\w|\s*=[^=])", body)]
        sizes = "".join(f", {name}={SIZES[name]}" for name in used)
        head = f"def {self.name}(rng{', *' if sizes else ''}{sizes}):"
        return f'@gradcheck.target\n{head}\n    """{self.subject}."""\n{body}\n'


def listing(names: list[str]) -> list[str]:
    """Lines that bind a list of names to `names`, none of them too long."""
    line = f"names = [{', '.join(map(_quoted, names))}]"
    if len(line) <= WIDTH:
        return [line]
    return ["names = [", *(f"    {one}" for one in textwrap.wrap(", ".join(map(_quoted, names)) + ",", WIDTH - 4)), "]"]


def _quoted(name: str) -> str:
    return f'"{name}"'


def inputs_argument(names: list[str]) -> str:
    """The argument of a target that names its inputs."""
    pairs = [f'"{one}": {one}' for one in names]
    return f"inputs={{{', '.join(pairs)}}}"


def file_text(reading: Reading, output: Path, drafts: list[Draft]) -> str:
    """A target file with these factories, to be written at `output`."""
    bodies = "\n\n".join(draft.text for draft in drafts)
    says = f'"""Checks the gradients of {reading.file.name}: run `gradcheck check {output.name}`."""'
    path, imported = _import_of(reading, output)
    numpy = "import numpy as np\n\n" if re.search(r"\bnp\.", bodies) else ""
    torch = "import torch\n\n" if re.search(r"\btorch\.", bodies) else ""
    packages = f"{numpy}{torch}".replace("\n\nimport torch", "\nimport torch")
    return f"{says}\n\n{path}{packages}import gradcheck\n{imported}\n\n\n{bodies}"


def _import_of(reading: Reading, output: Path) -> tuple[str, str]:
    """What imports pathlib, and what imports the file as `code`."""
    root = import_root(reading)
    if reading.needs_definitions_alone or output.parent not in (root, reading.file.parent):
        inner = os.path.relpath(reading.file, output.parent)
        parts = "".join(f' / "{part}"' for part in Path(inner).parts)
        return (
            "from pathlib import Path\n\n",
            "\n# the definitions alone: an import of the file would do more, such as train or read\n"
            f"code = gradcheck.load_definitions(Path(__file__).parent{parts})",
        )
    return "", f"import {module_name(reading)} as code"


def module_name(reading: Reading) -> str:
    """What a file is imported as, with the packages that it is in."""
    inner = reading.file.relative_to(import_root(reading)).with_suffix("")
    return ".".join(inner.parts)


def import_root(reading: Reading) -> Path:
    """The folder from which a file is imported: above its packages, also those that it alone knows of."""
    folder = reading.file.parent
    while (folder / "__init__.py").exists() and folder.name.isidentifier():
        folder = folder.parent
    named = [one for one in reading.imported_packages if not (_is_in(folder, one) or _is_installed(one))]
    above = [folder, *folder.parents][:LEVELS]
    return next((one for one in above if any(_is_in(one, name) for name in named)), folder)


def _is_in(folder: Path, name: str) -> bool:
    return (folder / name).is_dir() or (folder / f"{name}.py").is_file()


def _is_installed(name: str) -> bool:
    """Whether it can be imported from anywhere: Python's own, or an installed package."""
    return name in sys.stdlib_module_names or name in ("numpy", "scipy", "gradcheck")
