// The luminance of a level of grey from 0 to 255, as a fraction of white's (IEC 61966-2-1, sRGB).
export function luminance(level) {
  const signal = level / 255;
  return signal <= 0.04045 ? signal / 12.92 : ((signal + 0.055) / 1.055) ** 2.4;
}

// The level as a whole number, or null where the text is not one of them.
export function readLevel(text) {
  return /^\d{1,3}$/.test(text.trim()) && Number(text) <= 255 ? Number(text) : null;
}
