"""``gradcheck completion SHELL``: a script with the commands and options of the parser, for bash, zsh or fish."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gradcheck.cli_session import Session

#: options whose value is a path, by what it is called in the help
_PATHS = ("PATH",)


class _Option(NamedTuple):
    """An option of a command: its strings, what it says of itself, and what its value may be."""

    strings: tuple[str, ...]
    help: str
    choices: tuple[str, ...]
    is_path: bool
    has_value: bool


class _Command(NamedTuple):
    """A command, what it says of itself, its options, and the words that may follow; files if there are none."""

    name: str
    help: str
    options: list[_Option]
    words: tuple[str, ...]


@dataclass
class CompletionCommand(Session):
    """``gradcheck completion``."""

    def run_file(self, argument: str) -> None:
        """Print the script of one shell."""
        from gradcheck.cli_parser import build_parser

        script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[argument]
        print(script(list(_commands(build_parser()))), file=self.out, end="")


def _commands(parser: argparse.ArgumentParser) -> Iterator[_Command]:
    (subparsers,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    told = {one.dest: one.help or "" for one in subparsers._choices_actions}
    for name, command in subparsers.choices.items():
        options = [_option(one) for one in command._actions if one.option_strings]
        yield _Command(name, told[name], options, _words(name, command))


def _option(action: argparse.Action) -> _Option:
    has_value = action.nargs != 0
    return _Option(
        tuple(action.option_strings),
        (action.help or "").partition(";")[0].partition("(")[0].strip(),
        tuple(map(str, action.choices or ())),
        has_value and action.metavar in _PATHS,
        has_value,
    )


def _words(name: str, command: argparse.ArgumentParser) -> tuple[str, ...]:
    if name == "explain":
        from gradcheck.report.codes import FindingCode

        return tuple(code.value for code in FindingCode)
    return tuple(word for one in command._actions if not one.option_strings for word in map(str, one.choices or ()))


def _strings(options: Sequence[_Option]) -> str:
    return " ".join(string for one in options for string in one.strings)


def _values(commands: Sequence[_Command]) -> dict[str, _Option]:
    """The options that take a value, by their strings; one string means the same in every command."""
    return {text: one for command in commands for one in command.options if one.has_value for text in one.strings}


def _bash(commands: Sequence[_Command]) -> str:
    values = _values(commands)
    paths = "|".join(text for text, one in values.items() if one.is_path)
    plain = "|".join(text for text, one in values.items() if not one.is_path and not one.choices)
    chosen = "".join(
        f'    {text}) COMPREPLY=($(compgen -W "{" ".join(one.choices)}" -- "$current")); return ;;\n'
        for text, one in values.items()
        if one.choices
    )
    names = " ".join(one.name for one in commands)
    options = "".join(f'    {one.name}) options="{_strings(one.options)}" ;;\n' for one in commands)
    words = "".join(f'    {one.name}) words="{" ".join(one.words)}" ;;\n' for one in commands if one.words)
    return f"""\
# bash completion of gradcheck
_gradcheck() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="" options="" words="" word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in {names.replace(" ", "|")}) command="$word"; break ;; esac
  done
  case "$before" in
{chosen}    {paths}) compopt -o default; COMPREPLY=(); return ;;
    {plain}) COMPREPLY=(); return ;;
  esac
  case "$command" in
    "") options="{_strings(commands[0].options)} --version"; words="{names}" ;;
{options}  esac
  case "$command" in
{words}  esac
  if [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
    return
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ -z "$command" || -z "$words" ]]; then
    compopt -o filenames 2>/dev/null
    local IFS=$'\\n'
    COMPREPLY+=($(compgen -f -X '!*.@(py|ipynb)' -- "$current") $(compgen -d -- "$current"))
  fi
}}
shopt -s extglob
complete -F _gradcheck gradcheck
"""


def _zsh(commands: Sequence[_Command]) -> str:
    values = _values(commands)
    paths = "|".join(text for text, one in values.items() if one.is_path)
    plain = "|".join(text for text, one in values.items() if not one.is_path and not one.choices)
    chosen = "".join(
        f"    ({text}) compadd -- {' '.join(one.choices)}; return ;;\n" for text, one in values.items() if one.choices
    )
    names = "|".join(one.name for one in commands)
    told = " ".join(_quoted(f"{one.name}:{one.help}") for one in commands)
    options = "".join(f"    ({one.name}) options=({' '.join(_described(one.options))}) ;;\n" for one in commands)
    words = "".join(f"    ({one.name}) compadd -- {' '.join(one.words)}; return ;;\n" for one in commands if one.words)
    return f"""\
#compdef gradcheck
_gradcheck() {{
  local -a commands options
  local command word
  commands=({told})
  for word in "${{(@)words[2,CURRENT-1]}}"; do
    case "$word" in ({names}) command="$word"; break ;; esac
  done
  case "${{words[CURRENT-1]}}" in
{chosen}    ({paths}) _files; return ;;
    ({plain}) return ;;
  esac
  if [[ "$PREFIX" == -* ]]; then
    case "${{command:-check}}" in
{options}    esac
    _describe -o option options
    return
  fi
  case "$command" in
    ("") _describe command commands ;;
{words}  esac
  _files -g '*.(py|ipynb)'
}}
if [ "$funcstack[1]" = _gradcheck ]; then _gradcheck "$@"; else compdef _gradcheck gradcheck; fi
"""


def _described(options: Sequence[_Option]) -> Iterator[str]:
    for one in options:
        for string in one.strings:
            yield _quoted(f"{string}:{one.help}")


def _quoted(text: str) -> str:
    """A word for zsh or fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "'\\''") + "'"


def _fish(commands: Sequence[_Command]) -> str:
    names = " ".join(one.name for one in commands)
    lines = ["# fish completion of gradcheck", "complete -c gradcheck -f"]
    first = f"not __fish_seen_subcommand_from {names}"
    files = r"__fish_complete_path (commandline -ct) | string match -r '.*(?:\.py|\.ipynb|/)(?:\t.*)?$'"
    for command in commands:
        lines.append(f"complete -c gradcheck -n {_quoted(first)} -a {command.name} -d {_quoted(command.help)}")
        seen = f"__fish_seen_subcommand_from {command.name}"
        lines += [f"complete -c gradcheck -n {_quoted(seen)} {_fish_option(one)}" for one in command.options]
        if command.words:
            lines.append(f"complete -c gradcheck -n {_quoted(seen)} -a {_quoted(' '.join(command.words))}")
    without = " ".join(one.name for one in commands if one.words)
    condition = f"not __fish_seen_subcommand_from {without}"
    lines.append(f"complete -c gradcheck -n {_quoted(condition)} -a {_quoted(f'({files})')}")
    return "\n".join(lines) + "\n"


def _fish_option(option: _Option) -> str:
    parts = [f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in option.strings]
    if option.choices:
        parts.append(f"-x -a {_quoted(' '.join(option.choices))}")
    elif option.is_path:
        parts.append("-r -F")
    elif option.has_value:
        parts.append("-x")
    return " ".join([*parts, f"-d {_quoted(option.help)}"])
