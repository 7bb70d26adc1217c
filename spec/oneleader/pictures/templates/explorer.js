// The page: what may be clicked, what is shown, and the run in the address.
"use strict";
(() => {
  const root = document.documentElement, $ = (id) => document.getElementById(id);
  const engine = engineOf(MODEL), reading = readingOf(PAGE);
  const properties = [...MODEL.theorems, ...MODEL.invariants];
  const faults = Object.fromEntries(PAGE.faults.map((fault) => [fault.id, fault]));
  const first = { parent: null, instance: null, state: engine.initial, children: [] };
  const chosen = { faults: new Set(), dropped: new Set(), switches: new Map() };
  for (const { constant, at } of PAGE.switches) chosen.switches.set(`${constant}.${at}`, MODEL.tables[constant][at] === 1);
  const atFirst = new Map(chosen.switches);
  let wasOpen = new Set(), path = [first], at = 0, said = "", searching = null;

  const el = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes))
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
    made.append(...children);
    return made;
  };
  const keys = new WeakMap();
  /** Gives `parent` these children, each a key and how it is made. What has its key still stays, so a step lays out only what it changes. */
  function renew(parent, wanted) {
    wanted.forEach(([key, make], i) => {
      const there = parent.children[i];
      if (there && keys.get(there) === key) return;
      const made = make();
      keys.set(made, key);
      if (there) there.replaceWith(made); else parent.append(made);
    });
    while (parent.children.length > wanted.length) parent.lastElementChild.remove();
  }
  const callOfInstance = (position) => callOf(PAGE, engine, engine.instances[position].name, engine.instances[position].args);
  const inWordsOf = ({ name, args }) => {
    const { params } = engine.actions[name], shown = params.map(([, sort], i) => reading.shown(sort, args[i]));
    return params.length === 1 ? shown[0] : params.map(([param], i) => `${param} ${shown[i]}`).join(", ") || "take it";
  };
  const bindingOf = (definition, args) => definition.params.map(([param, sort], i) => `${param} = ${reading.shown(sort, args[i])}`).join(", ");
  const titled = (name) => PAGE.definitions[name].title;
  const here = () => path[at];

  // -- steps ------------------------------------------------------------------------------------------------
  function apply() {
    for (const { constant, at: place } of PAGE.switches) MODEL.tables[constant][place] = +chosen.switches.get(`${constant}.${place}`);
    const on = [...chosen.faults].map((id) => faults[id]);
    engine.change(on.map(({ id }) => id), [...chosen.dropped, ...on.flatMap(({ dropped }) => dropped)]);
  }
  /** The step from a node, known or new; null where the model does not allow it. */
  function stepFrom(node, position) {
    const known = node.children.find((child) => child.instance === position);
    const { name, args } = engine.instances[position];
    if (engine.refusedBy(node.state, name, args) >= 0) return null;
    const after = engine.effect(node.state, name, args);
    if (!Array.isArray(after)) return null;
    if (known && known.state.join() === after.join()) return known;
    const made = { parent: node, instance: position, state: after, children: [] };
    node.children = [...node.children.filter((child) => child !== known), made];
    return made;
  }
  function take(position) {
    const next = stepFrom(here(), position);
    if (!next) return;
    if (path[at + 1] !== next) { path = path.slice(0, at + 1); for (let node = next; node; node = node.children.at(-1)) path.push(node); }
    at += 1;
    draw();
  }
  function go(to) { at = Math.max(0, Math.min(path.length - 1, to)); draw(); }
  function branch(node) { path = path.slice(0, at + 1); for (let next = node; next; next = next.children.at(-1)) path.push(next); at += 1; draw(); }
  /** The run that takes these steps from the first state, as far as the model allows them. */
  function follow(positions) {
    let node = first;
    path = [first];
    for (const position of positions) {
      const next = position < engine.instances.length ? stepFrom(node, position) : null;
      if (!next) {
        const { name, args } = engine.instances[position] ?? {};
        const refused = name ? engine.refusedBy(node.state, name, args) : -1, guard = refused >= 0 ? engine.actions[name].guards[refused] : null;
        said = `The run ends here: ${name ? callOf(PAGE, engine, name, args) : "the next step"} ${guard ? `is refused by ${guard.name} (${guard.clause})` : "is not possible"}.`;
        break;
      }
      path.push((node = next));
    }
    at = path.length - 1;
  }
  /** The same run again after something was switched: as far as it is still allowed. */
  function again() { drawSwitches(); const steps = path.slice(1).map((node) => node.instance), to = at; said = ""; first.children = []; apply(); follow(steps); at = Math.min(at, to); draw(); }

  const story = (to = at) => storyOf(PAGE, engine, first.state, path.slice(1, to + 1).map((node) => ({ ...engine.instances[node.instance], after: node.state })));

  // -- the address ------------------------------------------------------------------------------------------
  function address() {
    const parts = { run: path.slice(1).map((node) => node.instance.toString(36)).join("."), at: at === path.length - 1 ? "" : at,
      faults: [...chosen.faults].join("."), dropped: [...chosen.dropped].join("~"),
      switches: [...chosen.switches].filter(([name, on]) => on !== atFirst.get(name)).map(([name, on]) => `${name}.${+on}`).join("~") };
    const listed = Object.entries(parts).filter(([, value]) => value !== "").map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    return listed.length ? `#${[...listed, `of=${PAGE.digest}`].join("&")}` : "";
  }
  function fromAddress() {
    const parts = Object.fromEntries(location.hash.slice(1).split("&").filter(Boolean).map((part) => part.split("=").map(decodeURIComponent)));
    if (parts.of && parts.of !== PAGE.digest) said = "This link is of another version of the model or of other bounds: its steps may mean something else here.";
    chosen.faults = new Set((parts.faults ?? "").split(".").filter((id) => id in faults));
    chosen.dropped = new Set((parts.dropped ?? "").split("~").filter(Boolean));
    for (const [name, on] of atFirst) chosen.switches.set(name, on);
    for (const part of (parts.switches ?? "").split("~").filter(Boolean)) { const [, name, on] = /^(.*)\.([01])$/.exec(part) ?? []; if (atFirst.has(name)) chosen.switches.set(name, on === "1"); }
    first.children = [];
    apply();
    drawSwitches();
    follow((parts.run ?? "").split(".").filter(Boolean).map((text) => parseInt(text, 36)).filter((n) => !Number.isNaN(n)));
    if (parts.at !== undefined) at = Math.max(0, Math.min(at, Number(parts.at) || 0));
    draw();
  }

  // -- drawing ----------------------------------------------------------------------------------------------
  function draw(spoken = null) {
    const shown = story(), state = here().state, broken = judged(state), focused = document.activeElement?.dataset?.call;
    drawActions(state);
    drawProperties(broken);
    drawState(state);
    drawBranches();
    drawRun(shown);
    $("where").textContent = at ? `step ${at}${at < path.length - 1 ? ` of ${path.length - 1}` : ""}` : path.length > 1 ? `start of ${path.length - 1}` : "the first state";
    $("undo").disabled = $("restart").disabled = at === 0;
    $("redo").disabled = at === path.length - 1;
    const false_ = broken.filter(([, args]) => args);
    const theorem = false_.find(([p]) => MODEL.theorems.includes(p)) ?? false_[0];
    $("verdict").hidden = !theorem;
    if (theorem) $("verdict").textContent = `✗ ${titled(theorem[0].name)} is false here${theorem[0].params.length ? ` for ${bindingOf(theorem[0], theorem[1])}` : ""}: ${PAGE.definitions[theorem[0].name].doc}`;
    $("said").textContent = said;
    $("said").hidden = !said;
    $("live").textContent = [spoken ?? `step ${at}: ${shown.rows.at(-1).label}`, theorem ? $("verdict").textContent : ""].filter(Boolean).join(". ");
    history.replaceState(null, "", `${location.pathname}${location.search}${address()}`);
    requestAnimationFrame(() => settle(focused)); // both ask for the layout, which is made once a step
  }
  /** The keyboard stays where it was, though its button may be a new one; the last step is in sight. */
  function settle(focused) {
    if (focused && document.activeElement?.dataset?.call !== focused) ([...document.querySelectorAll("#actions [data-call]")].find((b) => b.dataset.call === focused) ?? document.querySelector("#actions button"))?.focus({ preventScroll: true });
    $("run").scrollTop = $("run").scrollHeight;
  }
  const verdicts = new WeakMap(); // of a state, as long as nothing is switched
  function judged(state) {
    const key = JSON.stringify([...chosen.switches.values()]);
    if (verdicts.get(state)?.key !== key) verdicts.set(state, { key, broken: properties.map((p) => [p, engine.broken(state, p)]) });
    return verdicts.get(state).broken;
  }
  let available = 0; // the width of the run, measured where it may have changed
  const measured = () => { available = $("run").clientWidth; };
  function drawRun(shown) {
    const wrong = new Set(path.slice(0, at + 1).flatMap((node, i) => (judged(node.state).some(([p, args]) => args && MODEL.theorems.includes(p)) ? [i] : [])));
    const { heads, body, width, height } = diagramOf(shown, available, wrong), svg = $("diagram");
    for (const [drawn, top, tall, parts] of [[$("heads"), 0, HEAD - 2, { heads }], [svg, HEAD, height - HEAD, body]]) {
      drawn.setAttribute("viewBox", `0 ${top} ${width} ${tall}`);
      drawn.setAttribute("width", width);
      drawn.setAttribute("height", tall);
      drawn.style.minWidth = `${0.8 * width}px`; // on a phone one scrolls rather than guesses
      for (const [part, texts] of Object.entries(parts)) renew(drawn.querySelector(`.${part}`), texts.map((text) => [text, () => drawnFrom(text)]));
    }
    svg.querySelector(".row.current")?.classList.remove("current");
    svg.querySelector(`.row[data-row="${at}"]`)?.classList.add("current");
  }
  const workbench = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const drawnFrom = (text) => { workbench.innerHTML = text; return workbench.firstElementChild; };
  function drawActions(state) {
    wasOpen = new Set([...document.querySelectorAll("#actions details[open]")].map((d) => d.dataset.name));
    const by = new Map(MODEL.actions.map(({ name }) => [name, { may: [], refused: new Map(), count: 0 }]));
    engine.instances.forEach(({ name, args }, position) => {
      const group = by.get(name), refused = engine.refusedBy(state, name, args);
      if (refused < 0) group.may.push(position);
      else { group.count += 1; group.refused.set(refused, [...(group.refused.get(refused) ?? []), position]); }
    });
    renew($("actions"), [...by].map(([name, group]) => {
      const steps = sorted(state, name, group.may);
      return [JSON.stringify([name, steps, [...group.refused]]), () => actionOf(name, steps, group, wasOpen.has(name))];
    }));
  }
  /** The instances that may be taken, by what they come to. */
  function sorted(state, name, may) {
    const steps = { leads: [], idle: [], cut: [], claim: [], clash: [] };
    for (const position of may) {
      const after = engine.effect(state, name, engine.instances[position].args);
      steps[!Array.isArray(after) ? after : after.every((value, i) => value === state[i]) ? "idle" : "leads"].push(position);
    }
    return steps;
  }
  function actionOf(name, steps, { may, refused, count }, isOpen) {
    const { doc, where } = PAGE.definitions[name], section = el("section", { class: may.length ? "may" : "may-not" }, el("h3", {}, titled(name)), el("p", { class: "doc", title: where }, doc));
    const buttons = (positions, more) => el("div", { class: "instances" }, ...positions.map((position) => buttonOf(position, more)));
    if (steps.leads.length) section.append(buttons(steps.leads, {}));
    if (steps.idle.length) section.append(apart(`${name}.idle`, `${steps.idle.length} ${steps.idle.length === 1 ? "changes" : "change"} nothing`, () => buttons(steps.idle, { class: "idle" })));
    for (const [kind, words] of [["cut", "beyond the bounds of this page"], ["claim", "claims what is false"], ["clash", "writes a cell twice"]])
      if (steps[kind].length) section.append(apart(`${name}.${kind}`, `${steps[kind].length} ${words}`, () => buttons(steps[kind], { disabled: true })));
    if (count) section.append(refusals(name, refused, count, !may.length, isOpen));
    return section;
  }
  /** What is shown only where it is asked for, and then stays open. */
  function apart(name, words, fill) {
    const details = el("details", { "data-name": name }, el("summary", {}, words));
    details.addEventListener("toggle", () => details.open && details.childElementCount === 1 && details.append(fill()));
    details.open = wasOpen.has(name);
    return details;
  }
  const buttonOf = (position, more) =>
    el("button", { type: "button", "data-call": callOfInstance(position), title: callOfInstance(position), "aria-label": `${titled(engine.instances[position].name)} ${inWordsOf(engine.instances[position])}`.trim(), onclick: () => take(position), ...more }, inWordsOf(engine.instances[position]));
  function refusals(name, refused, count, isAlone, isOpen) {
    const guards = engine.actions[name].guards;
    const [most] = [...refused].sort((a, b) => b[1].length - a[1].length)[0];
    const summary = isAlone ? el("summary", {}, "not possible: ", guardName(guards[most])) : el("summary", {}, `${count} more ${count === 1 ? "is" : "are"} refused`);
    const details = el("details", { "data-name": name, open: isOpen }, summary), fill = () => {
      if (details.childElementCount > 1) return;
      for (const [guard, positions] of [...refused].sort((a, b) => a[0] - b[0]))
        details.append(el("div", { class: "refused" }, el("p", {}, guardName(guards[guard]), " refuses"),
          el("ul", {}, ...positions.slice(0, 40).map((position) => el("li", {}, inWordsOf(engine.instances[position]))), ...(positions.length > 40 ? [el("li", {}, `and ${positions.length - 40} more`)] : []))));
    };
    details.addEventListener("toggle", fill);
    if (isOpen) fill();
    return details;
  }
  const guardName = ({ name, clause }) => el("span", { class: "guard" }, el("b", {}, name.replaceAll("_", " ")), clause ? ` (${clause})` : "");

  function drawProperties(broken) {
    const state = here().state, valued = (p, args) => (p.params.length ? ` for ${bindingOf(p, args)}` : "");
    const line = (definition, is, words, target) => el("li", { class: is }, el("span", { class: "mark", "aria-hidden": "true" }, { true: "✓", false: "✗", reached: "●", open: "○" }[is]),
      el("div", {}, el("b", {}, titled(definition.name)), ` ${words}`, el("p", { class: "doc" }, PAGE.definitions[definition.name].doc)), target ?? "");
    const theorems = broken.filter(([p]) => MODEL.theorems.includes(p)), invariants = broken.filter(([p]) => MODEL.invariants.includes(p));
    const judgedLine = ([p, args]) => line(p, args ? "false" : "true", args ? `is false here${valued(p, args)}` : "holds here", runTo(p, false));
    const witnessed = MODEL.witnesses.map((w) => [w, engine.witnessed(state, w)]);
    const witnessLine = ([w, args]) => line(w, args ? "reached" : "open", args ? `is true here${valued(w, args)}` : "is not true here", runTo(w, true));
    const lines = (judgements, lineOf) => judgements.map((one) => [`${one[0].name} ${one[1]}`, () => lineOf(one)]);
    renew($("theorems"), lines(theorems, judgedLine));
    renew($("witnesses"), lines(witnessed, witnessLine));
    const wrong = invariants.filter(([, args]) => args).length, details = $("invariants"), listed = details.lastElementChild;
    details.hidden = !invariants.length;
    details.firstElementChild.textContent = `${invariants.length} invariants that the proof needs${wrong ? `: ${wrong} false here` : ": all hold here"}`;
    const fill = () => details.open && renew(listed, lines(invariants, judgedLine));
    details.ontoggle = fill;
    fill();
  }
  const runTo = (definition, isWitness) => el("button", { type: "button", class: "run-to", title: isWitness ? "the shortest run to a state in which it is true" : "the shortest run to a state in which it is false",
    "aria-label": `${isWitness ? "Run to" : "Look for a violation of"} ${titled(definition.name)}`, onclick: () => seek(definition, isWitness) }, isWitness ? "Run to" : "Break it");

  function drawState(state) {
    const fields = new Map();
    PAGE.cells.forEach(([field, kind, sort, , key], i) => {
      if (state[i] === engine.initial[i] && (sort === "bool" || state[i] <= 0)) return;
      const value = sort === "bool" ? (state[i] ? "" : "false") : ` ${reading.shown(sort, state[i])}`;
      fields.set(field, { kind, said: [...(fields.get(field)?.said ?? []), `${key.join(" ")}${key.length && value ? ":" : ""}${value}` || "true"] });
    });
    renew($("state"), [...fields].map(([field, { kind, said: entries }]) => [`${field} ${entries}`, () => el("div", { class: kind }, el("dt", {}, field, kind === "ghost" ? el("small", {}, " history") : ""), el("dd", {}, ...entries.map((entry) => el("code", {}, entry))))]));
    $("nothing").hidden = fields.size > 0;
  }
  function drawBranches() {
    const others = path.slice(0, at + 1).at(-1).children;
    $("branches").replaceChildren(...(others.length > 1 ? [el("span", {}, "From here: "), ...others.map((child) => el("button", { type: "button", "aria-pressed": String(path[at + 1] === child), onclick: () => branch(child) }, callOfInstance(child.instance)))] : []));
  }
  function drawSwitches() {
    const box = (name, isOn, change, ...words) => el("label", {}, el("input", { type: "checkbox", checked: isOn, "data-switch": name, onchange: (event) => { change(event.target.checked); again(); document.querySelector(`[data-switch="${CSS.escape(name)}"]`)?.focus(); } }), el("span", {}, ...words));
    const made = PAGE.switches.map(({ constant, value, at: place }) => {
      const key = `${constant}.${place}`, isOff = constant === "off", on = chosen.switches.get(key);
      return box(key, isOff ? !on : on, (checked) => chosen.switches.set(key, isOff ? !checked : checked), el("b", {}, value), isOff ? (on ? " is off" : " is on") : `: ${constant}`);
    });
    const listed = PAGE.faults.map(({ id, title, story: words, breaks }) => box(id, chosen.faults.has(id), (checked) => (checked ? switchOn(id) : chosen.faults.delete(id)), el("b", {}, title), el("small", {}, ` ${words} Breaks ${PAGE.definitions[breaks]?.title ?? breaks}.`)));
    $("switches").replaceChildren(...(made.length ? [el("div", { class: "boxes" }, ...made)] : []), ...(listed.length ? [el("div", { class: "boxes faults" }, ...listed)] : []));
    const guards = MODEL.actions.flatMap((action) => action.guards.map((guard) => [`${action.name}.${guard.name}`, action, guard]));
    const was = $("guards").open;
    $("guards").replaceChildren(el("summary", {}, chosen.dropped.size ? `${chosen.dropped.size} guards are switched off` : "Switch off any guard"), ...(was ? guardBoxes(guards, box) : []));
    $("guards").ontoggle = () => { if ($("guards").open && $("guards").childElementCount === 1) $("guards").append(...guardBoxes(guards, box)); };
    $("switching").hidden = !made.length && !listed.length && !guards.length;
  }
  const guardBoxes = (guards, box) => [el("div", { class: "boxes" }, ...guards.map(([key, action, { name, clause }]) => box(key, !chosen.dropped.has(key), (checked) => (checked ? chosen.dropped.delete(key) : chosen.dropped.add(key)), `${titled(action.name)}: `, el("b", {}, name.replaceAll("_", " ")), el("small", {}, clause ? ` ${clause}` : ""))))];
  function switchOn(id) {
    chosen.faults.add(id);
    for (const [constant, values] of Object.entries(faults[id].where))
      for (const one of PAGE.switches) if (one.constant === constant) chosen.switches.set(`${constant}.${one.at}`, values.includes(one.value));
  }

  // -- run to -----------------------------------------------------------------------------------------------
  const MOST = 150000, SLICE = 12; // states, and milliseconds before the page may answer
  function seek(definition, isWitness) {
    const plainly = at === 0 && !chosen.dropped.size && [...chosen.switches].every(([name, on]) => on === atFirst.get(name)) && chosen.faults.size < 2;
    const known = plainly && PAGE.runs.find(({ what, fault }) => what === definition.name && fault === ([...chosen.faults][0] ?? ""));
    if (known) { said = ""; follow(known.steps); return draw(`${titled(definition.name)}: ${at} steps`); }
    search((state) => (isWitness ? engine.witnessed(state, definition) : engine.broken(state, definition)) !== null, `${titled(definition.name)} ${isWitness ? "is not reached" : "is not broken"}`);
  }
  /** Breadth first from here: the shortest run to a state where `isIt`. */
  function search(isIt, never) {
    clearTimeout(searching);
    const start = at, queue = [{ state: here().state, from: -1, position: -1 }], seen = new Set([here().state.join()]);
    let next = 0;
    $("stop").hidden = false;
    const end = (words) => { searching = null; $("stop").hidden = true; said = words; draw(); };
    $("stop").onclick = () => { clearTimeout(searching); end(`Stopped after ${seen.size.toLocaleString("en")} states.`); };
    const work = () => {
      const until = performance.now() + SLICE;
      while (performance.now() < until) {
        if (next === queue.length) return end(`${never} in any of the ${seen.size.toLocaleString("en")} states that can be reached from here within these bounds.`);
        if (seen.size > MOST) return end(`${never} in the ${seen.size.toLocaleString("en")} states nearest to here; the search stops there.`);
        const node = queue[next++];
        for (const [position, after] of engine.successors(node.state)) {
          if (!Array.isArray(after) || seen.has(after.join())) continue;
          seen.add(after.join());
          queue.push({ state: after, from: next - 1, position });
          if (isIt(after)) {
            const steps = [];
            for (let found = queue.at(-1); found.from >= 0; found = queue[found.from]) steps.unshift(found.position);
            follow([...path.slice(1, start + 1).map((n) => n.instance), ...steps]);
            return end(`The shortest run from step ${start}: ${steps.length} steps.`);
          }
        }
      }
      $("said").hidden = false;
      $("said").textContent = `Searching: ${seen.size.toLocaleString("en")} states.`;
      searching = setTimeout(work);
    };
    work();
  }

  // -- export -----------------------------------------------------------------------------------------------
  function save(name, type, text) {
    const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  const inRecording = (sort, value) => { const { each: names } = PAGE.sorts[sort]; return names ? Object.fromEntries(names.map((name, i) => [name, value[i]])) : PAGE.sorts[sort].plain[+value - PAGE.sorts[sort].least]; };
  /** The first property that is false at the end, and for which values. */
  const falseHere = () => judged(here().state).find(([p, args]) => args && MODEL.theorems.includes(p)) ?? judged(here().state).find(([, args]) => args);
  function recording() {
    const wrong = falseHere(), header = { format: "oneleader", version: 1, model: PAGE.name, ...PAGE.recording };
    const named = [...new Set(PAGE.switches.map(({ constant }) => constant))];
    if (named.length) header.constants = { ...header.constants, ...Object.fromEntries(named.map((name) => [name, PAGE.switches.filter(({ constant, at: place }) => constant === name && chosen.switches.get(`${name}.${place}`)).map(({ value }) => [value])])) };
    if (wrong) header.violates = [wrong[0].name, Object.fromEntries(wrong[0].params.map(([param, sort], i) => [param, inRecording(sort, wrong[1][i])]))];
    if (chosen.faults.size === 1) header.fault = [...chosen.faults][0];
    const lines = path.slice(1, at + 1).map(({ instance, state, parent }, i) => {
      const { name, args } = engine.instances[instance], params = engine.actions[name].params, after = {};
      const values = Object.fromEntries(params.map(([param, sort], n) => [param, inRecording(sort, args[n])]));
      PAGE.cells.forEach(([field, kind, sort, , key], cell) => {
        if (kind !== "field" || PAGE.sorts[sort].time || (i + 1 < at && parent.state[cell] === state[cell])) return;
        let inner = after, part = field;
        for (const one of key) { inner = inner[part] ??= {}; part = one; }
        inner[part] = inRecording(sort, state[cell]);
      });
      return { node: Object.values(values).find((value) => typeof value === "string") ?? "", event: callOfInstance(instance), actions: [[name, values]], after };
    });
    return [header, ...lines].map((line) => `${JSON.stringify(line)}\n`).join("");
  }
  function pytest() {
    const wrong = falseHere()?.[0] ?? MODEL.theorems[0] ?? MODEL.invariants[0], { doc } = PAGE.definitions[wrong.name];
    const changes = [...chosen.faults].map((id) => `MODEL = FAULTS["${id}"].faulty_model.change(MODEL)`);
    changes.push(...[...chosen.dropped].map((key) => `MODEL = MODEL.without_guard("${key.split(".").join('", "')}")`));
    const where = [...new Set(PAGE.switches.map(({ constant }) => constant))].map((name) => {
      const values = PAGE.switches.filter(({ constant, at: place }) => constant === name && chosen.switches.get(`${name}.${place}`)).map(({ value }) => `"${value}"`);
      return `AT = AT.where(MODEL.fields["${name}"], [${values.join(", ")}])`;
    });
    const imports = [...PAGE.imports, "from oneleader.models import find"];
    if (chosen.faults.size) imports.unshift("from oneleader.faults.catalogue import FAULTS");
    const isFalse = path.slice(0, at + 1).some((node) => engine.broken(node.state, wrong));
    return filled(PAGE.test, {
      told: isFalse ? `${titled(wrong.name)} is violated, after ${at} steps.` : `${at} steps of ${PAGE.name}, ${PAGE.size}.`,
      imports: imports.join("\n"), model: [`find("${PAGE.found}")`, ...changes].join("\n"), at: [PAGE.configuration, ...where].join("\n"),
      steps: path.slice(1, at + 1).map((node) => callOfInstance(node.instance)).join("\n"),
      what: wrong.name, says: doc.replaceAll("\\", "\\\\").replaceAll('"', "'"),
    });
  }
  function picture() {
    const svg = $("diagram").cloneNode(true), [, , width, height] = svg.getAttribute("viewBox").split(" ");
    svg.setAttribute("viewBox", `0 0 ${width} ${+height + HEAD}`);
    svg.setAttribute("height", +height + HEAD);
    svg.removeAttribute("style");
    svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    svg.setAttribute("class", "story");
    svg.removeAttribute("id");
    svg.querySelectorAll(".current").forEach((row) => row.classList.remove("current"));
    const style = el("style");
    style.textContent = $("svg-style").textContent;
    svg.prepend(style);
    svg.querySelector("style").insertAdjacentHTML("afterend", `<rect class="ground" width="100%" height="100%"/>${$("heads").innerHTML}`);
    return new XMLSerializer().serializeToString(svg);
  }
  const exports = {
    recording: () => save(`${PAGE.name}.jsonl`, "application/jsonl", recording()),
    pytest: () => save(`test_${PAGE.name}_run.py`, "text/x-python", pytest()),
    picture: () => save(`${PAGE.name}.svg`, "image/svg+xml", picture()),
    link: () => navigator.clipboard?.writeText(location.href).then(() => { $("live").textContent = said = "The link is copied: it holds the whole run."; $("said").textContent = said; $("said").hidden = false; }),
  };

  // -- keys -------------------------------------------------------------------------------------------------
  const moves = {
    undo: () => go(at - 1), redo: () => go(at + 1), restart: () => { said = ""; go(0); },
    theme: () => { const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches; root.dataset.theme = dark ? "light" : "dark"; },
  };
  const pressed = { ArrowLeft: "undo", u: "undo", ArrowRight: "redo", r: "redo", Home: "restart", t: "theme" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in pressed)) return;
    event.preventDefault();
    moves[pressed[event.key]]();
  });
  $("diagram").addEventListener("click", ({ target }) => { const row = target.closest(".row"); if (row) go(Number(row.dataset.row)); });
  for (const [name, move] of Object.entries(moves)) $(name).addEventListener("click", move);
  for (const button of document.querySelectorAll("[data-export]")) button.addEventListener("click", exports[button.dataset.export]);
  addEventListener("hashchange", () => { if (location.hash !== address()) { said = ""; fromAddress(); } });
  addEventListener("resize", () => { measured(); drawRun(story()); });
  measured();
  fromAddress();
  root.dataset.ready = "yes";
  performance.mark("ready");
  Object.assign(globalThis, { explorer: { engine, page: PAGE, take, go, recording, pytest, picture, calls: () => path.slice(1).map((node) => callOfInstance(node.instance)), state: () => here().state } });
})();
