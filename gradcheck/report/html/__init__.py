"""Reports as one HTML page, or as a part of somebody else's: `page.py` says what stands where.

`frame.py` is around every page. `picture.py` draws the errors, `sizes_tried.py` the grid of sizes; where somebody has
measured them (`pictures.py`), `traced.py` shows what each line holds, `heat.py` which entries are wrong and `steps.py`
how differences go with the step. `mutations.py` is the page of a mutation audit.
"""

from __future__ import annotations

from gradcheck.report.html.page import to_fragment as to_fragment
from gradcheck.report.html.page import to_html as to_html
