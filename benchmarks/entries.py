"""How many derivatives it takes to find the wrong entries of a large gradient.

``python benchmarks/entries.py`` spoils k random entries of a gradient of n, by errors from 1e-4 to 1, several times. It
prints how many directional derivatives were asked for (one evaluation of the loss each, by complex step), and how often
exactly those entries were found.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from numpy.typing import NDArray

from gradcheck._comparing.comparer import Comparer
from gradcheck._comparing.wrong_entries import find_wrong
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._numeric.scheme import Scheme
from gradcheck._targets.target import Target


def derivatives(n: int, k: int, seed: int) -> tuple[int, bool]:
    """(derivatives asked for, whether just the spoiled entries were found)."""
    rng = np.random.default_rng(seed)
    spoiled = np.sort(rng.choice(n, k, replace=False))
    errors = 10.0 ** -rng.uniform(0, 4, k)
    params = {"w": rng.standard_normal(n)}

    def grads() -> dict[str, NDArray[np.float64]]:
        gradient = np.cos(params["w"])
        gradient[spoiled] += errors
        return {"w": gradient}

    target = Target(params, lambda: np.sin(params["w"]).sum(), grads)
    evaluator = Evaluator(target)
    evaluator.loss_value = float(evaluator.raw_loss())
    comparer = Comparer(evaluator, grads(), seed)
    before = evaluator.evaluations
    # the first complex step is confirmed by real ones, once in a check
    evaluator.scheme = Scheme.COMPLEX
    wrong = find_wrong(comparer.probe("w"), comparer.gradients["w"], np.random.default_rng(seed))
    return evaluator.evaluations - before, np.array_equal(np.flatnonzero(wrong.mask), spoiled)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=10, help="draws of the wrong entries (default: 10)")
    times = parser.parse_args().times
    print(f"{'n':>8}{'k':>4}{'mean':>8}{'most':>6}{'/ k log2 n':>12}{'found':>7}")
    for n in (100, 10_000, 1_000_000):
        for k in (1, 2, 4, 8, 16):
            outcomes = [derivatives(n, k, seed) for seed in range(times)]
            counts = [count for count, _ in outcomes]
            mean, found = sum(counts) / times, sum(exact for _, exact in outcomes) / times
            print(f"{n:8}{k:4}{mean:8.1f}{max(counts):6}{mean / (k * math.log2(n)):12.2f}{found:7.0%}")


if __name__ == "__main__":
    main()
