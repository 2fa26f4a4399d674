"""Code as people leave it gets a target file that runs as it stands, or one that says where the gaps are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gradcheck
from gradcheck import TargetError
from gradcheck._common.files import load
from gradcheck._drafting.drafting import drafted
from tests.gradcheck._drafting import found


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Let no module of one test be another's."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith(("found_", "check_", "_gradcheck_")):  # torch cannot be imported a second time
            del sys.modules[name]
    sys.path[:] = path


def written(folder: Path, name: str, text: str) -> Path:
    """A file of this name."""
    file = folder / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(("name", "text", "adapter"), [(name, *one) for name, one in found.ALL.items()])
def test_a_draft_runs_and_finds_right_code_right(tmp_path: Path, name: str, text: str, adapter: str) -> None:
    """The author of such code would have to write a wrapper, or right code be called wrong."""
    output = tmp_path / f"check_{name}.py"
    draft = drafted(written(tmp_path, f"found_{name}", text), output)
    assert draft.runs
    assert f"Target.{adapter}(" in draft.text
    assert "O=3" in draft.text or name != "classifier"
    output.write_text(draft.text, encoding="utf-8")
    factories = [one for one in vars(load(output)).values() if isinstance(one, gradcheck.TargetFactory)]
    assert len(factories) == 1
    report = gradcheck.check(factories[0])
    assert report.ok, f"{draft.text}\n{report}"


def test_a_clip_that_is_meant_is_declared(tmp_path: Path) -> None:
    """Code that clips at 5, as tutorials do, would be called wrong."""
    draft = drafted(written(tmp_path, "found_clip", found.SCRIPT), tmp_path / "check.py")
    assert "clipped=5," in draft.text


def test_a_draft_of_wrong_code_runs_and_finds_it_wrong(tmp_path: Path) -> None:
    """A guess would be bent until wrong gradients seem right, or be thrown away because they are not."""
    spoiled = found.SCRIPT.replace("np.dot(Wh.T, draw)", "np.dot(Wh, draw)")
    output = tmp_path / "check_spoiled.py"
    draft = drafted(written(tmp_path, "found_spoiled", spoiled), output)
    assert draft.runs
    output.write_text(draft.text, encoding="utf-8")
    report = gradcheck.check(load(output).lossFun, explain=False)
    assert {name for name, block in report.blocks.items() if block.verdict == "wrong"} == {"Wx", "Wh"}


def test_a_gap_is_marked_where_it_is(tmp_path: Path) -> None:
    """The user would not know what is left to do, or take an empty check for one that passed."""
    draft = drafted(written(tmp_path, "found_gap", found.WITH_A_GAP), tmp_path / "check_gap.py")
    assert not draft.runs
    assert "weights = code.Weights(H, D)" in draft.text
    assert 'names = ["w", "u"]' in draft.text
    assert 'grad="{}_diff"' in draft.text
    gaps = [line.strip() for line in draft.text.splitlines() if "TODO" in line]
    assert gaps[0].endswith("as in Network.y_list_is(y_list, loss_layer)")
    assert gaps[1] == "raise NotImplementedError  # TODO: return the loss"
    compile(draft.text, "check_gap.py", "exec")


@pytest.mark.parametrize(("name", "text", "call"), [(name, *one) for name, one in found.WITH_GAPS.items()])
def test_what_another_library_runs_has_the_adapter_for_it(tmp_path: Path, name: str, text: str, call: str) -> None:
    """Its author would be sent to an adapter for NumPy, which cannot take it."""
    draft = drafted(written(tmp_path, f"found_{name}", text), tmp_path / f"check_{name}.py")
    assert not draft.runs
    assert call in draft.text
    assert "# TODO: its shape" in draft.text
    compile(draft.text, "check_other.py", "exec")


def test_a_kernel_is_never_tried_with_guessed_shapes(tmp_path: Path) -> None:
    """C code would read and write beside the arrays."""
    text = found.KERNEL.replace("lib = ", "lib = object()  # ").replace("lib.fwd.argtypes", "types")
    file = written(
        tmp_path, "found_c", text.replace("    h = a.copy()", "    open(__file__ + '.ran', 'w')\n    h = a.copy()")
    )
    drafted(file, tmp_path / "check_c.py")
    assert not Path(f"{file}.ran").exists()


@pytest.mark.oracle
def test_a_module_of_torch_is_taken_as_it_is(tmp_path: Path) -> None:
    """The author of a custom function would be told to fill in what the tool can find out."""
    pytest.importorskip("torch", reason="torch is not installed: pip install 'gradcheck[torch]'")
    output = tmp_path / "check_module.py"
    draft = drafted(written(tmp_path, "found_module", found.MODULE), output)
    assert draft.runs
    output.write_text(draft.text, encoding="utf-8")
    assert gradcheck.check(load(output).net).ok


def test_a_file_that_cannot_be_imported_says_why(tmp_path: Path) -> None:
    """The user would look for the reason in our file."""
    text = f"import numpy as np\nW = np.zeros(-1)\n{found.ATTRIBUTES}"
    draft = drafted(written(tmp_path, "found_import", text), tmp_path / "check_import.py")
    assert not draft.runs
    assert "# TODO: found_import.py could not be run: ValueError: negative dimensions" in draft.text


def test_a_package_that_is_not_installed_is_not_in_the_way(tmp_path: Path) -> None:
    """Somebody would have to install what draws pictures to check a gradient."""
    text = f"import not_there_at_all\n{found.ATTRIBUTES}"
    draft = drafted(written(tmp_path, "found_missing", text), tmp_path / "check_missing.py")
    assert draft.runs
    assert "load_definitions" in draft.text


def test_weights_of_inner_objects_are_found(tmp_path: Path) -> None:
    """A layer around a cell would have no weights."""
    cell = found.RETURNING.replace("class Net", "class Cell")
    text = f"""{cell}

