// Learning curves, rounds, rejects and settings.
function curves() {
  const box = section("curves");
  const { epochs, rows } = data.curves;
  const values = rows.flatMap(([, ...means]) => means).filter((v) => v !== null && v > 0);
  if (!values.length) {
    box.append(notice("No exercise has been trained on yet."));
    return;
  }
  let [low, high] = [Infinity, 0];
  for (const v of values) [low, high] = [Math.min(low, v), Math.max(high, v)];
  box.append(el("p", {}, `Mean loss per epoch over the exercises that teach a skill, in nats per token, on one logarithmic scale from ` +
    `${figure(low)} to ${figure(high)} for all. Exercises come and go between rounds, so a curve is that of a changing set.`));
  const card = ([i, ...means]) => {
    const seen = means.filter((v) => v !== null);
    const said = `${figure(seen[0])} → ${figure(seen[seen.length - 1])}`;
    const label = `Mean loss of ${data.skills[i].name} over ${plural(epochs, "epoch")}: ${said}`;
    return el("article", { class: "curve" }, el("h3", {}, el("button", { type: "button", class: "link", onclick: () => openSkill(i) }, data.skills[i].name)),
      sparkline(means.map((v, e) => [e, v]), { low, high: Math.max(high, low * 1.01), epochs, label }), el("p", { class: "small" }, said));
  };
  box.append(el("div", { class: "curves" }, rows.map(card)));
}

function rounds() {
  const box = section("rounds");
  if (!data.rounds.length) {
    box.append(notice("No round of tuning is finished yet."));
    return;
  }
  const titles = ["Round", "Regions", "Examples", "Removed", "Made easy", "Newly written", "Mean loss"];
  const rows = data.rounds.map((r) => el("tr", {}, el("th", { scope: "row" }, String(r.round)), el("td", { class: "wide" }, stack(r)),
    [count(r.examples), count(r.removed), count(r.down), count(r.new), figure(r.loss)].map((text, k) => el("td", { "data-title": titles[k + 2] }, text))));
  box.append(el("p", {}, "After each round every example got a region: errors are removed, easy ones are shown less often or " +
    "count less, hard ones and pairs of easy ones have the teacher write new exercises for the next round. After the last one nothing is changed any more."),
  el("div", { class: "scroll" }, el("table", { class: "figures rounds" }, el("thead", {}, el("tr", {}, titles.map((text) => el("th", { scope: "col" }, text)))), el("tbody", {}, rows))),
  el("p", { class: "legend" }, data.words.regions.map((region, k) => (data.rounds.some((r) => r.regions[k]) ? tag(region) : null))));
  for (const r of data.rounds) for (const text of r.warnings) box.append(notice(`Round ${r.round}: ${text}`));
}

function stack(r) {
  const said = data.words.regions.map((region, k) => `${region} ${count(r.regions[k])}`).join(", ");
  const box = svg("svg", { class: "stack", width: "100%", height: 16, role: "img", "aria-label": said });
  let from = 0;
  r.regions.forEach((n, k) => {
    const share = (100 * n) / Math.max(r.examples, 1);
    if (n) box.append(svg("rect", { class: data.words.regions[k], x: `${from}%`, y: 0, width: `${share}%`, height: 16 }, svg("title", {}, `${data.words.regions[k]}: ${count(n)}`)));
    from += share;
  });
  return box;
}

function rejects() {
  const box = section("rejects");
  if (!data.rejects.length) {
    box.append(notice("Nothing has been rejected."));
    return;
  }
  const all = data.rejects.reduce((sum, row) => sum + row.count, 0);
  const most = data.rejects[0].count;
  box.append(el("p", {}, `${plural(all, "text")} did not pass the checks; every one is kept in rejected.jsonl with its reason.`),
    ...data.rejects.map((row) => {
      const bar = el("span", { class: "amount" });
      bar.style.width = `${(100 * row.count) / most}%`;
      return el("details", { class: "reject" },
        el("summary", {}, el("span", {}, row.reason), el("small", {}, count(row.count)), el("span", { class: "track" }, bar)),
        el("p", { class: "small" }, row.samples.length < row.count ? `${row.samples.length} of them:` : ""),
        row.samples.map(([stage, id, detail, sample]) => el("div", { class: "item" },
          el("p", { class: "small" }, [stage, id, detail].filter(Boolean).join(" · ")), sample ? passage(sample) : null)));
    }));
}

function settings() {
  section("settings").append(
    el("p", {}, "What ", el("code", {}, "run.toml"), " holds; the same settings, models and seed on the same machine give the same run."),
    el("div", { class: "tables" }, data.settings.map(({ table, rows }) => el("div", { class: "block" }, el("h3", {}, table),
      el("dl", {}, rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))))))));
}
