"""The library from Python: the example script and the notebook, each run as it stands, and what they leave."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dsa_lite
from dsa_lite.errors import ConfigError, UsageError

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the script has been run, and what it said."""
    pytest.importorskip("torch")
    pytest.importorskip("llama_cpp")
    folder = tmp_path_factory.mktemp("script")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "from_python.py")], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (folder / "said.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def test_the_script_is_ten_lines_and_tells_the_story(place: Path) -> None:
    code = (EXAMPLES / "from_python.py").read_text(encoding="utf-8").partition('"""\n')[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    said = (place / "said.txt").read_text(encoding="utf-8")
    for words in ("StageFinished(stage='tune'", "eval: 0% before", "general: ", "| before: ", "report.html"):
        assert words in said


def test_a_run_is_opened_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = dsa_lite.Run(place / "runs" / "from-python")
    monkeypatch.chdir(place)
    assert run.summary["seed"] == 0
    assert (run.adapter / "adapter_config.json").is_file()
    assert run.report.is_file()
    rows = run.data_map()
    assert [row["example"] for row in rows] == sorted(row["example"] for row in rows)
    assert {"region", "loss", "deviation", "weight", "problem", "skill"} <= rows[0].keys()
    asked = ["Compute 2+3.", "Compute 4+5."]
    answers = run.ask_all(asked)
    assert answers[1] == run.ask(asked[1])
    assert "5" in run.ask("Compute 2+3.", before=True)
    written = run.export("dataset", place / "data")
    assert "train.jsonl" in [name for name, _ in written.files]
    again = dsa_lite.run(
        "calculus", out=run.folder, rounds=1,
        settings={
            "textbooks.per_skill": 1, "evaluate": {"limit": 10}, "graph.expand": False,
            "exercises": {"single_per_skill": 3, "composed_per_skill": 0},
        },
        on_event=(events := []).append,
    )  # fmt: skip
    assert {getattr(event, "status", "reused") for event in events} == {"reused"}, "nothing was to be done"
    assert again.summary == run.summary


def test_what_is_wrong_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run folder"):
        dsa_lite.Run(tmp_path)
    with pytest.raises(ConfigError, match=r"settings: tune\.epoch: unknown setting"):
        dsa_lite.run("calculus", out=tmp_path / "x", settings={"tune": {"epoch": 2}})
    with pytest.raises(ConfigError, match=r"flags: tune\.rounds"):
        dsa_lite.run("calculus", out=tmp_path / "x", settings={"tune.rounds": 2}, rounds=0)
    assert not (tmp_path / "x").exists()
    with pytest.raises(AttributeError, match="'runn'"):
        _ = dsa_lite.runn  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore")  # Jupyter's own
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("llama_cpp")
    pytest.importorskip("matplotlib")
    pytest.importorskip("ipykernel")
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "kept without outputs"
    nbclient.NotebookClient(notebook, timeout=540, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs), "no data map was drawn"
    said = "".join(output.get("text", "") for output in outputs)
    assert "tune: " in said
    assert "eval: 0% before" in said
    assert (tmp_path / "runs" / "notebook" / "report.html").is_file()
