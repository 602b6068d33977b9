import assert from "node:assert/strict";
import { test } from "node:test";

import { estimateZoom, problemOf, sizeOfScreen } from "../../../static/participation/js/windows.js";

const DESKTOP = { window_width: 1280, screen_width: 1920, screen_height: 1080, is_touch: false };
const PHONE = { window_width: 844, screen_width: 390, screen_height: 844, is_touch: true };
const LIMITS = { minWindowPx: 800, phoneBelowPx: 600, arePhonesAllowed: true };

test("a window fits from the narrowest allowed one on", () => {
  assert.equal(problemOf({ ...DESKTOP, window_width: 800 }, LIMITS), "");
  assert.equal(problemOf({ ...DESKTOP, window_width: 799 }, LIMITS), "narrow");
});

test("a phone is a touch screen with a short side, and may be allowed", () => {
  const refused = { ...LIMITS, arePhonesAllowed: false };
  assert.equal(problemOf(PHONE, LIMITS), "");
  assert.equal(problemOf(PHONE, refused), "phone");
  assert.equal(problemOf({ ...PHONE, screen_width: 600 }, refused), "");
  assert.equal(problemOf({ ...PHONE, is_touch: false }, refused), "");
});

test("zoom is the nearest level that browsers have", () => {
  const zoom = (outerWidth, innerWidth) => estimateZoom({ outerWidth, innerWidth, isTouch: false });
  assert.equal(zoom(1280, 1280), 100);
  assert.equal(zoom(1280, 1265), 100);
  assert.equal(zoom(1280, 1024), 125);
  assert.equal(zoom(1280, 1422), 90);
});

test("zoom stays unknown where nothing tells it", () => {
  assert.equal(estimateZoom({ outerWidth: 1280, innerWidth: 900, isTouch: false }), null);
  assert.equal(estimateZoom({ outerWidth: 0, innerWidth: 900, isTouch: false }), null);
  assert.equal(estimateZoom({ outerWidth: 390, innerWidth: 390, isTouch: true }), null);
});

test("the window stands in for a screen whose size is hidden", () => {
  const inner = { innerWidth: 1280, innerHeight: 800 };
  assert.deepEqual(sizeOfScreen({ ...inner, screen: { width: 1920, height: 1080 } }),
    { screen_width: 1920, screen_height: 1080 });
  assert.deepEqual(sizeOfScreen({ ...inner, screen: { width: 0, height: 0 } }),
    { screen_width: 1280, screen_height: 800 });
});
