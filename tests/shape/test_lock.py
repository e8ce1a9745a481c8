"""`constraints.txt`: one version of everything, in every range of pyproject.toml, for every machine that is meant."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[0] != "#"]
PLATFORMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix"},
    "mac": {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64", "os_name": "posix"},
}
PYTHONS = {"3.11": "3.11.9", "3.12": "3.12.8", "3.13": "3.13.1"}


def declared() -> Iterator[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for lines in (project["dependencies"], *project["optional-dependencies"].values()):
        yield from (Requirement(line) for line in lines)


def applies(requirement: Requirement, environment: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)


def test_every_line_is_one_version_and_names_no_place() -> None:
    strange = [line for line in LOCK if not re.fullmatch(r"[a-z0-9-]+==[0-9][a-z0-9.]*( ; [^:/]+)?", line)]
    assert strange == []


@pytest.mark.parametrize(("platform", "python"), [*product(PLATFORMS, PYTHONS)])
def test_every_dependency_has_one_version_in_its_range(platform: str, python: str) -> None:
    environment = PLATFORMS[platform] | {"python_version": python, "python_full_version": PYTHONS[python]}
    pins: dict[str, list[Version]] = {}
    for pin in map(Requirement, LOCK):
        if applies(pin, environment):
            pins.setdefault(pin.name, []).append(Version(str(pin.specifier).removeprefix("==")))
    assert {name: versions for name, versions in pins.items() if len(versions) > 1} == {}
    wanted = [r for r in declared() if r.name != "dsa-lite" and applies(r, environment)]
    assert len(wanted) > 30
    for requirement in wanted:
        found = pins.get(canonicalize_name(requirement.name))
        assert found, f"{requirement.name} is not in constraints.txt: make it anew, see CONTRIBUTING.md"
        assert requirement.specifier.contains(found[0]), f"{requirement} but constraints.txt has {found[0]}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_what_is_typed_to_install_uses_it(page: str) -> None:
    lines = [
        line for line in (ROOT / page).read_text(encoding="utf-8").splitlines() if re.search(r"pip install .*-e ", line)
    ]
    assert lines
    assert [line for line in lines if "-c constraints.txt" not in line] == []


def test_the_newest_are_tried_with_the_extras_of_the_test_line() -> None:
    line = re.compile(r'-e "(\.\[.*?dev\])"')
    newest = (ROOT / ".ci" / "newest").read_text(encoding="utf-8")
    assert line.findall(newest) == line.findall((ROOT / "README.md").read_text(encoding="utf-8"))
