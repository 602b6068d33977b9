// What is recorded beside an answer. A measurement that cannot be right is left out: it must never
// cost the answer. No DOM.

const LONGEST_MS = 3_600_000;
const MOST_PIXELS = 100_000;

/** The middle one of some numbers, or null. */
export function median(numbers) {
  const sorted = [...numbers].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return null;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A number within its range, or null. */
export function within(number, least, most) {
  return Number.isFinite(number) && number >= least && number <= most ? number : null;
}

function whole(number, least, most) {
  return within(Math.round(number), least, most);
}

function readableTime(date) {
  const year = date.getUTCFullYear();
  return within(year, 1971, 2199) === null ? null : date.toISOString();
}

/**
 * The body of an answer. Only its side, its time and what it was given with are always there.
 *
 * @param {object} given `side`, `by`, and `responseMs` from the frame that showed the stimulus.
 * @param {object} measured Whatever the page knows of the circumstances.
 */
export function describeAnswer({ side, by, responseMs }, measured) {
  return {
    side,
    response_ms: Math.min(Math.max(Math.round(responseMs), 1), LONGEST_MS),
    input_method: by,
    shown_at: readableTime(measured.shownAt),
    image_load_ms: whole(measured.loadMs, 0, LONGEST_MS),
    image_decode_ms: whole(measured.decodeMs, 0, LONGEST_MS),
    frame_ms: within(Math.round(100 * measured.frameMs) / 100, 0.5, 1000),
    viewport_width: whole(measured.windowWidth, 1, MOST_PIXELS),
    viewport_height: whole(measured.windowHeight, 1, MOST_PIXELS),
    device_pixel_ratio: within(measured.pixelRatio, 0.05, 50),
    displayed_px: whole(measured.displayedWidth, 1, MOST_PIXELS),
    focus_lost: whole(measured.focusLost, 0, MOST_PIXELS),
  };
}

/** The study's settings, from the page's data attributes: numbers, or null where one is blank. */
export function readSettings(dataset) {
  const number = (name) => {
    const text = dataset[name] ?? "";
    return text.trim() === "" || !Number.isFinite(Number(text)) ? null : Number(text);
  };
  return {
    blankMs: number("blankMs") ?? 500,
    minViewingMs: number("minViewingMs") ?? 0,
    viewingLimitMs: number("viewingLimitMs"),
    imageScale: number("imageScale"),
    trialsPerBlock: number("trialsPerBlock") ?? 0,
  };
}

/** Whether a break belongs before a trial: between two blocks of main trials. */
export function isBlockStart({ kind, index }, trialsPerBlock) {
  return kind === "main" && trialsPerBlock > 0 && index > 1 && (index - 1) % trialsPerBlock === 0;
}
