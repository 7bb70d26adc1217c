// A run as a story: the rows, the lanes and the messages of a space-time diagram. The same story as
// `telling.py` makes of it, from the same words; a test compares both.

/** What one state says: cells as they are told, and the lanes. */
function readingOf(page) {
  if (readingOf.made?.page === page) return readingOf.made;
  const positions = new Map(page.cells.map(([field, , , told], i) => [JSON.stringify([field, told]), i]));
  const plain = (sort, value) => page.sorts[sort].plain[value - page.sorts[sort].least];
  const { nodes, roots } = page.words.spots;
  const spots = page.words.spots.spots.map(([role, term, lease, words, life]) => ({ role, term, lease, words, life }));
  const argument = (sort, value) => {
    const { each: names } = page.sorts[sort];
    return names ? names.map((name, i) => `${name} ${value[i]}`).join(", ") : plain(sort, +value);
  };
  return (readingOf.made = {
    page,
    /** What is told of a cell. */
    told: (state, cell) => plain(page.cells[cell][2], state[cell]),
    /** The cell of a field at an index that is told, or undefined. */
    cell: (field, key) => positions.get(JSON.stringify([field, key])),
    /** An argument of an action as it is told. */
    argument,
    /** A value as it is shown: of a parameter, or of a cell. */
    shown: (sort, value) => page.sorts[sort].each ? argument(sort, value) : page.sorts[sort].shown[+value - page.sorts[sort].least],
    spot(state, lane) {
      let node = roots[lane];
      while (node >= 0) node = nodes[node][1 + state[nodes[node][0]] - page.sorts[page.cells[nodes[node][0]][2]].least];
      return spots[-1 - node];
    },
  });
}

const inWords = (value) =>
  Array.isArray(value) ? value.join(" and ") : value === null || value === undefined ? "nobody" : String(value);
const filled = (template, names) => template.replace(/\{(\w+)\}/g, (_, name) => names[name] ?? "None");

/** The story of `steps`: [{name, args, after}], from a state on. */
function storyOf(page, engine, initial, steps) {
  const reading = readingOf(page), { acts, messages, lanes, places } = page.words;
  const rows = [], arrows = [], sent = new Map();
  const names = new Set(lanes.map(([name]) => name));
  const spotsOf = (state) => Object.fromEntries(lanes.map(([name]) => [name, reading.spot(state, name)]));

  const send = (row, lane, cells, state) => {
    for (const cell of cells) {
      const [field, , , key] = page.cells[cell], message = messages[field], value = reading.told(state, cell);
      if (!message || !value) continue;
      const end = (at) => (at === null ? "" : typeof at === "string" ? at : String(key[at]));
      const token = message.token === "value" ? value : typeof message.token === "number" ? key[message.token] : null;
      sent.delete(cell);
      sent.set(cell, { row, source: end(message.source) || lane, to: end(message.to), token });
    }
  };
  const draw = (source, to, label, from, received, token) => {
    if (source !== to) arrows.push({ source, to, label, sent: from, received, isLost: false, token });
  };
  const meant = (text, args, term) => {
    const [name, ...parts] = text.split(" ");
    const wanted = parts.map((part) =>
      part === "*" ? null : part === "@term" ? [term] : part.startsWith("<") ? args[part.slice(1)] ?? [] : [args[part]]);
    return [...sent.keys()].filter((cell) => {
      const [field, , , key] = page.cells[cell];
      return field === name && wanted.every((w, i) => w === null || w.some((x) => JSON.stringify(x) === JSON.stringify(key[i])));
    });
  };
  const read = (row, lane, act, args, term) => {
    let found = new Map();
    for (const text of act.reads)
      for (const cell of meant(text, args, term)) {
        const message = sent.get(cell);
        if (message.source !== lane && !(found.get(message.source)?.row > message.row))
          found.set(message.source, { ...message, field: page.cells[cell][0] });
      }
    if (act.reads.some((text) => text.includes("*")) && found.size) {
      const newest = [...found.values()].reduce((best, one) => (one.row > best.row ? one : best));
      found = new Map([[newest.source, newest]]);
    }
    for (const [source, message] of found)
      draw(source, lane, messages[message.field].name, message.row, row, message.token);
  };
  const tokenOf = (act, args, state) => {
    const [name, ...key] = (act.token || "").split(" ").filter(Boolean);
    if (!name) return null;
    if (name in args) return Number(args[name]);
    const cell = reading.cell(name, key.map((part) => args[part]));
    return cell === undefined ? null : reading.told(state, cell);
  };

  send(0, "", page.cells.map((_, i) => i), initial);
  rows.push({ number: 0, lane: "", label: "the first state", after: spotsOf(initial), call: "", changes: [], mark: "", token: null });
  let before = initial;
  steps.forEach(({ name, args: values, after }, i) => {
    const number = i + 1, act = acts[name], params = engine.actions[name].params;
    const args = Object.fromEntries(params.map(([param, sort], n) => [param, reading.argument(sort, values[n])]));
    const said = Object.fromEntries(Object.entries(args).map(([param, value]) => [param, inWords(value)]));
    const written = page.cells.map((_, cell) => cell).filter((cell) => before[cell] !== after[cell]);
    const token = tokenOf(act, args, before), spots = spotsOf(after);
    const lane = filled(act.at, said), term = names.has(lane) ? spots[lane].term : null;
    const undone = act.undone && written.length && !written.some((cell) => reading.told(after, cell));
    read(number, lane, act, args, term);
    for (const [source, to, what] of act.within)
      for (const one of source.startsWith("<") ? args[source.slice(1)] : [filled(source, said)])
        draw(one, filled(to, said), filled(what, said), number, number, token);
    send(number, lane, written, after);
    rows.push({
      number, lane, label: filled(undone ? act.undone : act.words, { ...said, term: term ?? "None" }), after: spots,
      call: callOf(page, engine, name, values), changes: changesOf(page, before, after), mark: act.mark, token,
    });
    before = after;
  });
  return finished(page, rows, arrows, sent);
}

