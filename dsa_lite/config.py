"""Every setting of a run, with its unit and default, in one place.

The defaults suit real students of 0.5-8 B parameters. A model folder may carry a `dsa-lite.toml` with what it needs
instead; the order is: these defaults < the teacher's file < the student's file < a preset < the user's file < the
environment < flags.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dsa_lite.records import Checkpointing, Form, Precision, Quantize

Order = Literal["lower_to_higher", "higher_to_lower", "random"]
Preset = Literal["skill", "global", "cartography"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TeacherSettings(Section):
    """How the teacher is run and how long one keeps asking it."""

    context_tokens: int = Field(
        default=0, ge=0, description="tokens per sequence; 0: as long as the longest request needs"
    )
    in_flight: int = Field(default=0, ge=0, description="requests at a time; 0: the backend chooses")
    threads: int = Field(default=0, ge=0, description="CPU threads; 0: all cores")
    gpu_layers: int = Field(default=-1, ge=-1, description="layers on the GPU, output layer included; -1: all")
    form: Form = Field(
        default="text",
        description="of what it writes; text: plain text after whole replies shown to it, and exercises by the skill's "
        "procedure; json: JSON under a grammar, for teachers trained to write it",
    )
    temperature: float = Field(default=0.8, ge=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    attempts: int = Field(default=2, ge=1, description="times one item is asked for before it is given up")
    min_yield: float = Field(
        default=0.1, ge=0, le=1, description="a stage stops when a smaller share of its replies than this is usable"
    )
    min_replies: int = Field(default=20, ge=1, description="replies seen before min_yield is judged")


class StudentSettings(Section):
    """The adapter and where it is trained."""

    lora_rank: int = Field(default=16, gt=0)
    lora_alpha: float = Field(default=32.0, gt=0, description="the adapter's output is scaled by alpha / rank")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    device: str = Field(default="auto", description="auto, cpu, cuda or mps")
    precision: Precision = Field(
        default="auto", description="of matrix products; auto: bfloat16 where the hardware has it, else float32"
    )
    threads: int = Field(default=0, ge=0, description="CPU threads; 0: all cores")
    micro_batch_tokens: int = Field(
        default=16384, gt=0, description="padded tokens per forward pass, fewer where they do not fit; not results"
    )
    gradient_checkpointing: Checkpointing = Field(
        default="auto", description="less memory for a third more time, same results; auto: once memory has run out"
    )
    quantize: Quantize = Field(
        default="none",
        description="the frozen base's linear layers in 4 or 8 bits (torch: pip install dsa-lite[qlora])",
    )
    shard: bool = Field(
        default=False,
        description="torch, several GPUs: each process holds a part of the frozen base; one process holds all of it",
    )
    max_tokens: int = Field(default=1024, gt=0, description="longer examples are dropped and listed, never cut")
    checkpoint_seconds: float = Field(default=60.0, gt=0, description="time between two checkpoints, s")


class GraphSettings(Section):
    """Decomposition of the skill (METHODS: recursion and stop rule are ours)."""

    expand: bool = Field(default=True, description="ask the teacher for prerequisites; false: the syllabus alone")
    max_depth: int = Field(default=3, ge=0, description="how deep a skill found by the teacher is decomposed again")
    max_prerequisites: int = Field(default=4, ge=1, description="prerequisites taken from one reply")
    max_new_skills: int = Field(default=20, ge=0, description="skills the teacher may add to the syllabus")
    max_tokens: int = Field(default=256, gt=0, description="tokens of a reply")


class DocsSettings(Section):
    """Documents of one's own that textbooks and exercises are written from."""

    folder: str = Field(
        default="", description="folder of text, Markdown, HTML and PDF files, read with its folders; empty: none"
    )
    chars_per_request: int = Field(default=3000, gt=0, description="characters of documents in one request, at most")
    passage_chars: int = Field(default=1200, ge=100, description="characters of one passage, at most")
    max_file_mb: float = Field(default=50.0, gt=0, description="larger files are left out, MB")


