"""A base in parts on two processes: the same student as the whole one in one process, whatever goes wrong."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dsa_lite.errors import UsageError
from dsa_lite.student import StudentOptions
from dsa_lite.testing import make_batch

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to find child processes")


#: Largest difference between what two processes find and what one finds, as a share of an observation or of the largest
#: element of a gradient: rounding, in another order of addition.
TOLERANCE = 1e-4

#: For every case: observations, gradients and replies of a whole and of a sharded student; what is left of the whole.
SAME = """
import gc, json, sys
import torch
from dsa_lite.student import Sampling, StudentOptions
from dsa_lite.testing import make_batch, student_checks as checks
from dsa_lite_torch import join_processes, open_student
from dsa_lite_torch.student import TorchStudent

ROWS = [list(range(5, 24)), [7, 9], [30, 12, 31, 40, 41, 42, 8], [9] * 12, list(range(60, 71))]
BATCHES = [([0, 1, 2, 3, 4], [1, 2, 0, 0.5, 1]), ([2], [1]), ([0, 1, 2], [0, 0, 1]), ([3, 4], [1, 1]), ([0, 4], [1, 0])]

def batches():
    for rows, weights in BATCHES:
        yield make_batch({str(i): (ROWS[i], range(1, len(ROWS[i]))) for i in rows}, weights)

def results(student):
    seen, gradients, replies = [], [], []
    for batch in batches():
        seen.append([o.nll for o in student.step(batch, 1e-2)])
        gradients.append(student._state.values.grad.clone())
        seen.append([o.nll for o in student.score(batch)])
    fork = student.fork()
    seen.append([o.nll for o in fork.step(batch, 1e-2)])
    gradients.append(fork._state.values.grad.clone())
    fork.close()
    prompts = [row[:n] for n, row in enumerate(ROWS, 2)]
    for some in (prompts, prompts[:1]):
        replies += [student.generate(some, 9), student.generate(some, 9, adapter=False),
                    student.generate(some, 9, sampling=Sampling(1.0, range(len(some))))]
    return seen, gradients, replies

def matrices(student):
    blocks = student._shared.lora.base.model.named_parameters()
    return [p for name, p in blocks if ".0." in name and "lora" not in name and p.dim() == 2]

def whole_ones(shapes):
    gc.collect()
    tensors = [t for t in gc.get_objects() if type(t) in (torch.Tensor, torch.nn.Parameter)]
    return sum(t.shape in shapes and t.untyped_storage().nbytes() > 0 for t in tensors)

if join_processes():
    found = []
    for folder, settings in json.loads(sys.argv[1]):
        options = StudentOptions(lora_rank=4, lora_alpha=8, device="cpu", threads=1, **settings)
        student = open_student(folder, options.model_copy(update={"shard": True}))
        own = matrices(student)
        case = {"about": student.device, "bytes": [sum(p.numel() for p in own), sum(p.to_local().numel() for p in own)],
                "whole": [whole_ones({p.shape for p in own})]}
        seen, gradients, replies = results(student)
        case["whole"].append(whole_ones({p.shape for p in own}))
        student.close()
        alone = TorchStudent.open(folder, options)
        case["alone"] = alone.device
        expected, wanted, texts = results(alone)
        alone.close()
        found.append({**case, "seen": seen, "expected": expected, "replies": replies, "texts": texts,
                      "off": [float((g - w).abs().max() / w.abs().max()) for g, w in zip(gradients, wanted)]})
        del student, alone, own
    folder = json.loads(sys.argv[1])[0][0]
    for check in (checks.check_packed_rows, checks.check_resume, checks.check_not_finite, checks.check_saves_adapter):
        check(lambda options: open_student(folder, options.model_copy(update={"shard": True})))
    print(json.dumps(found))
