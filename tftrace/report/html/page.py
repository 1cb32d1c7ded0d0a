"""The frame of every page: one document that needs nothing else, and lets in no other script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_HERE = Path(__file__).parent
_MOST_ROWS = 200
_EMPTY: dict[str, Any] = {
    "badges": [],
    "warnings": [],
    "figures": [],
    "bars": [],
    "cards": [],
    "nothing": None,
    "columns": [],
    "timeline_note": None,
    "roofline_note": None,
    "memory_note": None,
    "memory_table": None,
    "icicle_note": None,
    "tables": [],
    "tables_title": "Tables",
    "facts": [],
    "pairs_title": "Time against multiplications",
    "pairs_label": "Share of time and of multiplications by layer; the table has the same figures",
}


def document(title: str, data: Mapping[str, Any], charts: Mapping[str, Any], **parts: Any) -> str:
    """A whole HTML document.

    Args:
        data: what the page's script reads, JSON types only.
        charts: Bokeh figures by the template's names for them; None where there is none.
        parts: what the template shows; names, texts and cells are escaped there.
    """
    script = Markup(_text("page.js"))
    found = {name: plot for name, plot in charts.items() if plot is not None}
    bokeh = _bokeh() if found else Markup("")
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src {' '.join(map(_hash, filter(None, (bokeh, script))))}; base-uri 'none'; "
        "form-action 'none'"
    )
    return _template().render(
        _EMPTY
        | {
            "title": title,
            "policy": policy,
            "style": Markup(_text("page.css")),
            "script": script,
            "bokeh": bokeh,
            "data": _in_script(json.dumps(data, allow_nan=False, separators=(",", ":"))),
            "charts": _embedded(found),
        }
        | parts
    )


def plain_table(
    title: str, rows: pd.DataFrame, columns: Mapping[str, Any], note: str = ""
) -> dict[str, Any]:
    """A table for the template: ``columns`` says by heading how a column's values are told, or,
    as a pair, of which column and how."""
    shown = rows.head(_MOST_ROWS)
    more = len(rows) - len(shown)
    told = [
        (name, *(how if isinstance(how, tuple) else (name, how))) for name, how in columns.items()
    ]
    cells = [
        [_cell(row.get(column), text) for _, column, text in told]
        for row in shown.to_dict(orient="records")
    ]
    rest = f"{more:,} more rows are not shown." if more > 0 else ""
    heads = [name for name, _, _ in told]
    return {"title": title, "note": note, "columns": heads, "rows": cells, "more": rest}


def _cell(value: Any, text: Any) -> dict[str, str]:
    if value is None or (not isinstance(value, list) and pd.isna(value)):
        return {"value": "", "text": "–", "kind": ""}
    return {
        "value": str(value),
        "text": str(text(value)),
        "kind": "" if text is not str else "text",
    }


def _embedded(charts: Mapping[str, Any]) -> dict[str, Any]:
    """The figures in one document, so that they share sources; the elements they are drawn in."""
    if not charts:
        return {"ids": {}, "docs": None, "targets": None}
    from bokeh.core.json_encoder import serialize_json
    from bokeh.document import Document

    page = Document()
    for plot in charts.values():
        page.add_root(plot)
    ids = {name: f"chart-{name}" for name in charts}
    roots = {plot.id: ids[name] for name, plot in charts.items()}
    items = [{"docid": "page", "roots": roots, "root_ids": list(roots)}]
    return {
        "ids": ids,
        "docs": _in_script(serialize_json({"page": page.to_json(deferred=False)})),
        "targets": _in_script(json.dumps(items)),
    }


def _in_script(text: str) -> Markup:
    """JSON that cannot end the element it stands in."""
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"


@cache
def _bokeh() -> Markup:
    """Bokeh's core from its wheel; its widgets and tables are not needed."""
    from bokeh.resources import Resources

    return Markup(
        "\n".join(Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw)
    )


@cache
def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("page.html.j2")
