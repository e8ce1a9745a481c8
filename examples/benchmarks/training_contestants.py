"""One contestant of `training.py` in a process of its own: `python training_contestants.py JOB RESULT`, two JSON files.

Everyone trains on the batches of the job in float32 or bfloat16, with LoRA on every linear layer of the blocks, AdamW
without weight decay at a constant rate. Nobody checkpoints gradients unless it chooses to itself.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from training_data import Data, Row

RATE = 1e-3


@dataclass(frozen=True)
class Job:
    """`order`: of the batches; "own": rows as in "mixed", but the contestant makes its own batches of like lengths."""

    contestant: str
    order: str
    model: str
    data: str
    rank: int
    threads: int
    precision: str

    def load(self) -> tuple[Data, list[list[Row]]]:
        """The data, and the batches to measure."""
        data = Data.load(Path(self.data))
        return data, data.batches["mixed" if self.order == "own" else self.order]


@dataclass
class Result:
    """`before`, `after`: loss of the first batch, nats per target token: who trains the same, ends at the same."""

    steps: int
    tokens: int
    before: float
    after: float
    seconds: float
    cpu_seconds: float
    peak: int
    parts: dict[str, float] = field(default_factory=dict)


class Gauge:
    """Seconds and memory between `start` and `stop`: of the accelerator where there is one, else of the process."""

    def start(self) -> None:
        self._reset_peak()
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def stop(self) -> None:
        self._wait()
        self.seconds, self.cpu_seconds = time.perf_counter() - self._wall, time.process_time() - self._cpu
        self.peak = self._peak()

    def result(self, batches: Sequence[Sequence[Row]], before: float, after: float, **parts: float) -> Result:
        tokens = sum(row.targets for batch in batches for row in batch)
        return Result(len(batches), tokens, before, after, self.seconds, self.cpu_seconds, self.peak, parts)

    def _reset_peak(self) -> None:
        self._wait()
        if cuda := _cuda():
            cuda.reset_peak_memory_stats()
        elif gpu := _mlx_gpu():
            gpu.reset_peak_memory()
        elif Path("/proc/self/clear_refs").exists():
            Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew

    def _wait(self) -> None:
        if cuda := _cuda():
            cuda.synchronize()

    def _peak(self) -> int:
        if cuda := _cuda():
            return int(cuda.max_memory_allocated())
        if gpu := _mlx_gpu():
            return int(gpu.get_peak_memory())
        status = Path("/proc/self/status")
        if status.exists():
            lines = status.read_text().splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _cuda() -> Any:
    torch = sys.modules.get("torch")
    return torch.cuda if torch and torch.cuda.is_available() else None


def _mlx_gpu() -> Any:
    mx = sys.modules.get("mlx.core")
    return mx if mx and (mx.metal.is_available() or mx.cuda.is_available()) else None


def ours(job: Job) -> Result:
    """The bare `student.step`, on batches padded as the engine pads them."""
    data, batches = job.load()
    student, gauge = _student(job), Gauge()
    before = _score(student, data.warm[0])
    for batch in data.warm:
        student.step(_padded(batch), RATE)
    gauge.start()
    for batch in batches:
        student.step(_padded(batch), RATE)
    gauge.stop()
    return gauge.result(batches, before, _score(student, data.warm[0]))


def engine(job: Job) -> Result:
    """The same through the loop of a run: observations written to the run folder, progress told.

    `parts`, seconds: `step` inside the student, and of that `seen` for what only the observations need; `record` to
    write them; `saved` for checkpoints while it ran, `checkpoint` for one; the rest is padding and progress.
    """
    from dsa_lite.config import Config
    from dsa_lite.io.models.choosing import ModelChoice
    from dsa_lite.io.run_folder.rundir import RunDir
    from dsa_lite.io.skills import load_skill
    from dsa_lite.records import Observed
    from dsa_lite.stages.context import Context
    from dsa_lite.stages.context import Job as Run
    from dsa_lite.stages.learning import Epoch, Trainer, largest

    data, batches = job.load()
    student, gauge, parts = _student(job), Gauge(), dict.fromkeys(("step", "seen", "record", "saved"), 0.0)
    before = _score(student, data.warm[0])
    for batch in data.warm:
        student.step(_padded(batch), RATE)
    with tempfile.TemporaryDirectory() as kept, RunDir.open(Path(kept) / "run", {}, {}) as folder:
        choice = ModelChoice("student", "torch", job.model, "", False)
        run = Run(load_skill("calculus"), choice, choice, Config(), folder.path)
        trainer = Trainer(Context(run, folder, lambda event: None, None, student), "tune", 1)
        log = folder.observations(1)

        def observe(observations: Sequence[Any]) -> int:
            for o in observations:
                log.append(Observed(example=o.example_id, epoch=0, loss=o.nll / o.tokens, tokens=o.tokens,
                                    correct=o.correct))  # fmt: skip
            return len(observations)

        _time(student, "step", parts, "step")
        _time(trainer, "save", parts, "saved")
        _time_argmax(parts)
        built = [_lazily(batch) for batch in batches]
        most = largest([[len(row.ids) for row in batch] for batch in batches])
        epoch = Epoch(built, [RATE] * len(batches), "", len(batches), most)
        trainer.try_largest(epoch)
        gauge.start()
        trainer.run(epoch, _timed(observe, parts, "record"), _timed(log.sync, parts, "record"))
        _timed(log.sync, parts, "record")()
        gauge.stop()
        saved = parts["saved"]
        trainer.save()
        parts["checkpoint"], parts["saved"] = parts["saved"] - saved, saved
        parts["checkpoint_every"] = run.config.student.checkpoint_seconds
    return gauge.result(batches, before, _score(student, data.warm[0]), **parts)


def _timed(call: Callable[..., Any], parts: dict[str, float], name: str) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            parts[name] += time.perf_counter() - start

    return timed


def _time(owner: Any, method: str, parts: dict[str, float], name: str) -> None:
    setattr(owner, method, _timed(getattr(owner, method), parts, name))


def _time_argmax(parts: dict[str, float]) -> None:
    """Whether a prediction was right is all that a step computes for the observations alone (its loss it needs)."""
    import torch

    _time(torch.Tensor, "argmax", parts, "seen")


def _lazily(batch: list[Row]) -> Callable[[], Any]:
    return lambda: _padded(batch)


def _student(job: Job) -> Any:
    from dsa_lite.io.plugins import open_student
    from dsa_lite.student import StudentOptions

    options = StudentOptions(
        lora_rank=job.rank,
        lora_alpha=2.0 * job.rank,
        precision="bfloat16" if job.precision == "bfloat16" else "float32",
        threads=job.threads,
    )
    return open_student("mlx" if job.contestant == "mlx" else "torch", job.model, options)


def _padded(batch: Sequence[Row]) -> Any:
    from dsa_lite.core.batching import pad
    from dsa_lite.core.encoding import Encoded

    rows = [
        Encoded(f"example-{i}", np.asarray(row.ids, np.int32), np.arange(len(row.ids)) >= row.prompt)
        for i, row in enumerate(batch)
    ]
    return pad(rows, [1.0] * len(rows))


def _score(student: Any, batch: Sequence[Row]) -> float:
    found = student.score(_padded(batch))
    return float(sum(o.nll for o in found) / sum(o.tokens for o in found))


def _loss(logits: Callable[[list[int]], Any], batch: Sequence[Row]) -> float:
    """Nats per target token, one row at a time. `logits` (T, V) of T ids."""
    total = 0.0
    for row in batch:
        wide = np.asarray(logits(row.ids[:-1]), np.float64)[row.prompt - 1 :]
        wide = wide - wide.max(axis=1, keepdims=True)
        total -= float((wide[np.arange(len(wide)), row.ids[row.prompt :]] - np.log(np.exp(wide).sum(axis=1))).sum())
    return total / sum(row.targets for row in batch)


def trainer(job: Job) -> Result:
    """transformers' Trainer, or TRL's, which is told apart by its name. Both with PEFT; logging as they come."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if job.threads:
        torch.set_num_threads(job.threads)
    data, batches = job.load()
    dtype = torch.bfloat16 if job.precision == "bfloat16" else torch.float32
    model: Any = AutoModelForCausalLM.from_pretrained(job.model, dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(job.model)
    lora = LoraConfig(r=job.rank, lora_alpha=2 * job.rank, target_modules="all-linear", task_type="CAUSAL_LM")

    def logits(ids: list[int]) -> Any:
        with torch.no_grad():
            return model(torch.tensor([ids], device=model.device)).logits[0].float().cpu().numpy()

    before, gauge = _loss(logits, data.warm[0]), Gauge()
    with tempfile.TemporaryDirectory() as kept:
        chosen = {
            "output_dir": kept,
            "per_device_train_batch_size": len(batches[0]),
            "learning_rate": RATE,
            "lr_scheduler_type": "constant",
            "weight_decay": 0.0,
            "max_grad_norm": 1.0,
            "num_train_epochs": 2 if job.order == "own" else 1,
            "train_sampling_strategy": "group_by_length" if job.order == "own" else "sequential",
            "bf16": job.precision == "bfloat16",
            "gradient_checkpointing": False,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
        }
        # Own batches: an epoch to get warm, and all of the next one measured.
        rows = [row for batch in (*([] if job.order == "own" else data.warm), *batches) for row in batch]
        columns = [{"input_ids": row.ids, "labels": [-100] * row.prompt + row.ids[row.prompt :]} for row in rows]
        made = (_trl if job.contestant == "trl" else _hf)(model, tokenizer, lora, chosen, columns)
        made.add_callback(_stopwatch(gauge, len(batches) if job.order == "own" else len(data.warm), len(batches)))
        made.train()
        model = made.model.eval()
        after = _loss(logits, data.warm[0])
    return gauge.result(batches, before, after)


def _hf(model: Any, tokenizer: Any, lora: Any, chosen: dict[str, Any], columns: list[dict[str, Any]]) -> Any:
    from peft import get_peft_model
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    model = get_peft_model(model, lora)
    collator = DataCollatorForSeq2Seq(tokenizer, padding=True)
    arguments = TrainingArguments(**chosen)
    return Trainer(model, arguments, data_collator=collator, train_dataset=columns, processing_class=tokenizer)


def _trl(model: Any, tokenizer: Any, lora: Any, chosen: dict[str, Any], columns: list[dict[str, Any]]) -> Any:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows, arguments = Dataset.from_list(columns), SFTConfig(**chosen, max_length=None)
    return SFTTrainer(model, arguments, train_dataset=rows, processing_class=tokenizer, peft_config=lora)


def _stopwatch(gauge: Gauge, first: int, steps: int) -> Any:
    from transformers import TrainerCallback

    class Stopwatch(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.global_step == first:
                gauge.start()
            if state.global_step == first + steps:
                gauge.stop()

    return Stopwatch()


def mlx_lm(job: Job) -> Result:
    """What `mlx_lm.lora` runs, with its own padding (to a multiple of 32), and of each shape one batch to get warm.

    It does not clip gradients, and it also trains the first padding token after each example. The batches that get it
    warm are more than the others', so its loss ends lower.
    """
    import mlx.core as mx
    from mlx import optimizers
    from mlx_lm.tuner.trainer import TrainingArgs, iterate_batches, train
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx_lm.utils import load_model

    data, batches = job.load()
    model, _ = load_model(Path(job.model))
    model.set_dtype(mx.bfloat16 if job.precision == "bfloat16" else mx.float32)
    model.freeze()
    linear_to_lora_layers(model, len(model.layers), {"rank": job.rank, "scale": 2.0, "dropout": 0.0})

    def logits(ids: list[int]) -> Any:
        return np.array(model(mx.array([ids]))[0].astype(mx.float32))

    def made(rows: Sequence[Row], size: int) -> list[Any]:
        return list(iterate_batches([(row.ids, row.prompt) for row in rows], size, 1 << 20, seed=0))

    size = len(batches[0])
    measured = made([row for batch in batches for row in batch], size) if job.order == "own" else []
    measured = measured or [made(batch, len(batch))[0] for batch in batches]
    warm = [
        *(made(batch, len(batch))[0] for batch in data.warm),
        *{ids.shape: (ids, n) for ids, n in measured}.values(),
    ]
    before, gauge = _loss(logits, data.warm[0]), Gauge()

    def feed(**_: Any) -> Iterator[Any]:
        yield from warm
        gauge.start()
        yield from measured
        gauge.stop()

    with tempfile.TemporaryDirectory() as kept:
        # One more than there are: so that the last one's end is seen.
        settings = TrainingArgs(
            size, iters=len(warm) + len(measured) + 1, adapter_file=str(Path(kept) / "a.safetensors")
        )
        adam = optimizers.AdamW(RATE, weight_decay=0.0, bias_correction=True)
        train(model, adam, [0], None, settings, iterate_batches=feed)
    model.eval()
    return gauge.result(batches, before, _loss(logits, data.warm[0]))


RUN = {"torch": ours, "mlx": ours, "engine": engine, "trl": trainer, "hf": trainer, "mlx-lm": mlx_lm}

if __name__ == "__main__":
    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(asdict(RUN[job.contestant](job))), encoding="utf-8")
