"""Tests of gradcheck/_tracing."""
