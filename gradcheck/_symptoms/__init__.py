"""What a wrong gradient looks like. This room needs no source code, only numbers.

What enters: the analytic and the numerical gradient, the shapes of all parameters, the sizes, the inputs; for
activations a target, so that one bias can be moved.
What leaves: a name for what is seen (a factor, a sign, a transpose, exchanged gates, one time step alone, a
derivative of an activation applied twice), or which entries are wrong, in words; or nothing. A name is given only if
it fits to within rounding.

Read `patterns.py` first: one gradient beside the true one. Then `common_factor.py` (one factor in all gradients),
`wrong_regions.py` (which rows, columns, gates or entries), `lost_shares.py` (the share of one time step alone),
`activations.py` (the derivative of an activation).
"""
