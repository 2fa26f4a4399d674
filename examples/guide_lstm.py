"""An LSTM as guides print it: three functions and a dict of weights, and what is wrong with them.

Rows are samples, X = [h_old, one-hot x], the cache is a tuple. Whoever types the guide in meets its
mistakes one by one; here each stands behind a switch of `Defects`. To audit another mixture, name it::

    gradcheck check examples/guide_lstm.py                                  # as printed
    GUIDE_DEFECTS=none gradcheck check examples/guide_lstm.py               # everything repaired: all right
    GUIDE_DEFECTS=biases_not_reduced gradcheck check examples/guide_lstm.py # one alone, or several: name,name
    python examples/guide_lstm.py                                           # what a check says of each alone

"As printed" (the default) is all that can run at once. The guide was written for one sample, where a bias
gradient needs no sum over the batch; and it indexes row 1, which only a batch of two or more has. Both
together run at no batch size, so `biases_not_reduced` is off unless it is named.

Two more mistakes are repaired without a switch, since nothing runs with them: the cache and its unpacking
were left out, and `lstm_forward` was called with an argument ``train=True`` that it does not take. Two are
about where training starts, so that no check of gradients can see them: the scale of ``Wy``, and forget
gates that begin half shut.
"""

# ruff: noqa: SIM108  a mistake and its repair stand on lines of their own, so that a line can be named

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from numpy import tanh
from numpy.typing import NDArray

import gradcheck

Array: TypeAlias = NDArray[Any]
Model: TypeAlias = dict[str, Array]
State: TypeAlias = tuple[Array, Array]


@dataclass(frozen=True)
class Defects:
    """One switch for each mistake; those on by default are the guide as printed."""

    #: the gradient of the logits is taken at row 1, whatever the sample: an IndexError in a batch of one
    dy_indexes_row_1: bool = True
    #: bias gradients keep their batch axis: a ValueError in a batch of two
    biases_not_reduced: bool = False
    #: σ' and tanh' of the activated gates and candidate, by helpers that activate once more
    derivative_of_activated: bool = True
    #: the other convention, helpers for activated values, used for the one that is not: the cell state
    derivative_of_raw: bool = False
    #: the loss is a mean over time, the gradients are sums
    mean_loss_summed_gradients: bool = True
    #: exp without a shift, and the logarithm of a probability that may be zero
    unstable_softmax: bool = True
    #: Wy is scaled by the number of its outputs: logits too large for a small vocabulary
    wy_scaled_by_fan_out: bool = True
    #: forget gates begin half shut: what a cell holds fades by half in every step
    forget_bias_0: bool = True

    @classmethod
    def only(cls, *names: str) -> Defects:
        """These and no others."""
        known = [field.name for field in fields(cls)]
        for name in names:
            if name not in known:
                expected = f"printed, none, or some of {', '.join(known)}"
                raise ValueError(f"no defect is called {name!r}: expected {expected}")
        return cls(**{name: name in names for name in known})

    @classmethod
    def none(cls) -> Defects:
        """Everything repaired."""
        return cls.only()

    @classmethod
    def chosen(cls) -> Defects:
        """What GUIDE_DEFECTS names: ``printed`` (the default), ``none``, or names between commas."""
        names = os.environ.get("GUIDE_DEFECTS", "printed").strip()
        if names == "printed":
            return cls()
        return cls.none() if names == "none" else cls.only(*(name.strip() for name in names.split(",")))


def init_model(rng: np.random.Generator, D: int, H: int, defects: Defects) -> Model:
    """D symbols, H hidden units."""
    Z = H + D
    if defects.wy_scaled_by_fan_out:
        fan = D
    else:
        fan = H
    if defects.forget_bias_0:
        bf = np.zeros((1, H))
    else:
        bf = np.ones((1, H))
    return {
        "Wf": rng.standard_normal((Z, H)) / np.sqrt(Z / 2),
        "Wi": rng.standard_normal((Z, H)) / np.sqrt(Z / 2),
        "Wc": rng.standard_normal((Z, H)) / np.sqrt(Z / 2),
        "Wo": rng.standard_normal((Z, H)) / np.sqrt(Z / 2),
        "Wy": rng.standard_normal((H, D)) / np.sqrt(fan / 2),
        "bf": bf,
        "bi": np.zeros((1, H)),
        "bc": np.zeros((1, H)),
        "bo": np.zeros((1, H)),
        "by": np.zeros((1, D)),
    }


