"""What can be written at a statement: members of members, and arrays of truth values."""

from __future__ import annotations

from gradcheck._mending.atoms import Surroundings
from gradcheck._mending.building import holes_of
from tests.gradcheck._mending.pieces import suspect_of

ZEROS = "da, db = np.zeros_like(a), np.ones_like(b)\n"
BODY = f"""{ZEROS}class Box:
    pass

outer, outer.inner, outer.flag = Box(), Box(), 1
outer.inner.weight, outer.inner.steps, outer.saved = a * 2, [a * 3, a * 4], {{"gate": a * 5}}
t = 1
da = a * 1"""


def _around(folder, body):
    suspect = suspect_of(folder, body, "da = a")
    return Surroundings(holes_of(suspect)[0])


def test_members_of_members_can_be_written(tmp_path):
    """If it fails, what a layer keeps in another object, or in a dictionary of its own, is never tried."""
    found = {atom.text: atom for atom in _around(tmp_path, BODY).floats}
    assert {"outer.inner.weight", "outer.saved['gate']"} <= set(found)
    assert found["outer.inner.weight"].plain
    assert found["outer.inner.weight"].shape == (2, 3)
    assert "outer.inner" not in found


def test_nearer_members_come_first(tmp_path):
    """If it fails, what lies deep in objects is tried before the names at hand."""
    texts = [atom.text for atom in _around(tmp_path, BODY + "\n").floats]
    assert texts.index("a") < texts.index("b") < texts.index("outer.inner.weight")


def test_conditions_are_arrays_of_truth_values_that_fit(tmp_path):
    """If it fails, masks are not among the factors, or flags and numbers are."""
    body = f"{ZEROS}keep, short, flag = a > 0, np.ones(7) > 0, True\nda = a * 1"
    around = _around(tmp_path, body)
    assert {"keep", "short"} <= {atom.text for atom in around.conditions}
    assert "flag" not in {atom.text for atom in around.conditions}
    assert "keep" in {atom.text for atom in around.conditions_fitting((2, 3))}
    assert "short" not in {atom.text for atom in around.conditions_fitting((2, 3))}


def test_the_fields_of_named_tuples_and_of_slots_can_be_written(tmp_path):
    """If it fails, what a cache keeps in another field is never tried."""
    body = f"""{ZEROS}import collections
class Slotted:
    __slots__ = ("left", "right")

class Kept(collections.namedtuple("Kept", "first second")):
    pass

kept, slotted = Kept(a * 2, a * 3), Slotted()
slotted.left = a * 4
da = a * 1"""
    found = {atom.text for atom in _around(tmp_path, body).floats}
    assert {"kept.first", "kept.second", "slotted.left"} <= found
    assert "slotted.right" not in found


def test_what_is_one_for_each_example_fits_with_axes_at_its_end(tmp_path):
    """If it fails, a mask over the batch that was forgotten is never a factor."""
    body = f"{ZEROS}keep, scale = np.array([True, False]), np.ones(2)\nda = a * 1"
    around = _around(tmp_path, body)
    assert "keep[:, None]" in {atom.text for atom in around.conditions_fitting((2, 3))}
    assert "scale[:, None]" in {atom.text for atom in around.fitting((2, 3))}
    assert "scale[:, None]" not in {atom.text for atom in around.fitting((3, 2))}


def test_what_is_one_for_each_step_of_each_example_fits_as_well(tmp_path):
    """If it fails, a mask over padded steps that was forgotten is never a factor of what comes back to their states."""
    body = f"{ZEROS}keep = np.array([[True, False, True], [True, True, False]])\nda = a * 1"
    (found,) = _around(tmp_path, body).conditions_fitting((2, 3, 4))
    assert found.text == "keep[..., None]"
    assert found.shape == (2, 3, 1)


def test_numbers_that_stand_for_infinity_or_nothing_are_not_written(tmp_path):
    """If it fails, a term is "mended" by a division by 1e30, which leaves it out."""
    body = f"{ZEROS}far, tiny, half, none = -1e30, 1e-12, 0.5, 0.0\nda = a * 1"
    found = {atom.text for atom in _around(tmp_path, body).floats}
    assert {"half", "none"} <= found
    assert not {"far", "tiny"} & found


