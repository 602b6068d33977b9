// Whether the trials can be shown in a window. No DOM; `screen.py` says the same on the server.

const ZOOM_LEVELS = [25, 30, 33, 50, 67, 75, 80, 90, 100, 110, 120, 125, 133, 150, 170, 175, 200,
  240, 250, 300, 400, 500];
const TOLERANCE = 0.025;

/** `phone` or `narrow` where they cannot, an empty text where they can. */
export function problemOf(measured, { minWindowPx, phoneBelowPx, arePhonesAllowed }) {
  const narrowestScreen = Math.min(measured.screen_width, measured.screen_height);
  if (!arePhonesAllowed && measured.is_touch && narrowestScreen < phoneBelowPx) return "phone";
  return measured.window_width < minWindowPx ? "narrow" : "";
}

/**
 * The zoom at which a browser shows pages, in percent, where it can be told: the outer width of a
 * window does not change with it, the inner one does. What is no level that browsers have comes
 * from a side panel or a scroll bar.
 */
export function estimateZoom({ outerWidth, innerWidth, isTouch }) {
  if (isTouch || !outerWidth || !innerWidth) return null;
  const percent = (100 * outerWidth) / innerWidth;
  const near = ZOOM_LEVELS.filter((level) => Math.abs(percent - level) <= TOLERANCE * level);
  const distance = (level) => Math.abs(percent - level);
  return near.sort((one, other) => distance(one) - distance(other))[0] ?? null;
}

/** A screen's size; some browsers hide it and say 0, and then the window stands in. */
export function sizeOfScreen({ screen, innerWidth, innerHeight }) {
  return {
    screen_width: screen.width || innerWidth, screen_height: screen.height || innerHeight,
  };
}
