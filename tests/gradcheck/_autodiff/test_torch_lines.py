"""Lines in Functions of torch: bugs are planted in three of them, and right code is left alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gradcheck
from gradcheck._common.files import load
from gradcheck.report.evidence import RuleGradients

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradcheck[torch]'")
pytestmark = [pytest.mark.oracle, pytest.mark.lines]

CODE = (Path(__file__).parent / "torch_code.py").read_text(encoding="utf-8")
#: which Function, what stands there, what is planted
BUGS = [
    ("Gates", "dg * (1 - g * g)", "dg * (1 - g)"),
    ("Gates", "dc + dh * o", "dh * o"),
    ("Gates", "di = dct * g", "di = dc * g"),
    ("Gates", "dc_prev = dct * f", "dc_prev = dct * i"),
    ("Gates", "do = dh * tc", "do = dh * o"),
    ("Gates", "df * f * (1 - f)", "df * f"),
    ("Gates", "return dgates, dc_prev", "return dgates, dct"),
    ("Gates", "save_for_backward(i, f, g, o, tc, c_prev)", "save_for_backward(i, f, g, o, tc, c)"),
    ("Normalize", "(grad * normal).sum(dim=0)", "grad.sum(dim=0)"),
    ("Normalize", "grad_normal = grad * scale", "grad_normal = grad"),
    ("Normalize", " - normal * along", ""),
    ("Normalize", " - mean_of_grad - ", " - "),
    ("Normalize", "normal * along) * inverse", "normal * along)"),
    ("Normalize", "return grad_x, grad_scale, grad_shift", "return grad_x, grad_shift, grad_scale"),
    ("Scan", "1 - hs[t + 1] ** 2", "1 - hs[t] ** 2"),
    ("Scan", "dhs[t] + dh_next", "dhs[t]"),
    ("Scan", "dU += hs[t].T", "dU += hs[t + 1].T"),
    ("Scan", "db += da.sum(0)", "db += dh.sum(0)"),
    ("Scan", "dh_next = da @ U.T", "dh_next = da @ U"),
    ("Scan", "dW += x[t].T", "dW = x[t].T"),
    ("Scan", "dh_next = da @ U.T", "dh_next = dh @ U.T"),
    ("Scan", "dx[t] = da @ W.T", "dx[t] = dh @ W.T"),
]
#: what was said of each bug, for the summary
said: dict[str, str] = {}


@pytest.fixture(scope="module", autouse=True)
def summary() -> Iterator[None]:
    """Print how many of the planted bugs were named; `pytest -s` shows it."""
    yield
    if said:
        named = sum(one != "not named" for one in said.values())
        fixed = sum(one == "fixed" for one in said.values())
        print(f"\nplanted bugs in Functions of torch: {named} of {len(said)} lines named, {fixed} with a verified edit")


def code_with(folder: Path, name: str, *changes: tuple[str, str]) -> Any:
    """The module of a file with other text at some places."""
    text = CODE
    for before, after in changes:
        assert text.count(before) == 1
        text = text.replace(before, after)
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return load(path)


def report_on(module: Any, kind: str, dtype: Any = torch.float64) -> gradcheck.Report:
    """The check of a network with this Function inside, at one size."""

    @gradcheck.target
    def network(rng, *, T=3, B=2, D=3, H=4):
        torch.manual_seed(int(rng.integers(1 << 31)))
        net, x = module.Net(kind, D, H).to(dtype), torch.randn(T, B, D, dtype=dtype)
        weights = torch.randn(1000, dtype=dtype)

        def loss():
            y = net(x)
            return (y * y * weights[: y.numel()].reshape(y.shape) + y).sum()

        return gradcheck.Target.from_module(net, loss, also={"x": x})

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return gradcheck.check(network.with_sizes(T=3, B=2, D=3, H=4))


def line_of(text: str) -> int:
    """The line of the code that holds this."""
    return CODE[: CODE.index(text)].count("\n") + 1


@pytest.mark.parametrize("kind", ["Gates", "Normalize", "Scan"])
def test_right_code_is_right(tmp_path: Path, kind: str) -> None:
    """A Function that is right would be accused, and every planted bug prove nothing."""
    report = report_on(code_with(tmp_path, f"right_{kind}"), kind)
    assert report.ok, report
    assert not report.findings


@pytest.mark.parametrize("number", range(len(BUGS)))
def test_the_line_of_a_planted_bug_is_named(tmp_path: Path, number: int) -> None:
    """The author of a Function would be told that it is wrong, and not where."""
    kind, before, after = BUGS[number]
    report = report_on(code_with(tmp_path, f"planted_{number}", (before, after)), kind)
    lines = {one.line: one for one in report.findings if one.code.is_line}
    line = line_of(before)
    fix = lines[line].fix if line in lines else None
    said[f"{number}"] = "not named" if line not in lines else "fixed" if fix and fix.verified else "named"
    assert set(lines) == {line}, report
    (alone,) = [one for one in lines[line].evidence if isinstance(one, RuleGradients)]
    assert alone.rule == kind
    assert alone.wrong
    # the mean of a product has no edit of one expression
    assert (fix is not None and fix.verified) is (after != ""), report


def test_two_faults_of_one_backward_are_both_mended(tmp_path: Path) -> None:
    """The second fault would hide the first, as each alone explains nothing."""
    changes = ("dg * (1 - g * g)", "dg * (1 - g)"), ("df = dct * c_prev", "df = dc * c_prev")
    report = report_on(code_with(tmp_path, "two_faults", *changes), "Gates")
    fixed = {one.line for one in report.findings if one.fix is not None and one.fix.verified}
    assert fixed == {line_of(before) for before, _ in changes}, report


def test_a_module_in_float32_has_its_line_named(tmp_path: Path) -> None:
    """The Function is run alone in float64, so that rounding hides nothing."""
    module = code_with(tmp_path, "in_float32", ("dc_prev = dct * f", "dc_prev = dct * i"))
    report = report_on(module, "Gates", torch.float32)
    assert any("float32" in note and ".double()" in note for note in report.notes)
    assert [one.line for one in report.findings if one.code.is_line] == [line_of("dc_prev = dct * f")], report


def test_a_wrong_use_of_right_functions_is_told_as_such(tmp_path: Path) -> None:
    """A Function that is right would be accused of what is wrong around it."""
    graph = "h, c = Gates.apply(x[t] @ self.W + h @ self.U + self.b, c)"
    module = code_with(tmp_path, "around", (graph, graph.replace("h @ self.U", "h.detach() @ self.U")))
    report = report_on(module, "Gates")
    assert report.verdict == "wrong"
    assert not [one for one in report.findings if one.code.is_line]
    assert any("the backward of Gates returns what torch says" in note for note in report.notes), report.notes


def test_a_forward_that_torch_cannot_follow_gets_a_verdict_and_no_line(tmp_path: Path) -> None:
    """What is never differentiated would be told as right, or an innocent line be accused."""
    forward = "return (x - mean) * inverse * scale + shift"
    leaving = "return torch.from_numpy(((x - mean) * inverse * scale + shift).detach().numpy().copy())"
    module = code_with(tmp_path, "leaving", (forward, leaving), ("grad_normal = grad * scale", "grad_normal = grad"))
    report = report_on(module, "Normalize")
    assert report.verdict == "wrong"
    assert not [one for one in report.findings if one.code.is_line]
    assert any("torch cannot differentiate the forward of Normalize" in note for note in report.notes), report.notes
