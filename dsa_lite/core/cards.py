"""README.md of what is exported: what it is, what it was made from, what is known of it, how it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from dsa_lite.core.statistics import wilson

#: Stands in every card, so that an export can be told from other folders.
MADE_BY = "<!-- written by dsa-lite export -->"
_LIBRARY = {"peft": "peft", "merged": "transformers", "mlx": "mlx"}
_WHAT = {
    "peft": "A LoRA adapter in PEFT's format.",
    "merged": "A model with its LoRA adapter merged in, in Hugging Face's format.",
    "gguf-adapter": "A LoRA adapter as a GGUF file, for llama.cpp.",
    "gguf": "A model with its LoRA adapter merged in, as a GGUF file for llama.cpp and what builds on it.",
    "ollama": "A model with its LoRA adapter merged in, as a GGUF file, and a Modelfile for Ollama.",
    "mlx": "A LoRA adapter in mlx-lm's format.",
}
_SETS = {"eval": "what was taught", "transfer": "topics combined in ways never shown", "general": "what it knew before"}


def model_card(facts: Mapping[str, Any]) -> str:
    """The card of an exported model. `facts`: kind name base skill seed licence summary files check settings."""
    kind, path = facts["kind"], PurePath(facts["base"])
    base = path.name if path.is_absolute() else str(facts["base"])
    head = ["---", f"base_model: {json.dumps(base, ensure_ascii=False)}", "tags: [dsa-lite, lora]"]
    head += [f"library_name: {_LIBRARY[kind]}"] if kind in _LIBRARY else []
    licence = facts["licence"]
    head += [f"license: {licence}"] if licence else []
    stated = f"{licence}, as the base's card states" if licence else "unknown: the base's folder states none"
    body = [
        f"# {facts['name']}", _WHAT[kind],
        "\n".join([
            f"- base: {base}", f"- skill: {facts['skill']}", f"- training: dsa-lite, seed {facts['seed']}",
            f"- adapter: {_adapter(facts['settings'])}", f"- licence: {stated}",
        ]),
        _figures(facts["summary"]), _checked(facts["check"]), "## Use\n\n" + _use(facts, base),
    ]  # fmt: skip
    return "\n".join([*head, "---", "", MADE_BY, "", "\n\n".join(part for part in body if part), ""])


def _adapter(settings: Mapping[str, Any]) -> str:
    mlx = settings.get("lora_parameters") or {}
    rank, alpha = settings.get("r"), settings.get("lora_alpha")
    if mlx:
        rank, alpha = mlx.get("rank"), mlx.get("rank", 0) * mlx.get("scale", 0)
    return f"LoRA, rank {rank}, alpha {alpha:g}" if rank and alpha else "LoRA"


def _figures(summary: Mapping[str, Any]) -> str:
    before, after = summary.get("before") or {}, summary.get("after") or {}
    rows = []
    for name, meaning in _SETS.items():
        old, new = before.get(name) or {}, after.get(name) or {}
        if old.get("n") and new.get("n"):
            rows.append(f"| {name} ({meaning}) | {new['n']} | {_share(old)} | {_share(new)} |")
    if not rows:
        return "No figures: the run was not evaluated."
    table = ["| held-out set | items | base | with adapter |", "|---|---|---|---|", *rows]
    one = "Share of right answers with its 95 % interval over the items; one seed. Measured on the student in training."
    return "\n".join(["## Figures", "", *table, "", one])


def _share(figure: Mapping[str, Any]) -> str:
    return f"{100 * figure['accuracy']:.1f} % ({100 * figure['low']:.0f}-{100 * figure['high']:.0f})"


def _checked(check: tuple[int, int, str] | None) -> str:
    if check is None:
        return "These files were not compared with the student."
    asked, same, what = check
    low, _ = wilson(same, asked)
    return (
        f"Loaded afresh, these files gave the student's own greedy answer on {same} of {asked} {what} "
        f"(at least {100 * low:.0f} % of all, with 95 % confidence)."
    )


def _use(facts: Mapping[str, Any], base: str) -> str:
    kind, name = facts["kind"], facts["name"]
    file = next((f for f in facts["files"] if f.endswith(".gguf")), "model.gguf")
    load = "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
    lines = {
        "peft": ("python", f"from peft import PeftModel\n{load}"
                 f"model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({base!r}), 'THIS_FOLDER')"),
        "merged": ("python", f"{load}model = AutoModelForCausalLM.from_pretrained('THIS_FOLDER')\n"
                   "tokenizer = AutoTokenizer.from_pretrained('THIS_FOLDER')"),
        "gguf-adapter": ("sh", f"llama-cli -m BASE.gguf --lora {file}"),
        "gguf": ("sh", f"llama-cli -m {file}"),
        "ollama": ("sh", f"ollama create {name.lower()} -f Modelfile && ollama run {name.lower()}"),
        "mlx": ("sh", f"mlx_lm.generate --model {base} --adapter-path THIS_FOLDER --prompt '…'"),
    }  # fmt: skip
    language, text = lines[kind]
    return f"```{language}\n{text}\n```"


def dataset_card(skill: str, counts: Mapping[str, int]) -> str:
    """The card of exported training data. `counts`: lines of each file."""
    configs = ["configs:", "- config_name: exercises", "  default: true", "  data_files:"]
    configs += [f"  - {{split: {split}, path: {file}}}" for split, file in
                (("train", "train.jsonl"), ("validation", "valid.jsonl")) if counts.get(file)]  # fmt: skip
    for name in ("textbooks", "removed"):
        if counts.get(f"{name}.jsonl"):
            configs += [f"- config_name: {name}", f"  data_files: {name}.jsonl"]
    files = "\n".join(f"- `{file}`: {count:,} lines" for file, count in counts.items())
    return "\n".join([
        "---", *configs, "tags: [dsa-lite, synthetic]", "---", "", MADE_BY, "", f"# Training data of {skill}", "",
        "Written by a teacher model, checked by program as far as possible, sorted by how a student learned it. "
        "Some of it is wrong. Licence: unknown, that of what the teacher writes.", "", files, "",
        "`train.jsonl` and `valid.jsonl` (every twentieth, by its id): `messages`, and what the run knows of each "
        "exercise: `id`, `skill`, `skills` (in order of use), `origin`, `round` it was written after, `region` and "
        "`weight` of the last decision (1: counts in full). `removed.jsonl`: the same for what the run threw out. "
        "`textbooks.jsonl`: `text`, `id`, `skill`. `parquet/`, where it is there, holds the same rows. "
        f"`dataset_info.json` is for LLaMA-Factory (`dataset_dir: THIS_FOLDER`, `dataset: {skill}`).", "",
    ])  # fmt: skip
