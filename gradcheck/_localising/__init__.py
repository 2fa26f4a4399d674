"""Localisation."""
