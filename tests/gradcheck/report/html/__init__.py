"""Tests of gradcheck/report/html."""
