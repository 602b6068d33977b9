// How large one side of a stimulus is shown. No DOM.

// A source pixel larger than this shows its own blur instead of the image.
const LARGEST_SCALE = 4;
// A whole scale keeps every image pixel alike, but may cost at most this share of the size.
const WHOLE_SCALE_COST = 0.25;

/**
 * The size of one side in CSS pixels and in device pixels. It has the scale that the study states;
 * without one, or where that does not fit, it is as large as the room allows at a whole number of
 * device pixels per image pixel; where that would cost too much, as large as it can be.
 *
 * @param {object} request
 * @param {number} request.roomWidth For the whole stimulus, CSS pixels.
 * @param {number} request.roomHeight
 * @param {number} request.sideWidth Of one side, image pixels.
 * @param {number} request.sideHeight
 * @param {number} request.rows 2 with a reference above, else 1.
 * @param {number} request.gap Between sides and rows, CSS pixels.
 * @param {number} request.pixelRatio Device pixels per CSS pixel.
 * @param {?number} request.statedScale Device pixels per image pixel; null for none.
 */
export function sizeOfSide({
  roomWidth, roomHeight, sideWidth, sideHeight, rows, gap, pixelRatio, statedScale = null,
}) {
  const widest = (roomWidth - gap) / 2;
  const highest = (roomHeight - (rows - 1) * gap) / rows;
  const fitting = Math.min(widest / sideWidth, highest / sideHeight) * pixelRatio;
  const scale = scaleFor({ fitting, pixelRatio, statedScale });
  const deviceWidth = Math.max(1, Math.round(sideWidth * scale));
  const deviceHeight = Math.max(1, Math.round(sideHeight * scale));
  return {
    scale,
    deviceWidth,
    deviceHeight,
    width: deviceWidth / pixelRatio,
    height: deviceHeight / pixelRatio,
  };
}

function scaleFor({ fitting, pixelRatio, statedScale }) {
  // Rounding errors must not cost a whole step: 2.9999999 device pixels are 3.
  const fits = (scale) => scale <= fitting + 1e-6;
  if (statedScale !== null) {
    const whole = Math.floor(fitting + 1e-6);
    if (fits(statedScale)) return statedScale;
    return whole >= 1 ? whole : fitting;
  }
  const largest = Math.min(fitting, LARGEST_SCALE * pixelRatio);
  const whole = Math.floor(largest + 1e-6);
  return whole >= largest * (1 - WHOLE_SCALE_COST) ? whole : largest;
}

/** Where the parts of a stimulus file lie in it, image pixels. */
export function partsOf({ sideWidth, sideHeight, hasReference }) {
  const top = hasReference ? sideHeight : 0;
  const parts = { left: [0, top], right: [sideWidth, top] };
  return hasReference ? { reference: [Math.floor(sideWidth / 2), 0], ...parts } : parts;
}
