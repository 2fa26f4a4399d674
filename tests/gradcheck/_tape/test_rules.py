"""Every rule against slopes, with random shapes, and with many seeds at once against one at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck._tape.calls import Caller
from gradcheck._tape.libraries import RULES
from gradcheck._tape.nodes import is_value
from gradcheck._tape.pairs import as_before, as_pairs, shape_on_tape
from gradcheck._tape.places import Place, Source, Statement
from gradcheck._tape.rules.elementwise import SCALAR, SLOPES
from gradcheck._tape.rules.structure import parts
from gradcheck._tape.sweep import sweep
from gradcheck._tape.tape import Tape
from tests.gradcheck._tape.programs import draw

PLACE = Place(0, "call", Statement(Source("f.py", "x"), 1, 1, "f", "Expr"), 1, 0, 1, 1)


def weighted(outs, seed):
    """One number from all results."""
    rng = np.random.default_rng(seed)
    return sum(float(np.sum(rng.standard_normal(np.shape(out)) * out)) for out in outs)


def agrees(call, *arrays, tolerance=1e-8, opaque=()):
    """The way back through call(*arrays) is the slope; for 3 seeds at once it is that of each."""
    tape = Tape(10**9)
    caller = Caller(tape, [])
    leaves = [
        tape.leaf(x, None) if isinstance(x, np.ndarray) else tape.record("leaf", (None, 0), x, []) for x in arrays
    ]
    result = call(caller, *arrays)
    outs = [x for x in parts(result) if is_value(x)]
    assert outs
    nodes = [tape.node(out) for out in outs]
    seeds = {}
    for node, out in zip(nodes, outs, strict=True):
        g = np.stack([np.random.default_rng(seed).standard_normal(shape_on_tape(out)) for seed in range(3)])
        seeds[node.index] = g if node.index not in seeds else seeds[node.index] + g
    expected = sweep(tape.nodes, seeds)
    for k in range(3):
        alone = sweep(tape.nodes, {index: g[k : k + 1] for index, g in seeds.items()})
        for together, single in zip(expected, alone, strict=True):
            assert (together is None) == (single is None)
            if single is not None:
                np.testing.assert_allclose(together[k : k + 1], single, rtol=1e-12, atol=1e-12)
    assert tuple(caller.opaque) == tuple(opaque)
    for k, (x, leaf) in enumerate(zip(arrays, leaves, strict=True)):
        found = expected[leaf.index]
        found = np.zeros((3, *shape_on_tape(x))) if found is None else found
        for index in np.ndindex(shape_on_tape(x)):

            def at(distance, k=k, x=x, index=index):
                moved = np.array(as_pairs(x), float)
                moved[index] += distance
                moved = as_before(moved, x)
                changed = [*arrays]
                changed[k] = moved if isinstance(x, np.ndarray) else np.asarray(moved).item()
                fresh = Caller(Tape(10**9), [])
                changed = [np.array(one) if isinstance(one, np.ndarray) else one for one in changed]
                return [np.array(as_pairs(one)) for one in parts(call(fresh, *changed)) if is_value(one)]

            h = 1e-3
            ends = [at(factor * h) for factor in (1, -1, 2, -2)]
            moves = [(8 * (a - b) - (c - d)) / (12 * h) for a, b, c, d in zip(*ends, strict=True)]
            for seed in range(3):
                slope = sum(
                    float(np.sum(np.random.default_rng(seed).standard_normal(np.shape(move)) * move)) for move in moves
                )
                assert abs(found[seed][index] - slope) <= tolerance * max(1, abs(slope)), (
                    index,
                    found[seed][index],
                    slope,
                )


def complex_draw(*shape, seed=0, scale=1.0):
    """Complex numbers away from the axes."""
    return draw(*shape, seed=seed, scale=scale) + 1j * draw(*shape, seed=seed + 1, scale=scale)


def np_call(function, *rest, **keywords):
    """The call of a function with arrays and further arguments."""
    return lambda caller, *arrays: caller.call((PLACE, 0), function, (*arrays, *rest), keywords)


def method(name, *rest, **keywords):
    """The call of a method of the first array."""
    return lambda caller, x, *arrays: caller.method((PLACE, 0), x, name, (*arrays, *rest), keywords)


#: where a ufunc is defined and smooth
DOMAINS = {np.arccosh: (1.2, 3), np.arcsin: (-0.8, 0.8), np.arccos: (-0.8, 0.8), np.arctanh: (-0.8, 0.8),
           np.log1p: (-0.6, 2), np.tan: (-1.2, 1.2)}  # fmt: skip
POSITIVE = {np.log, np.log2, np.log10, np.sqrt, np.power, np.float_power}
#: their steps are no slopes
STEPS = {
    np.floor,
    np.ceil,
    np.trunc,
    np.rint,
    np.sign,
    np.heaviside,
    np.spacing,
    np.floor_divide,
    np.remainder,
    np.fmod,
}
UFUNCS = [*SLOPES, np.add, np.subtract, np.negative, np.positive, np.logaddexp2]


@pytest.mark.parametrize("ufunc", dict.fromkeys(UFUNCS), ids=lambda ufunc: ufunc.__name__)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_ufuncs(ufunc, data):
    """The slope of an elementwise function would be another."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    shape = tuple(data.draw(st.lists(st.integers(1, 3), max_size=3)))
    shapes = [shape] * ufunc.nin
    if ufunc.nin == 2:  # one of the two is broadcast
        other = tuple(data.draw(st.sampled_from([1, length])) for length in shape)[
            data.draw(st.integers(0, len(shape))) :
        ]
        shapes[data.draw(st.integers(0, 1))] = other
    low, high = DOMAINS.get(ufunc, (0.2, 2) if ufunc in POSITIVE else (-2, 2))
    arrays = [np.asarray(rng.uniform(low, high, one)) for one in shapes]
    for array in arrays:
        array[np.abs(2 * array - np.rint(2 * array)) < 0.1] += 0.11
        array[np.abs(array) < 0.1] += 0.2
    if ufunc in STEPS and ufunc.nin == 2:
        arrays[1] += np.sign(arrays[1])
    if ufunc.nin == 2:
        with np.errstate(all="ignore"):
            gap = np.abs(arrays[0] - arrays[1]) < 0.05
            quotient = arrays[0] / arrays[1]
        if np.any(gap) or (ufunc in STEPS and np.any(np.abs(quotient - np.rint(quotient)) < 0.05)):
            return
    agrees(np_call(ufunc), *arrays, tolerance=1e-7)


