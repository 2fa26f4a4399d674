"""Gradient checkers side by side, each asked whether it lets a target pass.

A peer differences functions of its own array library, so a target is wrapped into one: the forward is the target's
loss, the backward the target's gradients times the upstream gradient. Parameters are handed over in float64, one array
each, and every seed is fixed. `TOLERANCES` are the tolerances that the checkers named "tight" are given.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

import gradcheck
from gradcheck import Target
from gradcheck._targets.opening import cotangent_rng

#: rtol and atol of torch and JAX, and what TOL and RTOL of autograd, 1e-6 as they come, are set to
TOLERANCES = {"torch": 1e-6, "jax": 1e-6, "autograd": 1e-8}
#: what JAX steps by where its tolerances are tight: the usual 1e-4 is too coarse for them
STEP = 1e-5
OURS = ("gradcheck", "gradcheck full")


class Said(NamedTuple):
    """What a checker said of a target, and what it took; of a peer, "passes" or "fails"."""

    word: str
    evaluations: int = 0
    seconds: float = 0.0
    reason: str = ""

    @property
    def passes(self) -> bool:
        """Whether a user would have gone on."""
        return self.word in ("right", "passes")


Checker = Callable[[Target, int], Said]


def ours(target: Target, seed: int, *, full: bool = False) -> Said:
    """`gradcheck.check` at one size: the verdict; "law" where no gradient is wrong and a law is broken."""
    started = time.perf_counter()
    try:
        report = gradcheck.check(target, seed=seed, full=full, explain=False)
    except gradcheck.TargetError as error:
        return Said("raises", 0, time.perf_counter() - started, str(error))
    law = report.verdict == "wrong" and all(block.verdict != "wrong" for block in report.blocks.values())
    told = [block.message for block in report.blocks.values() if block.verdict == report.verdict]
    told += [law.message for law in report.laws.values() if not law.holds]
    word = "law" if law else report.verdict
    return Said(word, report.evaluations, report.seconds, "; ".join(dict.fromkeys(filter(None, told))))


class Wrapped:
    """A target as a function of one float64 array for each parameter, its losses counted."""

    def __init__(self, target: Target, seed: int) -> None:
        """Start where the target stands."""
        self.target = target
        target.draw_cotangents(cotangent_rng(seed))
        base = target.values()
        self.dtypes = {name: array.dtype for name, array in base.items()}
        self.start = [array.astype(np.float64) for array in base.values()]
        self.evaluations = 0

    def _values(self, arrays: tuple[Any, ...]) -> dict[str, Any]:
        named = zip(self.dtypes.items(), arrays, strict=True)
        return {name: np.array(array, dtype=dtype) for (name, dtype), array in named}

    def loss(self, *arrays: Any) -> Any:
        """The loss, as a float64 scalar."""
        self.evaluations += 1
        return np.asarray(self.target.loss_at(self._values(arrays)), dtype=np.float64).reshape(())

    def grads(self, *arrays: Any) -> tuple[Any, ...]:
        """The target's own gradients, in the order of the arrays."""
        found = self.target.grads_at(self._values(arrays))
        return tuple(np.array(found[name], dtype=np.float64) for name in self.dtypes)


def peer(check: Callable[[Wrapped, int], None], target: Target, seed: int) -> Said:
    """Whether a peer's check returns, whatever it is that it raises otherwise."""
    started = time.perf_counter()
    with target.preserved():
        wrapped = None
        try:
            wrapped = Wrapped(target, seed)
            check(wrapped, seed)
            word, reason = "passes", ""
        except Exception as error:
            word, reason = "fails", " ".join(str(error).split())[:200]
    return Said(word, wrapped.evaluations if wrapped else 0, time.perf_counter() - started, reason)


