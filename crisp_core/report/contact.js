"use strict";
// Order of the contact sheet: by name, verdict or a number of the table of verdicts.
(() => {
  const sheet = document.querySelector(".sheet"), choice = document.querySelector("[data-order]");
  if (!sheet || !choice) return;
  const turn = document.querySelector("[data-turn]"), items = [...sheet.children];
  const VERDICTS = ["bad", "doubtful", "good", ""];
  const attribute = (item, key) => item.getAttribute(`data-${key}`);
  const byName = (a, b) => attribute(a, "name").localeCompare(attribute(b, "name"), "en", { numeric: true });

  // The largest first; micrographs without a value last, in both directions.
  function compare(key, reversed) {
    const sign = reversed ? -1 : 1;
    if (key === "name") return (a, b) => sign * byName(a, b);
    if (key === "verdict")
      return (a, b) => sign * (VERDICTS.indexOf(attribute(a, key)) - VERDICTS.indexOf(attribute(b, key))) || byName(a, b);
    return (a, b) => {
      const [first, second] = [a, b].map((item) => attribute(item, key));
      if (first === null || second === null) return (first === null) - (second === null) || byName(a, b);
      return sign * (Number(second) - Number(first)) || byName(a, b);
    };
  }

  function show() {
    const key = choice.value, text = choice.selectedOptions[0].textContent;
    sheet.append(...items.toSorted(compare(key, turn.getAttribute("aria-pressed") === "true")));
    for (const item of items) {
      const value = attribute(item, key), named = ["name", "verdict", "n_picks"].includes(key);
      item.querySelector("[data-sorted]").textContent = named || value === null ? "" : `${text} ${Number(value).toPrecision(3)}`;
    }
  }

  function reverse() {
    turn.setAttribute("aria-pressed", String(turn.getAttribute("aria-pressed") !== "true"));
    show();
  }

  choice.addEventListener("change", show);
  turn.addEventListener("click", reverse);
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("select, textarea, pre, input") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "o") reverse();
    else if (event.key === "s") { choice.selectedIndex = (choice.selectedIndex + 1) % choice.options.length; show(); }
    else return;
    event.preventDefault();
  });
})();
