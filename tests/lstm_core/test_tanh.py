"""tanh of complex numbers in real arithmetic, against NumPy's."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from lstm_core._tanh import SMALL, tanh

REAL = [0.0, 1e-8, 0.5, -0.5, 3.0, -30.0, 800.0]


@pytest.mark.parametrize("imaginary", [0.0, 1e-30, -1e-12, SMALL / 2, 2 * SMALL, 1e-4, 0.3, -1.4, 3.0])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_it_is_tanh(imaginary: float, dtype: type) -> None:
    """Losses of complex parameters would be other losses, or have other derivatives."""
    z = np.array([complex(real, imaginary * sign) for real, sign in product(REAL, (1, -1))], dtype)
    expected, out = np.tanh(z), np.empty_like(z)
    tanh(z, out)
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(out.real, expected.real, rtol=8 * eps, atol=0)
    # 1 - tanh² of a saturated gate is exact to rounding beside 1
    np.testing.assert_allclose(out.imag, expected.imag, rtol=8 * eps, atol=8 * eps * abs(imaginary))
    tanh(z, z)
    np.testing.assert_array_equal(z, out)


def test_what_is_real_stays_real() -> None:
    """A real loss would take several times as long."""
    z = np.array(REAL)
    out = np.empty_like(z)
    tanh(z, out)
    np.testing.assert_array_equal(out, np.tanh(z))


def test_nan_is_seen() -> None:
    """A loss that is not finite would look as if it were."""
    z = np.array([complex(np.nan, 0), complex(0, np.nan)])
    tanh(z, z)
    assert np.isnan(z).all()
