"""What a run will cost: counts, tokens and seconds, worked out from what was measured in a few seconds.

Nothing here is a rule of thumb about machines or models: every rate and length comes from `Measured`. Ours are the
simplifications: rates do not change over a run, no exercise is removed or drawn less often, every round orders as many
new ones as it may and has its share of the latest solved again, all confirmed; the base knows none of the skills.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from dsa_lite.config import Config
from dsa_lite.core.own_words import FIRST


@dataclass(frozen=True)
class Kind:
    """One kind of request: s of the teacher's time and tokens written per reply, share of usable replies."""

    seconds: float
    tokens: float
    usable: float

    def tries(self, attempts: int) -> float:
        """Replies per item that is wanted, when what is unusable is asked for again, `attempts` times in all."""
        return sum((1 - self.usable) ** attempt for attempt in range(attempts))

    def kept(self, wanted: int, attempts: int) -> int:
        """Items that are there in the end."""
        return round(wanted * (1 - (1 - self.usable) ** attempts))


@dataclass(frozen=True)
class Batched:
    """Time of work done in batches: `fixed` s per batch and `each` s per item."""

    fixed: float = 0.0
    each: float = 0.0

    def seconds(self, items: float, size: int) -> float:
        return math.ceil(items / size) * self.fixed + items * self.each


