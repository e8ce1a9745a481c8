"""From errors to messages and exit codes: one screen, what to do next, no traceback unless --debug."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, TypeVar

import click

from dsa_lite.cli.text import clean_lines
from dsa_lite.errors import DsaError, Interrupted, RunFolderError, UsageError
from dsa_lite.io.files import cannot_write, stops_writers, system_error

_DEBUG = "dsa_lite.debug"
_RESUME = "dsa_lite.resume"

F = TypeVar("F", bound=Callable[..., Any])


def debug_option(function: F) -> F:
    """Add --debug to a command."""

    def remember(context: click.Context, _: click.Parameter, value: bool) -> None:
        context.meta[_DEBUG] = context.meta.get(_DEBUG, False) or value

    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Show the full traceback of an error (for bug reports).",
    )(function)


def set_resume_line(context: click.Context, line: str) -> None:
    """From now on whatever stops the command is followed by `line`, the command that goes on."""
    context.meta[_RESUME] = line


class GuardedGroup(click.Group):
    """A group whose commands end with a message and an exit code, whatever they raise."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Offer close matches for a mistyped command."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            close = get_close_matches(name, self.list_commands(ctx), n=3, cutoff=0.5)
            offer = f" Did you mean {' or '.join(map(repr, close))}?" if close else f" Commands: {_names(self, ctx)}."
            ctx.fail(f"No such command {name!r}.{offer}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            _silence_stdout()
            code = 141  # what a shell reports for a writer whose reader has gone
        except (Exception, KeyboardInterrupt) as error:
            if ctx.meta.get(_DEBUG):
                click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
            message, code = explain(error, ctx.meta.get(_RESUME, ""))
            click.echo(message, err=True)
        raise click.exceptions.Exit(code)


def explain(error: BaseException, resume: str = "") -> tuple[str, int]:
    """Message and exit code of an error. `resume`: the command that goes on, where there is one."""
    if isinstance(error, KeyboardInterrupt | Interrupted | click.Abort):
        return _interrupted(resume), Interrupted.exit_code
    if isinstance(error, DsaError):
        lines = [f"Error: {clean_lines(error.message)}"]
        lines += [f"  {line}" for line in clean_lines(error.hint).splitlines()]
        goes_on = resume if not isinstance(error, UsageError | RunFolderError) else ""
        return "\n".join([*lines, *_on_disk(goes_on)]), error.exit_code
    found = system_error(error)
    if found is not None and stops_writers(found):
        return explain(cannot_write(str(found.filename or "what this command writes"), found), resume)
    if isinstance(error, MemoryError):
        return "\n".join(["Error: out of memory", "  try a smaller model or smaller batches", *_on_disk(resume)]), 1
    if isinstance(error, OSError):
        return "\n".join([f"Error: {clean_lines(str(error))}", *_on_disk(resume)]), 1
    lines = [
        f"Error: something unexpected happened ({type(error).__name__}: {clean_lines(str(error))})",
        "  this is a bug: please report it with the output of the same command and --debug",
    ]
    return "\n".join([*lines, *_on_disk(resume)]), 1


def _interrupted(resume: str) -> str:
    if not resume:
        return "Stopped."
    return f"\nStopped. Everything finished so far is on disk. Go on with:\n  {resume}"


def _on_disk(resume: str) -> list[str]:
    return ["Everything finished so far is on disk. Once this is solved, go on with:", f"  {resume}"] if resume else []


def _names(group: click.Group, context: click.Context) -> str:
    return ", ".join(group.list_commands(context))


def _silence_stdout() -> None:
    """The reader has gone (`| head`): keep the interpreter from failing once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
