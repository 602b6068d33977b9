// The answers that the server has not acknowledged yet, kept across a reload. No DOM.

/** A browser's storage, or null where it is forbidden: then the page's memory has to do. */
export function openStorage(owner) {
  try {
    return owner.localStorage;
  } catch {
    return null;
  }
}

export class Outbox {
  /** Each answer has a place of its own under `prefix`, so no tab overwrites what another wrote. */
  constructor(storage, prefix) {
    this.storage = storage;
    this.prefix = prefix;
    this.entries = this.#stored();
    this.unsaved = new Set();
  }

  /** Keep the answer to the trial `id`, to be sent to `address` after those before it. */
  add(id, address, answer) {
    const entry = { id, address, answer, order: (this.entries[this.entries.length - 1]?.order ?? 0) + 1 };
    this.entries.push(entry);
    try {
      this.storage.setItem(this.prefix + id, JSON.stringify(entry));
    } catch {
      this.unsaved.add(id); // Full or forbidden.
    }
  }

  first() {
    return this.entries[0] ?? null;
  }

  holds(id) {
    return this.entries.some((entry) => entry.id === id);
  }

  remove(id) {
    this.entries = this.entries.filter((entry) => entry.id !== id);
    this.unsaved.delete(id);
    try {
      this.storage.removeItem(this.prefix + id);
    } catch { /* Nothing is stored then. */ }
  }

  /** Whether every answer that waits would outlive this page. */
  isSafe() {
    return this.unsaved.size === 0;
  }

  #stored() {
    try {
      const names = Array.from({ length: this.storage.length }, (_, i) => this.storage.key(i));
      return names.filter((name) => name.startsWith(this.prefix))
        .map((name) => readEntry(this.storage.getItem(name)))
        .filter((entry) => entry !== null)
        .sort((one, other) => one.order - other.order);
    } catch {
      return [];
    }
  }
}

function readEntry(text) {
  try {
    const entry = JSON.parse(text);
    return entry.id && entry.address && entry.answer ? entry : null;
  } catch {
    return null;
  }
}
