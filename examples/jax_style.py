"""A pure function ``f(params) -> (loss, grads)`` that changes nothing: the style of JAX, in plain NumPy.

It is what ``jax.value_and_grad`` returns, so a custom gradient rule in JAX is checked the same way. The
function is handed fresh arrays by `gradcheck.Target.from_function`; it may be handed complex ones too,
which it answers with a complex loss, and its derivatives are then exact to rounding.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import gradcheck

Array: TypeAlias = NDArray[Any]
Params: TypeAlias = dict[str, Array]


def loss_and_grads(params: Params, x: Array, target: Array) -> tuple[Any, Params]:
    """A minimal gated unit (Zhou et al. 2016) over x (T, D): how far its last state is from the target.

    With one gate, f_t = σ(x_t Wf + h Uf + bf), and the candidate g_t = tanh(x_t Wg + (f_t ∘ h) Ug + bg)::

        h_t = (1 - f_t) ∘ h + f_t ∘ g_t
    """
    tape, h = [], params["h0"]
    for step in x:
        f = 0.5 + 0.5 * np.tanh(0.5 * (step @ params["Wf"] + h @ params["Uf"] + params["bf"]))
        g = np.tanh(step @ params["Wg"] + (f * h) @ params["Ug"] + params["bg"])
        tape.append((step, h, f, g))
        h = (1 - f) * h + f * g
    loss = 0.5 * ((h - target) ** 2).sum()

    grads = {name: np.zeros_like(value) for name, value in params.items()}
    dh = h - target
    for step, previous, f, g in reversed(tape):
        dzg = dh * f * (1 - g**2)
        dgated = params["Ug"] @ dzg  # the cotangent of f ∘ h
        dzf = (dh * (g - previous) + dgated * previous) * f * (1 - f)
        for gate, dz, recurrent in (("f", dzf, previous), ("g", dzg, f * previous)):
            grads[f"W{gate}"] = grads[f"W{gate}"] + np.outer(step, dz)
            grads[f"U{gate}"] = grads[f"U{gate}"] + np.outer(recurrent, dz)
            grads[f"b{gate}"] = grads[f"b{gate}"] + dz
        dh = dh * (1 - f) + dgated * f + params["Uf"] @ dzf
    return loss, {**grads, "h0": dh}


@gradcheck.target
def gated_unit(rng: np.random.Generator, *, T: int = 4, D: int = 3, H: int = 5) -> gradcheck.Target:
    """All parameters, and the initial state, of a minimal gated unit."""
    x, target = rng.standard_normal((T, D)), rng.standard_normal(H)
    shapes = {"Wf": (D, H), "Uf": (H, H), "bf": (H,), "Wg": (D, H), "Ug": (H, H), "bg": (H,), "h0": (H,)}
    params = {name: rng.standard_normal(shape) / np.sqrt(shape[0]) for name, shape in shapes.items()}
    return gradcheck.Target.from_function(lambda params: loss_and_grads(params, x, target), params)
