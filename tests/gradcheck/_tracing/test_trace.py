"""Which line of a backward is wrong: cells in several styles, one statement spoiled at a time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck._common.files import load
from gradcheck._tracing.faults import faults
from gradcheck._tracing.trace import Trace

pytestmark = pytest.mark.lines

CLOSURES = """
import numpy as np
import gradcheck

@gradcheck.target
def make(rng, *, T=3, B=2, D=4, H=5):
    p = {"W": rng.standard_normal((D, H)), "U": rng.standard_normal((H, H)) / 2, "b": rng.standard_normal(H)}
    x, h0 = rng.standard_normal((T, B, D)), rng.standard_normal((B, H))
    goal = rng.standard_normal((B, H))

    def run():
        hs = [h0]
        for row in x:
            hs.append(np.tanh(row @ p["W"] + hs[-1] @ p["U"] + p["b"]))
        return hs

    def loss():
        return 0.5 * np.sum((run()[-1] - goal) ** 2)

    def grads():
        hs = run()
        g = {name: np.zeros_like(value) for name, value in p.items()}
        dh = hs[-1] - goal
        for t in reversed(range(len(x))):
            dz = dh * (1 - hs[t + 1] ** 2)
            g["W"] += x[t].T @ dz
            g["U"] += hs[t].T @ dz
            g["b"] += dz.sum(axis=0)
            dh = dz @ p["U"].T
        return g

    return gradcheck.Target(p, loss, grads)
"""

CLASS = """
import numpy as np
import gradcheck

class Layer:
    def __init__(self, rng, n, d):
        self.W, self.b = rng.standard_normal((d, n)), rng.standard_normal((d, 1))

    @staticmethod
    def act(z, *, slope=1.0):
        return np.tanh(slope * z)

class Deep(Layer):
    def __init__(self, rng, n, d):
        super().__init__(rng, n, d)
        self.V = rng.standard_normal((1, d))

    def forward(self, x):
        self.x = x
        self.z = self.W @ x + self.b
        self.h = self.act(self.z)
        self.y = self.V @ self.h
        return float(np.sum(self.y ** 2)) / 2 if not np.iscomplexobj(self.y) else np.sum(self.y ** 2) / 2

    def backward(self):
        dy = self.y.copy()
        dV = dy @ self.h.T
        dh = self.V.T @ dy
        dz = dh * (1 - self.h * self.h)
        dW, db = dz @ self.x.T, sum(column[:, None] for column in dz.T)
        return {"W": dW, "b": db, "V": dV}

@gradcheck.target
def make(rng, *, n=3, d=4, B=2):
    net, x = Deep(rng, n, d), rng.standard_normal((n, B))
    return gradcheck.Target({"W": net.W, "b": net.b, "V": net.V}, lambda: net.forward(x), net.backward)
"""

FUNCTIONS = """
import numpy as np
import gradcheck

def forward(x, W, gain):
    mean = x.mean(axis=1, keepdims=True)
    centred = x - mean
    scale = 1 / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + 1e-5)
    normed = centred * scale
    out = (normed * gain) @ W
    return out, (centred, scale, normed, gain, W)

def backward(dout, cache):
    centred, scale, normed, gain, W = cache
    dscaled = dout @ W.T
    dW = (normed * gain).T @ dout
    dgain = (dscaled * normed).sum(axis=0)
    dnormed = dscaled * gain
    inner = dnormed - dnormed.mean(axis=1, keepdims=True)
    dx = scale * (inner - normed * (dnormed * normed).mean(axis=1, keepdims=True))
    return dx, dW, dgain

@gradcheck.target
def make(rng, *, B=3, D=4, M=5):
    arrays = {"x": rng.standard_normal((B, D)), "W": rng.standard_normal((D, M)), "gain": rng.standard_normal(D)}
    return gradcheck.Target.from_vjp(forward, backward, arrays)
"""

STYLES = {"closures": CLOSURES, "class": CLASS, "functions": FUNCTIONS}

#: style, what is replaced by what, and whether a single edit can mend it
SPOILED = [
    ("closures", "dz = dh * (1 - hs[t + 1] ** 2)", "dz = dh * (1 - hs[t] ** 2)"),
    ("closures", "dz = dh * (1 - hs[t + 1] ** 2)", "dz = dh * (1 + hs[t + 1] ** 2)"),
    ("closures", 'g["W"] += x[t].T @ dz', 'g["W"] = x[t].T @ dz'),
    ("closures", 'g["W"] += x[t].T @ dz', 'g["W"] -= x[t].T @ dz'),
    ("closures", 'g["b"] += dz.sum(axis=0)', 'g["b"] += dh.sum(axis=0)'),
    ("closures", 'dh = dz @ p["U"].T', 'dh = dz @ p["U"]'),
    ("class", "dz = dh * (1 - self.h * self.h)", "dz = dh * (1 - self.z * self.h)"),
    ("class", "dh = self.V.T @ dy", "dh = 2 * self.V.T @ dy"),
    ("class", "dV = dy @ self.h.T", "dV = -dy @ self.h.T"),
    ("functions", "dnormed = dscaled * gain", "dnormed = dscaled + gain"),
    ("functions", "dgain = (dscaled * normed).sum(axis=0)", "dgain = (dscaled * centred).sum(axis=0)"),
    ("functions", "dW = (normed * gain).T @ dout", "dW = normed.T @ dout"),
]


def module(tmp_path: Path, source: str) -> ModuleType:
    """The source as a file's module."""
    path = tmp_path / "cell.py"
    path.write_text(source)
    return load(path)


