// Tensors to canvases.

/** Draws (3, S, S) in [-1, 1] on a canvas of S × S pixels; CSS makes it large. */
function drawPicture(canvas, values, side = Math.sqrt(values.length / 3)) {
  canvas.width = canvas.height = side;
  const pixels = new ImageData(side, side);
  const area = side * side;
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = (values[c * area + i] + 1) * 127.5; // a clamped array
    pixels.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

const RAMPS = Object.fromEntries(
  Object.entries(DATA.colours).map(([level, colour]) => [level, ["#10161c", colour, "#fffaf0"].map(toRgb)]),
);

function toRgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** Draws numbers in the colours of a level, dark where they are low. */
function drawMap(canvas, values, width, level) {
  canvas.width = width;
  canvas.height = values.length / width;
  const sorted = Float32Array.from(values).sort();
  const low = sorted[Math.floor(0.01 * sorted.length)];
  const range = sorted[Math.ceil(0.99 * (sorted.length - 1))] - low || 1;
  const pixels = new ImageData(canvas.width, canvas.height);
  values.forEach((value, i) => {
    const place = 2 * Math.min(Math.max((value - low) / range, 0), 1);
    const [from, to] = place < 1 ? RAMPS[level].slice(0, 2) : RAMPS[level].slice(1);
    const share = place < 1 ? place : place - 1;
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = from[c] + share * (to[c] - from[c]);
    pixels.data[4 * i + 3] = 255;
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** The channels of a map (C, S, S) that vary most over the picture. */
function lively(map, count) {
  const [, channels, height, width] = map.dims;
  const area = height * width;
  const spread = Array.from({ length: channels }, (_, channel) => {
    const values = map.data.subarray(channel * area, (channel + 1) * area);
    const mean = values.reduce((sum, value) => sum + value, 0) / area;
    return values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  });
  return [...spread.keys()].sort((a, b) => spread[b] - spread[a]).slice(0, count);
}

/** The pixels of an image in the page, RGBA. */
async function readPixels(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, SIDE, SIDE);
  return context.getImageData(0, 0, SIDE, SIDE).data;
}

/** RGBA pixels to (3, S, S) in [-1, 1]. */
function toTensor(pixels) {
  const area = pixels.length / 4;
  const values = new Float32Array(3 * area);
  for (let i = 0; i < area; i++) for (let c = 0; c < 3; c++) values[c * area + i] = pixels[4 * i + c] / 127.5 - 1;
  return values;
}
