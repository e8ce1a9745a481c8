"""`dsa-lite new`: the file of a skill of one's own, with a syllabus proposed by the teacher."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsa_lite.cli.config import environment
from dsa_lite.cli.failure import debug_option

if TYPE_CHECKING:
    from dsa_lite.config import DocsSettings
    from dsa_lite.stages.new_skill import Proposal

EPILOG = """\b
Examples:
  dsa-lite new "SQL window functions" --teacher big.gguf
  dsa-lite new "SQL window functions" --teacher http://localhost:8080/v1 --out skills/sql
  dsa-lite new "SQL window functions" --teacher big.gguf --docs ./manual
  dsa-lite new "SQL window functions" --empty
"""
#: Letters of a folder name made from a title.
_NAME_CHARS = 60


@click.command("new", short_help="Begin a skill of your own.", epilog=EPILOG)
@click.argument("title")
@click.option(
    "--teacher",
    metavar="MODEL",
    help="The model that proposes the syllabus: a GGUF file, the URL of an OpenAI-compatible server, or a name from "
    "`dsa-lite models`.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="The skill's folder. Default: the title in small letters, here.",
)
@click.option(
    "--docs",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Documents the syllabus has to cover: text, Markdown, HTML and PDF files.",
)
@click.option("--empty", is_flag=True, help="Ask no teacher: write a template with two example topics.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), metavar="N", help="Another seed, another proposal. Default: 0."
)
@debug_option
@click.pass_context
def new_command(
    context: click.Context, title: str, teacher: str | None, out: Path | None, docs: Path | None, empty: bool,
    seed: int | None,
) -> None:  # fmt: skip
    """Write a commented skill.toml for TITLE, the subject in a few words.

    The teacher proposes topics with their prerequisites; edit the file, then teach it with dsa-lite run FOLDER.
    """
    title = " ".join(title.split())
    if not any(c.isalnum() for c in title):
        raise click.UsageError("TITLE is the subject in words, such as 'SQL window functions'")
    if empty and (teacher is not None or docs is not None):
        raise click.UsageError(f"--empty asks no teacher: leave {'--teacher' if teacher else '--docs'} out")
    from dsa_lite.io.skill_template import skill_toml, write_skill

    folder = out or default_folder(title)
    if empty:
        path = write_skill(folder, skill_toml(_name(title), title))
    else:
        path = _write_proposal(context, folder, title, teacher, seed, docs)
    words = ["dsa-lite", "run", _as_folder(folder), *(["--docs", str(docs)] if docs else [])]
    click.echo(f"wrote {path}\n  edit it, then: {shlex.join(words)}")


def skill_in_words(context: click.Context, words: str, given: Mapping[str, Any], *, dry_run: bool) -> str:
    """A skill for `dsa-lite run "SQL window functions"`: its folder, which the teacher's syllabus is written to.

    What names a skill or a place is given back as it is, and so are words without a teacher who could propose one.
    """
    title = " ".join(words.split())
    if " " not in title or given["teacher"] is None or Path(words).expanduser().exists():
        return words
    folder = default_folder(title)
    if not (folder / "skill.toml").is_file():
        if dry_run:
            line = ["dsa-lite", "new", title, "--teacher", given["teacher"]]
            line += ["--docs", str(given["docs"])] if given["docs"] else []
            raise click.UsageError(f"--dry-run needs a skill that exists: {shlex.join(line)}")
        path = _write_proposal(context, folder, title, given["teacher"], given["seed"], given["docs"])
        click.echo(f"wrote {path}", err=True)
    return _as_folder(folder)


def _name(title: str) -> str:
    from dsa_lite.core.graph import skill_id

    return skill_id(title)[:_NAME_CHARS].strip("-")


def default_folder(title: str) -> Path:
    """Where a skill goes that is told no other place: its title in small letters, here."""
    from dsa_lite.io.files import path_name

    return Path(path_name(_name(title)))


def _as_folder(folder: Path) -> str:
    """A bare name could be a bundled skill's."""
    return str(folder) if len(folder.parts) > 1 else f"./{folder}"


def _write_proposal(
    context: click.Context, folder: Path, title: str, teacher: str | None, seed: int | None, docs: Path | None
) -> Path:
    from dsa_lite.io.skill_template import free_place, skill_toml, write_skill

    free_place(folder)  # before the teacher is asked
    found = _proposal(context, title, teacher, seed, docs)
    text = skill_toml(_name(title), title, description=found.description, checker=found.checker, topics=found.topics)
    path = write_skill(folder, text)
    _tell(found)
    return path


def _proposal(context: click.Context, title: str, teacher: str | None, seed: int | None, docs: Path | None) -> Proposal:
    """The teacher's proposal; why an attempt was refused goes to stderr."""
    from dsa_lite.cli.models import machine_places
    from dsa_lite.cli.text import clean
    from dsa_lite.io.models.choosing import choose_teacher
    from dsa_lite.io.plugins import open_teacher
    from dsa_lite.io.settings.files import load_config
    from dsa_lite.stages.new_skill import propose
    from dsa_lite.teacher import TeacherOptions

    choice = choose_teacher(teacher, machine_places())
    own = {} if docs is None else {"docs": {"folder": str(docs)}}
    config = load_config([("the teacher's own file", choice.settings), *environment(context), ("--docs", own)])
    outline = _outline(config.docs) if config.docs.folder else []
    settings = config.teacher
    options = TeacherOptions(
        context_tokens=settings.context_tokens,
        in_flight=1,
        threads=settings.threads,
        gpu_layers=settings.gpu_layers,
    )
    if choice.note:
        click.echo(f"  {clean(choice.note, 200)}", err=True)
    click.echo(f"asking {clean(choice.label, 80)} for a syllabus ...", err=True)
    with open_teacher(choice.kind, choice.source, options) as opened:
        return propose(
            opened,
            title,
            settings,
            config.seed if seed is None else seed,
            lambda text: click.echo(f"  {clean(text, 200)}", err=True),
            outline,
        )


def _outline(settings: DocsSettings) -> list[str]:
    """What the documents are about; which of them are left out goes to stderr."""
    from dsa_lite.cli.text import clean
    from dsa_lite.core.passages import outline
    from dsa_lite.io.documents import read_documents

    documents = read_documents(settings)
    for note in documents.notes():
        click.echo(f"  {clean(note, 200)}", err=True)
    return outline(documents.passages, settings.chars_per_request)


def _tell(found: Proposal) -> None:
    from dsa_lite.cli.text import clean

    for note in found.notes:
        click.echo(f"  {clean(note, 200)}", err=True)
    for topic in found.topics:
        after = f" (after {', '.join(topic.prerequisites)})" if topic.prerequisites else ""
        click.echo(clean(f"{topic.name}{after}", 110))
