// The canvas of the data map: scales, points, and which point is under a finger.
const LOW = 1e-4; // nats: where a logarithmic axis begins
const STRIP = 0.03; // of a logarithmic axis, for what is smaller: spread over it, or it would be one line
const EDGE = { left: 80, right: 14, top: 14, bottom: 44 };
const CELL = 16; // px, of the grid in which the nearest point is looked for

function makeScale(log, high, spread) {
  const top = Math.max(high, 1e-3) * (log ? 1.3 : 1.04);
  if (!log) {
    const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50].find((s) => top / s <= 6) || top / 5;
    const ticks = Array.from({ length: Math.floor(top / step) + 1 }, (_, k) => k * step);
    return { at: (v) => v / top, line: (v) => v / top, ticks: ticks.map((v) => [v, Number(v.toFixed(3)).toString()]) };
  }
  const span = Math.log(top / LOW);
  const ticks = [0.0001, 0.001, 0.01, 0.1, 1, 10].filter((v) => v <= top);
  const line = (v) => STRIP + ((1 - STRIP) * Math.log(v / LOW)) / span;
  const at = (v, i) => (v > LOW ? line(v) : STRIP * ((i * spread) % 1));
  return { at, line, ticks: ticks.map((v, k) => [v, k ? String(v) : `≤ ${v}`]) };
}

class Plot {
  constructor(canvas) {
    this.canvas = canvas;
    this.px = new Float32Array(0);
    this.py = new Float32Array(0);
    this.shown = [];
    this.grid = null;
  }

  /** `x`, `y`, `region`: one entry per example; `shown`: which of them to draw. */
  draw({ x, y, region, shown, log, highX, highY }) {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const [across, up] = [makeScale(log, highX, 0.618034), makeScale(log, highY, 0.754878)];
    const toX = (share) => EDGE.left + share * (width - EDGE.left - EDGE.right);
    const toY = (share) => height - EDGE.bottom - share * (height - EDGE.top - EDGE.bottom);
    this.axes(pen, { width, height, across, up, toX, toY, style, colour });
    if (this.px.length !== x.length) [this.px, this.py] = [new Float32Array(x.length), new Float32Array(x.length)];
    for (const i of shown) [this.px[i], this.py[i]] = [toX(across.at(x[i], i)), toY(up.at(y[i], i))];
    this.shown = shown;
    this.grid = null;
    this.points(pen, region, colour);
  }

  axes(pen, { width, height, across, up, toX, toY, style, colour }) {
    pen.font = `12px ${style.fontFamily}`;
    pen.strokeStyle = colour("--line");
    pen.fillStyle = colour("--soft");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.textAlign = "center";
    for (const [v, text] of across.ticks) {
      const at = Math.round(toX(across.line(v))) + 0.5;
      pen.moveTo(at, EDGE.top);
      pen.lineTo(at, height - EDGE.bottom);
      pen.fillText(text, at, height - EDGE.bottom + 17);
    }
    pen.fillText("deviation over the window, nats", (EDGE.left + width - EDGE.right) / 2, height - 8);
    pen.textAlign = "right";
    for (const [v, text] of up.ticks) {
      const at = Math.round(toY(up.line(v))) + 0.5;
      pen.moveTo(EDGE.left, at);
      pen.lineTo(width - EDGE.right, at);
      pen.fillText(text, EDGE.left - 7, at + 4);
    }
    pen.stroke();
    pen.save();
    pen.translate(14, (EDGE.top + height - EDGE.bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText("mean loss, nats per token", 0, 0);
    pen.restore();
  }

  /** The commonest region first, so that the rare ones lie on top. */
  points(pen, region, colour) {
    const many = this.shown.length > 8000;
    const size = this.shown.length > 20000 ? 1.5 : many ? 2 : this.shown.length > 1500 ? 3 : 4; // px from the middle
    const groups = data.words.regions.map(() => []);
    for (const i of this.shown) groups[region[i]].push(i);
    const order = groups.map((_, r) => r).sort((a, b) => groups[b].length - groups[a].length);
    for (const r of order) {
      pen.fillStyle = colour(`--${data.words.regions[r]}`);
      pen.globalAlpha = 0.7;
      for (const i of groups[r]) this.point(pen, this.px[i], this.py[i], size, many);
    }
    pen.globalAlpha = 1;
  }

  point(pen, x, y, size, square) {
    if (square) {
      pen.fillRect(x - size, y - size, 2 * size, 2 * size); // many times faster than a disc
      return;
    }
    pen.beginPath();
    pen.arc(x, y, size, 0, 2 * Math.PI);
    pen.fill();
  }

  /** The nearest shown point within `reach` px of a place on the canvas; -1: none. */
  nearest(x, y, reach) {
    if (!this.grid) {
      this.grid = new Map();
      for (const i of this.shown) {
        const key = Math.floor(this.px[i] / CELL) * 10000 + Math.floor(this.py[i] / CELL);
        const cell = this.grid.get(key);
        if (cell) cell.push(i);
        else this.grid.set(key, [i]);
      }
    }
    let best = -1, least = reach * reach;
    const cells = Math.ceil(reach / CELL), [cx, cy] = [Math.floor(x / CELL), Math.floor(y / CELL)];
    for (let a = cx - cells; a <= cx + cells; a += 1) {
      for (let b = cy - cells; b <= cy + cells; b += 1) {
        for (const i of this.grid.get(a * 10000 + b) || []) {
          const distance = (this.px[i] - x) ** 2 + (this.py[i] - y) ** 2;
          if (distance <= least) [best, least] = [i, distance];
        }
      }
    }
    return best;
  }
}
