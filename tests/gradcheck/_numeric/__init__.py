"""Tests of gradcheck/_numeric."""
