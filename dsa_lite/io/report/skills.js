// The skill graph: a column per level; below 760 px a list by level. The layout is CSS's, the edges are measured.
const KNOWN = 12; // exercises shown of a skill at first

function skills() {
  const box = section("skills");
  const placed = data.skills.map((skill, i) => ({ ...skill, i })).filter((skill) => skill.level !== null);
  if (!placed.length) {
    box.append(notice("The skill graph has not been drawn yet: it is the first thing a run makes."));
    return;
  }
  box.append(el("p", {}, "A skill rests on those of the levels before it. Colour and figure tell the share of held-out questions answered " +
    "rightly after training. Choose a skill to see what was written for it, and what it still gets wrong."));
  const nodes = new Map(placed.map((skill) => [skill.i, skillNode(skill)]));
  const lines = svg("svg", { class: "edges", "aria-hidden": "true" });
  const graph = el("div", { class: "graph" }, lines, columns(placed).map((column, level) =>
    el("div", { class: "level", role: "group", "aria-label": `Level ${level}` },
      el("h3", {}, `Level ${level}`), column.map((i) => nodes.get(i)))));
  box.append(el("div", { class: "scroll" }, graph));
  box.append(el("p", { class: "legend" }, 
    el("span", { class: "label" }, "0\u202f%", el("span", { class: "ramp" }), "100\u202f% right"),
    key("none", "no held-out question"), key("found", "found by the teacher")));
  const draw = () => drawEdges(graph, lines, nodes);
  new ResizeObserver(draw).observe(graph);
  draw();
  lightUp(nodes, lines);
}

function skillNode(skill) {
  const share = skill.score ? skill.score[0] : null;
  const node = el("button", { type: "button", class: `skill ${skill.source} ${share === null ? "none" : ""}`,
    onclick: () => openSkill(skill.i) }, el("span", {}, skill.name), el("small", {}, share === null ? "–" : percent(share)));
  node.style.setProperty("--share", `${share === null ? 0 : Math.round(6 + 50 * share)}%`);
  return node;
}

/** Levels from left to right, each ordered so that a skill stands near those it is joined to. */
function columns(placed) {
  const levels = [];
  for (const { i, level } of placed) (levels[level] ||= []).push(i);
  const rank = new Map();
  const settle = () => levels.forEach((level) => level.forEach((i, k) => rank.set(i, (k + 0.5) / level.length)));
  settle();
  for (let sweep = 0; sweep < 8; sweep += 1) {
    const from = sweep % 2;
    for (const level of levels) {
      const wish = new Map(level.map((i) => {
        const near = data.edges.filter((edge) => edge[1 - from] === i).map((edge) => rank.get(edge[from]));
        return [i, near.length ? near.reduce((a, b) => a + b) / near.length : rank.get(i)];
      }));
      level.sort((a, b) => wish.get(a) - wish.get(b) || a - b);
    }
    settle();
  }
  return levels;
}

function drawEdges(graph, lines, nodes) {
  const frame = graph.getBoundingClientRect();
  lines.setAttribute("viewBox", `0 0 ${graph.scrollWidth} ${graph.scrollHeight}`);
  lines.replaceChildren(...data.edges.map(([from, to]) => {
    const a = nodes.get(from).getBoundingClientRect(), b = nodes.get(to).getBoundingClientRect();
    const x1 = a.right - frame.left, x2 = b.left - frame.left;
    const y1 = a.top + a.height / 2 - frame.top, y2 = b.top + b.height / 2 - frame.top;
    const bend = Math.min(60, (x2 - x1) / 2);
    return svg("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, "data-from": from, "data-to": to });
  }));
}

/** Pointing at a skill, or tabbing to it, shows what it rests on and what rests on it. */
function lightUp(nodes, lines) {
  const set = (i, on) => {
    for (const path of lines.children) {
      const mine = Number(path.dataset.from) === i || Number(path.dataset.to) === i;
      path.classList.toggle("lit", on && mine);
    }
  };
  for (const [i, node] of nodes) {
    for (const name of ["pointerenter", "focus"]) node.addEventListener(name, () => set(i, true));
    for (const name of ["pointerleave", "blur"]) node.addEventListener(name, () => set(i, false));
  }
}

const skillButton = (i) =>
  el("button", { type: "button", class: "chip", onclick: () => openSkill(i) }, data.skills[i].name);

function openSkill(i) {
  openDrawer(() => ({ title: data.skills[i].name, kind: "Skill", body: skillBody(i) }));
}

function skillBody(i) {
  const skill = data.skills[i];
  const below = data.edges.filter((edge) => edge[1] === i).map((edge) => skillButton(edge[0]));
  const above = data.edges.filter((edge) => edge[0] === i).map((edge) => skillButton(edge[1]));
  const wrong = data.wrong.filter((item) => item.skills.includes(i));
  return [
    skill.text ? el("p", {}, skill.text) : null,
    skill.score ? el("p", {}, el("strong", {}, percent(skill.score[0])), ` of ${plural(skill.n, "held-out question")} right after ` +
      `training (95\u202f% interval ${range(skill.score)}).`) : null,
    below.length ? block("Rests on", el("p", { class: "chips" }, below)) : null,
    above.length ? block("Carries", el("p", { class: "chips" }, above)) : null,
    block("Textbook", ...(skill.books.length ? skill.books.map(passage) : [notice("No passage has been written.")]),
      ...(skill.sources.length ? [el("p", { class: "small" }, `written from ${skill.sources.join("; ")}`)] : [])),
    block("Exercises", ...exercisesOf(i)),
    data.sets.length ? block(`Still wrong: ${wrong.length}`, ...(wrong.length ? wrong.map(wrongItem) : [el("p", {}, "Nothing.")])) : null,
  ].filter((part) => part !== null);
}

function exercisesOf(i) {
  const found = data.examples.skills.flatMap((used, n) => (used[used.length - 1] === i ? [n] : []));
  if (!found.length) return [notice("No exercise teaches this skill.")];
  const list = el("ul", { class: "plain" }, found.slice(0, KNOWN).map(exampleItem));
  const all = el("button", { type: "button", onclick: () => showOnMap(i) }, `All ${count(found.length)} in the data map`);
  return [list, all];
}

const exampleItem = (n) => el("li", {}, exampleButton(n, short(data.examples.problem[n], 140)));

function wrongItem(item) {
  return el("div", { class: "item" },
    item.problem === null ? el("p", { class: "small" }, item.id) : passage(item.problem),
    el("p", { class: "small" }, item.gold === null ? null : `right: ${item.gold} · `, `answered: ${item.answer === null ? "nothing" : item.answer}`,
      ` · ${SETS[item.set].name.toLowerCase()}`, item.lost ? " · was right before" : ""),
    el("details", {}, el("summary", {}, "its words"), passage(item.reply)));
}
