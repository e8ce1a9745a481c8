"""`dsa-lite doctor`: what this machine has, what is missing, and what really computes."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from dsa_lite.cli.failure import debug_option

#: Extra -> its packages; a test compares it with pyproject.toml.
EXTRAS = {
    "llama-cpp": ("llama-cpp-python",),
    "torch": ("torch", "transformers", "peft", "safetensors"),
    "mlx": ("mlx", "mlx-lm", "safetensors", "tokenizers"),
    "openai": ("openai", "jsonschema"),
}
#: What the bundled job needs; the other extras are a matter of taste.
NEEDED = ("llama-cpp", "torch")
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
    """Check this machine: Python, memory, disk, backends, devices, bundled models."""
    found = diagnosis()
    if as_json:
        from dsa_lite.cli.text import one_json

        click.echo(one_json(found))
    else:
        _print(found)
    if found["problems"]:
        context.exit(1)


def diagnosis() -> dict[str, Any]:
    """Everything doctor knows, as JSON-ready values. Sizes in bytes."""
    extras = {extra: {p: _version(p) for p in packages} for extra, packages in EXTRAS.items()}
    installed = {extra for extra, versions in extras.items() if all(versions.values())}
    devices = {
        "student": _probe(_TORCH) if "torch" in installed else {"missing": "no torch"},
        "teacher": _probe(_LLAMA_CPP) if "llama-cpp" in installed else {"missing": "no llama.cpp"},
    }
    models = {role: _bundled(role) for role in ("teacher", "student")}
    problems = [f"not installed: pip install 'dsa-lite[{extra}]'" for extra in NEEDED if extra not in installed]
    problems += [
        f"the {role}'s library does not work here: {d['error']}" for role, d in devices.items() if "error" in d
    ]
    problems += [f"bundled {role} model: {m['error']}" for role, m in models.items() if "error" in m]
    return {
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": _cores(),
        "memory": _memory(),
        "disk": {"free": shutil.disk_usage(Path.cwd()).free, "folder": str(Path.cwd())},
        "compiler": next((c for c in ("c++", "g++", "clang++") if shutil.which(c)), None),
        "extras": extras,
        "devices": devices,
        "bundled_models": models,
        "network": "not used",
        "problems": problems,
    }


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> dict[str, int | None]:
    """Bytes; available is None where the system does not say."""
    info = Path("/proc/meminfo")
    if info.exists():
        lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        total, available = (int(lines[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
        return {"total": total, "available": available}
    try:
        return {"total": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "available": None}
    except (AttributeError, ValueError, OSError):
        return {"total": None, "available": None}


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
    from dsa_lite.io.models import choose_student, choose_teacher

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
    if found["problems"]:
        console.print(heading("To do"))
        for problem in found["problems"]:
            console.print(Text(f"  {clean(problem)}", style="yellow"), soft_wrap=True)
    else:
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
    ]
    for extra, versions in found["extras"].items():
        lines.append((extra, ", ".join(f"{p} {v or 'missing'}" for p, v in versions.items())))
    for role, device in found["devices"].items():
        lines.append(
            (f"{role} on", device.get("device") or device.get("missing") or f"does not work: {device['error']}")
        )
    for role, model in found["bundled_models"].items():
        lines.append((f"bundled {role}", model.get("label") or f"missing: {model['error']}"))
    return [*lines, ("network", "not used: nothing is looked up, nothing is sent")]
