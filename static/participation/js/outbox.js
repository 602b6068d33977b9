// The one answer that the server has not acknowledged yet, kept across a reload. No DOM.

export class Outbox {
  /** `storage` is localStorage or its like; where it is forbidden, memory has to do. */
  constructor(storage, name) {
    this.storage = storage;
    this.name = name;
    this.kept = null;
  }

  keep(address, answer) {
    this.kept = { address, answer };
    try {
      this.storage.setItem(this.name, JSON.stringify(this.kept));
    } catch { /* Full or forbidden: the page still holds it. */ }
  }

  waiting() {
    if (this.kept) return this.kept;
    try {
      const stored = JSON.parse(this.storage.getItem(this.name));
      return stored?.address && stored?.answer ? stored : null;
    } catch {
      return null;
    }
  }

  clear() {
    this.kept = null;
    try {
      this.storage.removeItem(this.name);
    } catch { /* As above. */ }
  }
}
