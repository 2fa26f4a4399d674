"""Drafts for classes: one is made, and looked at while its forward and its backward run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from gradcheck._drafting.guesses import (
    argument,
    combinations,
    constructor_argument,
    is_optimizer,
    is_rate,
    is_state,
    of_one_layout,
    size_of,
    weight_arguments,
)
from gradcheck._drafting.reading import Function, Reading
from gradcheck._drafting.sandbox import Sandbox
from gradcheck._drafting.ways import Way, spread_lines, ways_out
from gradcheck._drafting.writing import Draft, inputs_argument

_FORWARD = re.compile(r"(forward|fwd|fprop|feed_?forward|f_?prop|propagate)(_?(pass|prop|propagation))?$", re.I)
_BACKWARD = re.compile(r"(back(ward|prop(agate)?)?|bptt|bwd|bprop)(_?(pass|prop|propagation|through_time))?$", re.I)
_LOSS = re.compile(r"loss|cost", re.I)


@dataclass(frozen=True)
class _Made:
    """How an object is made, and what it then is in the sandbox."""

    name: str
    lines: tuple[str, ...]
    methods: dict[str, Function]

    @property
    def outputs(self) -> str:
        """The size of the outputs: as it is told when the object is made, else that of the inputs or of the state."""
        return "O" if re.search(r"[(, =]O[,)]", self.lines[0]) else "D H"


def drafts_of_classes(reading: Reading, sandbox: Sandbox) -> Iterator[list[Draft]]:
    """For each class that has gradients, the drafts to be tried, the likeliest first."""
    for name in reading.classes:
        methods = reading.methods(name)
        forward = [one for one in methods if _FORWARD.match(one)]
        backward = [one for one in methods if _BACKWARD.match(one)]
        both = [one for one, method in methods.items() if method.place_of_loss is not None and len(method.returned) > 1]
        losses = [one for one in methods if _LOSS.search(one)]
        drafts: list[Draft] = []
        for made in _makings(name, methods, sandbox):
            for one in both:
                drafts += _of_one_method(reading, made, methods[one], sandbox)
            for first, second in product(losses, backward):
                drafts += _of_loss_and_backward(reading, made, methods[first], methods[second], sandbox)
            for first, second in product(forward, backward):
                drafts += _of_two_methods(reading, made, methods[first], methods[second], sandbox)
            if drafts:
                break
        if drafts:
            yield drafts


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
            found = next((way for way in _preparations(methods) if sandbox.runs([*lines, *way])), None)
            if found is not None:
                yield _Made(name, (*lines, *found), methods)
                break


def _preparations(methods: dict[str, Function]) -> Iterator[list[str]]:
    """What has to be done with a new object: an optimizer is handed over, an input shape is set."""
    for method in methods.values():
        if len(method.arguments) == 1 and is_optimizer(method.arguments[0]) and re.search("init|set", method.name):
            lines = ["stub = gradcheck.StubOptimizer()", f"net.{method.name}(stub)"]
            yield ["net.input_shape = (T, D)", *lines]
            yield ["net.input_shape = (D,)", *lines]
            yield lines
    yield []


# -- methods that know the loss ----------------------------------------------------------------------------------------


def _of_one_method(reading: Reading, made: _Made, method: Function, sandbox: Sandbox) -> Iterator[Draft]:
    """A method that returns the loss and the gradients."""
    for lines in _with_arguments(made, method):
        call = f"net.{method.name}({', '.join(method.arguments)})"
        found = sandbox.watched(made.lines, lines, [f"back = {call}"])
        for way in ways_out(found, method) if found else ():
            if way.adapter != "from_call":
                continue
            run = [*way.first, f"back = {call}"]
            result = f"back[{method.place_of_loss}], {way.gradients}"
            inputs = _arrays(lines, method.arguments)
            yield _draft(reading, made, method, f"{made.name}.{method.name}", [*lines], run, result, way, inputs)


def _of_loss_and_backward(
    reading: Reading, made: _Made, loss: Function, backward: Function, sandbox: Sandbox
) -> Iterator[Draft]:
    """loss(x, y) and bptt(x, y)."""
    if not loss.arguments or backward.arguments != loss.arguments:
        return
    handed = ", ".join(loss.arguments)
    for lines in _with_arguments(made, loss):
        run = [f"loss = net.{loss.name}({handed})", f"back = net.{backward.name}({handed})"]
        found = sandbox.watched(made.lines, lines, run)
        for way in ways_out(found, backward) if found else ():
            subject = f"{made.name}.{loss.name} and {made.name}.{backward.name}"
            result = f"loss, {way.gradients}" if way.gradients else "loss"
            inputs = _arrays(lines, loss.arguments)
            yield _draft(reading, made, backward, subject, lines, [*way.first, *run], result, way, inputs)


def _with_arguments(made: _Made, method: Function) -> Iterator[list[str]]:
    """The lines of each combination of arguments."""
    names = method.arguments
    for chosen in combinations((_argument(one, made) for one in names), lambda texts: of_one_layout(names, texts)):
        yield [f"{one} = {text}" for one, text in zip(method.arguments, chosen, strict=True)]


def _draft(
    reading: Reading,
    made: _Made,
    method: Function,
    subject: str,
    arguments: list[str],
    run: list[str],
    result: str,
    way: Way,
    inputs: tuple[str, ...] = (),
) -> Draft:
    clip = reading.clips.get(method.name)
    ending = [*way.arguments, *([inputs_argument(list(inputs))] if inputs else []), *([clip] if clip else [])]
    lines = [
        *made.lines,
        *spread_lines(way),
        *arguments,
        "",
        "def run():",
        *(f"    {one}" for one in run),
        f"    return {result}",
        "",
        f"return gradcheck.Target.{way.adapter}(",
        *(f"    {one}," for one in ending),
        ")",
    ]
    return Draft(made.name.lower(), subject, tuple(lines))


# -- a forward and a backward ------------------------------------------------------------------------------------------


def _of_two_methods(
    reading: Reading, made: _Made, forward: Function, backward: Function, sandbox: Sandbox
) -> Iterator[Draft]:
    for arguments in _with_arguments(made, forward):
        call = f"net.{forward.name}({', '.join(forward.arguments)})"
        out = sandbox.value([*made.lines, *arguments, f"out = {call}"], "out")
        is_several = isinstance(out, tuple)
        output = out[0] if is_several and out else out
        if isinstance(output, np.ndarray) and output.dtype.kind == "f" and np.isfinite(output).all():
            yield from _with_backward(reading, made, forward, backward, arguments, call, is_several, sandbox)


def _with_backward(
    reading: Reading,
    made: _Made,
    forward: Function,
    backward: Function,
    arguments: list[str],
    call: str,
    is_several: bool,
    sandbox: Sandbox,
) -> Iterator[Draft]:
    handed = _handed(forward, backward, is_several)
    if handed is None:
        return
    run = [f"out = {call}", f"back = net.{backward.name}({', '.join(handed)})"]
    scale = "0.01 * " if backward.name in reading.clips else ""  # so small that the clip does nothing
    lines = [*arguments, f"w = {scale}rng.standard_normal(np.shape({call}{'[0]' if is_several else ''}))"]
    found = sandbox.watched(made.lines, lines, run)
    subject = f"{made.name}.{forward.name} and {made.name}.{backward.name}, with the cotangents drawn"
    inputs = _arrays(lines, forward.arguments)
    for way in ways_out(found, backward) if found else ():
        last = run[1] if "back" in way.gradients else run[1].removeprefix("back = ")
        result = f"np.sum(w * {'out[0]' if is_several else 'out'}){', ' + way.gradients if way.gradients else ''}"
        yield _draft(reading, made, backward, subject, lines, [*way.first, run[0], last], result, way, (*inputs, "w"))


def _handed(forward: Function, backward: Function, is_several: bool) -> list[str] | None:
    """What a backward is handed: the cotangents first, then what the forward was handed or has returned."""
    texts, place = ["w.copy()"], 0
    for one in backward.arguments[1:]:
        if is_rate(one):
            texts.append("1.0")
        elif one in forward.arguments:
            texts.append(one)
        elif is_several and one in forward.returned[1:]:
            texts.append(f"out[{forward.returned.index(one)}]")
        elif is_several:
            place += 1
            texts.append(f"out[{place}]")
        else:
            return None
    return texts + [f"{one}=1.0" for one in backward.with_defaults if is_rate(one)]


def _argument(name: str, made: _Made) -> tuple[str, ...]:
    """What an argument may be; a state may be had from the object itself."""
    own = [
        f"net.{one}()" for one, method in made.methods.items()
        if is_state(name) and re.search(r"init.*(state|hidden)", one) and not method.arguments
    ]  # fmt: skip
    return (*own, *argument(name, made.outputs))


def _arrays(lines: list[str], names: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments that are arrays, so that the loss has to follow them."""
    return tuple(one for one in names if any(line.startswith((f"{one} = rng.", f"{one} = np.eye")) for line in lines))
