"""Suspects and workplaces of small programs: what is offered at one statement, as the texts that it would become."""

from __future__ import annotations

from gradcheck._mending.building import bare_hole, holes_of
from gradcheck._mending.outside import apply_edits
from gradcheck._mending.residual import Residual
from gradcheck._mending.slots import Workplace
from gradcheck._mending.suspects import Suspect, roots
from gradcheck._tape import tape_target
from tests.gradcheck._tape.programs import draw, module, target_of

#: one function of a loss, one of its gradients, of which the body is given
PROGRAM = """
import collections
import numpy as np

def loss(p):
    return 0.5 * np.sum(p["a"] ** 2) + np.sum(p["b"])

def grads(p):
    a, b = p["a"], p["b"]
{body}
    return {{"a": da, "b": db}}
"""


def run_of(folder, body, seed=0, head=""):
    """The taped run of the program with this body, after functions of its own."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    text = PROGRAM.format(body=lines.rstrip("\n")) + head
    made = module(folder, text)
    return tape_target(target := target_of(made, a=draw(2, 3, seed=seed), b=draw(3, seed=seed + 1)), target.values())


def suspect_of(folder, body, statement, head=""):
    """The first statement of the body that begins with this text."""
    run = run_of(folder, body, head=head)
    found = next(one for one in run.statements if one.text.startswith(statement))
    return Suspect(run, found, Residual(run))


def rewritten(suspect, offers):
    """What the statement, and lines that belong to it, become by each of these edits."""
    before = suspect.code.text
    line, last = suspect.tree.lineno, len(before.splitlines()) - (suspect.tree.end_lineno or 0)
    return [apply_edits(before, edits).splitlines()[line - 1 : -last] for edits in offers]


def became(suspect, offers):
    """The same for edits that leave it one line."""
    return [lines[0].strip() for lines in rewritten(suspect, offers) if len(lines) == 1]


def candidates(suspect, *families):
    """The texts that the statement becomes with each candidate of some families."""
    places = [Workplace(hole) for hole in holes_of(suspect)]
    places = places or [Workplace(bare_hole(suspect, root)) for root in roots(suspect.tree)]
    swaps = [one.swaps for family in families for place in places for one in family(place)]
    return became(suspect, [[suspect.code.replaced(old, new) for old, new in pairs] for pairs in swaps])
