// The data map: every example a point, with filters, a list of the same points, and a panel for each.
const ROWS = 10; // of the list at a time
const ORDERS = { // columns of the list: what they sort by, and whether the largest comes first
  loss: { title: "Loss", key: (i) => layer.y[i], down: true },
  deviation: { title: "Deviation", key: (i) => layer.x[i], down: true },
  region: { title: "Region", key: (i) => layer.region[i], down: false },
};
const examples = data.examples;
const total = examples.id.length;
const view = { round: 0, skill: -1, origin: -1, regions: new Set(data.words.regions.keys()), words: "", log: true,
  sort: "loss", page: 0, chosen: -1 };
const parts = {};
const plot = new Plot(el("canvas", { id: "canvas", role: "img" }));
let layer = null; // of the round looked at: x, y (nats), region per example; 255: not mapped
let shown = []; // examples that pass the filters
let texts = null; // what the search looks through, made when first needed

/** Regions and places as decided in one round; round 0: what was decided last about each example. */
function makeLayer(round) {
  const made = { x: new Float32Array(total), y: new Float32Array(total), region: new Uint8Array(total).fill(255), highX: 0, highY: 0, mapped: 0 };
  for (const r of data.rounds) {
    if (round && r.round !== round) continue;
    r.example.forEach((i, k) => {
      if (r.mean[k] === null) return;
      [made.x[i], made.y[i], made.region[i]] = [r.deviation[k] || 0, r.mean[k], r.region[k]];
    });
  }
  for (let i = 0; i < total; i += 1) {
    if (made.region[i] === 255) continue;
    made.mapped += 1;
    made.highX = Math.max(made.highX, made.x[i]);
    made.highY = Math.max(made.highY, made.y[i]);
  }
  return made;
}

function update() {
  const words = view.words.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length && !texts) {
    texts = examples.id.map((id, i) =>
      [id, examples.problem[i], examples.solution[i], examples.answer[i]].join("\n").toLowerCase());
  }
  const counts = data.words.regions.map(() => 0);
  shown = [];
  for (let i = 0; i < total; i += 1) {
    if (layer.region[i] === 255) continue;
    if (view.skill >= 0 && !examples.skills[i].includes(view.skill)) continue;
    if (view.origin >= 0 && examples.origin[i] !== view.origin) continue;
    if (words.length && !words.every((word) => texts[i].includes(word))) continue;
    counts[layer.region[i]] += 1;
    if (view.regions.has(layer.region[i])) shown.push(i);
  }
  const { key, down } = ORDERS[view.sort];
  shown.sort((a, b) => (down ? key(b) - key(a) : key(a) - key(b)) || a - b);
  view.page = 0;
  parts.count.textContent = `${count(shown.length)} of ${plural(layer.mapped, "example")}`;
  parts.chips.forEach((chip, r) => { chip.lastChild.textContent = count(counts[r]); });
  paint();
  fillList();
}

function paint() {
  plot.draw({ ...layer, shown, log: view.log });
  plot.canvas.setAttribute("aria-label", `${count(shown.length)} examples by mean loss and deviation; the list below holds the same points`);
  ring();
}

/** Around the point pointed at, or else the one whose panel is open. */
function ring(over = -1) {
  const i = over >= 0 ? over : view.chosen >= 0 && shown.includes(view.chosen) ? view.chosen : -1;
  parts.ring.hidden = i < 0;
  if (i >= 0) parts.ring.style.transform = `translate(${plot.px[i]}px, ${plot.py[i]}px)`;
}

function choice(label, name, options, onchange) {
  const select = el("select", { name, onchange: () => onchange(Number(select.value)) },
    options.map(([value, text]) => el("option", { value }, text)));
  return [el("label", { class: "field" }, el("span", {}, label), select), select];
}

function controls() {
  const used = [...new Set(examples.skills.flat())].sort((a, b) => data.skills[a].name.localeCompare(data.skills[b].name));
  const [skillField, skillSelect] = choice("Skill", "skill", [[-1, "All skills"], ...used.map((i) => [i, data.skills[i].name])],
    (value) => { view.skill = value; update(); });
  parts.skill = skillSelect;
  const [originField] = choice("Origin", "origin", [[-1, "All origins"], ...data.words.origins.map((o, i) => [i, o])],
    (value) => { view.origin = value; update(); });
  const [roundField] = choice("As decided in", "round", [[0, "its last round"], ...data.rounds.map((r) => [r.round, `round ${r.round}`])],
    (value) => { view.round = value; layer = makeLayer(value); update(); });
  const [axesField] = choice("Axes", "axes", [[1, "logarithmic"], [0, "linear"]], (value) => { view.log = value === 1; paint(); });
  let timer = 0;
  const search = el("input", { type: "search", name: "search", placeholder: "any words of it", oninput: () => {
    clearTimeout(timer);
    timer = setTimeout(() => { view.words = search.value; update(); }, 120);
  } });
  parts.chips = data.words.regions.map((region, r) => el("button", { type: "button", class: "chip region", "aria-pressed": "true",
    "data-region": region, hidden: region === "unclassified" && !data.rounds.some((d) => d.regions[r]),
    onclick: (event) => toggle(r, event.currentTarget) }, el("span", { class: `swatch ${region}` }), `${region} `, el("small", {})));
  return el("div", { class: "controls" },
    el("div", { class: "chips", role: "group", "aria-label": "Regions shown" }, parts.chips),
    el("div", { class: "fields" }, skillField, originField, roundField, axesField,
      el("label", { class: "field" }, el("span", {}, "Search"), search)));
}

