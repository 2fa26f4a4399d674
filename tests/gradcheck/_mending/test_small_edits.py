"""Small edits of an expression: one more or less, and operands that are left out."""

from __future__ import annotations

from gradcheck._mending import mends
from gradcheck._mending.details import numbers
from gradcheck._mending.small_edits import (
    begun_at_zero,
    bounds,
    counts,
    dropped,
    exchanged,
    formed_objects,
    indices_exchanged,
    inverse_orders,
    ones,
    opposites,
    other_objects,
    other_tests,
    repeated_calls,
    repeated_reads,
    summed_items,
    turned,
    turned_round,
    unread,
    unread_factors,
    unread_terms,
)
from tests.gradcheck._mending.pieces import candidates, suspect_of

ZEROS = "da, db = np.zeros_like(a), np.ones_like(b)\n"


def test_one_is_added_and_taken_away(tmp_path):
    """If it fails, a one that is missing in a derivative, as in 1 + log(x), gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}da = a * (a - b)", "da = a")
    found = candidates(suspect, ones)
    assert {"da = a * (a - b) + 1", "da = a * (a - b) - 1", "da = a * (a - b + 1)", "da = (a + 1) * (a - b)"} <= set(
        found
    )
    assert "da = a * (a + 1 - b)" not in found  # it is an operand of a difference, which is edited itself


def test_what_is_left_of_a_difference_keeps_its_sign(tmp_path):
    """If it fails, an operand too much before a minus cannot be left out without turning the sign of the rest."""
    suspect = suspect_of(tmp_path, f"{ZEROS}da = a - b + a * b", "da = a")
    found = candidates(suspect, dropped)
    assert {"da = -b + a * b", "da = b + a * b", "da = a + a * b", "da = a - b", "da = a * b"} <= set(found)
    assert "da = -(a * b)" not in found


def test_two_factors_are_left_out_at_once(tmp_path):
    """If it fails, a slope too much, s * (1 - s), is never left out: no gradient is right after half of it."""
    suspect = suspect_of(tmp_path, f"{ZEROS}da = (a - b) * a * (1 - a) / 2", "da = (a")
    found = candidates(suspect, dropped)
    assert {"da = (a - b) / 2", "da = (a - b) * a / 2", "da = (a - b) * (1 - a) / 2"} <= set(found)
    divided = suspect_of(tmp_path, f"{ZEROS}da = (a - b) / (1 + a * a) * b", "da = (a")
    assert "da = a - b" not in candidates(divided, dropped)


def test_what_is_compared_with_is_moved_by_one(tmp_path):
    """If it fails, a condition that holds a step too early or too late gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}n = len(a)\nda = a * (n == len(b))", "da = a")
    found = candidates(suspect, bounds)
    assert {"da = a * (n == len(b) - 1)", "da = a * (n == len(b) + 1)"} == set(found)


def test_a_mask_is_turned_round_as_it_is_used(tmp_path):
    """If it fails, a gradient that flows where the mask held it back, and nowhere else, gets no fix."""
    begun = f"{ZEROS}m, n = a > 0, (a > 0).astype(int)\n"
    factor = suspect_of(tmp_path, f"{begun}da = m * a + n * b", "da = m")
    assert candidates(factor, opposites) == ["da = (1 - m) * a + n * b", "da = m * a + (1 - n) * b"]
    chosen = suspect_of(tmp_path, f"{begun}da = np.where(m, a, ~m * b)", "da = np")
    assert {"da = np.where(~m, a, ~m * b)", "da = np.where(m, a, m * b)"} <= set(candidates(chosen, opposites))


def test_what_is_read_twice_is_replaced_in_both_places(tmp_path):
    """If it fails, the square of a state in the place of its output's gets no fix: half of it makes nothing right."""
    suspect = suspect_of(tmp_path, f"{ZEROS}c = a + 1\nda = 1 - a * a", "da = 1")
    assert "da = 1 - c * c" in candidates(suspect, repeated_reads)
    once = suspect_of(tmp_path, f"{ZEROS}c = a + 1\nda = 1 - a * c", "da = 1")
    assert not candidates(once, repeated_reads)


def test_the_two_sides_of_a_choice_are_exchanged(tmp_path):
    """If it fails, a condition that is the wrong way round gets no fix where it chooses between two values."""
    suspect = suspect_of(tmp_path, f"{ZEROS}da = a if a.size else b", "da = a")
    assert "da = b if a.size else a" in candidates(suspect, exchanged)


def test_a_number_that_scales_becomes_a_length_of_each_example(tmp_path):
    """If it fails, a mean over all steps where each example has its own gets no fix beside another mistake."""
    suspect = suspect_of(
        tmp_path, f"{ZEROS}n, each, other = 3, np.array([1, 2]), np.ones(7, int)\nda = a / n", "da = a"
    )
    assert candidates(suspect, counts) == ["da = a / each[:, None]"]


