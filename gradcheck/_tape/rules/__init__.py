"""The derivatives of what NumPy calculates.

A rule is handed an `Operation` and returns the operands that matter, each with the way back to it: a function of
g, (m, *shape of the result), that returns (m, *shape of the operand). The leading axis is there always: it carries
many seeds through one sweep. To add a rule, put a function into the table of the module it belongs to; what has no
rule is tried as data movement if it is listed so, and is differenced otherwise.
"""
