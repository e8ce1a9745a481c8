"""The exported data set, read back by those it is for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dsa_lite
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.io.training_data import training_data, write_training_data
from dsa_lite.records import Exercise, Textbook

HALF = "half a pair: \ud83d"  # JSON can spell it, no file can hold it


@pytest.fixture
def written(tmp_path: Path) -> Path:
    with RunDir.open(tmp_path / "run", {"skill": "sums"}, {}) as run:
        for i in range(60):
            fields: dict[str, Any] = {"answer": str(i + 1), "skills": ("addition",), "origin": "single"}
            fields["solution"] = f"{i} + 1 = {i + 1}."
            run.exercises().append(Exercise(id=f"e{i:02d}", problem=f"What is {i} + 1?", **fields))
        run.textbooks().append(Textbook(id="t1", skill="addition", text="Adding is counting on — 数える."))
        files = training_data(run)
    files["train.jsonl"][0]["messages"][1]["content"] += HALF
    folder = tmp_path / "out"
    folder.mkdir()
    notes = write_training_data(files, folder, "sums")
    assert ["pyarrow" in note for note in notes] in ([], [True])
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_parquet_holds_the_same_rows(written: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("train", "valid", "textbooks"):
        rows = parquet.read_table(written / "parquet" / f"{name}.parquet").to_pylist()
        assert rows == lines(written / f"{name}.jsonl")
        assert rows
    assert {p.stem for p in (written / "parquet").iterdir()} == {p.stem for p in written.glob("*.jsonl")}


def test_llama_factory_is_told_where_the_chats_are(written: Path) -> None:
    told = json.loads((written / "dataset_info.json").read_text(encoding="utf-8"))
    assert list(told) == ["sums", "sums_valid"]
    for entry in told.values():
        tags = entry["tags"]
        chat = lines(written / entry["file_name"])[0][entry["columns"]["messages"]]
        assert [m[tags["role_tag"]] for m in chat] == [tags["user_tag"], tags["assistant_tag"]]
        assert all(m[tags["content_tag"]] for m in chat)


def test_mlx_lm_reads_the_folder(written: Path) -> None:
    loading = pytest.importorskip("mlx_lm.tuner.datasets")
    from types import SimpleNamespace

    from mlx_lm.tokenizer_utils import load

    tokenizer = load(Path(dsa_lite.__file__).parent / "bundled" / "student")
    train, valid, _ = loading.load_local_dataset(written, tokenizer, SimpleNamespace(mask_prompt=True))
    assert (len(train), len(valid)) == (len(lines(written / "train.jsonl")), len(lines(written / "valid.jsonl")))
    ids, offset = train.process(train[0])
    assert tokenizer.decode(ids[offset:]).startswith(train[0]["messages"][1]["content"])


def test_datasets_loads_the_folder_with_its_splits(written: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    from dsa_lite.core.cards import dataset_card

    counts = {p.name: len(lines(p)) for p in written.glob("*.jsonl")}
    (written / "README.md").write_text(dataset_card("sums", counts), encoding="utf-8")
    found = datasets.load_dataset(str(written), cache_dir=str(tmp_path / "cache"))
    assert {name: split.num_rows for name, split in found.items()} == {
        "train": counts["train.jsonl"],
        "validation": counts["valid.jsonl"],
    }
    assert found["train"][0] == lines(written / "train.jsonl")[0]
