import assert from "node:assert/strict";
import test from "node:test";

import {
  frameInterval, frameToTakeAway, measureFrames, nextFrame,
} from "../../../static/participation/js/frames.js";

/** A screen whose frames come exactly `interval` apart, and a clock that only waiting moves. */
function runClock(context, interval) {
  let clock = 1;
  context.mock.method(performance, "now", () => clock);
  context.mock.method(globalThis, "setTimeout", (action, milliseconds) => {
    clock += milliseconds;
    queueMicrotask(action);
  });
  globalThis.requestAnimationFrame = (draw) => {
    clock = (Math.floor(clock / interval) + 1) * interval;
    const frame = clock;
    queueMicrotask(() => draw(frame));
  };
}

test("images are seen for as long as the limit says, to the nearest frame", async (context) => {
  for (const interval of [4, 10, 20]) {
    runClock(context, interval);
    await measureFrames();
    assert.equal(frameInterval(), interval);
    await nextFrame(); // The images are drawn here,
    const paintedAt = await nextFrame(); // and seen from here on.
    const takenAwayAt = await frameToTakeAway(paintedAt, 400);
    assert.equal(takenAwayAt + interval - paintedAt, 400);
    context.mock.restoreAll();
  }
});
