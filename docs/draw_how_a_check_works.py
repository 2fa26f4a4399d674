"""Draws the picture of docs/how-a-check-works.md: ``python docs/draw_how_a_check_works.py``."""

from __future__ import annotations

from html import escape
from pathlib import Path

PICTURE = Path(__file__).with_name("how-a-check-works.svg")
#: title, what happens, where it stands
ALWAYS = [
    ("target", ["parameters, loss,", "hand-written gradients;", "a factory builds any size"], "_targets"),
    (
        "audit",
        ["laws; the slope of the loss", "± an error bar; a verdict", "for each gradient"],
        "_laws _numeric _comparing",
    ),
    ("other sizes", ["1, 2, 3 and larger;", "a failure is shrunk to", "the smallest sizes that fail"], "_checking"),
    ("findings", ["what the numbers show:", "a factor, a sign, a row,", "a lost time step"], "_symptoms"),
]
IF_WRONG = [
    ("tape", ["the true derivative of each", "value; how each gradient", "moves with it"], "_tape"),
    ("suspects", ["statements whose values", "could supply what the", "gradients lack"], "_localising"),
    ("edits", ["of these, judged by their", "values, then by running;", "the forward is held"], "_mending _repair"),
    ("verify", ["what the edit claims is", "right in a whole check,", "and nothing is less right"], "_checking"),
]
#: the whole picture
WIDTH = 1024
HEIGHT = 356
#: of a box: three lines of the widest common font fit in
BOX_WIDTH = 190
BOX_HEIGHT = 112
#: from one box to the next
PITCH = 214
#: where the first box of a row stands
LEFT = 16
#: where the two rows stand
TOPS = 40, 228
#: of the last box, which both rows lead to
REPORT_LEFT = LEFT + 4 * PITCH
REPORT_WIDTH = 136
#: colours: words, words that matter less, lines, what only a failure needs
INK = "#1f2933"
PALE = "#52606d"
LINE = "#7b8794"
WRONG = "#b42318"


def draw() -> str:
    """The picture as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12">',
        "<title>From target to verified fix</title>",
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, TOPS[0] - 14, "every check", fill=PALE, style="italic"),
        _text(
            LEFT + BOX_WIDTH // 2 + 12,
            TOPS[1] - 18,
            "only if something is wrong and its source is at hand",
            fill=WRONG,
            style="italic",
        ),
    ]
    for top, row, colour in zip(TOPS, (ALWAYS, IF_WRONG), ("#eaf2fb", "#fdf1ef"), strict=True):
        for k, (title, lines, room) in enumerate(row):
            parts.append(_box(LEFT + k * PITCH, top, title, lines, room, colour))
            middle = top + BOX_HEIGHT // 2
            parts.append(_arrow(f"M{LEFT + k * PITCH + BOX_WIDTH} {middle}H{LEFT + (k + 1) * PITCH - 2}"))
    # from the findings down to the tape, between the rows
    between = TOPS[0] + BOX_HEIGHT + 30
    down = (
        f"M{LEFT + 3 * PITCH + BOX_WIDTH // 2} {TOPS[0] + BOX_HEIGHT}V{between}H{LEFT + BOX_WIDTH // 2}V{TOPS[1] - 2}"
    )
    parts.append(_arrow(down))
    parts.append(_report())
    return "\n".join([*parts, "</svg>\n"])


def _box(left: int, top: int, title: str, lines: list[str], room: str, colour: str) -> str:
    return "\n".join(
        [
            _rectangle(left, top, BOX_WIDTH, BOX_HEIGHT, colour),
            _text(left + 10, top + 22, title, size=15, weight="bold"),
            *(_text(left + 10, top + 42 + 16 * k, line) for k, line in enumerate(lines)),
            _text(left + 10, top + BOX_HEIGHT - 10, room, fill=PALE, size=11, family="monospace"),
        ]
    )


def _report() -> str:
    top, height = TOPS[0], TOPS[1] + BOX_HEIGHT - TOPS[0]
    lines = ["verdicts", "laws", "findings:", "  the line,", "  what it should be,", "  a verified fix"]
    return "\n".join(
        [
            _rectangle(REPORT_LEFT, top, REPORT_WIDTH, height, "#eef5ec"),
            _text(REPORT_LEFT + 10, top + 22, "report", size=15, weight="bold"),
            *(
                _text(REPORT_LEFT + 10 + 8 * line.startswith(" "), top + 46 + 18 * k, line.strip())
                for k, line in enumerate(lines)
            ),
            _text(REPORT_LEFT + 10, top + height - 10, "report", fill=PALE, size=11, family="monospace"),
        ]
    )


def _rectangle(left: int, top: int, width: int, height: int, colour: str) -> str:
    return f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="6" fill="{colour}" stroke="{LINE}"/>'


def _arrow(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.5" marker-end="url(#tip)"/>'


def _text(x: int, y: int, words: str, *, fill: str = INK, **font: str | int) -> str:
    look = "".join(f' font-{name}="{value}"' for name, value in font.items())
    return f'<text x="{x}" y="{y}" fill="{fill}"{look}>{escape(words)}</text>'


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    print(PICTURE)
