import assert from "node:assert/strict";
import test from "node:test";

import { Outbox } from "../../../static/participation/js/outbox.js";
import { Refusal } from "../../../static/participation/js/retry.js";
import { Sender } from "../../../static/participation/js/sending.js";

/** A sender whose server answers with what `reply(id)` returns or throws. */
function senderTo(reply, ids = ["1", "2"]) {
  const outbox = new Outbox(null, "a:");
  for (const id of ids) outbox.add(id, `/${id}/answer`, { side: "left" });
  const sent = [];
  const states = [];
  const sender = new Sender({
    outbox,
    post: async ({ id }) => { sent.push(id); return reply(id); },
    ask: async () => "asked",
    onState: (state) => states.push(state),
  });
  return { sender, outbox, sent, states };
}

test("answers are sent one by one, and leave the outbox once acknowledged", async () => {
  const held = [];
  const { sender, outbox, sent, states } = senderTo((id) => {
    held.push(outbox.entries.length);
    return `after ${id}`;
  });
  await sender.drain();
  assert.deepEqual(sent, ["1", "2"]);
  assert.deepEqual(held, [2, 1]);
  assert.deepEqual(states, ["after 1", "after 2"]);
  assert.equal(outbox.first(), null);
});

test("what is added while another is sent goes with the same run, and only once", async () => {
  const { sender, outbox, sent } = senderTo((id) => {
    if (id === "1") {
      outbox.add("2", "/2/answer", { side: "left" });
      sender.drain();
    }
  }, ["1"]);
  await sender.drain();
  assert.deepEqual(sent, ["1", "2"]);
});

test("an answer that is settled otherwise leaves, and the server is asked where the way is", async () => {
  for (const status of [404, 409]) {
    const { sender, outbox, states } = senderTo((id) => {
      if (id === "1") throw new Refusal(status, "no");
      return "after 2";
    });
    await sender.drain();
    assert.deepEqual(states, ["asked", "after 2"]);
    assert.equal(outbox.first(), null);
  }
});

test("an answer that can never be taken leaves, and is said", async () => {
  const { sender, outbox } = senderTo(() => { throw new Refusal(400, "no"); });
  await assert.rejects(sender.drain(), { status: 400 });
  assert.deepEqual(outbox.entries.map(({ id }) => id), ["2"]);
});

test("answers that a newer page may still send stay", async () => {
  const { sender, outbox } = senderTo(() => { throw new Refusal(403, "old"); });
  await assert.rejects(sender.drain(), { status: 403 });
  assert.equal(outbox.entries.length, 2);
});
