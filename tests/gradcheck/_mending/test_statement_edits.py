"""Edits of whole statements: the other end of a list, a sum in place, another index, a size afterwards, a copy."""

from __future__ import annotations

import pytest

from gradcheck._mending import mends
from gradcheck._mending.outside import apply_edits
from gradcheck._mending.statement_edits import MOST_INDICES, cleared_before, left_out, structural
from tests.gradcheck._mending.pieces import became, rewritten, run_of, suspect_of

ZEROS = "da, db = np.zeros_like(a), np.ones_like(b)\n"


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        ("kept.pop(0)", {"kept.pop()", "kept.popleft()"}),
        ("kept.pop()", {"kept.pop(0)", "kept.popleft()"}),
        ("collections.deque(kept).popleft()", {"collections.deque(kept).pop()"}),
    ],
)
def test_values_are_taken_from_the_other_end(tmp_path, old, expected):
    """If it fails, steps that are read from the wrong end of a list or a deque get no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}kept = [row for row in a]\nrow = {old}\nda[0] = row", "row =")
    found = set(became(suspect, structural(suspect)))
    assert {f"row = {text}" for text in expected} <= found


def test_values_are_put_at_the_other_end(tmp_path):
    """If it fails, steps that are kept in the wrong order get no fix."""
    suspect = suspect_of(
        tmp_path, f"{ZEROS}kept = []\nfor row in a:\n    kept.append(row)\nda[0] = kept[0]", "kept.app"
    )
    assert {"kept.appendleft(row)", "kept.insert(0, row)"} <= set(became(suspect, structural(suspect)))


def test_taking_from_the_other_end_mends(tmp_path):
    """If it fails, the other end is offered and never found to be right."""
    run = run_of(
        tmp_path, f"{ZEROS}kept = [row for row in a]\nfor t in range(2):\n    row = kept.pop()\n    da[t] = row"
    )
    statement = next(one for one in run.statements if one.text.startswith("row ="))
    found = mends(run, statement)
    assert [one.gradients for one in found] == [("a",)]
    assert found[0].edits[0].text == "kept.pop(0)"


def test_a_name_that_is_bound_anew_is_added_to_in_place(tmp_path):
    """If it fails, `row = row + x`, which leaves the array that row is a part of as it was, gets no fix."""
    body = f"{ZEROS}for t in range(2):\n    row = da[t]\n    row = row + a[t]"
    suspect = suspect_of(tmp_path, body, "row = row")
    assert "row += a[t]" in became(suspect, structural(suspect))
    found = mends(suspect.run, suspect.statement)
    assert found
    assert found[0].gradients == ("a",)


def test_a_difference_is_taken_in_place_as_well(tmp_path):
    """If it fails, `row = row - x` becomes `row += x`, or nothing."""
    suspect = suspect_of(tmp_path, f"{ZEROS}row = da[0]\nrow = row - a[0]\nother = row - a[1]", "row = row")
    assert "row -= a[0]" in became(suspect, structural(suspect))
    other = suspect_of(tmp_path, f"{ZEROS}row = da[0]\nother = row - a[1]", "other =")
    assert "other -= a[1]" not in became(other, structural(other))


def test_indices_of_other_reads_and_writes_are_tried(tmp_path):
    """If it fails, a scatter through another index than its gather's gets no fix."""
    body = f"{ZEROS}left, right = [0, 1], [1, 0]\nfor k in range(1):\n    rows = a[left]\n    da[right] += rows"
    suspect = suspect_of(tmp_path, body, "da[right]")
    found = became(suspect, structural(suspect))
    assert "da[left] += rows" in found
    assert [one.gradients for one in mends(suspect.run, suspect.statement)[:1]] == [("a",)]


def test_an_index_is_exchanged_where_it_is_written_and_read(tmp_path):
    """If it fails, `d[t - 1] = d[t - 1] + x` for another step is only changed in part, which mends nothing."""
    body = f"{ZEROS}for d in (1,):\n    rows = a[d - 1]\n    da[d] = da[d] + rows"
    suspect = suspect_of(tmp_path, body, "da[d]")
    assert "da[d - 1] = da[d - 1] + rows" in became(suspect, structural(suspect))
    assert [one.gradients for one in mends(suspect.run, suspect.statement)[:1]] == []
    other = suspect_of(tmp_path, f"{ZEROS}rows = b[0]\nda[1] = rows", "da[1]")
    found = became(other, structural(other))
    assert {"da[0] = rows", "da[-1] = rows", "da[2] = rows", "da[1:] = rows", "da[:] = rows"} <= set(found)
    assert "rows = b[1]" not in found


