"""Stage 5: curriculum pre-training. Textbooks in graph order, packed, lower levels first (DSA)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dsa_lite.core.batching import pack, pack_batch, pad
from dsa_lite.core.curriculum import rank_skills
from dsa_lite.core.encoding import Encoded, encode_exercise, encode_text
from dsa_lite.core.schedule import learning_rate
from dsa_lite.errors import TrainingError
from dsa_lite.io.run_folder.rundir import digest
from dsa_lite.records import Rehearsed, Textbook
from dsa_lite.stages import graph as graph_stage
from dsa_lite.stages import rehearsal, textbooks
from dsa_lite.stages.context import Context
from dsa_lite.stages.learning import Epoch, Trainer, largest, longest, refuse_empty, refuse_long

STAGE = "pretrain"
AVOIDED = 512  # chats, at most, that say which directions are used


def inputs(context: Context) -> dict[str, object]:
    student = context.config.student.model_dump(exclude={"checkpoint_seconds", "gradient_checkpointing", "shard"})
    if student["quantize"] == "none":  # as before there was a choice: such runs go on
        del student["quantize"]
    found: dict[str, object] = {
        "pretrain": context.config.pretrain.model_dump(),
        "model": context.student.fingerprint,
        "student": student,
        "textbooks": digest(textbooks.load(context)),
    }
    return found | ({"avoided": digest(_avoided(context))} if context.config.rehearsal.null_space else {})


def run(context: Context) -> str:
    """Train on every passage, then keep the state as the start of tuning. Returns a one-line summary."""
    settings = context.config.pretrain
    passages = textbooks.load(context)
    trainer = Trainer(context, STAGE, settings.epochs)
    resumed = trainer.resume()
    if not resumed and context.config.rehearsal.null_space:
        _avoid(context)
    while trainer.position.epoch < settings.epochs and passages:
        rows = _rows(context, passages)
        batches = [partial(pack_batch, batch) for batch in rows]
        if not batches:
            context.note(STAGE, "no passage fits the student: nothing is trained here", warning=True)
            break
        rates = [
            learning_rate((trainer.position.epoch + (i + 1) / len(batches)) / settings.epochs,
                          settings.learning_rate, settings.warmup)
            for i in range(len(batches))
        ]  # fmt: skip
        biggest = largest([[sum(len(text.ids) for text in row) for row in batch] for batch in rows])
        label = f"epoch {trainer.position.epoch + 1} of {settings.epochs}"
        trainer.run(Epoch(batches, rates, label, len(batches), biggest), lambda observations: 0, lambda: None)
        trainer.save()
    if not resumed and trainer.position.epoch == 0:
        trainer.save()
    return f"{len(passages)} passages, {trainer.position.tokens:,} tokens trained"


def _avoided(context: Context) -> list[Rehearsed]:
    return rehearsal.load(context)[:AVOIDED]


def _avoid(context: Context) -> None:
    """Have the adapter begin where the rehearsed chats use the base least."""
    tokenizer, size = context.student.tokenizer, context.config.tune.batch_size
    encoded = [encode_exercise(tokenizer, c.id, c.prompt, c.reply) for c in _avoided(context)]
    fitting = [item for item in encoded if len(item.ids) <= longest(context)]
    if not fitting:
        context.note(STAGE, "there are no rehearsed chats: the adapter begins anywhere", warning=True)
        return
    parts = [fitting[i : i + size] for i in range(0, len(fitting), size)]
    context.student.avoid([pad(part, [1.0] * len(part)) for part in parts])


def _rows(context: Context, passages: Sequence[Textbook]) -> list[list[list[Encoded]]]:
    """The batches of an epoch: packed rows of texts."""
    settings = context.config.pretrain
    ranks = rank_skills(graph_stage.load(context), settings.order, context.rng(STAGE, "order"))
    ordered = sorted(passages, key=lambda t: (ranks[t.skill], t.id))
    rows = pack(_encode(context, ordered), row_tokens(context))
    size = settings.batch_size
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def row_tokens(context: Context) -> int:
    return min(context.config.pretrain.row_tokens, context.student.context_tokens)


def _encode(context: Context, passages: Sequence[Textbook]) -> list[Encoded]:
    encoded, empty = [], 0
    for passage in passages:
        item = encode_text(context.student.tokenizer, passage.id, passage.text)
        if not item.mask.any():
            refuse_empty(context, STAGE, item, passage.text)
            empty += 1
        elif len(item.ids) <= row_tokens(context):
            encoded.append(item)
        else:
            refuse_long(context, STAGE, 0, item, row_tokens(context), passage.text)
    if empty == len(passages):
        raise TrainingError(
            f"nothing to train on in stage {STAGE}: none of {empty} passages has a token to learn",
            hint="raise textbooks.min_chars, so that empty passages are written anew, or set pretrain.epochs = 0",
        )
    return encoded
