"""One backward to be looked at: a function with a derivative rule of its own, or a whole target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcheck._autodiff.library import Library
from gradcheck._common.arrays import Array


@dataclass
class Case:
    """A forward and its backward, run one after the other.

    Args:
        library: The library that it calculates in.
        name: What the rule is called ("LSTMPointwise"); empty of a whole target.
        names: What each gradient is of.
        inputs: Where it is run, one array for each gradient; none of these if `live`.
        run: ``run(arrays) -> (loss, gradients)``, in arrays of the library; the loss is the outputs contracted with
            cotangents that stay the same. It is handed the inputs as arrays of the library.
        live: The arrays that it reads by itself, one for each gradient, in the place of inputs.
        returns: The function whose return hands the gradients back.
    """

    library: Library
    name: str
    names: Sequence[str]
    inputs: Sequence[Array]
    run: Callable[[list[Any]], tuple[Any, list[Any]]]
    live: Sequence[Any] = ()
    returns: Any = None
    #: the same at other values, where edits are tried once more
    others: list[Case] = field(default_factory=list)
    #: the part of a gradient that rounding may be of it
    rounding: float = 1e-7
