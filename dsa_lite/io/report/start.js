// The page, top to bottom.
function opening() {
  const { run } = data;
  document.title = `${run.title} · dsa-lite report`;
  document.getElementById("title").textContent = run.title;
  const taught = run.stages.some(([stage, status]) => stage === "tune" && status === "done");
  document.getElementById("lede").append(...[
    taught ? `${run.student} learned from ${run.teacher}` : `${run.student} is to learn from ${run.teacher}`,
    run.seconds ? ` in ${duration(run.seconds)}` : "", run.device ? ` on ${run.device}` : "", ".",
    run.trained ? ` ${plural(data.skills.length, "skill")}, ${plural(total, "exercise")}; ${count(run.written)} tokens written, ${count(run.trained)} trained on.` : "",
    ` Seed ${run.seed}, dsa-lite ${run.version}.`]);
}

try {
  for (const part of [opening, story, skills, dataMap, curves, rounds, rejects, settings]) part();
} finally {
  document.documentElement.classList.remove("drawing");
}

// On paper everything is open and on white.
window.addEventListener("beforeprint", () => {
  document.documentElement.classList.add("paper");
  for (const details of document.querySelectorAll("main details:not([open])")) {
    details.open = true;
    details.dataset.printed = "";
  }
  if (layer) paint();
});
window.addEventListener("afterprint", () => {
  document.documentElement.classList.remove("paper");
  for (const details of document.querySelectorAll("details[data-printed]")) {
    details.open = false;
    delete details.dataset.printed;
  }
  if (layer) paint();
});
