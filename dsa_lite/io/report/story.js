// What changed: three sentences, then every topic.
const SETS = {
  eval: { name: "What was taught", about: "about what was taught" },
  transfer: { name: "Combined anew", about: "that combine topics in ways never shown" },
  general: { name: "Known before", about: "about what it knew before" },
};

function verdict({ before, after, p }) {
  if (p === null) return "";
  const odds = p < 0.001 ? "p\u00a0<\u00a00.001" : `p\u00a0=\u00a0${p.toFixed(p < 0.1 ? 3 : 2)}`;
  if (p >= 0.05) return `a change that chance alone could make (exact McNemar test, ${odds})`;
  return `${after[0] > before[0] ? "better" : "worse"}, and not by chance (exact McNemar test, ${odds})`;
}

function setCard(row) {
  const { name, about } = SETS[row.set];
  const change = row.p !== null && row.p < 0.05 ? (row.after[0] > row.before[0] ? "better" : "worse") : "same";
  const points = Math.round(1000 * (row.after[0] - row.before[0])) / 10;
  const sign = { better: "▲", worse: "▼", same: "=" }[change];
  const moved = `${sign} ${points > 0 ? "+" : points < 0 ? "−" : ""}${Math.abs(points).toFixed(1)} points`;
  const said = verdict(row);
  const sentence =
    `Of ${plural(row.n, "question")} ${about}, it answered ${percent(row.before[0], 1)} rightly before and ` +
    `${percent(row.after[0], 1)} after (95\u202f% interval ${range(row.after, 1)})${said ? `: ${said}` : ""}.`;
  return el("article", { class: `card ${change}` },
    el("h3", {}, name),
    el("p", { class: "big" }, percent(row.after[0], 1), el("span", { class: "moved" }, moved)),
    bars(row),
    el("p", {}, sentence));
}

/** Before over after, each with its interval. */
function bars({ before, after }) {
  const box = svg("svg", { class: "bars", width: "100%", height: 30, "aria-hidden": "true" });
  [["before", before, 4], ["after", after, 17]].forEach(([name, [share, low, high], y]) => {
    if (share === null) return;
    const middle = y + 4.5;
    box.append(svg("rect", { class: name, x: 0, y, width: `${100 * share}%`, height: 9, rx: 1.5 }));
    const line = (kind, from, to, y1, y2) => svg("line", { class: kind, x1: `${100 * from}%`, x2: `${100 * to}%`, y1, y2 });
    box.append(line("halo", low, high, middle, middle), line("interval", low, high, middle, middle));
    for (const end of [low, high]) box.append(line("interval", end, end, middle - 3.5, middle + 3.5));
  });
  return el("div", { class: "scale" }, box);
}

function topicRow(row) {
  return el("li", { class: "topic" },
    el("span", { class: "name" }, row.topic, el("small", {}, ` ${row.n}`)),
    bars(row),
    el("span", { class: "change" },
      el("span", { class: "from" }, `${percent(row.before[0])} → `),
      el("strong", {}, percent(row.after[0])),
      el("small", {}, range(row.after))));
}

function topicGroup(set, rows) {
  return el("details", { open: set === "eval" },
    el("summary", {}, SETS[set].name, el("small", {}, plural(rows.length, "topic"))),
    el("ul", { class: "topics" }, rows.map(topicRow)));
}

function story() {
  const box = section("story");
  if (!data.sets.length) {
    const [stage, status] = data.run.stages.find(([, s]) => s !== "done") || ["", "done"];
    const finished = status === "done";
    box.append(notice(
      finished ? "This skill has no held-out questions, so there is nothing to compare."
        : `Not evaluated yet: the run stands at the stage “${stage}” (${status}). Go on with the same dsa-lite run command; ` +
          "then the scores before and after stand here."));
    return;
  }
  box.append(el("div", { class: "cards" }, data.sets.map(setCard)));
  box.append(el("p", { class: "legend" },
    key("before", "before"), key("after", "after"),
    key("interval", "95\u202f% interval (Wilson)"), "every scale runs from 0 to 100\u202f%"));
  for (const set of Object.keys(SETS)) {
    const rows = data.topics.filter((row) => row.set === set);
    if (rows.length) box.append(topicGroup(set, rows));
  }
  for (const note of data.run.notes) box.append(el("p", { class: "small" }, note));
  box.append(el("p", { class: "small" },
    "The same held-out questions were asked before and after; none was trained on. This is one run with one seed: the " +
    "intervals are over questions, and say nothing about how much seeds differ."));
}
