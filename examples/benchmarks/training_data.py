"""What `training.py` trains on: the same rows in the same batches for everyone, and a model with random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sizes import SIZES

import dsa_lite
from dsa_lite.core.curriculum import order_examples
from dsa_lite.core.encoding import encode_exercise, target_text
from dsa_lite.model_folder import FolderTokenizer

BUNDLED = Path(dsa_lite.__file__).parent / "bundled" / "student"
#: Examples among which similar lengths share a batch: 1 is none, 128 the engine's default.
WINDOWS = {"mixed": 1, "grouped": 128}


@dataclass(frozen=True)
class Row:
    """One example: its token ids, of which the first `prompt` are no targets."""

    ids: list[int]
    prompt: int

    @property
    def targets(self) -> int:
        return len(self.ids) - self.prompt


@dataclass(frozen=True)
class Data:
    """Batches of rows: `warm` come first and are not measured, `batches` are, in the order named."""

    warm: list[list[Row]]
    batches: dict[str, list[list[Row]]]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Data:
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(_rows(found["warm"]), {order: _rows(batches) for order, batches in found["batches"].items()})


def _rows(batches: list[list[dict[str, object]]]) -> list[list[Row]]:
    return [[Row(**row) for row in batch] for batch in batches]  # type: ignore[arg-type]


def make_data(steps: int, batch_size: int, *, warm: int, exercises: Path | None) -> Data:
    """Batches of either order hold the same rows, `steps` of `batch_size`. `exercises`: lines as a run writes them."""
    tokenizer, rng = FolderTokenizer(BUNDLED), np.random.default_rng(0)
    found = _own(exercises) if exercises else _sums(rng)
    rows = []
    for problem, solution, answer in found:
        encoded = encode_exercise(tokenizer, "row", problem, target_text(solution, answer))
        rows.append(Row(encoded.ids.tolist(), int((~encoded.mask).sum())))
        if len(rows) == (warm + steps) * batch_size:
            break
    else:
        raise SystemExit(f"{exercises} has {len(rows)} exercises, {(warm + steps) * batch_size} are needed")
    first, rest = rows[: warm * batch_size], rows[warm * batch_size :]
    lengths = [len(row.ids) for row in rest]
    batches = {}
    for order, window in WINDOWS.items():
        ranks, chance = [0] * len(rest), np.random.default_rng(1)
        cut = order_examples(ranks, lengths, batch_size=batch_size, window=window, rng=chance)
        batches[order] = [[rest[i] for i in batch] for batch in cut]
    return Data([first[i : i + batch_size] for i in range(0, len(first), batch_size)], batches)


def _own(path: Path) -> Iterator[tuple[str, str, str]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for i in np.random.default_rng(0).permutation(len(lines)):
        yield lines[i]["problem"], lines[i]["solution"], lines[i]["answer"]


def _sums(rng: np.random.Generator) -> Iterator[tuple[str, str, str]]:
    """Sums of 2 to 20 numbers, one step for each: 30 to 300 tokens of the bundled student, mostly short."""
    while True:
        numbers = rng.integers(2, 999, 2 + min(18, int(rng.gamma(1.2, 3.5)))).tolist()
        totals = np.cumsum(numbers).tolist()
        steps = [f"{a}+{b}={c}" for a, b, c in zip(totals, numbers[1:], totals[1:], strict=False)]
        yield f"Compute {'+'.join(map(str, numbers))}.", f"Addition: {', '.join(steps)}.", str(totals[-1])


def random_model(folder: Path, name: str) -> Path:
    """A model folder of size `name` with the bundled student's tokenizer, kept in `folder` for the next time.

    What it computes has no meaning; how long that takes does not depend on it.
    """
    path = folder / f"random-{name}"
    if (path / "config.json").exists():
        return path
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    size = SIZES[name]
    config = LlamaConfig(
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads_kv,
        intermediate_size=size.inner,
        vocab_size=size.vocabulary,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        dtype="float32",
    )
    torch.manual_seed(0)
    unfinished = folder / f"random-{name}.unfinished"
    LlamaForCausalLM(config).save_pretrained(unfinished)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(BUNDLED / file, unfinished)
    return unfinished.rename(path)
