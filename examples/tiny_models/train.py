"""Train a tiny model from scratch on prepared rows, on one processor core, the same way every time.

Hidden matrices are trained with Muon, embeddings and norms with AdamW; matrix products run in bfloat16 over
float32 weights. The learning rate rises briefly, stays, and falls linearly to zero over the last 30 % of steps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import AdamW, Muon, Optimizer

from .model import CONFIGS, TinyLlama, save_hf
from .stream import Batch, Stream

CHECKPOINT_SECONDS = 120.0
LOG_STEPS = 100
LossFunction = Callable[[TinyLlama, Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Settings:
    """What decides the result, together with the data; a checkpoint resumes only under the same settings."""

    steps: int
    seed: int = 0
    matrix_rate: float = 0.01  # Muon, scaled to AdamW's update size
    other_rate: float = 0.005  # AdamW: embeddings and norms
    weight_decay: float = 0.1  # hidden matrices only
    warmup: int = 50  # steps
    decay: float = 0.3  # last fraction of the steps
    clip: float = 1.0  # gradient norm
    micro_rows: int = 32  # rows per forward pass: small enough for the activations to stay in cache
    half: bool = True  # bfloat16 matrix products
    compiled: bool = True
    muon: bool = True  # False: AdamW for everything


def rate_factor(step: int, settings: Settings) -> float:
    """Share of the full learning rate at a step counted from 0."""
    left = (settings.steps - step) / max(1.0, settings.decay * settings.steps)
    return min(1.0, (step + 1) / max(1, settings.warmup), left)


def make_optimizers(model: TinyLlama, settings: Settings) -> list[Optimizer]:
    """Muon for the layers' matrices and AdamW for the rest; each group keeps its full rate as `base`."""
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and not name.startswith("embed")]
    others = [p for name, p in model.named_parameters() if p.dim() != 2 or name.startswith("embed")]
    optimizers: list[Optimizer] = [
        AdamW(others, lr=settings.other_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    ]
    if settings.muon:
        decay = settings.weight_decay
        optimizers.append(Muon(matrices, lr=settings.matrix_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    else:
        optimizers.append(AdamW(matrices, lr=settings.matrix_rate, betas=(0.9, 0.95), weight_decay=0.1, fused=True))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base"] = group["lr"]
    return optimizers


def weighted_loss(model: TinyLlama, ids: Tensor, targets: Tensor, weights: Tensor, mask: Tensor) -> Tensor:
    """Sum over tokens of weight * cross-entropy (nats); ids, targets and weights are (B, T)."""
    logits = model(ids, mask).float()
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return (losses * weights.flatten()).sum()


def train_step(
    model: TinyLlama, batch: Batch, optimizers: list[Optimizer], loss_of: LossFunction, settings: Settings
) -> float:
    """One update; returns the weighted mean loss per token, in nats."""
    total = batch.weights.sum().clamp(min=1e-6)
    loss = 0.0
    for start in range(0, len(batch.ids), settings.micro_rows):
        rows = slice(start, start + settings.micro_rows)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.half):
            part = loss_of(model, batch.ids[rows], batch.targets[rows], batch.weights[rows] / total, batch.mask[rows])
        part.backward()  # type: ignore[no-untyped-call]
        loss += part.item()
    torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return loss


def save_checkpoint(path: Path, model: TinyLlama, optimizers: list[Optimizer], step: int, settings: Settings) -> None:
    """Write everything needed to go on after `step` updates, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": step,
        "settings": asdict(settings),
    }
    torch.save(state, temporary)
    temporary.replace(path)


def load_checkpoint(path: Path, model: TinyLlama, optimizers: list[Optimizer], settings: Settings) -> int:
    """Restore a checkpoint; returns the number of updates already made."""
    state: dict[str, Any] = torch.load(path, weights_only=True)
    if state["settings"] != asdict(settings):
        raise ValueError(f"{path} was made under other settings: {state['settings']}")
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["step"])


def train(
    model: TinyLlama,
    batches: Callable[[int], Batch],
    settings: Settings,
    checkpoint: Path | None = None,
    resume: bool = False,
    stop_after: int | None = None,
    log: Callable[[str], None] = print,
) -> list[float]:
    """Train in place up to `settings.steps` (or stop at `stop_after`); returns the losses of the steps made here.

    `batches(step)` must depend on the step alone: with it a resumed training equals one that never stopped.
    """
    optimizers = make_optimizers(model, settings)
    first = 0
    if resume and checkpoint is not None and checkpoint.exists():
        first = load_checkpoint(checkpoint, model, optimizers, settings)
    loss_of: LossFunction = torch.compile(weighted_loss, dynamic=False) if settings.compiled else weighted_loss
    last = settings.steps if stop_after is None else min(stop_after, settings.steps)
    losses: list[float] = []
    progress = Progress(settings.steps, log)
    saved_at = time.monotonic()
    for step in range(first, last):
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = group["base"] * rate_factor(step, settings)
        batch = batches(step)
        losses.append(train_step(model, batch, optimizers, loss_of, settings))
        progress.add(step + 1, losses[-1], batch.ids.numel())
        if checkpoint is not None and (step + 1 == last or time.monotonic() - saved_at > CHECKPOINT_SECONDS):
            save_checkpoint(checkpoint, model, optimizers, step + 1, settings)
            saved_at = time.monotonic()
    return losses


class Progress:
    """Says every `LOG_STEPS` steps how the training stands."""

    def __init__(self, steps: int, log: Callable[[str], None]) -> None:
        self.steps, self.log = steps, log
        self._restart()

    def _restart(self) -> None:
        self.loss, self.count, self.tokens, self.since = 0.0, 0, 0, time.monotonic()

    def add(self, step: int, loss: float, tokens: int) -> None:
        """Count one finished step: its loss and its tokens, padding included."""
        self.loss, self.count, self.tokens = self.loss + loss, self.count + 1, self.tokens + tokens
        if step % LOG_STEPS and step != self.steps:
            return
        seconds = time.monotonic() - self.since
        minutes = seconds / self.count * (self.steps - step) / 60
        speed = self.tokens / seconds
        mean = self.loss / self.count
        self.log(f"step {step}/{self.steps} loss {mean:.4f} {speed:.0f} tokens/s {minutes:.1f} minutes left")
        self._restart()


def main() -> None:
    """Command line: train one of the two models and write its Hugging Face folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=sorted(CONFIGS), required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of prepared rows")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of the tokenizer")
    parser.add_argument("--out", type=Path, required=True, help="Hugging Face folder to write at the end")
    parser.add_argument("--checkpoint", type=Path, required=True, help="file to resume from")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=64, help="rows per step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--start", type=Path, help="checkpoint whose weights this training begins with")
    parser.add_argument("--matrix-rate", type=float, default=Settings.matrix_rate)
    parser.add_argument("--other-rate", type=float, default=Settings.other_rate)
    parser.add_argument("--micro-rows", type=int, default=Settings.micro_rows)
    parser.add_argument("--adamw", action="store_true", help="AdamW for the matrices too")
    parser.add_argument("--float32", action="store_true", help="no bfloat16")
    parser.add_argument("--eager", action="store_true", help="no compilation")
    run(parser.parse_args())


def run(options: argparse.Namespace) -> None:
    """Carry out the command line."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    settings = Settings(
        steps=options.steps,
        seed=options.seed,
        matrix_rate=options.matrix_rate,
        other_rate=options.other_rate,
        micro_rows=options.micro_rows,
        half=not options.float32,
        compiled=not options.eager,
        muon=not options.adamw,
    )
    model = TinyLlama(CONFIGS[options.model])
    if options.start is not None:
        model.load_state_dict(torch.load(options.start, weights_only=True)["model"])
    options.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    stream = Stream(options.data, options.batch, options.seed)
    train(
        model,
        stream.batch,
        settings,
        options.checkpoint,
        options.resume,
        log=lambda line: print(line, flush=True),
    )
    save_hf(model, options.tokenizer, options.out)


if __name__ == "__main__":
    main()