"""

#: The n-th block that a process goes into in a pass over a token 200 + n is out of memory: once; for 250 + n always.
#: Blocks entered again for the gradient count, too. Before all that, the second process fails in its very first pass.
FAULTS = """
import json, os, sys
import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from dsa_lite.errors import DsaError
from dsa_lite.student import StudentOptions
from dsa_lite.testing import make_batch
from dsa_lite_torch import join_processes, open_student
from dsa_lite_torch.student import TorchStudent

here = {"faults": True, "early": os.environ["RANK"] == "1", "blocks": 0, "done": set()}

def fail(module, inputs):
    kind = type(module).__name__
    if here["early"] and kind == "FSDPLlamaModel":
        here["early"] = False
        raise ValueError("early")
    if kind == "Embedding":
        token = max([t for t in inputs[0].flatten().tolist() if 200 < t < 300], default=0)
        here["blocks"] = 0 if token in here["done"] or not here["faults"] else token % 50
        here["done"] |= {token} if token < 250 else set()
    elif kind == "LlamaMLP" and here["blocks"] > 0:
        here["blocks"] -= 1
        if here["blocks"] == 0:
            raise torch.OutOfMemoryError("out of memory")

register_module_forward_pre_hook(fail)

def batch(token=5):
    # equal rows go to the processes in turn: an even token to the first
    rows = [[5 + n, 6 + n, 30, 40 - n, 50, n] for n in range(8)]
    rows[token % 2][1] = token
    return make_batch({str(i): (row, range(1, len(row))) for i, row in enumerate(rows)})

def results(student, faults):
    def step(*token):
        return [o.nll for o in student.step(batch(*token), 1e-2)]

    prompts = [[5, 6, 7], [5, 203], [8, 9, 10, 11]]
    seen = [step(faults[0]), step(faults[1]), step()]
    seen += [[o.nll for o in student.score(batch(token))] for token in (203, 204)]
    replies = student.generate(prompts, 9)
    refused = []
    for work in (lambda: step(252), lambda: step(251), lambda: step(256), lambda: step(257), lambda: step(100000),
                 lambda: step(100001), lambda: student.score(batch(254)), lambda: student.generate([[5], [253]], 3)):
        if here["faults"]:
            try:
                work()
            except Exception as error:
                refused.append(f"{type(error).__name__}: {error}")
    seen += [step(), step(), [o.nll for o in student.score(batch())]]
    return {"seen": seen, "refused": refused, "replies": [replies, student.generate(prompts, 9)]}

if join_processes():
    found, early = [], []
    for checkpointing, faults in ("auto", (202, 201)), ("on", (206, 207)):
        options = StudentOptions(lora_rank=4, device="cpu", threads=1, precision="float32",
                                 gradient_checkpointing=checkpointing)
        here.update(faults=True, done=set())
        student = open_student(sys.argv[1], options.model_copy(update={"shard": True}))
        if not found:
            try:
                student.step(batch(), 1e-2)
            except DsaError as error:
                early.append(error.message)
        found.append([results(student, faults)])
        student.close()
        here["faults"] = False
        found[-1].append(results(TorchStudent.open(sys.argv[1], options), faults))
    print(json.dumps([early, found]))