def test_where_the_tape_ends_is_told():
    """Derivatives that end in an array of objects would be taken for zero."""
    ufunc = np.frompyfunc(lambda x: x**3, 1, 1)
    caller = Caller(Tape(10**9), [])
    caller.call((PLACE, 0), ufunc, (draw(3),), {})
    assert list(caller.untraced) == [ufunc.__name__]


@pytest.mark.parametrize("ufunc", [np.expm1, np.exp, np.arctan])
def test_the_slope_of_an_unknown_ufunc(ufunc, monkeypatch):
    """Functions such as scipy.special.expit would have no derivative."""
    monkeypatch.delitem(SLOPES, ufunc)
    agrees(np_call(ufunc), draw(2, 3))


@pytest.mark.parametrize("function", SCALAR, ids=lambda function: f"{function.__module__}.{function.__name__}")
def test_functions_of_math(function):
    """Code on single numbers would have no derivative."""
    values = (1.3, 0.7) if SCALAR[function].nin == 2 else (1.7,) if function.__name__ == "acosh" else (0.6,)
    agrees(np_call(function), *([0.6 + 0.4j] if function.__module__ == "cmath" else values))


AXES = st.sampled_from([None, 0, 1, -1, (0, 1), (0, 2)])


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "max", "min", "prod", "amax", "nansum"])
@given(axis=AXES, keepdims=st.booleans(), seed=st.integers(0, 9), as_method=st.booleans())
@settings(max_examples=8, deadline=None)
def test_reductions(name, axis, keepdims, seed, as_method):
    """A sum over some axes would be handed back over others."""
    x = draw(2, 3, 2, seed=seed)
    as_method = as_method and hasattr(x, name)
    made = method if as_method else np_call
    agrees(made(name if as_method else getattr(np, name), axis=axis, keepdims=keepdims), x, tolerance=1e-6)


