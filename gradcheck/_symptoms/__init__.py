"""What a wrong gradient looks like beside the true one. This room needs no source code, only numbers.

What enters: the analytic and the numerical gradient, the shapes of all parameters, the sizes, the inputs; for
activations a target, so that one bias can be moved.
What leaves: a `Symptom` (`report/evidence.py`): a code and what shows it; or nothing. A symptom is named only if it
fits to within rounding, and says how well.

Read `patterns.py` first: one gradient beside the true one (a factor, a sign, a transpose, exchanged gates, a clip).
Then `common_factor.py` (one factor in all gradients), `wrong_regions.py` (which rows, columns, gates or entries),
`lost_shares.py` (the share of one time step alone), `activations.py` (derivatives of activations that are applied
twice, left out or taken of the wrong value).
"""
