"""How many right float32 networks with kinks a check accuses.

``python benchmarks/single_precision.py`` checks 2000 random recurrent networks with rectified units in float32,
whose gradients are written by hand and right. It prints how many are accused, and exits with 1 if one is; and how large
an error would have been seen in the gradients that are called right.
``--first`` and ``--count`` choose some of them, ``--seconds`` ends it early, and says after how many.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import gradcheck
from gradcheck import Target
from gradcheck._common.verdict import COARSE_SENSITIVITY

Arrays = dict[str, Any]
FLOAT = np.float32
#: what the variance of a normalisation is kept away from zero by
NORM_EPSILON = FLOAT(1e-5)


class Sizes(NamedTuple):
    """Steps, batch, inputs, hidden units, outputs."""

    T: int
    B: int
    D: int
    H: int
    K: int


def main() -> None:
    """Check them, print what was said."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="end after this time")
    options = parser.parse_args()
    until = time.monotonic() + options.seconds if options.seconds else float("inf")
    said: Counter[str] = Counter()
    seen: list[float] = []
    for seed in range(options.first, options.first + options.count):
        if time.monotonic() > until:
            break
        report = gradcheck.check(draw(seed), seed=seed, explain=False)
        said[report.verdict] += 1
        seen += [block.sensitivity or 0.0 for block in report.blocks.values() if block.verdict == "right"]
        if report.verdict == "wrong":
            wrong = [name for name, block in report.blocks.items() if block.verdict == "wrong"]
            print(f"accused: target {seed}, {', '.join(wrong) or 'a law'}")
    others = ", ".join(f"{count} {verdict}" for verdict, count in said.most_common() if verdict != "wrong")
    print(f"{said['wrong']} of {said.total()} right float32 networks with kinks accused; {others}")
    coarse = sum(one > COARSE_SENSITIVITY for one in seen)
    print(
        f"of {len(seen)} right gradients, errors of {np.median(seen or [0]):.1e} would be seen in half of them, ",
        end="",
    )
    print(f"of {max(seen, default=0.0):.1e} in all, and not all of {COARSE_SENSITIVITY:g} in {coarse}")
    sys.exit(bool(said["wrong"]))


def draw(seed: int) -> Target:
    """The network of this number: the same number, the same network."""
    rng = np.random.default_rng([seed, 11])
    sizes = Sizes(*(int(rng.integers(1, top)) for top in (6, 5, 5, 9, 5)))
    normed, leak = bool(rng.random() < 0.4), FLOAT(rng.choice([0.0, 0.0, 0.1]))
    params = _params(rng, sizes, normed)
    network = Network(params, sizes, leak, rng)
    # code that binds its weights anew takes no arrays of another precision
    handed: Any = params if rng.random() < 0.5 else (lambda: params)
    return Target(handed, network.loss, network.grads)


def _params(rng: np.random.Generator, sizes: Sizes, normed: bool) -> Arrays:
    _, _, D, H, K = sizes
    params = {
        "Wx": rng.standard_normal((D, H)) / np.sqrt(D),
        "Wh": rng.standard_normal((H, H)) / np.sqrt(H),
        "b": 0.3 * rng.standard_normal(H),
        "Wo": rng.standard_normal((H, K)) / np.sqrt(H),
        "bo": 0.1 * rng.standard_normal(K),
    }
    if normed:
        params |= {"gain": 1 + 0.1 * rng.standard_normal(H), "shift": 0.1 * rng.standard_normal(H)}
    return {name: array.astype(FLOAT) for name, array in params.items()}


class Network:
    """A recurrent network with rectified units, and a normalisation of each state where it has a gain."""

    def __init__(self, params: Arrays, sizes: Sizes, leak: Any, rng: np.random.Generator) -> None:
        """Draw the inputs and the targets."""
        self.params, self.sizes, self.leak = params, sizes, leak
        self.x = rng.standard_normal((sizes.T, sizes.B, sizes.D)).astype(FLOAT)
        self.y = rng.integers(0, 2, (sizes.T, sizes.B, sizes.K)).astype(FLOAT)
        self.count = FLOAT(sizes.T * sizes.B * sizes.K)

    def forward(self) -> list[tuple[Any, ...]]:
        """What each step computes."""
        p, tape = self.params, []
        h = np.zeros((self.sizes.B, self.sizes.H), FLOAT)
        for x in self.x:
            z = x @ p["Wx"] + h @ p["Wh"] + p["b"]
            a = np.maximum(z, self.leak * z)
            new, normal, spread = self._normalised(a)
            tape.append((h, z, normal, spread, new, new @ p["Wo"] + p["bo"]))
            h = new
        return tape

    def _normalised(self, a: Any) -> tuple[Any, Any, Any]:
        if "gain" not in self.params:
            return a, None, None
        apart = a - a.mean(-1, keepdims=True)
        spread = np.sqrt((apart**2).mean(-1, keepdims=True) + NORM_EPSILON)
        normal = apart / spread
        return normal * self.params["gain"] + self.params["shift"], normal, spread

    def loss(self) -> Any:
        """The mean logistic loss."""
        total = FLOAT(0)
        for y, (*_, out) in zip(self.y, self.forward(), strict=True):
            total = total + np.sum(np.maximum(out, 0) - out * y + np.log1p(np.exp(-np.abs(out))))
        return total / self.count

    def grads(self) -> Arrays:
        """The gradients, by hand."""
        p, tape = self.params, self.forward()
        found = {name: np.zeros_like(array) for name, array in p.items()}
        dh = np.zeros((self.sizes.B, self.sizes.H), FLOAT)
        for x, y, (h, z, normal, spread, new, out) in zip(self.x[::-1], self.y[::-1], tape[::-1], strict=True):
            dout = (1 / (1 + np.exp(-out)) - y) / self.count
            found["Wo"] += new.T @ dout
            found["bo"] += dout.sum(0)
            da = self._back_through_norm(dh + dout @ p["Wo"].T, normal, spread, found)
            dz = da * np.where(z > 0, FLOAT(1), self.leak)
            found["Wx"] += x.T @ dz
            found["Wh"] += h.T @ dz
            found["b"] += dz.sum(0)
            dh = dz @ p["Wh"].T
        return found

    def _back_through_norm(self, dnew: Any, normal: Any, spread: Any, found: Arrays) -> Any:
        if normal is None:
            return dnew
        found["gain"] += (dnew * normal).sum(0)
        found["shift"] += dnew.sum(0)
        dnormal = dnew * self.params["gain"]
        mean: Callable[[Any], Any] = lambda array: array.mean(-1, keepdims=True)  # noqa: E731 - used twice, below
        return (dnormal - mean(dnormal) - normal * mean(dnormal * normal)) / spread


if __name__ == "__main__":
    main()