class Layer:
    def __init__(self, input_size, hidden_size):
        self.cell = Cell(input_size, hidden_size)

    def forward(self, inputs):
        return self.cell.forward(inputs)

    def backward(self, d_out, cache):
        dh, (dU, dW) = self.cell.backward(d_out, cache)
        return {{"W": dW, "U": dU}}
"""
    draft = drafted(written(tmp_path, "found_inner", text), tmp_path / "check_inner.py")
    assert draft.runs
    assert 'names = ["cell.W", "cell.U"]' in draft.text


def test_python_2_is_told(tmp_path: Path) -> None:
    """The user would see a SyntaxError of their file as one of ours."""
    with pytest.raises(TargetError, match=r"found_old.py, line 1 is no Python 3: .*Python 2 has to be converted"):
        drafted(written(tmp_path, "found_old", "print 'hello'\n"), tmp_path / "check_old.py")


def test_a_file_of_a_package_is_imported_from_above(tmp_path: Path) -> None:
    """Imports of the package's own modules would fail."""
    package = tmp_path / "found_package"
    package.mkdir()
    written(package, "tools", "import numpy as np\n")
    text = found.UPDATING.replace("import numpy as np", "import numpy as np\nimport found_package.tools")
    output = tmp_path / "check_package.py"
    draft = drafted(written(package, "cell", text), output)
    assert draft.runs
    assert "import found_package.cell as code" in draft.text


def test_the_same_file_gives_the_same_draft(tmp_path: Path) -> None:
    """A second run would give another file."""
    file = written(tmp_path, "found_again", found.RETURNING)
    first, second = (drafted(file, tmp_path / "check.py").text for _ in range(2))
    assert first == second


RIGHT_RULE = """
import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)


@jax.custom_vjp
def gate(x, w, b):
    return jnp.tanh(x @ w + b)


def gate_fwd(x, w, b):
    y = gate(x, w, b)
    return y, (x, w, y)


def gate_bwd(kept, dy):
    x, w, y = kept
    da = dy * (1 - y**2)
    return da @ w.T, x.T @ da, da.sum(0)


gate.defvjp(gate_fwd, gate_bwd)
"""


@pytest.mark.oracle
def test_a_rule_of_jax_is_drafted_with_the_shapes_that_it_takes(tmp_path: Path) -> None:
    """The author of a rule would have to fill in shapes, or its two halves be checked as if they were NumPy's."""
    pytest.importorskip("jax", reason="jax is not installed: pip install 'gradcheck[jax]'")
    output = tmp_path / "check_rule.py"
    draft = drafted(written(tmp_path, "found_right_rule", RIGHT_RULE), output)
    assert draft.runs
    assert "Target.from_vjp(code.gate, inputs=inputs)" in draft.text
    output.write_text(draft.text, encoding="utf-8")
    assert gradcheck.check(load(output).gate).ok
