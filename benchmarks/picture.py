"""Draw docs/report.svg: the report of a run as a terminal of 84 columns shows it.

python benchmarks/picture.py RUN
"""

import io
import sys
from pathlib import Path

from rich.console import Console

import tftrace
from tftrace.report.terminal.run import print_report

PICTURE = Path(__file__).parents[1] / "docs" / "report.svg"
WIDTH = 84


def main(run: str) -> None:
    profile = tftrace.load(run)
    options = {"record": True, "file": io.StringIO(), "highlight": False, "markup": False}
    console = Console(width=WIDTH, force_terminal=True, color_system="truecolor", **options)
    print_report(profile, console)
    origin = profile.run["origin"]
    console.save_svg(str(PICTURE), title=f"tftrace run {origin['model']} {origin['data']}")


if __name__ == "__main__":
    main(sys.argv[1])
