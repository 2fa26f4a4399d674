"""A backward written from a forward."""
