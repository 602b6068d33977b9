// The screen check: measures the window whenever it changes, says what to do, and sends what fits.

import { estimateZoom, problemOf, sizeOfScreen } from "./windows.js";

const page = document.querySelector("[data-screen]");
const form = page.querySelector("form");
const part = (name) => page.querySelector(`[data-part="${name}"]`);
const limits = {
  minWindowPx: Number(page.dataset.minWindowPx),
  phoneBelowPx: Number(page.dataset.phoneBelowPx),
  arePhonesAllowed: "phonesAllowed" in page.dataset,
};

function measure() {
  const isTouch = window.matchMedia("(pointer: coarse)").matches;
  return {
    window_width: window.innerWidth,
    window_height: window.innerHeight,
    ...sizeOfScreen(window),
    device_pixel_ratio: window.devicePixelRatio,
    zoom_percent: estimateZoom({
      outerWidth: window.outerWidth, innerWidth: window.innerWidth, isTouch,
    }),
    is_touch: isTouch,
  };
}

function check() {
  const measured = measure();
  const problem = problemOf(measured, limits);
  const isZoomed = measured.zoom_percent !== null && measured.zoom_percent !== 100;
  const shown = [problem || "fits", !problem && isZoomed ? "zoomed" : ""];
  for (const message of page.querySelectorAll("[data-message]")) {
    message.hidden = !shown.includes(message.dataset.message);
  }
  for (const [name, value] of Object.entries(measured)) {
    form.elements.namedItem(name).value = value === null || value === false ? "" : String(value);
  }
  part("width").textContent = measured.window_width;
  part("height").textContent = measured.window_height;
  part("zoom").textContent = measured.zoom_percent;
  part("measured").hidden = false;
  part("go-on").hidden = Boolean(problem);
}

check();
window.addEventListener("resize", check);
