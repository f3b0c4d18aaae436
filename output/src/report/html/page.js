// Sorting and searching of lists. The page is whole without it.
(() => {
  "use strict";

  const compareText = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare;
  const count = (number) => number.toLocaleString("en-US");
  // "Zoë" is found by "zoe".
  const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

  function prepare(list) {
    const table = list.querySelector("table");
    const body = table.tBodies[0];
    const status = list.querySelector(".count");
    const rows = [...body.rows];

    // What is not known has no key and comes last, whichever way round.
    function key(cell, isNumber) {
      if (!cell || cell.querySelector("i")) return null;
      if (!isNumber) return cell.textContent;
      const number = parseFloat(cell.textContent.replaceAll(",", ""));
      const power = "B kB MB GB TB PB".split(" ").indexOf(cell.textContent.split(" ")[1]);
      return Number.isNaN(number) ? null : number * 1000 ** Math.max(power, 0);
    }

    function sort(heading, direction) {
      const column = heading.cellIndex;
      const isNumber = heading.dataset.kind === "number";
      const sign = direction === "ascending" ? 1 : -1;
      const keyed = rows.map((row) => [key(row.cells[column], isNumber), row]);
      keyed.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (isNumber ? a - b : compareText(a, b));
      });
      for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", direction);
      rows.splice(0, rows.length, ...keyed.map(([, row]) => row));
      body.append(...rows);
      if (status) status.textContent = `Sorted by ${heading.textContent}, ${direction}`;
    }

    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        // Numbers begin with the largest: that is what one looks for.
        const first = heading.dataset.kind === "number" ? "descending" : "ascending";
        const second = first === "ascending" ? "descending" : "ascending";
        sort(heading, heading.getAttribute("aria-sort") === first ? second : first);
      });
    }

    const tools = list.querySelector(".tools");
    if (!tools) return;
    tools.hidden = false;
    const texts = new Map();
    const textOf = (row) => {
      if (!texts.has(row)) texts.set(row, folded([...row.cells].map((cell) => cell.textContent).join("\n")));
      return texts.get(row);
    };
    tools.querySelector("input").addEventListener("input", (event) => {
      const words = folded(event.target.value).split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        row.hidden = !words.every((word) => textOf(row).includes(word));
        if (!row.hidden) shown += 1;
      }
      status.textContent =
        words.length > 0 ? `${count(shown)} of ${count(rows.length)} rows` : `${count(rows.length)} rows`;
    });
  }

  for (const list of document.querySelectorAll("[data-list]")) prepare(list);
})();