def sigmoid(z: Array) -> Array:
    """The logistic function by way of tanh, which does not overflow."""
    return np.asarray(0.5 + 0.5 * tanh(0.5 * z))


def dsigmoid(z: Array) -> Array:
    """σ' at the pre-activation z."""
    return np.asarray(sigmoid(z) * (1 - sigmoid(z)))


def dtanh(z: Array) -> Array:
    """tanh' at the pre-activation z."""
    return np.asarray(1 - tanh(z) ** 2)


def dsigmoid_of(s: Array) -> Array:
    """σ' where σ has the value s."""
    return np.asarray(s * (1 - s))


def dtanh_of(t: Array) -> Array:
    """tanh' where tanh has the value t."""
    return np.asarray(1 - t**2)


def softmax(logits: Array, defects: Defects) -> Array:
    """Probabilities, row by row."""
    if defects.unstable_softmax:
        powers = np.exp(logits)
    else:
        powers = np.exp(logits - logits.real.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def cross_entropy(y: Array, prob: Array, labels: Array, defects: Defects) -> Any:
    """The loss of one time step, summed over the batch; y are the logits that `prob` was made of."""
    rows = np.arange(len(labels))
    if defects.unstable_softmax:
        return -np.log(prob[rows, labels]).sum()
    shifted = y - y.real.max(axis=1, keepdims=True)
    return (np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, labels]).sum()


def lstm_forward(model: Model, X: Array, state: State, defects: Defects) -> tuple[Array, State, Any]:
    """One time step for a batch of symbols X: probabilities, the state after it, and the cache."""
    h_old, c_old = state
    one_hot = np.zeros((len(X), len(model["by"][0])))
    one_hot[np.arange(len(X)), X] = 1.0
    XH = np.hstack([h_old, one_hot])

    hf = sigmoid(XH @ model["Wf"] + model["bf"])
    hi = sigmoid(XH @ model["Wi"] + model["bi"])
    ho = sigmoid(XH @ model["Wo"] + model["bo"])
    hc = tanh(XH @ model["Wc"] + model["bc"])
    c = hf * c_old + hi * hc
    h = ho * tanh(c)

    y = h @ model["Wy"] + model["by"]
    prob = softmax(y, defects)
    return prob, (h, c), (XH, hf, hi, ho, hc, c_old, c, h, y)


def lstm_backward(
    model: Model, prob: Array, labels: Array, d_next: State, cache: Any, steps: int, defects: Defects
) -> tuple[Model, State]:
    """The adjoint of one of `steps` time steps: its gradients, and the cotangents of the state before it."""
    XH, hf, hi, ho, hc, c_old, c, h, _ = cache
    dh_next, dc_next = d_next

    dy = prob.copy()
    if defects.dy_indexes_row_1:
        dy[1, labels] -= 1.0
    else:
        dy[np.arange(len(labels)), labels] -= 1.0
    if not defects.mean_loss_summed_gradients:
        dy /= steps

    dh = dy @ model["Wy"].T + dh_next
    if defects.derivative_of_raw:
        dc = dc_next + ho * dh * dtanh_of(c)
    else:
        dc = dc_next + ho * dh * dtanh(c)

    if defects.derivative_of_activated:
        dho = dsigmoid(ho) * tanh(c) * dh
        dhf = dsigmoid(hf) * c_old * dc
        dhi = dsigmoid(hi) * hc * dc
        dhc = dtanh(hc) * hi * dc
    else:
        dho = dsigmoid_of(ho) * tanh(c) * dh
        dhf = dsigmoid_of(hf) * c_old * dc
        dhi = dsigmoid_of(hi) * hc * dc
        dhc = dtanh_of(hc) * hi * dc

    pre_activations = {"f": dhf, "i": dhi, "c": dhc, "o": dho}
    grads = {f"W{gate}": XH.T @ dz for gate, dz in pre_activations.items()} | {"Wy": h.T @ dy}
    for gate, dz in {**pre_activations, "y": dy}.items():
        if defects.biases_not_reduced:
            grads[f"b{gate}"] = dz
        else:
            grads[f"b{gate}"] = dz.sum(axis=0, keepdims=True)

    dXH = sum(dz @ model[f"W{gate}"].T for gate, dz in pre_activations.items())
    return grads, (np.asarray(dXH)[:, : h.shape[1]], hf * dc)


