// A story as SVG: the diagram of `layout.py` and `diagram.svg.j2`, drawn again after each step.

const WIDE = { number: 34, label: 250, gap: 54, pill: 118, words: 13, small: 11 };
const NARROW = { number: 22, label: 96, gap: 12, pill: 80, words: 11.5, small: 9.5 };
const HEAD = 46, SLOT = 9, LINE = 17, SMALL_LINE = 14, BEFORE = 17, AFTER = 9;
const BROAD = ["write", "refused", "time", "pause", "resume", "crash", "restart", "back"];
const STANDING = ["candidate", "pre-candidate", "election", "halting"];

const textWidth = (text, size) =>
  size * [...text].reduce((sum, c) => sum + ("mwMWQO@%".includes(c) ? 0.97 : "iljtfrI.,:;'|!() []".includes(c) ? 0.42 : 0.645), 0);
const colour = (term) => (term === null ? "tn" : term <= 0 ? "t0" : `t${1 + ((term - 1) % 6)}`);
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function wrapped(text, width, size) {
  const lines = [];
  for (let word of text.split(" ")) {
    if (lines.length && textWidth(`${lines.at(-1)} ${word}`, size) <= width) { lines.push(`${lines.pop()} ${word}`); continue; }
    while (textWidth(word, size) > width && word.length > 2) word = `${word.replace(/…$/, "").slice(0, -1)}…`;
    lines.push(word);
  }
  return lines;
}

/** What the pills of a lane say: [kind, words, term]; only what is new, or all of it. */
function saidOnPills(before, after, whole) {
  const said = [], role = [after.role, after.lease ? "lease" : ""].filter(Boolean).join(", ");
  const isNew = ["role", "term", "lease", "life"].some((part) => before[part] !== after[part]);
  if (role && after.life !== "down" && (isNew || whole)) said.push(["role", role, after.term]);
  if (after.life !== "up" && (isNew || whole)) said.push(["life", after.life, null]);
  const fresh = after.words.filter((word) => whole || !before.words.includes(word));
  const replaced = fresh.map((word) => word.split(" ")[0]);
  said.push(...fresh.map((word) => ["word", word, null]));
  const gone = before.words.filter((word) => !after.words.includes(word) && !replaced.includes(word.split(" ")[0]));
  said.push(...gone.map((word) => ["gone", word, null]));
  if (before.lease && !after.lease) said.push(["gone", "lease", null]);
  return said;
}

const badgeWidth = (kind, term, m) => (kind === "role" && term !== null ? textWidth(String(term), m.small) + 8 : 0);

const widest = new Map([[WIDE, new WeakMap()], [NARROW, new WeakMap()]]); // of what is said of a spot
function widestOf(spot, m) {
  const known = widest.get(m);
  if (!known.has(spot))
    known.set(spot, Math.max(0, ...saidOnPills(spot, spot, true).map(([kind, words, term]) => textWidth(words, m.small) + badgeWidth(kind, term, m) + 10)));
  return known.get(spot);
}
const pillWidthOf = ({ rows, lanes }, m) =>
  Math.min(m.pill, 1 + Math.max(40, ...lanes.map((lane) => textWidth(lane.shown, m.words)), ...rows.flatMap((row) => lanes.map(({ name }) => widestOf(row.after[name], m)))));

