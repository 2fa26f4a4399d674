"""Edits that make wrong gradients right, and the finding that names the line.

What enters: a target or a factory that failed its check, the gradients that are known to be wrong, and a function
that runs a whole check of edited code.
What leaves: findings with a line, each with a fix if one was verified; and the patch of all fixes together.

An edit may change a statement of the backward, and only that. The forward is held, because it says what the loss is:
an edit that changes the loss is discarded. An edit is offered only if a whole check of the edited code confirms what
it claims. Of several equivalent edits the shortest is shown first.

Edits come from three sources: the syntax of the statement (`edits.py`), what the statement could name instead
(`substitutes.py`), and expressions found by the value that they must have (`synthesis.py`). They are judged in two
ways. `by_value.py` evaluates an edit inside the running backward and asks whether it gives the derivative that the
trace expects. `by_running.py` runs the whole backward with an edit and asks which gradients are still wrong; it is
slower, and it serves where the trace has no answer.

Read `explain.py` first: what is traced, at which sizes and points. Then `strategies.py`: in which order edits are
tried, until a whole check accepts them. `mistake_names.py` names the mistake from the edit that mends it, and
`line_findings.py` makes the record of a line.
"""
