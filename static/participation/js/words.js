// The one line of words below the images. It is silent while nothing keeps the participant waiting.

const SLOW_MS = 1500; // From here on, waiting needs a word.

export class Words {
  constructor(page) {
    this.messages = [...page.querySelectorAll("[data-message]")];
    this.troubles = new Set();
    this.isWaiting = false;
    this.isSlow = false;
    this.noted = null;
  }

  /** Say one of the page's messages and nothing else; null for none. */
  say(name) {
    for (const message of this.messages) message.hidden = message.dataset.message !== name;
  }

  /** What to say while nothing keeps the participant waiting. */
  note(name) {
    this.noted = name;
    this.#update();
  }

  /** Wait for something on the participant's behalf, with a word where it takes long. */
  async patiently(awaited) {
    const timer = setTimeout(() => { this.isSlow = true; this.#update(); }, SLOW_MS);
    this.isWaiting = true;
    this.#update();
    try {
      return await awaited;
    } finally {
      clearTimeout(timer);
      this.isWaiting = this.isSlow = false;
      this.#update();
    }
  }

  /** What to call when one thing fails, and when it works again. */
  trouble() {
    const trouble = {};
    return {
      onInterrupted: () => { this.troubles.add(trouble); this.#update(); },
      onRestored: () => { this.troubles.delete(trouble); this.#update(); },
    };
  }

  #update() {
    if (!this.isWaiting) this.say(this.noted);
    else if (this.troubles.size > 0) this.say("interrupted");
    else this.say(this.isSlow ? "loading" : null);
  }
}
