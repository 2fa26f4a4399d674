"""Writes a backward from a forward."""