A, B, C = draw(2, 3), draw(3, 4, seed=1), draw(2, 3, 4, seed=2)
V, W = draw(3, seed=3), draw(3, seed=4)
mask = np.array([[True, False, True], [False, True, True]])
CALLS = {
    "var ddof": (np_call(np.var, ddof=1), [A]),
    "std of an axis": (np_call(np.std, axis=1, ddof=1), [A]),
    "sum where": (np_call(np.sum, where=mask), [A]),
    "mean where": (np_call(np.mean, where=mask), [A], ["mean"]),
    "mean of a list": (lambda c, *x: c.call((PLACE, 0), np.mean, (list(x),), {"axis": 0}), [A, A * 2]),
    "sum of a scalar": (np_call(np.sum), [1.5]),
    "max with ties": (np_call(np.sum), [np.ones(3)]),
    "prod with a zero": (np_call(np.prod, axis=0), [np.array([[0.0, 2.0], [3.0, 4.0], [5.0, 0.0]])]),
    "norm": (np_call(np.linalg.norm), [A]),
    "norm of an axis": (np_call(np.linalg.norm, axis=1, keepdims=True), [A]),
    "norm of a vector": (np_call(np.linalg.norm, 2), [V]),
    "norm 1": (np_call(np.linalg.norm, 1), [V], ["norm"]),
    "cumsum": (np_call(np.cumsum, axis=1), [A]),
    "cumsum of all": (np_call(np.cumsum), [A]),
    "cumprod": (np_call(np.cumprod), [V], ["cumprod"]),
    "clip": (np_call(np.clip, -0.9, 0.9), [A]),
    "clip from below": (method("clip", 0.5, None), [A]),
    "clip by an array": (np_call(np.clip), [A, -np.ones((2, 3)) * 0.7, np.ones((2, 3)) * 0.6], ["clip"]),
    "diff": (np_call(np.diff, axis=1), [A]),
    "trace": (np_call(np.trace), [A]),
    "add.reduce": (lambda c, x: c.method((PLACE, 0), np.add, "reduce", (x,), {"axis": 1}), [A]),
    "add.reduce of the first axis": (lambda c, x: c.method((PLACE, 0), np.add, "reduce", (x,), {}), [A]),
    "maximum.reduce": (lambda c, x: c.method((PLACE, 0), np.maximum, "reduce", (x,), {}), [A]),
    "logaddexp.reduce": (lambda c, x: c.method((PLACE, 0), np.logaddexp, "reduce", (x,), {"axis": -1}), [A]),
    "add.accumulate": (lambda c, x: c.method((PLACE, 0), np.add, "accumulate", (x,), {}), [A]),
    "multiply.outer": (lambda c, x, y: c.method((PLACE, 0), np.multiply, "outer", (x, y), {}), [V, A]),
    "add.outer": (lambda c, x, y: c.method((PLACE, 0), np.add, "outer", (x, y), {}), [V, W]),
    "add.reduceat": (lambda c, x: c.method((PLACE, 0), np.add, "reduceat", (x, [0, 2]), {}), [V], ["add.reduceat"]),
    "modf": (np_call(np.modf), [V], ["modf"]),
    "dot": (np_call(np.dot), [A, B]),
    "dot of vectors": (np_call(np.dot), [V, W]),
    "dot by a number": (np_call(np.dot), [V, 2.0]),
    "dot of many axes": (np_call(np.dot), [draw(2, 3), draw(2, 3, 2, seed=5)]),
    "method dot": (method("dot"), [A, B]),
    "matmul": (np_call(np.matmul), [A, B]),
    "matmul of a vector": (np_call(np.matmul), [V, B]),
    "matmul by a vector": (np_call(np.matmul), [A, V]),
    "matmul of vectors": (np_call(np.matmul), [V, W]),
    "matmul of stacks": (np_call(np.matmul), [draw(2, 1, 2, 3), draw(3, 3, 2, seed=6)]),
    "matmul of a stack by a vector": (np_call(np.matmul), [draw(2, 2, 3), V]),
    "matmul of a vector by a stack": (np_call(np.matmul), [V, draw(2, 3, 2)]),
    "inner": (np_call(np.inner), [A, draw(4, 3, seed=7)]),
    "outer": (np_call(np.outer), [A, V]),
    "vdot": (np_call(np.vdot), [A, draw(2, 3, seed=8)]),
    "tensordot": (np_call(np.tensordot, 1), [A, B]),
    "tensordot of axes": (np_call(np.tensordot, ([0, 1], [0, 1])), [A, C]),
    "tensordot 0": (np_call(np.tensordot, axes=0), [V, A]),
    "kron": (np_call(np.kron), [A, draw(2, 2)]),
    "convolve": (np_call(np.convolve, "same"), [V, W]),
    "cross": (np_call(np.cross), [V, W]),
    "hypot": (np_call(np.hypot), [V, W]),
    "concatenate": (lambda c, *x: c.call((PLACE, 0), np.concatenate, (x,), {"axis": 1}), [A, draw(2, 2)]),
    "concatenate flat": (lambda c, *x: c.call((PLACE, 0), np.concatenate, (x,), {"axis": None}), [A, V]),
    "stack": (lambda c, *x: c.call((PLACE, 0), np.stack, (list(x),), {"axis": -1}), [A, A * 2]),
    "vstack": (lambda c, *x: c.call((PLACE, 0), np.vstack, (list(x),), {}), [A, V]),
    "hstack": (lambda c, *x: c.call((PLACE, 0), np.hstack, (list(x),), {}), [V, W]),
    "column_stack": (lambda c, *x: c.call((PLACE, 0), np.column_stack, (list(x),), {}), [V, W]),
    "block": (lambda c, x, y: c.call((PLACE, 0), np.block, ([[x, y], [y, x]],), {}), [draw(2, 2), draw(2, 2, seed=1)]),
    "array of a list": (lambda c, *x: c.call((PLACE, 0), np.array, ([[x[0], x[1]], [x[1], 1.0]],), {}), [1.5, 2.5]),
    "split": (np_call(np.split, 3, axis=1), [A]),
    "array_split": (np_call(np.array_split, 2, axis=1), [A]),
    "reshape": (method("reshape", 3, 2), [A]),
    "reshape of a transposed one": (lambda c, x: c.call((PLACE, 0), np.reshape, (x.T, (2, 3)), {}), [A]),
    "ravel": (np_call(np.ravel, order="F"), [A]),
    "flatten": (method("flatten"), [A]),
    "transpose": (np_call(np.transpose, (2, 0, 1)), [C]),
    "swapaxes": (method("swapaxes", 0, 2), [C]),
    "moveaxis": (np_call(np.moveaxis, 0, -1), [C]),
    "flip": (np_call(np.flip, 1), [A]),
    "roll": (np_call(np.roll, 1, axis=1), [A]),
    "rot90": (np_call(np.rot90), [A]),
    "tile": (np_call(np.tile, (2, 2)), [A]),
    "repeat": (np_call(np.repeat, [1, 2, 0], axis=1), [A]),
    "take": (np_call(np.take, [2, 0, 0], axis=1), [A]),
    "method take": (method("take", [5, 1]), [A]),
    "take_along_axis": (np_call(np.take_along_axis, np.array([[0, 0], [2, 1]]), axis=1), [A]),
    "pad": (np_call(np.pad, ((1, 0), (0, 2))), [A]),
    "pad with ones": (np_call(np.pad, 1, constant_values=1.0), [A]),
    "pad with the edge": (np_call(np.pad, 1, mode="edge"), [A]),
    "pad with the mean": (np_call(np.pad, 1, mode="mean"), [A], ["pad"]),
    "diag": (np_call(np.diag), [V]),
    "diagonal": (np_call(np.diag), [draw(3, 3)]),
    "tril": (np_call(np.tril), [draw(3, 3)]),
    "triu": (np_call(np.triu, 1), [draw(3, 3)]),
    "squeeze": (np_call(np.squeeze), [draw(2, 1, 3)]),
    "expand_dims": (np_call(np.expand_dims, 1), [A]),
    "broadcast_to": (np_call(np.broadcast_to, (4, 2, 3)), [A]),
    "atleast_2d": (np_call(np.atleast_2d), [V]),
    "full_like": (lambda c, x, y: c.call((PLACE, 0), np.full_like, (x, y), {}), [A, 2.5]),
    "full": (lambda c, y: c.call((PLACE, 0), np.full, ((2, 2), y), {}), [2.5]),
    "copy": (method("copy"), [A]),
    "astype": (method("astype", np.float64), [A]),
    "asarray": (np_call(np.asarray, dtype=float), [A]),
    "delete": (np_call(np.delete, 1, axis=1), [A]),
    "insert": (lambda c, x, y: c.call((PLACE, 0), np.insert, (x, 1, y), {"axis": 1}), [A, draw(2)]),
    "append": (lambda c, x, y: c.call((PLACE, 0), np.append, (x, y), {"axis": 0}), [A, draw(1, 3)]),
    "choose": (lambda c, x, y: c.call((PLACE, 0), np.choose, ([0, 1, 1], [x, y]), {}), [V, W]),
    "sort": (np_call(np.sort), [A], ["sort"]),
    "linalg.solve": (np_call(np.linalg.solve), [draw(3, 3) + 3 * np.eye(3), V]),
    "linalg.solve of columns": (np_call(np.linalg.solve), [draw(3, 3) + 3 * np.eye(3), draw(3, 2)]),
    "linalg.solve of a stack": (np_call(np.linalg.solve), [draw(2, 3, 3) + 3 * np.eye(3), draw(2, 3, 2)]),
    "linalg.solve with one matrix": (np_call(np.linalg.solve), [draw(3, 3) + 3 * np.eye(3), draw(2, 3, 2)]),
    "linalg.inv": (np_call(np.linalg.inv), [draw(3, 3) + 3 * np.eye(3)]),
    "linalg.inv of a stack": (np_call(np.linalg.inv), [draw(2, 3, 3) + 3 * np.eye(3)]),
    "linalg.det": (np_call(np.linalg.det), [draw(2, 3, 3) + 3 * np.eye(3)]),
    "linalg.slogdet": (np_call(np.linalg.slogdet), [draw(3, 3) + 3 * np.eye(3)]),
    "linalg.slogdet of a stack": (np_call(np.linalg.slogdet), [draw(2, 3, 3) + 3 * np.eye(3)]),
    "linalg.pinv": (np_call(np.linalg.pinv), [draw(3, 2)], ["pinv"]),
    "float": (np_call(float), [1.5]),
    "float of an array": (np_call(float), [np.array(1.5)]),
    "float64": (np_call(np.float64), [1.5]),
    "abs": (np_call(abs), [A]),
    "item": (method("item", 1), [A]),
    "tolist": (method("tolist"), [A]),
    "einsum": (lambda c, *x: c.call((PLACE, 0), np.einsum, ("ij,jk->ik", *x), {}), [A, B]),
    "einsum of one": (lambda c, x: c.call((PLACE, 0), np.einsum, ("ij->j", x), {}), [A]),
    "einsum of a repeated letter": (lambda c, x: c.call((PLACE, 0), np.einsum, ("ii->i", x), {}), [draw(3, 3)]),
    "einsum of three": (lambda c, *x: c.call((PLACE, 0), np.einsum, ("ij,jk,ijk->k", *x), {}), [A, B, C]),
    "einsum without an arrow": (lambda c, *x: c.call((PLACE, 0), np.einsum, ("ij,jk", *x), {}), [A, B]),
    "einsum with dots": (lambda c, *x: c.call((PLACE, 0), np.einsum, ("...j,jk->...k", *x), {}), [draw(2, 4, 3), B]),
    "einsum broadcast": (lambda c, *x: c.call((PLACE, 0), np.einsum, ("ij,ij->ij", *x), {}), [A, draw(1, 3)]),
    "einsum of a broadcast axis": (lambda c, *x: c.call((PLACE, 0), np.einsum, ("ij,ij->j", *x), {}), [A, draw(1, 3)]),
    "einsum to a number": (lambda c, *x: c.call((PLACE, 0), np.einsum, ("ij,ij->", *x), {}), [A, draw(2, 3)]),
}  # fmt: skip
CALLS["where"] = (lambda c, x, y: c.call((PLACE, 0), np.where, (mask, x, y), {}), [A, draw(3)])
CALLS["where of a number"] = (lambda c, x: c.call((PLACE, 0), np.where, (mask, x, 0.5), {}), [A])


