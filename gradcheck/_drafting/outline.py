"""A target file with gaps: what is known of the code is written down, and each gap is marked where it is."""

from __future__ import annotations

import re

from gradcheck._drafting.reading import Function, Reading
from gradcheck._drafting.writing import TODO, Draft

_OF_GRADIENTS = re.compile(r"back|bptt|grad|bprop|bwd", re.I)


def outline(reading: Reading, trouble: str = "") -> Draft:
    """A factory to be filled in, around the function or the class that seems to give the gradients."""
    lines: list[str] = []
    if trouble:
        lines.append(f"{TODO}: {reading.file.name} could not be imported ({trouble})")
    for name in reading.classes:
        methods = reading.methods(name)
        backward = next((one for one in methods.values() if _OF_GRADIENTS.search(one.name)), None)
        if backward is not None:
            return _of_class(name, methods, backward, lines)
    backward = next((one for one in reading.functions.values() if _OF_GRADIENTS.search(one.name)), None)
    return _of_function(reading, backward, lines)


def _of_class(name: str, methods: dict[str, Function], backward: Function, lines: list[str]) -> Draft:
    made = methods.get("__init__")
    forward = next((one for one in methods.values() if re.search(r"forw|fwd|fprop|list_add", one.name, re.I)), backward)
    lines += [
        f"net = code.{name}({_gaps(made)})  {TODO}: its arguments, in the sizes T, D and H",
        f"x = rng.standard_normal((T, D))  {TODO}: what {forward.name}({', '.join(forward.arguments)}) is handed",
        "",
        "def run():",
        f"    out = net.{forward.name}({_gaps(forward)})  {TODO}: the forward, for all time steps",
        f"    net.{backward.name}({_gaps(backward)})  {TODO}: the backward, from the derivative of the loss returned here",
        f"    return float(np.sum(out))  {TODO}: the loss",
        "",
        f'return gradcheck.Target.from_object(net, ["W"], loss=run, grad="d{{}}")  {TODO}: the names of weights and gradients',
    ]
    return Draft(name.lower(), f"{name}, with gaps to fill in", tuple(lines), is_complete=False)


def _of_function(reading: Reading, backward: Function | None, lines: list[str]) -> Draft:
    name = backward.name if backward else "target"
    weights = list(reading.arrays) or ["W"]
    lines += [f"code.{one} = rng.standard_normal((H, H))  {TODO}: its shape" for one in weights]
    lines += [
        f"x = rng.standard_normal((T, D))  {TODO}: what the functions are handed",
        "return gradcheck.Target.from_call(",
        f"    lambda: code.{name}({_gaps(backward)}),  {TODO}: a call that returns (loss, dW, ...)",
        f"    [{', '.join(repr(one) for one in weights)}],",
        "    of=code,",
        ")",
    ]
    return Draft(name, f"{name}, with gaps to fill in", tuple(line.replace("'", '"') for line in lines), is_complete=False)


def _gaps(function: Function | None) -> str:
    return ", ".join(function.arguments) if function else ""
