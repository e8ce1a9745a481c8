"""`dsa-lite data`: what a student will be trained on, looked at before it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsa_lite.cli.failure import GuardedGroup, debug_option
from dsa_lite.cli.run_name import read_run, run_path

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from dsa_lite.core.inspection import Example, Reader, Summary
    from dsa_lite.io.models.choosing import ModelChoice
    from dsa_lite.model_folder import FolderTokenizer

OPEN, CLOSE = "«", "»"  # around what is trained
LAYOUTS = ("messages", "prompt_completion", "alpaca", "gsm8k", "question_answer", "choice")
PARTS = ("problem", "answer", "solution", "choices", "input", "messages", "system", "topic", "id")
TURNS = ("last", "all")
_NAMES = {"textbook": "textbooks", "exercise": "exercises", "rehearsal": "rehearsal chats"}


@dataclass(frozen=True)
class Inspected:
    """`round`: the round of tuning whose exercises they are; None for a file. `notes`: what one should know of it."""

    source: Path
    student: ModelChoice
    reader: Reader
    tokenizer: FolderTokenizer
    examples: Sequence[Example]
    round: int | None = None
    notes: Sequence[str] = ()


def _columns(context: click.Context, option: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    """PART=COLUMN, each part once. What comes after the first = is the column's name, whatever it holds."""
    columns: dict[str, str] = {}
    for text in given:
        part, equals, column = text.partition("=")
        if not equals or part not in PARTS:
            raise click.BadParameter(f"{text!r}: write PART=COLUMN, PART one of {', '.join(PARTS)}")
        if part in columns:
            raise click.BadParameter(f"{part} is given twice")
        columns[part] = column
    return columns


@click.group("data", cls=GuardedGroup)
def data_group() -> None:
    """Look at training data before it is trained on."""


@data_group.command(
    "inspect",
    short_help="Show what will be trained, token by token.",
    epilog="\b\nExamples:\n  dsa-lite data inspect runs/mine --show-mask\n  dsa-lite data inspect train.jsonl --index 3"
    "\n  dsa-lite data inspect questions.csv --student Qwen/Qwen3-0.6B --json"
    "\n  dsa-lite data inspect fragen.csv --columns problem=Frage --columns answer=Antwort",
)
@click.argument("source", metavar="RUN|FILE", type=run_path)
@click.option("--show-mask", is_flag=True, help="Show an example of each kind, what is trained between « and ».")
@click.option("--index", metavar="N|ID", help="Show this example: its number, from 0, or its id.")
@click.option("--student", metavar="MODEL", help="For this student instead of the run's own (a file: the bundled one).")
@click.option("--layout", type=click.Choice(LAYOUTS), help="What FILE holds (default: recognised by its columns).")
@click.option(
    "--columns", metavar="PART=COLUMN", multiple=True, callback=_columns, help="Which column of FILE holds a part: "
    f"{', '.join(PARTS)}; may be given several times.",
)  # fmt: skip
@click.option("--turns", type=click.Choice(TURNS), help="Which replies of a chat are trained (default: the last).")
@click.option(
    "--count-from", type=click.IntRange(0, 1), help="The number of the first choice, where answers are numbers "
    "(default: read off all rows).",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
def inspect_command(
    source: Path, show_mask: bool, index: str | None, student: str | None, as_json: bool, **said: Any
) -> None:
    """Show what would be trained on the examples of RUN or FILE: counts, lengths, what is dropped, what is learnt.

    RUN is a run folder or the name of a run, finished or not. FILE holds questions and answers in a layout that a skill
    takes as its own exercises: .jsonl, .json, .csv, .tsv, .parquet; a skill that takes it may hold some of them out for
    its tests.
    Only the student's tokenizer is needed. Examples of which nothing would be trained are an error.
    """
    from dsa_lite.errors import UsageError
    from dsa_lite.stages.inspecting import require_targets

    if not source.exists():
        raise UsageError(f"{source} does not exist", hint="name a run folder, e.g. runs/<name>, or a data file")
    said = {name: value for name, value in said.items() if value not in (None, {})}
    if source.is_file():
        found = _inspect_file(source, student, said)
    elif said:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in said)
        raise UsageError(f"{source} is a run: {options} describe a data file", hint="leave them out")
    else:
        found = _inspect_run(source, student)
    shown = _firsts(found.examples) if show_mask else []
    if index is not None:
        shown = [_pick(found.examples, index)]
    (_print_json if as_json else _print)(found, shown)
    require_targets(found.examples)


