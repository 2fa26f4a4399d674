"""The order of a check: START HERE. Everything else is called from this room.

What enters: a `Target` or a factory, a seed, and how thorough the check should be.
What leaves: a `Report`: a verdict for each gradient, the laws, the findings, the verified fixes.

A check takes these steps:

1. Build the target at its default sizes and audit it: first the laws, then the gradients, then the entries of what
   is wrong. An audit is one target at one point.
2. If all gradients are wrong by one factor that the sizes name (T, 1/B), divide by it and audit again.
3. Audit the other sizes. Shrink a failure to the smallest sizes that still fail.
4. Turn what was seen into findings: the verdict, which is handed out now. If something is wrong, look for the
   lines and try edits, for as long as there is time.
5. Verify the edits: whole checks of the edited code and of the original, at every size, with another seed and at
   other parameters. What an edit claims must be right, and nothing may be less than it was.

The steps from the lines on are imported only when something is wrong, so a check of right code does not pay for them.

Read `check.py` (what is called, and the order: the verdict, then the lines), then `without_lines.py` (the verdict),
`audit.py` (one target at one point), `other_sizes.py` (trials, and the smallest sizes that fail), `findings.py` (what
is reported where no line is known) and `pace.py` (how a check gets on, and how much time there is for what may be cut
short). Where something is wrong: `lines.py` (what is asked of the search for lines, and told of them), `outcomes.py`
(whole checks of edited code) and `verifier.py` (whether an edit does what it claims).
"""
