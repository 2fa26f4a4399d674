"""Views and writes in place: the tape knows what an array holds at each moment."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from gradcheck._tape.buffers import Buffer, Geometry, scattered
from tests.gradcheck._tape.programs import check, draw, module, target_of

PROGRAMS = {
    "a buffer that is filled": "h = np.zeros((3, 3)); h[0] = a[0]; h[1] = h[0] * a[1]; h[2] = h[1] + h[0]; y = h",
    "a view made before a write": "y = a.copy(); v = y[0]; y[0] *= 2; y = v * y",
    "a value read before a write": "y = a * 2; z = y * a; y[...] = 3.0; y = z * z + y",
    "a write through a view": "y = a.copy(); v = y.T; v[1] = b[0, :2]; v[2, 0] = 0.5; y = y * y",
    "a write through a reshape": "y = a.copy(); y.reshape(-1)[2:4] = b[1, 1:]; y.ravel()[0] += 1; y = y ** 2",
    "negative strides": "y = a.copy(); y[::-1, ::-2] *= b[:2, :2]; y = y * a",
    "a fancy write": "y = a.copy(); y[[1, 0], [2, 0]] = b[0, :2]; y[y > 0] *= 2; y = y * a",
    "a fancy write of one row twice": "y = np.zeros((2, 3)); y[[0, 0]] = b[:2]; y[[1, 1]] += b[1:]; y = y * a",
    "a mask that is broadcast": "y = a.copy(); y[np.array([True, False])] = b[0]; y = y * a",
    "np.add.at": "y = np.zeros((2, 3)); np.add.at(y, [0, 0, 1], b); np.subtract.at(y, (0, [1, 1]), a[0, :2]); y *= y",
    "np.multiply.at": "y = a.copy(); np.multiply.at(y, [0, 0], b[:2]); y = y * a",
    "out=": "y = np.empty((2, 3)); np.multiply(a, 2, out=y); np.exp(y, y); np.dot(a, b, out=y[:, :]); y = y * a",
    "out= of a sum": "y = np.empty(3); np.sum(a, axis=0, out=y); a.sum(axis=0, out=y); y = y * a",
    "out= and where=": "y = a * 1; np.exp(a, out=y, where=a > 0); y = y * a",
    "copyto": "y = np.zeros((2, 3)); np.copyto(y, b[0]); np.copyto(y, a, where=a > 0); y = y * a",
    "put": "y = a.copy(); np.put(y, [0, 4], [b[0, 0], b[1, 1]]); y = y * a",
    "put_along_axis": "y = a.copy(); np.put_along_axis(y, np.array([[0], [2]]), b[:2, :1], axis=1); y = y * a",
    "fill, sort, putmask": "y = a.copy(); y.sort(axis=1); z = y * a; y.fill(2.0); np.putmask(y, a > 0, b[:2]); y *= z",
    "flat": "y = a.copy(); y.flat[1] = b[0, 0]; y = y * a * y.flat[1]",
    "columns": "y = np.empty((3, 2)).T; y[...] = a; y[:, 0] = b[0, :2]; y = np.exp(y.T.copy()).T * y",
    "in Fortran order": "y = np.asfortranarray(a); y[0] *= 2; y = np.tanh(y) * y.ravel(order='K').sum()",
    "a broadcast view": "y = np.broadcast_to(a[0], (2, 3)) * a",
    "sliding windows": "w = np.lib.stride_tricks.sliding_window_view(a[0].copy(), 2); y = np.sum(w * w) * a",
    "one memory in two names": "y = a.copy(); z = y; z += 1; y *= z; y = y + z",
    "a parameter written in place": "a *= 2; y = a * a; a /= 2",
    "a list of views": "y = a.copy(); v = [row for row in y]; y[1] = v[0] * 2; y = v[0] * v[1] * a",
    "of another type": "y = a.copy(); n = np.zeros(2, int); n[0] = 3; m = (a > 0).astype(float); y = y * m * n[0]",
    "swapped rows": "y = a.copy(); y[[0, 1]] = y[[1, 0]]; y = y * a",
    "one step into the next": "y = np.ones((4, 3))\nfor t in range(3): y[t + 1] = np.tanh(y[t] * a[t % 2])\ny *= y",
    "an accumulated sum": "y = np.zeros(3)\nfor t in range(3): y += a[t % 2] * y + b[t]\ny = y * y",
    "axes put in and taken out": "y = a[:, None, :] * b[None]; y = y.squeeze().swapaxes(0, 1)[..., 0] * a[0, 1]",
    "a result overwritten": "y = np.exp(a); z = np.tanh(y); w = z / y; y *= 2; z[0] = 1; w[...] = w * z; y = y * w",
    "a constant overwritten": "k = np.full((2, 3), 2.0); y = a * k; k[...] = 9.0; k += 1; y = y * y",
    "a scalar into a slice": "y = a.copy(); y[:, 1:] = b[0, 0]; y[0] = [b[0, 1], 2.0, b[1, 1]]; y = y * a",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_memory_is_followed(name, tmp_path):
    """A value would be taken for what the array held before or after."""
    body = textwrap.indent(textwrap.dedent(PROGRAMS[name]), "    ")
    made = module(
        tmp_path, f"import numpy as np\ndef loss(p):\n    a, b = p['a'], p['b']\n{body}\n    return np.sum(y)\n"
    )
    check(target_of(made, a=draw(2, 3), b=draw(3, 3, seed=1)), tolerance=1e-7)


def test_an_unknown_write_is_seen(tmp_path):
    """What a library wrote into an array would be taken for what stood there before."""
    made = module(
        tmp_path,
        """
        import numpy as np
        def loss(p):
            y = p["a"].copy()
            z = np.exp(y)
            np.random.default_rng(0).shuffle(z.reshape(-1))
            return np.sum(z * 0) + np.sum(y)
        """,
    )
    run = check(target_of(made, a=draw(2, 3)))
    assert run.untraced == ["Generator.shuffle"]


@pytest.mark.parametrize("index", [np.s_[:], np.s_[1:, ::-2], np.s_[..., 0], np.s_[None, 2:0:-1, 1], np.s_[0, 1]])
@pytest.mark.parametrize("order", ["C", "F"])
def test_geometry_is_that_of_the_view(index, order):
    """A view would be looked for in the wrong place of its memory."""
    owner = np.array(np.arange(12.0).reshape(4, 3), order=order)
    view = owner[index] if np.ndim(owner[index]) else owner[index[0] : index[0] + 1, index[1]]
    geometry = Buffer(owner).geometry(view)
    flat = owner.ravel(order="K")
    np.testing.assert_array_equal(flat[geometry.positions()], view)
    np.testing.assert_array_equal(geometry.view(flat[None].copy())[0], view)
    low, high = geometry.span
    assert low == geometry.positions().min()
    assert high == geometry.positions().max() + 1
    found = geometry.scattered(np.ones((2, *view.shape)), 12)
    assert found.shape == (2, 12)
    assert found.sum() == 2 * view.size


def test_shared_positions_are_added():
    """A value that a view shows several times would count once."""
    geometry = Geometry(0, (3, 2), (0, 1))
    assert not geometry.is_injective
    np.testing.assert_array_equal(geometry.scattered(np.ones((1, 3, 2)), 2), [[3, 3]])
    np.testing.assert_array_equal(scattered(np.ones((2, 3)), np.array([1, 1, 0]), 3), [[1, 2, 0]] * 2)
