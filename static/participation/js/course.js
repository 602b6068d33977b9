// What the page knows of the way ahead: the trials that the server named last, less those that
// are answered already but not acknowledged yet. No DOM.

export class Course {
  /** `holds(id)` says whether the answer to a trial still waits to be sent. */
  constructor(holds) {
    this.holds = holds;
    this.known = [];
    this.done = null;
    this.feedback = null;
    this.failure = null;
    this.waiting = [];
  }

  /** Take over what the server says: this trial, the one after it, or where the way leads. */
  learn({ trial, upcoming, done, feedback = null }) {
    this.known = [trial, upcoming].filter(Boolean);
    Object.assign(this, { done, feedback });
    this.#wake();
  }

  fail(error) {
    this.failure = error;
    this.#wake();
  }

  /** The trials to be shown next, at most two. */
  ahead() {
    return this.known.filter(({ id }) => !this.holds(id));
  }

  /** The trial to show now, once it is known; null at the end of the way. */
  async next() {
    await this.#until(() => this.ahead().length > 0 || this.done);
    return this.ahead()[0] ?? null;
  }

  /** Wait until the server has the answer, or wants another first; return what it says to it. */
  async acknowledged(id) {
    const isWantedFirst = (trial) => trial !== undefined && !this.holds(trial.id);
    await this.#until(() => !this.holds(id) || isWantedFirst(this.known[0]));
    return this.feedback;
  }

  async #until(isSo) {
    while (!isSo() && !this.failure) {
      await new Promise((resolve) => { this.waiting.push(resolve); });
    }
    if (this.failure) throw this.failure;
  }

  #wake() {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
