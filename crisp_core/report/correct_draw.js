// Layer of the viewer with the corrected picks, brushed areas and the cross of the keyboard.
crisp.createCorrectionLayer = (viewer, work, hand) => {
  const COLORS = { kept: "#56b4e9", added: "#00d69a", removed: "#ff7a2e", moved: "#56b4e9", junk: "#ff7a2e", unsure: "#f0e442", cross: "#ffffff" };
  const unit = () => window.devicePixelRatio || 1;
  const area = document.createElement("canvas"), patterns = {};

  // Junk is hatched and unsure areas are dotted, so that they differ without colours, too.
  function pattern(context, kind) {
    if (patterns[kind]) return patterns[kind];
    const tile = Object.assign(document.createElement("canvas"), { width: 8, height: 8 }), pen = tile.getContext("2d");
    pen.fillStyle = COLORS[kind];
    pen.globalAlpha = 0.5;
    pen.fillRect(0, 0, 8, 8);
    pen.globalAlpha = 1;
    if (kind === "junk") for (let i = 0; i < 8; i++) pen.fillRect(i, 7 - i, 1, 2);
    else pen.fillRect(3, 3, 2, 2);
    return (patterns[kind] = context.createPattern(tile, "repeat"));
  }

  function tools(frame) {
    const view = viewer.one(), at = ([x, y]) => {
      const [left, top] = viewer.onPicture(view, x, y);
      return [frame.left + left * frame.scale, frame.top + top * frame.scale];
    };
    return { at, px: (frame.scale * view.width) / view.full_shape[1] };
  }

  function drawAreas(context, strokes, kind, { at, px }) {
    const shown = strokes.filter((stroke) => stroke.kind === kind);
    if (!shown.length) return;
    area.width = context.canvas.width;
    area.height = context.canvas.height;
    const pen = area.getContext("2d");
    Object.assign(pen, { lineCap: "round", lineJoin: "round" });
    for (const { radius, points } of shown) {
      pen.lineWidth = 2 * radius * px;
      pen.beginPath();
      pen.moveTo(...at(points[0]));
      for (const point of points) pen.lineTo(...at(point));
      pen.stroke();
    }
    pen.globalCompositeOperation = "source-in";
    pen.fillStyle = pattern(pen, kind);
    pen.fillRect(0, 0, area.width, area.height);
    context.drawImage(area, 0, 0);
  }

  function ring(context, [x, y], radius, color, dashes = []) {
    context.beginPath();
    context.setLineDash(dashes.map((length) => length * unit()));
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.strokeStyle = color;
    context.stroke();
  }

  function line(context, points, color, dashes = []) {
    context.beginPath();
    context.setLineDash(dashes.map((length) => length * unit()));
    points.forEach(([x, y], i) => (i % 2 ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.strokeStyle = color;
    context.stroke();
  }

  const cross = ([x, y], size) => [[x - size, y], [x + size, y], [x, y - size], [x, y + size]];
  const diagonal = ([x, y], size) => [[x - size, y - size], [x + size, y + size], [x - size, y + size], [x + size, y - size]];

  function drawPick(context, { from, to }, { at }, radius) {
    context.lineWidth = 1.8 * unit();
    if (!to) {
      ring(context, at(from), radius, COLORS.removed, [4, 3]);
      line(context, diagonal(at(from), radius * 0.5), COLORS.removed);
    } else if (!from) {
      context.lineWidth *= 1.3;
      ring(context, at(to), radius, COLORS.added);
      line(context, cross(at(to), radius * 0.3), COLORS.added);
    } else {
      ring(context, at(to), radius, COLORS.kept);
      if (from[0] === to[0] && from[1] === to[1]) return;
      ring(context, at(from), radius, COLORS.moved, [2, 4]);
      line(context, [at(from), at(to)], COLORS.moved, [2, 4]);
    }
  }

  function drawHand(context, { at, px }, radius) {
    const { cursor, brush, isBrush } = hand();
    if (!cursor) return;
    const [x, y] = at(cursor), reach = isBrush ? brush * px : radius / 2;
    for (const [color, width] of [["#000000", 3], [COLORS.cross, 1.5]]) {
      context.lineWidth = width * unit();
      if (isBrush) ring(context, [x, y], reach, color);
      if (hand().isKeyboard) line(context, cross([x, y], Math.max(reach, 12 * unit())), color);
    }
  }

  return (context, frame) => {
    if (!viewer.editor) return;
    const state = hand().state, radius = (viewer.one().diameter / 2) * frame.scale, tool = tools(frame);
    for (const kind of ["junk", "unsure"]) drawAreas(context, state.strokes, kind, tool);
    if (viewer.isOn("picks")) for (const pick of state.picks) drawPick(context, pick, tool, radius);
    drawHand(context, tool, radius);
  };
};
