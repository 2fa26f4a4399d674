"""Tests of gradcheck/_checking."""
