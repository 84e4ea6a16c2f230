// What mouse, finger, pen and keyboard do on the picture while picks are corrected.
crisp.createHand = (viewer, work) => {
  const { canvas } = viewer, BRUSHES = ["junk", "unsure", "erase"], ZOOMS = [1, 12];
  const unit = () => window.devicePixelRatio || 1;
  const diameter = () => { const view = viewer.one(); return (view.diameter * view.full_shape[1]) / view.width; };
  // `cursor`: where the brush or the cross of the keyboard is; `act`: what is going on until a release.
  const hand = { tool: "picks", brush: null, cursor: null, isKeyboard: false, act: null };
  const index = () => viewer.state.index;
  const isBrush = () => BRUSHES.includes(hand.tool);
  const brush = () => hand.brush ?? diameter() / 2;
  const fingers = new Map();

  // Place of an event on the canvas in CSS px; offsetX would be rounded.
  function onCanvas(event) {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  function placeOf(event) {
    const { scale, left, top } = viewer.frame(), [x, y] = onCanvas(event);
    return viewer.onMicrograph(viewer.one(), (x * unit() - left) / scale, (y * unit() - top) / scale);
  }

  // CSS px of the screen per px of the micrograph.
  const cssPerPx = () => { const view = viewer.one(); return (viewer.frame().scale * view.width) / view.full_shape[1] / unit(); };

  // A pick is hit within its circle; small circles have a larger target, most of all under a finger.
  function pickAt(at, isTouch) {
    const target = (isTouch ? 22 : 10) / cssPerPx();
    return work.pickAt(index(), at, Math.max(diameter() / 2, Math.min(target, 0.75 * diameter())));
  }

  // The state as it looks during a drag, before the change is made.
  function shown() {
    const state = work.state(index()), { act } = hand;
    if (act?.kind === "move") return { ...state, picks: state.picks.map((pick, i) => (i === act.pick ? { ...pick, to: act.at } : pick)) };
    if (act?.kind !== "stroke") return state;
    if (act.tool === "erase") return { ...state, strokes: work.erased(state.strokes, act.points, act.radius) };
    return { ...state, strokes: [...state.strokes, { kind: act.tool, radius: act.radius, points: act.points }] };
  }

  function startStroke(at) { hand.act = { kind: "stroke", tool: hand.tool, radius: brush(), points: [at] }; }

  function extendStroke(at) {
    const { points, radius } = hand.act, [x, y] = points.at(-1);
    if (Math.hypot(at[0] - x, at[1] - y) >= radius / 8) points.push(at);
  }

  function finish() {
    const { act } = hand;
    hand.act = null;
    if (act?.kind === "move") work.movePick(index(), act.pick, act.at);
    if (act?.kind !== "stroke") return;
    if (act.tool !== "erase") return work.addStroke(index(), act.tool, act.radius, act.points);
    const { strokes } = work.state(index()), left = work.erased(strokes, act.points, act.radius);
    if (left.length !== strokes.length || left.some((stroke, i) => stroke !== strokes[i])) work.erase(index(), left);
  }

  function click(at, isTouch) {
    const pick = pickAt(at, isTouch);
    if (pick >= 0) work.togglePick(index(), pick); else work.addPick(index(), at);
  }

  function cancel() {
    if (!hand.act) return false;
    hand.act = null;
    viewer.draw();
    return true;
  }

  // Zoom so that a place of the screen (CSS px) stays where it is.
  function zoomAround(factor, [x, y]) {
    const view = viewer.one(), { scale, left, top } = viewer.frame(), zoom = Math.max(ZOOMS[0], Math.min(ZOOMS[1], viewer.state.zoom * factor));
    const part = zoom / viewer.state.zoom, center = (at, start, size, extent) => {
      const onPicture = (at * unit() - start) / scale;
      return (onPicture + (size / 2 - at * unit()) / (scale * part)) / extent;
    };
    viewer.setView(zoom, center(x, left, canvas.width, view.width), center(y, top, canvas.height, view.height));
  }

  // Two fingers move and zoom.
  function pinch(event) {
    const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], length = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    const before = [...fingers.values()];
    fingers.set(event.pointerId, onCanvas(event));
    const after = [...fingers.values()], [from, to] = [middle(before), middle(after)];
    viewer.pan(to[0] - from[0], to[1] - from[1]);
    zoomAround(length(after) / Math.max(1, length(before)), to);
  }

  function down(event) {
    if (!viewer.editor || !viewer.state.pictures) return;
    canvas.setPointerCapture(event.pointerId);
    hand.isKeyboard = false;
    if (event.pointerType === "touch") fingers.set(event.pointerId, onCanvas(event));
    const at = placeOf(event), start = onCanvas(event);
    if (fingers.size > 1) hand.act = { kind: "pinch" };
    else if (event.button) hand.act = { kind: "pan", start };
    else if (isBrush()) startStroke(at);
    else hand.act = { kind: "press", start, at, pick: pickAt(at, event.pointerType === "touch") };
    hand.cursor = isBrush() ? at : null;
    viewer.draw();
  }

  function moveOf(event) {
    const { act } = hand, [x, y] = onCanvas(event), far = Math.hypot(x - act.start[0], y - act.start[1]) > (event.pointerType === "touch" ? 10 : 4);
    if (act.kind === "press" && far) {
      const pick = work.state(index()).picks[act.pick];
      hand.act = pick?.to ? { ...act, kind: "move", grip: [pick.to[0] - act.at[0], pick.to[1] - act.at[1]] } : { ...act, kind: "pan" };
    }
    const at = placeOf(event);
    if (hand.act.kind === "move") hand.act.at = [at[0] + hand.act.grip[0], at[1] + hand.act.grip[1]];
    if (hand.act.kind === "pan") {
      viewer.pan(x - hand.act.start[0], y - hand.act.start[1]);
      hand.act.start = [x, y];
    }
  }

  function move(event) {
    if (!viewer.editor) return;
    if (hand.act?.kind === "pinch") return fingers.has(event.pointerId) && fingers.size === 2 && pinch(event);
    if (hand.act && !hand.isKeyboard) { if (hand.act.kind === "stroke") extendStroke(placeOf(event)); else moveOf(event); }
    if (hand.isKeyboard && !event.movementX && !event.movementY) return;
    if (hand.act && hand.isKeyboard) return;
    Object.assign(hand, { cursor: isBrush() && event.pointerType !== "touch" ? placeOf(event) : null, isKeyboard: false });
    viewer.draw();
  }

  function up(event) {
    fingers.delete(event.pointerId);
    if (!viewer.editor || !hand.act || hand.isKeyboard) return;
    const { act } = hand;
    if (act.kind === "pinch") { if (!fingers.size) hand.act = null; return; }
    finish();
    if (act.kind === "press") click(act.at, event.pointerType === "touch");
    viewer.draw();
  }

  // The cross of the keyboard starts in the middle of what is seen and stays in sight.
  function moveCross(dx, dy) {
    const view = viewer.one(), [rows, columns] = view.full_shape, { zoom, x, y } = viewer.state;
    const old = hand.cursor ?? viewer.onMicrograph(view, x * view.width, y * view.height), clip = (value, n) => Math.max(0, Math.min(n - 1, value));
    const at = hand.cursor ? [clip(old[0] + dx, columns), clip(old[1] + dy, rows)] : old.map(Math.round);
    Object.assign(hand, { cursor: at, isKeyboard: true });
    if (hand.act?.kind === "move") hand.act.at = at;
    if (hand.act?.kind === "stroke") extendStroke(at);
    const [left, top] = viewer.onPicture(view, ...at);
    viewer.setView(zoom, zoom > 1 ? left / view.width : x, zoom > 1 ? top / view.height : y);
  }

  // Enter or space: what a click does; with a brush, the pen goes down or up.
  function press() {
    if (!hand.cursor || !hand.isKeyboard) moveCross(0, 0);
    if (hand.act) finish();
    else if (isBrush()) startStroke(hand.cursor);
    else click(hand.cursor, false);
    viewer.draw();
  }

  // Take the pick at the cross, or put it down.
  function carry() {
    if (hand.act) return press();
    const pick = hand.cursor && hand.isKeyboard ? pickAt(hand.cursor, false) : -1, { to } = work.state(index()).picks[pick] ?? {};
    if (!to) return;
    hand.act = { kind: "move", pick, at: to };
    hand.cursor = to;
    viewer.draw();
  }

  function lose() {
    fingers.clear();
    if (!hand.isKeyboard) hand.cursor = null;
    cancel();
  }

  canvas.addEventListener("pointerdown", down);
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", lose);
  canvas.addEventListener("pointerleave", () => { if (!hand.act && !hand.isKeyboard) { hand.cursor = null; viewer.draw(); } });
  canvas.addEventListener("contextmenu", (event) => viewer.editor && event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    if (!viewer.editor) return;
    event.preventDefault();
    zoomAround(Math.exp(-event.deltaY / 400), onCanvas(event));
  }, { passive: false });
  // What is going on ends with its micrograph.
  viewer.root.addEventListener("leave", () => { Object.assign(hand, { act: null, cursor: null }); });

  return {
    moveCross, press, carry, cancel, diameter,
    use: (tool) => { cancel(); hand.tool = tool; if (!hand.isKeyboard) hand.cursor = null; viewer.draw(); },
    tool: () => hand.tool,
    brush,
    setBrush: (radius) => { hand.brush = radius; viewer.draw(); },
    zoom: (factor) => zoomAround(factor, [canvas.width / 2 / unit(), canvas.height / 2 / unit()]),
    seen: () => ({ state: shown(), cursor: hand.cursor, isKeyboard: hand.isKeyboard, isBrush: isBrush(), brush: brush() }),
  };
};
