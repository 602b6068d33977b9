import assert from "node:assert/strict";
import { test } from "node:test";

import { luminance, readLevel } from "../../../static/desk/js/grey.js";

test("black gives none of white's light, white all of it", () => {
  assert.equal(luminance(0), 0);
  assert.ok(Math.abs(luminance(255) - 1) < 1e-12);
});

test("the middle of the lightness scale gives 18 percent", () => {
  // CIELAB: L* = 49.6 at sRGB 118, so Y = ((49.6 + 16) / 116) ** 3.
  assert.ok(Math.abs(luminance(118) - ((49.6 + 16) / 116) ** 3) < 0.001);
});

test("only whole levels from 0 to 255 are levels", () => {
  assert.deepEqual(["0", " 117 ", "255"].map(readLevel), [0, 117, 255]);
  assert.deepEqual(["", "256", "-1", "1.5", "grey", "1e2"].map(readLevel), Array(6).fill(null));
});
