// Tables of many rows: a filter above them, and heads that sort.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const MANY = 12;
  const text = (row, i) => row.cells[i]?.textContent.trim() ?? "";
  const number = (said) => (/^[\d,.]+/.test(said) ? parseFloat(said.replaceAll(",", "")) : NaN);
  const compared = (a, b) => (Number.isNaN(number(a)) || Number.isNaN(number(b)) ? a.localeCompare(b) : number(a) - number(b));
  for (const table of document.querySelectorAll("article table")) {
    const body = table.tBodies[0], heads = [...(table.tHead?.rows[0]?.cells ?? [])];
    if (!body || body.rows.length < MANY || !heads.length) continue;
    const rows = [...body.rows], tools = document.createElement("div"), input = document.createElement("input"), shown = document.createElement("output");
    tools.className = "table-tools";
    input.type = "search";
    input.placeholder = "Filter these rows";
    input.setAttribute("aria-label", "filter the rows of the table");
    tools.append(input, shown);
    (table.closest(".table-wrapper") ?? table).before(tools);
    const filter = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of rows) {
        row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
        count += !row.hidden;
      }
      shown.textContent = `${count} of ${rows.length}`;
    };
    input.addEventListener("input", filter);
    filter();
    heads.forEach((head, i) => {
      const sort = () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        body.append(...[...rows].sort((a, b) => (up ? 1 : -1) * compared(text(a, i), text(b, i))));
      };
      head.classList.add("sortable");
      head.tabIndex = 0;
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), sort()));
    });
  }
});
