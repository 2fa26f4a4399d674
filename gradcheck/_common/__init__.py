"""What every room needs and no room owns: numbers, errors, verdicts, files, workers, wording.

These files import nothing else of the package but each other. `arrays.py` names the types (`Array`, `Values`, `Sizes`)
and has the norms that are safe at the ends of the range; `verdict.py` turns a discrepancy and its error bar into right,
wrong or inconclusive; `errors.py` calls the user's code, so that what it raises is told as theirs.
"""