@pytest.mark.parametrize("name", CALLS)
def test_a_call(name):
    """The derivative of this call would be another."""
    call, arrays, *opaque = CALLS[name]
    agrees(call, *arrays, opaque=opaque[0] if opaque else (), tolerance=1e-7)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_einsums(data):
    """Some pattern of letters would be contracted the wrong way."""
    letters = "abcd"
    terms = data.draw(st.lists(st.permutations(letters).flatmap(lambda p: st.integers(0, 3).map(lambda n: p[:n])),
                               min_size=1, max_size=3))  # fmt: skip
    terms = ["".join(term) for term in terms]
    present = sorted(set("".join(terms)))
    result = "".join(data.draw(st.permutations(present))[: data.draw(st.integers(0, len(present)))])
    sizes = dict(zip(letters, (2, 3, 1, 2), strict=True))
    arrays = [draw(*(sizes[letter] for letter in term), seed=k) for k, term in enumerate(terms)]
    text = ",".join(terms) + "->" + result
    agrees(lambda caller, *x: caller.call((PLACE, 0), np.einsum, (text, *x), {}), *map(np.asarray, arrays))


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_matmuls(data):
    """Some pair of shapes would be multiplied back the wrong way."""
    n, m, k = (data.draw(st.integers(1, 3)) for _ in range(3))
    left, right = data.draw(st.sampled_from([((), ()), ((2,), ()), ((), (3,)), ((2, 1), (3,)), ((1,), (2,))]))
    a = draw(*data.draw(st.sampled_from([(m,), (*left, n, m)])))
    b = draw(*data.draw(st.sampled_from([(m,), (*right, m, k)])), seed=1)
    agrees(np_call(np.matmul), a, b)


