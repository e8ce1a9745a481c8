"""The words of the system as frozen models: what crosses a file, a process or a stage boundary."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Origin = Literal["single", "composed", "variant", "composition", "imported"]
Region = Literal["error", "hard", "easy", "ambiguous", "unclassified"]
Action = Literal["remove", "keep", "down-weight"]
Checker = Literal["math", "exact", "choice"]
Precision = Literal["auto", "float32", "bfloat16"]
Checkpointing = Literal["auto", "on", "off"]
Quantize = Literal["none", "4bit", "8bit"]
Form = Literal["text", "json"]
Split = Literal["eval", "transfer", "general"]
Difficulty = Literal["easy", "medium", "hard"]

REGIONS: tuple[Region, ...] = get_args(Region)
#: Reason of the one rejection that concerns the student, not the item.
TOO_LONG = "too long"
#: Reason of a passage too short to be predicted from anything.
NO_TARGET = "no token to learn"


class Record(BaseModel):
    """Frozen, and strict about names: an unknown field is an error, not silently lost."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Record):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class Topic(Record):
    """One entry of a skill's syllabus (`[[topic]]` in skill.toml)."""

    name: str = Field(min_length=1, max_length=100)
    description: str = ""
    prerequisites: tuple[str, ...] = ()


class HeldOutItem(Record):
    """One checkable test question; never trained on."""

    id: str
    problem: str
    answer: str
    topic: str
    skills: tuple[str, ...] = ()


class SkillPack(Record):
    """A skill as its folder defines it: the syllabus, the held-out sets and the exercises it brings."""

    name: str
    title: str
    description: str = ""
    checker: Checker = "math"
    teacher: str = Field(default="", description="where none is named, as --teacher takes it; empty: the bundled one")
    topics: tuple[Topic, ...]
    held_out: dict[Split, tuple[HeldOutItem, ...]] = Field(default_factory=dict)
    exercises: tuple[Exercise, ...] = Field(default=(), description="imported ones, in the order of their file")
    notes: tuple[str, ...] = Field(default=(), description="what one should know before it is taught")


class Passage(Record):
    """A piece of the user's own documents. `source`: the file, where in it (page or lines), and the heading."""

    source: str
    heading: str = ""
    text: str


class Skill(Record):
    """A node of the skill graph. `level`: longest path from a skill without prerequisites (0)."""

    id: str
    name: str
    description: str = ""
    source: Literal["syllabus", "teacher"] = "syllabus"
    level: int = Field(default=0, ge=0)
    position: int = Field(default=0, ge=0, description="order of first mention: syllabus first, then the teacher's")


class Decomposition(Record):
    """What the teacher said a skill rests on: names as written, not yet merged into the graph."""

    id: str
    skill: str = Field(description="skill id")
    depth: int = Field(default=0, ge=0, description="0: a skill of the syllabus; n: found by decomposing n times")
    prerequisites: tuple[str, ...] = ()
    tokens_in: int = Field(default=0, ge=0)
    tokens_out: int = Field(default=0, ge=0)


class WorkedCase(Record):
    """A problem worked by a skill's procedure: the example that new exercises of the skill follow."""

    problem: str
    solution: str = Field(description="one step a line")
    answer: str


class Textbook(Record):
    """One passage about one skill, used for curriculum pre-training. `tokens_*` as the teacher counts them."""

    id: str
    skill: str = Field(description="skill id")
    text: str
    steps: tuple[str, ...] = Field(default=(), description="the skill's procedure, in order; empty: the text is prose")
    cases: tuple[WorkedCase, ...] = Field(default=(), description="problems worked by these steps")
    sources: tuple[str, ...] = Field(default=(), description="passages of the user's documents it was written from")
    tokens_in: int = Field(default=0, ge=0)
    tokens_out: int = Field(default=0, ge=0)


class Rehearsed(Record):
    """One chat in the student's own words from before the training: what it is kept from forgetting with."""

    id: str
    prompt: str
    reply: str


class OwnWords(Record):
    """The student's own solution of an exercise, from before the training; without one the exercise is left out."""

    id: str
    solution: str | None
    answer: str
    steps_right: bool | None = Field(default=None, description="as of an exercise")


class Exercise(Record):
    """One problem with a worked solution. `skills`: ids in order of use, prerequisite first."""

    id: str
    problem: str
    solution: str
    answer: str = Field(description="empty: open-ended, the solution is the whole reply and nothing can be compared")
    skills: tuple[str, ...]
    origin: Origin
    round: int = Field(default=0, ge=0, description="0: written before tuning; n: ordered by round n's decisions")
    parents: tuple[str, ...] = Field(default=(), description="ids of the exercises this one was made from")
    difficulty: Difficulty = "medium"
    sources: tuple[str, ...] = Field(default=(), description="passages of the user's documents it was written from")
    steps_right: bool | None = Field(
        default=None, description="whether every arithmetic step checked by program holds; None: nothing to check"
    )
    tokens_in: int = Field(default=0, ge=0)
    tokens_out: int = Field(default=0, ge=0)

    @property
    def skill(self) -> str:
        """The skill the exercise teaches: the last one used."""
        return self.skills[-1]

    @property
    def graded(self) -> bool:
        """Whether there is an answer to compare with: what is open-ended is trained on and watched, never solved."""
        return bool(self.answer)


class Vote(Record):
    """One more solution of an exercise by the teacher, without having seen the first."""

    id: str = Field(description="the exercise's id, /, the number of the vote from 1")
    exercise: str
    round: int = Field(default=0, ge=0)
    answer: str | None = Field(description="None: the reply gave none")
    tokens_in: int = Field(default=0, ge=0)
    tokens_out: int = Field(default=0, ge=0)


class Rejected(Record):
    """Something written and not used, with the reason. `sample`: the start of the text."""

    id: str
    stage: str
    reason: str
    detail: str = ""
    sample: str = ""
    round: int = 0
    tokens_in: int = Field(default=0, ge=0)
    tokens_out: int = Field(default=0, ge=0)


class Observed(Record):
    """What one pass over one example showed, measured before that batch's update."""

    example: str
    epoch: int = Field(ge=0, description="epoch over the whole tuning stage, from 0")
    loss: float = Field(description="mean negative log-likelihood per target token, nats")
    tokens: int = Field(ge=1, description="target tokens")
    correct: int = Field(ge=0, description="target tokens whose most likely prediction was right")


class Decision(Record):
    """What a round decided about one example."""

    example: str
    skill: str
    region: Region
    action: Action
    weight: float = Field(ge=0)
    loss: float = Field(description="mean loss over the window, nats per target token")
    deviation: float = Field(description="population standard deviation of the loss over the window, nats")
    score: float = Field(description="the loss as the rule compared it (within-skill z-score, or nats)")


class Graded(Record):
    """One held-out item answered by the student."""

    id: str
    topic: str
    reply: str
    answer: str | None = Field(description="what was read out of the reply; None: no answer found")
    correct: bool
