"""Stage 4: what the student already says, trained along later so that it is not forgotten; see also `own_words`.

The base itself writes both sides: given nothing but the start of a user's turn it goes on with the kind of prompt it
was trained on (Magpie, arXiv 2406.08464), then it answers as it does today (self-synthesised rehearsal,
arXiv 2403.01244). Nothing is graded: this is what it says before the training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsa_lite.core.encoding import encode_prompt, user_turn
from dsa_lite.core.overlap import OverlapIndex
from dsa_lite.core.prompts import seed_of
from dsa_lite.io.run_folder.rundir import digest
from dsa_lite.records import Rehearsed, Rejected
from dsa_lite.stages import exercises as exercise_stage
from dsa_lite.stages import own_words
from dsa_lite.stages.context import Context
from dsa_lite.stages.held_out import HeldOutGuard
from dsa_lite.stages.writing import SAMPLE_CHARS
from dsa_lite.student import Sampling

STAGE = "rehearsal"
BATCH = 256  # prompts drawn at a time, at most
TRIES = 4  # prompts drawn per wanted one, at most


def inputs(context: Context) -> dict[str, object]:
    drawing = {"device", "precision", "threads", "micro_batch_tokens"}
    return {
        "rehearsal": context.config.rehearsal.model_dump(exclude={"share", "weight", "null_space"}),
        "near_duplicate": context.config.exercises.near_duplicate,
        "wanted": wanted(context),
        "model": context.student.fingerprint,
        "student": context.config.student.model_dump(include=drawing),
        **(_solving(context) if context.config.rehearsal.own_words else {}),
    }


def _solving(context: Context) -> dict[str, object]:
    """What the base's own solutions depend on besides."""
    return {
        "exercises": digest(exercise_stage.load(context)),
        "checker": context.job.skill.checker,
        "check_steps": context.config.exercises.verify != "none",
        "longest": context.config.student.max_tokens,
    }


def wanted(context: Context) -> int:
    """How many chats: a share of the number of exercises."""
    return round(context.config.rehearsal.share * len(exercise_stage.load(context)))


def progress(context: Context) -> tuple[int, int]:
    """Texts of the base that are there, and how many are wanted at least."""
    first = own_words.first_of(context, exercise_stage.load(context)) if context.config.rehearsal.own_words else []
    return len(load(context)) + context.folder.own_answers().count(), wanted(context) + len(first)


def load(context: Context) -> list[Rehearsed]:
    """The chats kept, sorted by id."""
    return sorted(context.folder.rehearsed().read(), key=lambda r: r.id)


def run(context: Context) -> str:
    """Have the base write until there is enough. Returns a one-line summary."""
    goal, log, rejections = wanted(context), context.folder.rehearsed(), context.folder.rejected()
    kept = load(context)
    known = {r.id for r in kept} | {r.id for r in rejections.read() if r.stage == STAGE}
    index, guard = OverlapIndex(context.config.exercises.near_duplicate), HeldOutGuard(context)
    for chat in kept:
        index.add(chat.id, chat.prompt)
    size = min(BATCH, max(1, goal))
    for number in range(-(-TRIES * goal // size)):
        ids = [f"m{number * size + row:05d}" for row in range(size)]
        if len(kept) == goal or known.issuperset(ids):
            continue
        # Drawn anew after an interruption: the same seeds give the same chats.
        for chat in write(context, ids):
            if chat.id in known or len(kept) == goal:
                continue
            if reason := _refusal(chat, index, guard):
                sample = chat.prompt[:SAMPLE_CHARS]
                rejections.append(Rejected(id=chat.id, stage=STAGE, reason=reason, sample=sample))
                continue
            index.add(chat.id, chat.prompt)
            log.append(chat)
            kept.append(chat)
        context.progress(STAGE, len(kept), goal)
    log.sync()
    rejections.sync()
    if len(kept) < goal:
        context.note(STAGE, f"only {len(kept)} of {goal} chats could be drawn from the student", warning=True)
    solved, left_out = own_words.write(context, STAGE)
    return (
        f"{len(kept)} chats in the student's own words"
        + (f", {solved} exercises in its own words" if solved else "")
        + (f", {left_out} left out of skills it knows" if left_out else "")
    )


def _refusal(chat: Rehearsed, index: OverlapIndex, guard: HeldOutGuard) -> str:
    if not chat.prompt or not chat.reply:
        return "unfinished"
    if guard.clash(chat.prompt, solution=""):
        return "held out"
    return "duplicate" if index.find(chat.prompt) else ""


def write(context: Context, ids: Sequence[str]) -> Iterator[Rehearsed]:
    """One chat per id, by the base alone; a side that did not come to its end is empty."""
    settings, student = context.config.rehearsal, context.student
    before, border = user_turn(student.tokenizer)
    start = before or [student.tokenizer.eos_id]  # a template may put nothing before the user's words
    room = student.context_tokens - settings.max_tokens - len(start)
    longest = max(1, min(settings.max_prompt_tokens, room))
    seeds = [seed_of(context.config.seed, f"{STAGE}/{id}") for id in ids]
    drawn = student.generate([start] * len(ids), longest, adapter=False, sampling=Sampling(1.0, seeds))
    words = [_up_to(border, part, longest) for part in drawn]
    prompts = [student.tokenizer.decode(part).strip() for part in words]
    asked = [encode_prompt(student.tokenizer, prompt) for prompt in prompts]
    most = max(1, min(settings.max_tokens, student.context_tokens - max(map(len, asked))))
    for id, prompt, reply in zip(ids, prompts, student.generate(asked, most, adapter=False), strict=True):
        text = student.tokenizer.decode(reply).strip() if len(reply) < most else ""
        yield Rehearsed(id=id, prompt=prompt, reply=text)


def _up_to(border: Sequence[int], ids: Sequence[int], longest: int) -> Sequence[int]:
    """The user's words: the ids before the border, or all where the end token came instead; none if cut off."""
    for i in range(len(ids) - len(border) + 1):
        if list(ids[i : i + len(border)]) == list(border):
            return ids[:i]
    return ids if len(ids) < longest else ()