function toggle(r, chip) {
  const on = !view.regions.has(r);
  if (on) view.regions.add(r);
  else view.regions.delete(r);
  chip.setAttribute("aria-pressed", String(on));
  update();
}

function dataMap() {
  const box = section("map");
  if (!data.rounds.length) {
    box.append(notice("Nothing has been mapped yet: the map is drawn after the first round of tuning."));
    return;
  }
  layer = makeLayer(0);
  box.append(el("p", {}, "Every exercise is a point: how high its loss was over the last epochs, and how much it moved. Errors stay " +
    "high, easy ones lie low and still. Choose a point, or a line of the list, to read the exercise."));
  parts.count = el("p", { id: "count", role: "status" });
  parts.ring = el("div", { class: "ring", hidden: true });
  parts.tip = el("div", { class: "tip", hidden: true });
  box.append(controls(), parts.count, el("div", { class: "plot" }, plot.canvas, parts.ring, parts.tip), list());
  const { canvas } = plot;
  canvas.addEventListener("pointermove", (event) => hover(plot.nearest(event.offsetX, event.offsetY, 10)));
  canvas.addEventListener("pointerleave", () => hover(-1));
  canvas.addEventListener("click", (event) => {
    const found = plot.nearest(event.offsetX, event.offsetY, 20);
    if (found >= 0) openExample(found);
  });
  new ResizeObserver(paint).observe(canvas);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  update();
}

function hover(i) {
  plot.canvas.classList.toggle("over", i >= 0);
  parts.tip.hidden = i < 0;
  ring(i);
  if (i < 0) return;
  parts.tip.textContent = short(examples.problem[i], 120);
  const [x, y] = [plot.px[i], plot.py[i]];
  parts.tip.classList.toggle("left", x > plot.canvas.clientWidth / 2);
  parts.tip.style.transform = `translate(${x}px, ${y}px)`;
}

function list() {
  const heads = Object.entries(ORDERS).map(([name, { title }]) => el("th", { scope: "col", class: name },
    el("button", { type: "button", onclick: () => { view.sort = name; update(); } }, title)));
  parts.heads = heads;
  parts.body = el("tbody");
  parts.where = el("span", { role: "status" });
  const turn = (by) => el("button", { type: "button", "aria-label": by < 0 ? "Previous page" : "Next page",
    onclick: () => { view.page += by; fillList(); } }, by < 0 ? "←" : "→");
  [parts.previous, parts.next] = [turn(-1), turn(1)];
  return el("div", { class: "list" },
    el("table", { id: "list" }, el("caption", {}, "The same points as a list"),
      el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "problem" }, "Problem"), el("th", { scope: "col", class: "of" }, "Skill"), heads)),
      parts.body),
    el("p", { class: "pages" }, parts.previous, parts.where, parts.next));
}

function fillList() {
  const start = view.page * ROWS;
  Object.keys(ORDERS).forEach((name, k) =>
    parts.heads[k].setAttribute("aria-sort", view.sort !== name ? "none" : ORDERS[name].down ? "descending" : "ascending"));
  parts.body.replaceChildren(...Array.from({ length: ROWS }, (_, k) => listRow(shown[start + k])));
  parts.where.textContent = shown.length ? `${count(start + 1)}–${count(Math.min(start + ROWS, shown.length))}` : "none";
  parts.previous.disabled = view.page === 0;
  parts.next.disabled = start + ROWS >= shown.length;
}

/** Empty rows keep the list's height. */
function listRow(i) {
  if (i === undefined) return el("tr", { class: "empty" }, el("td", { colspan: "5" }, "\u00a0"));
  const used = examples.skills[i];
  return el("tr", {},
    el("td", { class: "problem" }, exampleButton(i, short(examples.problem[i], 160))),
    el("td", { class: "of" }, data.skills[used[used.length - 1]].name),
    el("td", { class: "loss" }, figure(layer.y[i])),
    el("td", { class: "deviation" }, figure(layer.x[i])),
    el("td", { class: "region" }, tag(data.words.regions[layer.region[i]])));
}

const tag = (region) => el("span", { class: "tag" }, el("span", { class: `swatch ${region}` }), el("span", { class: "word" }, region));

function showOnMap(skill) {
  closeDrawer();
  if (!data.rounds.length) return;
  view.skill = skill;
  parts.skill.value = String(skill);
  update();
  section("map").scrollIntoView();
  section("map").focus({ preventScroll: true });
}
