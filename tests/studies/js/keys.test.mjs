import assert from "node:assert/strict";
import test from "node:test";

import { isForStimulus, sideOfKey } from "../../../static/participation/js/keys.js";

const key = (name, values = {}) => ({
  key: name, code: "", repeat: false, altKey: false, ctrlKey: false, metaKey: false,
  shiftKey: false, ...values,
});

test("arrows and letters mean a side", () => {
  for (const name of ["ArrowLeft", "f", "F"]) assert.equal(sideOfKey(key(name)), "left");
  for (const name of ["ArrowRight", "j", "J"]) assert.equal(sideOfKey(key(name)), "right");
});

test("every other key means nothing", () => {
  for (const name of ["a", "ArrowUp", "Enter", " ", "Tab", "Dead", "Unidentified", "1"]) {
    assert.equal(sideOfKey(key(name)), null);
  }
});

test("held keys and shortcuts mean nothing", () => {
  for (const name of ["repeat", "altKey", "ctrlKey", "metaKey", "shiftKey"]) {
    assert.equal(sideOfKey(key("f", { [name]: true })), null);
  }
});

test("a keyboard without Latin letters answers by the key's place", () => {
  assert.equal(sideOfKey(key("а", { code: "KeyF" })), "left");
  assert.equal(sideOfKey(key("о", { code: "KeyJ" })), "right");
});

test("a Latin letter counts as printed, wherever it lies", () => {
  assert.equal(sideOfKey(key("u", { code: "KeyF" })), null);
  assert.equal(sideOfKey(key("f", { code: "KeyY" })), "left");
});

test("a press counts only if it began after the paint", () => {
  assert.equal(isForStimulus({ paintedAt: null, pressedAt: null, timeStamp: 5 }), false);
  assert.equal(isForStimulus({ paintedAt: 10, pressedAt: null, timeStamp: 9 }), false);
  assert.equal(isForStimulus({ paintedAt: 10, pressedAt: 9, timeStamp: 30 }), false);
  assert.equal(isForStimulus({ paintedAt: 10, pressedAt: 20, timeStamp: 30 }), true);
  assert.equal(isForStimulus({ paintedAt: 10, pressedAt: null, timeStamp: 30 }), true);
});
