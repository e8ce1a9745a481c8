"""`dsa-lite doctor`: what this machine has, what is missing, what really computes, and the line that helps."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from dsa_lite.cli.failure import debug_option

#: Extra -> its packages; a test compares it with pyproject.toml.
EXTRAS = {
    "llama-cpp": ("llama-cpp-python",),
    "torch": ("torch", "transformers", "peft", "safetensors"),
    "qlora": ("bitsandbytes",),
    "mlx": ("mlx", "mlx-lm", "safetensors", "tokenizers"),
    "openai": ("openai", "jsonschema"),
    "export": ("gguf", "sentencepiece", "tokenizers"),
    "dataset": ("pyarrow",),
    "docs": ("pypdf", "beautifulsoup4"),
}
#: What the bundled job needs; the other extras are a matter of taste.
NEEDED = ("llama-cpp", "torch")
#: Kept away from the network by `run` unless the user set these to something else.
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_YES = {"1", "ON", "YES", "TRUE"}
#: Below this much memory or disk, bytes, one is told.
_LITTLE = 2e9
_COMPILER_LINES = {
    "Darwin": "xcode-select --install",
    "Linux": "sudo apt install build-essential (Debian, Ubuntu), sudo dnf install gcc-c++ make (Fedora)",
    "Windows": "winget install Microsoft.VisualStudio.2022.BuildTools",
}
#: Asked in a process of their own: a native library that does not suit the machine kills only that.
_TORCH = """
import json, torch
mps = getattr(torch.backends, "mps", None)
if torch.cuda.is_available():
    device = f"cuda ({torch.cuda.get_device_name(0)}, {torch.cuda.get_device_properties(0).total_memory / 1e9:.0f} GB)"
elif mps is not None and mps.is_available():
    device = "mps (Apple GPU)"
else:
    device = f"cpu ({torch.get_num_threads()} threads)"
print(json.dumps(device))
"""
_LLAMA_CPP = """
import json, llama_cpp
gpu = llama_cpp.llama_supports_gpu_offload()
print(json.dumps("GPU, as many layers as fit" if gpu else "cpu (llama.cpp built without GPU support)"))
"""


@click.command(
    "doctor",
    short_help="Check this machine and the installation.",
    epilog="\b\nExample:\n  dsa-lite doctor\n\nExit code 1 when something is missing that a run needs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
@click.pass_context
def doctor_command(context: click.Context, as_json: bool) -> None:
    """Check this machine: Python, memory, disk, compiler, GPU, backends, bundled models, and whether it stays offline.

    What is missing comes with the line that puts it right.
    """
    found = diagnosis()
    if as_json:
        from dsa_lite.cli.text import one_json

        click.echo(one_json(found))
    else:
        _print(found)
    if found["problems"]:
        context.exit(1)


def diagnosis() -> dict[str, Any]:
    """Everything doctor knows, as JSON-ready values. Sizes in bytes.

    `problems`: what a run with the defaults needs; `advice`: what would help. Both end with the line that does it.
    """
    from dsa_lite.io import machine

    extras = {extra: {p: _version(p) for p in packages} for extra, packages in EXTRAS.items()}
    installed = {extra for extra, versions in extras.items() if all(versions.values())}
    found: dict[str, Any] = {
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": machine.cores(),
        "memory": machine.memory(),
        "disk": {"free": machine.free_disk(Path.cwd()), "folder": str(Path.cwd())},
        "compiler": next((c for c in ("c++", "g++", "clang++", "cl") if shutil.which(c)), None),
        "gpus": _nvidia_gpus(),
        "extras": extras,
        "devices": {
            "student": _probe(_TORCH) if "torch" in installed else {"missing": "no torch"},
            "teacher": _probe(_LLAMA_CPP) if "llama-cpp" in installed else {"missing": "no llama.cpp"},
        },
        "bundled_models": {role: _bundled(role) for role in ("teacher", "student")},
        "network": "not used",
        "looked_up": [f"{name}={os.environ[name]}" for name in OFFLINE if _allows_look_ups(name)],
    }
    return {**found, "problems": list(_problems(found, installed)), "advice": list(_advice(found, installed))}


def _problems(found: Mapping[str, Any], installed: set[str]) -> Iterator[str]:
    if "llama-cpp" not in installed and found["compiler"] is None:
        line = _COMPILER_LINES.get(platform.system(), "install one")
        yield f"no C++ compiler, which installing llama.cpp needs: {line}"
    yield from (f"not installed: pip install 'dsa-lite[{extra}]'" for extra in NEEDED if extra not in installed)
    for role, device in found["devices"].items():
        if "error" in device:
            packages = " ".join(EXTRAS["torch" if role == "student" else "llama-cpp"][:1])
            fix = f"pip install --force-reinstall --no-cache-dir {packages}"
            yield f"the {role}'s library does not work here: {device['error']}: {fix}"
    yield from (f"bundled {role} model: {m['error']}" for role, m in found["bundled_models"].items() if "error" in m)


def _advice(found: Mapping[str, Any], installed: set[str]) -> Iterator[str]:
    if "openai" not in installed:
        yield "for a teacher behind a URL: pip install 'dsa-lite[openai]'"
    if "export" not in installed:
        yield "for GGUF files that llama.cpp, Ollama and LM Studio open: pip install 'dsa-lite[export]'"
    if "mlx" not in installed and (platform.system(), platform.machine()) == ("Darwin", "arm64"):
        yield "for training on this Mac's GPU through MLX: pip install 'dsa-lite[mlx]'"
    devices = found["devices"]
    if found["gpus"] and devices["student"].get("device", "").startswith("cpu"):
        yield "PyTorch does not use the GPU: pip install --force-reinstall 'torch>=2.9,<2.14'"
    if found["gpus"] and devices["teacher"].get("device", "").startswith("cpu"):
        pinned = f"llama-cpp-python=={found['extras']['llama-cpp']['llama-cpp-python']}"
        line = f"CMAKE_ARGS=-DGGML_CUDA=on pip install --force-reinstall --no-deps --no-cache-dir {pinned}"
        yield f"llama.cpp does not use the GPU: {line}"
    memory, disk = found["memory"]["available"], found["disk"]
    if memory is not None and memory < _LITTLE:
        yield "little memory is free: close other programs; dsa-lite models shows what fits"
    if disk["free"] < _LITTLE:
        yield "little space on the disk: dsa-lite runs list shows what runs take, dsa-lite runs rm RUN deletes one"
    for setting in found["looked_up"]:
        yield f"{setting} lets libraries ask the network about models: unset {setting.partition('=')[0]}"


def _allows_look_ups(name: str) -> bool:
    """Set, and to something that Hugging Face's libraries do not read as yes."""
    return name in os.environ and os.environ[name].upper() not in _YES


