"""`dsa-lite models`: what is on this machine and can teach or learn."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsa_lite.cli.failure import debug_option

if TYPE_CHECKING:
    from dsa_lite.io.models.found import Places

EPILOG = """\b
Examples:
  dsa-lite models
  dsa-lite models --folder ~/my-models --json

The names are what --teacher and --student of dsa-lite run take. Looked in: the Hugging Face cache (HF_HUB_CACHE,
HF_HOME), LM Studio's folder, Ollama (OLLAMA_MODELS), llama.cpp's cache (LLAMA_CACHE), and the folders in
DSA_LITE_MODELS. Nothing is downloaded and nothing is changed.
"""


@click.command("models", short_help="List the models on this machine.", epilog=EPILOG)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    metavar="FOLDER",
    help="Look in this folder too; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
def models_command(folder: tuple[Path, ...], as_json: bool) -> None:
    """List what can teach (GGUF files) and what can learn (model folders), without any extra installed."""
    where = machine_places(folder)
    rows = _rows(where, folder)
    if as_json:
        from dsa_lite.cli.text import one_json

        click.echo(one_json({"models": rows, "looked_in": [str(p) for p in _looked_in(where)]}))
        return
    _print(rows, where)


def machine_places(folders: tuple[Path, ...] = ()) -> Places:
    """Where this machine keeps models, as its environment says; `folders` come first."""
    from dsa_lite.io.models.found import places

    found = places(os.environ, Path.home(), sys.platform)
    return replace(found, folders=(*folders, *found.folders))


def _rows(where: Places, folders: tuple[Path, ...]) -> list[dict[str, Any]]:
    """One row per model. Those of a --folder are named by their path: run does not know that folder."""
    from dsa_lite.io.machine import free_memory
    from dsa_lite.io.models.choosing import bundled_models
    from dsa_lite.io.models.facts import describe
    from dsa_lite.io.models.found import find_models

    free = free_memory()
    rows = []
    for found in (*bundled_models(), *find_models(where)):
        facts = describe(found)
        if facts is not None:
            fits = None if free is None or facts.memory is None else facts.memory <= free
            unknown = any(found.path.is_relative_to(folder) for folder in folders)
            name = str(found.path) if unknown else found.name
            rows.append(
                {"name": name, "role": found.role, "where": found.where, "path": str(found.path),
                 "size": facts.size, "quantisation": facts.quantisation, "context": facts.context,
                 "chat_template": facts.chat_template, "memory_needed": facts.memory, "fits": fits,
                 "problem": facts.problem or None}
            )  # fmt: skip
    return rows


def _print(rows: list[dict[str, Any]], where: Places) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from dsa_lite.cli.tables import heading, stdout_console
    from dsa_lite.cli.text import clean
    from dsa_lite.io.models.facts import STUDENT_MEMORY, TEACHER_MEMORY

    console = stdout_console()
    titles = {"teacher": "Teachers (--teacher NAME)", "student": "Students (--student NAME)"}
    for role, title in titles.items():
        mine = [row for row in rows if row["role"] == role]
        console.print(heading(title))
        for row in mine:
            console.print(Text(f"  {clean(row['name'])}"), soft_wrap=True)  # one line, to be copied
            console.print(Padding(Text(_facts(row), style="red" if row["problem"] else "dim"), (0, 0, 0, 4)))
        if not mine:
            console.print("  none")
    estimate = (
        f"fits: the memory that is free now holds it; estimated as {TEACHER_MEMORY} times the file for a teacher, "
        f"{STUDENT_MEMORY} times the weights in float32 for a student"
    )
    console.print(Text(f"\n{estimate}", style="dim"))
    there = [str(folder) for folder in _looked_in(where) if folder.is_dir()]
    console.print(Text(f"looked in: {clean(', '.join(there)) or 'no other program keeps models here'}", style="dim"))
    console.print(Text("Another place: dsa-lite models --folder FOLDER, or set DSA_LITE_MODELS.", style="dim"))


def _facts(row: dict[str, Any]) -> str:
    from dsa_lite.cli.text import clean, size

    facts = [
        size(row["size"]),
        row["quantisation"] or "",
        f"context {row['context']:,}" if row["context"] else "",
        "chat template" if row["chat_template"] else "no chat template",
        {True: "fits", False: f"does not fit: needs about {size(row['memory_needed'] or 0)}", None: ""}[row["fits"]],
        row["where"],
    ]
    if row["problem"]:
        facts = [row["problem"], row["where"]]
    return clean(", ".join(filter(None, facts)))


def _looked_in(where: Places) -> list[Path]:
    return [*where.folders, where.hub, *where.lm_studio, *where.ollama, where.llama_cpp]
