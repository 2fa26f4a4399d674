"""Backwards in torch and JAX: what is wrong, told by the library's own differentiation of the forward.

What enters: the question of a failed check (`gradcheck._repair.explain.Question`) whose code calculates in such a
library. What leaves: its explanation: findings with a line, the edits that mend them, or what a rule returns.

A `torch.autograd.Function` or a `jax.custom_vjp` is run alone: its forward as plain code, which the library itself
differentiates, then its backward. Without such a rule, a loss and gradients that are written in tensors are run as a
whole. Every expression of both goes through a tap that adds zero, with respect to which the library differentiates:

1. The loss, with respect to each value: the true derivative of everything that the forward computes.
2. The gradients that the backward returns, with respect to each value: how they move with each statement.

The second is J. A statement can be at fault alone only if what the gradients lack is in the range of its J; it is
right where its values are derivatives of the first kind. An edit is tried by its value: J times what it changes has
to be what is lacking. What passes is run at other values, and then goes through the whole check.

Read `explain.py` first: the verb. Then `torch_rules.py`, `jax_rules.py` and `whole.py`, which make a `Case`
(`case.py`); `library.py`, `torch_library.py` and `jax_library.py`, which differentiate; `places.py`, `recording.py`
and `derivatives.py`: one run; `standing.py` and `suspects.py`: who could be at fault; `edits.py` (by the syntax) and
`substitutes.py` (what else could be named): which edits there are, `editing.py` and `mending.py`: which of them mend;
`records.py`: what is told.
"""
