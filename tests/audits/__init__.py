"""Audits that run with --gradcheck."""
