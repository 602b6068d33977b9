// Whether a browser can show the trials: some load modules, but lack what these use. No DOM.

/** `scope` is the browser's global object. */
export function hasAllFeatures(scope) {
  return Boolean(scope.BroadcastChannel && scope.AbortSignal?.timeout && scope.createImageBitmap);
}