"""


class Launches:
    """Starts programs in two processes, in `folder`. `started`: see conftest.py."""

    def __init__(self, folder: Path, started: Any) -> None:
        self.folder, self.started = folder, started

    def program(self, text: str) -> str:
        (self.folder / "program.py").write_text(text, encoding="utf-8")
        return "program.py"

    def results(self, program: str, *words: str) -> Any:
        process = self.started.launch([self.program(program), *words], self.folder)
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        assert stdout.count("\n") == 1, "only the first process prints"
        self.started.assert_nothing_is_left_behind(60)
        return json.loads(stdout)


@pytest.fixture(scope="module")
def deep(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of four layers with biases."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=68, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=1, max_position_embeddings=256, attention_bias=True, tie_word_embeddings=True,
        initializer_range=0.2, bos_token_id=None, eos_token_id=0, pad_token_id=None,
    )  # fmt: skip
    return _saved(LlamaForCausalLM, config, tiny_model_folder, tmp_path_factory.mktemp("deep"))


@pytest.fixture(scope="module")
def transposed(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2, whose matrices lie the other way round; 3 layers, 30 hidden units: odd sizes of parts."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=300, n_embd=30, n_layer=3, n_head=2, n_positions=64, initializer_range=0.2, bos_token_id=None,
        eos_token_id=0, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return _saved(GPT2LMHeadModel, config, tiny_model_folder, tmp_path_factory.mktemp("transposed"))


def _saved(kind: Any, config: Any, tokenizer: Path, folder: Path) -> Path:
    shutil.copytree(tokenizer, folder, dirs_exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kind(config).save_pretrained(folder)
    return folder


@pytest.fixture
def launches(tmp_path: Path, new_started: Callable[[], Any]) -> Iterator[Launches]:
    yield Launches(tmp_path, started := new_started())
    started.kill_rest()


@needs_proc
def test_parts_teach_and_write_what_the_whole_does(launches: Launches, deep: Path, transposed: Path) -> None:
    exact = {"precision": "float32"}
    cases = [
        (str(deep), {**exact, "weight_decay": 0.1, "gradient_checkpointing": "on"}),
        (str(deep), {**exact, "micro_batch_tokens": 12}),  # many passes, not the same number in both
        (str(transposed), exact),
    ]
    for case in launches.results(SAME, json.dumps(cases)):
        assert len(case["seen"]) == 11
        for mine, others in zip(case["seen"], case["expected"], strict=True):
            assert mine == pytest.approx(others, rel=TOLERANCE)
        assert len(case["off"]) == 6
        assert max(case["off"]) < TOLERANCE
        assert case["seen"][8][0] != pytest.approx(case["seen"][0][0], rel=0.01), "nothing was learned"
        assert case["replies"] == case["texts"]
        assert case["about"] == f"{case['alone']}, 2 processes, base sharded"
        whole, own = case["bytes"]
        assert own == pytest.approx(whole / 2, rel=0.02)
        assert case["whole"] == [0, 0], "matrices that are still whole, before and after the passes"


@needs_proc
def test_a_fault_in_one_process(launches: Launches, deep: Path) -> None:
    """Memory that runs out in the middle of a pass, forward or backward: done again there in smaller parts, or refused
    in all processes, as bad input is. Nothing hangs, and the student goes on as if nothing had been."""
    full, missing = "out of memory on cpu", "IndexError: index out of range"
    early, cases = launches.results(FAULTS, str(deep))
    assert len(early) == 1
    assert re.fullmatch("process 1 on .*: ValueError: early", early[0])
    for sharded, whole in cases:
        assert len(sharded["seen"]) == 8
        for mine, others in zip(sharded["seen"], whole["seen"], strict=True):
            assert mine == pytest.approx(others, rel=TOLERANCE)
        assert sharded["replies"] == whole["replies"]
        assert len(sharded["refused"]) == 8
        for number, said in enumerate(sharded["refused"]):
            assert (missing if number in (4, 5) else full) in said
            assert (": process 1 on " in said) == (number % 2 == 1)


def test_in_one_process_the_base_stays_whole_and_says_so(tiny_model_folder: Path) -> None:
    from dsa_lite_torch import open_student

    options = StudentOptions(lora_rank=4, device="cpu", threads=1, precision="float32")
    seen = []
    for shard in (False, True):
        student = open_student(str(tiny_model_folder), options.model_copy(update={"shard": shard}))
        seen.append([o.nll for o in student.score(make_batch({"a": ([5, 6, 7], [1, 2])}))])
        assert ("not sharded in one process" in student.device) == shard
        student.close()
    assert seen[0] == seen[1]


def test_a_quantised_base_is_not_sharded(tiny_model_folder: Path) -> None:
    from dsa_lite_torch import open_student

    options = StudentOptions(lora_rank=4, device="cpu", threads=1, quantize="4bit", shard=True)
    with pytest.raises(UsageError, match=r"student\.shard does not go together with student\.quantize = 4bit"):
        open_student(str(tiny_model_folder), options)
