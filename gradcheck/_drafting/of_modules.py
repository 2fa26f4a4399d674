"""Drafts for modules of torch, which `Target.from_module` takes as they are."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._drafting.guesses import combinations, constructor_argument
from gradcheck._drafting.reading import Reading
from gradcheck._drafting.writing import Draft

#: of an argument of the forward, the likeliest first
_SHAPES = ("T, B, D", "B, T, D", "B, D", "T, D", "D", "B, H", "1, B, H", "H")
#: from what the module returns to its loss
_LOSSES = ("{}.pow(2).sum()", "{}[0].pow(2).sum()", "sum(one.pow(2).sum() for one in {})")


def modules_of(reading: Reading) -> list[str]:
    """The classes that are modules of torch."""
    return [
        name
        for name, node in reading.classes.items()
        if any(ast.unparse(base) in ("Module", "nn.Module", "torch.nn.Module") for base in node.bases)
    ]


def drafts_of_modules(reading: Reading) -> Iterator[list[Draft]]:
    """For each module, the drafts to be tried, the likeliest first."""
    for name in modules_of(reading):
        methods = reading.methods(name)
        forward, made = methods.get("forward"), methods.get("__init__")
        sizes = [constructor_argument(one) for one in (made.arguments if made else ())]
        if forward is not None and forward.arguments and all(sizes):
            yield list(_drafts(name, forward.arguments, sizes))


def _drafts(name: str, handed: tuple[str, ...], sizes: list[tuple[str, ...]]) -> Iterator[Draft]:
    count = len(handed)
    for *shapes, loss in combinations([*([_SHAPES] * count), _LOSSES]):
        for given in combinations(sizes):
            also = ", ".join(f'"{one}": {one}' for one in handed)
            lines = [
                "torch.manual_seed(int(rng.integers(1 << 31)))",
                f"net = code.{name}({', '.join(given)}).double()  # in float64 a check sees far more",
                *(
                    f"{one} = torch.randn({shape}, dtype=torch.float64)"
                    for one, shape in zip(handed, shapes, strict=True)
                ),
                "",
                "def loss():",
                f"    out = net({', '.join(handed)})",
                f"    return {loss.format('out')}",
                "",
                f"return gradcheck.Target.from_module(net, loss, also={{{also}}})",
            ]
            subject = f"{name}, with every gradient that its backward leaves"
            yield Draft(name.lower(), subject, tuple(lines), fits_if_it_runs=True)