Z, Y, U, V_ = complex_draw(2, 3), complex_draw(2, 3, seed=4), complex_draw(3, seed=6), complex_draw(3, seed=8)
#: on complex numbers, by what they are called with
OF_COMPLEX = {
    "real": (np_call(np.real), [Z]),
    "imag": (np_call(np.imag), [Z]),
    "real and imag of numbers": (lambda c, z: [np_call(np.real)(c, z), np_call(np.imag)(c, z)], [0.3 - 2j]),
    "imag of what is real": (np_call(np.imag), [A]),
    "conjugate": (lambda c, z: [np_call(np.conj)(c, z), method("conj")(c, z), method("conjugate")(c, z)], [Z]),
    "absolute": (np_call(np.abs), [Z]),
    "abs": (np_call(abs), [0.3 - 2j]),
    "angle": (lambda c, z: [np_call(np.angle)(c, z), np_call(np.angle)(c, z, True)], [Z]),
    "angle of what is real": (np_call(np.angle), [A]),
    "sign": (np_call(np.sign), [Z]),
    "complex": (np_call(complex), [0.3, -2.0]),
    "power": (np_call(np.power), [Z, Y]),
    "power of a real base": (np_call(np.power), [np.abs(A), Z]),
    "divide": (np_call(np.divide), [A, Z]),
    "vdot": (np_call(np.vdot), [Z, Y]),
    "vdot with real numbers": (lambda c, z, a: [np_call(np.vdot)(c, z, a), np_call(np.vdot)(c, a, z)], [Z, A]),
    "inner": (np_call(np.inner), [Z, Y]),
    "outer": (np_call(np.outer), [U, V_]),
    "matmul": (np_call(np.matmul), [Z, U]),
    "dot": (np_call(np.dot), [A, U]),
    "tensordot": (np_call(np.tensordot, axes=((0, 1), (0, 1))), [Z, A]),
    "einsum": (lambda c, *x: np_call(np.einsum)(c, "ij,kj,j->ki", *x), [Z, A, U]),
    "kron": (np_call(np.kron), [Z, A]),
    "correlate": (np_call(np.correlate, mode="full"), [U, V_], ["correlate"]),
    "sum": (np_call(np.sum, axis=0), [Z]),
    "mean": (np_call(np.mean), [Z]),
    "prod": (np_call(np.prod, axis=1), [Z]),
    "var": (np_call(np.var, axis=0), [Z]),
    "std": (np_call(np.std), [Z]),
    "norm": (np_call(np.linalg.norm, axis=1), [Z]),
    "cumsum": (np_call(np.cumsum), [Z]),
    "where": (np_call(np.where, mask), [Z, A]),
    "stack": (lambda c, z, a: np_call(np.stack)(c, [z, a]), [Z, A]),
    "concatenate": (lambda c, z, a: np_call(np.concatenate, axis=1)(c, [z, a]), [Z, A]),
    "astype": (lambda c, a: method("astype")(c, a, complex), [A]),
    "take": (np_call(np.take, indices=[2, 0, 0], axis=1), [Z]),
    "inv": (np_call(np.linalg.inv), [2 * np.eye(2) + 0.2 * Z[:, :2]], ["inv"]),
    "solve": (np_call(np.linalg.solve), [2 * np.eye(2) + 0.2 * Z[:, :2], U[:2]], ["solve"]),
    "solve of a complex operand": (np_call(np.linalg.solve), [2 * np.eye(2) + 0.2 * A[:, :2], U[:2]], ["solve"]),
    "det": (np_call(np.linalg.det), [2 * np.eye(2) + 0.2 * Z[:, :2]], ["det"]),
    "slogdet": (np_call(np.linalg.slogdet), [2 * np.eye(2) + 0.2 * Z[:, :2]], ["slogdet"]),
}


