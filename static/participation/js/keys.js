// Which side a key or a press means, and whether it counts. No DOM.

const SIDES = new Map([
  ["ArrowLeft", "left"], ["f", "left"], ["KeyF", "left"],
  ["ArrowRight", "right"], ["j", "right"], ["KeyJ", "right"],
]);

/** The side that a keydown event means, or null. */
export function sideOfKey({ key, code, repeat, altKey, ctrlKey, metaKey, shiftKey }) {
  if (repeat || altKey || ctrlKey || metaKey || shiftKey) return null;
  if (key.startsWith("Arrow")) return SIDES.get(key) ?? null;
  // The letter as printed; on keyboards without Latin letters, the key's place.
  return SIDES.get(/^[a-z]$/i.test(key) ? key.toLowerCase() : code) ?? null;
}

/**
 * Whether a press belongs to the stimulus on show. It must have begun after the paint, even
 * where its click ends later: a button held down since before is an answer to nothing.
 * `pressedAt` is null for a click without a press, as assistive technology sends it.
 */
export function isForStimulus({ paintedAt, pressedAt, timeStamp }) {
  return paintedAt !== null && Math.min(pressedAt ?? timeStamp, timeStamp) > paintedAt;
}
