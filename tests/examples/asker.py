"""The report on the seed's LSTM with all of its defects, which several tests look at and which takes long to make."""

from __future__ import annotations

import contextlib
import os
from functools import cache
from pathlib import Path
from unittest import mock

import gradcheck
from gradcheck._common.files import load

ROOT = Path(__file__).parents[2]


@cache
def asker_with_all_defects() -> gradcheck.Report:
    """What `gradcheck check examples/asker_lstm.py::asker_lstm` finds; once for all tests."""
    with contextlib.chdir(ROOT), mock.patch.dict(os.environ):
        os.environ.pop("ASKER_DEFECTS", None)
        return gradcheck.check(load(ROOT / "examples" / "asker_lstm.py").asker_lstm)
