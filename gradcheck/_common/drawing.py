"""Directions and signs at random: of large arrays in single precision, a block at a time."""

from __future__ import annotations

import math

import numpy as np

from gradcheck._common.arrays import BLOCK, Array

#: arrays of more entries are drawn in single precision: beside them the user's loss no longer hides what drawing costs
LARGE = 2**14


def gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal numbers: float64, or float32 of more than `LARGE` entries, which takes a fifth of the time.

    Single precision rounds the direction, and not what is calculated along it: along any direction the slope is known
    to double precision, as long as whoever moves by it does so in double precision.
    """
    size = math.prod(shape)
    if size <= LARGE:
        return rng.standard_normal(shape)
    drawn = np.empty(size + size % 2, np.float32)
    for start in range(0, len(drawn), 2 * BLOCK):
        _fill_with_pairs(rng, drawn[start : start + 2 * BLOCK])
    return drawn[:size].reshape(shape)


def _fill_with_pairs(rng: np.random.Generator, drawn: Array) -> None:
    """Normal numbers in pairs, by the angle and the length of a vector of two (Box & Muller 1958)."""
    half = len(drawn) // 2
    # 24 bits of each half of a word: as many as a number in single precision has
    uniform = (rng.bit_generator.random_raw(half).view(np.uint32) >> 8).astype(np.float32)
    uniform *= 2.0**-24
    length, angle = uniform[:half], uniform[half:]
    np.subtract(1, length, out=length)  # in (0, 1]: it has a logarithm
    np.log(length, out=length)
    length *= -2
    np.sqrt(length, out=length)
    angle *= 2 * math.pi
    np.cos(angle, out=drawn[:half])
    np.sin(angle, out=drawn[half:])
    drawn[:half] *= length
    drawn[half:] *= length


def signs(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Ones, half of them negative: int8."""
    size = math.prod(shape)
    drawn = np.unpackbits(np.frombuffer(rng.bytes(-(-size // 8)), np.uint8), count=size).view(np.int8)
    drawn *= 2
    drawn -= 1
    return drawn.reshape(shape)
