"""The documentation says what is there: snippets run, command lines parse, links hold."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networks
import numpy as np
import pytest
import typer
from typer.main import get_command

from tftrace.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


def blocks(page: Path, language: str) -> list[str]:
    return [code for kind, code in BLOCK.findall(page.read_text()) if kind == language]


def command_lines() -> Iterator[tuple[str, str]]:
    """Every `tftrace …` line of a page, of a bash block or indented."""
    for page in PAGES:
        lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
        lines += re.findall(r"^    (tftrace [a-z].*)$", page.read_text(), flags=re.M)
        for line in lines:
            command = line.partition("#")[0].strip()
            if command.startswith("tftrace "):
                yield page.name, command


def parse(command: str) -> None:
    """Let the command line's own parser read it, without running anything."""
    words = shlex.split(command)[1:]
    root = get_command(app)
    context = typer.Context(root)
    found = root.get_command(context, words[0])  # type: ignore[attr-defined]
    assert found is not None, f"no command {words[0]}"
    found.make_context(words[0], words[1:])


@pytest.mark.parametrize(("page", "command"), sorted(set(command_lines())))
def test_command_lines_parse(page: str, command: str):
    parse(command)


def test_a_wrong_option_would_be_noticed():
    with pytest.raises(Exception, match="No such option"):
        parse("tftrace run model.keras x.npy --surely-not-there")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_snippets_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In the order of the page, in one namespace, with a small model and its data at hand."""
    snippets = blocks(page, "python")
    if not snippets:
        pytest.skip("no snippet")
    monkeypatch.chdir(tmp_path)
    model, x = networks.BUILDERS["small"]()
    names = {"model": model, "x": x, "np": np}
    for snippet in snippets:
        exec(compile(snippet, f"{page.name}", "exec"), names)


def test_the_tutorial_runs_from_beginning_to_end(tmp_path: Path):
    page = ROOT / "docs" / "first-ten-minutes.md"
    ran = []
    for kind, code in BLOCK.findall(page.read_text()):
        if kind == "python" and "profile = " not in code:
            done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=300)
            assert done.returncode == 0, code
        for line in code.splitlines() if kind == "bash" else ():
            words = [*shlex.split(line)[1:], *_short(line)]
            done = subprocess.run(
                [sys.executable, "-m", "tftrace", *words],
                cwd=tmp_path,
                timeout=300,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            ran.append(words[0])
    assert {"run", "report", "count", "fold", "compare", "check"} <= set(ran)


def _short(line: str) -> list[str]:
    """Keeps the test from calibrating the machine."""
    return ["--no-calibrate"] if line.startswith("tftrace run") else []


def test_the_command_line_reference_is_the_command_line():
    """`make docs` makes it anew."""
    made = subprocess.run(
        [sys.executable, "-m", "typer", "tftrace.cli", "utils", "docs", "--name", "tftrace"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )
    assert made.returncode == 0, made.stderr
    assert (ROOT / "docs" / "cli.md").read_text().strip() == made.stdout.strip()


def test_no_help_has_words_in_brackets():
    """What stands in them is markup to rich, and is not shown."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    helps = [p.help or "" for c in commands.values() for p in c.params if hasattr(p, "help")]
    assert len(helps) > 50
    assert [text for text in helps if "[" in text] == []


def test_links_between_pages_hold():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+\.md)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_in_the_site():
    site = (ROOT / "mkdocs.yml").read_text()
    assert [page.name for page in PAGES[1:] if f": {page.name}" not in site] == []
