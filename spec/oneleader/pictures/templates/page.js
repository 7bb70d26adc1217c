"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const numbers = all(".list > ol > li").map((li) => Number(li.id.slice(5)));
  const wrong = document.querySelector(".list .is-wrong");
  const panel = document.querySelector("aside.step");
  const where = document.querySelector(".where");
  let current = null; // the position of a step in `numbers`, or null: all of them

  const stepOf = (number) => document.getElementById(`step-${number}`);
  const shown = () => all(".diagram").find((d) => d.getClientRects().length) || document.querySelector(".diagram");
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  function tell(number) {
    panel.innerHTML = stepOf(number).innerHTML;
    panel.classList.toggle("is-wrong", stepOf(number) === wrong);
  }

  /* Covers all that comes after the current step, lanes and messages too. */
  function veil(diagram) {
    const cover = diagram.querySelector(".veil");
    const next = current === null ? null : all(".band", diagram)[current + 1];
    const svg = diagram.querySelector(".steps-drawn").viewBox.baseVal;
    const top = next ? next.y.baseVal.value : svg.y + svg.height;
    cover.setAttribute("y", top);
    cover.setAttribute("height", Math.max(0, svg.y + svg.height - top));
  }

  function draw(scroll) {
    const number = current === null ? null : numbers[current];
    root.classList.toggle("stepping", current !== null);
    for (const diagram of all(".diagram")) {
      veil(diagram);
      for (const row of all(".row", diagram)) {
        const is = Number(row.dataset.row) === number;
        row.classList.toggle("current", is);
        row.tabIndex = is || (number === null && row === all(".row", diagram)[0]) ? 0 : -1;
        is ? row.setAttribute("aria-current", "step") : row.removeAttribute("aria-current");
      }
      for (const arrow of all(".arrow", diagram))
        arrow.classList.toggle("near", number !== null && [arrow.dataset.sent, arrow.dataset.received].includes(String(number)));
    }
    where.textContent = number === null ? "all steps" : `step ${number} of ${numbers.at(-1)}`;
    tell(number ?? (wrong ? Number(wrong.id.slice(5)) : numbers[0]));
    history.replaceState(null, "", number === null ? location.pathname : `#at-${number}`);
    if (number !== null && scroll)
      shown().querySelector(`.row[data-row="${number}"]`).scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
  }

  function go(to, scroll = true) {
    const last = numbers.length - 1;
    current = to === null ? null : Math.min(last, Math.max(0, to));
    draw(scroll);
  }

  const moves = {
    first: () => go(0),
    last: () => go(numbers.length - 1),
    back: () => go(current === null ? numbers.length - 1 : current - 1),
    on: () => go(current === null ? 0 : current + 1),
    all: () => go(null),
    wrong: () => wrong && go(numbers.indexOf(Number(wrong.id.slice(5)))),
    theme: () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
    },
  };
  const keys = { ArrowRight: "on", j: "on", ArrowLeft: "back", k: "back", Home: "first", End: "last", v: "wrong", Escape: "all", t: "theme" };
  const inDiagram = { ...keys, ArrowDown: "on", ArrowUp: "back" };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const within = event.target.closest?.(".diagram");
    const move = (within ? inDiagram : keys)[event.key];
    if (!move) return;
    event.preventDefault();
    moves[move]();
    if (within && current !== null) shown().querySelector(".row.current").focus({ preventScroll: true });
  });
  for (const button of all("[data-go]")) button.addEventListener("click", () => moves[button.dataset.go]());
  for (const row of all(".row")) {
    const number = Number(row.dataset.row);
    row.addEventListener("click", () => go(numbers.indexOf(number), false));
    row.addEventListener("focus", () => row.matches(":focus-visible") && numbers[current] !== number && go(numbers.indexOf(number), false));
    row.addEventListener("pointerenter", () => tell(number));
    row.addEventListener("pointerleave", () => tell(numbers[current] ?? (wrong ? Number(wrong.id.slice(5)) : numbers[0])));
    const title = row.querySelector("title");
    if (title) title.remove(); // the panel says it
  }

  root.classList.add("js"); // #at-8 is this script's; #step-8 is the browser's, and goes to the list
  const asked = /^#at-(\d+)$/.exec(location.hash);
  const at = asked ? numbers.indexOf(Number(asked[1])) : -1;
  go(at < 0 ? null : at);
})();
