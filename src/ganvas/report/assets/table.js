// Tables sorted by a click on a heading; a second click turns the order round. Dashes stay at the end.
(() => {
  "use strict";
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    const value = (row, i) => {
      const text = row.cells[i].dataset.value ?? "", number = Number(text);
      return text === "" || Number.isNaN(number) ? text : number;
    };
    const compare = (a, b) =>
      typeof a === "number" && typeof b === "number"
        ? a - b
        : String(a).localeCompare(String(b), "en", { numeric: true });
    heads.forEach((head, i) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== (head.dataset.first ?? "ascending");
        const order = up === ((head.dataset.first ?? "ascending") === "ascending") ? 1 : -1;
        const sorted = [...body.rows].sort((a, b) => {
          const x = value(a, i), y = value(b, i);
          if (x === "" || y === "") return (x === "") - (y === "");
          return order * compare(x, y);
        });
        body.append(...sorted);
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order === 1 ? "ascending" : "descending");
      });
    });
  }
})();