/** The diagram's elements, of each kind as texts of SVG; its width and height. `wrong`: the numbers of rows in which something is false. */
function diagramOf(story, available, wrong) {
  const { rows, lanes, arrows } = story, wide = WIDE.number + WIDE.label + 20 + (pillWidthOf(story, WIDE) + WIDE.gap) * lanes.length;
  const sizes = wide > available * 1.25 ? NARROW : WIDE, digits = textWidth(String(rows.at(-1).number), sizes.small) + 14;
  const m = { ...sizes, number: Math.max(sizes.number, digits) }, pillWidth = pillWidthOf(story, sizes);
  const badge = (kind, term) => badgeWidth(kind, term, m);
  const pitch = pillWidth + m.gap, left = m.number + m.label + 12;
  const x = Object.fromEntries(lanes.map(({ name }, i) => [name, left + pitch * (i + 0.5)]));
  const width = left + pitch * Math.max(1, lanes.length) + 8, out = { bands: [], edges: [], bars: [], lanes: [], halos: [], arrows: [], rows: [] };
  const slots = rows.map((row) => [
    ...arrows.filter((a) => a.received === row.number),
    ...(arrows.some((a) => a.sent === row.number && a.received !== row.number) ? [null] : [])]);
  const ys = [], tops = [];
  let top = HEAD;

  rows.forEach((row, i) => {
    const y = top + BEFORE, bottom = y + SLOT * Math.max(0, slots[i].length - 1), before = rows[Math.max(0, i - 1)].after;
    ys.push(y), tops.push(top);
    const parts = [], isWrong = wrong.has(row.number);
    const text = (cls, tx, ty, words, size, more = "") =>
      parts.push(`<text class="${cls}" x="${tx.toFixed(1)}" y="${ty.toFixed(1)}" font-size="${size}" ${more}>${escaped(words)}</text>`);
    text("number", m.number - 6, y + 4, row.number, m.small, 'text-anchor="end"');
    let low = y;
    wrapped(row.label, m.label, m.words).forEach((line, n) => text("words label", m.number + 6, (low = y + 4 + LINE * n), line, m.words));
    sentBy(story, row.number).flatMap((said) => wrapped(`→ ${said}`, m.label, m.small))
      .forEach((line) => text("small label", m.number + 6, (low += SMALL_LINE + 1), line, m.small));
    low = Math.max(low + 5, bottom + 8);
    if (row.lane in x) parts.push(markOf(row, x[row.lane], y, bottom));
    else if (row.mark === "time") parts.push(`<line class="time" x1="${left}" y1="${y}" x2="${width - 8}" y2="${y}"/>`);
    for (const { name } of lanes) {
      let py = bottom + 12;
      for (const [kind, words, term] of saidOnPills(before[name], row.after[name], i === 0)) {
        const drawn = pillOf(x[name], py, kind, words, term, pillWidth, m.small, badge(kind, term));
        parts.push(drawn.svg);
        py += drawn.height + 3;
        low = Math.max(low, py - 3);
      }
    }
    const height = low - top + AFTER;
    out.bands.push(`<rect class="band${i % 2 ? "" : " odd"}${isWrong ? " wrong" : ""}" x="0" y="${top}" width="${width}" height="${height}"/>`);
    if (isWrong) out.edges.push(`<line class="edge" x1="2" y1="${top}" x2="2" y2="${top + height}"/>`);
    const told = spoken(story, row, before);
    out.rows.push(`<g class="row" data-row="${row.number}" role="listitem" aria-label="${escaped(told)}"><title>${escaped([row.call || row.label, ...row.changes].join("\n"))}</title><rect class="hit" x="1" y="${top + 1}" width="${width - 2}" height="${height - 2}" rx="4"/>${parts.join("")}</g>`);
    top += height;
  });

  for (const { name } of lanes) {
    let bar = null;
    rows.forEach((row, i) => {
      const spot = row.after[name], below = i + 1 < rows.length ? ys[i + 1] : top;
      const style = spot.life === "paused" ? "paused" : ["leader", "coordinator"].includes(spot.role) ? "leads" : STANDING.includes(spot.role) ? "stands" : spot.role ? "follows" : "plain";
      if (spot.life !== "down") out.lanes.push(`<line class="${style} ${colour(spot.term)}" x1="${x[name]}" y1="${ys[i]}" x2="${x[name]}" y2="${below}"/>`);
      if (spot.lease) bar = { from: bar?.from ?? ys[i], to: below, term: spot.term };
      if (bar && (!spot.lease || i + 1 === rows.length)) {
        out.bars.push(`<rect class="bar ${colour(bar.term)} fill-${colour(bar.term)}" x="${x[name] - 11}" y="${bar.from}" width="22" height="${bar.to - bar.from}" rx="3"><title>lease</title></rect>`);
        bar = null;
      }
    });
  }
  for (const arrow of arrows.filter((a) => a.source in x && a.to in x)) arrowOf(arrow, { x, ys, slots, rows, pillWidth, pitch, m }, out);
  const heads = lanes.map(({ name, kind, shown }) =>
    `<g><text class="words" x="${x[name]}" y="20" text-anchor="middle" font-size="${m.words + 1}" font-weight="650">${escaped(shown)}</text><text class="kind" x="${x[name]}" y="35" text-anchor="middle" font-size="${m.small}">${escaped(kind)}</text></g>`);
  return { heads, body: out, width: Math.ceil(width), height: Math.ceil(top + 8) };
}

