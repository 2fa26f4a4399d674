"""Which laws a check asks: all of them, or those that somebody chooses; and what each of them costs.

What the user's functions return shows at no cost (scalar, finite, names, shapes, purity), and no slope means anything
before the loss and the gradients are known to be the same when asked twice (repeatability, statelessness): these are
always asked.
"""

from __future__ import annotations

from collections.abc import Iterable

#: what can be left out, and what it costs where nothing is wrong; M is a weight matrix
COSTS = {
    "independence": "no losses: what runs in a loss and its gradients is counted",
    "dependence": "a loss for each input, and for each slice of a short one",
    "linearity": "five runs of the backward; only with from_vjp",
    "scale": "two losses and one run of the gradients for each M; for each input of floats, where no M tells",
    "elsewhere": "two losses and one run of the gradients, where a parameter or entries are zero or no index repeats",
    "sizes": "a check without laws at each of the other sizes of a factory",
}
EVERY = frozenset(COSTS)
#: how a command line says that none of them is asked
NONE = "none"


def chosen_laws(laws: str | Iterable[str] | None) -> frozenset[str]:
    """The laws that are asked of those that can be left out; None: all.

    Args:
        laws: Names, or one text with commas between them; "none", or no names, for none.

    Raises:
        ValueError: For a name that is none of theirs.
    """
    if laws is None:
        return EVERY
    given = laws.split(",") if isinstance(laws, str) else list(laws)
    names = [str(name).strip() for name in given]
    if names in ([NONE], [""]):
        return frozenset()
    unknown = [name for name in names if name not in COSTS]
    if unknown:
        raise ValueError(f"no law {', '.join(map(repr, unknown))}: expected some of {', '.join(COSTS)}, or {NONE}")
    return frozenset(names)


def left_out(asked: frozenset[str]) -> tuple[str, ...]:
    """Those that are not asked, in their order."""
    return tuple(name for name in COSTS if name not in asked)
