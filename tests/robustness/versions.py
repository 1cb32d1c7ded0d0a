"""Run tests with the lowest versions that pyproject.toml allows, and with the newest there are.

    python versions.py [--pythons 3.10 3.13] [--tests tests/test_main_job.py …]

Each set gets a virtual environment of its own, the lowest of the first Python and the
newest of the last. Prints a Markdown table: versions, and what the tests said.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ("tests/test_main_job.py", "tests/api", "tests/report", "tests/findings", "tests/runs")
SHOWN = ("tensorflow", "keras", "pandas", "numpy", "protobuf", "numba", "scipy", "typer", "rich")


def installed(python: str, resolution: str, folder: Path) -> Path:
    """A virtual environment with tftrace and its test tools; its interpreter.

    Args:
        resolution: ``lowest-direct`` takes the lowest versions that tftrace asks for, ``highest``
            the newest.

    Raises:
        subprocess.CalledProcessError: the versions do not go together.
    """
    subprocess.run([f"python{python}", "-m", "venv", folder], check=True)
    inside = folder / "bin" / "python"
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([inside, "-m", "pip", "install", *quiet, "uv"], check=True)
    install = [folder / "bin" / "uv", "pip", "install", "--quiet", "--python", inside]
    chosen = ["--resolution", resolution, "--editable", f"{ROOT}[parquet,legacy]"]
    subprocess.run([*install, *chosen], check=True)
    subprocess.run([*install, "pytest>=8", "hypothesis>=6.100"], check=True)
    return inside


def main() -> int:
    """Print the table; 1 if some test failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythons", nargs=2, default=["3.10", "3.13"])
    parser.add_argument("--tests", nargs="+", default=list(TESTS))
    parser.add_argument("--only", choices=["lowest", "newest"])
    wanted = parser.parse_args()
    sets = {
        "lowest": (wanted.pythons[0], "lowest-direct"),
        "newest": (wanted.pythons[1], "highest"),
    }
    failed = False
    print("| set | Python | " + " | ".join(SHOWN) + " | tests |")
    print("|---" * (len(SHOWN) + 3) + "|", flush=True)
    for name, (python, resolution) in sets.items():
        if wanted.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            inside = installed(python, resolution, Path(scratch) / "venv")
            ask = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
            versions = subprocess.run(
                [inside, "-c", ask, *SHOWN], check=True, capture_output=True, text=True
            ).stdout.split()
            options = ["-q", "-rf", "-p", "no:cacheprovider", "-o", "addopts="]
            done = subprocess.run(
                [inside, "-m", "pytest", *options, *wanted.tests],
                cwd=ROOT,
                capture_output=True,
                text=True,
            )
            print(done.stdout[-3000:] + done.stderr[-500:], file=sys.stderr)
            said = next((s for s in reversed(done.stdout.splitlines()) if s.strip()), "nothing")
            failed |= done.returncode != 0
            cells = [name, python, *versions, said.strip("= ")]
            print("| " + " | ".join(cells) + " |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
