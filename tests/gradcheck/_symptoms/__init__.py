"""Tests of gradcheck/_symptoms."""
