import assert from "node:assert/strict";
import test from "node:test";

import { nextDelay } from "../../../static/desk/js/delays.js";

const waiting = { isSettled: false, isConnected: false, isHidden: false };

test("polls while the socket is away, and seldom while it notifies", () => {
  assert.equal(nextDelay(waiting), 3000);
  assert.equal(nextDelay({ ...waiting, isConnected: true }), 10000);
});

test("asks no more where nothing will change, or nobody looks", () => {
  assert.equal(nextDelay({ ...waiting, isSettled: true }), null);
  assert.equal(nextDelay({ ...waiting, isHidden: true }), null);
});