@pytest.mark.parametrize("style", STYLES)
def test_correct_code_has_no_fault(style: str, tmp_path: Path) -> None:
    """A right line would be accused."""
    make = module(tmp_path, STYLES[style]).make
    target = make.build(0, make.sizes)
    target.draw_cotangents(np.random.default_rng(0))
    with Trace(target) as trace:
        assert faults(trace) == []
        assert trace.wrong(trace.judgement({}).recording.gradients) == ()
    assert gradcheck.check(make).findings == ()


@pytest.mark.parametrize(("style", "right", "wrong"), SPOILED)
def test_the_line_is_found_and_mended(style: str, right: str, wrong: str, tmp_path: Path) -> None:
    """Another line would be accused, or the fault would go without a fix."""
    source = STYLES[style].replace(right, wrong)
    assert source != STYLES[style]
    report = gradcheck.check(module(tmp_path, source).make)
    line = next(i for i, text in enumerate(source.splitlines(), 1) if wrong in text)
    located = [finding for finding in report.findings if finding.line is not None]
    assert [finding.line for finding in located] == [line]
    fix = located[0].fix
    assert fix is not None
    assert fix.verified
    assert set(located[0].blocks) == {name for name, block in report.blocks.items() if block.verdict == "wrong"}


def test_functions_are_put_back(tmp_path: Path) -> None:
    """The user's functions would go on running rewritten."""
    make = module(tmp_path, FUNCTIONS.replace("(normed * gain).T @ dout", "normed.T @ dout")).make
    code = sys.modules[make.__module__].backward.__code__
    gradcheck.check(make)
    assert sys.modules[make.__module__].backward.__code__ is code


def test_source_that_is_missing_is_said() -> None:
    """A check of code without a file would fail, or keep silent about why it names no line."""
    space: dict[str, Any] = {"np": np, "w": np.ones(3)}
    exec("def loss(): return float(np.sum(w**2))\ndef grads(): return {'w': 3 * w}", space)  # no file, as in a REPL
    report = gradcheck.check(gradcheck.Target({"w": space["w"]}, space["loss"], space["grads"]))
    assert [finding.line for finding in report.findings] == [None]
    assert any("source" in note for note in report.notes)


def test_a_finding_with_a_fix_travels(tmp_path: Path) -> None:
    """The line and its fix would be lost on the way to a machine, a page or an issue."""
    report = gradcheck.check(module(tmp_path, FUNCTIONS.replace("(normed * gain).T @ dout", "normed.T @ dout")).make)
    (finding,) = report.findings
    assert finding.fix is not None
    told = json.loads(report.to_json())["findings"][0]
    assert told["line"] == finding.line
    assert told["fix"]["verified"] is True
    assert told["fix"]["diff"] == finding.fix.diff
    page = tmp_path / "report.html"
    report.to_html(page)
    for text in (page.read_text(encoding="utf-8"), report.to_markdown(), str(report)):
        assert f":{finding.line}" in text
        assert "gain" in text


def test_a_check_is_the_same_twice(tmp_path: Path) -> None:
    """The same seed would give another line, or another fix."""
    make = module(tmp_path, FUNCTIONS.replace("(normed * gain).T @ dout", "normed.T @ dout")).make
    first, second = gradcheck.check(make), gradcheck.check(make)
    assert first.findings == second.findings
    assert first.patch == second.patch


@pytest.mark.filterwarnings("ignore")
def test_a_parameter_without_entries_stands_in_nobodys_way() -> None:
    """A bias of no entries beside a wrong gradient would end the search for its line in an error of NumPy's."""
    w, nothing = np.arange(1.0, 4.0), np.zeros((0, 3))
    trace = Trace(
        gradcheck.Target({"w": w, "b": nothing}, lambda: float((w**2).sum()), lambda: {"w": 3 * w, "b": nothing})
    )
    with trace:
        assert trace.wrong({"w": 3 * w, "b": nothing}) == ("w",)
