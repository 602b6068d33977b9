// The answers that the server has not acknowledged yet, kept across a reload. No DOM.

const MORE_THAN_ANY_INDEX = 1_000_000;

/** A browser's storage, or null where it is forbidden: then the page's memory has to do. */
export function openStorage(owner) {
  try {
    return owner.localStorage;
  } catch {
    return null;
  }
}

/** Where a trial's answer belongs among the others: practice comes before the rest. */
export function orderOf({ kind, index }) {
  return (kind === "practice" ? 0 : MORE_THAN_ANY_INDEX) + index;
}

export class Outbox {
  /** Each answer has a place of its own under `prefix`, so no tab overwrites what another wrote. */
  constructor(storage, prefix) {
    Object.assign(this, { storage, prefix, entries: [], unsaved: new Set(), removed: new Set() });
    this.#reread();
  }

  /** Keep the answer to the trial `id`, to be sent to `address` in the trials' order. */
  add(id, address, answer, { order }) {
    this.#reread();
    if (this.holds(id)) return; // It was answered in another tab before.
    const entry = { id, address, answer, order };
    this.#merge([entry]);
    try {
      this.storage.setItem(this.prefix + id, JSON.stringify(entry));
    } catch {
      this.unsaved.add(id); // Full or forbidden.
    }
  }

  first() {
    this.#reread();
    return this.entries[0] ?? null;
  }

  holds(id) {
    return this.entries.some((entry) => entry.id === id);
  }

  remove(id) {
    this.entries = this.entries.filter((entry) => entry.id !== id);
    this.unsaved.delete(id);
    this.removed.add(id);
    try {
      this.storage.removeItem(this.prefix + id);
    } catch { /* Nothing is stored then. */ }
  }

  /** Whether every answer that waits would outlive this page. */
  isSafe() {
    return this.unsaved.size === 0;
  }

  /** Take in what another tab stored meanwhile. What it removed stays until this one is told. */
  #reread() {
    this.#merge(this.#stored().filter(({ id }) => !this.holds(id) && !this.removed.has(id)));
  }

  #merge(entries) {
    this.entries = [...this.entries, ...entries].sort((one, other) => one.order - other.order);
  }

  #stored() {
    try {
      const names = Array.from({ length: this.storage.length }, (_, i) => this.storage.key(i));
      return names.filter((name) => name.startsWith(this.prefix))
        .map((name) => readEntry(this.storage.getItem(name)))
        .filter((entry) => entry !== null);
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
