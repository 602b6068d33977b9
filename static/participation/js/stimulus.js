// One trial's stimulus: one file, decoded once and cut into its parts before any is shown. The cut
// is exact: when scaled, no part takes colour from its neighbour, as one cropped by CSS does.

import { Refusal } from "./retry.js";
import { partsOf } from "./sizing.js";
import { fetchImage } from "./transport.js";

const DECODE_TRIES = 3;

/** Load one. A file that arrived broken is loaded anew, but not for ever. */
export async function loadStimulus(trial) {
  for (let attempt = 1; ; attempt += 1) {
    const askedAt = performance.now();
    const blob = await fetchImage(trial.stimulus, { cache: attempt === 1 ? "default" : "reload" });
    const loadedAt = performance.now();
    try {
      const parts = await cut(blob, trial);
      return { parts, loadMs: loadedAt - askedAt, decodeMs: performance.now() - loadedAt };
    } catch (error) {
      if (attempt === DECODE_TRIES) throw new Refusal(null, String(error));
    }
  }
}

async function cut(blob, { task, side_width: sideWidth, side_height: sideHeight }) {
  const places = partsOf({ sideWidth, sideHeight, hasReference: task === "similarity" });
  const sheet = await createImageBitmap(blob);
  const bitmaps = await Promise.all(Object.values(places).map(
    ([left, top]) => createImageBitmap(sheet, left, top, sideWidth, sideHeight),
  ));
  sheet.close();
  return Object.fromEntries(Object.keys(places).map((name, i) => [name, bitmaps[i]]));
}

/** Draw every part; the caller runs this in one frame. */
export function drawParts(parts, canvases) {
  for (const [name, bitmap] of Object.entries(parts)) {
    const canvas = canvases[name];
    const context = canvas.getContext("2d", { alpha: false });
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  }
}

/** The stimuli that are wanted, each loaded once, ahead of its trial. */
export class Stimuli {
  /** `load` fetches and decodes one, as often as it takes. */
  constructor(load) {
    this.load = load;
    this.loads = new Map();
  }

  of(trial) {
    if (!this.loads.has(trial.id)) {
      const load = this.load(trial);
      load.catch(() => {}); // What goes wrong matters when the stimulus is needed.
      this.loads.set(trial.id, load);
    }
    return this.loads.get(trial.id);
  }

  /** Let go of every other one: decoded images are large. */
  keepOnly(trials) {
    for (const [id, load] of this.loads) {
      if (trials.some((trial) => trial.id === id)) continue;
      this.loads.delete(id);
      load.then(closeParts, () => {});
    }
  }
}

function closeParts({ parts }) {
  for (const bitmap of Object.values(parts)) bitmap.close();
}
