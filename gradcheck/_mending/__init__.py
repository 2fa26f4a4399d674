"""Edits of the user's source after which gradients are right.

What the room is for: a statement is suspected, and the edit is wanted that a person would make who was told so.

What enters: a `TapedRun` of the loss and the gradients, a `Statement` of it, and functions that make runs of the same
code at other sizes or seeds. What leaves: `Mend`s, the nearest to what stands there first.

    mends(run, statement, again)        # a list of Mend; each was run, at the run's point and at each of `again`
    removals(run, statement, again)     # those alone that take something out
    MendSearch(...).small(), .large()   # the two halves of `mends`: what is soon tried, and all else
    derivatives.EditsToDerivatives      # edits after which the statement gives a derivative, whatever else is wrong
    mend.edits, mend.file               # what is replaced, by line and byte in the line
    mend.gradients, mend.remaining      # those that it makes equal to the truth; those that are wrong still
    mend.evidence                       # how it was found and tried, in words

How it works. An expression of the statement is a hole. The tape tells what the gradients lack, r, and how they move
with the hole's values while these are held, J. Another expression is right exactly if J (its values - those of now)
= r, over all executions together; a few random projections of each gradient stand for it. So candidates are evaluated
in the user's variables, and judged by one product each, without a run. What one execution hands to the next must be
right for that: the variables are looked at in a run in which the hole has the values that it needs (`needed`), which
are a derivative that the forward's tape knows, or the solution of a least-squares problem. Where it has several, the
nearest edits are run as well. Terms and products are solved for, not tried (`library`), and where no small edit
serves, the derivative is written from the forward's tape in the names that are at hand (`formula`). What changes a
whole statement (`statement_edits`) is run.

Complex values are complex numbers here, as the user's expressions give them; how the projections move with them is one
complex number for each, of whose product with a change the real part counts (`slopes_as_before`).

Statements that are missing are found by putting some that change nothing wherever one could be (`idle`), and by asking
the same of these.

Limits. A target that keeps its state in its module cannot be tried
again once another was made: the search ends there. The search is as good as the run: with few steps and a small batch
the values that a hole needs are unique, with many they are not.

Read `search.py` first: the stages of the search. The files depend on each other in this order: `outside.py`,
`syntax.py`, `frames.py`, `series.py`, `residual.py`, `needed.py`, `enclosing.py`, `looking.py`, `suspects.py`,
`holes.py`, `building.py`, `paths.py`, `atoms.py`, `slots.py`, `details.py`, `library.py`, `complex_edits.py`,
`small_edits.py`, `larger_edits.py`, `vectors.py`, `products.py`, `multiples.py`, `formula.py`, `statement_edits.py`,
`carried.py`, `penalties.py`, `trials.py`, `distance.py`, `mend.py`, `search.py`. `derivatives.py` stands beside
`search.py`; `gaps.py` and `idle.py`, where a statement is missing (or `begun.py` a term, where its variable begins),
and `moves.py`, where one stands in the wrong place, by themselves. So do the mistakes that show by their form:
`late_binding.py`, `resets.py`, `mirrored.py`, `overwritten.py`, `overbound.py`, `one_array.py`.
"""

from gradcheck._mending.mend import Mend
from gradcheck._mending.search import Again, Budget, MendSearch, mends, removals

__all__ = ["Again", "Budget", "Mend", "MendSearch", "mends", "removals"]
