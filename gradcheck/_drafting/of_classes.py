"""Drafts for classes: one is made, and looked at while its forward and its backward run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck._drafting.guesses import (
    argument,
    combinations,
    constructor_argument,
    is_optimizer,
    is_rate,
    is_state,
    size_of,
    weight_arguments,
)
from gradcheck._drafting.reading import GRADIENT_PATTERNS, Function, Reading
from gradcheck._drafting.sandbox import Sandbox
from gradcheck._drafting.writing import Draft, inputs_argument, listing

_FORWARD = re.compile(r"(forward|fwd|fprop|feed_?forward|f_?prop|propagate)(_?(pass|prop|propagation))?$", re.I)
_BACKWARD = re.compile(r"(back(ward|prop(agate)?)?|bptt|bwd|bprop)(_?(pass|prop|propagation|through_time))?$", re.I)
#: pairs of containers: weights, and their gradients
_CONTAINERS = (("params", "grads"), ("parameters", "gradients"), ("weights", "gradients"), ("params", "gradients"))
_WHOLE = ("model", "params", "parameters", "weights")


@dataclass(frozen=True)
class _Made:
    """How an object is made, and what it then is in the sandbox."""

    name: str
    lines: tuple[str, ...]
    methods: dict[str, Function]
    has_stub: bool = False


def drafts_of_classes(reading: Reading, sandbox: Sandbox) -> Iterator[list[Draft]]:
    """For each class that has gradients, the drafts to be tried, the likeliest first."""
    for name in reading.classes:
        methods = reading.methods(name)
        forward = [one for one in methods if _FORWARD.match(one)]
        backward = [one for one in methods if _BACKWARD.match(one)]
        both = [one for one, method in methods.items() if method.place_of_loss is not None and _gives_gradients(method)]
        drafts: list[Draft] = []
        for made in _makings(name, methods, sandbox):
            for one in both:
                drafts += _of_one_method(reading, made, methods[one], sandbox)
            for first in forward:
                for second in backward:
                    drafts += _of_two_methods(reading, made, methods[first], methods[second], sandbox)
            if drafts:
                break
        if drafts:
            yield drafts


def _gives_gradients(method: Function) -> bool:
    return method.place_of_gradients is not None


def _makings(name: str, methods: dict[str, Function], sandbox: Sandbox) -> Iterator[_Made]:
    """Ways to make an object that work."""
    made = methods.get("__init__")
    names = made.arguments if made else ()
    keywords = [(one, size) for one in (made.numbers if made else ()) if (size := size_of(one)) in ("H", "D", "O")]
    ways: list[tuple[str, ...]] = []
    for gates in (1, 4, 3):
        weights = weight_arguments(list(names), gates)
        if names and weights:
            ways.append(tuple(weights))
    if not ways and all(constructor_argument(one) for one in names):
        ways = list(combinations(constructor_argument(one) for one in names))
    for arguments in ways:
        for given in ([*arguments, *(f"{one}={size}" for one, size in keywords)], arguments):
            lines = [f"net = code.{name}({', '.join(given)})"]
            found = next((way for way in _preparations(methods) if sandbox.runs([*lines, *way[0]])), None)
            if found is not None:
                yield _Made(name, (*lines, *found[0]), methods, found[1])
                break


def _preparations(methods: dict[str, Function]) -> Iterator[tuple[list[str], bool]]:
    """What has to be done with a new object: an optimizer is handed over, an input shape is set."""
    for method in methods.values():
        if len(method.arguments) == 1 and is_optimizer(method.arguments[0]) and re.search("init|set", method.name):
            lines = ["stub = gradcheck.StubOptimizer()", f"net.{method.name}(stub)"]
            yield ["net.input_shape = (T, D)", *lines], True
            yield ["net.input_shape = (D,)", *lines], True
            yield lines, True
    yield [], False


# -- one method that gives loss and gradients --------------------------------------------------------------------------


def _of_one_method(reading: Reading, made: _Made, method: Function, sandbox: Sandbox) -> Iterator[Draft]:
    weights = _weights(sandbox.value([*made.lines], "net"))
    if weights is None:
        return
    for chosen in combinations(_argument(one, made.methods) for one in method.arguments):
        arguments = [f"{one} = {text}" for one, text in zip(method.arguments, chosen, strict=True)]
        lines = [*made.lines, *_spread(weights), *arguments]
        call = f"net.{method.name}({', '.join(method.arguments)})"
        if not sandbox.runs([*lines, call]):
            continue
        clip = reading.clips.get(method.name)
        selectors = f"loss={method.place_of_loss}, grads={method.place_of_gradients}"
        ending = [f"lambda: {call}", weights.params, *weights.of, selectors, *([clip] if clip else [])]
        lines += ["return gradcheck.Target.from_call(", *(f"    {one}," for one in ending), ")"]
        yield Draft(made.name.lower(), f"{made.name}.{method.name}", tuple(lines))


# -- a forward and a backward ------------------------------------------------------------------------------------------


def _of_two_methods(
    reading: Reading, made: _Made, forward: Function, backward: Function, sandbox: Sandbox
) -> Iterator[Draft]:
    for chosen in combinations(_argument(one, made.methods) for one in forward.arguments):
        arguments = [f"{one} = {text}" for one, text in zip(forward.arguments, chosen, strict=True)]
        call = f"net.{forward.name}({', '.join(forward.arguments)})"
        before = [*made.lines, *arguments]
        if not sandbox.runs([*before, f"out = {call}"]):
            continue
        out = sandbox.value([*before, f"out = {call}"], "out")
        is_several = isinstance(out, tuple)
        output = out[0] if is_several and out else out
        if not (isinstance(output, np.ndarray) and output.dtype.kind == "f" and np.isfinite(output).all()):
            continue
        yield from _with_backward(reading, made, forward, backward, before, call, is_several, sandbox)


def _with_backward(
    reading: Reading,
    made: _Made,
    forward: Function,
    backward: Function,
    before: list[str],
    call: str,
    is_several: bool,
    sandbox: Sandbox,
) -> Iterator[Draft]:
    output = "out[0]" if is_several else "out"
    rest = [one for one in backward.arguments[1:] if not is_rate(one)]
    rates = [one for one in (*backward.arguments[1:], *backward.with_defaults) if is_rate(one)]
    handed = ["w.copy()", *(f"out[{i + 1}]" for i, _ in enumerate(rest)), *(f"{one}=1.0" for one in rates)]
    run = [f"out = {call}", f"back = net.{backward.name}({', '.join(handed)})"]
    upstream = f"w = rng.standard_normal(np.shape({call}{'[0]' if is_several else ''}))"
    if rest and not is_several:
        return
    found = sandbox.watched(made.lines, [*before[len(made.lines) :], upstream], run)
    if found is None:
        return
    inputs = [line.partition(" = ")[0] for line in before if line.startswith(forward.arguments)]
    listed = [*(one for one in inputs if _is_array(before, one)), "w"]
    ending = [inputs_argument(listed)]
    clip = reading.clips.get(backward.name)
    ending += [clip] if clip else []
    subject = f"{made.name}.{forward.name} and {made.name}.{backward.name}, with the cotangents drawn"
    for how in _ways_out(found, made):
        lines = [*before[: len(made.lines)], *_spread(how), *before[len(made.lines) :], upstream, "", "def run():"]
        lines += [
            f"    {one}"
            for one in (*how.first, run[0], run[1] if "back" in how.gradients else run[1].removeprefix("back = "))
        ]
        lines.append(f"    return np.sum(w * {output}){', ' + how.gradients if how.gradients else ''}")
        lines += [
            "",
            f"return gradcheck.Target.{how.adapter}(",
            *(f"    {one}," for one in [*how.arguments, *ending]),
            ")",
        ]
        yield Draft(made.name.lower(), subject, tuple(lines))


@dataclass(frozen=True)
class _Way:
    """Where the weights are, how the gradients come out, and which adapter takes them."""

    params: str
    names: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    adapter: str = "from_call"
    gradients: str = ""
    arguments: tuple[str, ...] = ()
    first: tuple[str, ...] = ()


def _ways_out(found: Any, made: _Made) -> Iterator[_Way]:
    """How the gradients of a backward that was watched are had, the likeliest first."""
    weights = _weights(found.net, before=found.names_before)
    if weights is None:
        return
    if weights.names:
        for pattern in GRADIENT_PATTERNS:
            if all(isinstance(getattr(found.net, pattern.format(one), None), np.ndarray) for one in weights.names):
                extra = () if pattern == "d{}" else (f'grad="{pattern}"',)
                yield _way(weights, "from_object", ("net", weights.params, "loss=run", *extra))
                return
    if made.has_stub and found.handed:
        yield _way(weights, "from_update", ("run", weights.params, *weights.of, "optimizer=stub"))
        return
    if found.changed & set(weights.names):
        yield _way(weights, "from_update", ("run", weights.params, *weights.of))
        return
    for held, gradients in _CONTAINERS:
        if weights.params == f"net.{held}" or weights.params == f'{{"{held}": net.{held}}}':
            value = getattr(found.net, gradients, None)
            if isinstance(value, (dict, list)) and value:
                items = f"net.{gradients}.values()" if isinstance(value, dict) else f"net.{gradients}"
                first = (f"for one in {items}:", "    one[...] = 0") if found.adds_up(gradients) else ()
                way = _way(weights, "from_call", ("run", weights.params, *weights.of))
                yield _Way(way.params, way.names, way.of, way.adapter, f"net.{gradients}", way.arguments, first)
    for place in found.places_of_gradients(weights.count):
        way = _way(weights, "from_call", ("run", weights.params, *weights.of))
        yield _Way(way.params, way.names, way.of, way.adapter, f"back{place}", way.arguments)


def _way(weights: _Weights, adapter: str, arguments: tuple[str, ...]) -> _Way:
    return _Way(weights.params, weights.names, weights.of, adapter, "", arguments)


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
    names = [
        name for name in attributes
        if not any(p.format(other) == name for other in attributes for p in GRADIENT_PATTERNS if other != name)
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


def _spread(weights: _Weights | _Way) -> list[str]:
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


def _argument(name: str, methods: dict[str, Function]) -> tuple[str, ...]:
    """What an argument may be; a state may be had from the object itself."""
    own = [
        f"net.{one}()" for one, method in methods.items()
        if is_state(name) and re.search(r"init.*(state|hidden)", one) and not method.arguments
    ]  # fmt: skip
    return (*own, *argument(name))


def _is_array(lines: list[str], name: str) -> bool:
    return any(line.startswith((f"{name} = rng.", f"{name} = np.eye")) for line in lines)
