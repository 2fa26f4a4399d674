"""Where an object keeps its weights, and how the gradients of a backward come out of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck._drafting.reading import GRADIENT_PATTERNS, Function, weights_of
from gradcheck._drafting.sandbox import Watched
from gradcheck._drafting.writing import listing

#: pairs of containers: weights, and their gradients
_CONTAINERS = (("params", "grads"), ("parameters", "gradients"), ("weights", "gradients"), ("params", "gradients"))
#: how what an optimizer remembers of W is called
_MEMORIES = ("m{}", "v{}", "mem{}", "m_{}", "v_{}", "cache{}", "{}_m", "{}_v")
_WHOLE = ("model", "params", "parameters", "weights")


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
    for place in found.places_of_gradients(weights.count):
        yield replace(call, gradients=f"back{place}")


def _way(weights: _Weights, adapter: str, arguments: tuple[str, ...]) -> Way:
    return Way(weights.params, weights.names, weights.of, adapter, "", arguments)


@dataclass(frozen=True)
class _Weights:
    """The weights of an object as an argument of a target."""

    params: str
    names: tuple[str, ...]
    of: tuple[str, ...]
    count: int


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
    if not names:
        return None
    return _Weights("names", tuple(names), ("of=net",), len(names))


def _is_weight(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim >= 1 and value.size > 0


def spread_lines(weights: _Weights | Way) -> list[str]:
    """Lines that make weights neither zero nor alike."""
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
