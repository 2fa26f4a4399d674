"""Edits that make wrong gradients right, and the finding that names the line.

What enters: a target or a factory that failed its check, the gradients that are known to be wrong, and a function
that runs a whole check of edited code.
What leaves: findings with a line, each with a fix if one was verified; and the patch of all fixes together.

An edit may change a statement of the backward, and only that. The forward is held, because it says what the loss is:
an edit that changes the loss is discarded. An edit is offered only if a whole check of the edited code confirms what
it claims. Of several equivalent edits the shortest is shown first.

`by_tape.py` looks on the tape for one fault after the other, each in the code with the edits so far (`kept_runs.py`),
at the points of `points.py`, in stages. `next_fault.py` chooses: what speaks for itself, then who could be at fault
alone, the one whose edit mends most (`likeliest_mend.py`), or whom that edit only makes up for (`made_up_for.py`),
then what stands beside those (`around_suspects.py`). Where none could be alone, a value of the forward may be fetched
in the wrong place (`misread.py`); then `wrong_values.py` goes by what statements give: what reads right derivatives
and gives none is edited until it gives one, or who calls its function is (`handed_on.py`). Then comes one time step,
then each wrong gradient by itself (`each_gradient.py`). Where no edit of what stands there mends all, a statement may
stand in the wrong place (`moved_statement.py`), values be bound to or kept by another's name (`misnamed.py`), or one
be missing (`missing_statement.py`), or all that carries a derivative from step to step (`missing_carry.py`), or what
comes back through one use of a value (`lacking_part.py`), or a derivative that is at hand is taken on by nobody
(`lost_derivative.py`), or overwrites another part of itself (`overwritten_part.py`); where gradients grow from call to
call, one that clears sums (`uncleared.py`). What a loop begins with is mended where it is bound (`before_loop.py`),
not where the first round reads it. In the end one edit where a variable is bound takes the place of several where it
is read (`where_bound.py`), or one in a function that of all its calls (`where_called.py`). Before that a clip of the
finished gradients is taken out (`final_clips.py`), and a small constant of the loss that the backward leaves out
(`small_constants.py`); penalties that they lack are added (`penalties_left_out.py`). Whether a factor is that of all
gradients or of some alone, `local_factor.py` tells. Statements of the forward (`forward.py`) are no suspects, nor are
helpers that are right (`right_helpers.py`). `found.py` holds what is found so far; `edits_in_turn.py` tells an edit of
edited code as one of the file as it is. `tape_findings.py` makes the records.

Read `explain.py` first: what is asked, and what a whole check confirms. Then `by_tape.py`. `mistake_names.py` names the
mistake from the edit that mends it. Where no line is named, `no_line.py` says why.
"""
