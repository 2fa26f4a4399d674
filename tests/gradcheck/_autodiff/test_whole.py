"""Networks of tensors with a backward by hand, and no rule in between."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import gradcheck

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradcheck[torch]'")
pytestmark = [pytest.mark.oracle, pytest.mark.lines]

CODE = """
import torch


class Rnn(torch.nn.Module):
    def __init__(self, D, H, dtype):
        super().__init__()
        self.W = torch.nn.Parameter(torch.randn(D, H, dtype=dtype), requires_grad=False)
        self.U = torch.nn.Parameter(torch.randn(H, H, dtype=dtype), requires_grad=False)

    def loss(self, x):
        self.hs = [torch.zeros(x.shape[1], len(self.U), dtype=x.dtype)]
        for step in x:
            self.hs.append(torch.tanh(step @ self.W + self.hs[-1] @ self.U))
        return (self.hs[-1] ** 2).sum()

    def backward(self, x):
        dW, dU = torch.zeros_like(self.W), torch.zeros_like(self.U)
        dh = 2 * self.hs[-1]
        for t in reversed(range(len(x))):
            da = dh * (1 - self.hs[t + 1] ** 2)
            dW += x[t].T @ da
            dU += self.hs[t].T @ da
            dh = da @ self.U.T
        return {"W": dW, "U": dU}
"""
BUGS = {
    "da = dh * (1 - self.hs[t + 1] ** 2)": "da = dh * (1 - self.hs[t + 1])",
    "dh = da @ self.U.T": "dh = dh @ self.U.T",
    "dU += self.hs[t].T @ da": "dU += self.hs[t].T @ dh",
}


def report_on(folder: Path, bug: str, dtype: Any, as_arrays: bool) -> gradcheck.Report:
    """The check of the network with a bug."""
    path = folder / "rnn.py"
    path.write_text(CODE.replace(bug, BUGS.get(bug, bug)), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("rnn", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    @gradcheck.target
    def by_hand(rng, *, T=3, B=2, D=3, H=4):
        torch.manual_seed(int(rng.integers(1 << 31)))
        net, x = module.Rnn(D, H, dtype), torch.randn(T, B, D, dtype=dtype)
        if not as_arrays:
            return gradcheck.Target(dict(net.named_parameters()), lambda: net.loss(x), lambda: net.backward(x))
        params = {name: one.numpy() for name, one in net.named_parameters()}
        grads = lambda: {name: one.numpy() for name, one in net.backward(x).items()}  # noqa: E731
        return gradcheck.Target(params, lambda: net.loss(x).item(), grads, inputs={"x": x})

    return gradcheck.check(by_hand.with_sizes(T=3, B=2, D=3, H=4))


@pytest.mark.parametrize("as_arrays", [False, True], ids=["tensors", "arrays"])
@pytest.mark.parametrize("bug", BUGS)
def test_the_line_is_named_and_mended(tmp_path: Path, bug: str, as_arrays: bool) -> None:
    """Whoever writes a backward in tensors would be told no line; or the return statement, which is innocent."""
    report = report_on(tmp_path, bug, torch.float64, as_arrays)
    found = [one for one in report.findings if one.code.is_line]
    assert [one.line for one in found] == [CODE[: CODE.index(bug)].count("\n") + 1], report
    assert found[0].fix is not None
    assert found[0].fix.verified


def test_in_float32_the_line_is_named_or_none(tmp_path: Path) -> None:
    """Rounding of float32 would make an innocent line look guilty."""
    bug = "dh = da @ self.U.T"
    report = report_on(tmp_path, bug, torch.float32, as_arrays=True)
    lines = {one.line for one in report.findings if one.code.is_line}
    assert lines <= {CODE[: CODE.index(bug)].count("\n") + 1}, report


@pytest.mark.parametrize("as_arrays", [False, True], ids=["tensors", "arrays"])
def test_right_code_is_right(tmp_path: Path, as_arrays: bool) -> None:
    """Right code would be accused."""
    report = report_on(tmp_path, "", torch.float64, as_arrays)
    assert report.ok, report
