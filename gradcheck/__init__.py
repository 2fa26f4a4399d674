"""gradcheck: verifies hand-written gradients of recurrent networks, and says what is wrong where.

    report = gradcheck.check(gradcheck.Target(params, loss, grads))

The names are handed out lazily, so that pytest, which imports the plugin in every run, does not pay for NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradcheck._version import __version__

if TYPE_CHECKING:
    from gradcheck._checking.check import assert_gradients, check
    from gradcheck._common.errors import TargetError, UserCodeError
    from gradcheck._mutation.mutation_pool import mutate
    from gradcheck._targets.factory import TargetFactory, target
    from gradcheck._targets.target import Target
    from gradcheck.report.mutation_records import Mutation, MutationReport
    from gradcheck.report.records import Block, Finding, Fix, Law, Trial, Worst
    from gradcheck.report.report import GradientError, Report

_HOMES = {
    "Block": "report.records",
    "Finding": "report.records",
    "Fix": "report.records",
    "GradientError": "report.report",
    "Law": "report.records",
    "Mutation": "report.mutation_records",
    "MutationReport": "report.mutation_records",
    "Report": "report.report",
    "Target": "_targets.target",
    "TargetError": "_common.errors",
    "TargetFactory": "_targets.factory",
    "Trial": "report.records",
    "UserCodeError": "_common.errors",
    "Worst": "report.records",
    "assert_gradients": "_checking.check",
    "check": "_checking.check",
    "mutate": "_mutation.mutation_pool",
    "target": "_targets.factory",
}

__all__ = [
    "Block",
    "Finding",
    "Fix",
    "GradientError",
    "Law",
    "Mutation",
    "MutationReport",
    "Report",
    "Target",
    "TargetError",
    "TargetFactory",
    "Trial",
    "UserCodeError",
    "Worst",
    "__version__",
    "assert_gradients",
    "check",
    "mutate",
    "target",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gradcheck' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"gradcheck.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