def _inspect_run(path: Path, student: str | None) -> Inspected:
    from dsa_lite.stages.finished import config_of, identity_of
    from dsa_lite.stages.inspecting import of_run, round_of

    run = read_run(path)
    config, own = config_of(run), identity_of(run)
    choice = _student(own.student, own.backend) if student is None else _student(student)
    reader, tokenizer = _reader(choice, config)
    return Inspected(path, choice, reader, tokenizer, of_run(run, config, reader), round_of(run, config))


def _inspect_file(path: Path, student: str | None, said: Mapping[str, Any]) -> Inspected:
    from dsa_lite.io.settings.files import load_config
    from dsa_lite.stages.inspecting import of_file

    choice = _student(student)
    reader, tokenizer = _reader(choice, load_config([(choice.label, choice.settings)]))
    examples, notes = of_file(path, reader, **said)
    return Inspected(path, choice, reader, tokenizer, examples, notes=notes)


def _student(name: str | None, backend: str = "auto") -> ModelChoice:
    from dsa_lite.cli.models import machine_places
    from dsa_lite.io.models.choosing import choose_student

    return choose_student(name, backend, machine_places())


def _reader(choice: ModelChoice, config: Any) -> tuple[Reader, FolderTokenizer]:
    from dsa_lite.core.inspection import Reader
    from dsa_lite.errors import MissingExtra
    from dsa_lite.model_folder import FolderTokenizer, context_tokens, find_folder

    try:
        folder = find_folder(choice.source)
        tokenizer = FolderTokenizer(folder)
    except ImportError as error:
        raise MissingExtra(
            f"a student's tokenizer needs the package {error.name}, which is not installed",
            hint=f'pip install "dsa-lite[{choice.kind}]"',
        ) from error
    return Reader.of(tokenizer, config, context_tokens(folder)), tokenizer


def _pick(examples: Sequence[Example], wanted: str) -> int:
    """Number of the example with this id or number."""
    from dsa_lite.errors import UsageError

    ids = [example.id for example in examples]
    if wanted in ids:
        return ids.index(wanted)
    if wanted.isascii() and wanted.isdigit() and int(wanted) < len(ids):
        return int(wanted)
    close = get_close_matches(wanted, ids, n=3)
    numbers = f"numbers go from 0 to {len(ids) - 1}" if ids else "there are none"
    raise UsageError(f"there is no example {wanted!r}", hint=f"did you mean {', '.join(close)}?" if close else numbers)


def _firsts(examples: Sequence[Example]) -> list[int]:
    """The first example of each kind, one that is trained if there is any."""
    first: dict[str, int] = {}
    for number, example in enumerate(examples):
        if example.kind not in first or (example.trained and not examples[first[example.kind]].trained):
            first[example.kind] = number
    return sorted(first.values())


def _summaries(found: Inspected) -> dict[str, Summary]:
    """By kind, as far as there are examples of it; then "all"."""
    from dsa_lite.core.inspection import KINDS, summary

    parts = {kind: [e for e in found.examples if e.kind == kind] for kind in KINDS}
    return {kind: summary(part) for kind, part in parts.items() if part} | {"all": summary(found.examples)}


def _print_json(found: Inspected, shown: Sequence[int]) -> None:
    from dsa_lite.cli.text import one_json
    from dsa_lite.core.inspection import spans

    rows = [
        {"number": number, "id": e.id, "kind": e.kind, "tokens": e.tokens, "trained_tokens": e.trained,
         "dropped": e.dropped, "weight": e.weight, "ended": e.ended, "asked": e.asked, "templated": e.templated}
        for number, e in enumerate(found.examples)
    ]  # fmt: skip
    texts = [
        {**rows[n], "spans": [{"text": text, "trained": learnt} for text, learnt in
                              spans(found.examples[n].encoded, found.tokenizer.spell)]}
        for n in shown
    ]  # fmt: skip
    counts = {name: {**asdict(counted), "share": counted.share} for name, counted in _summaries(found).items()}
    click.echo(one_json({
        "source": str(found.source), "student": found.student.source, "round": found.round,
        "note": found.student.note or None,
        "longest": {"textbook": found.reader.row_tokens, "chat": found.reader.max_tokens},
        "notes": list(found.notes), "summary": counts, "examples": rows, "shown": texts,
    }))  # fmt: skip


