"""Random recurrent networks with right gradients, most of them in an awkward place: what a checker must not accuse.

`draw(seed)` is a target and what is awkward about it. Cells, losses, sizes, scales, precisions and the ways into a
`Target` are combined at random; every backward is written out by hand, and every forward takes complex numbers unless
what is awkward about it forbids them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradcheck import Target

Arrays = dict[str, Any]
Rng = np.random.Generator

#: what may be awkward, and how often it is drawn beside the others
AWKWARD = {
    "kink": 3,
    "float32": 2,
    "mixed precision": 3,
    "saturated": 2,
    "small or large gradients": 2,
    "large loss": 2,
    "long": 1,
    "mask": 1,
    "dropout": 1,
    "tied weights": 1,
    "embedding": 2,
    "penalty": 1,
    "unused parameter": 1,
    "domain": 2,
    "not deterministic": 1,
}
#: where differences do not tell right from wrong by themselves
IMPRECISE = frozenset({"kink", "float32", "mixed precision", "not deterministic"})
#: together, gradients of 1e-12 below a loss of 1e6, no difference can see
APART = {"small or large gradients", "large loss"}
#: the probabilities of none, one and two awkward things at once
AT_ONCE = (0.2, 0.45, 0.35)


class Case(NamedTuple):
    """A target whose gradients are right, and what is awkward about it."""

    target: Target
    awkward: tuple[str, ...]
    told: str

    @property
    def is_smooth(self) -> bool:
        """Float64 code without kinks: what can be decided."""
        return not IMPRECISE.intersection(self.awkward)


# -- cells: a state of `width` times H columns, of which the first H are its output ------------------------------------


class Cell(NamedTuple):
    """``step(p, x, s) -> (s, tape)`` and ``back(p, tape, ds, g) -> (dx, ds)``, which adds to the gradients g."""

    width: int
    shapes: Callable[[int, int], dict[str, tuple[int, ...]]]
    step: Callable[[Arrays, Any, Any], tuple[Any, Any]]
    back: Callable[[Arrays, Any, Any, Arrays], tuple[Any, Any]]


def _sigmoid(z: Any) -> Any:
    return (1 + np.tanh(z / 2)) / 2


def _affine(D: int, H: int, gates: int) -> dict[str, tuple[int, ...]]:
    return {"W": (D, gates * H), "U": (H, gates * H), "b": (gates * H,)}


def _affine_back(p: Arrays, x: Any, h: Any, dz: Any, g: Arrays) -> tuple[Any, Any]:
    g["W"] += x.T @ dz
    g["U"] += h.T @ dz
    g["b"] += dz.sum(axis=0)
    return dz @ p["W"].T, dz @ p["U"].T


def _plain(act: Callable[[Any], Any], slope: Callable[[Any, Any], Any]) -> Cell:
    """h' = act(x W + h U + b); `slope` is of (z, act(z))."""

    def step(p: Arrays, x: Any, h: Any) -> tuple[Any, Any]:
        z = x @ p["W"] + h @ p["U"] + p["b"]
        y = act(z)
        return y, (x, h, z, y)

    def back(p: Arrays, tape: Any, ds: Any, g: Arrays) -> tuple[Any, Any]:
        x, h, z, y = tape
        return _affine_back(p, x, h, ds * slope(z, y), g)

    return Cell(1, lambda D, H: _affine(D, H, 1), step, back)


def _lstm_step(p: Arrays, x: Any, s: Any) -> tuple[Any, Any]:
    h, c = np.split(s, 2, axis=1)
    i, f, g, o = np.split(x @ p["W"] + h @ p["U"] + p["b"], 4, axis=1)
    i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
    new = f * c + i * g
    squashed = np.tanh(new)
    return np.hstack([o * squashed, new]), (x, h, c, i, f, g, o, squashed)


def _lstm_back(p: Arrays, tape: Any, ds: Any, grads: Arrays) -> tuple[Any, Any]:
    x, h, c, i, f, g, o, squashed = tape
    dh, dc = np.split(ds, 2, axis=1)
    dc = dc + dh * o * (1 - squashed**2)
    dz = np.hstack(
        [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * squashed * o * (1 - o)],
    )
    dx, dh = _affine_back(p, x, h, dz, grads)
    return dx, np.hstack([dh, dc * f])


def _gru_shapes(D: int, H: int) -> dict[str, tuple[int, ...]]:
    return {**_affine(D, H, 2), "Wg": (D, H), "Ug": (H, H), "bg": (H,)}