class TextbookSettings(Section):
    per_skill: int = Field(default=1, ge=0, description="passages per skill")
    candidates: int = Field(
        default=3, ge=1,
        description="procedures written per passage, of which the best is kept; only where teacher.form is text",
    )  # fmt: skip
    min_chars: int = Field(default=80, ge=0, description="a shorter passage is rejected, characters")
    max_tokens: int = Field(default=500, gt=0, description="tokens of a passage")


class ExerciseSettings(Section):
    single_per_skill: int = Field(default=12, ge=0, description="exercises that use one skill, per skill")
    composed_per_skill: int = Field(
        default=4, ge=0, description="exercises that join a skill with earlier ones, per skill"
    )
    max_composed_skills: int = Field(default=3, ge=2, description="most skills joined in one exercise")
    max_tokens: int = Field(default=400, gt=0, description="tokens of a reply")
    verify: str = Field(
        default="vote:1",
        pattern=r"^(none|program|vote:[1-9])$",
        description="program: wrong arithmetic is rejected; vote:K: also what K new solutions do not confirm",
    )
    on_topic: bool = Field(
        default=True,
        description="an exercise of one skill that the teacher, shown all of them, sorts under another is rejected, as "
        "procedures always are; only where teacher.form is text",
    )
    near_duplicate: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="word overlap (Jaccard) from which two problems with the same numbers are one",
    )
    hold_out: float = Field(
        default=0.15,
        ge=0,
        lt=1,
        description="share set aside as test questions, by the hash of their text, where the skill brings none",
    )
    hold_out_votes: int = Field(
        default=3, ge=1, le=9, description="new solutions of each of these; most must end in its answer"
    )

    @property
    def votes(self) -> int:
        """New solutions asked for per exercise."""
        return int(self.verify.removeprefix("vote:")) if self.verify.startswith("vote:") else 0


class RehearsalSettings(Section):
    """The student's own prompts and answers from before, trained along so that they are not forgotten.

    Self-synthesised rehearsal (arXiv 2403.01244) with prompts drawn from the chat template alone (Magpie,
    arXiv 2406.08464); self-distillation (arXiv 2402.13669); the shares are ours.
    """

    share: float = Field(default=0.1, ge=0, description="examples per exercise written before tuning; 0: none")
    weight: float = Field(default=1.0, ge=0, description="loss weight of each")
    own_words: float = Field(
        default=0.3, ge=0, le=1,
        description="skills of which the base solves at least this share: what it solves of them is trained on in its "
        "own words; 0: what it knows is not looked at",
    )  # fmt: skip
    known: float = Field(
        default=0.85, gt=0,
        description="skills of which the base solves at least this share: what the teacher wrote for one of them alone "
        "is left out, and nothing new is made from it; above 1: none",
    )  # fmt: skip
    null_space: bool = Field(
        default=False, description="the adapter begins in what the examples use least of the base (LoRA-Null)"
    )
    max_prompt_tokens: int = Field(default=160, gt=0, description="longer prompts are rejected, tokens")
    max_tokens: int = Field(default=400, gt=0, description="longer answers are rejected, tokens")


class PretrainSettings(Section):
    epochs: int = Field(default=1, ge=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    warmup: float = Field(default=0.03, ge=0, lt=1, description="share of the steps")
    batch_size: int = Field(default=4, gt=0, description="packed rows per step")
    row_tokens: int = Field(default=1024, gt=1, description="tokens of a packed row")
    order: Order = "lower_to_higher"


class TuneSettings(Section):
    rounds: int = Field(default=3, ge=1, description="train, look, act; the last round only trains and looks")
    epochs: int = Field(default=2, ge=1, description="epochs per round")
    learning_rate: float = Field(default=2e-4, gt=0)
    warmup: float = Field(default=0.03, ge=0, lt=1, description="share of the whole stage")
    final_rate: float = Field(
        default=0.1, ge=0, le=1, description="learning rate at the end, as a share of the highest"
    )
    average_from: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="share of the whole stage after which the adapter kept is a mean; 1: the last",
    )
    batch_size: int = Field(default=16, gt=0, description="examples per step")
    order: Order = Field(
        default="random",
        description="of an epoch's exercises; along the graph the student forgets what an epoch began with",
    )
    length_window: int = Field(
        default=128, ge=1, description="examples inside which similar lengths are put together; 1: off"
    )
    budget_tokens: int = Field(
        default=0,
        ge=0,
        description="target tokens of pretraining and tuning together after which training ends: the last round goes "
        "on until then, whatever `epochs` says, and rounds for which nothing is left are not done; 0: off",
    )


