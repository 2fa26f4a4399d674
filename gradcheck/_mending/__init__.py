"""Edits of the user's source after which gradients are right.

What enters: a `TapedRun`, a statement that could be at fault, and other points to try edits at.
What leaves: `Mend`s, the closest to what stands there first: `mends(run, statement, again)`.

How it works: a statement's expression is a hole. What the gradients lack, r, and how they move with the hole's values,
J, are known from the tape, so that another expression is right to first order exactly if J (its values - the values)
= r, over all executions together: candidates are evaluated in the user's variables and judged by one product each.
Those that hold are run, at the same point and at others, and all that is returned is compared with the truth.

Read `mending.py` first: the stages of the search. `holes.py` judges candidates, `small.py`, `larger.py`, `products.py`
and `structure.py` make them, `trials.py` runs them, `residual.py` holds what the gradients lack. `outside.py` is all
that the room takes from others.
"""

from gradcheck._mending.mend import Mend
from gradcheck._mending.mending import Budget, mends

__all__ = ["Budget", "Mend", "mends"]
