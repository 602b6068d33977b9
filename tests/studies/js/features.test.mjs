import assert from "node:assert/strict";
import test from "node:test";

import { hasAllFeatures } from "../../../static/participation/js/features.js";

const modern = {
  BroadcastChannel() {}, AbortSignal: { timeout() {} }, createImageBitmap() {},
};

test("a browser that lacks one thing that the trials use is too old", () => {
  assert.equal(hasAllFeatures(modern), true);
  for (const name of Object.keys(modern)) {
    assert.equal(hasAllFeatures({ ...modern, [name]: undefined }), false);
  }
  assert.equal(hasAllFeatures({ ...modern, AbortSignal: {} }), false);
});