def _gru_step(p: Arrays, x: Any, h: Any) -> tuple[Any, Any]:
    u, r = np.split(_sigmoid(x @ p["W"] + h @ p["U"] + p["b"]), 2, axis=1)
    g = np.tanh(x @ p["Wg"] + (r * h) @ p["Ug"] + p["bg"])
    return u * h + (1 - u) * g, (x, h, u, r, g)


def _gru_back(p: Arrays, tape: Any, ds: Any, grads: Arrays) -> tuple[Any, Any]:
    x, h, u, r, g = tape
    dg = ds * (1 - u) * (1 - g**2)
    grads["Wg"] += x.T @ dg
    grads["Ug"] += (r * h).T @ dg
    grads["bg"] += dg.sum(axis=0)
    dreset = dg @ p["Ug"].T
    dx, dh = _affine_back(p, x, h, np.hstack([ds * (h - g) * u * (1 - u), dreset * h * r * (1 - r)]), grads)
    return dx + dg @ p["Wg"].T, dh + ds * u + dreset * r


def _leaky_shapes(D: int, H: int) -> dict[str, tuple[int, ...]]:
    return {**_affine(D, H, 1), "rate": ()}


def _leaky_step(p: Arrays, x: Any, h: Any) -> tuple[Any, Any]:
    z = x @ p["W"] + h @ p["U"] + p["b"]
    rate, length = _sigmoid(p["rate"]), np.sqrt(1 + z**2)
    g = z / length
    return h + rate * (g - h), (x, h, length, rate, g)


def _leaky_back(p: Arrays, tape: Any, ds: Any, grads: Arrays) -> tuple[Any, Any]:
    x, h, length, rate, g = tape
    grads["rate"] += np.sum(ds * (g - h)) * rate * (1 - rate)
    dx, dh = _affine_back(p, x, h, ds * rate / length**3, grads)
    return dx, dh + ds * (1 - rate)


SMOOTH = {
    "tanh": _plain(np.tanh, lambda _, y: 1 - y**2),
    "LSTM": Cell(2, lambda D, H: _affine(D, H, 4), _lstm_step, _lstm_back),
    "GRU": Cell(1, _gru_shapes, _gru_step, _gru_back),
    "leaky": Cell(1, _leaky_shapes, _leaky_step, _leaky_back),
}
KINKED = {
    "ReLU": _plain(lambda z: np.where(z.real > 0, z, 0 * z), lambda z, _: z > 0),
    "hard tanh": _plain(
        lambda z: np.where(np.abs(z.real) < 1, z, np.sign(z.real)).astype(z.dtype), lambda z, _: np.abs(z) < 1
    ),
    "leaky ReLU": _plain(
        lambda z: np.where(z.real > 0, z, z.dtype.type(0.1) * z), lambda z, _: np.where(z > 0, 1, z.dtype.type(0.1))
    ),
}


# -- losses: of the outputs and of what they should be; and the slope of the same --------------------------------------


class Loss(NamedTuple):
    """``value(outputs, goal)``, its slope, and what draws a goal for outputs."""

    value: Callable[[Any, Any], Any]
    slope: Callable[[Any, Any], Any]
    goal: Callable[[Rng, Any], Any]


def _normal(rng: Rng, outputs: Any) -> Any:
    return rng.standard_normal(outputs.shape)


def _signs(rng: Rng, outputs: Any) -> Any:
    return rng.choice([-1.0, 1.0], outputs.shape)


def _classes(rng: Rng, outputs: Any) -> Any:
    return rng.integers(0, outputs.shape[-1], outputs.shape[:-1]).astype(rng.choice(["u1", "i4", "i8"]))


