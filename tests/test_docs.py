"""The documentation names what exists, and its picture is what the command draws."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import gradcheck
from gradcheck.cli import COMMANDS as KNOWN
from gradcheck.cli_parser import build_parser
from gradcheck.cli_words import with_command
from tests.gradcheck.report.sample_reports import WRONG

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
#: the commands that pages show, each with its page
COMMANDS = sorted(
    {
        (page.name, found[1])
        for page in PAGES
        for found in re.finditer(
            r"^(?:    |\$ |\w+=\S+ |```sh\n)+(gradcheck [-\w]+(?: .*?)?)(?: +# .*)?$", page.read_text("utf-8"), re.M
        )
    }
)


def test_the_picture_is_what_the_command_draws() -> None:
    """The picture would show steps or rooms that the command no longer draws."""
    code = "import draw_how_a_check_works as drawing; print(drawing.draw(), end='')"
    drawn = subprocess.run([sys.executable, "-X", "utf8", "-c", code], cwd=DOCS, capture_output=True, check=True).stdout
    assert drawn.decode() == (DOCS / "how-a-check-works.svg").read_text(encoding="utf-8")


def test_the_picture_names_rooms_that_exist() -> None:
    """A reader would look for a folder that was renamed."""
    rooms = re.findall(r'font-family="monospace">([^<]*)<', (DOCS / "how-a-check-works.svg").read_text("utf-8"))
    assert rooms
    for name in " ".join(rooms).split():
        assert (ROOT / "gradcheck" / name / "__init__.py").exists(), name


def test_the_reading_order_names_files_that_exist() -> None:
    """A newcomer would be sent to a file that was renamed."""
    rows = re.findall(r"^\| (`gradcheck/.*?) \|", (DOCS / "how-a-check-works.md").read_text("utf-8"), re.M)
    assert rows
    for row in rows:
        first, *others = re.findall(r"`([^`]*)`", row)
        for path in [ROOT / first, *((ROOT / first).parent / other for other in others)]:
            assert path.exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A reader would follow a link to nothing; the site, where it is built, looks at anchors as well."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_recipes_for_found_code_run(tmp_path: Path) -> None:
    """A reader would copy a recipe that does not work."""
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "adapters.md").read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 5
    for block in blocks:
        names: dict[str, object] = {}
        exec(compile(block, str(tmp_path / "recipe.py"), "exec"), names)
        for one in names.values():
            if isinstance(one, gradcheck.TargetFactory):
                report = gradcheck.check(one, explain=False)
                assert report.ok, f"{block}\n{report}"


def test_every_law_is_in_the_table() -> None:
    """A law would be broken in a report and explained nowhere, or explained and never asked."""
    source = "".join(path.read_text(encoding="utf-8") for path in Path(gradcheck.__file__).parent.rglob("*.py"))
    named = set(re.findall(r'\bLaw\(\s*"(\w+)"', source))
    page = (DOCS / "read-a-report.md").read_text("utf-8")
    rows = page[page.index("| law |") :].split("\n\n")[0].strip().splitlines()[2:]
    assert named == {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_shown_is_one_that_the_parser_takes(page: str, command: str) -> None:
    """A reader would type a command that is refused."""
    parser = build_parser()
    words_given = shlex.split(command.partition(" > ")[0].replace(" FILE", " file.py"))[1:]
    options = parser.parse_args(with_command(words_given, [*KNOWN], parser))
    assert options.command in KNOWN, page


def test_commands_are_shown() -> None:
    """The pages would be searched for commands of a form that they no longer have."""
    assert len(COMMANDS) > 15
    assert {command.split()[1] for _, command in COMMANDS} >= {"check", "init", "mutate", "trace"}


@pytest.mark.parametrize(("page", "number"), [("write-a-target.md", 0), ("lstm_core.md", 0)])
def test_an_example_runs(tmp_path: Path, page: str, number: int) -> None:
    """A reader would copy an example that does not work, or a target that is not right."""
    block = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.M | re.S)[number]
    names: dict[str, object] = {}
    exec(compile(block, str(tmp_path / page), "exec"), names)
    for one in names.values():
        if isinstance(one, gradcheck.TargetFactory):
            assert gradcheck.check(one, explain=False).ok


def test_the_example_for_pytest_runs(pytester: pytest.Pytester) -> None:
    """A reader would copy a test that fails, or is skipped for ever."""
    (block,) = re.findall(r"^```python\n(.*?)^```", (DOCS / "ci.md").read_text("utf-8"), re.M | re.S)
    pytester.makepyfile(block)
    pytester.runpytest("--gradcheck", "-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_reference_has_every_public_name() -> None:
    """A name that users import would be documented nowhere."""
    page = (DOCS / "reference.md").read_text("utf-8")
    told = {path.rpartition(".")[2] for path in re.findall(r"^::: ([\w.]+)$", page, re.M)}
    assert set(gradcheck.__all__) - {"__version__"} <= told


def test_the_report_is_read_as_the_page_says() -> None:
    """A reader of JSON would copy lines that fail."""
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "report-format.md").read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 2
    names: dict[str, object] = {"json": json, "line": WRONG.to_json(indent=None)}
    for block in blocks:
        exec(block, names)
    assert json.loads(str(names["schema"]))["title"] == "A report of gradcheck"


#: commands whose output pages show: the page, the command, how it ends
SHOWN = [
    ("tutorial.md", "python examples/asker_lstm.py", 0),
    ("tutorial.md", "python examples/adam_answer.py", 0),
    ("mutation-audit.md", "gradcheck mutate examples/cs231n_style.py::vanilla_rnn --size B=1", 1),
]


@pytest.mark.pages
@pytest.mark.parametrize(("page", "command", "status"), SHOWN)
def test_a_page_shows_what_a_command_prints(page: str, command: str, status: int) -> None:
    """A page would show numbers that nobody gets."""
    text = (DOCS / page).read_text("utf-8")
    after = text[text.index(command) + len(command) :]
    shown = (after if after.startswith("\n") and f"$ {command}" in text else after.split("```text\n")[1]).split("```")[
        0
    ]
    program = [sys.executable] if command.startswith("python ") else [sys.executable, "-m", "gradcheck"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [*program, *shlex.split(command)[1:]], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == status, done.stderr
    printed = done.stdout.splitlines()
    for line in shown.splitlines():
        if line.strip() not in ("", "..."):
            assert any(same(line, one) for one in printed), line


def same(shown: str, printed: str) -> bool:
    """Whether two lines say the same, but for seconds and the last digits of a loss."""
    ours, theirs = (re.sub(r"[\d.]+ s\b", "", one).split() for one in (shown, printed))
    return len(ours) == len(theirs) and all(map(alike, ours, theirs))


def alike(shown: str, printed: str) -> bool:
    """Whether two words are the same, or numbers that are close: training magnifies rounding."""
    try:
        return shown == printed or abs(float(shown) - float(printed)) < 0.2
    except ValueError:
        return False
