"""What a check found, as records, and each form in which a user reads it.

What enters: what the other rooms found: blocks, laws, trials, findings, fixes.
What leaves: a `Report`, and its text, HTML, Markdown, JSON and plain dict. All values are builtins, so that a report
can be sent to another process.

Start with `records.py`: every field of a report. `codes.py` lists what a finding can be, `evidence.py` holds what it
rests on, and `finding_phrases.py` puts it into words: the only file that does. `mutation_records.py` is the report
of a mutation audit. Then `text.py`, the report on a terminal. `markdown.py` and the `html` folder show the same
records; `phrases.py` holds the words that they share.
"""
