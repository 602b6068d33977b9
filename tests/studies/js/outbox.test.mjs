import assert from "node:assert/strict";
import test from "node:test";

import { Outbox } from "../../../static/participation/js/outbox.js";

class Storage extends Map {
  getItem(name) { return this.get(name) ?? null; }
  setItem(name, text) { this.set(name, text); }
  removeItem(name) { this.delete(name); }
}

const forbidden = {
  getItem() { throw new Error("forbidden"); },
  setItem() { throw new Error("forbidden"); },
  removeItem() { throw new Error("forbidden"); },
};

test("an answer outlives the page until it is cleared", () => {
  const storage = new Storage();
  new Outbox(storage, "a").keep("/answer", { side: "left" });
  assert.deepEqual(new Outbox(storage, "a").waiting(),
    { address: "/answer", answer: { side: "left" } });
  assert.equal(new Outbox(storage, "b").waiting(), null);
  new Outbox(storage, "a").clear();
  assert.equal(new Outbox(storage, "a").waiting(), null);
});

test("without storage the page itself keeps the answer", () => {
  const outbox = new Outbox(forbidden, "a");
  outbox.keep("/answer", { side: "right" });
  assert.equal(outbox.waiting().answer.side, "right");
  outbox.clear();
  assert.equal(outbox.waiting(), null);
});

test("what is no answer is ignored", () => {
  const storage = new Storage([["a", "{\"address\": 1"], ["b", "{}"], ["c", "null"]]);
  for (const name of ["a", "b", "c"]) assert.equal(new Outbox(storage, name).waiting(), null);
});
