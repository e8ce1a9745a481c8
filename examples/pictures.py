"""The README's pictures, from a finished run: its report in a real browser, and what the terminal shows at its end.

    python examples/pictures.py runs/mine examples/pictures

Needs playwright, Pillow (which matplotlib brings) and a Chromium or Chrome on the PATH.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from dsa_lite.cli.outcome import print_map, print_scores
from dsa_lite.cli.scatter import scatter
from dsa_lite.cli.tables import heading
from dsa_lite.io.run_folder.rundir import RunDir
from dsa_lite.stages.report import last_decisions

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge", "chrome")
COLUMNS = 92
#: Name -> width in pixels, colours, the element to be seen at the top ("": the start of the page).
VIEWS: dict[str, tuple[int, int, str, str]] = {
    "report-story": (1100, 720, "light", ""),
    "report-map": (1100, 720, "dark", "#map"),
    "report-phone": (390, 800, "light", "#map"),
}


def main(run: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    folder = RunDir.read(run)
    (out / "terminal.svg").write_text(terminal(folder), encoding="utf-8")
    photograph(folder.report.resolve(), out, VIEWS)
    for path in sorted(out.iterdir()):
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


def terminal(run: RunDir) -> str:
    """SVG of the end of a run: scores, data map, scatter plot."""
    summary = run.read_summary()
    assert summary is not None, "the run is not finished"
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, markup=False, highlight=False, emoji=False
    )
    console.print(f"$ dsa-lite run {summary['skill']}", style="bold")
    print_scores(console, summary)
    console.print(heading("Data map: what each exercise turned out to be"))
    print_map(console, run, examples=0)
    console.print(f"\n$ dsa-lite map {run.path.name} --scatter", style="bold")
    for line in scatter([(d.deviation, d.loss, d.region) for d in last_decisions(run)], COLUMNS):
        console.print(line)
    plain = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)  # no font from the network
    return console.export_svg(title="dsa-lite", code_format=plain)


def photograph(page: Path, out: Path, views: dict[str, tuple[int, int, str, str]]) -> None:
    """PNG files of what a reader sees."""
    from playwright.sync_api import sync_playwright

    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if browser is None:
        sys.exit(f"no browser on the PATH; looked for {', '.join(BROWSERS)}")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for name, (width, height, colours, element) in views.items():
            seen: Any = opened.new_page(
                viewport={"width": width, "height": height}, color_scheme=colours, reduced_motion="reduce"
            )
            seen.goto(page.as_uri())
            for _ in range(3 if element else 0):  # what comes into view may push the rest further down
                seen.evaluate("where => document.querySelector(where).scrollIntoView({ behavior: 'instant' })", element)
                seen.wait_for_timeout(500)
            picture = Image.open(io.BytesIO(seen.screenshot()))
            picture.quantize(96).save(out / f"{name}.png", optimize=True)
            seen.close()
        opened.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} RUN FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
