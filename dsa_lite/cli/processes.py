"""`dsa-lite run` in several processes: the first one runs the command, the others lend it their hardware."""

from __future__ import annotations

import os
from typing import Any

import click

from dsa_lite.cli.environment import quiet_environment

#: The backend whose students can compute in several processes.
_BACKEND = "torch"


class LaunchedCommand(click.Command):
    """Under a launcher (`accelerate launch`, torchrun) only the first process reads options, writes and prints."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The other processes work for the first one here, until it ends, and leave."""
        if launched() and not extra.get("resilient_parsing"):
            from dsa_lite.io.plugins import join_processes

            quiet_environment()
            if not join_processes(_BACKEND):
                raise click.exceptions.Exit(0)
        return super().make_context(info_name, args, parent, **extra)


def launched() -> bool:
    """Whether this is one of several processes of a launch."""
    size = os.environ.get("WORLD_SIZE", "")
    return size.isdigit() and int(size) > 1


def refuse_single_process(kind: str) -> None:
    """Under a launcher, a student of a backend that works in one process only is an error."""
    if launched() and kind != _BACKEND:
        from dsa_lite.errors import UsageError

        hint = f"start it without the launcher, or use --backend {_BACKEND}"
        raise UsageError(f"a student of the {kind} backend works in one process only", hint=hint)