function sentBy(story, number) {
  const by = new Map();
  for (const a of story.arrows) if (a.sent === number) by.set(a.label, [...(by.get(a.label) ?? []), a]);
  return [...by].map(([label, arrows]) => `${label} to ${[...new Set(arrows.map((a) => a.to))].join(", ")}`);
}

function spoken(story, row, before) {
  const changed = story.lanes.filter(({ name }) => JSON.stringify(before[name]) !== JSON.stringify(row.after[name]));
  return [`${row.number}: ${row.label}.`, ...changed.map(({ name, shown }) => `${shown} is ${told(row.after[name])}.`)].join(" ");
}

const told = (spot) => [
  spot.life !== "up" ? spot.life : spot.role && spot.term !== null ? `${spot.role} in term ${spot.term}` : spot.role,
  spot.lease ? "with a lease" : "", ...spot.words].filter(Boolean).join(", ") || "as at first";

function pillOf(x, y, kind, words, term, most, size, badge) {
  const lines = wrapped(words, most - badge - 10, size), line = size + 2.5;
  const width = Math.max(...lines.map((text) => textWidth(text, size))) + badge + 10, height = 4 + line * lines.length;
  const left = x - width / 2, middle = left + badge + (width - badge) / 2;
  let svg = `<rect class="pill pill-${kind} ${kind === "role" ? colour(term) : ""}" x="${left}" y="${y}" width="${width}" height="${height}" rx="4"/>`;
  if (badge) svg += `<path class="fill-${colour(term)}" d="M${left + 4} ${y}h${badge - 4}v${height}h${4 - badge}a4 4 0 0 1 -4 -4v${8 - height}a4 4 0 0 1 4 -4z"/><text class="badge" x="${left + badge / 2}" y="${y + size + 1.5}" text-anchor="middle" font-size="${size}" font-weight="700">${term}</text>`;
  svg += lines.map((text, i) => `<text class="${kind === "gone" ? "small gone" : "words"}" text-anchor="middle" x="${middle}" y="${y + size + 1.5 + line * i}" font-size="${size}">${escaped(text)}</text>`).join("");
  return { svg, height };
}

