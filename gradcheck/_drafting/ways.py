"""Where an object keeps its weights, and how the gradients of a backward come out of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck._common.user_files import is_users_class
from gradcheck._drafting.reading import GRADIENT_PATTERNS, Function, weights_of
from gradcheck._drafting.sandbox import Watched
from gradcheck._drafting.writing import listing

#: pairs of containers: weights, and their gradients
_CONTAINERS = (("params", "grads"), ("parameters", "gradients"), ("weights", "gradients"), ("params", "gradients"))
#: how what an optimizer remembers of W is called
_MEMORIES = ("m{}", "v{}", "mem{}", "m_{}", "v_{}", "cache{}", "{}_m", "{}_v")
_WHOLE = ("model", "params", "parameters", "weights", "theta", "W", "p")


@dataclass(frozen=True)
class Way:
    """Where the weights are, how the gradients come out, and which adapter takes them."""

    params: str
    names: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    adapter: str = "from_call"
    gradients: str = ""
    arguments: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    #: whether each is an array that an attribute of the object itself holds
    is_plain: bool = True


def ways_out(found: Watched, backward: Function) -> Iterator[Way]:
    """How the gradients of a backward that was watched are had, the likeliest first."""
    weights = _weights(found.net, found.names_before)
    if weights is None:
        return
    if weights.names:
        for pattern in GRADIENT_PATTERNS:
            if all(isinstance(getattr(found.net, pattern.format(one), None), np.ndarray) for one in weights.names):
                extra = () if pattern == "d{}" else (f'grad="{pattern}"',)
                yield _way(weights, "from_object", ("net", weights.params, "loss=run", *extra))
                return
    call = _way(weights, "from_call", ("run", weights.params, *weights.of))
    if found.handed:
        yield _way(weights, "from_update", ("run", weights.params, *weights.of, "optimizer=stub"))
        return
    if found.changed & set(weights.names):
        yield _way(weights, "from_update", ("run", weights.params, *weights.of))
        return
    named = weights_of(backward.returned, weights.names)
    if named:
        gradients = f"[{', '.join(f'back[{i}]' for i in named)}]"
        yield replace(call, names=tuple(named.values()), gradients=gradients)
    for held, gradients in _CONTAINERS:
        value = getattr(found.net, gradients, None)
        if f"net.{held}" in weights.params and isinstance(value, (dict, list)) and value:
            items = f"net.{gradients}.values()" if isinstance(value, dict) else f"net.{gradients}"
            first = (f"for one in {items}:", "    one[...] = 0") if found.adds_up(gradients) else ()
            yield replace(call, gradients=f"net.{gradients}", first=first)
    for place, value in found.places_of_gradients(weights.count):
        yield replace(call, gradients=_in_order(f"back{place}", value, weights.names))


def _in_order(text: str, value: Any, names: tuple[str, ...]) -> str:
    """Gradients that a mapping holds under other names than the weights', in the order of these."""
    if not isinstance(value, Mapping) or not names or set(names) <= set(value):
        return text
    last = [one.rpartition(".")[2] for one in names]
    if set(last) <= set(value):
        return f'[{text}[name.rpartition(".")[2]] for name in names]'
    pattern = next((p for p in GRADIENT_PATTERNS if {p.format(one) for one in last} <= set(value)), None)
    return text if pattern is None else f'[{text}["{pattern}".format(name)] for name in names]'


def _way(weights: _Weights, adapter: str, arguments: tuple[str, ...]) -> Way:
    way = Way(weights.params, weights.names, weights.of, adapter, "", arguments)
    return replace(way, is_plain=weights.is_plain)


@dataclass(frozen=True)
class _Weights:
    """The weights of an object as an argument of a target."""

    params: str
    names: tuple[str, ...]
    of: tuple[str, ...]
    count: int
    is_plain: bool = True


def _weights(net: Any, before: set[str] | None = None) -> _Weights | None:
    for name in _WHOLE:
        value = getattr(net, name, None)
        if isinstance(value, dict) and value and all(map(_is_weight, value.values())):
            return _Weights(f"net.{name}", (), (), len(value))
        if isinstance(value, list) and value and all(map(_is_weight, value)):
            return _Weights(f'{{"{name}": net.{name}}}', (), (), len(value))
    attributes = {
        name: value for name, value in vars(net).items() if _is_weight(value) and (before is None or name in before)
    }
    patterns = (*GRADIENT_PATTERNS, *_MEMORIES)
    names = [
        name for name in attributes
        if not any(p.format(other) == name for other in attributes for p in patterns if other != name)
        and not re.match(r"(last|prev|cache|m|v|mem)_", name)
    ]  # fmt: skip
    for method in ("get_params", "get_weights", "get_parameters"):
        if callable(getattr(net, method, None)):
            order = {id(one): i for i, one in enumerate(getattr(net, method)())}
            ordered = [name for name in names if id(attributes[name]) in order]
            names = sorted(ordered, key=lambda name: order[id(attributes[name])]) or names
            break
    if names:
        return _Weights("names", tuple(names), ("of=net",), len(names))
    inner = _inner_names(net, before)
    return _Weights("names", inner, ("of=net",), len(inner), is_plain=False) if inner else None


def _inner_names(net: Any, before: set[str] | None) -> tuple[str, ...]:
    """The attributes of inner objects that hold weights; and those of the object, where these are structures."""
    found = [
        (owner, name, value)
        for owner, one in [("", net), *((f"{name}.", value) for name, value in vars(net).items())]
        if is_users_class(type(one)) and hasattr(one, "__dict__")
        for name, value in vars(one).items()
        if before is None or f"{owner}{name}" in before
    ]
    return tuple(f"{owner}{name}" for owner, name, value in found if _is_weight(value) or _is_tree_of_weights(value))


def _is_tree_of_weights(value: Any) -> bool:
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return bool(parts) and all(map(_is_weight, parts))


def _is_weight(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim >= 1 and value.size > 0


def spread_lines(weights: _Weights | Way) -> list[str]:
    """Lines that make weights neither zero nor alike."""
    if not weights.is_plain:
        return listing(list(weights.names))
    if weights.names:
        return [
            *listing(list(weights.names)),
            "for name in names:  # neither zero nor alike",
            "    getattr(net, name)[...] = 0.5 * rng.standard_normal(getattr(net, name).shape)",
        ]
    if weights.params.startswith("{"):
        each = f"for one in {weights.params.partition(': ')[2].rstrip('}')}:"
    else:
        each = f"for one in {weights.params}.values():"
    return [f"{each}  # neither zero nor alike", "    one[...] = 0.5 * rng.standard_normal(one.shape)"]
