// One example in the panel: its texts, its loss, what was decided about it.
const exampleButton = (i, text) => el("button", { type: "button", class: "link", onclick: () => openExample(i) }, text);
const unchosen = () => { view.chosen = -1; if (layer) ring(); };

function openExample(i) {
  openDrawer(() => describe(i), unchosen);
}

function describe(i) {
  view.chosen = i;
  if (layer) ring();
  const at = shown.indexOf(i);
  const step = (to, text, label) => el("button", { type: "button", "aria-label": label, disabled: at < 0 || shown[to] === undefined,
    onclick: () => replaceDrawer(() => describe(shown[to])) }, text);
  return {
    title: examples.id[i], kind: "Example", body: exampleBody(i),
    steps: at < 0 ? [] : [step(at - 1, "↑", "Previous in the list"), step(at + 1, "↓", "Next in the list")],
  };
}

function exampleBody(i) {
  const parents = examples.parents[i].map((p) => el("li", {}, exampleButton(p, short(examples.problem[p], 100))));
  const right = { 0: "A step of the solution is wrong.", 1: "Every step that could be checked is right." }[examples.right[i]];
  const again = examples.again[i];
  const written = examples.round[i] ? `ordered by round ${examples.round[i]}` : "written before tuning";
  return [
    block("Problem", passage(examples.problem[i])),
    block("Solution", passage(examples.solution[i]), el("p", { class: "small" }, right || "No step could be checked by program.")),
    block("Answer", passage(examples.answer[i]),
      ...(again ? [el("p", { class: "small" }, `The teacher, solving it again: ${again.join(" | ")}`)] : [])),
    block("Skills", el("p", { class: "chips" }, examples.skills[i].map(skillButton))),
    block("Origin", el("p", {}, `${data.words.origins[examples.origin[i]]}, ${written}`),
      ...(examples.sources[i] ? [el("p", { class: "small" }, `written from ${examples.sources[i].join("; ")}`)] : []),
      ...(parents.length ? [el("p", { class: "small" }, "made from"), el("ul", { class: "plain" }, parents)] : [])),
    block("Loss, nats per token", lossCurve(i)),
    block("Decisions", decisions(i)),
  ];
}

function lossCurve(i) {
  const [first, ...losses] = examples.losses[i];
  const seen = losses.filter((v) => v !== null);
  if (!seen.length) return el("p", {}, "Not trained on yet.");
  const low = Math.max(Math.min(...seen) / 1.5, 1e-6);
  const high = Math.max(...seen) * 1.5;
  const points = losses.map((v, k) => [first + k, v]);
  const said = points.filter(([, v]) => v !== null).map(([e, v]) => `epoch ${e + 1}: ${figure(v)}`).join(", ");
  return el("div", {}, sparkline(points, { low, high: Math.max(high, low * 2), epochs: Math.max(data.curves.epochs, 1), label: said }),
    el("p", { class: "small" }, said));
}

function decisions(i) {
  const rows = data.rounds.flatMap((r) => {
    const k = r.example.indexOf(i);
    return k < 0 ? [] : [el("tr", {}, el("th", { scope: "row" }, String(r.round)), el("td", {}, tag(data.words.regions[r.region[k]])),
      el("td", {}, data.words.actions[r.action[k]]), el("td", {}, figure(r.weight[k])), el("td", {}, figure(r.mean[k])),
      el("td", {}, figure(r.deviation[k])))];
  });
  if (!rows.length) return el("p", {}, "None yet.");
  const heads = ["Round", "Region", "Action", "Weight", "Loss", "Dev."].map((text) => el("th", { scope: "col" }, text));
  return el("div", { class: "scroll" }, el("table", { class: "figures" }, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows)));
}
