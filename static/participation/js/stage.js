// Where a trial stands on the page: the images, how large they are, and the progress above them.

import { sizeOfSide } from "./sizing.js";
import { drawParts } from "./stimulus.js";

export class Stage {
  constructor(page, { statedScale }) {
    this.page = page;
    this.statedScale = statedScale;
    this.canvases = Object.fromEntries(
      [...page.querySelectorAll("canvas")].map((canvas) => [canvas.dataset.canvas, canvas]),
    );
    this.shown = null; // The trial whose images stand here, with their parts.
    this.standIn = null; // What stands here in place of images.
    this.width = null; // Of one side, CSS pixels.
    window.addEventListener("resize", () => this.#fit());
  }

  part(name) {
    return this.page.querySelector(`[data-part="${name}"]`);
  }

  set state(name) {
    this.page.dataset.state = name;
  }

  /** Draw a trial; the caller runs this in one frame. */
  draw(trial, { parts }) {
    this.shown = { trial, parts };
    this.#fit();
    this.#showProgress(trial);
    this.state = "shown";
  }

  clear() {
    this.state = "blank";
    this.shown = null;
    this.standIn = null;
    for (const each of this.page.querySelectorAll(".interlude")) each.hidden = true;
  }

  #fit() {
    if (!this.shown) return;
    const { trial, parts } = this.shown;
    const room = this.part("room");
    const gap = Number.parseFloat(getComputedStyle(room).columnGap);
    const size = sizeOfSide({
      roomWidth: room.clientWidth,
      roomHeight: room.clientHeight - this.part("hint").offsetHeight - gap,
      sideWidth: trial.side_width,
      sideHeight: trial.side_height,
      rows: trial.task === "similarity" ? 2 : 1,
      gap,
      pixelRatio: window.devicePixelRatio,
      statedScale: this.statedScale,
    });
    this.width = size.width;
    for (const canvas of Object.values(this.canvases)) {
      // Setting a canvas's size clears it, so only where it changes.
      if (canvas.width !== size.deviceWidth) canvas.width = size.deviceWidth;
      if (canvas.height !== size.deviceHeight) canvas.height = size.deviceHeight;
      canvas.style.width = `${size.width}px`;
      canvas.style.height = `${size.height}px`;
    }
    drawParts(parts, this.canvases);
  }

  #showProgress({ kind, index, total }) {
    const label = kind === "practice" ? this.part("practice") : this.part("main");
    for (const each of [this.part("practice"), this.part("main")]) each.hidden = each !== label;
    this.#write("index", index);
    this.#advance(index - 1, total);
  }

  #advance(numDone, total) {
    this.#write("total", total);
    Object.assign(this.part("progress"), { max: total, value: numDone });
  }

  /** Say something in place of the images, until its button is pressed. */
  interlude(name, { numDone = null, total = null } = {}) {
    const section = this.part(name);
    if (numDone !== null) {
      this.#write("done", numDone);
      this.#advance(numDone, total);
    }
    const button = section.querySelector("button");
    return this.#standIn(section, () => {
      button.focus();
      return new Promise((resolve) => { button.addEventListener("click", resolve, { once: true }); });
    });
  }

  /** Say how a practice trial was answered, until `over` resolves. */
  feedback(verdict, over) {
    return this.#standIn(this.page.querySelector(`[data-feedback="${verdict}"]`), () => over);
  }

  async #standIn(element, until) {
    const focused = document.activeElement;
    this.state = "interlude";
    this.standIn = element;
    element.hidden = false;
    await until();
    element.hidden = true;
    if (this.standIn !== element) return; // Another took the page meanwhile.
    this.standIn = null;
    this.state = "blank";
    focused?.focus(); // What is hidden loses it.
  }

  #write(name, text) {
    for (const each of this.page.querySelectorAll(`[data-part="${name}"]`)) each.textContent = text;
  }
}
