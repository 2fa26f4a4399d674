"""The loops over time, compiled by numba: one forward, one back, each beside the equations of :mod:`lstm_core.cell`.

This module imports numba, and is imported only where :mod:`lstm_core._path` chooses it. All that is compiled stands in
this one file, because numba looks at the date of a function's own file to see whether its cache is stale.

A step is a product of the state with ``U``, and then what is here: for each sequence of the batch a few loops over one
row, each with so few arrays that LLVM can see that they are apart, and uses vectors. A batch of one makes its products
here as well (`forward_alone`, `backward_alone`), since a call of BLAS would take longer than they do. For more
sequences the loop over time stands in :mod:`lstm_core._record`, around BLAS.

=========  =============  ============================================================================================
``U``      (H, 4H)        recurrent weights, gates in the order i, f, g, o
``b``      (4H,)          biases; ``db`` their cotangent, which is added to
``gates``  (T, B, 4H)     h U, then i, f, g, o of each step; on the way back the cotangents of the pre-activations
``rows``   (R, 4H)        what inputs add to the pre-activations; ``d_rows`` their cotangents, added to, or (0, 4H)
``chosen`` int64 (T, B)   which of the rows each step and sequence has
``c, h``   (T + 1, B, H)  states, before the first step and after each; ``tanh_c`` (T, B, H) of those after
``outer``  (T, B, H)      cotangents of h after each step from outside; (0, B, H) for none
``dh, dc`` (B, H)         cotangents of h and c after a step that come from the next one; afterwards of those before it
=========  =============  ============================================================================================

All arrays are C-contiguous, aligned and writable, and of one dtype, float32 or float64. Nothing is checked here.

Of the liberties of "fast math" only those are taken that no NaN and no infinity can notice: a product and a sum in one
instruction, and sums over a row in another order.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from lstm_core._checks import Array

numba: Any = importlib.import_module("numba")
extending: Any = importlib.import_module("numba.extending")

Function = TypeVar("Function", bound=Callable[..., Any])

#: a * b + c in one rounding
FUSED = {"contract"}
#: and sums over a row in as many parts as a vector has lanes
IN_PARTS = {"contract", "reassoc"}


def compiled(flags: set[str]) -> Callable[[Function], Function]:
    """Compile a function at its first call for each dtype; without the interpreter's lock, so that threads run beside.

    What was compiled is kept on disk, unless numba finds no folder that it may write to: then for this process alone.
    """

    def decorated(function: Function) -> Function:
        try:
            made: Function = numba.njit(function, nogil=True, error_model="numpy", fastmath=flags, cache=True)
        except RuntimeError:  # "cannot cache function: no locator available"
            made = numba.njit(function, nogil=True, error_model="numpy", fastmath=flags)
        return made

    return decorated


# -- exp, tanh and the logistic function -------------------------------------------------------------------------------
#
# All three come from y = n ln 2 + r with |r| <= ln 2 / 2 and, for q = r coth(r/2), from exp(r) = (q + r) / (q - r).
# q is even and smooth: 2 and a short polynomial in r². A NaN stays one: no comparison is true of it, and r is NaN.
# Measured beside NumPy's longdouble, the results are off by at most 4.5 units in the last place (tests/lstm_core).

#: 1/ln 2
PER_LN2_SINGLE = np.float32(1.442695)
PER_LN2_DOUBLE = np.float64(1.4426950408889634)
#: ln 2 in so few bits that n times it is exact
LN2_SINGLE = np.float32(0.6923828)
LN2_DOUBLE = np.float64(0.6931471803691238)
#: and the rest of it
REST_SINGLE = np.float32(0.00076436804)
REST_DOUBLE = np.float64(1.9082149293851713e-10)
#: 1.5 times 2 to the bits of a fraction: added to a small number, it leaves the nearest integer in the last bits
SHIFT_SINGLE = np.float32(1.5 * 2.0**23)
SHIFT_DOUBLE = np.float64(1.5 * 2.0**52)
#: the bias of an exponent: with it, the bits of n are those of 2 to the n
BIAS_SINGLE = np.int32(127)
BIAS_DOUBLE = np.int64(1023)
#: where the exponent stands
PLACE_SINGLE = np.int32(23)
PLACE_DOUBLE = np.int64(52)
#: (r coth(r/2) - 2) / r² in powers of r², fitted at Chebyshev points: exp(r) - 1 is right to 8e-9
EVEN_SINGLE_0 = np.float32(0.16666655)
EVEN_SINGLE_1 = np.float32(-0.0027698423)
#: the same to 4e-18
EVEN_DOUBLE_0 = np.float64(0.1666666666666666)
EVEN_DOUBLE_1 = np.float64(-0.002777777777756324)
EVEN_DOUBLE_2 = np.float64(6.613756471045383e-05)
EVEN_DOUBLE_3 = np.float64(-1.6534059137829717e-06)
EVEN_DOUBLE_4 = np.float64(4.1437237078893815e-08)
#: one and two in either precision: plain ones would make a float64 of a float32
ONE_SINGLE = np.float32(1)
ONE_DOUBLE = np.float64(1)
TWO_SINGLE = np.float32(2)
TWO_DOUBLE = np.float64(2)
#: from here on tanh is 1 to rounding
TANH_END_SINGLE = np.float32(10)
TANH_END_DOUBLE = np.float64(20)
#: from here on the logistic function is 1 to rounding; at the negative it is below 2e-35, and 2 to the n still normal
SIGMOID_END_SINGLE = np.float32(80)
SIGMOID_END_DOUBLE = np.float64(700)
#: below this exp is taken for 0: 2 to the n would no longer be normal
EXP_END_SINGLE = np.float32(-87)
EXP_END_DOUBLE = np.float64(-708)


def _split_single(y: Any) -> Any:
    """2 to the n, r, and q of a float32."""
    shifted = y * PER_LN2_SINGLE + SHIFT_SINGLE
    n = shifted - SHIFT_SINGLE
    power = np.int32((np.float32(shifted).view(np.int32) + BIAS_SINGLE) << PLACE_SINGLE).view(np.float32)
    r = (y - n * LN2_SINGLE) - n * REST_SINGLE
    s = r * r
    return power, r, TWO_SINGLE + s * (EVEN_SINGLE_0 + s * EVEN_SINGLE_1)


def _split_double(y: Any) -> Any:
    """2 to the n, r, and q of a float64."""
    shifted = y * PER_LN2_DOUBLE + SHIFT_DOUBLE
    n = shifted - SHIFT_DOUBLE
    power = np.int64((np.float64(shifted).view(np.int64) + BIAS_DOUBLE) << PLACE_DOUBLE).view(np.float64)
    r = (y - n * LN2_DOUBLE) - n * REST_DOUBLE
    s = r * r
    even = EVEN_DOUBLE_2 + s * (EVEN_DOUBLE_3 + s * EVEN_DOUBLE_4)
    return power, r, TWO_DOUBLE + s * (EVEN_DOUBLE_0 + s * (EVEN_DOUBLE_1 + s * even))


def _ends_single(y: Any) -> Any:  # noqa: ARG001 - its type is what decides
    """One, and the ends of tanh, the logistic function and exp."""
    return ONE_SINGLE, TANH_END_SINGLE, SIGMOID_END_SINGLE, EXP_END_SINGLE


def _ends_double(y: Any) -> Any:  # noqa: ARG001 - its type is what decides
    """One, and the ends of tanh, the logistic function and exp."""
    return ONE_DOUBLE, TANH_END_DOUBLE, SIGMOID_END_DOUBLE, EXP_END_DOUBLE


def _split(y: Any) -> Any:
    """2 to the n, r, and q; compiled code takes the function of the precision of y."""
    return _split_single(y) if isinstance(y, np.float32) else _split_double(y)


def _ends(y: Any) -> Any:
    """Constants in the precision of y, likewise."""
    return _ends_single(y) if isinstance(y, np.float32) else _ends_double(y)


def _split_of(y: Any) -> Any:
    return _split_single if y == numba.types.float32 else _split_double


def _ends_of(y: Any) -> Any:
    return _ends_single if y == numba.types.float32 else _ends_double


extending.overload(_split, jit_options={"fastmath": FUSED})(_split_of)
extending.overload(_ends)(_ends_of)


@compiled(FUSED)
def tanh(x: Any) -> Any:
    """tanh x = (exp 2x - 1) / (exp 2x + 1)."""
    one, end, _, _ = _ends(x)
    if x > end:
        x = end
    if x < -end:
        x = -end
    power, r, q = _split(x + x)
    return ((power - one) * q + (power + one) * r) / ((power + one) * q + (power - one) * r)


@compiled(FUSED)
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp -x) = exp x / (exp x + 1)."""
    _, _, end, _ = _ends(x)
    if x > end:
        x = end
    if x < -end:
        x = -end
    power, r, q = _split(x)
    above = power * (q + r)
    return above / (above + (q - r))


