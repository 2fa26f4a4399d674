"""Tests of gradcheck/_mutation."""
