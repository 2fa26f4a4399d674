"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from gradcheck import cli_session
from gradcheck._common import clock
from gradcheck._usercode.functions import functions_kept

#: markers of tests that take a minute or more, and run only where they are asked for
ASKED_FOR = ("packaging", "pages")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what takes long, unless ``-m`` names its marker."""
    asked: str = config.option.markexpr
    for item in items:
        for name in ASKED_FOR:
            if item.get_closest_marker(name) and name not in asked:
                item.add_marker(pytest.mark.skip(reason=f"takes a minute: pytest -m {name}"))


@pytest.fixture(scope="module", autouse=True)
def kept_functions() -> Iterator[ExitStack]:
    """Let the functions that there are be remembered: else all objects, some hundred thousand where there are as many
    tests, are looked through each time that code runs edited. Who tests what is remembered closes it.
    """
    with ExitStack() as stack:
        stack.enter_context(functions_kept())
        yield stack


@pytest.fixture(autouse=True)
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no search for lines be cut short because a machine is busy; tests of that set the time themselves."""
    monkeypatch.setattr(clock, "now", partial(float, 0))  # no function of a file that could be taken for the user's


@pytest.fixture(autouse=True)
def no_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let output be the same in a workflow of GitHub's; tests of that set the variables themselves."""
    for variable in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(autouse=True)
def no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let standard error be the same on slow machines; tests of the progress set the delay themselves."""
    monkeypatch.setattr(cli_session, "PROGRESS_DELAY", 3600.0)
