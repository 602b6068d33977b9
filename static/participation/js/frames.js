// The screen's frames, and waiting for one of them.

import { median } from "./measures.js";

const WAKE_EARLY_MS = 30; // A timer may be late by so much.
const MEASURED_FRAMES = 7;

let frameMs = null; // Between two frames of this screen, as measured last.

export const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
export const nextFrame = () => new Promise(requestAnimationFrame);

/** Wait for the frame nearest to a time, and return its own; the caller may still draw in it. */
export async function frameAt(due) {
  const left = due - performance.now() - WAKE_EARLY_MS;
  if (left > 0) await pause(left);
  let frame = await nextFrame();
  while (frame < due - (frameMs ?? 0) / 2) frame = await nextFrame();
  return frame;
}

/**
 * Wait for the frame in which to take away what shall be seen for some time since `paintedAt`.
 * Like all that is drawn, that is only seen a frame later.
 */
export function frameToTakeAway(paintedAt, milliseconds) {
  return frameAt(paintedAt + milliseconds - (frameMs ?? 0));
}

/** Measure the frame interval over the next few frames. */
export async function measureFrames() {
  const times = [];
  for (let i = 0; i <= MEASURED_FRAMES; i += 1) times.push(await nextFrame());
  // The middle one, for a frame may be dropped, and none come while the page is hidden.
  frameMs = median(times.slice(1).map((time, i) => time - times[i]));
}

export function frameInterval() {
  return frameMs;
}
