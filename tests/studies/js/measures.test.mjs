import assert from "node:assert/strict";
import test from "node:test";

import {
  describeAnswer, isBlockStart, median, readSettings, within,
} from "../../../static/participation/js/measures.js";

const measured = {
  shownAt: new Date("2026-05-04T10:11:12.345Z"), loadMs: 18.4, decodeMs: 3.6, frameMs: 16.6667,
  windowWidth: 1440, windowHeight: 900, pixelRatio: 1.25, displayedWidth: 511.6, focusLost: 1,
};
const given = { side: "left", by: "keyboard", responseMs: 812.4 };

test("an answer carries what was measured", () => {
  assert.deepEqual(describeAnswer(given, measured), {
    side: "left", response_ms: 812, input_method: "keyboard",
    shown_at: "2026-05-04T10:11:12.345Z", image_load_ms: 18, image_decode_ms: 4, frame_ms: 16.67,
    viewport_width: 1440, viewport_height: 900, device_pixel_ratio: 1.25, displayed_px: 512,
    focus_lost: 1,
  });
});

test("an absurd measurement is left out and costs nothing else", () => {
  for (const absurd of [NaN, Infinity, -1, 1e12, undefined]) {
    const answer = describeAnswer(given, {
      shownAt: new Date(absurd), loadMs: absurd, decodeMs: absurd, frameMs: absurd,
      windowWidth: absurd, windowHeight: absurd, pixelRatio: absurd, displayedWidth: absurd,
      focusLost: absurd,
    });
    const { side, response_ms: ms, input_method: by, shown_at: shownAt, ...others } = answer;
    assert.deepEqual([side, ms, by], ["left", 812, "keyboard"]);
    assert.ok(shownAt === null || absurd === 1e12); // 2001: a clock may be wrong.
    assert.deepEqual(Object.values(others).filter((value) => value !== null), []);
  }
  assert.equal(describeAnswer(given, { ...measured, shownAt: new Date(-1e12) }).shown_at, null);
  assert.equal(describeAnswer(given, { ...measured, frameMs: null }).frame_ms, null);
});

test("a response time is always one that the server takes", () => {
  const times = [0.2, -5, 1e9].map((responseMs) => describeAnswer({ ...given, responseMs }, measured));
  assert.deepEqual(times.map((answer) => answer.response_ms), [1, 1, 3_600_000]);
});

test("the median is the middle, whatever the order", () => {
  assert.equal(median([]), null);
  assert.equal(median([900, 16, 17]), 17);
  assert.equal(median([18, 16, 17, 19]), 17.5);
});

test("a number lies within its range or is none", () => {
  assert.deepEqual([within(0, 0, 1), within(1, 0, 1), within(2, 0, 1), within(NaN, 0, 1)],
    [0, 1, null, null]);
});

test("settings are numbers, and blank ones are none", () => {
  assert.deepEqual(readSettings({
    blankMs: "250", minViewingMs: "0", viewingLimitMs: "", imageScale: "1.5", trialsPerBlock: "40",
  }), { blankMs: 250, minViewingMs: 0, viewingLimitMs: null, imageScale: 1.5, trialsPerBlock: 40 });
  assert.deepEqual(readSettings({ imageScale: "1,5" }), {
    blankMs: 500, minViewingMs: 0, viewingLimitMs: null, imageScale: null, trialsPerBlock: 0,
  });
});

test("a break stands between two blocks of main trials only", () => {
  const starts = (kind, perBlock) => [1, 2, 3, 4, 5].filter(
    (index) => isBlockStart({ kind, index }, perBlock),
  );
  assert.deepEqual(starts("main", 2), [3, 5]);
  assert.deepEqual(starts("main", 0), []);
  assert.deepEqual(starts("practice", 2), []);
});
