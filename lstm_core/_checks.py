"""What is refused before any arithmetic: one clear line instead of a broadcast that went wrong in silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def require_array(name: str, array: object) -> None:
    """Refuse anything but a NumPy array.

    Raises:
        TypeError: ``array`` is something else, a list for instance.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is a {type(array).__name__}, expected a NumPy array: pass np.asarray of it")


def require_numbers(**arrays: Array) -> np.dtype[Any]:
    """Return the floating or complex dtype that the arrays have in common.

    Raises:
        TypeError: an argument is no array, or holds anything but floating or complex numbers.
    """
    for name, array in arrays.items():
        require_array(name, array)
        if array.dtype.kind not in "fc":
            raise TypeError(
                f"{name} has dtype {array.dtype}, expected floating or complex numbers: "
                f"convert it first, for example with .astype(float)"
            )
    return np.result_type(*arrays.values())


def require_shape(name: str, array: Array, expected: tuple[int, ...], axes: str) -> None:
    """Refuse an array of another shape; ``axes`` names the axes of the expected one, as in ``(B, H)``.

    Raises:
        TypeError: ``array`` is no array.
        ValueError: the shapes differ.
    """
    require_array(name, array)
    if array.shape != expected:
        raise ValueError(
            f"{name} has shape {array.shape}, expected {expected}, which is {axes}: "
            f"reshape it, or check the array that fixes {axes}"
        )


def require_rank(name: str, array: Array, axes: str) -> None:
    """Refuse an array with another number of axes than ``axes`` names, or with an empty axis.

    Raises:
        ValueError: the number of axes differs, or one of them has length zero.
    """
    rank = axes.count(",") + 1 - axes.count(",)")
    if array.ndim != rank:
        raise ValueError(f"{name} has shape {array.shape}, expected {rank} axes {axes}: reshape it")
    if 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}, expected no empty axis in {axes}: give at least one")


def require_gates(U: Array) -> int:
    """Return H, the number of hidden units, as the recurrent weights ``U`` (H, 4H) have it.

    Raises:
        ValueError: ``U`` is not of shape (H, 4H).
    """
    require_rank("U", U, "(H, 4H)")
    require_shape("U", U, (U.shape[0], 4 * U.shape[0]), "(H, 4H)")
    return int(U.shape[0])


def require_tokens(name: str, tokens: Array, size: int) -> None:
    """Refuse tokens that are not integers from 0 to ``size - 1``.

    Raises:
        TypeError: the dtype is not an integer.
        ValueError: a token lies outside the range.
    """
    if tokens.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {tokens.dtype}, expected integers: pass vocabulary indices")
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= size:
        raise ValueError(
            f"{name} holds {low if low < 0 else high}, expected 0 to {size - 1}: "
            f"encode the text with the vocabulary the model was made for"
        )