function markOf({ mark, token, lane, after }, x, y, bottom) {
  const c = colour(after[lane].term);
  const cross = `<path class="line crash" d="M${x - 5} ${y - 5}l10 10M${x - 5} ${y + 5}l10 -10"/>`;
  if (mark === "crash" || mark === "restart") return `<rect class="hole" x="${x - 9}" y="${y - 9}" width="18" height="${bottom - y + 18}"/>${cross}`;
  if (mark === "back") return `<circle class="hole ${c}" cx="${x}" cy="${y}" r="5.5" stroke-width="2.5"/>`;
  if (mark === "pause") return `<circle class="hole ${c}" cx="${x}" cy="${y}" r="8" stroke-width="1.5"/><path class="line ${c}" stroke-width="2" d="M${x - 2.5} ${y - 4}v8M${x + 2.5} ${y - 4}v8"/>`;
  if (mark === "resume") return `<circle class="hole ${c}" cx="${x}" cy="${y}" r="8" stroke-width="1.5"/><path class="fill-${c}" d="M${x - 2.5} ${y - 4}l6.5 4l-6.5 4z"/>`;
  if (mark === "cut") return `<rect class="hole" x="${x - 9}" y="${y - 6}" width="18" height="12"/><path class="line crash" d="M${x - 9} ${y + 1}l18 -5M${x - 9} ${y + 6}l18 -5"/>`;
  if (mark === "time") return `<circle class="hole ${c}" cx="${x}" cy="${y}" r="7.5" stroke-width="1.5"/><path class="line ${c}" stroke-width="1.5" d="M${x} ${y - 4.5}v4.5h3.5"/>`;
  if (mark === "write" || mark === "refused")
    return `<path class="${mark}" d="M${x - 10} ${y}L${x} ${y - 10}L${x + 10} ${y}L${x} ${y + 10}Z"/><text class="on-${mark}" x="${x}" y="${y + 3.6}" text-anchor="middle" font-size="10" font-weight="700">${token ?? ""}</text>`;
  return `<rect class="dot fill-${c}" x="${x - 5.5}" y="${y - 5.5}" width="11" height="${bottom - y + 11}" rx="5.5"/>`;
}

function arrowOf(arrow, { x, ys, slots, rows, pillWidth, pitch, m }, out) {
  const here = x[arrow.source], there = x[arrow.to], d = there > here ? 1 : -1;
  const y = ys[arrow.sent] + SLOT * Math.max(0, slots[arrow.sent].length - 1);
  const start = here + 6 * d, beside = there - d * (pillWidth / 2 + 3);
  let points, kind = "arrives";
  if (arrow.received === null) {
    kind = arrow.isLost ? "lost" : "open";
    points = [[start, y], [arrow.isLost ? beside - 4 * d : here + d * (pillWidth / 2 + m.gap * 0.7), y]];
  } else {
    const row = rows[arrow.received], to = ys[arrow.received] + SLOT * slots[arrow.received].indexOf(arrow);
    const end = there - d * (row.lane === arrow.to && BROAD.includes(row.mark) ? 13 : 9);
    points = arrow.received === arrow.sent ? [[here + 5 * d, to], [end, to]]
      : [[start, y], [there - d * (pitch - pillWidth / 2 - 3), y], [beside, to], [end, to]];
  }
  const path = points.map((p) => p.map((n) => n.toFixed(1)).join()).join(" "), [ex, ey] = points.at(-1);
  out.halos.push(`<polyline class="line halo" points="${path}"/>`);
  const head = kind === "arrives" ? `<path class="head" d="M${ex + 2 * d} ${ey}l${-8 * d} -4v8z"/>`
    : kind === "lost" ? `<path class="line lost cross" d="M${ex - 3.6} ${ey - 3.6}l7.2 7.2M${ex - 3.6} ${ey + 3.6}l7.2 -7.2"/>`
    : `<path class="line lost cross" d="M${ex - 4 * d} ${ey - 3.5}l${4 * d} 3.5l${-4 * d} 3.5"/>`;
  const token = arrow.token !== null && arrow.sent !== arrow.received
    ? `<path class="write" d="M${start + 4.5 * d} ${y}l${8.5 * d} -8.5l${8.5 * d} 8.5l${-8.5 * d} 8.5z"/><text class="on-write" x="${start + 13 * d}" y="${y + 3.2}" text-anchor="middle" font-size="9" font-weight="700">${arrow.token}</text>` : "";
  out.arrows.push(`<g class="arrow"><title>${escaped(`${arrow.label} from ${arrow.source} to ${arrow.to}`)}</title><polyline class="line ${kind === "arrives" ? "message" : "lost"} ${kind}" points="${path}"/>${head}${token}</g>`);
}
