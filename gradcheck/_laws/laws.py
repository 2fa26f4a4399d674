"""What every backward obeys and no finite difference is needed to see.

Each law is one function that asks for what it needs and returns a `Law`: whether it holds, and a message that says
what was found and what to do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck._common.arrays import Array, Values, as_complex, distance, entry_scale, norm
from gradcheck._common.errors import UserCodeError
from gradcheck._common.libraries import as_numpy
from gradcheck._common.wording import comma_separated
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._numeric.gradients import parse_gradients
from gradcheck._targets.pure_problems import VjpProblem
from gradcheck.report.records import Law

#: two results of the same arithmetic may differ by this many roundoffs (threads may add in another order)
SAME = 64.0
#: axes up to this long have every slice of an input tried for its influence
EVERY_SLICE = 8
#: how far an input is moved, in its own spreads, if the loss does not follow at once: it may be saturated
FAR = (100.0, -100.0)
#: powers of two near 1e-6 and 1e6: multiplying by them is exact in any precision, so linearity has to be as well
SCALES = (2.0**-20, 2.0**20)
#: powers of two near 1e-3 and 1e3, all that half precision has room for
HALF_SCALES = (2.0**-10, 2.0**10)
#: the unit roundoff of float32
SINGLE = float(np.finfo(np.float32).eps)


def scalar(raw: Any) -> Law:
    """The loss is one real number."""
    if isinstance(raw, (bool, np.bool_)):
        return Law("scalar", False, f"loss() returned the bool {raw}: expected one float")
    array = np.asarray(as_numpy(raw))
    if array.dtype.kind not in "fciu":
        return Law("scalar", False, f"loss() returned {type(raw).__name__} {raw!r:.40}: expected one float")
    if array.dtype.kind == "c":
        return Law(
            "scalar", False, f"loss() returned a complex number, {raw!r:.60}: expected one float; return its real part"
        )
    if array.ndim:
        mend = "return it as a float, with .item()" if array.size == 1 else "sum or average it to one number"
        return Law("scalar", False, f"loss() returned an array of shape {array.shape}: expected one float; {mend}")
    return Law("scalar", True, "the loss is one number")


def finite_loss(value: complex) -> Law:
    """The loss is finite."""
    if math.isfinite(value.real):
        return Law("finite", True, "the loss and the gradients are finite")
    return Law(
        "finite", False, f"loss() returned {value.real}: nothing can be checked at a point where the loss is not finite"
    )


def repeatability(first: complex, second: complex, epsilon: float) -> Law:
    """The loss is the same when it is asked twice."""
    if first == second or abs(first - second) <= SAME * epsilon * abs(first):
        return Law("repeatability", True, "the loss is the same when asked twice")
    return Law(
        "repeatability",
        False,
        f"the loss was {first.real:.9g} and, asked again, {second.real:.9g}: it is random, or carries state from call "
        "to call; draw dropout masks and noise once, or restore the state in reset=",
        breach="inconclusive",
    )


def purity(changed_by_loss: list[str], changed_by_grads: list[str]) -> Law:
    """Parameters, inputs and cotangents are as they were after a call."""
    parts = []
    for function, names in (("loss()", changed_by_loss), ("grads()", changed_by_grads)):
        if names:
            parts.append(f"{function} changed {comma_separated(names)} in place")
    if not parts:
        return Law("purity", True, "parameters, inputs and cotangents are left as they were")
    return Law("purity", False, f"{' and '.join(parts)}: work on a copy, so that the caller's arrays stay as they were")


def statelessness(first: Values, second: Values, epsilon: float | Mapping[str, float]) -> Law:
    """The gradients are the same when they are asked twice."""
    differing = _names_that_differ(second, first, epsilon)
    if not differing:
        return Law("statelessness", True, "the gradients are the same when asked twice")
    doubled = not _names_that_differ(second, {name: 2 * first[name] for name in differing}, epsilon)
    cause = (
        "twice as large: accumulators are not set to zero between calls"
        if doubled
        else "different: a gradient, an accumulator or a mask is carried over from the call before"
    )
    found = f"a second call of grads() at the same point makes the gradients of {comma_separated(differing)}"
    return Law("statelessness", False, f"{found} {cause}")


def linearity(evaluator: Evaluator, rng: np.random.Generator, epsilon: float) -> Law:
    """The backward is linear in its cotangents: B(s v) = s B(v) and B(v + w) = B(v) + B(w).

    Scales from 1e-6 to 1e6 are seen at machine precision: clipping and thresholds inside the backward show here. Sums
    are rounded; they are compared to within single precision, which the backward may use where nobody sees it.
    """
    problem = evaluator.target.problem
    assert isinstance(problem, VjpProblem)
    base = evaluator.base
    v = problem.cotangents
    w = [rng.standard_normal(np.shape(part)).astype(part.dtype) for part in v]

    def pulled(cotangents: list[Array]) -> Values:
        return parse_gradients(problem.pull_back(base, cotangents), base)[1]

    at_v = pulled(v)
    for factor in SCALES if epsilon <= SINGLE else HALF_SCALES:
        scaled = pulled([np.asarray(factor * part, dtype=part.dtype) for part in v])
        expected = {name: factor * grad.astype(np.float64) for name, grad in at_v.items()}
        broken = _names_that_differ(scaled, expected, epsilon)
        if broken:
            found = _describe_scaling(factor, at_v[broken[0]], scaled.get(broken[0]))
            mend = "look for a clip, a threshold or a normalisation inside the backward"
            return Law("linearity", False, f"{found}, for {comma_separated(broken)}: {mend}")
    at_w, at_sum = pulled(w), pulled([part + more for part, more in zip(v, w, strict=True)])
    expected = {name: at_v[name] + at_w[name] for name in at_v if name in at_w}
    broken = [name for name in at_v if name not in at_w]
    broken += _names_that_differ(at_sum, expected, max(epsilon, SINGLE), at_v, at_w)
    if broken:
        mend = "look for a term that the cotangents do not multiply, or an accumulator that is not set to zero"
        return Law("linearity", False, f"B(v + w) is not B(v) + B(w) for {comma_separated(broken)}: {mend}")
    return Law("linearity", True, "the backward is linear in the cotangents, at scales 1e-6 to 1e6")


def _describe_scaling(factor: float, before: Array, after: Array | None) -> str:
    """What became of a gradient when the cotangents were scaled by a factor."""
    if after is None:
        return f"scaling the cotangents by {factor:g} leaves no gradient to compare"
    grown = norm(after) / (norm(before) or math.inf)
    if math.isclose(grown, factor, rel_tol=1e-3):
        return f"scaling the cotangents by {factor:g} does not scale all entries of the gradients by as much"
    only = "only " if grown < factor else ""
    return f"scaling the cotangents by {factor:g} scales the gradients by {only}{grown:.3g}"


def dependence(evaluator: Evaluator, rng: np.random.Generator) -> Law:
    """The loss follows every declared input, and each of its slices along the first axis where there are few."""
    inputs = evaluator.target.inputs()
    complaints = [
        text for name, array in inputs.items() if array.size for text in _unread_parts(evaluator, name, array, rng)
    ]
    if complaints:
        mend = "read it in loss(), or leave it out of inputs="
        return Law("dependence", False, f"{'; '.join(complaints)}: {mend}")
    told = f"the loss depends on {comma_separated(list(inputs))}" if inputs else "no inputs were declared"
    return Law("dependence", True, told)


def _unread_parts(evaluator: Evaluator, name: str, array: Array, rng: np.random.Generator) -> list[str]:
    original = array.copy()
    others = [_perturbed_copy(original, rng)]
    if array.dtype.kind == "f":
        others += [np.asarray(original + far * _spread(original), dtype=array.dtype) for far in FAR]

    def noticed(part: Any) -> bool:
        return any(noticed_as(part, other) for other in others)

    def noticed_as(part: Any, other: Array) -> bool:
        array[part] = other[part]
        try:
            return as_complex(evaluator.raw_loss()) != evaluator.loss_value
        except UserCodeError:
            return True  # a value out of its range was read, and refused
        finally:
            array[...] = original

    # An output layer of zeros hides its inputs, a saturated gate one step: then nothing is verified, and this is said.
    if not noticed(...):
        if _read_at_other_parameters(evaluator, array, ..., others[0], rng):
            return []
        return [f"the loss stays {evaluator.loss_value:.9g} whatever {name!r} holds"]
    if array.ndim == 0 or not 2 <= len(array) <= EVERY_SLICE:
        return []
    seen = [noticed(slice(k, k + 1)) for k in range(len(array))]
    # The influence of early steps may fade below rounding; that of late ones cannot fade while early ones are seen.
    unread = [
        k
        for k in range(len(array))
        if not seen[k]
        and any(seen[:k])
        and not _read_at_other_parameters(evaluator, array, slice(k, k + 1), others[0], rng)
    ]
    return [f"the loss does not change with {name!r}[{', '.join(map(str, unread))}]"] if unread else []


def _read_at_other_parameters(
    evaluator: Evaluator, array: Array, part: Any, other: Array, rng: np.random.Generator
) -> bool:
    """Whether the loss follows an input where the parameters are other ones: none of them zero, or all small."""
    moves = {name: rng.uniform(0.25, 0.75, value.shape) for name, value in evaluator.base.items()}
    original = array.copy()
    for point in (
        {name: value + entry_scale(value) * moves[name] for name, value in evaluator.base.items()},
        {name: np.copysign(moves[name], value) / math.sqrt(value.size or 1) for name, value in evaluator.base.items()},
        {name: moves[name] / math.sqrt(value.size or 1) for name, value in evaluator.base.items()},
    ):
        values = {name: np.asarray(point[name], dtype=value.dtype) for name, value in evaluator.base.items()}
        try:
            before = as_complex(evaluator.raw_loss(values))
            array[part] = other[part]
            if math.isfinite(before.real) and as_complex(evaluator.raw_loss(values)) != before:
                return True
        except UserCodeError:
            continue  # the code need not run there
        finally:
            array[...] = original
    return False


def _perturbed_copy(array: Array, rng: np.random.Generator) -> Array:
    """Values of the same kind and range, different in every entry."""
    if array.dtype.kind == "b":
        return np.logical_not(array)
    if array.dtype.kind in "iu":
        values = np.unique(array)
        if len(values) > 1:
            return np.asarray(np.roll(values, -1)[np.searchsorted(values, array)], dtype=array.dtype)
        return np.asarray(array - 1 if values[0] > 0 else array + 1, dtype=array.dtype)
    moves = rng.choice([-1.0, 1.0], array.shape) * rng.uniform(0.5, 1.0, array.shape)
    return np.asarray(array + _spread(array) * moves, dtype=array.dtype)


def _spread(array: Array) -> float:
    return float(np.std(array)) or 1.0


def _names_that_differ(
    got: Values, expected: Values, epsilon: float | Mapping[str, float], *terms: Values
) -> list[str]:
    """Names whose arrays differ by more than rounding, measured against the terms they are sums of.

    The unit roundoff may be another one for each name.

    A gradient that cancels to zero is rounding error itself, as large as that of others: it is measured against theirs.
    """
    size = {name: sum(norm(term[name]) for term in terms or (expected,)) for name in expected}
    each = epsilon if isinstance(epsilon, Mapping) else dict.fromkeys(expected, epsilon)
    coarse = max(each.values(), default=0.0) > 1e-10
    least = max(size.values(), default=0.0) / 8 + float(np.finfo(np.float32 if coarse else np.float64).tiny)
    return [
        name
        for name in expected
        if name not in got or not distance(got[name], expected[name]) <= SAME * each[name] * max(size[name], least)
    ]
