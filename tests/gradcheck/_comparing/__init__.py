"""Tests of gradcheck/_comparing."""
