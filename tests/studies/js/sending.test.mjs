import assert from "node:assert/strict";
import test from "node:test";

import { Outbox } from "../../../static/participation/js/outbox.js";
import { Refusal } from "../../../static/participation/js/retry.js";
import { Sender } from "../../../static/participation/js/sending.js";

/** A sender whose server answers with what `reply(id)` returns or throws. */
function senderTo(reply, ids = ["1", "2"], ask = async () => "asked") {
  const outbox = new Outbox(null, "a:");
  for (const id of ids) outbox.add(id, `/${id}/answer`, { side: "left" }, { order: Number(id) });
  const sent = [];
  const states = [];
  const dropped = [];
  const sender = new Sender({
    outbox,
    post: async ({ id }) => { sent.push(id); return reply(id); },
    ask,
    onDrop: () => dropped.push(sent[sent.length - 1]),
    onState: (state) => states.push(state),
  });
  return { sender, outbox, sent, states, dropped };
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
      outbox.add("2", "/2/answer", { side: "left" }, { order: 2 });
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
  const { sender, outbox, dropped } = senderTo(() => { throw new Refusal(400, "no"); });
  await assert.rejects(sender.drain(), { status: 400 });
  assert.deepEqual(dropped, ["1"]);
  assert.deepEqual(outbox.entries.map(({ id }) => id), ["2"]);
});

test("answers that a newer page may still send stay", async () => {
  const { sender, outbox, dropped } = senderTo(() => { throw new Refusal(403, "old"); });
  await assert.rejects(sender.drain(), { status: 403 });
  assert.deepEqual(dropped, []);
  assert.equal(outbox.entries.length, 2);
});

/** A server that wants the answers to trials 1 to 3 in that order. */
function orderly() {
  const answered = [];
  const state = () => {
    const wanted = answered.length + 1;
    return { trial: wanted > 3 ? null : { id: `${wanted}` }, done: wanted > 3 ? "/done" : null };
  };
  const reply = (id) => {
    if (id !== state().trial?.id) throw new Refusal(409, "not yet", false);
    answered.push(id);
    return state();
  };
  return { answered, state, reply };
}

test("an answer before its turn is kept, and follows the one that the server wants", async () => {
  const server = orderly();
  const { sender, outbox, states } = senderTo(server.reply, ["2"], async () => server.state());
  await sender.drain();
  assert.deepEqual(states, [{ trial: { id: "1" }, done: null }]);
  assert.equal(outbox.holds("2"), true);
  server.reply("1"); // From elsewhere.
  await sender.drain();
  assert.deepEqual(server.answered, ["1", "2"]);
  assert.equal(outbox.first(), null);
});

test("an answer whose turn comes while the server is asked is sent again", async () => {
  const server = orderly();
  const { sender, outbox } = senderTo(server.reply, ["2"], async () => {
    server.reply("1");
    return server.state();
  });
  await sender.drain();
  assert.deepEqual(server.answered, ["1", "2"]);
  assert.equal(outbox.first(), null);
});

test("an answer before its turn leaves once the server wants no more", async () => {
  const done = { trial: null, done: "/done" };
  const { sender, outbox, states } = senderTo(
    () => { throw new Refusal(409, "not yet", false); }, ["2"], async () => done,
  );
  await sender.drain();
  assert.deepEqual(states, [done]);
  assert.equal(outbox.first(), null);
});

test("an answer that is refused in its own turn is kept, and said", async () => {
  const { sender, outbox } = senderTo(
    () => { throw new Refusal(409, "not yet", false); }, ["2"],
    async () => ({ trial: { id: "2" }, done: null }),
  );
  await assert.rejects(sender.drain(), { status: 409 });
  assert.equal(outbox.holds("2"), true);
});
