"""Tests of gradcheck/_targets."""
