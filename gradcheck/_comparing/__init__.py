"""Analytic gradient against numerical slope: right, wrong, inconclusive or vacuous.

What enters: an evaluator at a point, and the gradients that the user's code returned there.
What leaves: a `Block` for each gradient: verdict, error, error bar, sensitivity; and the indices of wrong entries.

A gradient is compared along a few random directions, which it shares with gradients of similar size. The number of
evaluations therefore does not grow with the number of parameters. The verdict follows from the error bar alone
(`_common/verdict.py`). Before a gradient is called wrong, each benign reason is tried: a kink at the point or beside
it, a loss too steep to difference, single precision, noise. So it is decided here that a kink is no error.

Read `comparer.py` first: gradient against slope along directions; `comparisons.py` tells what those promise.
`judging.py` gives the verdict, `benign.py` holds the excuses, one function each, and `rounding.py` measures how exactly
the gradients are known. `wrong_entries.py` finds the wrong entries of a large gradient by splitting it.
"""