def test_what_stands_before_a_loop_may_begin_at_zero(tmp_path):
    """If it fails, what the last call has left is taken from itself, which nobody would write, or not mended."""
    before = suspect_of(tmp_path, f"{ZEROS}carry = a * 2\nfor t in range(2):\n    da[t] = carry[t]", "carry =")
    assert candidates(before, begun_at_zero) == ["carry = np.zeros_like(a * 2)"]
    inside = suspect_of(tmp_path, f"{ZEROS}for t in range(2):\n    row = a[t] * 2\n    da[t] = row", "row =")
    assert candidates(inside, begun_at_zero) == []


def test_of_what_is_read_at_one_item_the_sum_may_be_meant(tmp_path):
    """If it fails, a code that is read at every step, and gets the gradient of the last one alone, is not mended."""
    of_list = suspect_of(tmp_path, f"{ZEROS}rows = [a * 2, a * 3]\nda = rows[-1] * b[0]", "da = rows")
    assert candidates(of_list, summed_items) == ["da = sum(rows) * b[0]"]
    of_array = suspect_of(tmp_path, f"{ZEROS}da[0] = a[-1] * 2", "da[0] = a")
    assert candidates(of_array, summed_items) == ["da[0] = a.sum(axis=0) * 2"]


def test_parts_of_what_is_given_in_rounds_are_edited(tmp_path):
    """If it fails, a transpose that is missing in a comprehension is not mended, or the sum is written out for it."""
    suspect = suspect_of(tmp_path, f"{ZEROS}rows = [a, a * 2]\nda = sum(x @ np.eye(3) for x in rows[:1])", "da = sum")
    texts = candidates(suspect, dropped, turned)
    assert {"da = sum(x for x in rows[:1])", "da = sum(x @ np.eye(3) for x in rows)"} <= set(texts)
    assert "da = sum(x.T @ np.eye(3) for x in rows[:1])" in texts


#: a function that is handed what it never reads
HANDED = """
def back(d, d_more, name=""):
    new = 2 * d
    return new
"""


def test_what_a_function_is_handed_and_never_reads_is_a_term(tmp_path):
    """If it fails, a second cotangent that is forgotten, and has no other use, gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}da = back(a, -a)", "new =", head=HANDED)
    assert "new = 2 * d + d_more" in candidates(suspect, unread_terms)
    assert "new = 2 * d_more" in candidates(suspect, unread)
    assert not any("name" in text for text in candidates(suspect, unread_terms))
    assert [one.gradients for one in mends(suspect.run, suspect.statement)[:1]] == [("a",)]


def test_what_a_function_reads_is_no_term_more(tmp_path):
    """If it fails, all that a function is handed counts as forgotten."""
    head = HANDED.replace("return new", "return new + 0 * d_more, name")
    suspect = suspect_of(tmp_path, f"{ZEROS}da, _ = back(a, -a)", "new =", head=head)
    assert candidates(suspect, unread_terms) == candidates(suspect, unread) == []


def test_what_a_function_never_reads_is_a_factor(tmp_path):
    """If it fails, a mask that is unpacked and forgotten, or the hop of a dilated convolution, gets no fix."""
    masked = suspect_of(tmp_path, f"{ZEROS}da = back(a, b, 3)", "new =", head=HANDED.replace('name=""', "hop"))
    texts = candidates(masked, unread_factors)
    assert {"new = 2 * d * d_more", "new = 2 * d / d_more", "new = 2 * (d * d_more)"} <= set(texts)
    assert not any("hop" in text for text in texts)
    steps = HANDED.replace("new = 2 * d", "new = d[1 - 0] * d_more").replace('name=""', "hop")
    index = suspect_of(tmp_path, f"{ZEROS}da[0] = back(a, b[0], 3)", "new =", head=steps)
    assert any("hop" in text for text in candidates(index, unread_factors)) is False
    counted = steps.replace("    new =", "    k = 1\n    new =").replace("1 - 0", "1 - k")
    plain = suspect_of(tmp_path, f"{ZEROS}da[0] = back(a, b[0], 3)", "new =", head=counted)
    assert "new = d[1 - k * hop] * d_more" in candidates(plain, unread_factors)


def test_the_matrices_of_a_stack_are_transposed_each(tmp_path):
    """If it fails, scores of several heads that were not transposed get no fix: `.T` turns all axes round."""
    body = f"{ZEROS}s = np.stack([a, a])[None]\nk = s.transpose(0, 1, 3, 2)\nda = (s @ k).sum(axis=(0, 1))[:, :1] * a"
    found = candidates(suspect_of(tmp_path, body, "da = (s @ k)"), turned)
    assert "da = (s.swapaxes(-1, -2) @ k).sum(axis=(0, 1))[:, :1] * a" in found
    assert "da = (s.transpose(0, 1, 3, 2) @ k).sum(axis=(0, 1))[:, :1] * a" in found


def test_a_call_that_stands_twice_is_left_out_in_both_places(tmp_path):
    """If it fails, f(s) * (1 - f(s)) for s * (1 - s) gets no fix: half of it makes nothing right."""
    suspect = suspect_of(tmp_path, f"{ZEROS}da = np.tanh(a) * (1 - np.tanh(a))", "da = np")
    assert candidates(suspect, repeated_calls) == ["da = a * (1 - a)"]
    once = suspect_of(tmp_path, f"{ZEROS}da = np.tanh(a) * (1 - np.sin(a))", "da = np")
    assert candidates(once, repeated_calls) == []


def test_what_scales_in_place_becomes_what_is_counted_elsewhere(tmp_path):
    """If it fails, a mean over all steps where only some count is mended beside the line that takes it."""
    count = "\ndef counted(mask):\n    return mask.sum()\n"
    suspect = suspect_of(tmp_path, f"{ZEROS}mask = np.ones((2, 3))\nda /= mask.size", "da /=", head=count)
    assert "da /= mask.sum()" in candidates(suspect, numbers)


#: a function that nobody calls again, since it writes into what it is handed
CALLED = """
def swept(d, found):
    found["n"] = found.get("n", 0) + 1
    return d * 2
