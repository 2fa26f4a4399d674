"""What a check found, as records, and each form in which a user reads it.

What enters: what the other rooms found: blocks, laws, trials, findings, fixes.
What leaves: a `Report`, and its text, HTML, Markdown, JSON and plain dict. All values are builtins, so that a report
can be sent to another process.

Start with `records.py`: every field of a report. Then `text.py`, the report on a terminal. `markdown.py` and the
HTML page show the same records; `phrases.py` holds the words that they share.
"""
