"""Factories of targets, the sizes they are tried at, and the way down to the smallest size that fails."""

from __future__ import annotations

import dis
import functools
import importlib
import inspect
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from gradcheck._common.arrays import Sizes
from gradcheck._common.clock import look
from gradcheck._common.errors import TargetError, UserCodeError, call_user_code
from gradcheck._common.files import load
from gradcheck._common.printable import printable
from gradcheck._common.user_files import is_user_file
from gradcheck._targets.global_generator import kept_global_generator, seed_global_generator
from gradcheck._targets.repeating import repeating_rng
from gradcheck._targets.target import Target
from gradcheck._targets.user_state import UserState

#: far above the usual sizes: truncation after eight steps, or what begins at a batch of eight, shows there
FAR = 17


class TargetFactory:
    """A function ``make(rng, *, T=4, ...) -> Target`` whose keyword-only ints are sizes the checker may vary.

    Made by the decorator `target`. Calling it calls the function. `sizes` are the defaults; `pinned` sizes (the
    command line's ``--size T=7``) are not varied.
    """

    def __init__(self, make: Callable[..., Target], *, pinned: Sizes | None = None) -> None:
        self.make = make
        of = _behind_partials(make)
        self.name: str = getattr(of, "__name__", "target")
        self.doc = (inspect.getdoc(of) or "").partition("\n\n")[0].replace("\n", " ")
        self.__doc__ = of.__doc__
        self.__name__ = self.name
        self.__module__ = of.__module__
        self.__wrapped__ = make
        self.defaults = _sizes_of(make)
        self.pinned = dict(pinned or {})
        self.sizes: Sizes = {**self.defaults, **self.pinned}

    def __call__(self, rng: np.random.Generator, **sizes: int) -> Target:
        return self.make(rng, **sizes)

    def __repr__(self) -> str:
        """In short: the name and the sizes, those that are not varied marked."""
        sizes = ", ".join(f"{name}={value}{' (pinned)' * (name in self.pinned)}" for name, value in self.sizes.items())
        return printable(f"<TargetFactory {self.name}{': ' * bool(sizes)}{sizes}>")

    def __reduce__(self) -> tuple[Any, ...]:
        # By name, since the module's attribute of that name is this factory, not the function inside it.
        return find_factory, (self.__module__, _source_file(self.make), self._attribute(), self.pinned)

    def _attribute(self) -> str:
        """The name under which the module holds this factory (pinned or not), or the function inside it."""
        for name, value in vars(sys.modules[self.__module__]).items():
            if value is self.make or (isinstance(value, TargetFactory) and value.make is self.make):
                return name
        raise pickle.PicklingError(f"{self.__module__} has no such name at its top")

    def build(self, seed: int, sizes: Sizes) -> Target:
        """The target at these sizes; the same seed gives the same one."""
        look()
        where = f"{self.name}({', '.join(['rng', *(f'{name}={value}' for name, value in sizes.items())])})"
        before, made = UserState([self.make]), None
        with kept_global_generator():
            seed_global_generator(seed)
            try:
                made = call_user_code(where, self.make, self._rng(seed, sizes), **sizes)
                if isinstance(made, Target):
                    made.keep_state(bound_since=before)
            finally:
                before.restore_values(installed=made.built_state if isinstance(made, Target) else None)
        if not isinstance(made, Target):
            raise TargetError(f"{self.name} must return a gradcheck.Target, got {type(made).__name__}")
        if made.name == "target":
            made.name = self.name
        return made

    def _rng(self, seed: int, sizes: Sizes) -> np.random.Generator:
        """The generator that is handed to the function; far above its sizes one whose integers repeat."""
        far = any(value >= _far_above(self.defaults[name]) for name, value in sizes.items() if name in self.defaults)
        return repeating_rng(seed) if far else np.random.default_rng(seed)

    def refuses_sizes(self, error: TargetError) -> bool:
        """Whether this factory refuses its sizes: with a ValueError of the user's own, raised while it is made.

        A ValueError of NumPy's is a crash: code that breaks at a batch of one says nothing of what it is made for.
        """
        if not isinstance(error, UserCodeError) or not isinstance(error.error, ValueError):
            return False
        return error.what.startswith(f"{self.name}(") and _is_raised_by_user(error.error)

    def with_sizes(self, **sizes: int) -> TargetFactory:
        """A factory of the same function, with these sizes pinned.

        Raises:
            TargetError: For a name that is not among the sizes, or a size below 1.
        """
        for name, value in sizes.items():
            if name not in self.defaults:
                known = ", ".join(self.defaults) or "none at all"
                raise TargetError(f"{self.name} has no size {name!r}; its sizes are {known}")
            if not hasattr(value, "__index__") or value < 1:
                raise TargetError(f"size {name}={value}: expected an integer of at least 1")
        return TargetFactory(self.make, pinned={**self.pinned, **{name: int(value) for name, value in sizes.items()}})

    def other_sizes(self) -> Iterator[Sizes]:
        """The sizes besides the defaults: 1, 2 and 3 for one size at a time, then all larger and all different."""
        free = [name for name in self.sizes if name not in self.pinned]
        for name in free:
            for value in (1, 2, 3):
                if value != self.sizes[name]:
                    yield {**self.sizes, name: value}
        if free:
            larger = dict(self.sizes)
            for name in free:
                larger[name] = _next_unused(
                    self.sizes[name] + 1, {larger[other] for other in self.sizes if other != name}
                )
            yield larger

    def far_sizes(self, seed: int) -> Iterator[tuple[str, int]]:
        """For each size that no parameter's shape has a part in (time steps, examples), one far above its default."""
        for name, value, grow in self._sizes_far_above(seed):
            if not grow:
                yield name, value

    def far_sizes_of_parameters(self, seed: int) -> Iterator[tuple[str, int]]:
        """The same for sizes that only some of them have a part in: steps and examples, where inputs are parameters.

        Where two sizes are free of parameters these are steps and examples, and all others are widths.
        """
        above = list(self._sizes_far_above(seed))
        if sum(not grow for _, _, grow in above) < 2:
            yield from ((name, value) for name, value, grow in above if grow and value == FAR)

    def _sizes_far_above(self, seed: int) -> Iterator[tuple[str, int, bool]]:
        """Each free size, far above its default, and whether parameters grow with it; not if all of them do."""
        free = [name for name in self.sizes if name not in self.pinned]
        shapes = self._shapes(seed, self.sizes) if free else {}
        for name in free:
            value = _far_above(self.sizes[name])
            try:
                larger = self._shapes(seed, {**self.sizes, name: value})
            except TargetError:  # the trial would have told it, at smaller sizes
                continue
            if larger.keys() == shapes.keys() and (not shapes or any(larger[one] == shapes[one] for one in shapes)):
                yield name, value, larger != shapes

    def sizes_without_reuse_of(self, seed: int, name: str) -> Sizes:
        """The defaults, but one of each size that the parameter of this name has no part in: time steps, examples."""
        shape = self._shape_of(name, seed, self.sizes)
        sizes = dict(self.sizes)
        for size in sizes:
            if size not in self.pinned and self._shape_of(name, seed, {**self.sizes, size: 1}) == shape:
                sizes[size] = 1
        return sizes

    def _shape_of(self, name: str, seed: int, sizes: Sizes) -> tuple[int, ...] | None:
        return self._shapes(seed, sizes).get(name)  # with fewer layers there may be no such parameter

    def _shapes(self, seed: int, sizes: Sizes) -> dict[str, tuple[int, ...]]:
        target = self.build(seed, sizes)
        with target.preserved():
            return {name: array.shape for name, array in target.values().items()}

    def shrink(self, sizes: Sizes, fails: Callable[[Sizes], bool]) -> Sizes:
        """The smallest sizes at which `fails` still holds: one size at a time, down to a fixed point."""
        smallest = dict(sizes)
        for _ in range(len(smallest)):
            before = dict(smallest)
            for name in [name for name in smallest if name not in self.pinned]:
                for value in range(1, smallest[name]):
                    if fails({**smallest, name: value}):
                        smallest[name] = value
                        break
            if smallest == before:
                break
        return smallest


