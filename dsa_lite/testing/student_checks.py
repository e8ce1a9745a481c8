"""What every student backend should pass."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from dsa_lite.errors import TrainingError
from dsa_lite.student import Batch, Observation, Sampling
from dsa_lite.testing.example_batches import (
    OPTIONS,
    RATE,
    TEXTS,
    Example,
    OpenStudent,
    batches_of,
    examples_of,
    make_batch,
)
from dsa_lite.testing.state_checks import (
    check_average,
    check_avoid,
    check_fork,
    check_reset_optimizer,
    check_resume,
    check_saved_adapter,
)

Training = Callable[[dict[str, Example]], list[Batch]]  # from the six examples to the batches of one round

_CLOSE = 1e-4  # relative difference that rounding may cause
_SAME = 1e-6  # the same where the same operations are done in the same order


def check_student(open_student: OpenStudent) -> None:
    """Every check below."""
    for check in STUDENT_CHECKS:
        check(open_student)


def check_describes_itself(open_student: OpenStudent) -> None:
    """Names, sizes and a tokenizer that gives back what it was given."""
    with closing(open_student(OPTIONS)) as student:
        assert all((student.name, student.fingerprint, student.device)), "name, fingerprint or device is empty"
        assert student.context_tokens >= 96, "the checks need a context of at least 96 tokens"
        tokenizer = student.tokenizer
        for text in TEXTS:
            assert tokenizer.decode(tokenizer.encode(text)).strip() == text, f"encode and decode change {text!r}"
        end = tokenizer.special_tokens.get("eos_token")
        if end:
            assert tokenizer.encode(end) == [tokenizer.eos_id], "the end token written in a text is not parsed as one"
            assert tokenizer.decode([tokenizer.eos_id]) == "", "decode shows special tokens"


def check_observations(open_student: OpenStudent) -> None:
    """In the batch's order, with the batch's ids and target counts; step and score agree before the update."""
    with closing(open_student(OPTIONS)) as student:
        examples = examples_of(student)
        batch = make_batch(examples, [1, 0, 1, 0.5, 0, 1])
        scored, stepped = student.score(batch), student.step(batch, RATE)
        assert [o.example_id for o in stepped] == list(examples), "observations are not in the batch's order"
        assert [o.tokens for o in stepped] == [len(t) for _, t in examples.values()], "target tokens are miscounted"
        assert all(0 <= o.correct <= o.tokens and o.nll > 0 for o in stepped), "nll or correct is out of range"
        _assert_close(scored, stepped, "step's observations are not those of before the update")


def check_adapter_starts_neutral(open_student: OpenStudent) -> None:
    """A fresh adapter changes nothing; a trained one can be left out."""
    with closing(open_student(OPTIONS)) as student:
        prompt = [list(tokens[:8]) for tokens, _ in examples_of(student).values()]
        base = student.generate(prompt, 12, adapter=False)
        assert student.generate(prompt, 12) == base, "a fresh adapter changes what the base writes"
        for _ in range(5):
            student.step(make_batch(examples_of(student)), 2e-2)
        assert student.generate(prompt, 12, adapter=False) == base, "adapter=False still uses the adapter"


def check_weights_are_linear(open_student: OpenStudent) -> None:
    """The gradient is sum_i w_i g_i / (unweighted target tokens): weights of 0 add nothing, 2 counts twice."""

    def with_silent(e: dict[str, Example]) -> list[Batch]:
        return [make_batch({"a": e["0"], "b": e["1"]}, [1, 0]), make_batch({"a": e["2"]}, [1])]

    def without(e: dict[str, Example]) -> list[Batch]:
        alone, both = len(e["0"][1]), len(e["0"][1]) + len(e["1"][1])
        return [make_batch({"a": e["0"]}, [alone / both]), make_batch({"a": e["2"]}, [1])]

    def doubled(e: dict[str, Example]) -> list[Batch]:
        return [make_batch({"a": e["0"], "b": e["1"]}, [2, 0.5]), make_batch({"a": e["2"]})]

    def repeated(e: dict[str, Example]) -> list[Batch]:
        a, b = len(e["0"][1]), len(e["1"][1])
        factor = (2 * a + b) / (a + b)
        first = make_batch({"a": e["0"], "b": e["1"], "c": e["0"]}, [factor, factor / 2, factor])
        return [first, make_batch({"a": e["2"]}, [1])]

    _assert_same_training(open_student, with_silent, without, "an example of weight 0 changes the update")
    _assert_same_training(open_student, doubled, repeated, "the update is not linear in the weights")
    light = _after(open_student, lambda e: [make_batch({"a": e["0"]}, [0.05]), make_batch({"c": e["2"]})])
    heavy = _after(open_student, lambda e: [make_batch({"a": e["0"]}), make_batch({"c": e["2"]})])
    assert _difference(light, heavy) > 20 * _CLOSE, "the loss is divided by the weights, which cancels them"
    with closing(open_student(OPTIONS)) as student:
        batch = make_batch(examples_of(student))
        before = student.score(batch)
        student.step(make_batch(examples_of(student), [0] * 6), RATE)
        assert student.score(batch) == before, "a batch whose weights are all 0 trains"


def check_masks(open_student: OpenStudent) -> None:
    """Only target tokens count, and what stands behind the last of them changes nothing."""

    def halves(e: dict[str, Example]) -> list[Batch]:
        tokens, targets = e["0"]
        return [make_batch({"a": (tokens, targets[::2]), "b": (tokens, targets[1::2])}), make_batch({"c": e["2"]})]

    def whole(e: dict[str, Example]) -> list[Batch]:
        return [make_batch({"a": e["0"]}), make_batch({"c": e["2"]})]

    def with_tail(e: dict[str, Example]) -> list[Batch]:
        tokens, targets = e["0"]
        return [make_batch({"a": ([*tokens, *e["3"][0][:9]], targets)}, pad_to=90), make_batch({"c": e["2"]})]

    _assert_same_training(open_student, halves, whole, "targets in two rows train differently from the same in one")
    _assert_same_training(open_student, with_tail, whole, "tokens that are not targets carry gradient")


def check_neighbours(open_student: OpenStudent) -> None:
    """An observation depends on its example alone: not on neighbours, padding or the size of micro-batches."""
    with closing(open_student(OPTIONS)) as student:
        examples = examples_of(student)
        alone = [student.score(make_batch({name: example}))[0] for name, example in examples.items()]
        _assert_close(
            student.score(make_batch(examples, pad_to=90)), alone, "an observation depends on neighbours or padding"
        )


def check_micro_batches(open_student: OpenStudent) -> None:
    """One row at a time, a few, or all: the same observations and the same update."""
    results = []
    for tokens in (1, 200, 1 << 20):
        with closing(open_student(OPTIONS.model_copy(update={"micro_batch_tokens": tokens}))) as student:
            batch = make_batch(examples_of(student), [1, 0, 2, 0.5, 1, 1])
            results.append([student.step(batch, RATE), student.step(batch, RATE), student.score(batch)])
    for other in results[:-1]:
        for mine, whole in zip(other, results[-1], strict=True):
            _assert_close(mine, whole, "the size of micro-batches changes results")


def check_gradient_checkpointing(open_student: OpenStudent) -> None:
    """Inner results kept or computed again: the same observations and the same update, dropout included."""
    results = []
    for mode in ("off", "on"):
        options = OPTIONS.model_copy(update={"gradient_checkpointing": mode, "lora_dropout": 0.3})
        with closing(open_student(options)) as student:
            batch = make_batch(examples_of(student), [1, 0, 2, 0.5, 1, 1])
            results.append([*student.step(batch, RATE), *student.step(batch, RATE), *student.score(batch)])
    _assert_close(results[0], results[1], "gradient checkpointing changes results", _SAME)


def check_packed_rows(open_student: OpenStudent) -> None:
    """Texts packed into one row with segments are observed and trained as in rows of their own."""

    def packed(e: dict[str, Example]) -> list[Batch]:
        return [_pack([e["2"], e["4"], e["0"]]), make_batch({"c": e["2"]})]

    def separate(e: dict[str, Example]) -> list[Batch]:
        return [make_batch({"a": e["2"], "b": e["4"], "c": e["0"]}), make_batch({"c": e["2"]})]

    with closing(open_student(OPTIONS)) as student:
        together, rows = (student.score(make(examples_of(student))[0]) for make in (packed, separate))
        nll, tokens, correct = (sum(getattr(o, field) for o in rows) for field in ("nll", "tokens", "correct"))
        total = Observation("packed", nll, tokens, correct)
        _assert_close(together, [total], "texts in a packed row see each other")
    _assert_same_training(open_student, packed, separate, "a packed row trains differently from separate rows")


def check_learns(open_student: OpenStudent) -> None:
    """The loss falls on a few examples seen again and again; the same seed gives the same losses."""
    curves = []
    for seed in (3, 3, 4):
        options = OPTIONS.model_copy(update={"seed": seed, "max_grad_norm": 1.0, "lora_dropout": 0.1})
        with closing(open_student(options)) as student:
            batch = make_batch(examples_of(student))
            curves.append([sum(o.nll for o in student.step(batch, 1e-2)) for _ in range(12)])
    assert curves[0][-1] < 0.8 * curves[0][0], f"the loss does not fall: {curves[0][0]:.2f} to {curves[0][-1]:.2f} nats"
    assert curves[0] == curves[1], "the same seed gives other losses"
    assert curves[0] != curves[2], "the seed changes nothing"


def check_generation(open_student: OpenStudent) -> None:
    """Greedy, at most max_tokens, without the end token, the same alone and among neighbours."""
    with closing(open_student(OPTIONS)) as student:
        prompts = [list(tokens[: 3 + 5 * row]) for row, (tokens, _) in enumerate(examples_of(student).values())]
        replies = student.generate(prompts, 20)
        assert len(replies) == len(prompts), "not one reply per prompt"
        assert all(len(reply) <= 20 for reply in replies), "a reply is longer than max_tokens"
        assert all(student.tokenizer.eos_id not in reply for reply in replies), "a reply contains the end token"
        assert [student.generate([p], 20)[0] for p in prompts] == replies, "a reply depends on its neighbours"
        assert [r[:5] for r in student.generate(prompts, 5)] == [r[:5] for r in replies], "max_tokens changes the start"
        for prompt, reply in zip(prompts, replies, strict=True):
            if reply:
                row: Example = ([*prompt, *reply], range(len(prompt), len(prompt) + len(reply)))
                seen = student.score(make_batch({"a": row}))[0]
                assert seen.correct == seen.tokens, "generation is not greedy under the model that score sees"


def check_sampling(open_student: OpenStudent) -> None:
    """Drawn replies depend on prompt and seed alone; a low temperature is greedy; frequencies follow the model."""
    with closing(open_student(OPTIONS)) as student:
        prompts = [list(tokens[: 3 + 5 * row]) for row, (tokens, _) in enumerate(examples_of(student).values())]
        seeds = list(range(len(prompts)))
        drawn = student.generate(prompts, 20, sampling=Sampling(1.0, seeds))
        alone = [student.generate([p], 20, sampling=Sampling(1.0, [s]))[0] for p, s in zip(prompts, seeds, strict=True)]
        assert drawn == alone, "a drawn reply depends on its neighbours"
        other = student.generate(prompts, 20, sampling=Sampling(1.0, [s + 99 for s in seeds]))
        assert drawn != other, "the seed changes nothing"
        cold = student.generate(prompts, 20, sampling=Sampling(1e-6, seeds))
        assert cold == student.generate(prompts, 20), "a temperature near 0 is not greedy"
        first = student.generate([prompts[0]] * 300, 1, sampling=Sampling(1.0, range(300)))
        common = Counter(tuple(reply) for reply in first if reply).most_common(1)[0]
        row: Example = ([*prompts[0], *common[0]], range(len(prompts[0]), len(prompts[0]) + 1))
        expected = float(np.exp(-student.score(make_batch({"a": row}))[0].nll))
        spread = (expected * (1 - expected) / 300) ** 0.5
        assert abs(common[1] / 300 - expected) < 5 * spread + 1e-3, "tokens are not drawn as often as the model says"


def check_not_finite(open_student: OpenStudent) -> None:
    """A loss or gradient that is not finite is refused, by name, and nothing changes."""
    with closing(open_student(OPTIONS)) as student, closing(open_student(OPTIONS)) as undisturbed:
        first, second = batches_of(student)
        for each in (student, undisturbed):
            each.step(first, RATE)
        broken = replace(second, weights=np.full(3, np.inf, np.float32))
        message = ""
        try:
            student.step(broken, RATE)
        except TrainingError as error:
            message = error.message
        assert message, "a gradient that is not finite is accepted"
        assert second.example_ids[0] in message, "the error does not name the example"
        for each in (student, undisturbed):
            each.step(second, RATE)
        assert student.score(first) == undisturbed.score(first), "a refused step leaves something behind"


def check_saves_adapter(open_student: OpenStudent) -> None:
    """`save` writes a configuration and safetensors, with the same bytes for the same adapter."""
    with tempfile.TemporaryDirectory() as name, closing(open_student(OPTIONS)) as student:
        student.step(batches_of(student)[0], RATE)
        for folder in ("a", "b"):
            student.save(Path(name) / folder)
        files = sorted(path.name for path in (Path(name) / "a").iterdir())
        assert "adapter_config.json" in files, f"no adapter_config.json among {files}"
        assert any(file.endswith(".safetensors") for file in files), f"no safetensors among {files}"
        for file in files:
            contents = [(Path(name) / folder / file).read_bytes() for folder in ("a", "b")]
            assert contents[0], f"{file} is empty"
            assert contents[0] == contents[1], f"{file} differs from one save to the next"
            assert name.encode() not in contents[0], f"{file} names the place it was saved to"


STUDENT_CHECKS: tuple[Callable[[OpenStudent], None], ...] = (
    check_describes_itself,
    check_observations,
    check_adapter_starts_neutral,
    check_weights_are_linear,
    check_masks,
    check_neighbours,
    check_micro_batches,
    check_gradient_checkpointing,
    check_packed_rows,
    check_learns,
    check_resume,
    check_fork,
    check_reset_optimizer,
    check_saved_adapter,
    check_average,
    check_avoid,
    check_generation,
    check_sampling,
    check_not_finite,
    check_saves_adapter,
)


def _pack(examples: Sequence[Example]) -> Batch:
    """The examples in one row of a batch, and some padding."""
    ids = np.zeros((1, sum(len(tokens) for tokens, _ in examples) + 3), dtype=np.int32)
    mask, segments, start = np.zeros(ids.shape, dtype=np.bool_), np.zeros_like(ids), 0
    for number, (tokens, targets) in enumerate(examples, start=1):
        end = start + len(tokens)
        ids[0, start:end], segments[0, start:end] = tokens, number
        mask[0, [start + t for t in targets]] = True
        start = end
    return Batch(ids, mask, np.ones(1, dtype=np.float32), ("packed",), segments)


def _assert_close(
    mine: Sequence[Observation], other: Sequence[Observation], message: str, close: float = _CLOSE
) -> None:
    for a, b in zip(mine, other, strict=True):
        assert a.tokens == b.tokens, f"{message}: {a.tokens} and {b.tokens} target tokens"
        assert abs(a.nll - b.nll) <= close * abs(b.nll), f"{message}: {a.nll} and {b.nll} nats for {a.example_id}"


def _assert_same_training(open_student: OpenStudent, one: Training, other: Training, message: str) -> None:
    """Both ways of writing the same training end in the same student."""
    _assert_close(_after(open_student, one), _after(open_student, other), message)


def _after(open_student: OpenStudent, training: Training) -> list[Observation]:
    """Scores after two rounds of it: several steps, because AdamW divides the scale of a first gradient away."""
    with closing(open_student(OPTIONS)) as student:
        examples = examples_of(student)
        before = student.score(make_batch(examples))
        for batch in training(examples) * 2:
            student.step(batch, RATE)
        after = student.score(make_batch(examples))
    moved = _difference(after, before)
    assert moved > 20 * _CLOSE, f"training hardly changed anything ({moved:.1e}); nothing can be compared"
    return after


def _difference(mine: Sequence[Observation], other: Sequence[Observation]) -> float:
    """The greatest relative one."""
    return max(abs(a.nll - b.nll) / b.nll for a, b in zip(mine, other, strict=True))
