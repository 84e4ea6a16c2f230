"use strict";
// What the scripts of the page share: the data of the run, the viewer, and functions between them.
const crisp = {};
(() => {
  const run = JSON.parse(document.getElementById("data").textContent), { previews } = run;
  // In a large run, pictures and candidates of a micrograph are in a script of the folder beside the page (parts.py).
  const isLoaded = (one) => one.image !== undefined;
  const requested = new Map();
  let isForeign = false;
  for (const one of run.micrographs) if (!isLoaded(one)) Object.assign(one, { candidates: { x: [], y: [], score: [] }, truth: null });

  // Called by the script of a part.
  function addPart(key, number, views) {
    isForeign = key !== previews.key;
    if (!isForeign) views.forEach((view, i) => Object.assign(run.micrographs[number * previews.per_part + i], view));
  }

  function request(number) {
    return new Promise((done) => {
      const script = document.createElement("script"), end = () => { script.remove(); done(); };
      Object.assign(script, { src: `${previews.folder}/${String(number).padStart(4, "0")}.js`, onload: end, onerror: end });
      document.head.append(script);
    });
  }

  // Load a micrograph; return why it cannot be shown, or nothing.
  async function load(index) {
    if (isLoaded(run.micrographs[index])) return "";
    const number = Math.floor(index / previews.per_part);
    isForeign = false;
    if (!requested.has(number)) requested.set(number, request(number));
    await requested.get(number);
    // the next visit tries again
    requested.delete(number);
    if (isLoaded(run.micrographs[index])) return "";
    if (isForeign) return `The folder ${previews.folder} is of another version of this page: copy both together, then reload.`;
    return `The preview is missing: copy the folder ${previews.folder} next to this page, then reload.`;
  }

  Object.assign(crisp, { run, isLoaded, load, addPart });
})();
