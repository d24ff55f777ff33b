// pSp: pictures to codes, codes to codes, codes to pictures. Codes are Float32Arrays of STYLES × LENGTH numbers.

const { styles: STYLES, shown: SHOWN, length: LENGTH, side: SIDE } = DATA.model;
const NAME = DATA.name.replace(/^./, (letter) => letter.toUpperCase()); // of one of the pictures: a head, a face
const AVERAGE = floats(DATA.average);

/** Numbers in half precision, base64, as a Float32Array. */
function floats(text) {
  return Float32Array.from(new Uint16Array(fromBase64(text).buffer), fromHalf);
}

function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The part of pSp's pyramid that a code reads: coarse c3, middle p2, fine p1. */
function levelOf(style) {
  return style < DATA.model.coarse ? "coarse" : style < DATA.model.middle ? "middle" : "fine";
}

async function encode(task, source) {
  const channels = source.length / (SIDE * SIDE);
  return run(task, source, [1, channels, SIDE, SIDE]);
}

/** The codes of a picture that is in the page. */
async function encodePicture(picture) {
  const { w_plus } = await encode("encode", toTensor(await readPixels(picture)));
  return w_plus.data;
}

/** One w for every style. */
function spread(w) {
  return Float32Array.from({ length: STYLES * LENGTH }, (_, i) => w[i % LENGTH]);
}

async function decode(codes) {
  return run("decoder", codes, [1, STYLES, LENGTH]);
}

/** Codes of a person who does not exist: a random z through the mapping network, pulled towards the average. */
async function invent(truncation = 0.8) {
  const z = Float32Array.from({ length: LENGTH }, normal);
  const { w } = await run("mapping", z, [1, LENGTH]);
  return AVERAGE.map((average, i) => average + truncation * (w.data[i % LENGTH] - average));
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

/** first, with the chosen codes moved towards those of second. */
function mixCodes(first, second, chosen, alpha) {
  return first.map((value, i) => (chosen[Math.floor(i / LENGTH)] ? value + alpha * (second[i] - value) : value));
}

/** Codes pulled to the average, then moved along directions. */
function walkCodes(start, steps, truncation) {
  const codes = start.map((value, i) => AVERAGE[i] + truncation * (value - AVERAGE[i]));
  for (const { way, step } of steps) {
    if (step) way.forEach((length, i) => (codes[i] += step * length));
  }
  return codes;
}
