"""Python files as modules: found, run once, and their errors quoted."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradcheck import TargetError, UserCodeError
from gradcheck._common.files import has_changed, load


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """The import path and the modules are put back."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def written(folder: Path, **files: str) -> Path:
    """These files in the folder; the last of them is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder / f"{name}.py"


def test_a_file_is_run_once(tmp_path: Path) -> None:
    """A file would be run for each of its targets."""
    file = written(tmp_path, model="x = object()")
    assert load(file).x is load(str(file)).x


def test_files_of_the_same_name_are_apart(tmp_path: Path) -> None:
    """The second of two files called model.py would be the first."""
    files = [written(tmp_path / name, model=f"here = {name!r}") for name in "ab"]
    assert [load(file).here for file in files] == ["a", "b"]


def test_a_file_finds_its_neighbours(tmp_path: Path) -> None:
    """A file that imports another beside it would not run, though `python FILE` does."""
    file = written(tmp_path, beside_it="x = 7", model="from beside_it import x")
    assert load(file).x == 7
    assert sys.path.count(str(tmp_path)) == 1
    load(written(tmp_path, other="from beside_it import x"))
    assert sys.path.count(str(tmp_path)) == 1


def test_neighbours_of_the_same_name_are_apart(tmp_path: Path) -> None:
    """A check of two folders would judge the network of the first one twice, and call both right or both wrong."""
    for name in "ab":
        written(tmp_path / name / "net_pack", __init__="", inner=f"here = {name!r}")
        written(tmp_path / name, net_code=f"here = {name!r}", check_it="import net_code\nfrom net_pack import inner")
    for name in "aba":
        module = load(tmp_path / name / "check_it.py")
        assert (module.net_code.here, module.inner.here) == (name, name)


def test_what_a_factory_imports_later_is_its_neighbour(tmp_path: Path) -> None:
    """An import inside a factory would find the network of the folder that was checked before."""
    for name in "ab":
        written(tmp_path / name, net_code=f"here = {name!r}")
        make = load(written(tmp_path / name, later="def make():\n    import net_code\n    return net_code.here")).make
        assert make() == name


def test_modules_of_somebody_else_are_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that have imported a module of this name would find that of a checked file, which cannot be pickled."""
    theirs = written(tmp_path / "a", net_code="here = 'a'")
    monkeypatch.syspath_prepend(str(theirs.parent))
    module = importlib.import_module("net_code")
    written(tmp_path / "b", net_code="here = 'b'")
    assert load(written(tmp_path / "b", later="from net_code import here")).here == "b"
    assert sys.modules["net_code"] is module


def test_a_file_of_a_package_is_a_part_of_it(tmp_path: Path) -> None:
    """Relative imports would fail."""
    written(tmp_path / "pack_of_a_user", __init__="", helper="x = 7")
    written(tmp_path / "pack_of_a_user" / "inner", __init__="")
    file = written(tmp_path / "pack_of_a_user" / "inner", model="from ..helper import x")
    module = load(file)
    assert (module.x, module.__name__) == (7, "pack_of_a_user.inner.model")
    assert load(tmp_path / "pack_of_a_user" / "__init__.py").__name__ == "pack_of_a_user"


def test_a_package_of_a_name_that_is_taken_is_loaded_as_a_file(tmp_path: Path) -> None:
    """A folder called json with an __init__.py would hand out the standard library's."""
    file = written(tmp_path / "json", __init__="", model="x = 7")
    assert load(file).x == 7
    assert "json.model" not in sys.modules


@pytest.mark.parametrize(
    ("name", "told"),
    [("nothing.py", "no such file"), (".", "expected a Python file"), ("model.txt", "expected a Python file")],
)
def test_what_is_no_python_file_is_said(tmp_path: Path, name: str, told: str) -> None:
    """A mistyped name would end in a traceback."""
    (tmp_path / "model.txt").write_text("x = 1")
    with pytest.raises(TargetError, match=told) as caught:
        load(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("x = (", "SyntaxError"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("raise SystemExit(2)", "SystemExit: 2"),
    ],
)
def test_a_file_that_raises_is_quoted_and_forgotten(tmp_path: Path, text: str, told: str) -> None:
    """A half-run module would be handed out the second time, or the checker would exit with the file."""
    file = written(tmp_path, model=text)
    for _ in range(2):
        with pytest.raises(UserCodeError, match=f"importing .*model.py raised {told}"):
            load(file)
    file.write_text("x = 7")
    assert load(file).x == 7


def test_ctrl_c_while_a_file_runs_leaves_no_half_of_it(tmp_path: Path) -> None:
    """After Ctrl-C a notebook would be handed a module that was run half."""
    file = written(tmp_path, model="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load(file)
    file.write_text("x = 7")
    assert load(file).x == 7


def test_a_file_that_has_changed_since_is_known(tmp_path: Path) -> None:
    """Lines of a file that was typed in meanwhile would be named, and they are not those that run."""
    file = written(tmp_path, typed="x = 7")
    load(file)
    assert not has_changed(str(file))
    file.write_text("\nx = 7")
    assert has_changed(str(file))
    load(file)  # the module is the one that was loaded before
    assert has_changed(str(file))
    file.write_text("x = 7")
    assert not has_changed(str(file))
    assert not has_changed(str(tmp_path / "never_loaded.py"))


def test_files_with_the_names_of_pythons_own_take_nothing_away(tmp_path: Path) -> None:
    """A statistics.py beside the file would be imported by whatever needs Python's own; a numpy.py by workers."""
    raising = "raise ImportError('the wrong one')"
    file = written(tmp_path, colorsys=raising, numpy=raising, model="import colorsys, numpy; x = colorsys.hls_to_rgb")
    assert callable(load(file).x)
    assert sys.path[-1] == str(tmp_path)


def test_who_means_his_own_module_is_told(tmp_path: Path) -> None:
    """Somebody whose own module has the name of one of Python's would not see why it lacks what they wrote."""
    file = written(tmp_path, colorsys="mine = 1", model="from colorsys import mine")
    with pytest.raises(UserCodeError, match=r"Python's own colorsys comes before the file of that name beside it"):
        load(file)
