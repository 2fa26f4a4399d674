"""What grads() returned, as arrays that can be compared; and what is wrong with the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.libraries import as_numpy
from gradcheck._common.wording import comma_separated, describe_not_finite
from gradcheck.report.records import Law


def parse_gradients(raw: Any, base: Values, *, copied: bool = True) -> tuple[list[Law], Values, dict[str, str]]:
    """The laws "names", "shapes" and "finite" of what grads() returned; what is usable; what is wrong with the rest.

    What is not `copied` may be the user's own arrays, which the next call may overwrite.
    """
    if not isinstance(raw, Mapping):
        expected = "expected a mapping from parameter names to arrays, or a sequence of arrays in the order of params"
        message = f"grads() returned {type(raw).__name__}: {expected}"
        return [Law("names", False, message)], {}, dict.fromkeys(base, message)
    alike = [name for name, count in Counter(str(name) for name in raw).items() if count > 1]
    if alike:
        message = f"grads() has several entries that are called {comma_separated(alike)}: which is the gradient?"
        return [Law("names", False, message)], {}, dict.fromkeys(base, message)
    grads = {str(name): grad for name, grad in raw.items()}
    missing = [name for name in base if name not in grads]
    extra = [name for name in grads if name not in base]
    faults = dict.fromkeys(missing, "grads() has no entry of this name")
    usable: Values = {}
    misshaped: list[str] = []
    infinite: list[str] = []
    for name in base:
        if name not in grads:
            continue
        array, fault = _as_gradient(grads[name], base[name], copied)
        if fault:
            (infinite if array is not None else misshaped).append(f"{name}: {fault}")
            faults[name] = fault
        elif array is not None:
            usable[name] = array
    return [_names(missing, extra, base), _shapes(misshaped), *_finite_grads(infinite)], usable, faults


def _as_gradient(grad: Any, parameter: Array, copied: bool) -> tuple[Array | None, str]:
    try:
        array = np.array(as_numpy(grad)) if copied else np.asarray(as_numpy(grad))
        if array.dtype.kind not in "fiu":
            raise TypeError
    except (TypeError, ValueError):
        return None, f"its gradient is {type(grad).__name__}, not an array of real numbers"
    if array.shape != parameter.shape:
        return None, f"its gradient has shape {array.shape}, expected {parameter.shape} as the parameter"
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    bad = describe_not_finite(array)
    return array, bad and f"its gradient {bad}"


def _names(missing: list[str], extra: list[str], base: Values) -> Law:
    if not missing and not extra:
        return Law("names", True, "grads() has one entry for each parameter")
    parts = [f"no entry for {comma_separated(missing)}"] if missing else []
    parts += (
        [f"an entry for {comma_separated(extra)}, which is not among the parameters ({', '.join(base)})"]
        if extra
        else []
    )
    return Law("names", False, f"grads() has {' and '.join(parts)}")


def _shapes(misshaped: list[str]) -> Law:
    if not misshaped:
        return Law("shapes", True, "each gradient has the shape of its parameter")
    return Law("shapes", False, "; ".join(misshaped))


def _finite_grads(infinite: list[str]) -> list[Law]:
    return [Law("finite", False, "; ".join(infinite))] if infinite else []
