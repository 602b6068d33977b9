// The page on which every trial is shown. The server decides what comes next; this module shows
// it, takes one answer and sends it.

import { isForStimulus, sideOfKey } from "./keys.js";
import { Outbox } from "./outbox.js";
import { Refusal, isSettled, isWorthKeeping, untilItWorks } from "./retry.js";
import { sizeOfSide } from "./sizing.js";
import { drawParts, loadStimulus } from "./stimulus.js";
import { fetchState, postAnswer, waitForConnection } from "./transport.js";

const BLANK_MS = 500;
const SLOW_MS = 1500; // From here on, waiting needs a word.
const PRESS_TO_CLICK_MS = 300;
const LONGEST_MS = 3_600_000;

const page = document.querySelector("[data-trials]");
const part = (name) => page.querySelector(`[data-part="${name}"]`);
const room = part("room");
const buttons = [...page.querySelectorAll("button[data-side]")];
const canvases = Object.fromEntries(
  [...page.querySelectorAll("canvas")].map((canvas) => [canvas.dataset.canvas, canvas]),
);
const outbox = new Outbox(window.localStorage, `answer:${page.dataset.next}`);

let shown = null; // What stands on the screen: its trial, its parts, how large.
let paintedAt = null; // Set while an answer counts.
let focusLost = 0;
let answered = () => {};

const nextFrame = () => new Promise(requestAnimationFrame);
const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

function tell(name) {
  for (const message of page.querySelectorAll("[data-message]")) {
    message.hidden = message.dataset.message !== name;
  }
}

const persistently = (action) => untilItWorks(action, {
  wait: waitForConnection,
  onInterrupted: () => tell("interrupted"),
  onRestored: () => tell(null),
});

function fit() {
  if (!shown) return;
  const style = getComputedStyle(room);
  const gap = Number.parseFloat(style.columnGap);
  const size = sizeOfSide({
    roomWidth: room.clientWidth,
    roomHeight: room.clientHeight - part("hint").offsetHeight - gap,
    sideWidth: shown.trial.side_width,
    sideHeight: shown.trial.side_height,
    rows: shown.trial.task === "similarity" ? 2 : 1,
    gap,
    pixelRatio: window.devicePixelRatio,
  });
  shown.width = Math.round(size.width);
  for (const canvas of Object.values(canvases)) {
    // Setting a canvas's size clears it, so only where it changes.
    if (canvas.width !== size.deviceWidth) canvas.width = size.deviceWidth;
    if (canvas.height !== size.deviceHeight) canvas.height = size.deviceHeight;
    canvas.style.width = `${size.width}px`;
    canvas.style.height = `${size.height}px`;
  }
  drawParts(shown.parts, canvases);
}

function showProgress(trial) {
  const label = trial.kind === "practice" ? part("practice") : part("main");
  for (const each of [part("practice"), part("main")]) each.hidden = each !== label;
  for (const index of page.querySelectorAll("[data-part=index]")) index.textContent = trial.index;
  for (const total of page.querySelectorAll("[data-part=total]")) total.textContent = trial.total;
  part("progress").max = trial.total;
  part("progress").value = trial.index - 1;
}

/** Show a stimulus, and take answers from the frame that follows its paint. */
async function show(trial, stimulus) {
  await nextFrame();
  shown = { trial, ...stimulus };
  fit();
  showProgress(trial);
  page.dataset.state = "shown";
  focusLost = 0;
  const shownAt = new Date().toISOString();
  const frame = await nextFrame();
  shown.shownAt = shownAt;
  paintedAt = frame;
}

function hide() {
  page.dataset.state = "blank";
  for (const bitmap of Object.values(shown.parts)) bitmap.close();
  shown = null;
}

/** Say that practice is over, and wait for one key press or tap. */
async function turnToMain() {
  const before = document.activeElement;
  page.dataset.state = "turn";
  part("turn").hidden = false;
  part("go-on").focus();
  await new Promise((resolve) => {
    part("go-on").addEventListener("click", resolve, { once: true });
  });
  part("turn").hidden = true;
  page.dataset.state = "blank";
  before?.focus();
  // The second half of a double tap must not meet an image.
  await pause(BLANK_MS);
}

