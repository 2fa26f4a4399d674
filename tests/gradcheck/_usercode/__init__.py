"""Tests of gradcheck/_usercode."""