/** With the messages that nobody read, and without the places at which nothing happens. */
function finished(page, rows, arrows, sent) {
  const { lanes, places, messages } = page.words;
  const servers = lanes.filter(([, kind]) => kind === "server").map(([name]) => name);
  const unread = (ends) => {
    const found = [], arrived = new Set(arrows.map((a) => JSON.stringify([a.source, a.to, a.sent, a.label])));
    for (const [cell, { row, source, to, token }] of sent) {
      const message = messages[page.cells[cell][0]];
      for (const one of to ? [to] : servers) {
        if (!source || one === source || arrived.has(JSON.stringify([source, one, row, message.name]))) continue;
        const arrow = { source, to: one, label: message.name, sent: row, token };
        if (message.at_once && to) found.push({ ...arrow, received: row, isLost: false });
        else if (!message.at_once) found.push({ ...arrow, received: null, isLost: row < ends });
      }
    }
    return found;
  };
  const all = [...arrows, ...unread(rows.at(-1).number)];
  all.sort((a, b) => a.sent - b.sent || (a.received === null) - (b.received === null) || (a.received ?? 0) - (b.received ?? 0));
  const isPlace = ([name, kind]) => places.some(([n, k]) => n === name && k === kind);
  const matters = (lane) =>
    !isPlace(lane) || places.length === lanes.length || all.some((a) => a.source === lane[0] || a.to === lane[0]) ||
    rows.some(({ lane: at, after }) => at === lane[0] || !isEmpty(after[lane[0]]));
  return { rows, arrows: all, lanes: lanes.filter(matters).map(([name, kind, shown]) => ({ name, kind, shown })) };
}

const isEmpty = (spot) => !spot.role && spot.term === null && !spot.lease && !spot.words.length && spot.life === "up";

/** `grant_vote(voter=n2, candidate=n1, t=1)`. */
function callOf(page, engine, name, args) {
  const { shown } = readingOf(page);
  return `${name}(${engine.actions[name].params.map(([param, sort], i) => `${param}=${shown(sort, args[i])}`).join(", ")})`;
}

/** The cells that differ: `term[n1]: 0 -> 1`. */
function changesOf(page, before, after) {
  const { shown } = readingOf(page);
  return page.cells.flatMap(([field, , sort, , key], i) =>
    before[i] === after[i] ? [] : [`${field}${key.length ? `[${key.join(", ")}]` : ""}: ${shown(sort, before[i])} -> ${shown(sort, after[i])}`]);
}
