"use strict";
// The table of layers, and what it shares with the charts: filters, one selection, the URL's hash.
const $ = (query) => document.querySelector(query), $$ = (query) => [...document.querySelectorAll(query)];
const D = JSON.parse($("#data").textContent), L = D.layers, N = L ? L.path.length : 0;
const body = $("#table tbody"), COLUMNS = $$("#table thead th").map((th) => th.dataset.key);
const S = { sort: "ms", down: true, q: "", types: new Set(), part: "", unit: "ms", work: "mults",
  tree: false, picked: new Set(), open: new Set(), shut: new Set(), theme: "" };
let charts = null, busy = false;

function el(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const unknown = (v) => v === null || v === undefined;
const three = (v) => Math.abs(v) >= 100 ? Math.round(v).toLocaleString("en-US")
  : v.toFixed(Math.abs(v) >= 10 ? 1 : Math.abs(v) >= 0.1 ? 2 : 3);
function scaled(v, unit = "") {
  if (unknown(v)) return "–";
  let n = 0;
  while (Math.abs(v) >= 1000 && n < 5) { v /= 1000; n++; }
  return (Number.isInteger(v) ? v : v.toFixed(1)) + (unit ? " " : "") + ["", "k", "M", "G", "T", "P"][n] + unit;
}
const percent = (v) => unknown(v) ? "–" : v > 0 && v < 0.001 ? "<0.1%" : (100 * v).toFixed(1) + "%";
function time(ms) {
  if (unknown(ms)) return "–";
  if (S.unit === "%") return D.base ? percent(ms / D.base) : "–";
  return S.unit === "sample" ? three(1000 * ms / D.samples) + " us" : three(ms);
}

const column = (key) => key === "ms" && S.tree ? L.all_ms : key === "work" ? L[(S.tree ? "all_" : "") + S.work]
  : key === "self" ? L.ms : L[key];
const size = (v) => scaled(v, "B"), CELLS = { type: (v) => v, ms: time, self: time, forward: time, backward: time, optimizer: time,
  roof: percent, work: (v) => scaled(v), bytes: size, output: size, live: size, bound: (v) => v ?? "–" };
const number = (v) => unknown(v) ? "–" : v.toFixed(2);
function matches(i) {
  return (!S.q || (L.path[i] + " " + L.type[i]).toLowerCase().includes(S.q.toLowerCase()))
    && (!S.types.size || S.types.has(L.type[i])) && (!S.part || L.part[i] === S.part);
}
const hidden = (i) => { for (let p = L.parent[i]; p >= 0; p = L.parent[p]) if (S.shut.has(p)) return true; return false; };
function visible() {
  const rows = [];
  for (let i = 0; i < N; i++) if (matches(i) && !(S.tree && hidden(i)) && (S.tree || S.q || !L.idle[i])) rows.push(i);
  if (S.tree) return rows;
  const values = column(S.sort === "name" ? "path" : S.sort), turn = S.down ? -1 : 1;
  return rows.sort((a, b) => {
    const x = values[a], y = values[b];
    if (unknown(x) || unknown(y)) return unknown(x) - unknown(y);
    return turn * (typeof x === "string" ? x.localeCompare(y) : x - y);
  });
}
function gauge(part) {
  const outer = el("span", null, { class: "gauge", "aria-hidden": "true" }), inner = el("i");
  inner.style.width = 100 * part + "%";
  if (part) outer.append(inner);
  return outer;
}
function rowOf(i, longest) {
  const tr = el("tr", null, { "data-row": i }), head = el("th", null, { scope: "row" });
  const shares = { ms: D.base ? column("ms")[i] / D.base : null, work: D.total[S.work] ? column("work")[i] / D.total[S.work] : null };
  tr.classList.toggle("hot", !S.tree && L.far[i]);
  tr.classList.toggle("picked", S.picked.has(i));
  if (S.tree) head.style.paddingLeft = 0.5 + 0.9 * L.depth[i] + "rem";
  if (S.tree && L.parents[i]) head.append(el("button", S.shut.has(i) ? "▸" : "▾",
    { class: "twist", type: "button", "aria-expanded": !S.shut.has(i), "aria-label": "parts of " + L.name[i] }));
  head.append(el("button", L.name[i], { class: "name", type: "button", title: L.path[i], "aria-expanded": S.open.has(i) }));
  tr.append(head);
  for (const key of COLUMNS.slice(1)) {
    const value = column(key)[i], td = el("td", (CELLS[key] ?? number)(value), { class: key });
    if (typeof value === "string") td.classList.add("text");
    if (key in shares) td.append(gauge(longest && value ? shares[key] / longest : 0));
    tr.append(td);
  }
  return tr;
}
function kernelsOf(i) {
  const tr = el("tr", null, { class: "kernels" }), td = el("td", null, { colspan: COLUMNS.length });
  const facts = [L.path[i], L.shape[i] && "output " + L.shape[i], L.fused[i] && "fused with " + L.fused[i], L.note[i]];
  td.append(el("p", facts.filter(Boolean).join(" · "), { class: "dim" }));
  const [prefix, ...found] = D.kernels[i] ?? [""];
  if (!found.length) td.append(el("p", "No kernel of its own was recorded."));
  else {
    const table = el("table"), heads = [`kernel (in ${prefix || "the graph"})`, "type", "calls", "ms", "p50 us", "p99 us", "members", "note"];
    const line = (tag, cells) => { const made = el("tr"); cells.forEach((c) => made.append(el(tag, c))); return made; };
    table.append(line("th", heads));
    for (const [op, type, calls, ms, p50, p99, members, note] of found)
      table.append(line("td", [op, type, calls, unknown(ms) ? "–" : three(ms), unknown(p50) ? "–" : three(p50),
        unknown(p99) ? "–" : three(p99), members, note]));
    td.append(table);
  }
  tr.append(td);
  return tr;
}
function render() {
  if (!body) return;
  $("#table").classList.toggle("tree", S.tree);
  const rows = visible(), of = D.total[S.work];
  let longest = 0;
  for (const i of rows) longest = Math.max(longest, D.base ? column("ms")[i] / D.base : 0, of ? column("work")[i] / of : 0);
  const lines = document.createDocumentFragment(), focus = document.activeElement?.closest("tr[data-row]")?.dataset.row;
  const twist = document.activeElement?.classList.contains("twist");
  for (const i of rows) {
    lines.append(rowOf(i, longest));
    if (S.open.has(i)) lines.append(kernelsOf(i));
  }
  body.replaceChildren(lines);
  if (focus) body.querySelector(`tr[data-row="${focus}"] ${twist ? ".twist" : ".name"}`)?.focus();
  for (const th of $$("#table thead th")) {
    th.removeAttribute("aria-sort");
    if (th.dataset.key === S.sort && !S.tree) th.setAttribute("aria-sort", S.down ? "descending" : "ascending");
  }
  $('th[data-key=ms] .sort').textContent = (S.tree ? "inclusive " : "") + { ms: "ms", "%": D.share, sample: "us per sample" }[S.unit];
  $('th[data-key=work] .sort').textContent = { mults: "mults", macs: "MACs", flops: "FLOPs" }[S.work];
  $("#table tfoot td.total-ms").textContent = time(D.total.ms);
  $("#table tfoot td.total-work").textContent = scaled(of);
  for (const chip of $$("#chips button")) chip.setAttribute("aria-pressed", S.types.has(chip.dataset.type));
  for (const part of $$("[data-part]")) part.setAttribute("aria-pressed", S.part === part.dataset.part);
  $("#count").textContent = `${rows.length} of ${N} rows` + (S.picked.size ? `, ${S.picked.size} selected` : "")
    + (S.tree ? "; in order of execution, containers with what is below them" : "");
  charted(rows);
  remember();
}

function charted(rows) {
  if (!charts) return;
  const filtered = S.q || S.types.size || S.part, wanted = S.picked.size ? [...S.picked] : filtered ? rows : [];
  busy = true;
  if (charts.layers) charts.layers.selected.indices = wanted;
  if (charts.slices) {
    const set = new Set(wanted), found = [];
    charts.slices.data.row.forEach((row, n) => { if (set.has(row)) found.push(n); });
    charts.slices.selected.indices = found;
  }
  busy = false;
}
function pick(rows) {
  if (busy) return;
  S.picked = new Set(rows.filter((row) => row >= 0));
  render();
}
function paint() {
  const css = getComputedStyle(document.documentElement), color = (name) => css.getPropertyValue(name).trim();
  const ink = color("--ink"), dim = color("--dim"), line = color("--line");
  const put = (model, wanted) => { for (const key in wanted) if (key in model.properties) model[key] = wanted[key]; };
  for (const figure of charts?.figures ?? []) {
    for (const each of [...figure.left, ...figure.below, ...figure.above, ...figure.center, figure.title])
      if (each) put(each, { axis_label_text_color: ink, major_label_text_color: dim, axis_line_color: line, major_tick_line_color: line,
        minor_tick_line_color: null, grid_line_color: line, label_text_color: ink, background_fill_color: null, border_line_color: null, text_color: ink });
    for (const each of figure.renderers) if (each.name === "roof") each.glyph.line_color = ink;
  }
}
async function draw() {
  if (!$("#docs") || !window.Bokeh) return;
  await Bokeh.embed.embed_items(JSON.parse($("#docs").textContent), JSON.parse($("#items").textContent));
  const doc = Bokeh.documents[Bokeh.documents.length - 1], find = (name) => doc.get_model_by_name(name);
  charts = { figures: doc.roots(), layers: find("layers"), slices: find("slices"), timeline: find("timeline") };
  charts.layers?.selected.properties.indices.change.connect(() => pick([...charts.layers.selected.indices]));
  charts.slices?.selected.properties.indices.change.connect(() =>
    pick([...new Set([...charts.slices.selected.indices].map((n) => charts.slices.data.row[n]))]));
  find("types")?.selected.properties.indices.change.connect(() => {
    S.types = new Set([...find("types").selected.indices].map((n) => find("types").data.type[n]));
    render();
  });
  if (charts.timeline) charts.whole = [charts.timeline.x_range.start, charts.timeline.x_range.end];
  paint();
  render();
  document.documentElement.dataset.ready = "yes";
}
const LISTS = ["picked", "open", "shut"];
function remember() {
  const said = new URLSearchParams();
  for (const key of ["q", "part", "theme"]) if (S[key]) said.set(key, S[key]);
  if (S.sort !== "ms" || !S.down) said.set("sort", (S.down ? "-" : "") + S.sort);
  if (S.unit !== "ms") said.set("unit", S.unit);
  if (S.work !== "mults") said.set("work", S.work);
  if (S.tree) said.set("tree", "1");
  for (const type of S.types) said.append("type", type);
  for (const key of LISTS) if (S[key].size) said.set(key, [...S[key]].join("."));
  history.replaceState(null, "", "#" + said);
}
function recall() {
  const said = new URLSearchParams(location.hash.slice(1)), sort = said.get("sort") ?? "-ms", one = (key, or) => said.get(key) ?? or;
  const known = (value, all, or) => all.includes(value) ? value : or;
  Object.assign(S, { q: one("q", ""), part: one("part", ""), tree: said.has("tree"), down: sort.startsWith("-"),
    sort: known(sort.replace(/^-/, ""), COLUMNS, "ms"), unit: known(one("unit"), ["%", ...(D.samples ? ["sample"] : [])], "ms"),
    work: known(one("work"), ["macs", "flops"], "mults"), theme: known(one("theme"), ["dark", "light"], ""), types: new Set(said.getAll("type")) });
  for (const key of LISTS) S[key] = new Set(one(key, "").split(".").filter(Boolean).map(Number).filter((i) => i < N));
  document.documentElement.dataset.theme = S.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  if (!body) return;
  $("#search").value = S.q;
  $("#tree").checked = S.tree;
  for (const input of $$(".controls input[type=radio]")) input.checked = S[input.name] === input.value;
}
const toggle = (set, value) => set.delete(value) || set.add(value);
const ACTIONS = {
  "#theme": () => { S.theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark"; remember(); recall(); paint(); },
  "#clear": () => { Object.assign(S, { q: "", part: "", types: new Set(), picked: new Set(), open: new Set() }); remember(); recall(); render(); },
  "#table .sort": (b) => { const key = b.closest("th").dataset.key; S.down = S.sort === key ? !S.down : key !== "name"; S.sort = key;
    S.tree = $("#tree").checked = false; render(); },
  "#chips button": (b) => { toggle(S.types, b.dataset.type); render(); },
  "[data-part]": (b) => { S.part = S.part === b.dataset.part ? "" : b.dataset.part; render(); },
  ".twist": (b) => { toggle(S.shut, +b.closest("tr").dataset.row); render(); },
  ".show": (b) => { S.q = S.part = ""; S.types.clear(); S.tree = $("#tree").checked = false; $("#search").value = ""; pick(JSON.parse(b.dataset.rows));
    body.querySelector(".picked .name")?.focus(); $("#layers").scrollIntoView(); },
  ".copy": (b) => { const code = b.previousElementSibling; getSelection().selectAllChildren(code);
    navigator.clipboard?.writeText(code.textContent).then(() => { b.textContent = "Copied"; }, () => {}); },
  "[data-zoom], [data-move]": (b) => { const range = charts?.timeline?.x_range; if (!range) return;
    const { start, end } = range, half = (end - start) / 2 * +b.dataset.zoom, middle = (start + end) / 2, step = (end - start) * +b.dataset.move;
    const [from, to] = b.dataset.move ? [start + step, end + step] : half ? [middle - half, middle + half] : charts.whole;
    range.setv({ start: Math.max(from, charts.whole[0]), end: Math.min(to, charts.whole[1]) }); },
  ".plain thead button": sortPlain,
  "#table tr[data-row]": (row, event) => { const i = +row.dataset.row, add = event.ctrlKey || event.metaKey;
    if (event.target.closest(".name")) toggle(S.open, i);
    if (S.picked.has(i) && (add || !S.open.has(i))) S.picked.delete(i); else S.picked = new Set(add ? [...S.picked, i] : [i]);
    render(); },
};
function sortPlain(button) {
  const head = button.closest("th"), n = [...head.parentNode.cells].indexOf(head), rows = head.closest("table").tBodies[0];
  const turn = head.getAttribute("aria-sort") === "descending" ? 1 : -1, value = (row) => row.cells[n].dataset.value;
  for (const cell of head.parentNode.cells) cell.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", turn < 0 ? "descending" : "ascending");
  rows.append(...[...rows.rows].sort((a, b) => (value(a) === "") - (value(b) === "")
    || turn * (isNaN(value(a)) || isNaN(value(b)) ? value(a).localeCompare(value(b)) : value(a) - value(b))));
}
document.addEventListener("click", (event) => {
  for (const [query, act] of Object.entries(ACTIONS)) {
    const found = event.target.closest(query);
    if (found) return act(found, event);
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && body && !event.target.closest("input")) { event.preventDefault(); $("#search").focus(); }
});
if (body) {
  $("#search").addEventListener("input", (event) => { S.q = event.target.value; render(); });
  $("#tree").addEventListener("change", (event) => { S.tree = event.target.checked; render(); });
  for (const input of $$(".controls input[type=radio]")) input.addEventListener("change", () => { S[input.name] = input.value; render(); });
  for (const [type, color, n] of D.types) {
    const chip = el("button", null, { type: "button", "data-type": type, "aria-pressed": "false" }), dot = el("i");
    dot.style.background = color;
    chip.append(dot, `${type} ${n}`);
    $("#chips").append(chip);
  }
}
addEventListener("hashchange", () => { recall(); paint(); render(); });
recall();
render();
draw();
