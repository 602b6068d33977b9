// Keep the moving part of a study's page current: told by the socket, else asked now and then.
import { nextDelay } from "./delays.js";

const place = document.querySelector("[data-progress-url]");
const status = document.querySelector("[role=status][data-milestone]");
let isConnected = false;
let failures = 0;
let shown = "";
let timer;

async function refresh() {
  clearTimeout(timer);
  try {
    const response = await fetch(place.dataset.progressUrl, { credentials: "same-origin" });
    if (response.redirected || !response.ok) throw new Error(response.statusText);
    show(await response.text());
  } catch {
    // The server may be restarting: the page asks again.
  }
  const isSettled = place.querySelector("[data-progress]").dataset.settled === "true";
  const delay = nextDelay({ isSettled, isConnected, isHidden: document.hidden });
  if (delay !== null) timer = setTimeout(refresh, delay);
}

function show(html) {
  if (html === shown) return;
  shown = html;
  const kept = new Map([...place.querySelectorAll("[data-keep]")].map((item) => [item.dataset.keep, {
    isOpen: item.open, scrollLeft: item.scrollLeft, hasFocus: item === document.activeElement,
  }]));
  place.innerHTML = html;
  for (const item of place.querySelectorAll("[data-keep]")) restore(item, kept.get(item.dataset.keep));
  const { milestone } = place.querySelector("[data-progress]").dataset;
  // Written only when it changes, so that a screen reader says it once.
  if (status.textContent !== milestone) status.textContent = milestone;
}

function restore(item, before) {
  if (!before) return;
  if (before.isOpen !== undefined) item.open = before.isOpen;
  item.scrollLeft = before.scrollLeft;
  if (before.hasFocus) item.focus({ preventScroll: true });
}

function listen() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}${place.dataset.socketPath}`);
  socket.addEventListener("open", () => { isConnected = true; failures = 0; });
  socket.addEventListener("message", refresh);
  socket.addEventListener("close", () => {
    isConnected = false;
    failures += 1;
    setTimeout(listen, Math.min(30, 2 ** failures) * 1000 * (0.5 + Math.random()));
  });
}

if (place) {
  listen();
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  refresh();
}