def _print(found: Inspected, shown: Sequence[int]) -> None:
    from rich.text import Text

    from dsa_lite.cli.tables import stdout_console
    from dsa_lite.cli.text import clean

    console = stdout_console()
    limits = f"chats up to {found.reader.max_tokens:,} tokens, textbooks up to {found.reader.row_tokens:,}"
    where = "" if found.round is None else f", round {found.round} of tuning"
    console.print(f"{clean(str(found.source))}{where}", soft_wrap=True)
    console.print(f"For {clean(found.student.source)}: {limits}", soft_wrap=True)
    if found.student.note:
        console.print(clean(found.student.note), style="yellow", soft_wrap=True)
    counted = _summaries(found)
    for note in found.notes:
        console.print(Text(clean(note), style="yellow"), soft_wrap=True)
    console.print(_table(counted))
    for line in _findings(counted):
        console.print(line, soft_wrap=True)
    for number in shown:
        _print_example(console, found, number)


def _table(counted: Mapping[str, Summary]) -> Any:
    from rich import box
    from rich.table import Table

    from dsa_lite.cli.text import percent
    from dsa_lite.core.inspection import PERCENTILES

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("")
    lengths = [f"{p} %" if p < 100 else "longest" for p in PERCENTILES]
    for name in ("all", "trained", "tokens", "learnt", "share", *lengths):
        table.add_column(name, justify="right", no_wrap=True)
    for kind, row in counted.items():
        table.add_row(
            _NAMES.get(kind, kind), f"{row.examples:,}", f"{row.trained:,}", f"{row.tokens:,}",
            f"{row.trained_tokens:,}", percent(row.share), *(f"{row.lengths[p]:,}" for p in PERCENTILES),
        )  # fmt: skip
    return table


def _findings(counted: Mapping[str, Summary]) -> list[Text]:
    """What was checked, the faults in another colour."""
    from rich.text import Text

    from dsa_lite.cli.text import clean

    total = counted["all"]
    said = [("tokens and learnt: of one pass over what is trained; 50 %, 90 %, …: tokens per example, of all", "dim")]
    for kind, row in counted.items():
        if kind != "all":
            said += [(f"{_NAMES[kind]} dropped, {clean(why)}: {n:,}", "yellow") for why, n in row.dropped.items()]
    if total.empty:
        said.append((f"without a token to learn: {total.empty:,}", "yellow"))
    said.append(_checked("the end token is learnt at the end", total.ended, total.trained))
    chats = [row for kind, row in counted.items() if kind in ("exercise", "rehearsal")]
    if trained := sum(row.trained for row in chats):
        begins = "the chat's ids begin with the prompt as it is asked at evaluation"
        said.append(_checked(begins, sum(row.asked for row in chats), trained))
        if other := trained - sum(row.templated for row in chats):
            said.append((f"the template writes a finished chat otherwise than its prompt: {other:,} of {trained:,}; "
                         "there the reply is trained directly after the prompt", "dim"))  # fmt: skip
    return [Text(text, style=style) for text, style in said]


def _checked(what: str, count: int, of: int) -> tuple[str, str]:
    return f"{what}: {count:,} of {of:,}", "" if count == of else "yellow"


def _print_example(console: Console, found: Inspected, number: int) -> None:
    from dsa_lite.cli.tables import heading
    from dsa_lite.cli.text import clean
    from dsa_lite.core.inspection import spans

    example = found.examples[number]
    facts = f"{example.tokens:,} tokens, {int(example.encoded.mask.sum()):,} learnt, weight {example.weight:g}"
    dropped = f", dropped: {clean(example.dropped)}" if example.dropped else ""
    console.print(heading(f"{number} {clean(example.id)} ({example.kind}): {facts}{dropped}"), soft_wrap=True)
    console.print(_marked(spans(example.encoded, found.tokenizer.spell)), soft_wrap=True)


def _marked(pieces: Sequence[tuple[str, bool]]) -> Text:
    from rich.text import Text

    text = Text()
    for piece, learnt in pieces:
        shown = "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in piece)
        text.append(f"{OPEN}{shown}{CLOSE}" if learnt else shown, style="green" if learnt else "")
    return text


def _escaped(letter: str) -> str:
    r"""A control or formatting character as Python writes it: \x1b, \t, \u202e."""
    return letter.encode("unicode_escape").decode("ascii")