def test_numbers_are_read_at_the_counter_where_the_code_does(tmp_path):
    """If it fails, code that goes number by number never gets the one that it lacks: de[j] beside w[j]."""
    body = f"{ZEROS}w, de, other = a[:, 0], a[:, 1], b\nfor j in range(2):\n    da[j] = a[j] * w[j]"
    suspect = suspect_of(tmp_path, body, "da[j] = a")
    texts = {atom.text for atom in Surroundings(holes_of(suspect)[0]).floats}
    assert "de[j]" in texts
    assert "other[j]" not in texts


#: items by a number, before a loop that takes them in turn and inside it
ITEMS = f"""{ZEROS}rows, fixed = [a * k for k in range(2, 8)], [b * k for k in range(2, 7)]
da = rows[0] * 1
for t in range(3):
    db = rows[t].sum(axis=0) * fixed[0]"""


def _texts(folder, body, statement):
    return {atom.text for atom in Surroundings(holes_of(suspect_of(folder, body, statement))[0]).floats}


def test_what_a_loop_takes_in_turn_is_not_read_by_a_number(tmp_path):
    """If it fails, the item of one step is written for all, which is right by chance where there are few steps."""
    found = _texts(tmp_path, ITEMS, "db = rows")
    assert "rows[t]" in found
    assert not {"rows[4]", "rows[5]", "rows[-1]"} & found


def test_items_that_no_loop_takes_in_turn_are_read_by_their_numbers(tmp_path):
    """If it fails, the other one of two layers is never tried."""
    assert "fixed[4]" in _texts(tmp_path, ITEMS, "db = rows")
    assert {"rows[1]", "rows[2]"} <= _texts(tmp_path, ITEMS, "da = rows")


def test_what_a_slice_leaves_is_read_beside_what_a_loop_takes(tmp_path):
    """If it fails, the state beside the input in what was joined is never tried, since each step reads it."""
    body = f"{ZEROS}for t in range(2):\n    da[t] = b * a[t, :1]"
    assert "a[t, 1:]" in _texts(tmp_path, body, "da[t]")


def test_items_are_taken_at_the_counters_of_loops(tmp_path):
    """If it fails, `d[n]` for a number n that is at hand is tried before `d[t]`, and right by chance."""
    body = f"{ZEROS}n, dd = 1, a * 2\nfor t in range(2):\n    da[t] = b * 1"
    found = _texts(tmp_path, body, "da[t]")
    assert {"dd[t]", "dd[t - 1]", "dd[t + 1]"} <= found
    assert not any("[n" in text for text in found)
    assert "dd[n]" in _texts(tmp_path, f"{ZEROS}n, dd = 1, a * 2\nda[n] = b * 1", "da[n]")


def test_items_of_others_are_read_at_the_index_that_is_read_at(tmp_path):
    """If it fails, what the parents of a node of a tree bring back is never tried where it is left out."""
    begun = f"{ZEROS}dh, dc, kept, each = np.ones((4, 3)), np.ones((4, 2)), [b * 3, b * 2], np.ones(4)\n"
    loop = f"{begun}for t in range(2):\n    n = 1 - t\n    db = b * dh"
    found = _texts(tmp_path, f"{loop}[n]", "db = b")
    assert {"dh[n]", "dc[n]", "kept[n]"} <= found
    assert "each[n]" not in found
    assert not {"dc[n]", "kept[n]"} & _texts(tmp_path, f"{loop}[t]", "db = b")


def test_one_for_each_example_fits_with_axes_behind_its_own(tmp_path):
    """If it fails, a weight of each example is no factor where other axes come first."""
    body = f"{ZEROS}q, row, other = np.ones(2), np.ones((4, 2)), np.ones(5)\nda = a * 1"
    around = _around(tmp_path, body)
    middle = {atom.text: atom.shape for atom in around.fitting((4, 2, 3))}
    assert middle["q[:, None]"] == (2, 1)
    assert middle["row[..., None]"] == (4, 2, 1)
    assert not [text for text in middle if "other" in text]
    assert "q[:, None]" in {atom.text for atom in around.fitting((2, 3))}
    assert "row[..., None]" not in {atom.text for atom in around.fitting((5, 4, 2, 3))}


def test_functions_that_loop_are_no_activations(tmp_path):
    """If it fails, an alignment over all steps is run as if it were a derivative, for each name at hand."""
    body = f"""{ZEROS}global slope, cost, through_another
def slope(x):
    return 1 - x**2

def cost(x):
    for _ in range(3):
        x = x * 2
    return x

def through_another(x):
    return cost(x) + 1

da = a * 1"""
    helpers = _around(tmp_path, body).helpers
    assert "slope" in helpers
    assert not {"cost", "through_another"} & set(helpers)
