"""What people see: the records of a check, and each form in which they are read.

A check leaves `records.py`: gradients, laws, findings, trials. A finding is data: a `codes.FindingCode`, and evidence
and labels of derivatives from `evidence.py`. `finding_phrases.py` is the one place where a finding becomes a sentence,
`phrases.py` holds the words that all forms share, and there is one file a form: `text.py`, `markdown.py`, `html/`.
JSON is `Report.to_json`, which docs/report-format.md describes field by field. Nothing reads a sentence back.

Start with `records.py`, then `finding_phrases.py`.
"""
