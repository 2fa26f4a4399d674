"""What an argument may be, by its name: expressions in the sizes T, B, D, H and O, the likeliest first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, product
from typing import TypeVar

#: the sizes of a draft: time steps, examples, inputs or symbols, hidden units, outputs; no two are alike
SIZES = {"T": 4, "B": 2, "D": 6, "H": 5, "O": 3}
#: combinations of guesses that are tried
MOST = 120

One = TypeVar("One")

_SIZE_NAMES = (
    ("H + D", r"^z(_|$)|concat|^hv$|z_?size|z_?dim"),
    ("T", r"seq|step|^t$|^s$|time|len|unroll|n_?cells$"),
    ("B", r"batch|^b$"),
    ("O", r"out|class|^c$|^o$|^n_?y$|label"),
    ("H", r"hid|unit|cell|mem|^h$|^n$|^n_?h$|^hn$|width|h_size|rnn|state"),
    ("D", r"vocab|inp|in_|_in$|^x|dim|^d$|^v$|^m$|feat|char|emb|n_?x$|xsize|size"),
)
_ONE_HOT = "np.eye({0})[rng.integers(0, {0}, T)]"
_INPUTS = (
    "rng.integers(0, D, T)",
    _ONE_HOT.format("D") + "[:, :, None]",
    "rng.standard_normal((T, D))",
    "rng.standard_normal((B, T, D))",
    "rng.standard_normal((T, B, D))",
    "rng.standard_normal((T, D, 1))",
    _ONE_HOT.format("D") + "[:, None, :]",
    "rng.standard_normal((B, D))",
    "rng.standard_normal((B, D, T))",
    "rng.integers(0, D, (B, T))",
    "rng.integers(0, D, (T, B))",
)
_TARGETS = (
    "rng.integers(0, {0}, T)",
    _ONE_HOT + "[:, :, None]",
    _ONE_HOT,
    "int(rng.integers(0, {0}))",
    "rng.standard_normal((T, {0}))",
    "rng.standard_normal((T, B, {0}))",
    "rng.standard_normal((B, T, {0}))",
    "rng.integers(0, {0}, (B, T))",
    "rng.integers(0, {0}, (T, B))",
    "rng.standard_normal((B, {0}))",
    "rng.standard_normal(T)",
)
_STATES = (
    "rng.standard_normal((H, 1))",
    "rng.standard_normal((1, H))",
    "rng.standard_normal(H)",
    "rng.standard_normal((B, H))",
    "rng.standard_normal((H, B))",
    "(np.zeros((1, H)), np.zeros((1, H)))",
)


def size_of(name: str) -> str | None:
    """The size, in those of a draft, that a name stands for; None where it stands for none."""
    return next((size for size, pattern in _SIZE_NAMES if re.search(pattern, name, re.I)), None)


def is_rate(name: str) -> bool:
    """Whether it is a learning rate."""
    return bool(re.fullmatch(r"(learn(ing)?_?rate|l_?rate|lr|eta|alpha|step_size|rate)", name, re.I))


def is_optimizer(name: str) -> bool:
    """Whether it is an optimizer."""
    return bool(re.search(r"optim", name, re.I))


def is_upstream(name: str) -> bool:
    """Whether it is what the loss's derivative with respect to an output is called."""
    return bool(re.match(r"d(L)?_?[A-Za-z]|delta|grad|accum|upstream|err|top_?diff", name))


def is_state(name: str) -> bool:
    """Whether it is a state from before the first step."""
    return bool(
        re.fullmatch(
            r"[gnp]?_?[hcs](_?(prev|old|0|init|in|start|last|next))?|.*state.*|hidden|(h|c)_?.*prev", name, re.I
        )
    )


def is_targets(name: str) -> bool:
    """Whether it is what the outputs should be."""
    return bool(re.match(r"(y|t|ts|yt|target|label|truth|gold)", name, re.I)) and not is_inputs(name)


def is_inputs(name: str) -> bool:
    """Whether it is what the network reads."""
    return bool(re.match(r"(x|input|seq|token|data|sentence|batch|text)", name, re.I))


def is_generator(name: str) -> bool:
    """Whether it is what random numbers are drawn from."""
    return bool(re.fullmatch(r"rng|rs|gen|generator|random_(state|generator)|prng", name, re.I))


def is_seed(name: str) -> bool:
    """Whether it is the seed of random numbers."""
    return bool(re.fullmatch(r"(random_?)?seed", name, re.I))


def is_mapping(name: str) -> bool:
    """Whether it leads from symbols to numbers, or back."""
    return bool(re.search(r"2i(d|x)|to_?i|2char|to_?char|idx2|ix2|vocab_?(map|dict)", name, re.I))


def argument(name: str, outputs: str = "D") -> tuple[str, ...]:
    """What an argument of a forward may be; empty where nobody knows. `outputs` may be several sizes: "D H"."""
    if is_mapping(name):
        return ("{i: i for i in range(D)}",)
    if is_inputs(name):
        return _INPUTS
    if is_state(name):
        return _STATES
    if is_targets(name):
        return tuple(one.format(size) for size in outputs.split() for one in _TARGETS)
    size = size_of(name)
    return (size,) if size else ()


def constructor_argument(name: str) -> tuple[str, ...]:
    """What an argument of a constructor may be."""
    if is_mapping(name):
        return ("{i: i for i in range(D)}",)
    if is_rate(name):
        return ("1.0",)
    if is_generator(name):
        return ("rng",)
    if is_seed(name):
        return ("0",)
    size = size_of(name)
    return (size,) if size else ()


def weight_arguments(names: list[str], gates: int) -> list[str] | None:
    """Arrays for arguments that are weights, of so many gates; None where one of them is none."""
    found = []
    for name in names:
        low = name.lower()
        if re.fullmatch(r"w_?x.*|w_?i?x|wx|u_?x?|w", low):
            found.append(f"rng.standard_normal((D, {_times(gates)}))")
        elif re.fullmatch(r"w_?h.*|w_?r.*|u_?h?|r", low):
            found.append(f"rng.standard_normal((H, {_times(gates)}))")
        elif re.fullmatch(r"b.*", low):
            found.append(f"rng.standard_normal({_times(gates)})")
        else:
            return None
    return found


def combinations(
    choices: Iterable[tuple[One, ...]], keep: Callable[[tuple[One, ...]], bool] = lambda _: True
) -> Iterator[tuple[One, ...]]:
    """One of each, the likeliest first; of those that are to be kept."""
    numbered = [list(enumerate(one)) for one in choices]
    ordered = sorted(product(*numbered), key=lambda combination: sum(number for number, _ in combination))
    found = (tuple(one for _, one in combination) for combination in ordered)
    yield from islice(filter(keep, found), MOST)


def of_one_layout(names: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether targets have the time steps and examples of the inputs, in their order."""
    given = list(zip(names, texts, strict=True))
    inputs = [_leading(text) for name, text in given if is_inputs(name)]
    targets = [_leading(text) for name, text in given if is_targets(name)]
    return all(_is_within(one, other) for one in targets for other in inputs)


def _leading(text: str) -> tuple[str, ...]:
    """Which of time steps and examples an array has axes of, in order."""
    shape = text.partition("rng.integers(0, ")[2].partition(", ")[2] or text
    return tuple(re.findall(r"\b[TB]\b", shape))


def _is_within(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    return [one for one in whole if one in part] == list(part)


def _times(gates: int) -> str:
    return "H" if gates == 1 else f"{gates} * H"
