// Show a text as participants will read it, below the field that it is written in.
const WAIT_MS = 300;
// What the standard texts speak of.
const DESIGN = ["task", "language", "practice_trials", "main_trials", "catch_percent", "repeat_percent"];
const waiting = new WeakMap();

function furnish(area) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "desk-button desk-preview-button";
  button.textContent = "Preview";
  button.setAttribute("aria-expanded", "false");
  const panel = document.createElement("div");
  panel.className = "desk-prose";
  panel.setAttribute("role", "region");
  panel.setAttribute("aria-label", "Preview");
  panel.hidden = true;
  area.after(button, panel);
}

function partsOf(area) {
  const button = area.parentElement.querySelector(".desk-preview-button");
  return { button, panel: button?.nextElementSibling };
}

// A translation's own language stands in the same row.
function languageOf(area) {
  const name = area.name.replace(/[a-z]+_text$/, "language");
  return area.form.elements[name]?.value || area.form.elements.language.value;
}

async function show(area) {
  const { panel } = partsOf(area);
  const values = new FormData();
  values.set("part", area.dataset.part);
  values.set("text", area.value);
  for (const name of DESIGN) values.set(name, area.form.elements[name].value);
  values.set("language", languageOf(area));
  waiting.get(area)?.abort();
  const abort = new AbortController();
  waiting.set(area, abort);
  try {
    const response = await fetch(area.dataset.previewUrl, {
      method: "POST", body: values, credentials: "same-origin", signal: abort.signal,
      headers: { "X-CSRFToken": area.form.elements.csrfmiddlewaretoken.value },
    });
    if (response.redirected || !response.ok) throw new Error(response.statusText);
    panel.innerHTML = await response.text();
  } catch (error) {
    if (error.name !== "AbortError") panel.textContent = "No preview now: the server does not answer.";
  }
}

function toggle(button) {
  const area = button.previousElementSibling;
  const { panel } = partsOf(area);
  panel.hidden = !panel.hidden;
  button.setAttribute("aria-expanded", String(!panel.hidden));
  if (!panel.hidden) show(area);
}

// Once the typing pauses.
let timer;
function follow(area) {
  clearTimeout(timer);
  if (!partsOf(area).panel?.hidden) timer = setTimeout(show, WAIT_MS, area);
}

// Rows that are added later are copies of one that is there from the start, buttons included.
document.querySelectorAll("textarea[data-preview-url]").forEach(furnish);
document.addEventListener("click", ({ target }) => {
  const button = target.closest(".desk-preview-button");
  if (button) toggle(button);
});
document.addEventListener("input", ({ target }) => {
  if (target.matches("textarea[data-preview-url]")) follow(target);
});
