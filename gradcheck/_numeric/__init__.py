"""Derivatives of the loss, each with an error bar.

In comes a target that is `opened`; out go slopes along directions and derivatives of entries. Start with
`difference.py`: complex steps, and a tableau of central differences. `evaluator.py` asks the target for losses, counts
them, and picks the scheme: complex steps where a real difference confirms them (`scheme.py`), else real ones, after
their noise was measured (`noise.py`). `entries.py` differences whole gradients, `shared_entries.py` in other processes.
`gradients.py` makes arrays of what grads() returns.
"""
