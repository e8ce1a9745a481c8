"""The recipe of the bundled models: what is trained is what Hugging Face and llama.cpp then run."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for needed in ("transformers", "tokenizers", "gguf", "llama_cpp"):
    pytest.importorskip(needed)

from llama_cpp import Llama  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from dsa_lite_formats.answering import without_amx  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2]))  # `examples` is not an installed package

from examples.tiny_models import gguf_export, stream, tokenizer  # noqa: E402
from examples.tiny_models.model import Config, TinyLlama, save_hf  # noqa: E402
from examples.tiny_models.train import Settings, train  # noqa: E402

CONFIG = Config(vocab=512, hidden=64, layers=2, heads=2, ffn=96, context=128)
STRANGE = "aZ09 .,:;'\"{}[]<>|\n\r\t\\/_-+=éüßñ中文字日本🙂👍🏽ıİ\u00a0\u3000\u0301٣½'s't"


def documents(seed: int) -> Iterator[stream.Document]:
    """Endless small sums, with some odd text so that the tokenizer has something to merge."""
    source = random.Random(seed)
    while True:
        a, b = source.randrange(100), source.randrange(100)
        word = "".join(source.choice("abcdefghij") for _ in range(4))
        yield [(f"<|user|>Compute {a}+{b} for {word}.", 0.1), (f"<|assistant|>Answer: {a + b}<|end|>", 1.0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokenizer, prepared rows, a model with random weights as Hugging Face folder and as GGUF."""
    out = tmp_path_factory.mktemp("tiny")
    texts = [text for document in islice(documents(1), 2000) for text, _ in document]
    learned = tokenizer.build(texts, CONFIG.vocab)
    tokenizer.save(learned, out / "tokenizer", CONFIG.context)
    stream.prepare(learned, documents(2), rows=40, length=64, folder=out / "rows")
    save_hf(random_model(), out / "tokenizer", out / "hf")
    gguf_export.export(out / "hf", out / "tiny.gguf", "tiny", "Apache-2.0", "a test")
    return out


def random_model() -> TinyLlama:
    """A model whose logits are spread enough to tell right from wrong."""
    torch.manual_seed(0)
    model = TinyLlama(CONFIG)
    with torch.no_grad():
        model.embed_tokens.weight.mul_(20)
    return model.eval()


@pytest.fixture(scope="module")
def llama(folder: Path) -> Llama:
    with without_amx():
        return Llama(str(folder / "tiny.gguf"), n_ctx=128, n_threads=1, logits_all=True, verbose=False)


def sample_ids(count: int, length: int) -> np.ndarray:
    return np.random.default_rng(3).integers(4, CONFIG.vocab, (count, length))


def test_transformers_gives_the_same_logits(folder: Path) -> None:
    ids = torch.from_numpy(sample_ids(3, 50))
    with torch.no_grad():
        ours, theirs = random_model()(ids), AutoModelForCausalLM.from_pretrained(folder / "hf")(ids).logits
    assert (ours - theirs).abs().max() < 1e-4


def test_transformers_loads_the_tokenizer(folder: Path) -> None:
    loaded = AutoTokenizer.from_pretrained(folder / "hf")
    messages = [{"role": "system", "content": "no"}, {"role": "user", "content": "Hi 12"}]
    text = loaded.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<|user|>Hi 12<|assistant|>"
    ids = loaded(text)["input_ids"]
    assert ids == tokenizer.load(folder / "tokenizer").encode(text).ids
    assert (loaded.decode(ids), loaded.eos_token, loaded.pad_token) == (text, "<|end|>", "<|end|>")


def test_a_token_only_sees_its_own_document() -> None:
    model, ids = random_model(), torch.from_numpy(sample_ids(1, 20))
    docs = np.array([[0] * 8 + [1] * 12], np.uint8)
    mask = stream.make_batch(ids.numpy().astype(np.uint16), docs, docs).mask
    with torch.no_grad():
        packed, apart = model(ids, mask), torch.cat((model(ids[:, :8]), model(ids[:, 8:])), dim=1)
    assert (packed - apart).abs().max() < 1e-3


def test_llama_cpp_tokenizes_alike(folder: Path, llama: Llama) -> None:
    learned, source = tokenizer.load(folder / "tokenizer"), random.Random(4)
    texts = ['{"a": [1, 2.5, "x"]}\n\n  end', "<|user|>It's 2024-01-31.<|assistant|>Answer: 7<|end|>"]
    texts += ["".join(source.choice(STRANGE) for _ in range(source.randrange(1, 40))) for _ in range(200)]
    for text in texts:
        ids = llama.tokenize(text.encode(), add_bos=True, special=True)
        assert ids == learned.encode(text).ids, repr(text)


def test_llama_cpp_gives_close_logits(llama: Llama) -> None:
    ids, model, agreed = sample_ids(4, 40), random_model(), 0
    for row in ids:
        llama.reset()
        llama.eval(row.tolist())
        theirs = torch.from_numpy(np.array(llama.scores[: len(row)]))
        with torch.no_grad():
            ours = model(torch.from_numpy(row)[None])[0]
        assert (ours - theirs).std() < 0.03 * ours.std()
        agreed += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
    assert agreed >= 0.95 * ids.size


def test_prepared_rows_hold_the_documents(folder: Path) -> None:
    learned = tokenizer.load(folder / "tokenizer")
    ids, weights, docs = (np.load(folder / "rows" / f"{name}.npy") for name in ("ids", "weights", "docs"))
    expected = {"".join(text for text, _ in document) for document in islice(documents(2), 2000)}
    for row, weight, number in zip(ids, weights, docs, strict=True):
        for document in range(number[number != 255].max() + 1):
            here = number == document
            assert learned.decode(row[here].tolist(), skip_special_tokens=False) in expected
            answer = int(np.flatnonzero(row[here] == learned.token_to_id("<|assistant|>"))[0])
            assert weight[here].tolist() == [0] + [10] * (answer - 1) + [100] * (here.sum() - answer)
    assert (weights[docs == 255] == 0).all()


def steps(folder: Path, checkpoint: Path | None = None, stop_after: int | None = None) -> tuple[list[float], TinyLlama]:
    """Losses and model of a short training, resumed where the checkpoint stands."""
    torch.manual_seed(5)
    model = TinyLlama(CONFIG)
    settings = Settings(steps=5, warmup=2, micro_rows=4, compiled=False)
    batches = stream.Stream(folder / "rows", 8, 5).batch
    losses = train(model, batches, settings, checkpoint, True, stop_after, log=lambda _: None)
    return losses, model


def test_same_seed_same_losses_and_they_fall(folder: Path) -> None:
    first, second = steps(folder)[0], steps(folder)[0]
    assert first == second
    assert len(first) == 5
    assert first[-1] < first[0]


def test_resumed_is_as_if_never_stopped(folder: Path, tmp_path: Path) -> None:
    whole, straight = steps(folder)
    begun, _ = steps(folder, tmp_path / "state.pt", stop_after=2)
    rest, resumed = steps(folder, tmp_path / "state.pt")
    assert begun + rest == whole
    for left, right in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(left, right)


def test_a_checkpoint_of_another_training_is_refused(folder: Path, tmp_path: Path) -> None:
    steps(folder, tmp_path / "state.pt", stop_after=1)
    other = Settings(steps=9, compiled=False)
    batches = stream.Stream(folder / "rows", 8, 5).batch
    with pytest.raises(ValueError, match="other settings"):
        train(TinyLlama(CONFIG), batches, other, tmp_path / "state.pt", resume=True)
