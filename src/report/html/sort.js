"use strict";
// Sorts a table by the column whose head is pressed, and back. The page tells all without it.
(() => {
  const value = (row, at) => {
    const cell = row.cells[at];
    const marked = cell.querySelector("[data-order]");
    if (marked) return Number(marked.dataset.order);
    const text = cell.textContent.trim();
    if (!cell.classList.contains("number")) return text;
    const number = parseFloat(text.replace(/[^0-9.]/g, ""));
    return Number.isNaN(number) ? -1 : text.startsWith("<") ? number / 2 : text.startsWith(">") ? number + 0.5 : number;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    if (!body || body.rows.length < 3) continue;
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      // On paper, where heads with buttons are not repeated from page to page.
      head.dataset.title = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].map((row) => [value(row, at), row]);
        rows.sort((a, b) => (down ? -1 : 1) * compare(a[0], b[0]));
        body.append(...rows.map((pair) => pair[1]));
      });
    });
  }
})();
