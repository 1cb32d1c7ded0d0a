"""The frame of the HTML report: its style sheet, its script, and the document around a body."""

from __future__ import annotations

from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #59636e; --page: #fff; --line: #d5dae0;
  --soft: #f5f7f9; --accent: #0b5fb0; --dot: #0b5fb0; --roof: #1b1f24; --warn: #9a5b00;
  --c0: #0b5fb0; --c1: #6fa8dc; --c2: #8a63b8; --c3: #d9822b; --c4: #2f8f6b; --c5: #a3adb8;
  --c6: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --dim: #9aa5b1; --page: #14171a;
  --line: #343b43; --soft: #1d2226; --accent: #75b4f2; --dot: #75b4f2; --roof: #e4e8ec;
  --warn: #e8b062; --c0: #4c9be8; --c1: #96c3ee; --c2: #b493dc; --c3: #e59a4c; --c4: #58b894;
  --c5: #6b7682; --c6: #e8695c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1.25rem 4rem; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .35rem; }
p { margin: .3rem 0; }
.dim { color: var(--dim); }
.warn { color: var(--warn); }
.figures { display: flex; flex-wrap: wrap; gap: .5rem 2.25rem; margin: 1rem 0 0; }
.figures div { display: flex; flex-direction: column-reverse; }
.figures dt { color: var(--dim); font-size: .85rem; }
.figures dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.bar { display: flex; height: 1.6rem; border-radius: 3px; overflow: hidden; gap: 1px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; padding: 0;
  margin: .6rem 0 0; }
.legend i { display: inline-block; width: .75rem; height: .75rem; border-radius: 2px;
  margin-right: .4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .87rem;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .5rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
thead th { vertical-align: bottom; background: var(--soft); }
tfoot td { font-weight: 600; border-bottom: 0; }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
th[aria-sort] button { color: var(--accent); }
th[aria-sort=ascending] button::after { content: " ↑"; }
th[aria-sort=descending] button::after { content: " ↓"; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .tick { fill: var(--dim); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .roof { stroke: var(--roof); stroke-width: 1.5; fill: none; }
svg .memory { stroke-dasharray: 5 4; }
svg circle { fill: var(--dot); fill-opacity: .35; stroke: var(--dot); }
.finding { border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem;
  margin: .7rem 0; }
.finding summary { cursor: pointer; color: var(--dim); }
.finding ul { margin: .3rem 0; padding-left: 1.2rem; }
"""

_SCRIPT = """
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), row = head.parentNode;
    const body = head.closest("table").tBodies[0];
    const column = [...row.cells].indexOf(head);
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const cell of row.cells) cell.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = line => line.cells[column].dataset.value ?? line.cells[column].textContent;
    const known = v => v !== "";
    const order = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
    body.append(...[...body.rows].sort((x, y) => {
      const a = value(x), b = value(y);
      if (!known(a) || !known(b)) return known(b) - known(a);
      return down ? order(b, a) : order(a, b);
    }));
  });
}
"""


def page(title: str, body: str) -> str:
    """A whole document that needs nothing but itself."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{body}\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )
