"""`dsa-lite export`: the trained student in the format of the tool that will use it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsa_lite.cli.environment import quiet_environment
from dsa_lite.cli.failure import debug_option
from dsa_lite.cli.run_name import read_run, run_path
from dsa_lite.formats import FORMATS

if TYPE_CHECKING:
    from dsa_lite.stages.export import Exported

EPILOG = """\b
Formats:
  peft          LoRA adapter for Transformers + PEFT, with a model card
  merged        base and adapter in one, as a Hugging Face folder
  gguf-adapter  the adapter alone for llama.cpp --lora
  gguf          base and adapter in one for llama.cpp, LM Studio and others
  ollama        gguf and a Modelfile
  mlx           LoRA adapter for mlx-lm
  dataset       the exercises as chats, with what the run knows of each

\b
Examples:
  dsa-lite export runs/mine --to gguf --quantize Q4_K_M
  dsa-lite export runs/mine --to peft --out my-adapter
"""


@click.command("export", short_help="Write the trained student for other tools.", epilog=EPILOG)
@click.argument("run", type=run_path)
@click.option("--to", "kind", type=click.Choice(list(FORMATS)), required=True, help="The format.")
@click.option(
    "--quantize",
    metavar="TYPE",
    default="",
    help="Number format of gguf and ollama (F16 unless given; F32, BF16, Q8_0, Q4_K_M, …) or merged (F32, F16, BF16).",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="A new folder. Default: export/<format> in the run's folder.",
)
@click.option("--force", is_flag=True, help="Replace an earlier export.")
@click.option("--no-check", is_flag=True, help="Do not compare its answers with the student's.")
@click.option(
    "-n", "--num-items", type=click.IntRange(1), default=10, show_default=True, help="Items to compare answers on."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
def export_command(
    run: Path, kind: str, quantize: str, out: Path | None, force: bool, no_check: bool, num_items: int, as_json: bool
) -> None:
    """Write the trained student of RUN in another tool's format.

    What was written is loaded afresh and asked held-out questions; answers that differ from the student's are shown.
    """
    from dsa_lite.stages.export import default_out, export

    quiet_environment()
    folder = read_run(run)
    quantize = quantize.upper()
    target = out or default_out(folder, kind, quantize)
    items = 0 if no_check else num_items
    say = (lambda _: None) if as_json else _say
    result = export(folder, kind, target, quantize=quantize, force=force, items=items, say=say)
    if as_json:
        from dsa_lite.cli.text import one_json

        click.echo(one_json({**asdict(result), "out": str(result.out)}))
    else:
        _print(result)


def _say(text: str) -> None:
    click.echo(f"{text} …", err=True)


def _print(result: Exported) -> None:
    from rich.text import Text

    from dsa_lite.cli.tables import heading, stdout_console
    from dsa_lite.cli.text import clean, size

    console = stdout_console()
    console.print(Text(f"Written to {clean(str(result.out))}", style="bold"), soft_wrap=True)
    for name, count in result.files:
        console.print(Text(f"  {clean(name)}  {size(count)}"), soft_wrap=True)
    if result.check is not None:
        check: Any = result.check
        style = "green" if check.same == check.asked else "yellow"
        sentence = f"Asked afresh: {check.same} of {check.asked} {check.what} answered exactly as the student does."
        console.print(Text(f"\n{sentence}", style=style))
        if check.first is not None:
            console.print(heading("First difference"))
            for name, text in asdict(check.first).items():
                console.print(Text(f"  {name:8} {clean(text, 400)}"), soft_wrap=True)
            console.print(Text("  Other arithmetic or a coarser number format can tip a close choice.", style="dim"))
    for note in result.notes:
        console.print(Text(f"Note: {clean(note)}", style="yellow"), soft_wrap=True)
