"""dL/d(expression) for every floating-point expression that runs during the loss, each time that it runs.

Each tap is perturbed in turn, entry by entry: by a complex step where the code takes it, else by a central difference.
"""

from __future__ import annotations

import ast
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck._common.arrays import Array, Values, as_complex, is_float
from gradcheck._common.errors import TargetError
from gradcheck._targets.target import Target
from gradcheck._usercode.instrument import Program, tapped
from gradcheck._usercode.rewriting import Site

#: the imaginary step, and the real one relative to the value
COMPLEX, REAL = 1e-30, 6e-6
#: how much may be perturbed: entries times the values that the loss computes
MOST_WORK = 40_000_000
#: how well a complex step must agree with a real one
AGREES = 1e-5


@dataclass
class Adjoint:
    """The derivative of the loss with respect to one tap at one execution (counted from 0)."""

    site: Site
    execution: int
    value: Array
    #: equal for derivatives of one and the same object
    identity: int = 0
    #: when it ran, among all taps
    order: int = 0

    @property
    def name(self) -> str:
        """The name that the value is bound to, if its statement does nothing else."""
        node = self.site.statement.node
        if self.site.is_statement_value and isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            return node.targets[0].id
        return ""


@dataclass
class _Passing:
    """One float array that went through a tap."""

    order: int
    site: Site
    execution: int
    value: Array
    identity: int


class TooMuchError(Exception):
    """There are too many expressions, or they are too large."""


def adjoints(target: Target, base: Values, program: Program) -> tuple[list[Adjoint], int]:
    """The derivatives, and how many losses they took.

    Raises:
        TooMuchError: If there are too many.
    """
    passings = _passings(target, base, program)
    entries = sum(one.value.size for one in passings if not one.site.derivative_follows and one.site.summand_of is None)
    if passings and entries * passings[-1].order > MOST_WORK:
        raise TooMuchError
    return _Perturber(target, base, program).all(passings)


def _passings(target: Target, base: Values, program: Program) -> list[_Passing]:
    found: list[_Passing] = []
    executions = [0] * len(program.sites)
    alive: list[Any] = []  # so that no identity is given twice
    order = 0

    def tap(number: int, value: Any) -> Any:
        nonlocal order
        order += 1
        if is_float(value):
            found.append(_Passing(order, program.sites[number], executions[number], np.array(value), id(value)))
            alive.append(value)
        executions[number] += 1
        return value

    target.restore_state()  # every loss begins with the same state, so that the same values pass in the same order
    with tapped(program, tap):
        target.loss_at(base)
    return found


class _Perturber:
    """Adds a small array to the value at one tap, and asks for the loss."""

    def __init__(self, target: Target, base: Values, program: Program) -> None:
        self.target, self.base, self.program = target, base, program
        self.at = 0
        self.count = 0
        self.step: Any = 0.0
        self.evaluations = 0
        self.complex_sites: dict[int, bool] = {}
        self.undo: list[tuple[Array, Array]] = []

    def all(self, passings: list[_Passing]) -> tuple[list[Adjoint], int]:
        rng = np.random.default_rng(1)
        found: dict[tuple[int, int], Adjoint] = {}
        with tapped(self.program, self._tap):
            zero = self._loss(0, 0.0)
            # backwards, so that a sum's derivative is known before its summands'
            for passing in reversed(passings):
                site = passing.site
                if site.derivative_follows or site.kind == "touch":
                    continue
                value = self._of_sum(passing, found)
                if value is None:
                    value = self._derivative(passing, zero.real, rng)
                if value is not None:
                    found[site.number, passing.execution] = Adjoint(
                        site, passing.execution, value, passing.identity, passing.order
                    )
        return list(reversed(found.values())), self.evaluations

    def _of_sum(self, passing: _Passing, found: dict[tuple[int, int], Adjoint]) -> Array | None:
        if passing.site.summand_of is None:
            return None
        total = found.get((passing.site.summand_of, passing.execution))
        return total.value if total is not None and total.value.shape == passing.value.shape else None

    def _derivative(self, passing: _Passing, zero: float, rng: np.random.Generator) -> Array | None:
        shape = passing.value.shape
        direction = np.sign(rng.standard_normal(shape)) * rng.uniform(0.5, 1.5, shape)
        along = self._real(passing, direction)
        if along is None or along == 0.0:
            return None
        use_complex = self.complex_sites.get(passing.site.number)
        if use_complex is None:
            exact = self._complex(passing, direction)
            use_complex = exact is not None and abs(exact - along) <= AGREES * (abs(along) + 1e-6 * abs(zero))
            self.complex_sites[passing.site.number] = use_complex
        result = np.zeros(shape)
        for index in np.ndindex(shape):
            unit = np.zeros(shape)
            unit[index] = 1.0
            entry = self._complex(passing, unit) if use_complex else self._real(passing, unit)
            if entry is None or not math.isfinite(entry):
                return None
            result[index] = entry
        if not math.isclose(float(np.sum(result * direction)), along, rel_tol=1e-3, abs_tol=1e-6 * abs(zero) + 1e-9):
            return None  # a kink, or a value that is also reached in another way
        return result

    def _real(self, passing: _Passing, direction: Array) -> float | None:
        step = REAL * max(1.0, float(np.max(np.abs(passing.value))))
        try:
            plus = self._loss(passing.order, step * direction).real
            minus = self._loss(passing.order, -step * direction).real
        except TargetError:
            return None
        return (plus - minus) / (2 * step) if math.isfinite(plus) and math.isfinite(minus) else None

    def _complex(self, passing: _Passing, direction: Array) -> float | None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return self._loss(passing.order, direction * (COMPLEX * 1j)).imag / COMPLEX
        except TargetError:
            return None

    def _loss(self, at: int, step: Any) -> complex:
        self.at, self.step, self.count = at, step, 0
        self.evaluations += 1
        self.target.restore_state()
        try:
            return as_complex(self.target.loss_at(self.base))
        finally:
            for array, before in self.undo:
                array[...] = before
            self.undo.clear()

    def _tap(self, number: int, value: Any) -> Any:
        self.count += 1
        if self.count != self.at:
            return value
        if self.program.sites[number].kind == "after" and isinstance(value, np.ndarray):
            # the array itself, since nobody looks at what the tap hands back
            self.undo.append((value, value.copy()))
            value[...] = value + self.step
            return value
        moved = value + self.step
        return moved[()] if isinstance(moved, np.ndarray) and not isinstance(value, np.ndarray) else moved
