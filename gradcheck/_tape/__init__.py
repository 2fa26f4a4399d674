"""A reverse-mode tape of the user's own plain-NumPy functions.

What the room is for: one run of the user's loss and of their hand-written gradients tells, exactly and for every
expression that carried a value, how the loss depends on it (`TapedRun.derivative`) and how the returned gradients
depend on it (`TapedRun.sensitivities`). No candidate, no step size, no order of executions has to be guessed.

What enters: a `Target` that has begun, and values of its parameters. What leaves: a `TapedRun`.

    run = tape_target(target, base)                # the loss, then the gradients, both taped once
    run = tape_forward(target, base)               # the loss alone, where the gradients raise
    run.loss, run.nodes, run.leaves                # Node of the loss; every Node in order; by label
    run.gradients, run.sinks                       # as returned; the Node of each, None if it is no taped value
    run.true_gradients                             # dL/d(parameter) of each parameter, by the tape
    run.derivative(node), run.derivatives          # dL/d(value) or None, for the forward and what repeats it
    run.contributions[consumer, operand]           # the part of it that comes through one use, on demand
    run.is_forward(node)                           # whether the loss descends from it (or from what it repeats)
    run.sensitivities(projections)                 # node index -> (m, size): d(projection of all gradients)/d(value)
    run.places, run.statements, run.calls          # where in the source; from which calls
    run.bindings                                   # every name or attribute bound, its node, how often it was read
    run.writes                                     # stores into arrays, with the label of the array's root
    run.opaque, run.untraced                       # calls taken by differences; functions without source
    run.uses(projections)                          # the same for each use: (consumer, operand) -> (m, size)
    run.within()                                   # the same, with the multiples of derivatives that the backward has
    run.twins, run.boundary, run.executions(place) # what the gradients repeat; where they begin; how often
    run.overrides({(place, execution): value})     # the gradients with values replaced, nothing recorded
    run.scopes(place, executions)                  # copies of the variables around some executions of a place

Limits. The gradients are exact wherever `untraced` is empty and as good as differences where `opaque` names a call;
compare with measured slopes before trusting them. A use of one array under two names within one expression may be
counted for the other name. Arrays of objects and structured types end the tape (`untraced`).

Complex numbers are pairs of real ones: the value of a complex array of shape s has the shape (*s, 2), and so has what
is asked of it. dL/d(value) is the pair of the derivatives with respect to the real and the imaginary part, the latter
with the other sign where the backward carries conjugates (`run.carries_conjugates`, `convention`).

How it works: functions that run are rewritten so that every operation goes through a hook (`rewriting`), and get their
code back at the end. The hooks (`recorder`, `calls`, `writes`) do what the source says on plain arrays, and note it.
An array's memory has versions, and views find theirs by position in it (`buffers`), so lists, dicts, attributes,
slices and writes in place need no care. `rules` know the derivatives, always with one leading axis for many seeds;
`sweep` goes back over the tape.

Read `taping.py` first: one run and all that can be asked of it. Then, in the order in which they depend on each other:
`places.py`, `pairs.py`, `nodes.py`, `hooks.py`, `rewriting.py`, `around.py`, `buffers.py`, `iterating.py`,
`recorder.py`, `calls.py`, `writes.py`, the folder `rules`, `unused_rows.py`, `sweep.py`, `replay.py`. `belief.py`
compares the tape with measured slopes; `last_factor.py` tells a multiple that the backward calculates with.
"""

from gradcheck._tape.nodes import CLIPS, KEEPS, MOVES, Binding, Call, Node, TapeError, Write
from gradcheck._tape.places import Place, Statement
from gradcheck._tape.program import made_holding_all
from gradcheck._tape.tape import TapeTooLargeError
from gradcheck._tape.taping import TapedRun, tape_forward, tape_target

__all__ = [
    "CLIPS",
    "KEEPS",
    "MOVES",
    "Binding",
    "Call",
    "Node",
    "Place",
    "Statement",
    "TapeError",
    "TapeTooLargeError",
    "TapedRun",
    "Write",
    "made_holding_all",
    "tape_forward",
    "tape_target",
]
