import assert from "node:assert/strict";
import test from "node:test";

import { Course } from "../../../static/participation/js/course.js";

const trial = (id) => ({ id });
const state = (now, then, more = {}) => ({ trial: now, upcoming: then, done: null, ...more });

/** Whether a promise is still open once everything that can run has run. */
async function isOpen(promise) {
  const later = new Promise((resolve) => { setTimeout(resolve, 0, "open"); });
  return await Promise.race([promise.catch(() => {}), later]) === "open";
}

test("the next trial is the first that is not answered here", async () => {
  const waiting = new Set();
  const course = new Course((id) => waiting.has(id));
  course.learn(state(trial("1"), trial("2")));
  assert.equal((await course.next()).id, "1");
  waiting.add("1");
  assert.equal((await course.next()).id, "2");
  assert.deepEqual(course.ahead(), [trial("2")]);
});

test("with two answers on their way the page waits for the server", async () => {
  const waiting = new Set(["1", "2"]);
  const course = new Course((id) => waiting.has(id));
  course.learn(state(trial("1"), trial("2")));
  const next = course.next();
  assert.equal(await isOpen(next), true);
  waiting.delete("1");
  course.learn(state(trial("2"), trial("3")));
  assert.equal((await next).id, "3");
});

test("the end comes only from the server", async () => {
  const waiting = new Set(["1"]);
  const course = new Course((id) => waiting.has(id));
  course.learn(state(trial("1"), null));
  const next = course.next();
  assert.equal(await isOpen(next), true);
  waiting.clear();
  course.learn(state(null, null, { done: "/done" }));
  assert.equal(await next, null);
  assert.equal(course.done, "/done");
});

test("an acknowledgement brings what practice says, and only its own", async () => {
  const waiting = new Set(["1"]);
  const course = new Course((id) => waiting.has(id));
  const heard = course.acknowledged("1");
  assert.equal(await isOpen(heard), true);
  waiting.clear();
  course.learn(state(trial("2"), null, { feedback: "right" }));
  assert.equal(await heard, "right");
  course.learn(state(trial("3"), null));
  assert.equal(await course.acknowledged("2"), null);
});

test("a failure reaches whoever waits, now or later", async () => {
  const course = new Course(() => true);
  const next = course.next();
  course.fail(new Error("no"));
  await assert.rejects(next, /no/);
  await assert.rejects(course.acknowledged("1"), /no/);
});

test("a word on an answer is not waited for where the server wants another answer first", async () => {
  const waiting = new Set(["2"]);
  const course = new Course((id) => waiting.has(id));
  course.learn(state(trial("2"), trial("3")));
  const word = course.acknowledged("2");
  assert.equal(await isOpen(word), true);
  course.learn(state(trial("1"), trial("2")));
  assert.equal(await word, null);
  assert.equal((await course.next()).id, "1");
});
