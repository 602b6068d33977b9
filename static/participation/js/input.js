// What the participant does: keys, clicks and touches that mean a side, and losses of focus.

import { sideOfKey } from "./keys.js";

const PRESS_TO_CLICK_MS = 300;

/**
 * Call `onPress({ side, by, pressedAt, timeStamp })` at each press that means a side. `pressedAt`
 * is when a click's press began, null where nothing was pressed before it.
 */
export function listenForPresses(buttons, onPress) {
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
    onPress({ side, by: "keyboard", pressedAt: null, timeStamp: event.timeStamp });
  });
  document.addEventListener("pointerdown", (event) => {
    press = { at: event.timeStamp, by: event.pointerType === "mouse" ? "pointer" : "touch" };
  });
  for (const name of ["keyup", "pointerup", "pointercancel"]) {
    document.addEventListener(name, endPress);
  }
  for (const button of buttons) {
    button.addEventListener("click", ({ timeStamp }) => onPress({
      side: button.dataset.side, by: press?.by ?? "pointer", pressedAt: press?.at ?? null, timeStamp,
    }));
  }
}

/** Wait some time, but no longer than until a key or a touch that begins after `after`. */
export function pauseOrPress(milliseconds, after) {
  return new Promise((resolve) => {
    const names = ["keydown", "pointerdown"];
    const end = () => {
      clearTimeout(timer);
      for (const name of names) document.removeEventListener(name, hear);
      resolve();
    };
    const hear = ({ repeat, timeStamp }) => {
      if (!repeat && timeStamp > after) end(); // A held key is no press.
    };
    const timer = setTimeout(end, milliseconds);
    for (const name of names) document.addEventListener(name, hear);
  });
}

/** Call `onLost` each time the page stops being what the participant looks at. */
export function listenForFocusLoss(onLost) {
  let isHere = document.hasFocus();
  const lose = () => {
    if (isHere) onLost();
    isHere = false;
  };
  window.addEventListener("blur", lose);
  window.addEventListener("focus", () => { isHere = true; });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) lose(); // A phone that turns to another app sends no blur.
    else isHere = document.hasFocus();
  });
}