@compiled(FUSED)
def exp(x: Any) -> Any:
    """exp x of what is not above zero."""
    one, _, _, end = _ends(x)
    below = x < end
    if below:
        x = end
    power, r, q = _split(x)
    found = power * (q + r) / (q - r)
    return one - one if below else found


# -- one step, forward and back ----------------------------------------------------------------------------------------


@compiled(FUSED)
def _add(row: Array, to: Array) -> None:
    """Add one row to another of its length."""
    for j in range(len(to)):
        to[j] += row[j]


@compiled(FUSED)
def step_forward(t: int, gates: Array, rows: Array, chosen: Array, b: Array, c: Array, tanh_c: Array, h: Array) -> None:
    """The gates, c and h of step t, where h U stands in its gates."""
    B, H = c.shape[1:]
    for n in range(B):
        z, c_before, c_after, u, h_after = gates[t, n], c[t, n], c[t + 1, n], tanh_c[t, n], h[t + 1, n]
        _add(rows[chosen[t, n]], z)
        _add(b, z)
        i_f, i, f, g, o = z[: 2 * H], z[:H], z[H : 2 * H], z[2 * H : 3 * H], z[3 * H :]
        for j in range(2 * H):
            i_f[j] = sigmoid(i_f[j])
        for j in range(H):
            g[j] = tanh(g[j])
            o[j] = sigmoid(o[j])
        for j in range(H):
            c_after[j] = f[j] * c_before[j] + i[j] * g[j]
        for j in range(H):
            u[j] = tanh(c_after[j])
            h_after[j] = o[j] * u[j]


