// The steps of a model that `javascript.py` has printed. A state is an array of small integers, cell by cell,
// as everywhere in oneleader; truth is 0 or 1 in it.

const each = (size) => Array.from({ length: size }, (_, i) => i);
const count = (size, holds) => { let n = 0; for (let i = 0; i < size; i++) if (holds(i)) n++; return n; };
const every = (size, holds) => { for (let i = 0; i < size; i++) if (!holds(i)) return false; return true; };
const some = (size, holds) => { for (let i = 0; i < size; i++) if (holds(i)) return true; return false; };

/** What a step writes: cell by cell, and whether it leaves the bounds or writes a cell twice. */
class Writes {
  constructor(state) { this.after = state.slice(); this.written = new Set(); this.isCut = this.clashes = false; }
  cut() { this.isCut = true; }
  put(cell, value, most) {
    if (value > most) this.isCut = true;
    if (this.written.has(cell)) this.clashes = true;
    this.written.add(cell);
    this.after[cell] = value;
  }
}

/** The model with its steps. `dropped`: "action.guard" of guards that are not required. */
function engineOf(model) {
  const values = (sort) => {
    const size = model.domains[sort];
    if (sort === "bool") return [false, true];
    if (!Array.isArray(size)) return each(size);
    return assignments(each(size[1]).map(() => each(size[0])));
  };
  const assignments = (domains) =>
    domains.reduce((made, domain) => made.flatMap((start) => domain.map((value) => [...start, value])), [[]]);
  const known = new Map(); // the bindings of a definition are asked for in every state
  const bindings = (definition) => {
    if (!known.has(definition)) known.set(definition, assignments(definition.params.map(([, sort]) => values(sort))));
    return known.get(definition);
  };
  const instancesOf = (actions) =>
    actions.flatMap((action) => bindings(action).map((args) => ({ name: action.name, args })));

  const engine = {
    model, bindings,
    initial: model.initial,
    actions: Object.fromEntries(model.actions.map((action) => [action.name, action])),
    instances: instancesOf(model.actions),
    dropped: new Set(),

    /** Take these variants of actions, and require none of these guards. */
    change(variants, dropped) {
      const changed = [...model.actions, ...variants.flatMap((name) => model.variants[name] ?? [])];
      engine.actions = Object.fromEntries(changed.map((action) => [action.name, action]));
      engine.dropped = new Set(dropped);
    },

    /** The position of the first guard that forbids the action here, or -1. */
    refusedBy(state, name, args) {
      return engine.actions[name].guards.findIndex(
        (guard) => !engine.dropped.has(`${name}.${guard.name}`) && !guard.holds(state, ...args));
    },

    /** The state after an action whose guards hold; or "claim", "cut" or "clash". */
    effect(state, name, args) {
      const action = engine.actions[name], writes = new Writes(state);
      if (!action.claims(state, ...args)) return "claim";
      action.effect(state, writes, ...args);
      return writes.isCut ? "cut" : writes.clashes ? "clash" : writes.after;
    },

    /** Every step from here: [position of its instance, the state after it or why there is none]. */
    successors(state) {
      const steps = [];
      engine.instances.forEach(({ name, args }, position) => {
        if (engine.refusedBy(state, name, args) < 0) steps.push([position, engine.effect(state, name, args)]);
      });
      return steps;
    },

    /** The values for which a property is false, or null. */
    broken: (state, property) => bindings(property).find((args) => !property.holds(state, ...args)) ?? null,

    /** The values for which a witness is true, or null. */
    witnessed: (state, witness) => bindings(witness).find((args) => witness.holds(state, ...args)) ?? null,
  };
  return engine;
}
