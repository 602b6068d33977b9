// Show a level of grey beside the field that holds it.
import { luminance, readLevel } from "./grey.js";

function show(input, swatch) {
  const level = readLevel(input.value);
  swatch.hidden = level === null;
  if (level === null) return;
  swatch.style.backgroundColor = `rgb(${level} ${level} ${level})`;
  swatch.style.color = luminance(level) > 0.18 ? "#000" : "#fff";
  swatch.textContent = `${Math.round(100 * luminance(level))}% of white`;
}

for (const input of document.querySelectorAll("[data-swatch]")) {
  const swatch = document.createElement("output");
  swatch.className = "desk-swatch";
  swatch.htmlFor = input.id;
  input.after(swatch);
  input.addEventListener("input", () => show(input, swatch));
  show(input, swatch);
}
