"""Drafts for functions: one that gives loss and gradients of variables of the module, or a forward and its backward."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gradcheck._drafting.guesses import argument, combinations, is_rate, size_of, weight_arguments
from gradcheck._drafting.reading import GRADIENT_PATTERNS, Function, Reading
from gradcheck._drafting.writing import Draft, inputs_argument, listing


def drafts_of_functions(reading: Reading) -> Iterator[list[Draft]]:
    """For each function that gives gradients, the drafts to be tried, the likeliest first."""
    for function in reading.functions.values():
        if reading.arrays:
            yield list(_of_module(reading, function))
    yield from _pairs(reading)
    rules = rules_of_jax(reading)
    for rule in rules:
        subject = f"{rule.name}, with the cotangents drawn"
        yield [Draft(rule.name, subject, lines) for lines in _of_vjp(rule, f"code.{rule.name}, inputs=inputs")]
    for forward, backward in [] if rules else vjp_pairs(reading):
        subject = f"{forward.name} and {backward.name}, with the cotangents drawn"
        call = f"code.{forward.name}, code.{backward.name}, inputs"
        yield [Draft(forward.name, subject, lines) for lines in _of_vjp(forward, call)]


#: sizes that functions read from the module
_SIZES_OUTSIDE = ("hidden_size", "vocab_size", "seq_length", "hidden_dim", "input_size", "output_size")


# -- weights in variables of the module --------------------------------------------------------------------------------


def _of_module(reading: Reading, function: Function) -> Iterator[Draft]:
    """A function that reads its weights from the module and returns the loss."""
    weights = [name for name in reading.arrays if name in reading.names_in(function)]
    if function.place_of_loss is None or not weights:
        return
    how = _gradients(reading, function, weights)
    if how is None:
        return
    names, adapter, extra = how
    setting, outputs = _settings(reading, function, names)
    if setting is None:
        return
    for chosen in combinations(argument(one, outputs) for one in function.arguments):
        lines = [*setting, *extra]
        lines += [f"{one} = {text}" for one, text in zip(function.arguments, chosen, strict=True)]
        call = f"code.{function.name}({', '.join(function.arguments)})"
        clip = reading.clips.get(function.name)
        ending = [inputs_argument(_arrays(function.arguments, chosen))]
        lines += _returned(adapter, call, names, [*ending, *([clip] if clip else [])])
        yield Draft(function.name, f"{function.name}, with the weights that are variables of the module", tuple(lines))


def _gradients(reading: Reading, function: Function, weights: list[str]) -> tuple[list[str], str, list[str]] | None:
    """The weights in order, how the target is made, and what has to be set besides."""
    for pattern in GRADIENT_PATTERNS:
        named = {pattern.format(one): one for one in weights}
        places = [i for i, name in enumerate(function.returned) if name in named]
        if places:
            names = [named[function.returned[i]] for i in places]
            follows = places == list(range(places[0], places[-1] + 1)) and places[0] == 1
            first = function.place_of_loss == 0
            selectors = "" if follows and first else f"loss={function.place_of_loss}, grads={places}"
            return names, f"call {selectors}".strip(), []
        held = [one for one in weights if pattern.format(one) in reading.assigned]
        if held:
            made = [f"code.{pattern.format(one)} = np.zeros_like(code.{one})" for one in held]
            return (
                held,
                f"object {pattern} {function.place_of_loss if len(function.returned) > 1 else ''}".strip(),
                made,
            )
    if function.place_of_gradients is not None:
        return weights, f"call loss={function.place_of_loss}, grads={function.place_of_gradients}", []
    return None


def _returned(adapter: str, call: str, names: list[str], ending: list[str]) -> list[str]:
    kind, _, rest = adapter.partition(" ")
    named = listing(names)
    if kind == "call":
        arguments = [f"lambda: {call}", "names", "of=code", *([rest] if rest else []), *ending]
        return [*named, *_call("gradcheck.Target.from_call", arguments)]
    pattern, _, place = rest.partition(" ")
    loss = f"lambda: {call}[{place}]" if place else f"lambda: {call}"
    arguments = ["code", "names", f"loss={loss}", *([f'grad="{pattern}"'] if pattern != "d{}" else []), *ending]
    return [*named, *_call("gradcheck.Target.from_object", arguments)]


def _call(what: str, arguments: list[str]) -> list[str]:
    return [f"return {what}(", *(f"    {one}," for one in arguments), ")"]


def _settings(reading: Reading, function: Function, weights: list[str]) -> tuple[list[str] | None, str]:
    """Lines that give the module its sizes and weights; and the size of the outputs."""
    lines: list[str] = []
    done: set[str] = set()
    used = reading.names_in(function)

    def need(name: str) -> bool:
        """Set a size of the module, after those that it is made of."""
        if name in done:
            return True
        value = reading.assigned.get(name)
        inner = [n.id for n in ast.walk(value) if isinstance(n, ast.Name)] if isinstance(value, ast.BinOp) else []
        if isinstance(value, ast.BinOp) and inner and all(map(need, inner)):
            text = re.sub(r"\b([A-Za-z_]\w*)\b", r"code.\1", ast.unparse(value))
        else:
            size = size_of(name)
            if size is None:
                return False
            text = size
        done.add(name)
        lines.append(f"code.{name} = {text}")
        return True

    shapes = [reading.arrays[one] for one in weights]
    names = [node.id for shape in shapes for node in ast.walk(shape) if isinstance(node, ast.Name)]
    if not all(map(need, dict.fromkeys(names))):
        return None, "D"
    for name, value in reading.assigned.items():
        is_number = isinstance(value, ast.Constant) and type(value.value) is int
        if name in used and name not in done and is_number and size_of(name):
            need(name)  # such as the length of a sequence, which the code asserts
        elif name in used and name not in done and isinstance(value, ast.Call) and size_of(name):
            need(name)
    for one in weights:
        shape = re.sub(r"\b([A-Za-z_]\w*)\b", r"code.\1", ast.unparse(reading.arrays[one]))
        lines.append(f"code.{one} = 0.5 * rng.standard_normal({shape})")
    return lines, "O" if any(text.endswith("= O") for text in lines) else "D"


def _arrays(names: tuple[str, ...], chosen: tuple[str, ...]) -> list[str]:
    """The arguments that are arrays, so that the loss has to follow them."""
    return [one for one, text in zip(names, chosen, strict=True) if text.startswith(("rng.", "np.eye"))]


# -- a function that makes the weights, a forward, a backward ----------------------------------------------------------


def _pairs(reading: Reading) -> Iterator[list[Draft]]:
    """A forward(inputs, ..., params), and a backward that returns the loss and the gradients of the params."""
    makers = [
        one
        for one in reading.functions.values()
        if re.search(r"init|param|make|create", one.name, re.I)
        and (len(one.returned) > 2 or "param" in " ".join(one.returned))
    ]
    forward = next((f for n, f in reading.functions.items() if re.match(r"forward|fwd", n)), None)
    backward = next((f for n, f in reading.functions.items() if re.match(r"back|bwd|bptt", n)), None)
    if forward is None or backward is None or backward.place_of_loss is None:
        return
    for maker in makers:
        yield list(_of_pair(reading, maker, forward, backward))


def _of_pair(reading: Reading, maker: Function, forward: Function, backward: Function) -> Iterator[Draft]:
    sizes = [size_of(one) for one in maker.arguments]
    names, params = _names_of_weights(maker, backward), _is_params(forward)
    if None in sizes or not names or params is None:
        return
    outside = [one for one in _SIZES_OUTSIDE if one in reading.names_in(forward) and one not in forward.arguments]
    beginning = [
        *(f"code.{one} = {size_of(one)}" for one in outside),
        f"params = list(code.{maker.name}({', '.join(map(str, sizes))}))",
        "for one in params:  # neither zero nor alike",
        "    one[...] = 0.5 * rng.standard_normal(one.shape)",
    ]
    others = [one for one in forward.arguments if one != params]
    for *chosen, targets in combinations([*map(argument, others), argument("targets", "D")]):
        given = dict(zip(others, chosen, strict=True))
        backs = _backward_arguments(forward, backward, set(others))
        if backs is None:
            return
        handed = ", ".join("params" if one == params else f"{one}.copy()" for one in forward.arguments)
        lines = [
            *beginning,
            *(f"{one} = {text}" for one, text in given.items()),
            f"targets = {targets}",
            "",
            "def run():",
            f"    result = code.{forward.name}({handed})",
            f"    return code.{backward.name}({', '.join(backs)})",
            "",
            *listing(names),
            *_call("gradcheck.Target.from_call", _ending_of_pair(reading, backward)),
        ]
        yield Draft(
            backward.name, f"{forward.name} and {backward.name}, with the weights of {maker.name}", tuple(lines)
        )


def _ending_of_pair(reading: Reading, backward: Function) -> list[str]:
    place, clip = backward.place_of_loss, reading.clips.get(backward.name)
    return [
        "run",
        "dict(zip(names, params, strict=True))",
        *([] if place == 0 else [f"loss={place}, grads={backward.place_of_gradients}"]),
        'inputs={"targets": targets}',
        *([clip] if clip else []),
    ]


def _names_of_weights(maker: Function, backward: Function) -> list[str]:
    """The names of weights, as the maker returns them or the backward takes them apart."""
    if len(maker.returned) > 1 and all(maker.returned):
        return list(maker.returned)
    for node in (*ast.walk(maker.node), *ast.walk(backward.node)):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=parts)], value=ast.Name(id=whole)) if whole in backward.arguments:
                return [one.id for one in parts if isinstance(one, ast.Name)]
    return []


def _is_params(function: Function) -> str | None:
    return next(
        (one for one in function.arguments if re.fullmatch(r"p|params?|parameters|weights?|model|theta", one)), None
    )


def _backward_arguments(forward: Function, backward: Function, given: set[str]) -> list[str] | None:
    """What a backward is handed: what the forward was, the targets, and for the rest what it returned."""
    texts: list[str] = []
    of_result: list[int] = []
    for one in backward.arguments:
        if one in given or one == _is_params(backward):
            texts.append("params" if one == _is_params(backward) else one)
        elif re.match(r"target|label|y_?true|y$", one, re.I):
            texts.append("targets")
        else:
            of_result.append(len(texts))
            texts.append("*result")
    if of_result and of_result != list(range(of_result[0], of_result[-1] + 1)):
        return None
    for extra in of_result[1:][::-1]:
        del texts[extra]
    if of_result and len(forward.returned) == 1:
        texts[of_result[0]] = "result"
    return texts


# -- forward(*arrays) -> (outputs, cache), backward(cotangents, cache) -------------------------------------------------


def rules_of_jax(reading: Reading) -> list[Function]:
    """Functions of JAX with a rule of their own."""
    return [
        one
        for one in reading.functions.values()
        if any("custom_vjp" in ast.unparse(decorator) for decorator in one.node.decorator_list)
    ]


def vjp_pairs(reading: Reading) -> Iterator[tuple[Function, Function]]:
    """Functions forward(*arrays) -> (outputs, cache), each with its backward(cotangents, cache)."""
    for name, forward in reading.functions.items():
        for other in (name.replace("forward", "backward"), name.replace("fwd", "bwd")):
            backward = reading.functions.get(other)
            if other != name and backward is not None and len(backward.arguments) == 2 and len(forward.returned) >= 2:
                yield forward, backward


def _of_vjp(forward: Function, call: str) -> Iterator[tuple[str, ...]]:
    """As in many courses: the checker draws the cotangents itself. `call` is what `from_vjp` is handed."""
    for gates in (1, 4, 3):
        weights = {one: (weight_arguments([one], gates) or [""])[0] for one in forward.arguments}
        inputs = [one for one in forward.arguments if not weights[one]]
        if any(is_rate(one) for one in forward.arguments):
            return
        for chosen in combinations(_arrays_of(one) for one in inputs):
            texts = {**weights, **dict(zip(inputs, chosen, strict=True))}
            listed = [f'    "{one}": {texts[one]},' for one in forward.arguments]
            yield "inputs = {", *listed, "}", f"return gradcheck.Target.from_vjp({call})"


def _arrays_of(name: str) -> tuple[str, ...]:
    if re.match(r"x|inp", name):
        return tuple(
            f"rng.standard_normal({shape})"
            for shape in ("(T, B, D)", "(B, T, D)", "(B, D)", "(T, D)", "(D, B)", "(D, B, T)")
        )
    return tuple(f"rng.standard_normal({shape})" for shape in ("(B, H)", "H", "(H, B)", "(1, H)"))
