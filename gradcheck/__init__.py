"""gradcheck: verifies hand-written gradients of recurrent networks, and says what is wrong where.

    report = gradcheck.check(gradcheck.Target(params, loss, grads))

A name is imported when it is first used, so that pytest, which imports the plugin in every run, does not pay for NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradcheck._version import __version__ as __version__

if TYPE_CHECKING:  # for type checkers, which do not read the table
    from gradcheck._checking.check import assert_gradients as assert_gradients
    from gradcheck._checking.check import check as check
    from gradcheck._common.definitions import load_definitions as load_definitions
    from gradcheck._common.errors import TargetError as TargetError
    from gradcheck._common.errors import UserCodeError as UserCodeError
    from gradcheck._mutation.mutation_pool import mutate as mutate
    from gradcheck._targets.factory import TargetFactory as TargetFactory
    from gradcheck._targets.factory import target as target
    from gradcheck._targets.stub_optimizer import StubOptimizer as StubOptimizer
    from gradcheck._targets.target import Target as Target
    from gradcheck.report.evidence import Fix as Fix
    from gradcheck.report.mutation_records import Mutation as Mutation
    from gradcheck.report.mutation_records import MutationReport as MutationReport
    from gradcheck.report.records import Block as Block
    from gradcheck.report.records import Finding as Finding
    from gradcheck.report.records import Law as Law
    from gradcheck.report.records import Trial as Trial
    from gradcheck.report.records import Worst as Worst
    from gradcheck.report.report import GradientError as GradientError
    from gradcheck.report.report import Report as Report

#: the module that each public name comes from
_HOMES = {
    "Block": "report.records",
    "Finding": "report.records",
    "Fix": "report.evidence",
    "GradientError": "report.report",
    "Law": "report.records",
    "Mutation": "report.mutation_records",
    "MutationReport": "report.mutation_records",
    "Report": "report.report",
    "StubOptimizer": "_targets.stub_optimizer",
    "Target": "_targets.target",
    "TargetError": "_common.errors",
    "TargetFactory": "_targets.factory",
    "Trial": "report.records",
    "UserCodeError": "_common.errors",
    "Worst": "report.records",
    "assert_gradients": "_checking.check",
    "check": "_checking.check",
    "load_definitions": "_common.definitions",
    "mutate": "_mutation.mutation_pool",
    "target": "_targets.factory",
}

__all__ = ["__version__", *_HOMES]


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext gradcheck``: the magics ``%%gradcheck`` and ``%gradcheck``."""
    from gradcheck.magics import register

    register(ipython)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gradcheck' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"gradcheck.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
