"""What a command says on standard error beside its stages."""

import re

_STAGE = re.compile(r"\[\d+(/\d+)?\] (\d+ min )?\d+ s: .")


def without_stages(text: str) -> str:
    """The lines that are no stage."""
    return "".join(line for line in text.splitlines(True) if not _STAGE.match(line))


def stages_of(text: str) -> list[tuple[int, int]]:
    """(k, n) of each stage line."""
    found = re.findall(r"^\[(\d+)/(\d+)\] (?:\d+ min )?\d+ s: .", text, flags=re.M)
    return [(int(number), int(count)) for number, count in found]
