"""The PyTorch student in too little memory: real limits on a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("resource")

#: Per case: a step, one on other rows with `room` bytes more address space than is used, one more without a limit.
PROGRAM = """
import gc, json, resource, sys
import numpy as np
from dsa_lite.errors import TrainingError
from dsa_lite.student import StudentOptions
from dsa_lite.testing import make_batch
from dsa_lite_torch import open_student

draw = np.random.default_rng(0)
batches = {}
for rows, width in ((4, 200), (1, 1000), (1, 60)):
    tokens = [draw.integers(1, 260, width).tolist() for _ in range(rows)]
    batches[rows, width] = make_batch({str(i): (t, range(1, width)) for i, t in enumerate(tokens)})
unlimited = resource.getrlimit(resource.RLIMIT_AS)
for room, mode, dropout, rows, width in json.loads(sys.argv[2]):
    options = StudentOptions(lora_rank=4, lora_dropout=dropout, device="cpu", threads=1, precision="float32",
                             gradient_checkpointing=mode)
    student = open_student(sys.argv[1], options)
    fit, small, large = student._shared.fit, batches[1, 60], batches[rows, width]
    found = {"before": [o.nll for o in student.step(small, 1e-2)], "error": "", "hint": "", "large": []}
    found["scored"] = [o.nll for o in student.score(large)]
    gc.collect()
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    if room:
        resource.setrlimit(resource.RLIMIT_AS, (used + room, unlimited[1]))
    try:
        found["large"] = [o.nll for o in student.step(large, 1e-2)]
    except TrainingError as error:
        found["error"], found["hint"] = error.message, error.hint
    finally:
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
    found["after"] = [o.nll for o in student.score(large)]
    print(json.dumps({**found, "tokens": fit.tokens, "checkpointing": fit.checkpointing}))
    student.close()
"""
MIB = 1 << 20
LINUX = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits address space as Linux does")


@pytest.fixture(scope="module")
def wide(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose passes need much more memory than its weights: 1,000 tokens keep about 200 MiB."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = shutil.copytree(tiny_model_folder, tmp_path_factory.mktemp("wide") / "model")
    config = LlamaConfig(
        vocab_size=300, hidden_size=64, intermediate_size=1536, num_hidden_layers=10, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=1024, initializer_range=0.1, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=0, pad_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@LINUX
def test_what_does_not_fit_is_done_in_smaller_parts_then_with_checkpoints_then_refused(wide: Path) -> None:
    rows, row = (4, 200), (1, 1000)
    cases = [(0, "off", 0, *rows), (90 * MIB, "off", 0, *rows), (0, "off", 0.1, *row), (120 * MIB, "auto", 0.1, *row),
             (120 * MIB, "off", 0.1, *row)]  # fmt: skip
    # freed memory goes back at once, so that what is used can be measured
    quiet = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(wide), json.dumps(cases)],
        capture_output=True, text=True, env={**os.environ, **quiet},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    whole, parts, one, checked, refused = (json.loads(line) for line in done.stdout.splitlines())
    assert (whole["tokens"], whole["checkpointing"], whole["error"]) == (1024, False, "")
    assert (parts["tokens"] < 800, parts["checkpointing"], parts["error"]) == (True, False, "")
    _assert_same(parts, whole, 1e-4)
    assert (one["tokens"], one["checkpointing"], one["error"]) == (1024, False, "")
    assert (checked["checkpointing"], checked["error"]) == (True, "")
    _assert_same(checked, one, 1e-6)  # the same dropped units, too
    assert refused["error"] == "out of memory on cpu: 1000 tokens at a time do not fit"
    assert "gradient_checkpointing = auto" in refused["hint"]
    assert refused["large"] == []
    assert refused["after"] == refused["scored"] == one["scored"]


def _assert_same(mine: dict[str, Any], other: dict[str, Any], close: float) -> None:
    for part in ("before", "large", "after"):
        assert mine[part] == pytest.approx(other[part], rel=close), part