@compiled(FUSED)
def step_backward(
    t: int,
    gates: Array,
    c: Array,
    tanh_c: Array,
    outer: Array,
    dh: Array,
    dc: Array,
    d_rows: Array,
    chosen: Array,
    db: Array,
) -> None:
    """The cotangents of the pre-activations of step t, in the place of its gates; dc becomes that of c before it."""
    B, H = dh.shape
    one = _ends(dh[0, 0])[0]
    for n in range(B):
        d, u, c_before, dh_n, dc_n = gates[t, n], tanh_c[t, n], c[t, n], dh[n], dc[n]
        i, f, g, o = d[:H], d[H : 2 * H], d[2 * H : 3 * H], d[3 * H :]
        if len(outer):
            _add(outer[t, n], dh_n)
        for j in range(H):  # h = o tanh c
            dc_n[j] += dh_n[j] * o[j] * (one - u[j] * u[j])
            o[j] = dh_n[j] * u[j] * o[j] * (one - o[j])
        for j in range(H):  # c = f c_before + i g
            di, dg = dc_n[j] * g[j], dc_n[j] * i[j]
            i[j] = di * i[j] * (one - i[j])
            g[j] = dg * (one - g[j] * g[j])
        for j in range(H):
            df, f_j = dc_n[j] * c_before[j], f[j]
            dc_n[j] *= f_j
            f[j] = df * f_j * (one - f_j)
        _add(d, db)
        if len(d_rows):
            _add(d, d_rows[chosen[t, n]])


# -- all steps of one sequence -----------------------------------------------------------------------------------------


@compiled(FUSED)
def times(h: Array, U: Array, z: Array) -> None:
    """z = h U, for (H,), (H, 4H) and (4H,); four rows of U at a time."""
    H, G = U.shape
    z[:] = 0
    whole = H - H % 4
    for k in range(0, whole, 4):
        h0, h1, h2, h3 = h[k], h[k + 1], h[k + 2], h[k + 3]
        u0, u1, u2, u3 = U[k], U[k + 1], U[k + 2], U[k + 3]
        for j in range(G):
            z[j] += (h0 * u0[j] + h1 * u1[j]) + (h2 * u2[j] + h3 * u3[j])
    for k in range(whole, H):
        h0, u0 = h[k], U[k]
        for j in range(G):
            z[j] += h0 * u0[j]


