"""Lines of a draft, run with small sizes, to see what they make; what they raise or print is nobody's business."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from gradcheck._common.silence import muted
from gradcheck._common.user_files import is_users_class
from gradcheck._drafting.guesses import SIZES
from gradcheck._targets.global_generator import seed_global_generator
from gradcheck._targets.structure import is_structure


@dataclass
class Watched:
    """An object after its backward, and what the backward did."""

    net: Any
    names_before: set[str]
    back: Any
    #: the attributes that hold other arrays than before
    changed: set[str]
    #: whether an optimizer was handed gradients
    handed: bool
    #: copies of containers of gradients after the first run and after the second
    sums: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def adds_up(self, name: str) -> bool:
        """Whether gradients that are kept there grow from run to run."""
        first, second = (list(one.values()) if isinstance(one, dict) else one for one in self.sums[name])
        return any(not np.array_equal(a, b) for a, b in zip(first, second, strict=False))

    def places_of_gradients(self, count: int) -> Iterator[tuple[str, Any]]:
        """Where in what the backward returned as many arrays are as there are weights."""
        yield from _places(self.back, count, "")


class Sandbox:
    """The module of the code, to be tried."""

    def __init__(self, code: ModuleType) -> None:
        self.code = code
        #: what of the code could not run since a package is not installed, each once
        self.missing: dict[str, None] = {}

    def runs(self, lines: Sequence[str]) -> bool:
        """Whether the lines run."""
        return self._run(lines) is not None

    def value(self, lines: Sequence[str], name: str) -> Any:
        """A variable after the lines."""
        return (self._run(lines) or {}).get(name)

    def watched(self, made: Sequence[str], before: Sequence[str], run: Sequence[str]) -> Watched | None:
        """What two runs of a forward and a backward do to the `net` that was made; None where they fail."""
        names = self._run(made)
        if names is None:
            return None
        net = names["net"]
        held = set(vars(net)) | {f"{name}.{one}" for name, value in vars(net).items() for one in _attributes(value)}
        if self._run(before, names) is None:
            return None
        weights = {name: np.array(value) for name, value in vars(net).items() if isinstance(value, np.ndarray)}
        seen = []
        for _ in range(2):
            if self._run(run, names) is None:
                return None
            seen.append({name: copy.deepcopy(v) for name, v in vars(net).items() if isinstance(v, (dict, list))})
        now = {name: getattr(net, name) for name in weights}
        changed = {n for n, w in weights.items() if np.shape(now[n]) == w.shape and not np.array_equal(now[n], w)}
        stub = names.get("stub")
        result = Watched(net, held, names.get("back"), changed, bool(stub and stub.handed))
        result.sums = {name: (seen[0].get(name), value) for name, value in seen[1].items() if name in seen[0]}
        return result

    def _run(self, lines: Sequence[str], names: dict[str, Any] | None = None) -> dict[str, Any] | None:
        if names is None:
            public = importlib.import_module("gradcheck")  # by name: drafts use it, this room does not
            names = {"code": self.code, "np": np, "gradcheck": public, "rng": np.random.default_rng(0), **SIZES}
        seed_global_generator()
        with _quiet():
            try:
                exec("\n".join(lines), names)
            except ImportError as error:
                self.missing[str(error)] = None
                return None
            except (Exception, SystemExit):
                return None
        return names


@contextmanager
def _quiet() -> Iterator[None]:
    with muted(), np.errstate(all="ignore"):
        yield


def _places(value: Any, count: int, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and len(value) >= count and all(map(_is_gradient, value.values())):
        yield place, value
    elif isinstance(value, (tuple, list)):
        if len(value) == count and all(map(_is_gradient, value)):
            yield place, value
        for i, one in enumerate(value):
            yield from _places(one, count, f"{place}[{i}]")


def _attributes(value: Any) -> list[str]:
    return list(vars(value)) if is_users_class(type(value)) and hasattr(value, "__dict__") else []


def _is_gradient(value: Any) -> bool:
    return isinstance(value, np.ndarray) or is_structure(value)