"""


def test_the_result_of_a_call_is_turned_round(tmp_path):
    """If it fails, a backward through time in the wrong order, in a function of its own, gets no fix where it is
    called."""
    body = f"{ZEROS}found = {{}}\nda = swept(a, found)"
    texts = candidates(suspect_of(tmp_path, body, "da = sw", head=CALLED), turned_round)
    assert "da = swept(a, found)[::-1]" in texts
    assert "da = swept(a[::-1], found)" in texts


def test_the_indices_of_two_arrays_are_exchanged(tmp_path):
    """If it fails, a product over all steps that is shifted the wrong way gets no fix: two slices are wrong at once."""
    body = "da, db = np.zeros_like(a), np.ones_like(b)\nda = a[1:].T @ b[:1] + a[:1].T @ b[1:2]"
    found = candidates(suspect_of(tmp_path, body, "da = a"), indices_exchanged)
    assert "da = a[:1].T @ b[1:] + a[:1].T @ b[1:2]" in found
    assert "da = a[1:].T @ b[1:2] + a[:1].T @ b[:1]" in found


def test_an_order_is_undone(tmp_path):
    """If it fails, the derivative that comes back through x[order] is put in that order once more, and gets no fix."""
    body = "da, db = np.zeros_like(a), np.ones_like(b)\norder, other = np.array([2, 0, 1]), np.array([0, 0, 1])\n"
    suspect = suspect_of(tmp_path, body + "da = a[:, order] + b[np.argsort(order)] + b[other]", "da = a")
    assert set(candidates(suspect, inverse_orders)) == {
        "da = a[:, np.argsort(order)] + b[np.argsort(order)] + b[other]",
        "da = a[:, order] + b[order] + b[other]",
        "da = a[:, order] + b[np.argsort(np.argsort(order))] + b[other]",
    }


TENSORS = """da, db = np.zeros_like(a), np.ones_like(b)
class Tensor:
    def __init__(self, data):
        self.data, self.shape = data, data.shape
    def __mul__(self, other):
        return Tensor(self.data * other.data)
    def __getitem__(self, index):
        return Tensor(self.data[index])

x, y, short, text = Tensor(a), Tensor(2 * a), Tensor(b[:2]), "x"
"""


def test_another_tensor_of_a_class_of_the_users_own_is_read(tmp_path):
    """If it fails, a wrong gate in a backward that calculates with such tensors gets no fix."""
    suspect = suspect_of(tmp_path, f"{TENSORS}da = (x[0] * x[1]).data + a", "da = (x")
    found = candidates(suspect, other_objects)
    assert {"da = (y[0] * x[1]).data + a", "da = (x[0] * y[1]).data + a"} == set(found)


def test_conditions_of_the_file_stand_for_another(tmp_path):
    """If it fails, a backward that asks for half of what the forward asks for gets no fix."""
    head = "\ndef other(t, n, k):\n    fresh = t == 0 or n == 1\n    return fresh if k else t\n"
    body = "da, db = np.zeros_like(a), np.ones_like(b)\nt, n = 0, 1\nif t == 0: da = a * 1"
    found = candidates(suspect_of(tmp_path, body, "if t", head=head), other_tests)
    assert [one.partition(":")[0] for one in found[:2]] == ["if t == 0 or n == 1", "if n == 1"]
    assert any("t == 0 and n == 1" in one for one in found)
    assert not any("k" in one.partition(":")[0] for one in found)


def test_forms_of_such_tensors(tmp_path):
    """If it fails, the derivative of an activation in an autograd that calculates with its own tensors gets no fix."""
    suspect = suspect_of(tmp_path, f"{TENSORS}da = (x[0] * y).data + a", "da = (x")
    found = candidates(suspect, formed_objects)
    forms = ["x[0] * y ** 2", "x[0] * (1 - y)", "(1 - x[0] ** 2) * y"]
    assert {f"da = ({form}).data + a" for form in forms} <= set(found)
