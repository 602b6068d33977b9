// Emptying the outbox: one answer at a time, in order, each until the server acknowledges it.
// No DOM.

import { Refusal, isSettled, isWorthKeeping } from "./retry.js";

export class Sender {
  /**
   * @param {object} parts
   * @param {Outbox} parts.outbox
   * @param {function} parts.post Sends one entry until it works; returns the state that follows.
   * @param {function} parts.ask Fetches the state until it works.
   * @param {function} parts.onState Called with each state, once its answer has left the outbox.
   */
  constructor({ outbox, post, ask, onState }) {
    Object.assign(this, { outbox, post, ask, onState, isDraining: false });
  }

  /** Send all that waits. A call while another is at work leaves it to that one. */
  async drain() {
    if (this.isDraining) return;
    this.isDraining = true;
    try {
      for (let entry = this.outbox.first(); entry; entry = this.outbox.first()) {
        const state = await this.#deliver(entry);
        this.outbox.remove(entry.id);
        this.onState(state);
      }
    } finally {
      this.isDraining = false;
    }
  }

  async #deliver(entry) {
    try {
      return await this.post(entry);
    } catch (error) {
      if (!(error instanceof Refusal) || isWorthKeeping(error.status)) throw error;
      try {
        // Otherwise the trial would come back in silence, again and again.
        if (!isSettled(error.status)) throw error;
        return await this.ask();
      } finally {
        // What the server will never take must not be sent again by each reload.
        this.outbox.remove(entry.id);
      }
    }
  }
}
