"""Errors of the user's code: told as theirs, with their place, through any number of processes."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck import TargetError, UserCodeError
from gradcheck._common.errors import call_user_code
from tests.gradcheck.networks import CustomError


def raising(error: BaseException) -> Any:
    """A function of the user's."""
    raise error


def error_of(error: BaseException) -> UserCodeError:
    """What a call of a function that raises ends in."""
    with pytest.raises(UserCodeError) as caught:
        call_user_code("loss()", raising, error)
    return caught.value


def test_the_arguments_and_the_result_pass_through() -> None:
    """A function of the user's would be called with other arguments, or its result be lost."""
    assert call_user_code("f", lambda *values, **options: (values, options), 1, 2, a=3) == ((1, 2), {"a": 3})


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(2), CustomError("here", 1)])
def test_what_user_code_raises_is_told_as_theirs(error: BaseException) -> None:
    """An error of the user's would look like one of the checker's, or end the process."""
    found = error_of(error)
    assert found.what == "loss()"
    assert found.error is error
    assert str(found).startswith(f"loss() raised {type(error).__name__}: {error} ({__file__}:")
    assert found.place.endswith("in raising")


def test_an_error_without_a_message_ends_without_a_colon() -> None:
    """The message would end in a colon and nothing after it."""
    assert str(error_of(KeyError())).startswith("loss() raised KeyError (")


def test_the_traceback_is_without_our_frames() -> None:
    """The user would look for a mistake in the checker's files."""
    text = error_of(ValueError("no")).traceback_text
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ValueError: no\n")
    assert Path(__file__).name in text
    assert "_common" + "/errors.py" not in text


def test_errors_about_a_target_stay_what_they_are() -> None:
    """A message of the checker's would be wrapped in a second one."""
    error = TargetError("params is empty")
    with pytest.raises(TargetError) as caught:
        call_user_code("loss()", raising, error)
    assert caught.value is error


def test_ctrl_c_is_not_the_users_error() -> None:
    """Ctrl-C would be reported as an error in the loss, and the check go on."""
    with pytest.raises(KeyboardInterrupt):
        call_user_code("loss()", raising, KeyboardInterrupt())


def test_numpys_warnings_are_not_shown() -> None:
    """Where the loss is asked far from its point, NumPy would fill the screen with warnings of overflow."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert call_user_code("loss()", lambda: np.array([1.0]) / 0)[0] == np.inf


def test_any_error_survives_pickling() -> None:
    """An error that pickle cannot restore would break the pool of workers on its way back."""
    found = error_of(CustomError("here", 1))
    sent = pickle.loads(pickle.dumps(found))
    assert str(sent) == str(found)
    assert (sent.what, sent.place, sent.traceback_text) == (found.what, found.place, found.traceback_text)
    assert isinstance(sent, UserCodeError)
