"""A report as text for a terminal, as HTML, as Markdown. (As JSON: `Report.to_json`.)"""
