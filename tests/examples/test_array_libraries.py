"""The examples and recipes for torch, JAX and kernels in C are right, and a bug in each is seen."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gradcheck

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
RECIPES = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "array-libraries.md").read_text("utf-8"), re.M | re.S)


@pytest.fixture(autouse=True)
def precision_of_jax() -> Any:
    """The examples switch double precision on for all; put it back."""
    config = getattr(sys.modules.get("jax"), "config", None)
    before = getattr(config, "jax_enable_x64", False)
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", before)


def loaded(folder: Path, name: str, before: str = "", after: str = "") -> Any:
    """An example, or a copy with another line."""
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert text.count(before) == 1 or not before
    path = folder / f"{name}.py"
    path.write_text(text.replace(before, after) if before else text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"{name}_{len(after)}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def compiled(folder: Path, before: str = "", after: str = "") -> Path:
    """The kernel, built by the system's compiler, with other text at one place."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler here")
    text = (EXAMPLES / "c_kernel.c").read_text(encoding="utf-8")
    source, library = folder / "kernel.c", folder / "kernel.so"
    source.write_text(text.replace(before, after) if before else text, encoding="utf-8")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source, "-lm"], check=True)
    return library


def test_the_kernel_in_c_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example would not run, or a right kernel be accused."""
    monkeypatch.setenv("C_KERNEL", str(compiled(tmp_path)))
    report = gradcheck.check(loaded(tmp_path, "c_kernel").c_layer)
    assert report.ok, report


def test_a_wrong_kernel_gets_a_verdict_entries_and_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process would crash, a line of Python be accused, or the call not be named."""
    library = compiled(tmp_path, "dx[n] += da * W", "dx[n] -= da * W")
    monkeypatch.setenv("C_KERNEL", str(library))
    report = gradcheck.check(loaded(tmp_path, "c_kernel").c_layer)
    assert {name: one.verdict for name, one in report.blocks.items()} == {"W": "right", "x": "wrong"}
    assert [one.code for one in report.findings] == ["sign"]
    assert any("kernel.layer_backward" in note and "cannot be seen" in note for note in report.notes)


@pytest.mark.oracle
def test_the_function_of_torch_is_right_and_a_bug_is_named(tmp_path: Path) -> None:
    """The example would not run, or say nothing of a bug."""
    pytest.importorskip("torch", reason="torch is not installed: pip install 'gradcheck[torch]'")
    assert gradcheck.check(loaded(tmp_path, "torch_function").torch_lstm).ok
    wrong = loaded(tmp_path, "torch_function", "dct = dc + dh * o", "dct = dh * o").torch_lstm
    report = gradcheck.check(wrong.with_sizes(T=2, B=2, D=3, H=4))
    (found,) = [one for one in report.findings if one.code.is_line]
    assert found.statement == "dct = dh * o * (1 - tc**2)"
    assert found.fix is not None
    assert found.fix.verified


@pytest.mark.oracle
def test_the_rule_of_jax_is_right(tmp_path: Path) -> None:
    """The example would not run."""
    pytest.importorskip("jax", reason="JAX is not installed: pip install 'gradcheck[jax]'")
    report = gradcheck.check(loaded(tmp_path, "jax_custom_vjp").jax_gates)
    assert report.ok, report


@pytest.mark.oracle
@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_the_recipes_run(tmp_path: Path, number: int) -> None:
    """A reader would copy a recipe that does not work."""
    block = RECIPES[number]
    pytest.importorskip("jax" if "import jax" in block else "torch", reason="its library is not installed")
    path = tmp_path / f"array_recipe_{number}.py"
    path.write_text(block, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    targets = [one for one in vars(module).values() if isinstance(one, gradcheck.TargetFactory)]
    assert len(targets) == 1
    report = gradcheck.check(targets[0], explain=False)
    assert report.ok, report


def test_there_are_recipes() -> None:
    """The page would have lost its examples, and no test have noticed."""
    assert len(RECIPES) == 3
    assert all("@gradcheck.target" in one for one in RECIPES)
