"""Attributes of an object, or variables of a module, by name: where code keeps its weights."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any

from gradcheck._common.errors import TargetError
from gradcheck._common.wording import comma_separated
from gradcheck._targets.validation import describe

#: one part of a path: a name, and indices behind it
_PART = re.compile(r"([^.\[\]]+)((?:\[-?\d+\])*)")
_ABSENT = object()


class Attributes(MutableMapping[str, Any]):
    """The attributes of these names. A path such as "lstm.W" or "layers[0].W" leads to those of inner objects."""

    def __init__(self, owner: object, names: Sequence[str]) -> None:
        """Nothing is looked up yet.

        Raises:
            TargetError: If `names` is no sequence of paths.
        """
        if isinstance(names, str) or not isinstance(names, Sequence):
            raise TargetError(f'names must be a list of attributes, as in ["W", "b"], got {describe(names)}')
        for name in names:
            if not isinstance(name, str) or not all(map(_PART.fullmatch, name.split("."))):
                raise TargetError(f'{name!r} names no attribute: expected a name, or a path such as "layers[0].W"')
        self.owner, self.names = owner, list(names)

    def place(self, name: str) -> tuple[Any, str]:
        """The object that holds the last part of a path, and the name of that part."""
        *parts, last = name.split(".")
        owner = self.owner
        for part in parts:
            owner = _looked_up(owner, part)
        return owner, last

    def places(self) -> Iterator[tuple[Any, str]]:
        """Where each attribute is, without the indices behind it; those are left out that nothing leads to."""
        for name in self.names:
            with suppress(TargetError):  # what leads there may not be there yet
                owner, last = self.place(name)
                yield owner, last.partition("[")[0]

    def find(self, name: str, default: Any = None) -> Any:
        """The value of an attribute; the default where there is none."""
        try:
            return self[name]
        except TargetError:
            return default

    @property
    def is_settable(self) -> bool:
        """Whether all can be bound to other arrays."""
        return not any(
            isinstance(inspect.getattr_static(owner, name, None), property) or "[" in name
            for owner, name in map(self.place, self.names)
        )

    def __getitem__(self, name: str) -> Any:
        """Look it up.

        Raises:
            TargetError: If there is no such attribute.
        """
        owner, last = self.place(name)
        return _looked_up(owner, last)

    def __setitem__(self, name: str, value: Any) -> None:
        """Bind the attribute to another value."""
        owner, last = self.place(name)
        if "[" in last:
            container, _, index = last.rpartition("[")
            _looked_up(owner, container)[int(index[:-1])] = value
        else:
            setattr(owner, last, value)

    def __delitem__(self, name: str) -> None:
        """Take the attribute away."""
        delattr(*self.place(name))

    def __iter__(self) -> Iterator[str]:
        """The names, in the order in which they were given."""
        return iter(self.names)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.names)


def _looked_up(owner: Any, part: str) -> Any:
    """One part of a path: an attribute, and the items that indices behind it name."""
    found = _PART.fullmatch(part)
    assert found is not None  # the names were looked at
    name, indices = found.groups()
    value: Any = getattr(owner, name, _ABSENT)
    if value is _ABSENT:
        near = difflib.get_close_matches(name, [one for one in dir(owner) if not one.startswith("__")], n=3, cutoff=0.5)
        raise TargetError(f"{owner_in_words(owner)} has no attribute {name!r}{_did_you_mean(near)}")
    for index in re.findall(r"-?\d+", indices):
        try:
            value = value[int(index)]
        except (LookupError, TypeError) as error:
            raise TargetError(f"{owner_in_words(owner)}: {part} is not there: {error}") from error
    return value


def owner_in_words(owner: object) -> str:
    """What the attributes belong to."""
    return f"module {owner.__name__}" if isinstance(owner, ModuleType) else f"the {type(owner).__name__}"


def _did_you_mean(names: list[str]) -> str:
    return f"; did you mean {comma_separated(names)}?" if names else ""
