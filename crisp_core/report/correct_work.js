// Corrections of a run: picks, brushed areas and marks of each micrograph, with undo and redo, and their file (docs/corrections.md).
// Positions are in px of the micrograph. A state is never changed; a change replaces it.
crisp.createWork = (run) => {
  const KINDS = ["junk", "unsure"];
  const rounded = (value) => Math.round(value * 100) / 100;
  const same = (a, b) => a === b || (a !== null && b !== null && a[0] === b[0] && a[1] === b[1]);

  // A pick has a place in the run (`from`, null for an added one) and a corrected place (`to`, null for a removed one).
  function untouched(view) {
    const { x, y, score } = view.candidates, picks = [];
    for (let i = 0; i < x.length && score[i] >= run.chosen; i++) picks.push({ from: [x[i], y[i]], to: [x[i], y[i]] });
    return { picks, strokes: [], verdict: null, reviewed: false };
  }

  // Changed micrographs alone have an entry in `states`. Picks of a large run are known once their part is loaded (parts.js).
  const first = [], states = [], UNKNOWN = { picks: [], strokes: [], verdict: null, reviewed: false };
  const isKnown = (index) => crisp.isLoaded(run.micrographs[index]);
  const firstState = (index) => (isKnown(index) ? (first[index] ??= untouched(run.micrographs[index])) : UNKNOWN);
  const state = (index) => states[index] ?? firstState(index);
  const names = new Map(run.micrographs.map(({ name }, index) => [name, index]));
  let past = [], future = [], foreign = [], author = "", version = 0;
  const listeners = [];
  function tell(saved) {
    version += 1;
    listeners.forEach((listener) => listener(saved));
  }

  // Without its picks, a micrograph cannot be changed: the file would say that it has none.
  function change(index, after) {
    if (!isKnown(index)) return;
    past.push({ index, before: state(index), after });
    future = [];
    states[index] = after;
    tell();
  }

  function shift(source, target, which) {
    const step = source.pop();
    if (!step) return null;
    target.push(step);
    states[step.index] = step[which];
    tell();
    return step.index;
  }

  const withPicks = (index, picks) => change(index, { ...state(index), picks });
  const place = ([x, y]) => [rounded(x), rounded(y)];

  function inside(index, [x, y]) {
    const [rows, columns] = run.micrographs[index].full_shape;
    return rounded(x) >= -0.5 && rounded(y) >= -0.5 && rounded(x) < columns - 0.5 && rounded(y) < rows - 0.5;
  }

  // The pick nearest to a place within a distance: a visible one, or else a removed one, which can be restored.
  function pickAt(index, [x, y], reach) {
    const distance = (at) => (at ? Math.hypot(at[0] - x, at[1] - y) : Infinity), { picks } = state(index);
    const nearest = (of) => picks.reduce((best, pick, i) => (distance(of(pick)) < (best < 0 ? reach : distance(of(picks[best]))) ? i : best), -1);
    const visible = nearest((pick) => pick.to);
    return visible >= 0 ? visible : nearest((pick) => (pick.to ? null : pick.from));
  }

  // Remove a pick; restore a removed one; forget an added one.
  function togglePick(index, i) {
    const picks = [...state(index).picks], { from, to } = picks[i];
    if (from) picks[i] = { from, to: to ? null : from };
    else picks.splice(i, 1);
    withPicks(index, picks);
  }

  function addPick(index, at) {
    if (inside(index, at)) withPicks(index, [...state(index).picks, { from: null, to: place(at) }]);
  }

  function movePick(index, i, at) {
    const picks = [...state(index).picks];
    if (!inside(index, at) || same(picks[i].to, place(at))) return;
    picks[i] = { from: picks[i].from, to: place(at) };
    withPicks(index, picks);
  }

  function addStroke(index, kind, radius, points) {
    change(index, { ...state(index), strokes: [...state(index).strokes, { kind, radius: rounded(radius), points: points.map(place) }] });
  }

  // A line with so many points that an eraser can cut it anywhere.
  function dense({ points, radius }) {
    return points.flatMap(([x, y], i) => {
      if (!i) return [[x, y]];
      const [fromX, fromY] = points[i - 1], n = Math.max(1, Math.ceil((4 * Math.hypot(x - fromX, y - fromY)) / radius));
      return Array.from({ length: n }, (_, k) => [fromX + ((x - fromX) * (k + 1)) / n, fromY + ((y - fromY) * (k + 1)) / n]);
    });
  }

  // Strokes without the points whose disc an eraser of `radius` touches at any of its points, so that nothing is left under it.
  function erased(strokes, points, radius) {
    return strokes.flatMap((stroke) => {
      const gone = ([x, y]) => points.some(([a, b]) => Math.hypot(x - a, y - b) <= radius + stroke.radius);
      const line = dense(stroke);
      if (!line.some(gone)) return [stroke];
      const parts = [[]];
      for (const point of line) if (gone(point)) parts.push([]); else parts.at(-1).push(place(point));
      return parts.filter((part) => part.length).map((part) => ({ ...stroke, points: part }));
    });
  }

  function mark(index, key, value) {
    if (state(index)[key] !== value) change(index, { ...state(index), [key]: value });
  }

  const split = ({ picks }) => ({
    kept: picks.filter(({ from, to }) => from && same(from, to)).map(({ from }) => from),
    added: picks.filter(({ from }) => !from).map(({ to }) => to),
    removed: picks.filter(({ to }) => !to).map(({ from }) => from),
    moved: picks.filter(({ from, to }) => from && to && !same(from, to)).map(({ from, to }) => [...from, ...to]),
  });

  function nChanges({ picks, strokes, verdict, reviewed }) {
    return picks.filter(({ from, to }) => !same(from, to)).length + strokes.length + (verdict ? 1 : 0) + (reviewed ? 1 : 0);
  }

  const startPlaces = ({ picks }) => picks.filter(({ from }) => from).map(({ from }) => from.join()).sort().join(";");

  function entry(index) {
    const { name, full_shape } = run.micrographs[index], { strokes, verdict, reviewed } = states[index];
    const areas = KINDS.map((kind) => [kind, strokes.filter((stroke) => stroke.kind === kind).map(({ radius, points }) => ({ radius_px: radius, points }))]);
    const about = { micrograph: name, pixel_size_angstrom: run.pixel_size, shape_px: full_shape, reviewed, verdict };
    return { ...about, ...split(states[index]), ...Object.fromEntries(areas) };
  }

  // Content of corrections.json. Micrographs of an opened file that this page does not hold stay in it.
  function toFile() {
    const { dataset, experiment } = run, saved = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    const micrographs = states.flatMap((state, index) => (nChanges(state) ? [entry(index)] : []));
    return { format: "CRISP corrections", version: 1, dataset, experiment, author, saved, micrographs: [...micrographs, ...foreign] };
  }

  function stateOf(one) {
    return {
      picks: [
        ...one.kept.map((at) => ({ from: at, to: at })),
        ...one.moved.map(([x, y, newX, newY]) => ({ from: [x, y], to: [newX, newY] })),
        ...one.removed.map((at) => ({ from: at, to: null })),
        ...one.added.map((at) => ({ from: null, to: at })),
      ],
      strokes: KINDS.flatMap((kind) => one[kind].map(({ radius_px, points }) => ({ kind, radius: radius_px, points }))),
      verdict: one.verdict,
      reviewed: one.reviewed,
    };
  }

  // Why a file cannot be opened here, or nothing.
  function problem(file) {
    if (file?.format !== "CRISP corrections" || file.version !== 1 || !Array.isArray(file.micrographs)) return "This is not a file of corrections (version 1).";
    if (file.dataset !== run.dataset || file.experiment !== run.experiment) return `These are corrections of ${file.dataset}/${file.experiment}, not of ${run.name}.`;
    const lists = ["kept", "added", "removed", "moved", ...KINDS];
    const whole = file.micrographs.every((one) => lists.every((list) => Array.isArray(one[list])) && "verdict" in one && "reviewed" in one);
    if (!whole) return "The file of corrections is incomplete.";
    const wrong = file.micrographs.find(({ micrograph, shape_px: shape }) => names.has(micrograph) && shape?.join() !== run.micrographs[names.get(micrograph)].full_shape.join());
    return wrong && `${wrong.micrograph} has another size in the file of corrections.`;
  }

  // Replace all corrections by those of a file without a problem.
  function open(file, saved) {
    states.length = 0;
    foreign = file.micrographs.filter(({ micrograph }) => !names.has(micrograph));
    for (const one of file.micrographs) if (names.has(one.micrograph)) states[names.get(one.micrograph)] = stateOf(one);
    [past, future, author] = [[], [], file.author || author];
    tell(saved);
  }

  return {
    inside, pickAt, togglePick, addPick, movePick, addStroke, erased, mark, toFile, problem, open,
    state, isKnown,
    erase: (index, strokes) => change(index, { ...state(index), strokes }),
    reset: (index) => nChanges(state(index)) && change(index, firstState(index)),
    undo: () => shift(past, future, "before"),
    redo: () => shift(future, past, "after"),
    canUndo: () => past.length > 0,
    canRedo: () => future.length > 0,
    changesOf: (index) => nChanges(state(index)),
    changes: () => states.reduce((sum, one) => sum + nChanges(one), 0),
    corrected: () => states.filter(nChanges).length,
    // Corrected on picks that the run no longer has.
    isEarlier: (index) => isKnown(index) && nChanges(state(index)) > 0 && startPlaces(state(index)) !== startPlaces(firstState(index)),
    // Rises with every change.
    version: () => version,
    author: () => author,
    setAuthor: (name) => { author = name; tell(); },
    listen: (listener) => listeners.push(listener),
  };
};
