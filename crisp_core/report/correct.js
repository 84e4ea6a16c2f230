// Correction mode of the viewer: its panel and its keys.
(() => {
  const { viewer } = crisp;
  if (!viewer) return;
  const { run, root, canvas } = viewer, panel = root.querySelector("[data-correction]"), help = panel.querySelector("dialog");
  const button = (action) => panel.querySelector(`[data-correct="${action}"]`);
  const input = (name) => panel.querySelector(`[data-correct-in="${name}"]`), out = (name) => panel.querySelector(`[data-correct-out="${name}"]`);
  const work = crisp.createWork(run), hand = crisp.createHand(viewer, work), saving = crisp.createSaving(run, work, show);
  const TOOLS = { 1: "picks", 2: "junk", 3: "unsure", 4: "erase" }, index = () => viewer.state.index;
  // The brush has radii of 1/20 to 5 diameters, in logarithmic steps of the slider.
  const RANGE = [0.05, 5], radiusOf = (step) => hand.diameter() * RANGE[0] * (RANGE[1] / RANGE[0]) ** (step / 100);
  const stepOf = (radius) => (100 * Math.log(radius / hand.diameter() / RANGE[0])) / Math.log(RANGE[1] / RANGE[0]);
  const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

  function told(text, isWrong) {
    if (text === undefined) return;
    out("told").textContent = text;
    out("told").classList.toggle("wrong", Boolean(isWrong));
  }

  function saved() {
    if (saving.state.isConflict) return `${saving.state.refusal || "The file in the folder was saved by somebody else meanwhile."} Which one is to stay?`;
    if (!saving.state.isKept) return "This browser does not keep the work: save it often.";
    if (work.isEarlier(index())) return "This micrograph shows corrected picks of an earlier run. Reset takes the picks of this run.";
    return saving.state.isServed ? "Saved by itself beside this page." : "";
  }

  function show(text, isWrong) {
    const state = work.state(index()), changes = work.changes();
    const pressed = { toggle: Boolean(viewer.editor), good: state.verdict === "good", bad: state.verdict === "bad", reviewed: state.reviewed };
    for (const tool of Object.values(TOOLS)) pressed[tool] = hand.tool() === tool;
    for (const [action, value] of Object.entries(pressed)) button(action).setAttribute("aria-pressed", String(value));
    button("undo").disabled = !work.canUndo();
    button("redo").disabled = !work.canRedo();
    button("reset").disabled = !work.changesOf(index());
    for (const action of ["good", "bad", "reviewed"]) button(action).disabled = !work.isKnown(index());
    button("saveTo").hidden = !saving.canPick || saving.state.isServed;
    out("conflict").hidden = !saving.state.isConflict;
    out("changes").textContent = `${plural(changes, "change")} on ${plural(work.corrected(), "micrograph")}, ${saving.state.unsaved ? "not saved" : changes ? "saved" : "nothing to save"}`;
    out("brush").textContent = `${Math.round(hand.brush())} px`;
    input("brush").value = stepOf(hand.brush());
    if (document.activeElement !== input("author")) input("author").value = work.author();
    told(text ?? saved(), isWrong ?? (saving.state.isConflict || !saving.state.isKept));
    root.dataset.unsaved = String(saving.state.unsaved);
    viewer.draw();
  }

  function setOn(isOn) {
    hand.cancel();
    viewer.editor = isOn ? hand : null;
    root.classList.toggle("correcting", isOn);
    panel.querySelector(".tools").hidden = !isOn;
    if (isOn) canvas.focus({ preventScroll: true });
    show();
  }

  async function go(to) {
    if (to === null) return;
    if (to !== index()) await viewer.show(to);
    show();
  }

  function verdict(value) {
    work.mark(index(), "verdict", work.state(index()).verdict === value ? null : value);
  }

  function setBrush(step) {
    hand.setBrush(radiusOf(Math.max(0, Math.min(100, step))));
    show();
  }

  function use(tool) {
    hand.use(tool);
    canvas.focus({ preventScroll: true });
    show();
  }

  const actions = {
    toggle: () => setOn(!viewer.editor),
    // from its first line, although its button at the end has the focus
    help: () => { help.showModal(); help.scrollTop = 0; },
    ...Object.fromEntries(Object.values(TOOLS).map((tool) => [tool, () => use(tool)])),
    good: () => verdict("good"),
    bad: () => verdict("bad"),
    reviewed: () => work.mark(index(), "reviewed", !work.state(index()).reviewed),
    reset: () => work.reset(index()),
    undo: () => hand.cancel() || go(work.undo()),
    redo: () => go(work.redo()),
    in: () => hand.zoom(1.5),
    out: () => hand.zoom(1 / 1.5),
    save: () => saving.save(),
    saveTo: () => saving.saveTo(),
    open: () => input("file").click(),
    mine: () => saving.settle(true),
    theirs: () => saving.settle(false),
  };

  function arrow(event) {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (x === undefined || document.activeElement !== canvas) return false;
    const step = event.shiftKey ? 1 : Math.max(1, Math.round(hand.diameter() / 4));
    hand.moveCross(x * step, y * step);
    return true;
  }

  const command = (event) => {
    const letter = event.key.toLowerCase();
    return { z: event.shiftKey ? "redo" : "undo", y: "redo", s: "save" }[letter];
  };

  const KEYS = {
    g: actions.good, b: actions.bad, v: actions.reviewed, "+": actions.in, "=": actions.in, "-": actions.out, d: () => hand.carry(),
    "[": () => setBrush(Math.round(stepOf(hand.brush())) - 5), "]": () => setBrush(Math.round(stepOf(hand.brush())) + 5),
    PageUp: () => viewer.show(index() - 1), PageDown: () => viewer.show(index() + 1), Escape: () => hand.cancel(),
    ...Object.fromEntries(Object.entries(TOOLS).map(([key, tool]) => [key, () => use(tool)])),
  };

  // Whether a key was one of these; keys in fields and on buttons stay theirs.
  function key(event) {
    if (help.open || event.altKey) return false;
    if (event.ctrlKey || event.metaKey) return Boolean(viewer.editor && command(event)) && (actions[command(event)](), true);
    if (event.target.closest("input:not([type=range]), textarea, select, pre")) return false;
    if (event.key === "c" || event.key === "?") return actions[event.key === "c" ? "toggle" : "help"](), true;
    if (!viewer.editor) return false;
    if (["Enter", " "].includes(event.key)) return document.activeElement === canvas && (hand.press(), true);
    if (arrow(event)) return true;
    return Boolean(KEYS[event.key]) && (KEYS[event.key](), true);
  }

  window.addEventListener("keydown", (event) => {
    if (!key(event)) return;
    event.preventDefault();
    event.stopPropagation();
  }, { capture: true });
  for (const [action, act] of Object.entries(actions)) button(action).addEventListener("click", act);
  input("brush").addEventListener("input", () => setBrush(Number(input("brush").value)));
  input("author").addEventListener("change", () => work.setAuthor(input("author").value.trim()));
  input("file").addEventListener("change", async () => {
    const [file] = input("file").files;
    if (file) await saving.openFile(file);
    input("file").value = "";
  });
  root.addEventListener("shown", () => show());
  viewer.layers.push(crisp.createCorrectionLayer(viewer, work, hand.seen));
  saving.start().then((found) => { if ((found && work.changes()) || panel.dataset.started !== undefined) setOn(true); else show(); root.dataset.corrections = "ready"; });
})();
