"""A page on each finding code: what it means, the equation, an example right and wrong, how to mend it.

``gradcheck explain CODE`` prints them, and docs/codes.md is written from them. `page.py` says what a page has;
`laws.py`, `patterns.py`, `values.py`, `shapes.py` and `statements.py` hold the pages; `finding.py` finds one.
"""