def _probabilities(outputs: Any) -> Any:
    powers = np.exp(outputs - outputs.real.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _of_class(outputs: Any, goal: Any) -> Any:
    shifted = outputs - outputs.real.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(shifted, goal[..., None].astype(int), axis=-1)[..., 0]
    return np.mean(np.log(np.exp(shifted).sum(axis=-1)) - chosen)


def _of_class_slope(outputs: Any, goal: Any) -> Any:
    slope = _probabilities(outputs)
    one_hot = np.eye(outputs.shape[-1], dtype=outputs.dtype)[goal.astype(int)]
    return (slope - one_hot) / goal.size


def _in_domain(outputs: Any, goal: Any) -> Any:
    inside = outputs - goal
    if np.any(inside.real <= 0):
        raise ValueError("the logarithm of what is not positive")
    return -np.sum(np.log(inside))


def _edge(rng: Rng, outputs: Any) -> Any:
    return outputs - 10.0 ** rng.uniform(-4, 0, outputs.shape)


LOSSES = {
    "squares": Loss(lambda o, y: np.sum((o - y) ** 2) / 2, lambda o, y: o - y, _normal),
    "mean of squares": Loss(lambda o, y: np.mean((o - y) ** 2), lambda o, y: 2 * (o - y) / o.size, _normal),
    "cross-entropy": Loss(_of_class, _of_class_slope, _classes),
    "Poisson": Loss(lambda o, y: np.sum(np.exp(o) - y * o), lambda o, y: np.exp(o) - y, _normal),
    "logistic": Loss(lambda o, y: np.sum(np.log(1 + np.exp(-o * y))), lambda o, y: -y / (1 + np.exp(o * y)), _signs),
}
KINKED_LOSSES = {
    "hinge": Loss(lambda o, y: np.sum(np.maximum(1 - y * o, 0)), lambda o, y: np.where(y * o < 1, -y, 0 * y), _signs),
    "absolute": Loss(lambda o, y: np.sum(np.abs(o - y)), lambda o, y: np.sign(o - y), _normal),
    "Huber": Loss(
        lambda o, y: np.sum(np.where(np.abs(o - y) < 1, (o - y) ** 2 / 2, np.abs(o - y) - o.dtype.type(0.5))),
        lambda o, y: np.clip(o - y, -1, 1),
        _normal,
    ),
}
DOMAIN = Loss(_in_domain, lambda o, y: -1 / (o - y), _edge)


# -- a network ---------------------------------------------------------------------------------------------------------


class Network:
    """Inputs or tokens, one or two layers of a cell, perhaps a mask and dropout, and a read-out of each state."""

    def __init__(self, rng: Rng, awkward: tuple[str, ...]) -> None:
        """Draw everything that stays as it is, and the parameters."""
        self.awkward = awkward
        self.tied = "tied weights" in awkward
        self.T, self.B, D, self.H = (int(rng.integers(1, top)) for top in (6, 5, 6, 7))
        if "long" in awkward:
            self.T, self.B = int(rng.integers(30, 120)), int(rng.integers(1, 3))
        self.D = self.H if self.tied else D
        kinked = "kink" in awkward and "saturated" not in awkward and rng.random() < 0.6
        cells = KINKED if kinked else SMOOTH
        self.cell_name = str(rng.choice(list(cells)))
        self.cell = cells[self.cell_name]
        self.layers = int(rng.integers(1, 3))
        self.K = int(rng.integers(2, 6))
        self.constants = self._constants(rng)
        self.params = self._parameters(rng)
        if kinked and rng.random() < 0.2:
            self._stand_on_the_kink()

    def _constants(self, rng: Rng) -> Arrays:
        T, B, H = self.T, self.B, self.H
        constants: Arrays = {}
        if self.tied or "embedding" in self.awkward:
            constants["tokens"] = rng.integers(0, self.K, (T, B)).astype(rng.choice(["u1", "i4", "i8"]))
        else:
            constants["x"] = rng.standard_normal((T, B, self.D))
        if "mask" in self.awkward:
            lengths = rng.integers(1, T + 1, B)
            lengths[0] = T  # a batch is padded to its longest sequence, and no further
            constants["mask"] = (np.arange(T)[:, None] < lengths).astype(float)[:, :, None]
        if "dropout" in self.awkward:
            drawn = rng.random((T, B, H))
            drawn[:, :, 0] = 0  # a step of which nothing is kept is not read
            constants["kept"] = (drawn < 0.75) / 0.75
        return constants

    def _parameters(self, rng: Rng) -> Arrays:
        shapes: dict[str, tuple[int, ...]] = {}
        if "tokens" in self.constants:
            shapes["E"] = (self.K, self.D)
        for layer in range(self.layers):
            of_cell = self.cell.shapes(self.H if layer else self.D, self.H)
            shapes |= {f"{name}{layer}": shape for name, shape in of_cell.items()}
            shapes[f"s{layer}"] = (self.B, self.cell.width * self.H)
        shapes |= {} if self.tied else {"V": (self.H, self.K)}
        shapes["c"] = (self.K,)
        scale = rng.uniform(0.1, 1.0) / (np.sqrt(self.T) if "long" in self.awkward else 1.0)
        params = {name: np.array(scale * rng.standard_normal(shape)) for name, shape in shapes.items()}
        if "saturated" in self.awkward:
            factor = 10.0 ** rng.uniform(1, 3)
            params |= {name: factor * array for name, array in params.items() if name[0] in "WUb"}
        if "x" in self.constants and rng.random() < 0.3:
            params["x"] = self.constants.pop("x")
        return params

    def _stand_on_the_kink(self) -> None:
        """Biases and states of zero, and a first input of zero: a pre-activation of exactly zero."""
        for name in self.params:
            if name[0] in "bs":
                self.params[name] *= 0
        for source in (self.constants, self.params):
            if "x" in source:
                source["x"][0] = 0

    def forward(self, p: Arrays, constants: Arrays) -> tuple[Any, Any]:
        """The outputs (T, B, K), and what the backward needs."""
        rows = p["E"][constants["tokens"]] if "E" in p else p["x"] if "x" in p else constants["x"]
        tapes = []
        for layer in range(self.layers):
            own = self._of_layer(p, layer)
            state, states, tape = p[f"s{layer}"], [], []
            for t in range(self.T):
                new, kept = self.cell.step(own, rows[t], state)
                if "mask" in constants:
                    mask = constants["mask"][t]
                    new = mask * new + (1 - mask) * state
                state = new
                tape.append(kept)
                states.append(state[:, : self.H])
            rows = np.array(states)
            tapes.append(tape)
        h = rows * constants["kept"] if "kept" in constants else rows
        return h @ (p["E"].T if self.tied else p["V"]) + p["c"], (h, tapes)

    def backward(self, p: Arrays, constants: Arrays, tape: Any, dout: Any) -> Arrays:
        """The gradients of <outputs, dout>."""
        h, tapes = tape
        g = {name: np.zeros(array.shape, np.result_type(array, dout)) for name, array in p.items()}
        out = p["E"].T if self.tied else p["V"]
        flat = h.reshape(-1, self.H).T @ dout.reshape(-1, self.K)
        g["E" if self.tied else "V"] += flat.T if self.tied else flat
        g["c"] += dout.sum(axis=(0, 1))
        drows = dout @ out.T
        drows = drows * constants["kept"] if "kept" in constants else drows
        for layer in reversed(range(self.layers)):
            own, gradients = self._of_layer(p, layer), self._of_layer(g, layer)
            ds, below = np.zeros_like(g[f"s{layer}"]), []
            for t in reversed(range(self.T)):
                ds = ds.copy()
                ds[:, : self.H] += drows[t]
                mask = constants["mask"][t] if "mask" in constants else 1
                dx, through = self.cell.back(own, tapes[layer][t], mask * ds, gradients)
                ds = through + (1 - mask) * ds
                below.append(dx)
            g[f"s{layer}"] += ds
            drows = np.array(below[::-1])
        if "x" in g:
            g["x"] += drows
        if "E" in g:
            np.add.at(g["E"], constants["tokens"], drows)
        return g

    @staticmethod
    def _of_layer(arrays: Arrays, layer: int) -> Arrays:
        return {name[:-1]: array for name, array in arrays.items() if name.endswith(str(layer))}


class Objective:
    """A network and a loss, with what is awkward about them: the losses and gradients a target hands over."""

    def __init__(self, rng: Rng, awkward: tuple[str, ...]) -> None:
        """Draw them."""
        self.rng, self.awkward = rng, awkward
        self.network = network = Network(rng, awkward)
        self.params = network.params
        kinked = "kink" in awkward and network.cell_name in SMOOTH
        losses = {"logarithm": DOMAIN} if "domain" in awkward else KINKED_LOSSES if kinked else LOSSES
        self.loss_name = str(rng.choice(list(losses)))
        self.cost = losses[self.loss_name]
        self.goal = self.cost.goal(rng, network.forward(self.params, network.constants)[0])
        self.gain = 10.0 ** (rng.choice([-1, 1]) * rng.uniform(3, 12)) if "small or large gradients" in awkward else 1.0
        self.offset = 10.0 ** rng.uniform(3, 6) if "large loss" in awkward else 0.0
        self.penalty = 10.0 ** rng.uniform(-4, 0) if "penalty" in awkward else 0.0
        self.noise = 10.0 ** rng.uniform(-12, -2) if "not deterministic" in awkward else 0.0
        if "unused parameter" in awkward:
            self.params["spare"] = rng.standard_normal(int(rng.integers(1, 4)))
        #: the types of the parameters, of what is computed with them, and of the gradients
        self.of_params, self.of_forward, self.of_grads = self._precisions()
        self.params = {name: array.astype(self.of_params) for name, array in self.params.items()}
        network.constants = {name: self._computed(array) for name, array in network.constants.items()}
        self.goal = self._computed(self.goal)

    def _precisions(self) -> tuple[Any, Any, Any]:
        single, double = np.float32, np.float64
        if "float32" in self.awkward:
            return single, single, single
        if "mixed precision" in self.awkward:
            mixtures = [(single, double, single), (single, double, double), (double, double, single)]
            return mixtures[int(self.rng.integers(len(mixtures)))]
        return double, double, double

    def _computed(self, array: Any) -> Any:
        """In the precision of the forward; what is complex or an integer stays so."""
        return array.astype(self.of_forward) if array.dtype.kind == "f" else array

    def outputs(self, params: Arrays) -> tuple[Any, Any]:
        """What the network makes of these parameters."""
        return self.network.forward({n: self._computed(a) for n, a in params.items()}, self.network.constants)

    def loss(self, params: Arrays) -> Any:
        """One number."""
        value = self.cost.value(self.outputs(params)[0], self.goal)
        if self.penalty:
            value = value + self.penalty * sum(np.sum(self._computed(array) ** 2) for array in params.values()) / 2
        value = self.gain * value + self.offset
        return value * (1 + self.noise * self.rng.standard_normal()) if self.noise else value

    def grads(self, params: Arrays) -> Arrays:
        """Its gradients."""
        outputs, tape = self.outputs(params)
        return self._finished(params, self._pulled(params, tape, self.gain * self.cost.slope(outputs, self.goal)))

    def _pulled(self, params: Arrays, tape: Any, dout: Any) -> Arrays:
        p = {name: self._computed(array) for name, array in params.items()}
        return self.network.backward(p, self.network.constants, tape, dout)

    def _finished(self, params: Arrays, grads: Arrays) -> Arrays:
        decay = self.gain * self.penalty
        return {
            name: np.asarray(gradient + decay * params[name], dtype=self.of_grads) for name, gradient in grads.items()
        }

    def target(self) -> Target:
        """By one of the ways into a target."""
        constants = {**self.network.constants, "goal": self.goal} if self.rng.random() < 0.5 else {}
        constants.pop("kept", None)
        constants.pop("mask", None)
        way = int(self.rng.integers(3))
        if way == 0:
            return Target.from_function(lambda p: (self.loss(p), self.grads(p)), self.params)
        params = self.params if way == 1 else {name: _holding(array) for name, array in self.params.items()}
        return Target(params, lambda: self.loss(self.params), lambda: self.grads(self.params), inputs=constants)

    def vjp_target(self) -> Target:
        """The outputs without a loss: the checker draws the cotangents."""

        def forward(*arrays: Any) -> tuple[Any, Any]:
            params = dict(zip(self.params, arrays, strict=True))
            outputs, tape = self.outputs(params)
            return outputs, (params, tape)

        def backward(cotangents: Any, cache: Any) -> Arrays:
            params, tape = cache
            grads = self._pulled(params, tape, cotangents)
            return {name: gradient.astype(self.of_grads) for name, gradient in grads.items()}

        return Target.from_vjp(forward, backward, self.params)


#: of a loss, which a forward alone does not have
OF_LOSSES = frozenset({"small or large gradients", "large loss", "penalty", "domain", "not deterministic"})


def draw(seed: int) -> Case:
    """The target of this number: the same number, the same target."""
    rng = np.random.default_rng([seed, 7])
    weights = np.array(list(AWKWARD.values()), float)
    count = int(rng.choice(len(AT_ONCE), p=AT_ONCE))
    awkward = tuple(str(one) for one in rng.choice(list(AWKWARD), count, replace=False, p=weights / weights.sum()))
    awkward = awkward[:1] if set(awkward) == APART else awkward
    objective = Objective(rng, awkward)
    bare = not OF_LOSSES.intersection(awkward) and objective.loss_name not in KINKED_LOSSES and rng.random() < 0.25
    network = objective.network
    told = f"{network.layers} x {network.cell_name}, {'no loss' if bare else objective.loss_name}"
    sizes = f"T={network.T} B={network.B} D={network.D} H={network.H} K={network.K}"
    return Case(objective.vjp_target() if bare else objective.target(), awkward, f"{told}, {sizes}")


def _holding(array: Any) -> Callable[[], Any]:
    return lambda: array