@compiled(IN_PARTS)
def times_transposed(dz: Array, U: Array, dh: Array) -> None:
    """dh = dz U', for (4H,), (H, 4H) and (H,); two rows of U at a time."""
    H, G = U.shape
    one = _ends(dz[0])[0]
    zero = one - one
    for k in range(0, H - 1, 2):
        u0, u1, sum0, sum1 = U[k], U[k + 1], zero, zero
        for j in range(G):
            sum0 += u0[j] * dz[j]
            sum1 += u1[j] * dz[j]
        dh[k], dh[k + 1] = sum0, sum1
    if H % 2:
        u0, sum0 = U[H - 1], zero
        for j in range(G):
            sum0 += u0[j] * dz[j]
        dh[H - 1] = sum0


@compiled(FUSED)
def forward_alone(
    U: Array, gates: Array, rows: Array, chosen: Array, b: Array, c: Array, tanh_c: Array, h: Array
) -> None:
    """All steps of a batch of one, from h[0] and c[0]."""
    for t in range(len(gates)):
        times(h[t, 0], U, gates[t, 0])
        step_forward(t, gates, rows, chosen, b, c, tanh_c, h)


@compiled(FUSED)
def backward_alone(
    U: Array,
    gates: Array,
    c: Array,
    tanh_c: Array,
    outer: Array,
    dh: Array,
    dc: Array,
    d_rows: Array,
    chosen: Array,
    db: Array,
) -> None:
    """All steps of a batch of one, from the last to the first, from dh and dc."""
    for t in range(len(gates) - 1, -1, -1):
        step_backward(t, gates, c, tanh_c, outer, dh, dc, d_rows, chosen, db)
        times_transposed(gates[t, 0], U, dh[0])


# -- the loss ----------------------------------------------------------------------------------------------------------


@compiled(FUSED)
def softmax(logits: Array, by: Array, targets: Array, share: Any, d_by: Array) -> float:
    """The mean loss of a read-out, and the cotangents of its logits in their place.

    Args:
        logits: h Wy, (N, V); (softmax - one-hot) / N after.
        by: biases, (V,).
        targets: int64 (N,).
        share: 1/N, in the dtype of the logits.
        d_by: the cotangents of the biases, (V,), zeros before.

    Returns:
        The loss in nats, added up in float64.
    """
    loss = 0.0
    for n in range(len(logits)):
        row, k = logits[n], targets[n]
        for v in range(len(by)):
            row[v] += by[v]
        top = _largest(row)
        at_target = row[k] - top
        total = _exponentials(row, top)
        loss += math.log(total) - at_target
        scale = share / total
        for v in range(len(by)):
            row[v] *= scale
        row[k] -= share
        for v in range(len(by)):
            d_by[v] += row[v]
    return loss / len(logits)


@compiled(FUSED)
def _largest(row: Array) -> Any:
    """The largest number of a row (V,), in four parts that do not wait for each other."""
    m0 = m1 = m2 = m3 = row[0]
    whole = len(row) - len(row) % 4
    for v in range(0, whole, 4):
        m0 = row[v] if row[v] > m0 else m0
        m1 = row[v + 1] if row[v + 1] > m1 else m1
        m2 = row[v + 2] if row[v + 2] > m2 else m2
        m3 = row[v + 3] if row[v + 3] > m3 else m3
    for v in range(whole, len(row)):
        m0 = row[v] if row[v] > m0 else m0
    m0, m2 = m1 if m1 > m0 else m0, m3 if m3 > m2 else m2
    return m2 if m2 > m0 else m0


@compiled(IN_PARTS)
def _exponentials(row: Array, top: Any) -> Any:
    """Write exp(row - top) into the row, (V,), and return the sum."""
    one = _ends(top)[0]
    total = one - one
    for v in range(len(row)):
        row[v] = exp(row[v] - top)
        total += row[v]
    return total
