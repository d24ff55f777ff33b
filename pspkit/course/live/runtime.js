// The networks in the page: unpacking what the file carries, and running one thing at a time.

const unpacked = new Map();

/** The bytes of a <script type="application/octet-stream"> block: base64 of gzip. */
async function unpack(id) {
  if (!unpacked.has(id)) {
    const block = document.getElementById(id);
    unpacked.set(id, inflate(block.textContent));
    block.remove(); // its text is no longer needed
  }
  return unpacked.get(id);
}

/** Base64 to bytes. Browsers before 2025 have no function for it; letter by letter it takes most of the start. */
function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

async function inflate(text) {
  const stream = new Blob([fromBase64(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function startRuntime() {
  ort.env.wasm.numThreads = 1; // several threads would need headers that only a server can send
  ort.env.wasm.wasmBinary = await unpack("ort-wasm");
  ort.env.logLevel = "error";
}

const networks = new Map();

/** A network by name; it is unpacked when it is first asked for. */
function network(name) {
  if (!networks.has(name)) {
    networks.set(name, unpack(`net-${name}`).then((bytes) => ort.InferenceSession.create(bytes)));
  }
  return networks.get(name);
}

let busy = Promise.resolve(); // a network runs alone: the runtime has one thread

/** Runs a network on a Float32Array; gives its outputs by name, as {data, dims}. */
function run(name, values, dims) {
  const turn = busy.then(async () => {
    const session = await network(name);
    const input = new ort.Tensor("float32", values, dims);
    return session.run({ [session.inputNames[0]]: input });
  });
  busy = turn.catch(() => {});
  return turn;
}

/** Wraps an async function so that of the calls that arrive while it works, only the last is done. */
function latest(work) {
  let waiting = null;
  let running = false;
  return async (...given) => {
    waiting = given;
    if (running) return;
    running = true;
    try {
      while (waiting) {
        const now = waiting;
        waiting = null;
        await work(...now);
        await new Promise(requestAnimationFrame); // lets the page draw and hear
      }
    } finally {
      running = false;
    }
  };
}
