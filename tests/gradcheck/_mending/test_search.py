"""Each kind of edit on a mistake that it mends, and what must not be offered."""

from __future__ import annotations

import itertools
import linecache
from contextlib import nullcontext

import numpy as np
import pytest

from gradcheck._mending import Budget, MendSearch, mends
from gradcheck._mending.library import Equation, Library
from gradcheck._mending.outside import apply_edits
from gradcheck._mending.slots import Candidate
from gradcheck._mending.syntax import parsed
from gradcheck._tape import tape_target
from tests.gradcheck._mending import cells
from tests.gradcheck._mending.layers import NOT_ADDED, RESIDUAL
from tests.gradcheck._mending.pieces import suspect_of
from tests.gradcheck._repair.chain import CHAIN
from tests.gradcheck._repair.spoiled import cell, taped
from tests.gradcheck._tape.programs import draw, module, target_of

#: what stands in the right code, what is written in its place, and what may be offered (the right code if nothing)
MISTAKES = {
    "another name": ("dn = dnew * u", "dn = dh * u", None),
    "another member": ('dx = dz @ p["W"].T', 'dx = du @ p["W"][:, :H].T', "any"),
    "a term dropped": ("dh = dh + dhs[t]", "dh = dhs[t]", "any"),
    "a product dropped": ('dr = da * p["k"] * hp', "dr = da * hp", "any"),
    "a product of matrices dropped": (' + da * p["k"] * r + dz @ p["U"].T', ' + da * p["k"] * r', "any"),
    "a factor too much": ("dnew = m * dh", "dnew = m * u * dh", "any"),
    "a sign": ("du = dnew * (n - hp)", "du = dnew * (hp - n)", "any"),
    "an operator": ("dh = dh + dhs[t]", "dh = dh - dhs[t]", "any"),
    "a transpose": ('dx = dz @ p["W"].T', 'dx = dz @ (p["W"] @ p["W"].T @ p["W"]).T', "any"),
    "one minus": ("dh = dnew * (1 - u) + ", "dh = dnew * u + ", None),
    "a square": ("da = dn * (SCALE - n ** 2 / SCALE)", "da = dn * (SCALE - n / SCALE)", None),
    "a helper": ("du * slope(u), dr * slope(r)", "du * slope(u), dr * r", "any"),
    "a helper's argument": ("du * slope(u), dr * slope(r)", "du * slope(u), dr * slope(dr)", "any"),
    "a sum for a mean": ('g["b"] += dz.sum(axis=0)', 'g["b"] += dz.mean(axis=0)', None),
    "a sum for a row": ('g["b"] += dz.sum(axis=0)', 'g["b"] += dz[0]', None),
    "a size": ("de = 2 * e / (T * B)", "de = 2 * e / (T * H)", "any"),
    "a number": ("+ 2 * self.lam", "+ 1 * self.lam", "any"),
    "a step": ("dh = dh + dhs[t]", "dh = dh + dhs[t - 1]", None),
    "letters": ('np.einsum("tbi,tbj->ij", xhat, de)', 'np.einsum("tbi,tbj->ij", xhat, e) * 1.0', "any"),
    "elements exchanged": ("np.concatenate([du, dr, da], axis=1)", "np.concatenate([dr, du, da], axis=1)", None),
    "targets exchanged": ("du, dr = du * slope(u)", "dr, du = du * slope(u)", "any"),
    "assigned, not added": ('g["W"] += x.T @ dz', 'g["W"] = x.T @ dz', None),
    "duplicates": ('np.add.at(g["E"], self.tokens[t], dx)', 'g["E"][self.tokens[t]] += dx', None),
    "duplicates of the last step alone": (
        'np.add.at(g["E"], self.tokens[t], dx)',
        'g["E"][self.tokens[t]] = dx',
        None,
    ),
    "another key": ('g["k"] += (da * r * hp).sum(axis=0)', 'g["k"] += (da * r).sum(axis=0)', "any"),
    "the loop's direction": ("for t in reversed(range(T)):", "for t in range(T):", None),
    "a bracket": ("dnew * (1 - u) + (1 - m) * dh", "(dnew * (1 - u) + 1 - m) * dh", "any"),
    "a mean's term": ("dhs = dxhat - dxhat.mean(axis=2, keepdims=True)", "dhs = dxhat", "any"),
    "a clip": ("dnew = m * dh", "dnew = np.clip(m * dh, -0.05, 0.05)", None),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_mended(name, tmp_path):
    """If it fails, this kind of mistake gets no fix, or one that does not hold at another size."""
    right, wrong, expected = MISTAKES[name]
    found, line = cells.mended(tmp_path, right, wrong)
    assert found
    assert found[0].remaining == ()
    text = apply_edits("".join(linecache.getlines(found[0].file)), found[0].edits)
    assert cells.is_right(tmp_path, text)
    if expected is None:
        whole = next(one for one in cells.CELL.splitlines() if right.splitlines()[0] in one)
        assert cells.same(line, whole.strip()) or _commuted(line, whole)


def _commuted(line, whole):
    """Whether the line has the same parts in another order."""
    split = lambda text: sorted(text.replace("(", " ").replace(")", " ").split())  # noqa: E731
    return split(line) == split(whole)


def test_the_correct_cell_needs_no_mend(tmp_path):
    """If it fails, the planted mistakes are not alone, and correct code is edited."""
    made, run, statement = cells.planted(tmp_path, "dn = dnew * u", "dn = dnew * u")
    assert mends(run, statement) == []
    assert all(np.allclose(run.gradients[name], run.true_gradients[name]) for name in run.gradients), made


def test_an_innocent_statement_gets_no_mend(tmp_path):
    """If it fails, an edit elsewhere makes up for a mistake at these values only, and is offered as its fix."""
    made, run, _ = cells.planted(tmp_path, "dn = dnew * u", "dn = dnew * r")
    other = next(one for one in run.statements if one.text.startswith('g["b"] += dz.sum'))
    assert mends(run, other, [lambda: nullcontext(cells.taped(made, 7, T=4, B=3, D=2, H=3))]) == []


def test_two_faults_leave_the_rest_to_the_other(tmp_path):
    """If it fails, one fault hides the fix of another, or a fix claims gradients that it does not make right."""
    source = cells.CELL.replace('g["b"] += dz.sum(axis=0)', 'g["b"] += dz.mean(axis=0)')
    found, line = cells.mended(tmp_path, 'g["W"] += x.T @ dz', 'g["W"] += x.T @ dz * 2', source)
    assert cells.same(line, 'g["W"] += x.T @ dz')
    assert found[0].gradients == ("W",)
    assert found[0].remaining == ("b",)


def test_the_same_run_gives_the_same_mends(tmp_path):
    """If it fails, a fix depends on the clock or on the order of hashes."""
    made, run, statement = cells.planted(tmp_path, "dnew = m * dh", "dnew = dh")
    again = [lambda: nullcontext(cells.taped(made, 7, T=4))]
    assert [one.edits for one in mends(run, statement, again)] == [one.edits for one in mends(run, statement, again)]


def test_a_budget_of_nothing_finds_nothing(tmp_path):
    """If it fails, the budget is not kept."""
    _, run, statement = cells.planted(tmp_path, "dnew = m * dh", "dnew = dh")
    assert mends(run, statement, budget=Budget(candidates=0, runs=0)) == []


COINCIDENCE = """
class Cell:
    def __init__(self, p, tokens, mask, Y):
        self.p, self.n, self.k, self.factor = p, tokens.shape[0], tokens.shape[1], 3

    def loss(self):
        return 0.5 * self.factor * (self.p["b"] ** 2).sum()

    def grads(self):
        p, n, k = self.p, self.n, self.k
        g = {name: value * 0 for name, value in p.items()}
        g["b"] = p["b"] * 1
        return g
"""


def test_a_coincidence_of_sizes_is_refused(tmp_path):
    """If it fails, n is offered where the factor is 3, because n happens to be 3 in the first run."""
    found, line = cells.mended(tmp_path, "* 1\n", "* 1 \n", COINCIDENCE)
    assert found
    assert "n" not in line.replace("name", "")
    assert "3" in line or "factor" in line


def test_what_the_caller_handed_over_is_copied_before_it_is_written(tmp_path):
    """If it fails, a backward that spoils its caller's array gets no fix, since its gradients are right."""
    import gradcheck
    from gradcheck._tape import tape_target
    from tests.gradcheck._tape.programs import module

    made = module(
        tmp_path,
        """
        import numpy as np


        def forward(x, w):
            return np.tanh(x * w), (x, w, np.tanh(x * w))


        def backward(d, cache):
            x, w, y = cache
            dy = d
            dy *= 1 - y ** 2
            return dy * w, dy * x
        """,
    )

    def run(seed, size):
        rng = np.random.default_rng(seed)
        target = gradcheck.Target.from_vjp(
            made.forward, made.backward, {"x": rng.normal(size=size), "w": rng.normal(size=size)}
        )
        target.draw_cotangents(rng)
        return tape_target(target, target.values())

    first = run(1, 3)
    statement = next(one for one in first.statements if one.text.startswith("dy *="))
    found = mends(first, statement, [lambda: nullcontext(run(2, 4))])
    assert [edit.text.strip() for edit in found[0].edits] == ["dy = dy.copy()"]


def test_arrays_whose_shape_changes_from_step_to_step_are_left_aside(tmp_path):
    """If it fails, one window that grows with the steps ends the search, and no edit of the file is found."""
    body = (
        "da, db = np.zeros_like(a), np.ones_like(b)\nfor t in range(2):\n    left = np.ones((1 + t, 2, 2))\n"
        "    right = np.ones((1 + 2 * t, 2, 3))\n    d = 0.3 * a * (1 + t)\n    da = da + d"
    )
    suspect = suspect_of(tmp_path, body, "d =")
    place = next(one for one in MendSearch(suspect.run, suspect.statement, [], Budget()).places if one.floats)
    library = Library(place)
    equation = Equation(np.ones(library.count * 6), 0.5, 1.0)
    assert library.count == 2
    assert isinstance(list(library.solutions(((2, 3), (2, 3)), equation, 2)), list)


STORED = """
import numpy as np

def loss(p):
    return 0.5 * np.sum(p["a"] ** 2) + 1.5 * np.sum(p["b"] ** 2)

def grads(p):
    first, second = p["a"] * 1.0, 3 * p["b"]
    found = {}
    found["a"], found["b"] = second, first
    return found
"""


def test_two_exchanged_elements_are_mended_together(tmp_path):
    """If it fails, one of two gradients that were exchanged where they are stored is mended, and the other is not."""
    target = target_of(module(tmp_path, STORED), a=draw(3), b=draw(3, seed=1))
    run = tape_target(target, target.values())
    found = mends(run, next(one for one in run.statements if one.text.startswith('found["a"]')))
    assert found
    assert found[0].gradients == ("a", "b")
    assert [edit.text for edit in found[0].edits] == ["first", "second"]


#: a helper for an outer product, of whose first argument no value at hand is what it should be
OUTER = """
import numpy as np

X = np.linspace(-1, 1, 24).reshape(3, 2, 4)

def outer(a, b):
    return np.einsum("bi,bj->ij", a, b)

def loss(p):
    return 0.5 * sum(np.sum(np.tanh((x * p["s"]) @ p["W"]) ** 2) for x in X)

def grads(p):
    g = {name: np.zeros_like(one) for name, one in p.items()}
    for x in X:
        h = np.tanh((x * p["s"]) @ p["W"])
        dz = h * (1 - h ** 2)
        dW, ds = outer(x, dz), (dz @ p["W"].T * x).sum(axis=0)
        g["W"] += dW
        g["s"] += ds
    return g
"""


def test_the_expression_that_is_singled_out_is_looked_at_first(tmp_path):
    """An argument that should be a product would be looked for after all small edits of all that could be at fault."""
    target = target_of(module(tmp_path, OUTER), W=draw(4, 5), s=draw(4, seed=1))
    with target.preserved():
        run = tape_target(target, target.values())
        statement = next(one for one in run.statements if one.text.startswith("dW, ds = outer"))
        search = MendSearch(run, statement, (), Budget())
        assert [search.code.segment(place.hole.root) for place in search.singled_out]
        (edit,) = search.small()[0].edits
    assert edit.text.replace("'", '"') in ('x * p["s"]', 'p["s"] * x')


def test_of_every_kind_of_small_edits_some_are_run(tmp_path):
    """Where the tape judges none right, an axis would have its turn after hundreds of other names, and be given up."""
    right = 'np.sum(np.exp(p["A"] + s[t + 1] + beta[t + 1]), axis=1)'
    run, others = taped(cell(tmp_path, (right, right.replace("axis=1", "axis=0")), source=CHAIN))
    statement = next(one for one in run.statements if one.text.startswith("beta[t] ="))
    (first, *_) = MendSearch(run, statement, [one.taped for one in others], Budget(candidates=0)).small()
    assert first.remaining == ()


def test_most_small_edits_that_are_run_are_other_reads(tmp_path):
    """What is mistaken most often, a value of another step, would have to wait for all other kinds."""
    run, others = taped(cell(tmp_path, ("+ beta[t + 1]), axis", "+ beta[t]), axis"), source=CHAIN))
    statement = next(one for one in run.statements if one.text.startswith("beta[t] ="))
    search = MendSearch(run, statement, [one.taped for one in others], Budget())
    first = itertools.islice(search._texts(), Budget().runs)
    assert ["beta[t + 1]"] in [[edit.text for edit in edits] for edits in first]


@pytest.mark.parametrize(("condition", "is_taken"), [("k > 0", True), ("k > 1", False)])
def test_where_all_that_layers_have_to_give_is_known_a_part_is_no_edit(condition, is_taken, tmp_path):
    """If it fails, an edit that leaves all but one layer wrong is taken, since the gradient behind it is right."""
    run, _ = taped(cell(tmp_path, NOT_ADDED, source=RESIDUAL))
    statement = next(one for one in run.statements if one.text.startswith("dh = dz"))
    search = MendSearch(run, statement, (), Budget())
    (place,) = search.places
    root = place.hole.root
    back = "dz @ p[f'W{k}'].T"
    candidate = Candidate.of(root, parsed(f"{back} + dh if {condition} else {back}"))
    found = search._accepted(place.hole, candidate)
    assert (found is not None) is is_taken
