"""Analytic against numerical: which gradients are right, and which entries are wrong.

In come gradients and an evaluator; out goes a `Block` for each gradient. Start with `judging.py`, the order of the
questions: similar gradients together, then alone, then entry by entry. `comparer.py` compares along directions;
`rounding.py` tells how exactly the gradients are known. `benign.py` has the excuses of correct code: whether a kink, or
noise, or single precision explains a discrepancy is decided there, one function for each. `wrong_entries.py` finds the
wrong entries of many.
"""