def _nvidia_gpus() -> list[str]:
    """Names of NVIDIA's GPUs as their driver gives them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _probe(program: str) -> dict[str, str]:
    """The answer of a small program run in this Python, or why there is none."""
    command = [sys.executable, "-c", program]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return {"error": "no answer within 120 s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"error": f"{last} (exit code {done.returncode})"}
    return {"device": str(json.loads(done.stdout.strip().splitlines()[-1]))}


def _bundled(role: str) -> dict[str, str]:
    from dsa_lite.errors import DsaError
    from dsa_lite.io.models.choosing import choose_student, choose_teacher

    try:
        choice = choose_teacher(None) if role == "teacher" else choose_student(None, "auto")
    except DsaError as error:
        return {"error": f"{error.message}" + (f" ({error.hint})" if error.hint else "")}
    return {"label": choice.label, "source": str(choice.source)}


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from dsa_lite.cli.tables import heading, stdout_console
    from dsa_lite.cli.text import clean

    console = stdout_console()
    grid = Table.grid(padding=(0, 2))
    for name, words in _lines(found):
        grid.add_row(Text(name, style="bold"), Text(clean(words), overflow="fold"))
    console.print(grid)
    for title, lines, style in (("To do", found["problems"], "yellow"), ("Could be better", found["advice"], "cyan")):
        if lines:
            console.print(heading(title))
        for line in lines:
            console.print(Text(f"  {clean(line)}", style=style), soft_wrap=True)
    if not found["problems"]:
        console.print("\nReady: dsa-lite run calculus")


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    from dsa_lite.cli.text import size

    memory, disk = found["memory"], found["disk"]
    total = "unknown" if memory["total"] is None else size(memory["total"])
    lines = [
        ("python", f"{found['python']['version']} ({found['python']['executable']})"),
        ("system", found["system"]),
        ("cores", str(found["cores"])),
        ("memory", total if memory["available"] is None else f"{size(memory['available'])} available of {total}"),
        ("disk", f"{size(disk['free'])} free at {disk['folder']}"),
        ("compiler", found["compiler"] or "none; needed only to build llama.cpp while installing"),
        ("GPU", ", ".join(found["gpus"]) or "no NVIDIA GPU (what is used stands below)"),
    ]
    for extra, versions in found["extras"].items():
        there = ", ".join(f"{p} {v or 'missing'}" for p, v in versions.items())
        lines.append((extra, there if all(versions.values()) else f"{there}: pip install 'dsa-lite[{extra}]'"))
    for role, device in found["devices"].items():
        lines.append(
            (f"{role} on", device.get("device") or device.get("missing") or f"does not work: {device['error']}")
        )
    for role, model in found["bundled_models"].items():
        lines.append((f"bundled {role}", model.get("label") or f"missing: {model['error']}"))
    allowed = ", ".join(found["looked_up"])
    network = f"allowed by {allowed}" if allowed else "not used: nothing is looked up, nothing is sent"
    return [*lines, ("network", network)]
