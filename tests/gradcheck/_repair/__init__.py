"""Tests of gradcheck/_repair."""
