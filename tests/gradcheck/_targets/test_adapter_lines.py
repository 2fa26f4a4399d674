"""A bug in code as it is found is named and mended at its line in that code, whatever adapter is around it."""

from __future__ import annotations

from typing import Any

import pytest

import gradcheck
from tests.gradcheck._targets.found_targets import FILE, of_call, of_lists, of_object, of_optimizer, of_update, spoiled

pytestmark = pytest.mark.lines


@pytest.mark.parametrize(
    ("make", "right", "wrong", "times"),
    [
        (of_call, "np.dot(Wh.T, draw)", "np.dot(Wh, draw)", 1),
        (of_object, "self.u_diff += np.outer(dz, self.hs[t])", "self.u_diff += np.outer(dz, self.hs[t + 1])", 1),
        (of_update, "dw = dw + np.outer(dz, xs[t])", "dw = dw - np.outer(dz, xs[t])", 1),
        (of_optimizer, "dnext = self.u.T @ dz", "dnext = self.u @ dz", 3),
        (of_lists, "(1 - self.a[k + 1] ** 2)", "(1 - self.a[k + 1])", 1),
    ],
)
def test_the_line_in_the_users_file_is_named_and_mended(make: Any, right: str, wrong: str, times: int) -> None:
    """The code around it would be accused, or nothing at all be said of where the mistake is."""
    code = spoiled(make.__name__, right, wrong, times=times)
    report = gradcheck.check(make(code))
    assert report.verdict == "wrong"
    lines = [finding for finding in report.findings if finding.line]
    source = FILE.read_text(encoding="utf-8").splitlines()
    expected = [number for number, line in enumerate(source, 1) if right in line][-1]
    assert [(one.file, one.line) for one in lines] == [(code.__file__, expected)]
    assert lines[0].fix is not None
    assert lines[0].fix.verified
