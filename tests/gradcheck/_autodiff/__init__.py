"""Tests of gradcheck/_autodiff."""