@dataclass(frozen=True)
class Measured:
    """What was measured: s, tokens of the student's tokenizer per item, shares.

    kinds: "prerequisites", "textbook", "exercise", "remake", "solve". tune_token and pretrain_token: s per token
    trained on, of a padded example and of a packed row. targets: share of an example's tokens that are targets.
    usable_draws: share of drawn chats that came to their end. after: answers after training take so many times as
    long as before, because the student will answer at the length of its exercises.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    open_teacher: float = 0.0
    open_student: float = 0.0
    tune_token: float = 0.0
    pretrain_token: float = 0.0
    exercise_tokens: float = 0.0
    remake_tokens: float = 0.0
    passage_tokens: float = 0.0
    targets: float = 1.0
    draw: Batched = Batched()
    usable_draws: float = 1.0
    answer: Batched = Batched()
    after: float = 1.0

    def kind(self, name: str) -> Kind:
        """Kinds that were not tried cost what an exercise costs."""
        return self.kinds.get(name) or self.kinds.get("exercise") or Kind(0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Counts:
    """`composable`: skills that rest on others. `held_out`: None where the run makes its test questions itself.
    `passages`, `exercises`, `chats`: None until they are written."""

    skills: int
    composable: int
    imported: int
    held_out: int | None
    passages: int | None = None
    exercises: int | None = None
    chats: int | None = None


@dataclass(frozen=True)
class Cost:
    """Of one stage from its beginning to its end. `items`: what it is about (skills, passages, …)."""

    items: int = 0
    requests: int = 0
    steps: int = 0
    teacher_tokens: int = 0
    trained_tokens: int = 0
    seconds: float = 0.0


def costs(config: Config, counts: Counts, measured: Measured) -> dict[str, Cost]:
    """Of every stage, as if none were done."""
    textbooks = _textbooks(config, config.textbooks.per_skill * counts.skills, measured)
    passages = textbooks.items if counts.passages is None else counts.passages
    exercises = _exercises(config, counts, measured)
    total = exercises.items if counts.exercises is None else counts.exercises
    chats = round(config.rehearsal.share * total)
    draws = chats / max(measured.usable_draws, 0.05)
    drawing = measured.draw.seconds(draws, max(1, min(256, chats)))
    solving = _own_words(config, counts.skills, total, measured)
    asked = counts.skills if config.graph.expand else 0
    pretrain = _pretrain(config, passages, measured)
    rehearsed = chats if counts.chats is None else counts.chats
    return {
        "graph": _written(asked, measured.kind("prerequisites"), config.teacher.attempts),
        "textbooks": textbooks,
        "exercises": exercises,
        "rehearsal": Cost(items=chats, seconds=measured.open_student + drawing + solving if chats or solving else 0.0),
        "pretrain": pretrain,
        "tune": _tune(config, total, counts.imported, rehearsed, pretrain.trained_tokens, measured),
        "evaluate": _evaluate(config, _held_out(config, counts, measured), measured),
        "report": Cost(items=total),
    }


def _written(wanted: int, kind: Kind, attempts: int) -> Cost:
    requests = round(wanted * kind.tries(attempts))
    return Cost(
        items=kind.kept(wanted, attempts), requests=requests, teacher_tokens=round(requests * kind.tokens),
        seconds=requests * kind.seconds,
    )  # fmt: skip


def _textbooks(config: Config, wanted: int, measured: Measured) -> Cost:
    """Of several candidates one is kept, after its two worked cases were solved again."""
    written = _written(wanted * config.candidates, measured.kind("textbook"), config.teacher.attempts)
    solves = 2 * written.items if config.teacher.form == "text" else 0
    solve = measured.kind("solve")
    return Cost(
        items=min(wanted, written.items), requests=written.requests + solves,
        teacher_tokens=written.teacher_tokens + round(solves * solve.tokens),
        seconds=written.seconds + solves * solve.seconds,
    )  # fmt: skip


def _first_exercises(config: Config, counts: Counts, measured: Measured) -> tuple[Cost, int]:
    """Of writing those before the rounds, and how many of them are set aside as test questions."""
    settings = config.exercises
    wanted = counts.skills * settings.single_per_skill + counts.composable * settings.composed_per_skill
    written = _written(wanted, measured.kind("exercise"), config.teacher.attempts)
    return written, 0 if counts.held_out is not None else round(settings.hold_out * written.items)


def _exercises(config: Config, counts: Counts, measured: Measured) -> Cost:
    settings = config.exercises
    written, aside = _first_exercises(config, counts, measured)
    votes = settings.votes * written.items + settings.hold_out_votes * aside
    solve = measured.kind("solve")
    return Cost(
        items=written.items + counts.imported - aside, requests=written.requests + votes,
        teacher_tokens=written.teacher_tokens + round(votes * solve.tokens),
        seconds=written.seconds + votes * solve.seconds,
    )  # fmt: skip


def _held_out(config: Config, counts: Counts, measured: Measured) -> int:
    """Test questions: those there are, or those the run sets aside, had the teacher confirmed all."""
    if counts.held_out is not None:
        return counts.held_out
    _, aside = _first_exercises(config, counts, measured)
    return min(aside, config.evaluate.limit or aside)


def _own_words(config: Config, skills: int, exercises: int, measured: Measured) -> float:
    """Seconds in which the base solves some exercises of every skill."""
    asked = min(exercises, skills * FIRST) if config.rehearsal.own_words else 0
    return measured.answer.seconds(asked, config.evaluate.batch_size)


def _pretrain(config: Config, passages: int, measured: Measured) -> Cost:
    settings = config.pretrain
    tokens = passages * measured.passage_tokens * settings.epochs
    rows = math.ceil(tokens / settings.row_tokens)
    return Cost(
        items=passages, steps=math.ceil(rows / settings.batch_size), trained_tokens=round(tokens),
        seconds=tokens * measured.pretrain_token,
    )  # fmt: skip


def _tune(config: Config, exercises: int, imported: int, chats: int, read: int, measured: Measured) -> Cost:
    """`read`: target tokens of the textbooks, which a budget counts as well."""
    settings, dynamics, remake, solve = config.tune, config.dynamics, measured.kind("remake"), measured.kind("solve")
    makes_new = dynamics.variants_per_hard > 0 or dynamics.compositions_per_pair > 0
    rehearsed = chats if config.rehearsal.weight > 0 else 0
    probes = min(dynamics.probes, exercises) * dynamics.probe_epochs
    left = max(0, settings.budget_tokens - read) / measured.targets if settings.budget_tokens else math.inf
    new = steps = requests = solves = 0
    unseen, tokens = max(0, exercises - imported), 0.0
    for round_number in range(1, settings.rounds + 1):
        epoch = (exercises + rehearsed) * measured.exercise_tokens + new * measured.remake_tokens
        most = left / max(epoch, 1.0)
        last = round_number == settings.rounds or most <= settings.epochs
        epochs = most if last and math.isfinite(most) else settings.epochs
        steps += math.ceil(epochs * math.ceil((exercises + new + rehearsed) / settings.batch_size))
        tokens += epochs * epoch + probes * measured.exercise_tokens
        left -= epochs * epoch
        if last:
            break
        solves += round(dynamics.second_look * unseen)
        most_new = min(dynamics.max_new_fraction * (exercises + new), left / max(measured.exercise_tokens, 1.0))
        ordered = math.floor(most_new) if makes_new else 0
        requests += round(ordered * remake.tries(config.teacher.attempts))
        solves += ordered * config.exercises.votes
        unseen = remake.kept(ordered, config.teacher.attempts)
        new += unseen
    seconds = tokens * measured.tune_token + requests * remake.seconds + solves * solve.seconds
    return Cost(
        items=exercises + new, requests=requests + solves, steps=steps,
        teacher_tokens=round(requests * remake.tokens + solves * solve.tokens),
        trained_tokens=round(tokens * measured.targets),
        seconds=seconds + (measured.open_teacher if requests + solves else 0.0),
    )  # fmt: skip


def _evaluate(config: Config, held_out: int, measured: Measured) -> Cost:
    before = measured.answer.seconds(held_out, config.evaluate.batch_size)
    return Cost(items=2 * held_out, seconds=before * (1 + measured.after))


def static_cost(config: Config, found: Mapping[str, Cost], measured: Measured) -> Cost:
    """Of the equal-budget baseline of a run: as many tokens without the teacher, and the questions answered once."""
    tokens, held_out = found["pretrain"].trained_tokens + found["tune"].trained_tokens, found["evaluate"].items // 2
    answers = measured.answer.seconds(held_out, config.evaluate.batch_size) * measured.after
    seconds = measured.open_student + tokens / measured.targets * measured.tune_token + answers
    return Cost(items=held_out, trained_tokens=tokens, seconds=seconds)