HELPERS = """
def add(out, x):
    out += x

def add_twice(out, x):
    out += 2 * x

def other(out):
    out += 1
"""


def test_another_function_is_called_for_what_it_writes(tmp_path):
    """If it fails, the forward's kernel in the place of its adjoint, both writing into an array, gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}add_twice(da, a)", "add_twice", head=HELPERS)
    found = became(suspect, structural(suspect))
    assert "add(da, a)" in found
    assert not any(text.startswith("other") for text in found)
    assert [one.gradients for one in mends(suspect.run, suspect.statement)[:1]] == [("a",)]


def test_an_array_is_cleared_before_it_is_added_to(tmp_path):
    """If it fails, a buffer that should be zero at each step gets no fix."""
    body = f"{ZEROS}part = np.zeros(3)\nfor t in range(2):\n    part += a[t]\n    da[t] = part"
    suspect = suspect_of(tmp_path, body, "part +=")
    assert [[line.strip() for line in one] for one in rewritten(suspect, cleared_before(suspect))] == [
        ["part[...] = 0.0", "part += a[t]"]
    ]
    assert mends(suspect.run, suspect.statement)[0].gradients == ("a",)
    bound_inside = suspect_of(tmp_path, f"{ZEROS}for t in range(2):\n    s = a[t]\n    s += a[t]", "s +=")
    assert not list(cleared_before(bound_inside))


def test_indices_of_names_that_the_function_lacks_are_not(tmp_path):
    """If it fails, runs are spent on code that cannot run."""
    many = "".join(f"x{k} = a[[{k % 2}, k]]\n" for k in range(20))
    body = f"{ZEROS}k = 1\n{many}del x0\ndel x1\nda[[k, 0]] += a[[k, 0]]\nf = lambda q: b[q]"
    suspect = suspect_of(tmp_path, body, "da[[k, 0]]")
    found = [text for text in became(suspect, structural(suspect)) if text.startswith("da[")]
    assert "da[[1, k]] += a[[k, 0]]" in found
    inside = {text.partition("]] ")[0] for text in found}
    assert len([text for text in inside if text.startswith("da[[")]) <= MOST_INDICES


@pytest.mark.parametrize("statement", ["da += a * 2", "da[:] = a * 2"])
def test_what_was_written_is_divided_by_a_size_afterwards(tmp_path, statement):
    """If it fails, a mean that was forgotten gets no fix where it takes a statement of its own."""
    suspect = suspect_of(tmp_path, f"{ZEROS}n, flag, kept = 7, 1, [1, 2, 3]\n{statement}", statement)
    found = [lines for lines in rewritten(suspect, structural(suspect)) if len(lines) == 2]
    second = {lines[1] for lines in found}
    assert all(lines[0].strip() == statement for lines in found)
    assert {f"    da /= {size}" for size in ("len(da)", "da.shape[1]", "da.size", "n", "len(kept)")} <= second
    assert "    da /= flag" not in second


def test_statements_that_write_no_numbers_are_not_divided(tmp_path):
    """If it fails, runs are spent on dividing lists and names that are no arrays."""
    suspect = suspect_of(tmp_path, f"{ZEROS}kept = [1, 2]\nda[0], db = a[0], b", "kept =")
    assert not [lines for lines in rewritten(suspect, structural(suspect)) if len(lines) == 2]
    suspect = suspect_of(tmp_path, f"{ZEROS}kept = [1, 2]\nda[0], db = a[0], b", "da[0], db")
    assert not [lines for lines in rewritten(suspect, structural(suspect)) if len(lines) == 2]


def test_a_statement_is_left_out(tmp_path):
    """If it fails, a line too much gets no fix; or a loop is left out with all that stands in it."""
    suspect = suspect_of(tmp_path, f"{ZEROS}da += a\nfor k in range(1):\n    da *= 2", "da *=")
    assert became(suspect, left_out(suspect.tree)) == ["pass"]
    assert [one.gradients for one in mends(suspect.run, suspect.statement)[:1]] == [("a",)]
    suspect = suspect_of(tmp_path, f"{ZEROS}for k in range(1):\n    da += a", "for k")
    assert list(left_out(suspect.tree)) == []


def test_a_loop_goes_one_round_further(tmp_path):
    """If it fails, a round that is left out gets no fix, or one that reads `range(n, 1 - 1, -1)`."""
    suspect = suspect_of(tmp_path, f"{ZEROS}n = 2\nfor k in range(n, 1, -1):\n    da[k - 1] += a[k - 1]", "for k")
    heads = {lines[0].strip() for lines in rewritten(suspect, structural(suspect))}
    assert {f"for k in range({text}):" for text in ("n, 0, -1", "n, 2, -1", "n + 1, 1, -1", "n, -1, -1")} <= heads
    found = mends(suspect.run, suspect.statement)
    assert found[0].edits[0].text in ("range(n, 0, -1)", "0")


def test_a_sum_that_begins_anew_in_each_round_goes_on(tmp_path):
    """If it fails, `dx = W @ da + ...` in a loop, for `dx = dx + ...`, gets no fix."""
    body = "da, db = a, np.zeros(3)\nfor row in a[:1]:\n    db = row - row + 1\n    da = a"
    found = became(suspect_of(tmp_path, body, "db = row"), structural(suspect_of(tmp_path, body, "db = row")))
    assert {"db = db + 1", "db = row - row + db"} <= set(found)
    outside = suspect_of(tmp_path, "da, db = a, np.zeros(3)\ndb = b + 1", "db = b")
    assert "db = db + 1" not in became(outside, structural(outside))


def test_what_moves_the_other_way_gets_its_slices_exchanged(tmp_path):
    """If it fails, `d[1:] += e[:-1]` for `d[:-1] += e[1:]` gets no fix: both slices have to change at once."""
    suspect = suspect_of(tmp_path, "da, db = a, np.ones(3)\ndb[1:] += b[:-1]", "db[1:]")
    assert "db[:-1] += b[1:]" in became(suspect, structural(suspect))


def test_a_mask_is_put_beside_what_scales_in_place(tmp_path):
    """If it fails, `d /= n`, where steps that are padding count for nothing, gets no fix where it stands."""
    body = (
        f"{ZEROS}count = 2\nkeep = np.array([[1.0, 1.0], [1.0, 0.0]])\n"
        "for t in range(2):\n    d = a[:2] + keep[:, t][:, None]\n    d /= count\n    da[:2] += d"
    )
    suspect = suspect_of(tmp_path, body, "d /=")
    found = became(suspect, structural(suspect))
    assert "d *= keep[:, t][:, None] / count" in found
    assert not any("a[" in text for text in found if "*=" in text), found


def test_what_is_assigned_in_each_round_is_added_up_from_zero(tmp_path):
    """If it fails, sums of which only the last term is left, and that begin nowhere, get no fix."""
    body = f"{ZEROS}total = {{}}\nfor row in a:\n    total['a'] = 2 * np.sum(row)\nda[:] = a"
    suspect = suspect_of(tmp_path, body, "total['a']")
    summed = [edits for edits in structural(suspect) if len(edits) == 2]
    assert [edit.text for edit in summed[0]] == ["total['a'] = 0\n    ", " += "]


def test_what_goes_with_the_loop_is_not_added_up(tmp_path):
    """If it fails, each item of an array over time is set to zero before the loop, where there is none yet."""
    suspect = suspect_of(tmp_path, f"{ZEROS}for t in range(2):\n    da[t] = a[t] * 2", "da[t]")
    assert not [edits for edits in structural(suspect) if len(edits) == 2]


def test_what_is_none_at_first_is_begun_and_added_to(tmp_path):
    """If it fails, a gradient that several uses bring, and that each of them overwrites, gets no fix."""
    body = (
        f"{ZEROS}class Box:\n    grad = None\n\nbox = Box()\nfor t in range(2):\n    box.grad = a[t]\nda[0] = box.grad"
    )
    suspect = suspect_of(tmp_path, body, "box.grad = a")
    assert "box.grad = a[t] if box.grad is None else box.grad + a[t]" in became(suspect, structural(suspect))


def test_one_of_two_sequences_side_by_side_is_turned(tmp_path):
    """If it fails, a list that was kept the other way round gets no fix where a loop goes through two."""
    body = f"{ZEROS}kept = [row for row in a]\nfor row, to in zip(reversed(kept), da):\n    to += row"
    suspect = suspect_of(tmp_path, body, "for row, to")
    found = {lines[0].strip() for lines in rewritten(suspect, structural(suspect))}
    assert {"for row, to in zip(kept, da):", "for row, to in zip(reversed(kept), reversed(da)):"} <= found


def test_the_condition_that_tells_what_is_written_to_is_turned(tmp_path):
    """If it fails, `dh[h > 0] = 0`, which keeps what relu stops and stops what it keeps, gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}da += a\nda[:, b > 0] = 0", "da[:, b")
    assert {f"da[:, b {sign} 0] = 0" for sign in ("<=", ">=", "<")} <= set(became(suspect, structural(suspect)))
    suspect = suspect_of(tmp_path, f"{ZEROS}da += a\nkeep = a > 0\nda[keep] = 0", "da[keep")
    assert "da[~keep] = 0" in became(suspect, structural(suspect))
    suspect = suspect_of(tmp_path, f"{ZEROS}keep = a > 0\nda[~keep] = 0", "da[~keep")
    assert "da[keep] = 0" in became(suspect, structural(suspect))


def test_a_mask_of_another_step_tells_what_is_written_to(tmp_path):
    """If it fails, `dh[masks[0]] = 0`, where the mask of the last step is meant, gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}masks = [a > 0, a < 0, a > 1]\nda[masks[1]] = 0", "da[masks")
    assert {"da[masks[-1]] = 0", "da[masks[0]] = 0"} <= set(became(suspect, structural(suspect)))
    suspect = suspect_of(tmp_path, f"{ZEROS}masks = [a > 0] * 3\nfor t in range(2):\n    da[masks[t]] = 0", "da[masks")
    assert {"da[masks[t + 1]] = 0", "da[masks[t - 1]] = 0"} <= set(became(suspect, structural(suspect)))


def test_what_is_set_by_name_is_added_up(tmp_path):
    """If it fails, gradients that a loop over names sets, each use in the place of those before, get no fix."""
    head = "class Box:\n    pass\n\nbox = Box()\nbox.da = a * 0.5\nname = 'da'\n"
    suspect = suspect_of(tmp_path, f"{ZEROS}{head}setattr(box, name, a * 0.5)\nda = box.da", "setattr")
    assert "setattr(box, name, getattr(box, name) + a * 0.5)" in became(suspect, structural(suspect))
    assert [one.gradients for one in mends(suspect.run, suspect.statement)[:1]] == [("a",)]
    added = "setattr(box, name, getattr(box, name) + a)"
    suspect = suspect_of(tmp_path, f"{ZEROS}{head}{added}\nda = box.da", "setattr")
    assert "setattr(box, name, a)" in became(suspect, structural(suspect))
    assert [one.gradients for one in mends(suspect.run, suspect.statement)[:1]] == [("a",)]


def test_all_items_are_written_to_in_the_place_of_one(tmp_path):
    """If it fails, `d[0] = x`, where each item is to have x, gets no fix."""
    suspect = suspect_of(tmp_path, "da, db, one = a, np.zeros_like(b), b[0] / b[0]\ndb[0] = one", "db[0]")
    assert {"db[0:] = one", "db[:] = one"} <= set(became(suspect, structural(suspect)))
    assert [one.gradients for one in mends(suspect.run, suspect.statement)[:1]] == [("b",)]


#: two lists with a place before the first step, of which a statement reads both
BOTH = f"""{ZEROS}cs, ns = [a[0] * 0, a[0], a[1]], [a[0] * 0, a[0] * 2, a[1] * 2]
for t in range(2):
    c, n = cs[t], ns[t]
    da[t] = n - c"""


def test_all_that_is_read_at_one_step_is_read_at_another(tmp_path):
    """If it fails, `c, n = cs[t], ns[t]`, both a step too early, gets no fix: one of them alone mends nothing."""
    suspect = suspect_of(tmp_path, BOTH, "c, n =")
    assert "c, n = cs[t + 1], ns[t + 1]" in became(suspect, structural(suspect))
    later = suspect_of(tmp_path, BOTH.replace("cs[t], ns[t]", "cs[t + 1], ns[t + 1]"), "c, n =")
    assert {"c, n = cs[t], ns[t]", "c, n = cs[t - 1], ns[t - 1]"} <= set(became(later, structural(later)))
    found = mends(suspect.run, suspect.statement)
    assert [one.gradients for one in found[:1]] == [("a",)]


def test_a_call_writes_to_another_array_of_the_function(tmp_path):
    """If it fails, a buffer that holds what is read later, and is written over, gets no fix."""
    body = (
        f"{ZEROS}kept, other = np.empty_like(a), np.empty_like(a)\nnp.multiply(a, 2, out=kept)\n"
        "np.multiply(a, 3, out=other)\ntwice = np.multiply(kept, 2, out=kept)\nda[:] = kept - twice / 4"
    )
    suspect = suspect_of(tmp_path, body, "twice =")
    assert "twice = np.multiply(kept, 2, out=other)" in became(suspect, structural(suspect))
    assert [one.gradients for one in mends(suspect.run, suspect.statement)[:1]] == [("a",)]
    loop = suspect_of(tmp_path, f"{body}\nfor t in range(2):\n    np.multiply(a, t, out=other)", "for t")
    assert not any(edit.text == "kept" for edits in structural(loop) for edit in edits)


def test_the_counter_of_another_loop_tells_what_is_written_to(tmp_path):
    """If it fails, `d[masks[s]] = 0` for the mask of the step of the loop around it gets no fix."""
    body = f"{ZEROS}masks = [a > 0, a < 0, a > 1]\nfor t in range(2):\n    for s in range(2):\n        da[masks[s]] = 0"
    suspect = suspect_of(tmp_path, body, "da[masks")
    assert "da[masks[t]] = 0" in became(suspect, structural(suspect))


def test_what_is_divided_next_is_divided_by_one_size_more(tmp_path):
    """If it fails, `d /= B` after a sum over steps and samples becomes two divisions, or gets no fix."""
    body = f"{ZEROS}T, B, other = 3, 2, a * 1\nda += a * 6\nda /= B"
    suspect = suspect_of(tmp_path, body, "da += a")
    found = {apply_edits(suspect.code.text, edits) for edits in structural(suspect)}
    assert suspect.code.text.replace("da /= B", "da /= T * B") in found
    assert not any("da /= T\n" in text for text in found)
    assert [one.gradients for one in mends(suspect.run, suspect.statement)[:1]] == [("a",)]


@pytest.mark.parametrize("after", ["da /= B + T", "other /= B", "da *= B"])
def test_what_is_not_divided_by_a_product_next_gets_a_statement_of_its_own(after, tmp_path):
    """If it fails, a size is put before a sum, so that it goes with a part of it, or before another array's divisor."""
    suspect = suspect_of(tmp_path, f"{ZEROS}T, B, other = 3, 2, a * 1\nda += a * 6\n{after}", "da += a")
    found = {apply_edits(suspect.code.text, edits) for edits in structural(suspect)}
    assert suspect.code.text.replace("da += a * 6", "da += a * 6\n    da /= T") in found
    assert all(f"    {after}\n" in text for text in found)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("np.multiply(row, 2, out=da[t])", "da[t] += np.multiply(row, 2)"),
        ("np.copyto(da[t], row)", "da[t] += row"),
    ],
)
def test_what_a_call_writes_is_added_to(tmp_path, old, new):
    """If it fails, a gradient that a call writes over at each step, through `out`, gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}for t in range(2):\n    row = a[t]\n    {old}", old[:8])
    assert new in became(suspect, structural(suspect))


def test_of_what_is_set_to_zero_a_part_stays(tmp_path):
    """If it fails, what padded steps hold back is lost where a whole array is cleared, and no line is named."""
    body = f"{ZEROS}m, taken = np.array([[1.0], [0.0]]), a * 2\ndh = a + 1\ndh[:] = 0.0\nda = dh + taken"
    suspect = suspect_of(tmp_path, body, "dh[:]")
    assert {"dh -= taken", "dh *= 1 - m"} <= set(became(suspect, structural(suspect)))
    other = suspect_of(tmp_path, body.replace("dh[:] = 0.0", "dh[:] = 1.0"), "dh[:]")
    assert "dh -= taken" not in became(other, structural(other))
