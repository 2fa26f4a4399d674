"""A target for each way in which code is found, from the module of the code, with or without a bug planted in it."""

from __future__ import annotations

import linecache
from pathlib import Path
from types import ModuleType
from typing import Any

import gradcheck
from tests.gradcheck._targets import found_code

FILE = Path(found_code.__file__)


def spoiled(name: str, before: str, after: str, *, times: int = 1) -> Any:
    """The module of the code with a text replaced, in a file of its own name; of several such texts the last."""
    source = FILE.read_text(encoding="utf-8")
    assert source.count(before) == times
    head, _, tail = source.rpartition(before)
    source, file = f"{head}{after}{tail}", f"{FILE} ({name})"
    module = ModuleType("found_code")
    module.__file__ = file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), vars(module))
    return module


def of_call(code: Any = found_code) -> gradcheck.TargetFactory:
    """One function, weights in the module."""

    def make(rng, *, T=3, D=2, H=3):
        code.Wx, code.Wh = rng.standard_normal((H, D)), rng.standard_normal((H, H))
        xs, target, h0 = rng.standard_normal((T, D)), rng.standard_normal(H), rng.standard_normal(H)
        return gradcheck.Target.from_call(
            lambda: code.in_one_function(xs, target, h0), ["Wx", "Wh"], of=code, inputs={"xs": xs, "h0": h0}
        )

    return gradcheck.target(make)


def of_object(code: Any = found_code) -> gradcheck.TargetFactory:
    """Accumulators in attributes."""

    def make(rng, *, T=3, D=2, H=3):
        net = code.Accumulating(D, H)
        xs, target = rng.standard_normal((T, D)), rng.standard_normal(H)
        return gradcheck.Target.from_object(
            net, ["w", "u"], loss=lambda: net.forward(xs, target), backward=net.backward, grad="{}_diff"
        )

    return gradcheck.target(make)


def of_update(code: Any = found_code) -> gradcheck.TargetFactory:
    """Weights that are updated in place, and bound anew."""

    def make(rng, *, T=3, D=2, H=3):
        net = code.Updating(D, H)
        xs, target = rng.standard_normal((T, D)), rng.standard_normal(H)
        return gradcheck.Target.from_update(lambda: net.train_step(xs, target, 1.0), ["w", "u"], of=net)

    return gradcheck.target(make)


def of_optimizer(code: Any = found_code) -> gradcheck.TargetFactory:
    """Gradients that go to an optimizer."""

    def make(rng, *, T=3, D=2, H=3):
        net, stub = code.Optimized(D, H), gradcheck.StubOptimizer()
        net.set_optimizer(stub)
        xs, target = rng.standard_normal((T, D)), rng.standard_normal(H)
        return gradcheck.Target.from_update(
            net.backward_pass, ["w", "u"], of=net, loss=lambda: net.forward(xs, target), optimizer=stub
        )

    return gradcheck.target(make)


def of_lists(code: Any = found_code) -> gradcheck.TargetFactory:
    """A list a layer, a mask drawn anew in each loss."""

    def make(rng, *, D=3, H=4):
        net, x = code.Stack([D, H, 2]), rng.standard_normal(D)
        return gradcheck.Target({"W": net.W, "b": net.b}, lambda: net.loss(x), net.gradients)

    return gradcheck.target(make)


ALL = (of_call, of_object, of_update, of_optimizer, of_lists)
