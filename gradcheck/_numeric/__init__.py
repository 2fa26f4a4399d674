"""Numbers from a target: losses, gradients, and derivatives of the loss with an error bar.

What enters: a `Target` at a point, and a direction or an entry to differentiate along.
What leaves: a `Derivative`: its value, its error bar, and the kink that was seen, if any.

Where the code takes complex numbers, one complex step gives the derivative to rounding; a real difference along the
same direction must confirm it before it is believed. Elsewhere a tableau of central differences is extrapolated to a
step of zero. The noise of the loss is measured, so that an error bar is never a guess.

Read `difference.py` first: the derivative of a function of one variable. Then `evaluator.py`, which asks a target
for losses and counts them. `scheme.py` decides between complex and real steps, and `noise.py` measures how noisy and
how straight the loss is. `gradients.py` reads what `grads()` returned. `entries.py` differences every entry of a
gradient, and `shared_entries.py` does so in worker processes.
"""
