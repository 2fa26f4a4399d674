"""What a check found, as records, and each form in which a user reads it.

What enters: what the other rooms found: gradients, laws, trials, findings, fixes.
What leaves: a `Report`, and its text, HTML, Markdown, JSON and plain dict (docs/report-format.md describes each
field). All values are builtins, so that a report can be sent to another process.

A finding is data: a code, evidence, and labels of derivatives. `finding_phrases.py` and `finding_notes.py` put it into
words, and nothing reads a sentence back.

Start with `records.py`: every field of a report. Then `codes.py` (what a finding can be), `evidence.py` (what it
rests on) and `finding_phrases.py`; `finding_notes.py` tells the same finding as compilers do, `excerpt.py` with its
source. `text.py` is the report on a terminal (`finding_text.py`, `gradient_table.py`), `markdown.py` and the `html`
folder show the same records, and `phrases.py` holds the words that they share; `markup.py` turns text into HTML,
`stylesheet.py` gives it its look, and `finding_html.py`, `mutation_html.py` and `target_html.py` show single records
in a notebook; `progress_phrases.py` says what a check is at, and what it left undone. `mutation_records.py` is the
report of a mutation audit, `trace_records.py` what the lines of a backward hold; `syntax.py` colours code.
"""
