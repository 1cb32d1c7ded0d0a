"""SIGTERM and SIGINT at random moments of every command.

    python tests/robustness/signals.py [--times 40] [--seed 0] [COMMAND ...]

Each must end with 128 + the signal's number (or as always, where it had ended already), say at
most one line, and leave what it writes whole or absent, without a scratch or temporary folder.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from stage_lines import without_stages

COMMANDS = {
    "report": "report runs --json out/r.json --html out/r.html --csv out/r",
    "export": "export runs -o out/t --format parquet",
    "check": "check runs --budget budget.toml",
    "count": "count m.keras --json out/c.json --csv out/c",
    "run": "run m.keras x.npy --out out/runs --repeats 2 --no-calibrate --json out/r.json",
    "fold": "fold bn.keras -o out/folded.keras",
    "compare": "compare m.keras m.keras x.npy --out out/runs --pairs 6 --json out/c.json",
    "scan": "scan runs --out out/set --workers 1",
    "estimate": "estimate m.keras --json out/e.json",
    "advise": "advise m.keras x.npy --passes 6 --script out/best.py --json out/a.json",
    "view": "view runs --no-browser",
    "perfetto": "export runs -o out/run.pftrace --format perfetto",
    "calibrate": "calibrate --force",
}
QUIET = ("Traceback", "Exception ignored", "Fatal", "Aborted")


def prepare(folder: Path) -> None:
    """Models, data, a run and a budget."""
    import keras
    import networks

    import tftrace

    model, data = networks.BUILDERS["small"]()
    model.save(folder / "m.keras")
    networks.np.save(folder / "x.npy", data)
    layers = keras.layers
    keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()]
    ).save(folder / "bn.keras")
    tftrace.profile(model, data, repeats=0, calibrate=False, out=folder / "runs")
    (folder / "budget.toml").write_text("[counts]\nmults = 1_000_000_000_000\n")


def start(folder: Path, command: str) -> subprocess.Popen:
    """The command in ``folder``, with temporary folder and cache of its own."""
    own = {"TMPDIR": str(folder / "temp"), "TFTRACE_CACHE_DIR": str(folder / "cache")}
    for place in own.values():
        Path(place).mkdir(exist_ok=True, mode=0o700)
    return subprocess.Popen(
        [sys.executable, "-m", "tftrace", *command.split()],
        cwd=folder,
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fault_of(folder: Path, command: str, number: int, after_s: float, takes_s: float) -> str | None:
    """What was wrong after that signal at that moment; None when nothing was."""
    shutil.rmtree(folder / "out" / "set", ignore_errors=True)  # a data set is never written over
    process = start(folder, command)
    time.sleep(after_s)
    process.send_signal(number)
    try:
        said = without_stages(process.communicate(timeout=60)[1])
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "it hangs"
    # Before Python runs any of tftrace, the signal has the effect that Python or the system gives.
    early = process.returncode in (-number, 1, 130) and "cli.py" not in said
    # When the interpreter takes itself down, handlers are gone and the signal itself ends it: a
    # shell says 128 + the number of that, too.
    taken_down = process.returncode == -number and not said and after_s > 0.8 * takes_s
    if (
        process.returncode not in (0, 128 + number)
        and not taken_down
        and not (early and after_s < max(0.3, 0.15 * takes_s))
    ):
        return f"exit code {process.returncode}: {said[-300:]}"
    if not early and (any(word in said for word in QUIET) or len(said.splitlines()) > 1):
        return f"it says {said[-300:]!r}"
    return left(folder)


def left(folder: Path) -> str | None:
    """What is there that should not be."""
    scratch = list(folder.rglob(".tftrace-*"))
    for page in folder.glob("temp/tftrace-view-*/report.html"):
        # What `view` is for; the browser that it opens reads the page after the command has ended.
        if page.read_text().rstrip().endswith("</html>"):
            shutil.rmtree(page.parent)
    scratch += [p for p in (folder / "temp").iterdir() if p.name.startswith("tftrace-")]
    scratch += [p for p in folder.glob("out/runs/plugins/profile/*") if len(list(p.iterdir())) != 2]
    for path in folder.glob("out/*.json"):
        json.loads(path.read_text())
    for path in folder.glob("out/*.html"):
        if not path.read_text().rstrip().endswith("</html>"):
            scratch.append(path)
    return f"left: {scratch}" if scratch else None


def main() -> None:
    """Print the faults; the exit code is 1 where there is one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("commands", nargs="*", default=[])
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for command in options.commands or COMMANDS:
            begin = time.monotonic()
            process = start(folder, COMMANDS[command])
            process.communicate()
            takes = time.monotonic() - begin
            for turn in range(options.times):
                number = (signal.SIGTERM, signal.SIGINT)[turn % 2]
                # Every tenth in the first 50 ms.
                after = chance.uniform(0, 0.05 if turn % 10 == 0 else takes)
                if fault := fault_of(folder, COMMANDS[command], number, after, takes):
                    faults += 1
                    print(
                        f"{command}, {signal.Signals(number).name} after {after:.3f} s: {fault}",
                        flush=True,
                    )
            print(
                f"{command}: {options.times} signals in {takes:.1f} s, code {process.returncode}",
                flush=True,
            )
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
