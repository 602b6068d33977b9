// Emptying the outbox: one answer at a time, in order, each until the server acknowledges it.
// No DOM.

import { Refusal, isOutOfTurn, isSettled, isWorthKeeping } from "./retry.js";

export class Sender {
  /**
   * @param {object} parts
   * @param {Outbox} parts.outbox
   * @param {function} parts.post Sends one entry until it works; returns the state that follows.
   * @param {function} parts.ask Fetches the state until it works.
   * @param {function} parts.onDrop Called where the server refuses an answer for good.
   * @param {function} parts.onState Called with each state, once its answer has left the outbox.
   */
  constructor({ outbox, post, ask, onDrop, onState }) {
    Object.assign(this, { outbox, post, ask, onDrop, onState, isDraining: false });
  }

  /** Send all that waits. A call while another is at work leaves it to that one. */
  async drain() {
    if (this.isDraining) return;
    this.isDraining = true;
    try {
      for (let entry = this.outbox.first(); entry; entry = this.outbox.first()) {
        const state = await this.#deliver(entry);
        this.onState(state);
        // Before its turn: it follows the answer to the trial that is shown now.
        if (this.outbox.holds(entry.id)) return;
      }
    } finally {
      this.isDraining = false;
    }
  }

  /** Send one; what the server has, or will never take, leaves the outbox. */
  async #deliver(entry) {
    try {
      const state = await this.post(entry);
      this.outbox.remove(entry.id);
      return state;
    } catch (error) {
      if (!(error instanceof Refusal) || isWorthKeeping(error.status)) throw error;
      if (isOutOfTurn(error)) return this.#awaitTurn(entry);
      // What the server will never take must not be sent again by each reload, nor may its trial
      // come back in silence, again and again.
      if (!isSettled(error)) {
        this.outbox.remove(entry.id);
        this.onDrop();
        throw error;
      }
      try {
        return await this.ask();
      } finally {
        this.outbox.remove(entry.id);
      }
    }
  }

  async #awaitTurn(entry) {
    let state = await this.ask();
    // Its turn has come meanwhile. If it is refused still, this page cannot mend it.
    if (state.trial?.id === entry.id) state = await this.post(entry);
    else if (!state.done) return state;
    this.outbox.remove(entry.id);
    return state;
  }
}