class DynamicsSettings(Section):
    """How losses over epochs become regions, and regions become actions. Where the paper is silent these are ours."""

    preset: Preset = Field(
        default="skill",
        description="skill: rule R3 on within-skill scores; global: R3 on raw losses; cartography: R1",
    )
    window_epochs: int = Field(default=3, ge=1, description="epochs looked back on")
    burn_in: int = Field(
        default=1,
        ge=0,
        description="first epochs of the stage that are not looked at; until then nothing is an error by its loss",
    )
    min_epochs: int = Field(default=1, ge=1, description="recorded epochs below which an example stays unclassified")
    probes: int = Field(
        default=96, ge=0, description="constructed error examples for the baseline; 0: the loss alone finds no error"
    )
    probe_epochs: int = Field(default=3, ge=1)
    error_sigma: Literal["ignore", "le", "ge"] = Field(
        default="ignore", description="extra clause against the baseline's deviation"
    )
    hard_sigma: Literal["ignore", "lt", "ge"] = Field(
        default="ignore", description="extra clause against the mean deviation"
    )
    second_look: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="share of the set, highest loss first, of which the teacher solves again what it wrote: it is an "
        "error if most solutions agree on another answer, and none if they confirm it; 0: the loss alone decides",
    )
    second_look_votes: int = Field(
        default=3, ge=1, le=9, description="solutions of what the first one does not confirm"
    )
    max_error_fraction: float = Field(default=0.3, ge=0, le=1, description="most of the set removed in one round")
    easy_weight: float = Field(default=0.3, ge=0, le=1, description="weight of easy examples; 0: dropped")
    easy_by: Literal["drawing", "loss"] = Field(
        default="drawing",
        description="drawing: an easy example takes part in an epoch with its weight as the chance, which saves its "
        "tokens; loss: it always takes part, its loss times its weight",
    )
    filter_errors: bool = True
    down_weight_easy: bool = True
    variants_per_hard: int = Field(default=2, ge=0, description="new exercises asked for per hard one")
    compositions_per_pair: int = Field(default=1, ge=0, description="harder problems asked for per pair of easy ones")
    max_new_fraction: float = Field(
        default=0.5, ge=0, description="most new exercises per round, as a share of the set"
    )


class EvaluateSettings(Section):
    max_tokens: int = Field(default=400, gt=0, description="tokens of an answer")
    batch_size: int = Field(default=64, gt=0, description="items answered at a time")
    limit: int = Field(default=0, ge=0, description="items per held-out set; 0: all")


class Config(Section):
    """The whole tree; the sections are named after the stages."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    teacher: TeacherSettings = TeacherSettings()
    student: StudentSettings = StudentSettings()
    graph: GraphSettings = GraphSettings()
    docs: DocsSettings = DocsSettings()
    textbooks: TextbookSettings = TextbookSettings()
    exercises: ExerciseSettings = ExerciseSettings()
    rehearsal: RehearsalSettings = RehearsalSettings()
    pretrain: PretrainSettings = PretrainSettings()
    tune: TuneSettings = TuneSettings()
    dynamics: DynamicsSettings = DynamicsSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @property
    def candidates(self) -> int:
        """Texts written per passage of a textbook, of which one is kept."""
        return self.textbooks.candidates if self.teacher.form == "text" else 1
