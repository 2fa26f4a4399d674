"""The derivative with respect to every entry of a parameter: one after the other, or many at once where a target can.

A target's `batched` evaluates the loss for many copies of one parameter. The entries are then taken through
the tableau of differences side by side, each as far as it needs, and what comes out is what it would be one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gradcheck._common.arrays import Array
from gradcheck._common.errors import TargetError, UserCodeError
from gradcheck._numeric.difference import COMPLEX_STEP, Derivative, complex_error
from gradcheck._numeric.evaluator import DOMAIN_ERRORS, Evaluator
from gradcheck._numeric.scheme import Scheme

#: copies that are evaluated at once
MAX_COPIES = 256
#: the most memory that the copies of one call may take, in bytes of complex numbers
MAX_COPIED_BYTES = 2**25
#: how far a loss of `batched` may be from that of `loss`, in roundings of the loss
LOSS_ROUNDINGS = 64.0
#: how far a derivative of `batched` may be from that of `loss`, relatively
SAME_SLOPE = 1e-6

#: (value, error, kink) of an entry
Row: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class Entries:
    """A numerical gradient with an error bar for each entry."""

    values: Array
    errors: Array
    kinks: Array


def difference_entries(evaluator: Evaluator, name: str) -> Entries:
    """The derivative with respect to every entry of a parameter."""
    shape = evaluator.base[name].shape
    return assemble(shape, difference_some(evaluator, name, range(int(np.prod(shape, dtype=int)))))


def difference_some(evaluator: Evaluator, name: str, flats: Sequence[int], *, confirm: bool = True) -> list[Row]:
    """Those of the entries with these flat indices. To `confirm` is to compare one loss of `batched` with `loss`."""
    if evaluator.target.batched is None or evaluator.scheme is Scheme.UNKNOWN or not flats:
        return [_one_by_one(evaluator, name, flat) for flat in flats]
    rows: list[Row] = []
    most = max(1, min(MAX_COPIES, MAX_COPIED_BYTES // (16 * evaluator.base[name].size)))
    for start in range(0, len(flats), most):
        some = flats[start : start + most]
        together = _all_at_once(evaluator, name, some, confirm=confirm and not rows)
        rows += [_one_by_one(evaluator, name, flat) for flat in some] if together is None else together
    return rows


def assemble(shape: tuple[int, ...], rows: Sequence[Row]) -> Entries:
    """Entries from their rows in flat order."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Entries(*(table[:, k].reshape(shape) for k in range(3)))


def _one_by_one(evaluator: Evaluator, name: str, flat: int) -> Row:
    index = tuple(int(i) for i in np.unravel_index(flat, evaluator.base[name].shape))
    return _row(evaluator.entry_derivative(name, index))


def _row(derivative: Derivative) -> Row:
    return derivative.value, derivative.error, derivative.kink


def _all_at_once(evaluator: Evaluator, name: str, flats: Sequence[int], *, confirm: bool) -> list[Row] | None:
    """The rows of these entries at once; None where `batched` does not take them: complex, or out of the domain."""
    if evaluator.scheme is Scheme.COMPLEX:
        steps = np.full(len(flats), 1j * COMPLEX_STEP)
        losses = _losses(evaluator, name, flats, steps)
        if losses is None or not np.iscomplexobj(losses):
            return None
        if confirm:
            _confirm(evaluator, name, flats[0], steps[0], losses[0])
        slopes = losses.imag / COMPLEX_STEP
        errors = complex_error(slopes, evaluator.epsilon)
        return [(slope, error, 0.0) for slope, error in zip(slopes.tolist(), errors.tolist(), strict=True)]
    return _by_tableau(evaluator, name, flats, confirm=confirm)


def _by_tableau(evaluator: Evaluator, name: str, flats: Sequence[int], *, confirm: bool) -> list[Row] | None:
    evaluator.measure_noise()
    tableaus = [evaluator.tableau({name: _unit(evaluator, name, flat)}) for flat in flats]
    while unfinished := [k for k, tableau in enumerate(tableaus) if not tableau.finished]:
        steps = np.array([tableaus[k].step for k in unfinished])
        losses = _losses(evaluator, name, [flats[k] for k in unfinished] * 2, np.concatenate([steps, -steps]))
        if losses is None:
            return None
        if confirm:
            _confirm(evaluator, name, flats[unfinished[0]], steps[0], losses[0])
            confirm = False
        for k, plus, minus in zip(unfinished, *np.split(losses, 2), strict=True):
            tableaus[k].add(float(plus), float(minus))
    return [_row(tableau.derivative()) for tableau in tableaus]


def _unit(evaluator: Evaluator, name: str, flat: int) -> Array:
    unit = np.zeros(evaluator.base[name].shape)
    unit.flat[flat] = 1.0
    return unit


def _losses(evaluator: Evaluator, name: str, flats: Sequence[int], steps: Array) -> Array | None:
    """The losses with one entry moved in each copy; None where the code does not take them."""
    base = evaluator.base[name]
    dtype = np.result_type(base, np.complex128) if np.iscomplexobj(steps) else base.dtype
    copies = np.empty((len(flats), *base.shape), dtype)
    copies[...] = base
    entries = np.arange(len(flats)), np.asarray(flats)
    moved = copies.reshape(len(flats), -1)
    moved[entries] = (base.astype(np.result_type(base, np.float64)).ravel()[entries[1]] + steps).astype(dtype)
    try:
        raw = evaluator.raw_losses(name, copies)
    except UserCodeError as error:
        if np.iscomplexobj(steps) or isinstance(error.error, DOMAIN_ERRORS):
            return None
        raise
    losses = np.asarray(raw.detach() if hasattr(raw, "detach") else raw)
    if losses.shape != (len(flats),) or losses.dtype.kind not in "fc":
        found = f"an array of dtype {losses.dtype} and shape {losses.shape}"
        raise TargetError(
            f"batched({name!r}, copies) returned {found} for {len(flats)} copies: expected a loss for each, "
            f"of shape ({len(flats)},)"
        )
    return losses


def _confirm(evaluator: Evaluator, name: str, flat: int, step: complex, loss: complex) -> None:
    """Refuse a `batched` that is another loss: one of its values is asked for once more, of `loss`."""
    expected = evaluator.loss_along({name: _unit(evaluator, name, flat)}, step)
    same = abs(loss.real - expected.real) <= LOSS_ROUNDINGS * evaluator.noise()
    slopes = (
        abs(loss.imag - expected.imag)
        <= SAME_SLOPE * abs(expected.imag) + LOSS_ROUNDINGS * evaluator.epsilon * COMPLEX_STEP
    )
    if not (same and slopes):
        raise TargetError(
            f"batched({name!r}, copies) gives {loss:.12g} where loss() gives {expected:.12g}: both must be the same "
            "loss; correct batched, or leave it out"
        )