function takeAnswer(side, inputMethod, timeStamp) {
  const responseMs = Math.round(timeStamp - paintedAt);
  paintedAt = null;
  answered({
    side,
    response_ms: Math.min(Math.max(responseMs, 1), LONGEST_MS),
    input_method: inputMethod,
    shown_at: shown.shownAt,
    image_load_ms: Math.min(shown.loadMs, LONGEST_MS),
    // A window that reports no size must not cost the answer.
    viewport_width: window.innerWidth || null,
    viewport_height: window.innerHeight || null,
    device_pixel_ratio: window.devicePixelRatio || null,
    displayed_px: shown.width || null,
    focus_lost: focusLost,
  });
}

function listen() {
  let press = null; // The press under way: when it began and by what.
  const endPress = () => {
    const ended = press;
    // After the click that it makes, which follows a touch with some delay.
    setTimeout(() => { if (press === ended) press = null; }, PRESS_TO_CLICK_MS);
  };
  document.addEventListener("keydown", (event) => {
    const side = sideOfKey(event);
    if (event.key === "Enter" || event.key === " ") {
      // A held Enter clicks the focused button again and again.
      if (event.repeat) event.preventDefault();
      else press = { at: event.timeStamp, by: "keyboard" };
    }
    if (!side) return;
    event.preventDefault();
    if (isForStimulus({ paintedAt, pressedAt: null, timeStamp: event.timeStamp })) {
      takeAnswer(side, "keyboard", event.timeStamp);
    }
  });
  document.addEventListener("pointerdown", (event) => {
    press = { at: event.timeStamp, by: event.pointerType === "mouse" ? "pointer" : "touch" };
  });
  for (const name of ["keyup", "pointerup", "pointercancel"]) {
    document.addEventListener(name, endPress);
  }
  for (const button of buttons) {
    button.addEventListener("click", ({ timeStamp }) => {
      if (isForStimulus({ paintedAt, pressedAt: press?.at ?? null, timeStamp })) {
        takeAnswer(button.dataset.side, press?.by ?? "pointer", timeStamp);
      }
    });
  }
  window.addEventListener("blur", () => { focusLost += 1; });
  window.addEventListener("resize", fit);
}

/** Send an answer until the server has it; return what comes next. */
async function send(address, answer) {
  outbox.keep(address, answer);
  let state = null;
  try {
    state = await persistently(() => postAnswer(address, answer, page.dataset.csrf));
  } catch (error) {
    if (!(error instanceof Refusal) || isWorthKeeping(error.status)) throw error;
    // What the server will never take must not be sent again by each reload.
    outbox.clear();
    // Otherwise the trial would come back in silence, again and again.
    if (!isSettled(error.status)) throw error;
  }
  outbox.clear();
  return state ?? persistently(() => fetchState(page.dataset.next));
}

/** Load a stimulus ahead, in silence; what goes wrong matters when the stimulus is needed. */
function ahead(trial) {
  const stimulus = trial && untilItWorks(() => loadStimulus(trial), {
    wait: waitForConnection, onInterrupted: () => {}, onRestored: () => {},
  });
  stimulus?.catch(() => {});
  return stimulus;
}

async function patiently(stimulus) {
  const timer = setTimeout(() => tell("loading"), SLOW_MS);
  const loaded = await stimulus;
  clearTimeout(timer);
  tell(null);
  return loaded;
}

async function run() {
  const waiting = outbox.waiting();
  let state = waiting
    ? await send(waiting.address, waiting.answer)
    : await persistently(() => fetchState(page.dataset.next));
  let stimulus = ahead(state.trial);
  while (state.trial) {
    const { trial, upcoming } = state;
    const given = new Promise((resolve) => { answered = resolve; });
    if (trial.kind === "main" && trial.index === 1 && part("turn")) await turnToMain();
    await show(trial, await patiently(stimulus));
    const next = ahead(upcoming);
    const answer = await given;
    hide();
    [state] = await Promise.all([send(trial.answer, answer), pause(BLANK_MS)]);
    stimulus = state.trial?.id === upcoming?.id ? next : ahead(state.trial);
  }
  window.location.replace(state.done);
}

tell(null);
listen();
// A page out of the back-forward cache shows a trial that may be long answered.
window.addEventListener("pageshow", ({ persisted }) => { if (persisted) window.location.reload(); });
run().catch(() => {
  paintedAt = null;
  page.dataset.state = "blank";
  tell("stopped");
});
