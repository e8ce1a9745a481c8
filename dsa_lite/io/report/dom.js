// Building blocks. Text enters the page as text nodes only, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const section = (id) => document.getElementById(id);
const notice = (...text) => el("p", { class: "notice" }, ...text);

const count = (n) => n.toLocaleString("en");
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
const percent = (share, digits = 0) => (share === null ? "–" : `${(100 * share).toFixed(digits)}\u202f%`);
const range = ([, low, high], digits = 0) => `${(100 * low).toFixed(digits)}–${(100 * high).toFixed(digits)}\u202f%`;
const key = (kind, ...text) => el("span", { class: "label" }, el("span", { class: `key ${kind}` }), ...text);
const short = (text, limit) => (text.length > limit ? `${text.slice(0, limit - 1).trimEnd()}…` : text);

function figure(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 0.0001) return "< 0.0001";
  if (size < 0.001) return value.toFixed(4);
  return size < 1 ? value.toFixed(3) : size < 100 ? value.toFixed(2) : count(Math.round(value));
}

function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** A little line chart; `points` [epoch, value], log scale between low and high, gaps where a value is missing. */
function sparkline(points, { low, high, epochs, label, width = 210, height = 84 }) {
  const left = 4, right = width - 4, top = 6, bottom = height - 6;
  const x = (epoch) => (epochs < 2 ? width / 2 : left + ((right - left) * epoch) / (epochs - 1));
  const span = Math.log(high / low) || 1;
  const y = (v) => bottom - ((bottom - top) * Math.log(Math.max(v, low) / low)) / span;
  const seen = points.filter(([, value]) => value !== null);
  const box = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  box.append(svg("line", { class: "base", x1: left, x2: right, y1: bottom, y2: bottom }));
  box.append(svg("polyline", { points: seen.map(([e, v]) => `${x(e).toFixed(1)},${y(v).toFixed(1)}`).join(" ") }));
  for (const [e, v] of seen) box.append(svg("circle", { cx: x(e).toFixed(1), cy: y(v).toFixed(1), r: 2.5 }));
  return box;
}
