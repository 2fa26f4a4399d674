"""The backward's source with, beside each line, the derivative that it holds: ``gradcheck trace``.

What enters: a target or a factory. What leaves: text.

The loss and the gradients run once on the tape, which knows the derivative of every value of the forward, through all
of its uses and through each of them. A value of the backward is looked up among these: `_localising/holding.py` says
what a statement gives at each of its executions, `_localising/labels.py` what a derivative is called in the user's
names, and through which use a part of it comes. Where gradients are wrong, `faults.py` marks the statements that could
be at fault, with what they should hold and what they hold instead, and what only follows from them.

That a line "is dL/d(x)" is said only if it is at every execution; otherwise it is said at which ones.

Where the tape cannot follow the loss, or does not agree with its measured slope, nothing is shown but the reason. Where
it cannot follow all of the rest, that stands below.

Read `annotate.py` first: the verb.
"""