def by_torch(wrapped: Wrapped, seed: int, *, fast: bool = False, tolerance: float | None = None) -> None:
    """torch.autograd.gradcheck."""
    torch = importlib.import_module("torch")

    def forward(context: Any, *tensors: Any) -> Any:
        context.save_for_backward(*tensors)
        return torch.tensor(wrapped.loss(*(tensor.detach().numpy() for tensor in tensors)))

    def backward(context: Any, upstream: Any) -> Any:
        found = wrapped.grads(*(tensor.detach().numpy() for tensor in context.saved_tensors))
        return tuple(upstream * torch.tensor(gradient) for gradient in found)

    body = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    loss: Any = type("Loss", (torch.autograd.Function,), body)
    torch.manual_seed(seed)
    tensors = [torch.tensor(array, requires_grad=True) for array in wrapped.start]
    strict = {} if tolerance is None else {"rtol": tolerance, "atol": tolerance}
    torch.autograd.gradcheck(loss.apply, tensors, fast_mode=fast, **strict)


def by_jax(wrapped: Wrapped, _: int, *, tolerance: float | None = None) -> None:
    """jax.test_util.check_grads, which draws its direction from a seed of its own, always the same."""
    jax, test_util = importlib.import_module("jax"), importlib.import_module("jax.test_util")
    jax.config.update("jax_enable_x64", True)
    shapes = tuple(jax.ShapeDtypeStruct(array.shape, np.float64) for array in wrapped.start)

    def value(*arrays: Any) -> Any:
        return jax.pure_callback(wrapped.loss, jax.ShapeDtypeStruct((), np.float64), *arrays)

    def forward(*arrays: Any) -> tuple[Any, Any]:
        return value(*arrays), arrays

    def backward(arrays: Any, upstream: Any) -> Any:
        return tuple(upstream * gradient for gradient in jax.pure_callback(wrapped.grads, shapes, *arrays))

    loss = jax.custom_vjp(value)
    loss.defvjp(forward, backward)
    start = [jax.numpy.asarray(array) for array in wrapped.start]
    step = None if tolerance is None else STEP
    test_util.check_grads(loss, start, order=1, modes=["rev"], rtol=tolerance, atol=tolerance, eps=step)


def by_autograd(wrapped: Wrapped, seed: int, *, tolerance: float | None = None) -> None:
    """autograd.test_util.check_grads, all parameters together; its tolerances are constants of the module."""
    extend, test_util = importlib.import_module("autograd.extend"), importlib.import_module("autograd.test_util")

    def pulled(wanted: Sequence[int], _: Any, arrays: tuple[Any, ...], __: Any) -> Callable[[Any], list[Any]]:
        def back(upstream: Any) -> list[Any]:
            found = wrapped.grads(*arrays)
            return [upstream * found[position] for position in wanted]

        return back

    loss = extend.primitive(lambda *arrays: float(wrapped.loss(*arrays)))
    extend.defvjp_argnums(loss, pulled)
    np.random.seed(seed)  # noqa: NPY002  # where it draws from
    allowed = test_util.TOL if tolerance is None else tolerance
    with mock.patch.multiple(test_util, TOL=allowed, RTOL=allowed):
        test_util.check_grads(loss, argnum=tuple(range(len(wrapped.start))), modes=["rev"], order=1)(*wrapped.start)


def checkers() -> tuple[dict[str, Checker], list[str]]:
    """Every checker that can be run here, by name; and the peers that are not installed."""
    peers: dict[str, dict[str, Callable[..., None]]] = {
        "torch": {"torch slow": by_torch, "torch fast": partial(by_torch, fast=True)},
        "jax": {"JAX": by_jax},
        "autograd": {"autograd": by_autograd},
    }
    found: dict[str, Checker] = {OURS[0]: ours, OURS[1]: partial(ours, full=True)}
    missing = [library for library in peers if importlib.util.find_spec(library) is None]
    for library, checks in peers.items():
        for name, check in checks.items() if library not in missing else ():
            found[name] = partial(peer, check)
            found[f"{name}, tight"] = partial(peer, partial(check, tolerance=TOLERANCES[library]))
    return found, missing


def one_thread() -> None:
    """Small arrays gain nothing by more, and threads that wait for each other are what would be timed."""
    with suppress(ImportError):
        importlib.import_module("torch").set_num_threads(1)
