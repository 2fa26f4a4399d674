"""The user's functions and files: which functions run, how they are rewritten, edited and put back.

What enters: code objects of the user's, or edits of the user's source.
What leaves: functions that run with taps (each expression passes its value through a hook) or with edits, for the
time of a `with` block; or fixed files and patches. Afterwards every function is as it was.

This room knows nothing of derivatives. Nothing is written to a file unless the user asks for it.

Read `source.py` first: one file of the user's as Python reads it, edits of its text, their diff. Then
`profiling.py`: which functions run. `rewriting.py` puts taps into a syntax tree, and `instrument.py` puts the
rewritten code into live functions. `patching.py` does the same with edits; `functions.py` finds the functions by their
code. `scope.py` says what a statement could
name, and `style.py` writes new code as the user writes. `foreign.py` finds calls into code that must not be handed
anything else. `fix_files.py` writes verified fixes, those of a notebook by way of
`notebook_edits.py`.
"""
