"""What is written about the commands: the README names every one, and a test uses every option."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import click
import pytest

from dsa_lite.cli import cli

ROOT = Path(__file__).parents[2]


def commands(group: click.Group, words: tuple[str, ...] = ("dsa-lite",)) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that call it."""
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name, command in group.commands.items():
        called = (*words, name)
        found += commands(command, called) if isinstance(command, click.Group) else [(called, command)]
    return found


COMMANDS = commands(cli)
NAMES = [" ".join(words) for words, _ in COMMANDS]


@cache
def table() -> list[str]:
    """The first cells of the README's table of commands."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    start = text.index("| command | does |")
    return [line.split(" | ")[0] for line in text[start:].partition("\n\n")[0].splitlines()[2:]]


@cache
def files_of_tests() -> list[str]:
    """The text of every file of tests but this one."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    return [path.read_text(encoding="utf-8") for path in files]


def test_the_readme_lists_every_command_and_no_other() -> None:
    listed = set()
    for cell in table():
        first, *more = re.findall(r"`([^`]+)`", cell)
        words = [word for word in first.split() if re.fullmatch(r"[a-z][a-z-]*", word)]
        listed.add(" ".join(words))
        for other in more:  # `dsa-lite runs list`, `show`, `rm`: the same group, or a whole command
            own = [word for word in other.split() if re.fullmatch(r"[a-z][a-z-]*", word)]
            listed.add(" ".join(own if own[0] == "dsa-lite" else [*words[:-1], *own]))
    assert listed == set(NAMES)


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=NAMES)
def test_every_option_is_used_by_a_test(words: tuple[str, ...], command: click.Command) -> None:
    about = [text for text in files_of_tests() if all(f'"{word}"' in text for word in words[1:])]
    unused = [
        " or ".join(option.opts)
        for option in command.params
        if isinstance(option, click.Option)
        and not any(f'"{name}"' in text or f'"{name}=' in text for name in option.opts for text in about)
    ]
    assert not unused, f"no test gives {' '.join(words)} {', '.join(unused)}"


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=NAMES)
def test_every_example_is_a_command_with_options_it_has(words: tuple[str, ...], command: click.Command) -> None:
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
    lines = [line.strip() for line in (command.epilog or "").splitlines() if " ".join(words) in line]
    assert lines
    for line in lines:
        given = re.findall(r"(?<= )--?[a-z][a-z-]*", line.partition(" ".join(words))[2])
        assert set(given) <= known, line


def test_every_line_of_the_readme_names_options_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL))
    checked = 0
    for line in re.split(r"\n|&&", blocks):
        for words, command in COMMANDS:
            called = " ".join(words)
            if line.strip() == called or line.strip().startswith(f"{called} "):
                known = {name for option in command.params for name in option.opts}
                assert set(re.findall(r"(?<= )--?[a-z][a-z-]*", line.partition(called)[2])) <= known, line
                checked += 1
    assert checked >= 5
