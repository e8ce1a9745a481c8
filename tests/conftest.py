"""Fixtures shared by the whole suite."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("no clock", deadline=None)  # a busy machine is no fault of the code
hypothesis.settings.load_profile("no clock")

CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL_TOKENS = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]

#: Folders whose tests start models, servers, browsers or whole runs.
SLOW = {"backends", "cli", "examples", "recipe", "stages"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).parts[0] in SLOW:
            item.add_marker(pytest.mark.slow)


class Started:
    """Starts Python processes; every one that they leave behind can be found by its environment, in /proc."""

    MARK = "DSA_LITE_STARTED_BY_TEST"

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self._started: list[subprocess.Popen[str]] = []

    def start(self, command: list[str], cwd: Path, **env: str) -> subprocess.Popen[str]:
        # Whoever runs the tests in the background has them ignore Ctrl-C, and so would the process.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=cwd,
            env={**os.environ, self.MARK: self.mark, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def launch(self, words: list[str], cwd: Path) -> subprocess.Popen[str]:
        """Two processes of one launch: as torchrun, and `accelerate launch`, which calls the same module."""
        address = ["--nproc-per-node", "2", "--master-addr", "127.0.0.1", "--master-port", self.free_port()]
        return self.start(["-m", "torch.distributed.run", *address, *words], cwd)

    @staticmethod
    def free_port() -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return str(probe.getsockname()[1])

    def left_behind(self) -> list[int]:
        wanted = f"{self.MARK}={self.mark}".encode()
        return [int(p.parent.name) for p in Path("/proc").glob("[0-9]*/environ") if wanted in _environment(p)]

    def assert_nothing_is_left_behind(self, seconds: float) -> None:
        self.wait_until(lambda: not self.left_behind(), seconds, "processes are left behind")

    def kill_rest(self) -> None:
        for pid in self.left_behind():
            os.kill(pid, signal.SIGKILL)
        for process in self._started:
            with process:  # a test that failed has neither waited nor read
                pass

    @staticmethod
    def wait_until(done: Callable[[], bool], seconds: float, message: str) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, message
            time.sleep(0.01)


def _environment(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="session")
def new_started() -> Callable[[], Started]:
    return Started


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama (2 layers, 32 hidden units), byte-level tokenizer and chat template, in Hugging Face's layout."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    folder.mkdir()
    size = _write_tokenizer(folder)
    _write_model(folder, size)
    return folder


def _write_tokenizer(folder: Path) -> int:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = ["the sum of the digits is the answer", "the derivative of the power rule"]
    tokenizer.train_from_iterator(texts * 4, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": "<|end|>", "pad_token": {"content": "<|end|>"}, "chat_template": CHAT_TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return int(tokenizer.get_vocab_size())


def _write_model(folder: Path, vocabulary: int) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=None,
    )
    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)


HARDWARE = ("cuda", "gpu", "mps", "apple")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No hidden skips: with DSA_LITE_REQUIRE=torch,llama_cpp,openai,mlx a skip that names one of these fails the run.

    A test that lacks hardware may be skipped, if its reason says so.
    """
    required = [name for name in os.environ.get("DSA_LITE_REQUIRE", "").split(",") if name]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    for report in reporter.stats.get("skipped", []) if required and reporter is not None else []:
        reason = str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)
        named = any(name in f"{report.nodeid} {reason}" for name in required)
        if named and not any(word in reason.lower() for word in HARDWARE):
            reporter.write_line(f"\nSKIPPED, BUT REQUIRED BY DSA_LITE_REQUIRE: {report.nodeid}: {reason}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
