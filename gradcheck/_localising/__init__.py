"""Where the faults of a hand-written backward are.

What the room is for: given one taped run with wrong gradients, name the statements that could be at fault, the
likeliest first, with what they would have to give instead, and strike out all others.

The idea: a backward is affine in its values. With J_s, how all gradients move with the values of statement s at all
its executions, and r, the true gradients less the reported ones, *s alone can be at fault only if r is in the range
of J_s*. No candidate is tried and no order of executions guessed.

What enters: a `TapedRun` and the names of the gradients that are wrong. What leaves: a `Localisation`.

    found = localise(run, wrong)                # also: second=another run,
                                                # only=some of the wrong gradients, changed=arrays that are changed
    found.alone                                 # `Suspect`s, each of which could be at fault alone, in order
    found.together                              # where none could: the fewest that could be together
    found.statements                            # in the order in which to look at them
    found.region                                # statements between which nothing decides
    found.signs                                 # what speaks for itself: computed and never read, never written ...
    suspect.places, suspect.nodes               # which expressions have to give other values; all those values
    suspect.needed                              # what each has to be, and which derivative of the forward that is
    suspect.system                              # J, r and their columns, to judge candidates by one product
    suspect.changes, suspect.need               # how many numbers have to be others; whether they are known ones
    suspect.role, suspect.executions            # what it makes of right inputs, execution by execution
    suspect.blamed_for                          # the wrong gradients that its values move

Complex values are pairs of real ones, on the tape and here. What a backward carries for the derivative with respect to
one is dL/dRe + i dL/dIm or its conjugate: `run.derivatives` are as it carries them.

Small sizes, all different and none a multiple of another, tell most. Up to 256 gradient entries are looked at one by
one; of more, random combinations.

`spoiling.py` tells what reads right derivatives and gives none, where no statement explains all that is wrong;
`misdirected.py` what gives a gradient what belongs to another; `misplaced.py` what gives a sum of derivatives a term of
another value; `unchanged.py` what hands a derivative on as it is where the forward calculates; `incomplete.py` what
lacks what comes back from later steps, `in_part.py` what lacks what comes back through one use of a value; `lost.py`
derivatives that no gradient depends on. Where a backward goes back from each step anew (`from_each_step.py`), the
derivatives of each term of the loss are known as well.

Read `localise.py` first: the order of it all. Then `mismatch.py` (r and projections), `solving.py` (ranges),
`standing.py` (what a value is a derivative of), `holes.py` (the values of a statement), `provenance.py` (which step of
the forward), `suspects.py` (who could be at fault, needed values), `blame.py` (what a statement makes of right inputs),
`several.py`, `signs.py`, `records.py`. `labels.py` and `holding.py` put into the user's names which derivative a value
is, and what a statement gives. Only `tape.py` imports from other rooms.
"""

from gradcheck._localising.localise import able_alone, localise
from gradcheck._localising.records import Localisation, Needed, Sign, Suspect

__all__ = ["Localisation", "Needed", "Sign", "Suspect", "able_alone", "localise"]
