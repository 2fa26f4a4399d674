"""The options of the plugin, on the command line and in the ini file.

Imported with the plugin in every run of pytest, so only pytest and the standard library stand at its top.
"""

from __future__ import annotations

import pytest

from gradcheck import plugin_baseline
from gradcheck.cli_parser import parse_laws, parse_seconds, parse_seed


def pytest_addoption(parser: pytest.Parser) -> None:
    """One group; every option begins with --gradcheck."""
    group = parser.getgroup("gradcheck", "gradient audits")
    group.addoption(
        "--gradcheck",
        action="store_true",
        default=False,
        help="run the tests marked gradcheck, and collect @gradcheck.target factories as tests",
    )
    group.addoption(
        "--gradcheck-full", action="store_true", default=None, help="difference every entry, not only directions"
    )
    group.addoption(
        "--gradcheck-laws",
        type=parse_laws,
        default=None,
        metavar="LAWS",
        help="ask only these of the laws that cost time, with commas between them, or none (default: all)",
    )
    group.addoption(
        "--gradcheck-mutate",
        action="store_true",
        default=False,
        help="plant bugs in the backward of every collected factory, which its check must find (implies --gradcheck)",
    )
    group.addoption(
        "--gradcheck-budget",
        type=parse_seconds,
        default=None,
        metavar="SECONDS",
        help="look for lines and fixes for so long, after the verdict (default: 30); "
        "with --gradcheck-mutate, begin no new bug of a factory after this time either",
    )
    group.addoption(
        "--gradcheck-no-explain",
        dest="gradcheck_explain",
        action="store_false",
        default=None,
        help="the verdict alone: look for no lines and fixes",
    )
    group.addoption(
        "--gradcheck-seed", type=parse_seed, default=None, metavar="N", help="seed of every check (default: 0)"
    )
    group.addoption(
        "--gradcheck-github",
        action="store_true",
        default=False,
        help="write what is wrong as annotations for GitHub (the default in a workflow)",
    )
    plugin_baseline.add_options(group)
    parser.addini(
        "gradcheck_files", "glob patterns of files whose @gradcheck.target factories are collected", "args", default=[]
    )
    parser.addini("gradcheck_full", "difference every entry, not only directions", "bool", default=False)
    parser.addini("gradcheck_laws", "the laws that are asked, with commas between them, or none: all if left out")
    parser.addini("gradcheck_explain", "look for lines and fixes where something is wrong", "bool", default=True)
    parser.addini("gradcheck_budget", "seconds for the search for lines and fixes, after the verdict", default="30")
    parser.addini("gradcheck_seed", "seed of every check", default="0")
