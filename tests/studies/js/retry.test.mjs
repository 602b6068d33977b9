import assert from "node:assert/strict";
import test from "node:test";

import {
  Refusal, delayBefore, isOutOfTurn, isPassing, isSettled, isWorthKeeping, untilItWorks,
} from "../../../static/participation/js/retry.js";

test("delays double up to ten seconds, never under half", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 9].map((attempt) => delayBefore(attempt, () => 1)),
    [400, 800, 1600, 3200, 6400, 10000, 10000]);
  assert.equal(delayBefore(3, () => 0), 800);
});

test("busy and broken servers are asked again, refusals are not", () => {
  for (const status of [408, 429, 500, 502, 503]) assert.equal(isPassing(status), true);
  for (const status of [400, 403, 404, 409, 413]) assert.equal(isPassing(status), false);
});

test("only what is answered or unknown is settled, and only an old page's answer is kept", () => {
  const settled = [400, 403, 404, 409, 413].filter((status) => isSettled({ status, settled: true }));
  assert.deepEqual(settled, [404, 409]);
  assert.deepEqual([400, 403, 404, 409, 413].filter(isWorthKeeping), [403]);
});

test("a refused answer is settled unless the server says that it has none", () => {
  assert.equal(isSettled(new Refusal(409, "no")), true);
  assert.equal(isOutOfTurn(new Refusal(409, "no")), false);
  assert.equal(isSettled(new Refusal(409, "no", false)), false);
  assert.equal(isOutOfTurn(new Refusal(409, "no", false)), true);
});

function failing(times, error = new TypeError("network")) {
  let calls = 0;
  return async () => {
    calls += 1;
    if (calls <= times) throw error;
    return calls;
  };
}

function listener() {
  const said = [];
  return {
    said,
    wait: async (milliseconds) => { said.push(milliseconds > 0 ? "wait" : "now"); },
    onInterrupted: () => { said.push("interrupted"); },
    onRestored: () => { said.push("restored"); },
  };
}

test("an action is tried until it works, and the participant hears of it", async () => {
  const heard = listener();
  assert.equal(await untilItWorks(failing(2), heard), 3);
  assert.deepEqual(heard.said, ["interrupted", "wait", "interrupted", "wait", "restored"]);
});

test("nothing is said when it works at once", async () => {
  const heard = listener();
  await untilItWorks(failing(0), heard);
  assert.deepEqual(heard.said, []);
});

test("a refusal ends it", async () => {
  const refused = untilItWorks(failing(9, new Refusal(409, "no")), listener());
  await assert.rejects(refused, (error) => error.status === 409 && error.message === "no");
});
