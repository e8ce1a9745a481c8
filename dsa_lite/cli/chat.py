"""`dsa-lite chat` and `dsa-lite ask`: put questions to a trained student, and to what it was before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dsa_lite.cli.environment import quiet_environment
from dsa_lite.cli.failure import debug_option
from dsa_lite.cli.run_name import read_run, run_path

if TYPE_CHECKING:
    from rich.console import Console

#: Question -> name of the answerer ("after", "before") -> answer.
Ask = Callable[[str], dict[str, str]]
_LEAVE = frozenset(("exit", "quit", "/exit", "/quit", "/bye"))

versus_option = click.option("--versus", is_flag=True, help="Also show what the student answered before training.")
max_tokens_option = click.option(
    "--max-tokens",
    type=click.IntRange(1),
    metavar="N",
    help="The longest answer. Default: evaluate.max_tokens of the run.",
)


@click.command(
    "ask",
    short_help="Ask a trained student one question.",
    epilog='\b\nExample:\n  dsa-lite ask runs/mine "Differentiate 3x^2." --versus',
)
@click.argument("run", type=run_path)
@click.argument("question")
@versus_option
@max_tokens_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
def ask_command(run: Path, question: str, versus: bool, max_tokens: int | None, as_json: bool) -> None:
    """Ask the trained student of RUN one QUESTION, in the format it was trained on.

    The answer is the most likely one: the same question gets the same answer.
    """
    from dsa_lite.cli.tables import stdout_console

    _refuse_blank(question)
    with _asking(run, versus, max_tokens) as ask:
        answers = ask(question)
    if as_json:
        from dsa_lite.cli.text import one_json

        click.echo(one_json({"run": str(run), "question": question, **answers}))
    else:
        _show(stdout_console(), answers)


@click.command(
    "chat",
    short_help="Talk to a trained student.",
    epilog="\b\nExamples:\n  dsa-lite chat runs/mine --versus\n  dsa-lite chat runs/mine < questions.txt",
)
@click.argument("run", type=run_path)
@versus_option
@max_tokens_option
@debug_option
def chat_command(run: Path, versus: bool, max_tokens: int | None) -> None:
    """Put questions to the trained student of RUN, one line each, until exit or Ctrl-D.

    Each question stands alone, as in training: earlier ones are not remembered. Lines may also be piped in.
    """
    from dsa_lite.cli.tables import stdout_console

    console = stdout_console()
    with _asking(run, versus, max_tokens) as ask:
        for question in _questions(console):
            _show(console, _answered(ask, question))


def _answered(ask: Ask, question: str) -> dict[str, str]:
    """A question that cannot be asked ends no conversation."""
    from dsa_lite.errors import UsageError

    try:
        return ask(question)
    except UsageError as error:
        click.echo(f"{error.message}; {error.hint}", err=True)
        return {}


def _questions(console: Console) -> Iterator[str]:
    """Lines that are no blanks, from the terminal with a prompt or from a pipe."""
    asked = sys.stdin.isatty() and console.is_terminal
    if asked:
        console.print("Each question stands alone. Leave with exit or Ctrl-D.", style="dim")
    while True:
        try:
            line = console.input("\n> ") if asked else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            return
        if not asked and not line:
            return
        line = line.strip()
        if line.casefold() in _LEAVE:
            return
        if line:
            yield line


@contextmanager
def _asking(run: Path, versus: bool, max_tokens: int | None) -> Iterator[Ask]:
    """A function that asks the run's student, which stays open meanwhile."""

    quiet_environment()
    from dsa_lite.stages.finished import asking

    wanted = {"before": False, "after": True} if versus else {"after": True}
    with asking(read_run(run), max_tokens) as reply:
        yield lambda question: {name: reply(question, adapter) for name, adapter in wanted.items()}


def _refuse_blank(question: str) -> None:
    if not question.strip():
        from dsa_lite.errors import UsageError

        raise UsageError("the question is empty", hint='dsa-lite ask RUN "your question"')


def _show(console: Console, answers: dict[str, str]) -> None:
    """The answers as they are; before and after side by side on a terminal."""
    from rich.table import Table
    from rich.text import Text

    from dsa_lite.cli.text import clean_lines

    texts = {name: clean_lines(answer.strip()) or "(no answer)" for name, answer in answers.items()}
    if len(texts) == 2 and console.is_terminal:
        table = Table(expand=True, show_lines=False, box=None, padding=(0, 2, 0, 0))
        for name in texts:
            table.add_column(name, ratio=1, overflow="fold")
        table.add_row(*(Text(text) for text in texts.values()))
        console.print(table)
        return
    for name, text in texts.items():
        click.echo(f"{name}: {text}" if len(texts) > 1 else text)