def forward_window(model: Model, X: Array, labels: Array, state: State, defects: Defects) -> tuple[Any, list[Any]]:
    """The mean loss over a window, and what its backward needs, step by step."""
    loss, steps = 0.0, []
    for x, label in zip(X, labels, strict=True):
        prob, state, cache = lstm_forward(model, x, state, defects)
        loss = loss + cross_entropy(cache[-1], prob, label, defects)
        steps.append((prob, label, cache))
    return loss / len(X), steps


def train_step(model: Model, X: Array, labels: Array, state: State, defects: Defects) -> tuple[Any, Model]:
    """The loss over a window of symbols X (T, B) followed by `labels` (T, B), and its gradients."""
    loss, steps = forward_window(model, X, labels, state, defects)
    d_next = np.zeros_like(state[0]), np.zeros_like(state[1])
    grads = {name: np.zeros_like(weight) for name, weight in model.items()}
    for prob, label, cache in reversed(steps):
        grad, d_next = lstm_backward(model, prob, label, d_next, cache, len(X), defects)
        for name in grads:
            grads[name] += grad[name]
    return loss, grads


# -- what is checked --------------------------------------------------------------------------------------


def _window(rng: np.random.Generator, T: int, B: int, D: int, H: int, shift: float = 0.0) -> gradcheck.Target:
    defects = Defects.chosen()
    model = init_model(rng, D, H, defects)
    model["by"] += shift
    X, labels = rng.integers(D, size=(T, B)), rng.integers(D, size=(T, B))
    state = rng.standard_normal((B, H)), rng.standard_normal((B, H))
    return gradcheck.Target(
        model,
        lambda: forward_window(model, X, labels, state, defects)[0],
        lambda: train_step(model, X, labels, state, defects)[1],
        inputs={"X": X, "labels": labels},
    )


@gradcheck.target
def guide_lstm(rng: np.random.Generator, *, T: int = 4, B: int = 2, D: int = 5, H: int = 3) -> gradcheck.Target:
    """One call of train_step: T time steps of B samples."""
    return _window(rng, T, B, D, H)


@gradcheck.target
def guide_shifted(rng: np.random.Generator, *, T: int = 4, B: int = 2, D: int = 5, H: int = 3) -> gradcheck.Target:
    """The same with 1000 added to every logit: a softmax does not change by that, and must not overflow."""
    return _window(rng, T, B, D, H, shift=1000.0)


def main() -> None:
    """What the check says of each mistake alone."""
    cases = {"as printed": Defects(), "nothing wrong": Defects.none()}
    cases |= {field.name: Defects.only(field.name) for field in fields(Defects)}
    asked = os.environ.get("GUIDE_DEFECTS")
    print(f"  {'mistake':28}{'one window':14}{'logits + 1000':14}")
    try:
        for label, defects in cases.items():
            on = [field.name for field in fields(defects) if getattr(defects, field.name)]
            os.environ["GUIDE_DEFECTS"] = ",".join(on) or "none"
            window = gradcheck.check(guide_lstm, explain=False).verdict
            shifted = gradcheck.check(guide_shifted, explain=False).verdict
            print(f"  {label:28}{window:14}{shifted:14}")
    finally:
        os.environ.pop("GUIDE_DEFECTS")
        if asked is not None:
            os.environ["GUIDE_DEFECTS"] = asked


if __name__ == "__main__":
    main()
