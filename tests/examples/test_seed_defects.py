"""Every known defect of the seed's systems, alone and all together: caught, by the right check, in the right gradients.

``pytest -s tests/examples/test_seed_defects.py`` prints the table.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

import gradcheck
from gradcheck._common.files import load
from tests.printed import is_shown_in_readme, is_shown_in_tutorial

EXAMPLES = Path(__file__).parents[2] / "examples"
GATES = {f"{kind}{gate}" for kind in "Wb" for gate in "ifoc"}
OUTPUT = {"Wy", "by"}
EVERY = GATES | OUTPUT

#: defect, target, wrong gradients, laws broken, smallest failing size (one time step is T=1)
ASKER = [
    ("sigma_prime_of_activated", "asker_lstm", GATES, set(), {"T": 1, "n": 2, "d": 1}),
    ("tanh_prime_of_activated", "asker_lstm", GATES, set(), {"T": 1, "n": 2, "d": 1}),
    ("dWc_uses_dc", "asker_lstm", {"Wc"}, set(), {"T": 1, "n": 2, "d": 1}),
    ("dbc_uses_dc", "asker_lstm", {"bc"}, set(), {"T": 1, "n": 2, "d": 1}),
    ("swapped_state", "asker_lstm", GATES, set(), {"T": 2, "n": 2, "d": 1}),
    ("fed_positions", "asker_lstm", set(), {"dependence"}, None),
    ("clips_inside", "asker_lstm", set(), {"scale"}, None),
    ("clips_inside", "asker_step", set(), {"linearity"}, None),
    ("mean_loss", "asker_lstm", EVERY, {"reduction"}, {"T": 2, "n": 2, "d": 1}),
    ("carried_over_windows", "asker_windows", GATES, {"statelessness"}, {"N": 2, "T": 1, "n": 2, "d": 1}),
    ("short_window", "asker_windows", set(), {"sizes"}, {"N": 1, "T": 2, "n": 1, "d": 1}),
    ("unstable_softmax", "asker_shifted", set(), {"finite"}, None),
    ("loss_is_array", "asker_lstm", set(), {"scalar"}, None),
]
GUIDE = [
    ("dy_indexes_row_1", "guide_lstm", EVERY - {"by"}, {"sizes"}, {"T": 1, "B": 2, "D": 2, "H": 1}),
    ("biases_not_reduced", "guide_lstm", set(), {"sizes"}, {"T": 1, "B": 2, "D": 1, "H": 1}),
    ("derivative_of_activated", "guide_lstm", GATES, set(), {"T": 1, "B": 1, "D": 2, "H": 1}),
    ("derivative_of_raw", "guide_lstm", GATES, set(), {"T": 1, "B": 1, "D": 2, "H": 1}),
    ("mean_loss_summed_gradients", "guide_lstm", EVERY, {"reduction"}, {"T": 2, "B": 1, "D": 2, "H": 1}),
    ("unstable_softmax", "guide_shifted", set(), {"finite"}, None),
]
#: the statements at fault, each with a verified fix; what is not here breaks a law, and no line is wrong
LINES = {
    "sigma_prime_of_activated": ["dsigmoid(o)", "dsigmoid(f)", "dsigmoid(i)"],
    "tanh_prime_of_activated": ["dtanh(ct)"],
    "dWc_uses_dc": ["net.dWc += self.v @ dc.T"],
    "dbc_uses_dc": ["net.dbc += dc"],
    "swapped_state": ["dh, dc = self.cells[t].backpropagate"],
    "clips_inside": ["np.clip(dh", "np.clip(dc"],
    "mean_loss": ["dy[label] -= 1"],  # and a division in a statement more
    "dy_indexes_row_1": ["dy[1, labels] -= 1.0"],
    "derivative_of_activated": ["dsigmoid(ho)", "dsigmoid(hf)", "dsigmoid(hi)", "dtanh(hc)"],
    "derivative_of_raw": ["dtanh_of(c)"],
    "mean_loss_summed_gradients": ["dy[np.arange(len(labels)), labels] -= 1.0"],
}
#: where training starts is not wrong for any check of gradients to see
INVISIBLE = {"wy_scaled_by_fan_out", "forget_bias_0"}


@pytest.fixture
def checked(monkeypatch):
    """Check a target of an example with the defects that an environment variable names."""

    def check(file, target, defects, **options):
        monkeypatch.setenv(f"{file.upper()}_DEFECTS", defects)
        return gradcheck.check(getattr(load(EXAMPLES / f"{file}_lstm.py"), target), **options)

    return check


def wrong(report):
    """The names of the wrong gradients."""
    return {name for name, block in report.blocks.items() if block.verdict == "wrong"}


def broken(report):
    """The names of the broken laws."""
    return {name for name, law in report.laws.items() if not law.holds}


ROWS = [("asker", *row) for row in ASKER] + [("guide", *row) for row in GUIDE]


@pytest.mark.parametrize(("file", "defect", "target", "gradients", "laws", "smallest"), ROWS)
def test_alone(checked, monkeypatch, file, defect, target, gradients, laws, smallest):
    """A defect of the seed would go unseen, or be seen in other gradients, by another law or at another size."""
    report = checked(file, target, defect, explain=defect in LINES or smallest is not None)
    assert report.verdict == "wrong"
    assert (wrong(report), broken(report), report.smallest) == (gradients, laws, smallest)
    if (file, defect) == ("asker", "dWc_uses_dc"):
        monkeypatch.chdir(EXAMPLES.parent)  # files are named from here
        assert is_shown_in_readme(report), "the README shows a report that is no longer printed"
    lines = [finding for finding in report.findings if finding.line is not None]
    if defect in LINES:
        assert [part in one.statement for part, one in zip(LINES[defect], lines, strict=True)] == [True] * len(lines)
        assert all(finding.fix is not None and finding.fix.verified for finding in lines)
        assert report.patch
    by = [*sorted(laws), *(["differences"] if gradients else [])]
    size = ", ".join(f"{name}={value}" for name, value in (smallest or {}).items())
    print(f"\n{file:6}{defect:28}{target:15}{' + '.join(by):28}{len(gradients) or '-':>3} wrong  {size:24}", end=" ")
    print("line", ", ".join(f"{one.line}{' (mended)' if one.fix else ''}" for one in lines) or "-", end=" ")


def test_the_rows_are_all_there_is():
    """A new switch of an example would be caught by nothing, and nobody would notice."""
    for file, rows, invisible in (("asker", ASKER, set()), ("guide", GUIDE, INVISIBLE)):
        switches = {field.name for field in fields(load(EXAMPLES / f"{file}_lstm.py").Defects)}
        assert switches == {row[0] for row in rows} | invisible


@pytest.mark.parametrize("defect", sorted(INVISIBLE))
def test_where_training_starts_is_not_accused(checked, defect):
    """A poor initialisation would be called a wrong gradient."""
    assert checked("guide", "guide_lstm", defect).ok


def test_asker_all_together(checked):
    """Defects would hide each other: the factor T all gradients, the wrong shape of the loss everything else."""
    assert broken(checked("asker", "asker_windows", "all", explain=False)) >= {"statelessness", "sizes"}
    assert "linearity" in broken(checked("asker", "asker_step", "all", explain=False))
    assert "finite" in broken(checked("asker", "asker_shifted", "all", explain=False))


def test_the_lines_of_all_together(monkeypatch):
    """One defect would hide another or its line, or the tutorial would show a report that the tool no longer prints.

    The three stand together because the report takes long to make, and several workers would each make it.
    """
    monkeypatch.chdir(EXAMPLES.parent)  # files are named from here
    monkeypatch.delenv("ASKER_DEFECTS", raising=False)
    report = gradcheck.check(load(EXAMPLES / "asker_lstm.py").asker_lstm)
    assert wrong(report) == GATES
    assert all(report.blocks[name].verdict == "right" for name in OUTPUT)
    assert broken(report) == {"scalar", "dependence", "reduction"}
    defects = [defect for defect, target, *_ in ASKER if target == "asker_lstm" and defect in LINES]
    defects = [defect for defect in defects if defect != "clips_inside"]  # beside the others no clip is reached
    lines = [finding for finding in report.findings if finding.line is not None]
    expected = [text for defect in defects for text in LINES[defect]]
    assert len(lines) == len(expected)
    assert all(any(text in one.statement for one in lines) for text in expected)
    assert all(finding.fix is not None for finding in lines)
    assert is_shown_in_tutorial(report), "the tutorial shows a report that is no longer printed"


@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize("target", ["asker_lstm", "asker_windows", "asker_shifted"])
def test_asker_repaired(monkeypatch, target, T):
    """Repaired code would be accused; or its error would be above what differences resolve."""
    monkeypatch.setenv("ASKER_DEFECTS", "none")
    factory = getattr(load(EXAMPLES / "asker_lstm.py"), target).with_sizes(T=T)
    report = gradcheck.check(factory, full=True)
    assert report.ok, str(report)
    # Adding 1000 to the logits costs three digits of the loss.
    limit = 1e-6 if target == "asker_shifted" else 1e-9
    assert max(block.error for block in report.blocks.values()) <= limit


def test_guide_as_printed(checked):
    """The guide's mistakes together would be taken for right."""
    report = checked("guide", "guide_lstm", "printed", explain=False)
    assert wrong(report) == EVERY
    assert checked("guide", "guide_lstm", "none").ok


def test_unknown_defect_is_refused(checked):
    """A misspelt switch would audit other code than was meant, in silence."""
    with pytest.raises(gradcheck.TargetError, match="expected all, none, or some of"):
        checked("asker", "asker_lstm", "dWc_uses_dx")


def test_one_step_repaired(checked):
    """The cell of the question, repaired, would be accused."""
    assert checked("asker", "asker_step", "none").ok
