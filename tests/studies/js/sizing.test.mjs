import assert from "node:assert/strict";
import test from "node:test";

import { partsOf, sizeOfSide } from "../../../static/participation/js/sizing.js";

const size = (values) => sizeOfSide({
  roomWidth: 1400, roomHeight: 700, sideWidth: 128, sideHeight: 128, rows: 1, gap: 40,
  pixelRatio: 1, ...values,
});

test("a large room gives the largest scale that still looks sharp", () => {
  assert.deepEqual(size({}), {
    scale: 4, deviceWidth: 512, deviceHeight: 512, width: 512, height: 512,
  });
});

test("the scale is whole where that costs little", () => {
  assert.equal(size({ sideWidth: 512, sideHeight: 512 }).scale, 1); // 1.33 would fit.
  assert.equal(size({ roomHeight: 420 }).scale, 3); // 3.28 would fit.
});

test("a small room is filled exactly", () => {
  const small = size({ roomWidth: 366, gap: 12, pixelRatio: 2 });
  assert.equal(small.width, 177);
  assert.equal(small.deviceWidth, 354);
  assert.equal(size({ sideWidth: 1024, sideHeight: 1024 }).width, 680);
});

test("the stimulus never leaves the room", () => {
  for (const roomWidth of [320, 390, 768, 1440, 2560]) {
    for (const roomHeight of [200, 431, 900, 1600]) {
      for (const pixelRatio of [1, 1.25, 1.5, 2, 3]) {
        for (const rows of [1, 2]) {
          const { width, height } = size({ roomWidth, roomHeight, pixelRatio, rows, gap: 20 });
          assert.ok(2 * width + 20 <= roomWidth + 2);
          assert.ok(rows * height + (rows - 1) * 20 <= roomHeight + 2);
        }
      }
    }
  }
});

test("a stated scale is kept, whatever else would fit", () => {
  for (const statedScale of [0.5, 1, 1.5, 3, 5]) {
    const { scale, deviceWidth } = size({ statedScale });
    assert.equal(scale, statedScale);
    assert.equal(deviceWidth, Math.round(128 * statedScale));
  }
  assert.equal(size({ statedScale: 2, pixelRatio: 2 }).width, 128);
});

test("where the stated scale does not fit, the largest whole one that does stands in", () => {
  assert.equal(size({ statedScale: 6 }).scale, 5); // 5.31 would fit.
  assert.equal(size({ statedScale: 2.5, roomHeight: 300 }).scale, 2);
  assert.equal(size({ statedScale: 2, roomHeight: 64 }).scale, 0.5); // No whole one fits.
});

test("a room of no size shows something rather than failing", () => {
  const { deviceWidth, deviceHeight } = size({ roomWidth: 0, roomHeight: 0 });
  assert.equal(deviceWidth, 1);
  assert.equal(deviceHeight, 1);
});

test("sides keep the proportions of the image", () => {
  const { width, height } = size({ sideWidth: 64, sideHeight: 128 });
  assert.equal(height, 2 * width);
});

test("parts lie side by side, below the reference if there is one", () => {
  assert.deepEqual(partsOf({ sideWidth: 128, sideHeight: 96, hasReference: false }),
    { left: [0, 0], right: [128, 0] });
  assert.deepEqual(partsOf({ sideWidth: 129, sideHeight: 96, hasReference: true }),
    { reference: [64, 0], left: [0, 96], right: [129, 96] });
});
