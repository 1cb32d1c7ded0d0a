"""What is printed: names are text, and none of their characters reaches the terminal's ears."""

import io

import pytest
from rich.table import Table
from rich.text import Text

from tftrace.report.terminal.parts.screen import screen
from tftrace.text import printable

HOSTILE = {
    "clears the screen": "a\x1b[2Jb",
    "title of the window": "a\x1b]0;owned\x07b",
    "one byte": "a\x9b2Jb",
    "half a pair": "a\udce9b",
    "right to left": "a\u202etxt.exe",
    "over the line": "a\rb\x08",
    "delete": "a\x7fb",
}
PLAIN = ["runs[/x]", "f[old].keras", "[bold red]x", ":smile:", "a [link=http://x]b", "\\[x]"]


def shown(what) -> str:
    output = io.StringIO()
    console = screen(output, width=60)
    table = Table("name", title=what if isinstance(what, str) else None)
    table.add_row(what)
    console.print(what)
    console.print(table)
    console.print(what, soft_wrap=True, style="bold")
    console.rule(what)
    return output.getvalue()


@pytest.mark.parametrize("kind", [str, Text])
@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_no_character_that_a_terminal_acts_on(name, kind):
    found = shown(kind(name))
    assert found.encode()  # no surrogates
    assert not [c for c in found if c != "\n" and (c < " " or "\x7f" <= c <= "\x9f")]
    assert "\u202e" not in found


@pytest.mark.parametrize("name", PLAIN)
def test_markup_in_a_name_is_text(name):
    assert shown(name).count(name) == 5


def test_styles_still_reach_a_terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    output = io.StringIO()
    screen(output, width=40).print(Text("a\x1b[2J", style="bold"))
    assert output.getvalue() == "\x1b[1ma\ufffd[2J\x1b[0m\n"


def test_what_people_write_stays():
    text = "naïve/卷积/😀\tx\ny"
    assert printable(text) == text
