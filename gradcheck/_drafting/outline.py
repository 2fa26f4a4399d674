"""A target file with gaps: what is known of the code is written down, and each gap is marked where it is."""

from __future__ import annotations

import re

from gradcheck._drafting.guesses import constructor_argument
from gradcheck._drafting.of_functions import rules_of_jax, vjp_pairs
from gradcheck._drafting.of_modules import modules_of
from gradcheck._drafting.reading import Function, Reading
from gradcheck._drafting.writing import TODO, Draft, listing

_OF_GRADIENTS = re.compile(r"back|bptt|grad(s|ients?)?$|bprop|bwd|loss", re.I)


def outline(reading: Reading, trouble: str = "") -> Draft:
    """A factory to be filled in, around the function or the class that seems to give the gradients."""
    lines = [f"{TODO}: {reading.file.name} could not be run: {trouble}"] if trouble else []
    known = _of_library(reading, lines) or _of_pair(reading, lines)
    if known is not None:
        return known
    if reading.holders:
        return _of_holder(reading, lines)
    for name in reading.classes:
        methods = reading.methods(name)
        backward = next((one for one in methods.values() if _OF_GRADIENTS.search(one.name)), None)
        if backward is not None:
            return _of_class(name, methods, backward, lines)
    backward = next((one for one in reading.functions.values() if _OF_GRADIENTS.search(one.name)), None)
    return _of_function(reading, backward, lines)


def _of_library(reading: Reading, lines: list[str]) -> Draft | None:
    """A module of torch, or a function of JAX with a rule of its own: their adapters take them as they are."""
    for name in modules_of(reading):
        return _of_module(name, reading.methods(name), lines)
    for rule in rules_of_jax(reading):
        call = f"return gradcheck.Target.from_vjp(code.{rule.name}, inputs=inputs)"
        return Draft(rule.name, f"{rule.name}, with gaps to fill in", (*lines, *_inputs(rule), call), is_complete=False)
    return None


def _of_module(name: str, methods: dict[str, Function], lines: list[str]) -> Draft:
    forward = methods.get("forward")
    handed = forward.arguments if forward else ("x",)
    lines += [
        "torch.manual_seed(int(rng.integers(1 << 31)))",
        f"net = code.{name}({_constructed(methods.get('__init__'))}).double()",
        *(f"{one} = torch.randn(T, B, D, dtype=torch.float64)  {TODO}: its shape" for one in handed),
        "",
        "def loss():",
        f"    return net({', '.join(handed)}).pow(2).sum()  {TODO}: one number that follows every output",
        "",
        "return gradcheck.Target.from_module(net, loss)",
    ]
    return Draft(name.lower(), f"{name}, with gaps to fill in", tuple(lines), is_complete=False)


def _of_pair(reading: Reading, lines: list[str]) -> Draft | None:
    """A forward and its backward, of which nobody knows the shapes."""
    for forward, backward in vjp_pairs(reading):
        call = f"return gradcheck.Target.from_vjp(code.{forward.name}, code.{backward.name}, inputs)"
        lines += [*_inputs(forward), call]
        subject = f"{forward.name} and {backward.name}, with gaps to fill in"
        return Draft(f"{forward.name}_and_{backward.name}", subject, tuple(lines), is_complete=False)
    return None


def _inputs(function: Function) -> list[str]:
    return [
        "inputs = {",
        *(f'    "{one}": rng.standard_normal((B, H)),  {TODO}: its shape' for one in function.arguments),
        "}",
    ]


def _of_holder(reading: Reading, lines: list[str]) -> Draft:
    """A class whose objects hold weights and gradients: only what calculates them is to be filled in."""
    name, (names, pattern) = next(iter(reading.holders.items()))
    made = reading.methods(name).get("__init__")
    lines += [
        f"weights = code.{name}({_constructed(made)})",
        *listing(names),
        "for name in names:  # neither zero nor alike",
        "    getattr(weights, name)[...] = 0.5 * rng.standard_normal(getattr(weights, name).shape)",
        "x, y = rng.standard_normal((T, D)), rng.standard_normal(T)",
        "",
        "def run():",
        f"    {TODO}: the forward and the backward of one call, as in {_others(reading, name)}",
        f"    raise NotImplementedError  {TODO}: return the loss",
        "",
        f'return gradcheck.Target.from_object(weights, names, loss=run, grad="{pattern}", inputs={{"x": x, "y": y}})',
    ]
    return Draft(name.lower(), f"{name}, with gaps to fill in", tuple(lines), is_complete=False)


def _others(reading: Reading, name: str) -> str:
    """The methods that could be called."""
    found = [
        f"{other}.{one.name}({', '.join(one.arguments)})"
        for other in reading.classes
        if other != name
        for one in reading.methods(other).values()
        if re.search(r"forw|fwd|back|bptt|prop|loss|_is$|list_add", one.name, re.I)
    ]
    return ", ".join(found) or "the code around it"


def _of_class(name: str, methods: dict[str, Function], backward: Function, lines: list[str]) -> Draft:
    forward = next((one for one in methods.values() if re.search(r"forw|fwd|fprop", one.name, re.I)), backward)
    lines += [
        f"net = code.{name}({_constructed(methods.get('__init__'))})",
        f"x = rng.standard_normal((T, D))  {TODO}: what {forward.name}({', '.join(forward.arguments)}) is handed",
        "",
        "def run():",
        f"    out = net.{forward.name}({_gaps(forward)})  {TODO}: the forward, for all time steps",
        f"    net.{backward.name}({_gaps(backward)})  {TODO}: the backward, from the derivative of the loss",
        f"    return float(np.sum(out))  {TODO}: the loss",
        "",
        f'names = ["W"]  {TODO}: the attributes that hold the weights',
        f'return gradcheck.Target.from_object(net, names, loss=run, grad="d{{}}")  {TODO}: how gradients are called',
    ]
    return Draft(name.lower(), f"{name}, with gaps to fill in", tuple(lines), is_complete=False)


def _of_function(reading: Reading, backward: Function | None, lines: list[str]) -> Draft:
    name = backward.name if backward else "target"
    weights = list(reading.arrays) or ["W"]
    lines += [f"code.{one} = rng.standard_normal((H, H))  {TODO}: its shape" for one in weights]
    lines += [
        *listing(weights),
        f"x = rng.standard_normal((T, D))  {TODO}: what the functions are handed",
        "return gradcheck.Target.from_call(",
        f"    lambda: code.{name}({_gaps(backward)}),  {TODO}: a call that returns (loss, dW, ...)",
        "    names,",
        "    of=code,",
        ")",
    ]
    return Draft(name, f"{name}, with gaps to fill in", tuple(lines), is_complete=False)


def _constructed(made: Function | None) -> str:
    """The arguments of a constructor: sizes where they are known, else their names, to be filled in."""
    names = made.arguments if made else ()
    return ", ".join((*constructor_argument(one), f"...  {TODO}: {one}\n        ")[0] for one in names)


def _gaps(function: Function | None) -> str:
    return ", ".join(function.arguments) if function else ""
