"""The house: imports go down only, the core is pure, backends know the contracts and nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "dsa_lite"
BACKENDS = ROOT / "backends"

#: First part of the module's name inside dsa_lite -> floor. A new module must be put on a floor here.
FLOORS = {
    "records": 0, "errors": 0,
    "teacher": 1, "student": 1, "config": 1, "events": 1, "chat": 1, "model_files": 1, "model_folder": 1,
    "passes": 1, "null_space": 1,
    "formats": 1,
    "core": 2,
    "io": 3,
    "stages": 4, "testing": 4,
    "api": 5, "cli": 5, "__main__": 5,
}  # fmt: skip
NOT_IN_CORE = {
    "torch",
    "mlx",
    "click",
    "rich",
    "transformers",
    "llama_cpp",
    "os",
    "time",
    "subprocess",
    "socket",
    "random",
}
ONLY_IN_CLI = {"click", "rich"}
ENGINES = {"torch", "mlx", "mlx_lm", "transformers", "peft", "llama_cpp", "safetensors"}
MODULES = sorted(PACKAGE.rglob("*.py"))
BACKEND_MODULES = sorted(BACKENDS.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> set[str]:
    """Absolute names of all modules a file imports, anywhere in it. `from a import b` counts as a and a.b."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_parts(path: Path) -> set[str]:
    """E.g. {"io", "records"}: which parts of dsa_lite a file imports. The package itself (`__version__`) is free."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("dsa_lite.")} & FLOORS.keys()


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def relative(paths: list[Path]) -> list[str]:
    return [str(p.relative_to(ROOT)) for p in paths]


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 20
    assert len(BACKEND_MODULES) > 2


@pytest.mark.parametrize("path", MODULES, ids=relative(MODULES))
def test_imports_go_down_only(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        assert own_parts(path) <= {"api"}, "the package's own names: those of api, loaded when they are used"
        return
    assert part in FLOORS, f"put {part} on a floor in this test"
    too_high = {p for p in own_parts(path) if FLOORS[p] > FLOORS[part]}
    assert not too_high, f"floor {FLOORS[part]} imports {too_high}"
    sideways = {p for p in own_parts(path) if FLOORS[p] == FLOORS[part] and p != part}
    assert not sideways or FLOORS[part] in (0, 1) or part in ("testing", "__main__"), f"imports sideways: {sideways}"


@pytest.mark.parametrize("path", MODULES, ids=relative(MODULES))
def test_what_may_be_imported_where(path: Path) -> None:
    part, tops = part_of(path), {name.partition(".")[0] for name in imports(path)}
    assert not {t for t in tops if t.startswith("dsa_lite_") or t == "backends"}, "dsa_lite never imports a backend"
    assert not tops & ENGINES, "engines are imported by backends only"
    if part != "cli":
        assert not tops & ONLY_IN_CLI, "click and rich live in cli/"
    if part == "core":
        assert not tops & NOT_IN_CORE, "the core is pure"


@pytest.mark.parametrize("path", BACKEND_MODULES, ids=relative(BACKEND_MODULES))
def test_backends_know_the_contracts_and_nothing_else(path: Path) -> None:
    mine = path.relative_to(BACKENDS).parts[0]
    for name in imports(path):
        top = name.partition(".")[0]
        assert not (top.startswith("dsa_lite_") and top != mine), f"imports another backend: {name}"
        assert top != "backends", "import the package's own name"
    too_high = {p for p in own_parts(path) if FLOORS[p] > 1}
    assert not too_high, f"backends stand on floors 0 and 1; this one imports {too_high}"


@pytest.mark.parametrize("path", MODULES + BACKEND_MODULES, ids=relative(MODULES + BACKEND_MODULES))
def test_nothing_prints_or_reads_the_environment_below_the_command_line(path: Path) -> None:
    if path.is_relative_to(PACKAGE / "cli"):
        return
    tree = tree_of(path)
    calls = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
    names = {f.id for f in calls if isinstance(f, ast.Name)}
    assert "print" not in names
    assert "input" not in names
    dotted = {
        f"{n.value.id}.{n.attr}"
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
    }
    assert not dotted & {"sys.exit", "sys.argv"}
    if path.is_relative_to(PACKAGE):
        assert not dotted & {"os.environ", "os.getenv"}
    if path.is_relative_to(PACKAGE / "core"):
        assert "open" not in names
        assert not {d for d in dotted if d.startswith(("np.random.", "time."))} - {
            "np.random.Generator",
            "np.random.default_rng",
        }


@pytest.mark.parametrize("module", ["dsa_lite", "dsa_lite.cli"])
def test_the_package_and_the_command_line_are_light(module: str) -> None:
    heavy = ["numpy", "networkx", "torch", "mlx", "transformers", "pydantic", "rich", "sympy", "jinja2", "llama_cpp"]
    program = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