@pytest.mark.parametrize("name", OF_COMPLEX)
def test_complex_numbers(name):
    """The derivative with respect to the real or to the imaginary part would be another one."""
    call, arrays, *opaque = OF_COMPLEX[name]
    agrees(call, *arrays, opaque=opaque[0] if opaque else (), tolerance=1e-7)


@pytest.mark.parametrize("scale", [1.0, 0.05])
def test_a_function_without_a_rule_that_bends_much(scale):
    """Of a matrix of small entries the steps would be too long, and right code told to be wrong."""
    matrix = scale * (np.eye(3) + 0.2 * draw(3, 3))
    tape, g = Tape(10**9), draw(3, 3, seed=1)
    caller, leaf = Caller(tape, []), tape.leaf(matrix, None)
    out = caller.call((PLACE, 0), np.linalg.pinv, (matrix,), {})
    assert tuple(caller.opaque) == ("pinv",)
    found = sweep(tape.nodes, {tape.node(out).index: g[None]})[leaf.index]
    turned = np.linalg.inv(matrix).T
    expected = -turned @ g @ turned
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-8 * np.max(np.abs(expected)))


OF_ONE_NUMBER = [ufunc for ufunc in SLOPES if ufunc.nin == 1 and "D->D" in ufunc.types]


@pytest.mark.parametrize("ufunc", OF_ONE_NUMBER, ids=lambda ufunc: ufunc.__name__)
@given(seed=st.integers(0, 99))
@settings(max_examples=5, deadline=None)
def test_ufuncs_of_complex_numbers(ufunc, seed):
    """What is right for real numbers would be taken for right for complex ones."""
    array = complex_draw(2, 2, seed=seed, scale=0.6)
    if ufunc in STEPS:  # both parts away from where it steps
        array = array + sum(
            unit * 0.11 * (np.abs(2 * part - np.rint(2 * part)) < 0.1)
            for unit, part in ((1, array.real), (1j, array.imag))
        )
    agrees(np_call(ufunc), array, tolerance=1e-6)


def test_the_tables_are_covered():
    """A rule would be added without a test."""
    source = "".join([*CALLS, *OF_COMPLEX])
    for function in RULES:
        assert function.__name__ in source or function.__name__ in (
            "amax",
            "amin",
            "sum",
            "max",
            "min",
            "mean",
            "nansum",
            "prod",
            "var",
            "std",
            "maximum",
            "correlate",
            "complex",
        ), function
