"""Reports as one HTML page: `page.py` says what stands where, and only `markup.py` turns text into markup."""

from __future__ import annotations

from gradcheck.report.html.page import to_html as to_html
