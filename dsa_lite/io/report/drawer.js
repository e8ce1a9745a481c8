// The panel at the side that shows one skill or one example; it leaves the page usable beside it.
const drawer = document.getElementById("drawer");
const trail = [];
let opener = null;
let whenClosed = null;

/** `build` makes { title, kind, body, steps }; kept as a function, so that "back" draws the panel anew. */
function openDrawer(build, closed = null) {
  if (drawer.hidden) {
    opener = document.activeElement;
    trail.length = 0;
  }
  if (whenClosed && whenClosed !== closed) whenClosed();
  whenClosed = closed;
  trail.push(build);
  showDrawer();
}

/** Takes the place of what is open, without a step back to it. */
function replaceDrawer(build) {
  trail.pop();
  trail.push(build);
  showDrawer();
}

function showDrawer() {
  const { title, kind, body, steps = [] } = trail[trail.length - 1]();
  const heading = el("h2", { id: "drawer-title", tabindex: "-1" }, title);
  const back = trail.length > 1 ? el("button", { type: "button", onclick: goBack }, "← Back") : null;
  const close = el("button", { type: "button", class: "close", onclick: closeDrawer, "aria-label": "Close" }, "✕");
  drawer.replaceChildren(el("div", { class: "bar" }, back, ...steps, close), el("p", { class: "eyebrow" }, kind), heading, ...body);
  drawer.hidden = false;
  drawer.scrollTop = 0;
  heading.focus({ preventScroll: true });
}

function goBack() {
  trail.pop();
  showDrawer();
}

function closeDrawer() {
  drawer.hidden = true;
  drawer.replaceChildren();
  if (whenClosed) whenClosed();
  whenClosed = null;
  if (opener && opener.isConnected) opener.focus({ preventScroll: true });
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !drawer.hidden) closeDrawer();
});

const block = (title, ...body) => el("div", { class: "block" }, el("h3", {}, title), ...body);
const passage = (text) => el("p", { class: "passage" }, text);
