"""Reports as one HTML page, or as a part of somebody else's: `page.py` says what stands where."""

from __future__ import annotations

from gradcheck.report.html.page import to_fragment as to_fragment
from gradcheck.report.html.page import to_html as to_html
