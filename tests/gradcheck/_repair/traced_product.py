"""A product with a backward that can be spoiled, traced: the smallest thing that has a line to mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gradcheck._common.files import load
from gradcheck._targets.target import Target
from gradcheck._tracing.trace import Trace

RNG = np.random.default_rng(0)
X, G, W = RNG.standard_normal((3, 2, 3))
TEXT = """\
import numpy as np

NOTE = "\x0c"


def forward(x, w):
    return x*w, (x, w)


def backward(dy, cache):
    x, w = cache
    dw = LINE
    return dy*w, dw
"""


@contextmanager
def traced(folder: Path, line: str) -> Iterator[Trace]:
    """The trace of a product whose backward has this in the place of the gradient of one factor."""
    path = folder / "product.py"
    path.write_text(TEXT.replace("LINE", line), encoding="utf-8")
    module = load(path)
    target = Target.from_vjp(module.forward, module.backward, {"x": X, "w": W})
    with target.preserved():
        target.draw_cotangents(np.random.default_rng([0, 1]))
        with Trace(target) as trace:
            yield trace
