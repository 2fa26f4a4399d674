"""What every room may use. This room imports no other.

What enters: arrays, numbers, names, paths.
What leaves: norms, verdicts, modules, worker processes, clocks, words.

`arrays.py` names the types of numbers (`Array`, `Values`, `Sizes`) and computes norms that are safe at the ends of the
range. `verdict.py` turns discrepancies and error bars into a verdict. `errors.py` holds the errors that users see, and
calls the user's code, so that an error in it is reported as theirs. `files.py` imports a user's file, `notebooks.py`
runs the cells of a notebook, `import_path.py` says where a file's folder stands, `neighbours.py` that it imports what
lies beside it, and `user_files.py` which files are the user's. `writing.py` writes files at once or not at all.
`workers.py` starts processes, `turns.py` lets the checks of several threads take turns and `deadlock.py` tells where a
turn would never come, `silence.py` silences one thread alone, and `surely.py` puts back in spite of Ctrl-C. `memory.py`
bounds what edited code may take. `clock.py` ends what may be cut short when its time is up, and `waiting.py` tells
waiting from being kept from the processor by others. `cells.py` names places, also in cells of notebooks. `wording.py`
writes sizes, names, numbers and paths, and `printable.py` leaves out what a terminal would obey.

Start with `verdict.py`: right, wrong or inconclusive, and how large an error may be missed.
"""
