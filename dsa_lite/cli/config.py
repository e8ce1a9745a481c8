"""`dsa-lite config`: what can be set, what is set, and a file to set it in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsa_lite.cli.failure import GuardedGroup, debug_option

if TYPE_CHECKING:
    from dsa_lite.io.settings.files import Layer

#: Variables of our prefix that are neither a setting nor an option of a command.
OWN_VARIABLES = ("DSA_LITE_MODELS",)


@click.group("config", cls=GuardedGroup)
def config_group() -> None:
    """Look at the settings of a run, and write a file of them.

    Later ones win: defaults, what the two models ask for, --preset, the --config file, the environment, flags. In the
    environment DSA_LITE_TUNE_EPOCHS=2 is epochs = 2 in the section [tune], and so for every setting.
    """


SHOW_EPILOG = """\b
Examples:
  dsa-lite config show
  dsa-lite config show --preset quick --config my.toml --changed
  DSA_LITE_TUNE_EPOCHS=4 dsa-lite config show --changed

The output is TOML. Variables: DSA_LITE_, the section, _, the setting in capitals; DSA_LITE_SEED has no section.
"""


@config_group.command("show", epilog=SHOW_EPILOG)
@click.option("--preset", metavar="NAME", help="Settings that come with dsa-lite: paper, quick or thorough.")
@click.option("-c", "--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Settings as TOML.")
@click.option("--teacher", metavar="MODEL", help="Whose own settings apply. Default: the bundled one.")
@click.option("--student", metavar="MODEL", help="Whose own settings apply. Default: the bundled one.")
@click.option("--changed", is_flag=True, help="Only settings that are not at their default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
@click.pass_context
def show_command(
    context: click.Context,
    preset: str | None,
    file: Path | None,
    teacher: str | None,
    student: str | None,
    changed: bool,
    as_json: bool,
) -> None:
    """Print the settings a run would have, and where each comes from."""
    from dsa_lite.io.settings.files import chosen_layers, load_config, settings_with_sources

    models = _model_layers(teacher, student)
    layers = [*models, *chosen_layers(preset, file), *environment(context)]
    rows = settings_with_sources(load_config(layers), layers)
    rows = [row for row in rows if row[1] != row[2] or not changed]
    if as_json:
        from dsa_lite.cli.text import one_json

        found = [{"setting": k, "value": v, "default": d, "source": source or "default"} for k, v, d, source in rows]
        click.echo(one_json({"settings": found}))
        return
    for line in _lines(rows):
        click.echo(line)


@config_group.command(
    "schema",
    epilog="\b\nExamples:\n  dsa-lite config schema\n  dsa-lite config schema --json > schema.json",
)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON schema of a settings file instead.")
@debug_option
def schema_command(as_json: bool) -> None:
    """Print every setting with its type, default and meaning, as TOML or as a JSON schema."""
    from dsa_lite.config import Config
    from dsa_lite.io.settings.text import as_toml

    click.echo(json.dumps(Config.model_json_schema(), indent=2) if as_json else as_toml(Config()), nl=as_json)


@config_group.command(
    "init",
    epilog="\b\nExamples:\n  dsa-lite config init my.toml\n  dsa-lite config init my.toml --preset quick\n"
    "  dsa-lite run calculus --config my.toml",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="my.toml")
@click.option("--preset", metavar="NAME", help="Start from paper, quick or thorough instead of the defaults.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@debug_option
def init_command(file: Path, preset: str | None, force: bool) -> None:
    """Write FILE (my.toml if none is named) with every setting, to be edited and given to run with --config.

    What is at its default stands there commented out.
    """
    from dsa_lite.cli.text import clean
    from dsa_lite.errors import UsageError
    from dsa_lite.io.files import write_atomic
    from dsa_lite.io.settings.files import chosen_layers, load_config
    from dsa_lite.io.settings.text import as_toml

    text = as_toml(load_config(chosen_layers(preset, None)), only_changed=True)
    if file.exists() and not force:
        raise UsageError(f"{file} is there already", hint="choose another name, or write over it with --force")
    write_atomic(file, text)
    click.echo(f"Wrote {clean(str(file))}. Use it with: dsa-lite run calculus --config {clean(str(file))}")


def environment(context: click.Context) -> list[Layer]:
    """What DSA_LITE_* variables set, one layer each. `context`: of any command; its group's options are no settings."""
    from dsa_lite.io.settings.environment import environment_layers

    root = context.find_root()
    options = _option_variables(root.command, root.auto_envvar_prefix or "DSA_LITE")
    return environment_layers(os.environ, {*OWN_VARIABLES, *options})


def _option_variables(command: click.Command, prefix: str) -> Iterator[str]:
    """The variables that click reads for the options of a command and of those below it."""
    for parameter in command.params:
        yield f"{prefix}_{(parameter.name or '').upper()}"
    for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _option_variables(inner, f"{prefix}_{name.replace('-', '_').upper()}")


def _model_layers(teacher: str | None, student: str | None) -> list[Layer]:
    from dsa_lite.cli.models import machine_places
    from dsa_lite.io.models.choosing import bundled_models, choose_student, choose_teacher
    from dsa_lite.io.settings.files import model_settings

    own = {found.role: model_settings(found.path) for found in bundled_models()}
    if teacher is not None:
        own["teacher"] = choose_teacher(teacher, machine_places()).settings
    if student is not None:
        own["student"] = choose_student(student, "auto", machine_places()).settings
    return [(f"{role}'s own file", own[role]) for role in ("teacher", "student") if own.get(role)]


def _lines(rows: list[tuple[str, Any, Any, str]]) -> Iterator[str]:
    """Dotted TOML lines; the source and the default stand behind what something sets."""
    from dsa_lite.cli.text import clean
    from dsa_lite.io.toml import to_toml

    for key, value, default, source in rows:
        line = f"{key} = {to_toml({'x': value}).removeprefix('x = ').strip()}"
        note = source + (f", default {default}" if value != default else "")
        yield f"{line:<44}# {clean(note)}" if source else line
