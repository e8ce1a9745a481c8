"""`dsa-lite skills`: what can be taught without writing a skill of one's own."""

from __future__ import annotations

import click

from dsa_lite.cli.failure import debug_option


@click.command("skills", epilog="\b\nExample:\n  dsa-lite skills --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
def skills_command(as_json: bool) -> None:
    """List the skills that come with dsa-lite."""
    from dsa_lite.cli.text import one_json
    from dsa_lite.io.skills import bundled_skills, load_skill

    packs = [load_skill(name) for name in bundled_skills()]
    rows = [
        {
            "name": pack.name,
            "title": pack.title,
            "description": pack.description,
            "topics": len(pack.topics),
            "held_out": {split: len(items) for split, items in pack.held_out.items()},
        }
        for pack in packs
    ]
    if as_json:
        click.echo(one_json({"skills": rows}))
        return
    from dsa_lite.cli.tables import skills_table, stdout_console

    console = stdout_console()
    console.print(skills_table(packs))
    console.print("Teach one with: dsa-lite run NAME. A folder with a skill.toml of your own works as well.")
