// One trial's stimulus: one file, decoded once and cut into its parts before any is shown. The cut
// is exact: when scaled, no part takes colour from its neighbour, as one cropped by CSS does.

import { partsOf } from "./sizing.js";
import { fetchImage } from "./transport.js";

export async function loadStimulus(trial) {
  const askedAt = performance.now();
  const blob = await fetchImage(trial.stimulus);
  const loadedAt = performance.now();
  const { side_width: sideWidth, side_height: sideHeight } = trial;
  const places = partsOf({ sideWidth, sideHeight, hasReference: trial.task === "similarity" });
  const sheet = await createImageBitmap(blob);
  const cut = ([left, top]) => createImageBitmap(sheet, left, top, sideWidth, sideHeight);
  const bitmaps = await Promise.all(Object.values(places).map(cut));
  sheet.close();
  return {
    parts: Object.fromEntries(Object.keys(places).map((name, i) => [name, bitmaps[i]])),
    loadMs: loadedAt - askedAt,
    decodeMs: performance.now() - loadedAt,
  };
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