def target(make: Callable[..., Target]) -> TargetFactory:
    """Decorator: mark ``make(rng, *, T=4, B=2, ...) -> Target`` as something to check.

    The first argument is a `numpy.random.Generator`, seeded by the checker. The keyword-only arguments with integer
    defaults are sizes: the check is made at the defaults and at smaller and larger ones, and a failure is shrunk.
    """
    return TargetFactory(make)


def find_factory(module: str, file: str | None, name: str, pinned: Sizes) -> TargetFactory:
    """The factory of this name, imported or loaded from its file: how a worker process gets it."""
    try:
        found = getattr(importlib.import_module(module), name)
    except ImportError:
        if file is None:
            raise
        found = getattr(load(file), name)
    return TargetFactory(found.make if isinstance(found, TargetFactory) else found, pinned=pinned)


def _behind_partials(make: Callable[..., Any]) -> Callable[..., Any]:
    """The function of which some arguments were given with `functools.partial`."""
    while isinstance(make, functools.partial):
        make = make.func
    return make


def _source_file(make: Callable[..., Any]) -> str | None:
    """The file of a function, or of the class of what is called like one."""
    of = _behind_partials(make)
    try:
        return inspect.getsourcefile(of)
    except TypeError:
        return inspect.getsourcefile(type(of))


