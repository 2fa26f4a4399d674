"""Drafts of target files: code as somebody has found it is read, guesses are tried, and what runs is written down.

What enters: a Python file. What leaves: the text of a target file, and whether it runs as it stands.

Nobody's file says which argument is a token and which a hidden state, so names are read as people mean them
(`hprev`, `inputs`, `d_y`), and each guess is tried: the target is built, and its gradients are compared with the slope
of its loss. The draft whose gradients fit best is taken. All of this happens in a process of its own, for a limited
time, with the definitions of the file alone where its import would train or read.

Read `drafting.py` first: the order. `reading.py` says what stands in the file, `guesses.py` what an argument may
be. `of_functions.py`, `of_classes.py` and, for torch, `of_modules.py` write drafts; `ways.py` says how an object
gives its gradients, as seen in the `sandbox.py`. `outline.py` writes the draft with gaps. `writing.py` puts drafts
into a file, `trying.py` tries them, and `process.py` is the process around it all.
"""
