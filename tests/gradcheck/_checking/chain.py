"""A product of weights whose gradient is wrong, or raises, at some sizes only."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradcheck
from gradcheck import Target


def weights(bug: str) -> gradcheck.TargetFactory:
    """The loss is a product of T weights times an input; no initial state shows what T=1 hides."""

    @gradcheck.target
    def chain(rng: np.random.Generator, *, T: int = 3) -> Target:
        w, x = {"w": rng.uniform(0.5, 1.5, T)}, rng.uniform(0.5, 1.5)
        right = lambda: {"w": x * np.prod(w["w"]) / w["w"]}  # noqa: E731

        def grads() -> Any:
            found = right()["w"]
            if bug == "T > 1" and T > 1:
                found[0] = 0.0
            if (bug == "T == 1" and T == 1) or (bug == "T > 3" and T > 3):
                found *= 2
            if bug == "raises at 1" and T == 1:
                raise IndexError("list index out of range")
            if bug == "raises at 3" and T == 3:
                raise IndexError("list index out of range")
            return {"w": found}

        if bug == "refuses 1" and T == 1:
            raise ValueError("at least two steps")
        return Target(w, lambda: x * np.prod(w["w"]), grads)

    return chain