def _sizes_of(make: Callable[..., Any]) -> Sizes:
    parameters = list(inspect.signature(make).parameters.values())
    if not parameters or parameters[0].kind not in (parameters[0].POSITIONAL_ONLY, parameters[0].POSITIONAL_OR_KEYWORD):
        raise TargetError(f"{getattr(make, '__name__', make)}: a target factory takes rng as its first argument")
    sizes = {}
    given = _given_beforehand(make)
    for parameter in parameters[1:]:
        default = parameter.default
        is_integer = type(default) is int or isinstance(default, np.integer)
        if parameter.kind is parameter.KEYWORD_ONLY and is_integer and parameter.name not in given:
            sizes[parameter.name] = int(default)
        elif parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        ):
            raise TargetError(
                f"{getattr(make, '__name__', make)}: argument {parameter.name!r} has no default; "
                "sizes are keyword-only integers with defaults, as in (rng, *, T=4, B=2)"
            )
    return sizes


def _given_beforehand(make: Callable[..., Any]) -> set[str]:
    """The arguments that `functools.partial` was handed by name and that are no keyword-only ones: nobody's sizes."""
    of = _behind_partials(make)
    if of is make:
        return set()
    own = inspect.signature(of).parameters.values()
    return {one.name for one in own if one.kind is one.POSITIONAL_OR_KEYWORD}


def _is_raised_by_user(error: BaseException) -> bool:
    """Whether a raise statement of the user's raised it, and not a function that the user's code called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    code = trace.tb_frame.f_code
    return is_user_file(code.co_filename) and dis.opname[code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"


def _far_above(size: int) -> int:
    return max(FAR, 2 * size + 1)


def _next_unused(value: int, used: set[int]) -> int:
    while value in used:
        value += 1
    return value


def sizes_of_one_step(factory: TargetFactory, sizes: Sizes, effort: Callable[[Sizes], int]) -> Sizes | None:
    """The sizes with that one at 1 which makes the code compute least: the number of time steps. None where none does.

    Args:
        factory: What is built.
        sizes: Where to begin.
        effort: How much is computed at sizes; it may raise a `TargetError` where the code does not run.
    """
    efforts: list[tuple[int, str]] = []
    for name in sizes:
        if name not in factory.pinned and sizes[name] > 1:
            with suppress(TargetError):
                efforts.append((effort({**sizes, name: 1}), name))
    return {**sizes, min(efforts)[1]: 1} if efforts else None


def sizes_to_trace(factory: TargetFactory) -> Iterator[Sizes]:
    """Small sizes, no two of them equal; then the defaults."""
    small = dict(factory.sizes)
    taken = {small[name] for name in factory.pinned}
    for name in sorted((name for name in small if name not in factory.pinned), key=lambda name: small[name]):
        small[name] = _next_unused(2, taken)
        taken.add(small[name])
    yield small
    if factory.sizes != small:
        yield dict(factory.sizes)


def target_of(subject: Target | TargetFactory, seed: int, sizes: Sizes | None = None) -> Target:
    """What is checked as one target: a factory's at these sizes, or its defaults; a target as it stands."""
    if isinstance(subject, TargetFactory):
        return subject.build(seed, subject.sizes if sizes is None else sizes)
    return subject
