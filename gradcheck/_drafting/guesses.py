"""What an argument may be, by its name: expressions in the sizes T, B, D, H and O, the likeliest first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import TypeVar

#: the sizes of a draft: time steps, examples, inputs or symbols, hidden units, outputs; no two are alike
SIZES = {"T": 4, "B": 2, "D": 6, "H": 5, "O": 3}
#: combinations of guesses that are tried
MOST = 60

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


def is_mapping(name: str) -> bool:
    """Whether it leads from symbols to numbers, or back."""
    return bool(re.search(r"2i(d|x)|to_?i|2char|to_?char|idx2|ix2|vocab_?(map|dict)", name, re.I))


def argument(name: str, outputs: str = "D") -> tuple[str, ...]:
    """What an argument of a forward may be; empty where nobody knows."""
    if is_mapping(name):
        return ("{i: i for i in range(D)}",)
    if is_inputs(name):
        return _INPUTS
    if is_state(name):
        return _STATES
    if is_targets(name):
        return tuple(one.format(outputs) for one in _TARGETS)
    size = size_of(name)
    return (size,) if size else ()


def constructor_argument(name: str) -> tuple[str, ...]:
    """What an argument of a constructor may be."""
    if is_mapping(name):
        return ("{i: i for i in range(D)}",)
    if is_rate(name):
        return ("1.0",)
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


def combinations(choices: Iterable[tuple[One, ...]]) -> Iterator[tuple[One, ...]]:
    """One of each, the likeliest first."""
    numbered = [list(enumerate(one)) for one in choices]
    ordered = sorted(product(*numbered), key=lambda combination: sum(number for number, _ in combination))
    for combination in islice(ordered, MOST):
        yield tuple(one for _, one in combination)


def _times(gates: int) -> str:
    return "H" if gates == 1 else f"{gates} * H"
