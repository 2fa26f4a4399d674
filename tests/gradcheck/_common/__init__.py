"""Tests of gradcheck/_common."""
