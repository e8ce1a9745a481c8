"""What is built is what stands in the repository: no package forgotten, data inside, no tests."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
DATA = ("skills", "bundled", "presets", "io/report")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def python_packages() -> set[str]:
    return {"dsa_lite"} | {p.parent.name for p in (ROOT / "backends").glob("*/__init__.py")}


def test_every_package_is_inside_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    assert {t for t in tops if not t.endswith(".dist-info")} == python_packages()


def test_the_skills_and_bundled_models_are_inside(wheel: zipfile.ZipFile) -> None:
    here = {
        str(p.relative_to(ROOT).as_posix())
        for folder in DATA
        for p in (ROOT / "dsa_lite" / folder).rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    wanted = {f"dsa_lite/skills/{name}/skill.toml" for name in ("calculus", "social-studies")}
    assert wanted | {"dsa_lite/io/report/page.html"} <= here
    assert here <= set(wheel.namelist())


def test_every_module_is_inside_and_no_test_is(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {p.relative_to(ROOT).as_posix() for p in (ROOT / "dsa_lite").rglob("*.py")} <= names
    assert not [n for n in names if "test_" in n or "conftest" in n or "__pycache__" in n]
    assert [n for n in names if n.endswith("licenses/LICENSE")]


def test_entry_points_lead_to_packages_of_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"dsa-lite": "dsa_lite.cli:main"}
    targets = {t.partition(":")[0] for group in project["entry-points"].values() for t in group.values()}
    assert targets <= python_packages()
