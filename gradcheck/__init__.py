"""gradcheck: verifies hand-written gradients of recurrent networks, and says what is wrong where.

    report = gradcheck.check(gradcheck.Target(params, loss, grads))

The names are handed out lazily, so that pytest, which imports the plugin in every run, does not pay for NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradcheck._version import __version__

if TYPE_CHECKING:
    from gradcheck._check import assert_gradients, check
    from gradcheck._errors import GradientError, TargetError, UserCodeError
    from gradcheck._mutate import Mutation, MutationReport, mutate
    from gradcheck._report import Block, Finding, Fix, Law, Report, Trial, Worst
    from gradcheck._sizes import TargetFactory, target
    from gradcheck._target import Target

_HOMES = {
    "Block": "_report",
    "Finding": "_report",
    "Fix": "_report",
    "GradientError": "_errors",
    "Law": "_report",
    "Mutation": "_mutate",
    "MutationReport": "_mutate",
    "Report": "_report",
    "Target": "_target",
    "TargetError": "_errors",
    "TargetFactory": "_sizes",
    "Trial": "_report",
    "UserCodeError": "_errors",
    "Worst": "_report",
    "assert_gradients": "_check",
    "check": "_check",
    "mutate": "_mutate",
    "target": "_sizes",
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
