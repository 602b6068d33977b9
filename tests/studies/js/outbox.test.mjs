import assert from "node:assert/strict";
import test from "node:test";

import { Outbox, openStorage, orderOf } from "../../../static/participation/js/outbox.js";

class Storage extends Map {
  get length() { return this.size; }
  key(index) { return [...this.keys()][index]; }
  getItem(name) { return this.get(name) ?? null; }
  setItem(name, text) { this.set(name, text); }
  removeItem(name) { this.delete(name); }
}

const left = { side: "left" };
const right = { side: "right" };

test("answers outlive the page, in their order, until each is removed", () => {
  const storage = new Storage([["other", "x"]]);
  const page = new Outbox(storage, "a:");
  page.add("2", "/2/answer", left, { order: 1 });
  page.add("1", "/1/answer", right, { order: 2 });
  const reloaded = new Outbox(storage, "a:");
  assert.deepEqual(reloaded.entries.map(({ id, address, answer }) => [id, address, answer]),
    [["2", "/2/answer", left], ["1", "/1/answer", right]]);
  reloaded.remove("2");
  assert.equal(reloaded.first().id, "1");
  reloaded.add("3", "/3/answer", left, { order: 3 });
  assert.deepEqual(new Outbox(storage, "a:").entries.map(({ id }) => id), ["1", "3"]);
  assert.equal(storage.get("other"), "x");
});

test("another participant's answers are not touched", () => {
  const storage = new Storage();
  new Outbox(storage, "a:").add("1", "/1/answer", left, { order: 1 });
  assert.equal(new Outbox(storage, "b:").first(), null);
});

test("two tabs do not overwrite each other's answers", () => {
  const storage = new Storage();
  const [one, other] = [new Outbox(storage, "a:"), new Outbox(storage, "a:")];
  one.add("1", "/1/answer", left, { order: 1 });
  other.add("2", "/2/answer", left, { order: 2 });
  one.remove("1");
  assert.deepEqual(new Outbox(storage, "a:").entries.map(({ id }) => id), ["2"]);
});

test("without storage the page itself keeps the answers, and knows that they are not safe", () => {
  const forbidden = { setItem() { throw new Error("full"); }, removeItem() { throw new Error(); } };
  for (const storage of [null, forbidden]) {
    const outbox = new Outbox(storage, "a:");
    assert.equal(outbox.isSafe(), true);
    outbox.add("1", "/1/answer", right, { order: 1 });
    assert.equal(outbox.holds("1"), true);
    assert.equal(outbox.isSafe(), false);
    outbox.remove("1");
    assert.equal(outbox.holds("1"), false);
    assert.equal(outbox.isSafe(), true);
  }
  assert.equal(openStorage({ get localStorage() { throw new Error("forbidden"); } }), null);
});

test("what is no answer is ignored", () => {
  const storage = new Storage([["a:1", "{\"address\": 1"], ["a:2", "{}"], ["a:3", "null"]]);
  assert.equal(new Outbox(storage, "a:").first(), null);
});

test("what another tab stored meanwhile is sent in the trials' order, and counts first", () => {
  const storage = new Storage();
  const [older, newer] = [new Outbox(storage, "a:"), new Outbox(storage, "a:")];
  newer.add("2", "/2/answer", left, { order: 2 });
  older.add("1", "/1/answer", left, { order: 1 });
  newer.add("1", "/1/answer", right, { order: 1 });
  assert.deepEqual(newer.entries.map(({ id, answer }) => [id, answer]), [["1", left], ["2", left]]);
  assert.deepEqual(newer.entries, new Outbox(storage, "a:").entries);
});

test("what another tab has sent stays until this one hears of it", () => {
  const storage = new Storage();
  const [older, newer] = [new Outbox(storage, "a:"), new Outbox(storage, "a:")];
  newer.add("1", "/1/answer", left, { order: 1 });
  assert.equal(older.first().id, "1");
  older.remove("1");
  assert.equal(newer.first().id, "1");
  newer.remove("1");
  assert.equal(newer.first(), null);
});

test("practice comes before the trials that count", () => {
  const trials = [["main", 1], ["practice", 3], ["main", 2], ["practice", 1]]
    .map(([kind, index]) => ({ kind, index }));
  trials.sort((one, other) => orderOf(one) - orderOf(other));
  assert.deepEqual(trials.map(({ kind, index }) => `${kind} ${index}`),
    ["practice 1", "practice 3", "main 1", "main 2"]);
});
