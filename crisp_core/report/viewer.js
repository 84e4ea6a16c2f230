// Viewer of the micrographs with their picks.
(() => {
  const { run } = crisp;
  const COLORS = { found: "#56b4e9", wrong: "#ff7a2e", truth: "#f0e442", label: [204, 121, 167], probability: [230, 159, 0] };
  const ZOOM = 3;
  // Numbers of the shown micrograph.
  const HERE = ["count", "n-true", ...["picks", "precision", "recall", "f1", "expected"].map((name) => `here-${name}`)];
  const KEYS = { p: "picks", t: "truth", l: "label", m: "probability", j: "junk" };

  const share = (part, whole) => (whole > 0 ? (part / whole).toFixed(3) : "–");
  // Without picks and without truth nothing is wrong: 1, as in metrics/picks.tsv.
  const scores = ({ picks, matched, truth }) =>
    truth + picks === 0
      ? { precision: "1.000", recall: "1.000", f1: "1.000" }
      : { precision: share(matched, picks), recall: share(matched, truth), f1: share(2 * matched, truth + picks) };

  // Candidates are sorted, best first.
  function nAtLeast(sorted, threshold) {
    let low = 0, high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] >= threshold) low = middle + 1; else high = middle;
    }
    return low;
  }

  // From px of the micrograph to px of its picture, from its upper left corner, and back. Both grids begin with the centre of the
  // first pixel on the working grid (Fourier cropping keeps it); a pixel of the picture averages an area of the working grid.
  const onPicture = ({ full_shape: full, grid, width, height }, x, y) =>
    [((x * grid[1]) / full[1] + 0.5) * (width / grid[1]), ((y * grid[0]) / full[0] + 0.5) * (height / grid[0])];
  const onMicrograph = ({ full_shape: full, grid, width, height }, x, y) =>
    [((x * grid[1]) / width - 0.5) * (full[1] / grid[1]), ((y * grid[0]) / height - 0.5) * (full[0] / grid[0])];

  async function loaded(uri) {
    const image = new Image();
    image.src = uri;
    await image.decode();
    return image;
  }

  // A grey picture as one colour whose opacity is the grey value.
  async function tinted(uri, [red, green, blue], opacity) {
    const image = await loaded(uri);
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height), data = pixels.data;
    for (let i = 0; i < data.length; i += 4) {
      data[i + 3] = data[i] * opacity;
      data[i] = red; data[i + 1] = green; data[i + 2] = blue;
    }
    context.putImageData(pixels, 0, 0);
    return canvas;
  }

  function createViewer(root, article) {
    const find = (selector) => article.querySelector(selector);
    const out = (name, text) => { const place = find(`[data-out="${name}"]`); if (place) place.textContent = text; };
    const canvas = root.querySelector("canvas"), stage = root.querySelector(".stage");
    const slider = find('[data-in="slider"]'), typed = find('[data-in="threshold"]');
    const toggles = new Map([...root.querySelectorAll("[data-layer]")].map((button) => [button.dataset.layer, button]));
    const start = run.thresholds.indexOf(run.chosen);
    const state = { index: 0, step: start, zoom: 1, x: 0.5, y: 0.5, pictures: null };
    // Drawn over the marks; while `editor` is set, it draws the picks and takes the pointer.
    const shared = { run, layers: [], editor: null };
    slider.max = run.thresholds.length - 1;

    const one = () => run.micrographs[state.index];
    const threshold = () => run.thresholds[state.step];
    const on = (layer) => toggles.get(layer).getAttribute("aria-pressed") === "true";

    function here() {
      const { candidates, truth } = one(), picks = nAtLeast(candidates.score, threshold());
      const matched = truth ? candidates.true.slice(0, picks).reduce((sum, value) => sum + value, 0) : 0;
      return { picks, matched, truth: truth ? truth.x.length : 0 };
    }

    function pooled(part) {
      const counts = run.pooled[part];
      return { picks: counts.n_picks[state.step], matched: counts.n_true ? counts.n_true[state.step] : 0, truth: counts.n_truth ?? 0 };
    }

    function showScores(column, counts, known) {
      out(`${column}-picks`, counts.picks);
      const values = known ? scores(counts) : { precision: "–", recall: "–", f1: "–" };
      for (const [name, value] of Object.entries(values)) out(`${column}-${name}`, value);
    }

    function showNumbers() {
      const counts = here(), { part, truth } = one(), text = String(threshold());
      out("count", counts.picks);
      // The mean over the picks, from the calibration on the validation part; other pickers have none.
      const expected = (one().candidates.expected_precision ?? []).slice(0, counts.picks);
      out("here-expected", share(expected.reduce((sum, value) => sum + value, 0), expected.length));
      showScores("here", counts, Boolean(truth));
      if (part) showScores("part", pooled(part), true);
      else for (const name of ["picks", "precision", "recall", "f1"]) out(`part-${name}`, "–");
      out("part-title", part ? `${part} part (${run.pooled[part].n_micrographs})` : "no part");
      out("all-picks", run.pooled.all.n_picks[state.step]);
      out("kind", truth ? "true pick" : "pick");
      out("n-true", truth ? counts.matched : counts.picks);
      out("n-false", truth ? counts.picks - counts.matched : "–");
      out("n-missed", truth ? counts.truth - counts.matched : "–");
      if (!crisp.isLoaded(one())) for (const name of HERE) out(name, "–");
      slider.value = state.step;
      slider.setAttribute("aria-valuetext", text);
      if (document.activeElement !== typed) typed.value = Number(threshold().toPrecision(4));
      out("command", `echo 'experiments: {${JSON.stringify(run.experiment)}: {${run.entry}: {threshold: ${text}}}}' > threshold.yaml\n${run.command}`);
      const known = truth ? `, precision ${scores(counts).precision}, recall ${scores(counts).recall}` : "";
      canvas.setAttribute("aria-label", `${one().name}: ${counts.picks} picks with a score of at least ${text}${known}`);
    }

    // How many screen pixels a pixel of the picture takes, and where the picture begins.
    function frame() {
      const { width, height } = one(), scale = state.zoom * Math.min(canvas.width / width, canvas.height / height);
      const place = (size, extent, center) =>
        extent * scale <= size ? (size - extent * scale) / 2 : Math.min(0, Math.max(size - extent * scale, size / 2 - center * extent * scale));
      return { scale, left: place(canvas.width, width, state.x), top: place(canvas.height, height, state.y) };
    }

    function circle(context, x, y, radius) {
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 2 * Math.PI);
    }

    function diamond(context, x, y, radius) {
      context.moveTo(x, y - radius);
      for (const [dx, dy] of [[1, 0], [0, 1], [-1, 0]]) context.lineTo(x + dx * radius, y + dy * radius);
      context.closePath();
    }

    function plus(context, x, y, radius) {
      context.moveTo(x - radius, y); context.lineTo(x + radius, y);
      context.moveTo(x, y - radius); context.lineTo(x, y + radius);
    }

    function stroke(context, color, width, dashes, shape, points, radius) {
      const { scale, left, top } = frame();
      context.beginPath();
      for (const [x, y] of points) shape(context, left + x * scale, top + y * scale, radius);
      context.setLineDash(dashes);
      context.strokeStyle = color;
      context.lineWidth = width;
      context.stroke();
    }

    function drawMarks(context) {
      const { candidates, truth, diameter } = one(), { scale } = frame(), unit = window.devicePixelRatio || 1;
      const radius = (diameter / 2) * scale, width = 1.8 * unit, places = (table, keep) => table.x.map((x, i) => [...onPicture(one(), x, table.y[i]), i]).filter(keep);
      if (on("picks") && !shared.editor) {
        const n = nAtLeast(candidates.score, threshold()), wrong = (i) => truth !== null && !candidates.true[i];
        stroke(context, COLORS.found, width, [], circle, places(candidates, ([, , i]) => i < n && !wrong(i)), radius);
        stroke(context, COLORS.wrong, 1.3 * width, [4 * unit, 2.5 * unit], circle, places(candidates, ([, , i]) => i < n && wrong(i)), radius);
      }
      if (truth && on("truth")) {
        const missed = (i) => truth.found[i] === null || truth.found[i] < threshold();
        stroke(context, COLORS.truth, width, [], plus, places(truth, ([, , i]) => !missed(i)), Math.max(3 * unit, radius / 5));
        stroke(context, COLORS.truth, 1.2 * width, [], diamond, places(truth, ([, , i]) => missed(i)), radius);
      }
    }

    function draw() {
      const unit = window.devicePixelRatio || 1, box = stage.getBoundingClientRect();
      if (!box.width || !state.pictures) return;
      canvas.width = Math.round(box.width * unit);
      canvas.height = Math.round(box.height * unit);
      const context = canvas.getContext("2d"), { scale, left, top } = frame(), { width, height } = one();
      const paint = (picture) => context.drawImage(picture, left, top, width * scale, height * scale);
      paint(state.pictures.image);
      for (const layer of ["probability", "junk", "label"]) {
        context.globalAlpha = layer === "junk" ? 0.55 : 1;
        if (on(layer) && state.pictures[layer]) paint(state.pictures[layer]);
      }
      context.globalAlpha = 1;
      drawMarks(context);
      for (const layer of shared.layers) layer(context, frame());
      root.dataset.drawn = String(state.index);
    }

    function clear() {
      canvas.width = canvas.clientWidth;
      root.dispatchEvent(new Event("shown"));
    }

    async function show(index) {
      root.dispatchEvent(new Event("leave"));
      state.index = (index + run.micrographs.length) % run.micrographs.length;
      const micrograph = one();
      delete root.dataset.drawn;
      state.pictures = null;
      out("name", micrograph.name);
      out("place", `${micrograph.part ? micrograph.part + " · " : ""}${state.index + 1} of ${run.micrographs.length}`);
      for (const button of article.querySelectorAll("[data-view]"))
        button.setAttribute("aria-current", String(Number(button.dataset.view) === state.index));
      const problem = crisp.isLoaded(micrograph) ? "" : await crisp.load(state.index);
      // Another micrograph may have been asked for in the meantime.
      if (one() !== micrograph) return;
      out("problem", problem);
      toggles.get("label").disabled = !micrograph.label;
      toggles.get("truth").disabled = !micrograph.truth;
      toggles.get("junk").disabled = !micrograph.junk;
      showNumbers();
      if (problem) return clear();
      const pictures = {
        image: await loaded(micrograph.image),
        probability: micrograph.probability && (await tinted(micrograph.probability, COLORS.probability, 0.6)),
        junk: micrograph.junk && (await loaded(micrograph.junk)),
        label: micrograph.label && (await tinted(micrograph.label, COLORS.label, 1)),
      };
      if (one() !== micrograph) return;
      state.pictures = pictures;
      draw();
      root.dispatchEvent(new Event("shown"));
    }

    function step(to) {
      state.step = Math.max(0, Math.min(run.thresholds.length - 1, to));
      showNumbers();
      draw();
    }

    function stepTo(value) {
      const nearest = (best, candidate, i) => (Math.abs(candidate - value) < Math.abs(run.thresholds[best] - value) ? i : best);
      step(run.thresholds.reduce(nearest, 0));
    }

    function toggle(layer) {
      const button = toggles.get(layer);
      if (button.disabled) return;
      button.setAttribute("aria-pressed", String(!on(layer)));
      draw();
    }

    function setView(zoom, x, y) {
      const clip = (value) => Math.max(0, Math.min(1, value));
      Object.assign(state, { zoom, x: clip(x), y: clip(y) });
      stage.classList.toggle("zoomed", state.zoom !== 1);
      draw();
    }

    const zoomTo = (x, y) => setView(state.zoom === 1 ? ZOOM : 1, x, y);

    // Move the picture by a distance on the screen, in CSS px.
    function pan(dx, dy) {
      if (state.zoom === 1) return;
      const { scale } = frame(), unit = window.devicePixelRatio || 1, { width, height } = one();
      setView(state.zoom, state.x - (dx * unit) / (scale * width), state.y - (dy * unit) / (scale * height));
    }

    function drag(event) {
      if (event.buttons && !shared.editor) pan(event.movementX, event.movementY);
    }

    async function copy(button) {
      const place = find('[data-out="command"]');
      window.getSelection().selectAllChildren(place);
      try { await navigator.clipboard.writeText(place.textContent); button.textContent = "Copied"; }
      catch { button.textContent = "Selected: press Ctrl+C"; }
      window.setTimeout(() => { button.textContent = "Copy"; }, 2500);
    }

    slider.addEventListener("input", () => step(Number(slider.value)));
    typed.addEventListener("change", () => stepTo(Number(typed.value)));
    canvas.addEventListener("pointermove", drag);
    canvas.addEventListener("dblclick", (event) => {
      if (shared.editor) return;
      const { scale, left, top } = frame(), unit = window.devicePixelRatio || 1, { width, height } = one();
      zoomTo((event.offsetX * unit - left) / (scale * width), (event.offsetY * unit - top) / (scale * height));
    });
    for (const [layer, button] of toggles) button.addEventListener("click", () => toggle(layer));
    const actions = { previous: () => show(state.index - 1), next: () => show(state.index + 1), reset: () => step(start), copy };
    for (const button of article.querySelectorAll("[data-do]")) button.addEventListener("click", () => actions[button.dataset.do](button));
    for (const button of article.querySelectorAll("[data-view]"))
      button.addEventListener("click", () => {
        show(Number(button.dataset.view));
        root.scrollIntoView({ block: "start" });
        canvas.focus({ preventScroll: true });
      });
    new ResizeObserver(draw).observe(stage);

    function key(event) {
      const vertical = document.activeElement === canvas ? { ArrowUp: 10, ArrowDown: -10 } : {};
      const change = { "+": 10, "=": 10, "-": -10, ...vertical }[event.key];
      if (change) step(state.step + change);
      else if (event.key === "ArrowLeft") show(state.index - 1);
      else if (event.key === "ArrowRight") show(state.index + 1);
      else if (event.key === "r") step(start);
      else if (event.key === "z") zoomTo(state.x, state.y);
      else if (KEYS[event.key]) toggle(KEYS[event.key]);
      else return;
      event.preventDefault();
    }

    // The first of the test part is what a reader wants to see.
    const first = run.micrographs.findIndex((micrograph) => micrograph.part === "test");
    show(Math.max(0, first));
    return Object.assign(shared, { key, draw, show, one, isOn: on, frame, setView, pan, state, root, canvas, onPicture, onMicrograph });
  }

  const article = document.querySelector("article");
  const root = article.querySelector("[data-viewer]");
  const viewer = root && createViewer(root, article);
  crisp.viewer = viewer;
  document.addEventListener("keydown", (event) => {
    const own = event.target.closest("select, textarea, pre, input:not([type=range])");
    const sliding = event.target.closest("input[type=range]") && event.key.startsWith("Arrow");
    if (!own && !sliding && !event.ctrlKey && !event.metaKey && !event.altKey && viewer) viewer.key(event);
  });
  const sections = [...document.querySelectorAll("article section")];
  const mark = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const link = document.querySelector(`.bar nav a[href="#${entry.target.id}"]`);
      if (link && entry.isIntersecting) {
        document.querySelectorAll(".bar nav a.here").forEach((other) => other.classList.remove("here"));
        link.classList.add("here");
      }
    }
  }, { rootMargin: "-80px 0px -70% 0px" });
  sections.forEach((section) => mark.observe(section));
})();
