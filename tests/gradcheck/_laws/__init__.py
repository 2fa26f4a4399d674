"""Tests of gradcheck/_laws."""
