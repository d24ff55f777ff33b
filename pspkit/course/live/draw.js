// Draw: a label map or a sketch by mouse, finger or keyboard, and the face that follows from it.

function startDraw() {
  const PAPER = 255;
  const canvas = find("draw-canvas");
  const state = { kind: "segmentation", head: 0, sheet: null, before: [], colour: 13, width: 3, fill: false, cursor: [32, 20] };
  const palette = DATA.labels.map(({ colour }) => toRgb(`#${colour}`));
  const ofLabels = () => state.kind === "segmentation";

  const follow = latest(async () => {
    const area = SIDE * SIDE;
    const source = new Float32Array(ofLabels() ? DATA.labels.length * area : area);
    state.sheet.forEach((value, i) => {
      if (ofLabels()) source[value * area + i] = 1;
      else source[i] = value / 255;
    });
    const encoded = await encode(state.kind, source);
    const { picture } = await decode(encoded.w_plus.data);
    drawPicture(find("draw-picture"), picture.data);
    find("draw-words").textContent = describe();
    moved("draw", source, state.kind);
  });

  function describe() {
    const start = state.head === null ? "an empty sheet" : `head ${state.head}`;
    const marks = `${state.before.length} ${state.before.length === 1 ? "change" : "changes"}`;
    if (!ofLabels()) {
      const ink = state.sheet.filter((grey) => grey < 128).length / state.sheet.length;
      return `A sketch from ${start} with ${marks}, ${Math.round(100 * ink)} % of it ink, and the face that it becomes.`;
    }
    const counts = DATA.labels.map((_, number) => state.sheet.filter((value) => value === number).length);
    const most = [...counts.keys()].filter((number) => counts[number]).sort((a, b) => counts[b] - counts[a]).slice(0, 4);
    const named = most.map((number) => `${DATA.labels[number].title} ${Math.round((100 * counts[number]) / state.sheet.length)} %`);
    return `A label map from ${start} with ${marks}: ${named.join(", ")}; and the face that it becomes.`;
  }

  function showSheet() {
    canvas.width = canvas.height = SIDE;
    const pixels = new ImageData(SIDE, SIDE);
    state.sheet.forEach((value, i) => {
      const colour = ofLabels() ? palette[value] : [value, value, value];
      pixels.data.set([...colour, 255], 4 * i);
    });
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    const [x, y] = state.cursor;
    const share = 100 / SIDE;
    const width = state.fill ? 1 : state.width;
    Object.assign(find("draw-cursor").style, {
      left: `${share * (x + 0.5 - width / 2)}%`, top: `${share * (y + 0.5 - width / 2)}%`,
      width: `${share * width}%`, height: `${share * width}%`,
    });
    find("draw-undo").disabled = !state.before.length;
  }

  async function begin(head) {
    state.head = head;
    state.before = [];
    if (head === null) state.sheet = new Uint8Array(SIDE * SIDE).fill(ofLabels() ? 0 : PAPER);
    else {
      const pixels = await readPixels(DATA.heads[head][ofLabels() ? "labels" : "sketch"]);
      state.sheet = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => pixels[4 * i]);
    }
    showSheet();
    return follow();
  }

  function stamp(x, y) {
    const radius = state.width / 2;
    for (let row = Math.floor(y - radius); row <= y + radius; row++)
      for (let column = Math.floor(x - radius); column <= x + radius; column++)
        if (row >= 0 && row < SIDE && column >= 0 && column < SIDE && (row - y) ** 2 + (column - x) ** 2 <= radius ** 2)
          state.sheet[row * SIDE + column] = state.colour;
  }

  function pour(x, y) {
    const old = state.sheet[y * SIDE + x];
    if (old === state.colour) return;
    const left = [[x, y]];
    while (left.length) {
      const [column, row] = left.pop();
      if (column < 0 || row < 0 || column >= SIDE || row >= SIDE || state.sheet[row * SIDE + column] !== old) continue;
      state.sheet[row * SIDE + column] = state.colour;
      left.push([column - 1, row], [column + 1, row], [column, row - 1], [column, row + 1]);
    }
  }

  /** Applies the tool from the last place to a new one; a stroke has no gaps. */
  function apply(x, y, from = null) {
    state.cursor = [x, y];
    if (state.fill) pour(x, y);
    else {
      const [fromX, fromY] = from ?? [x, y];
      const steps = Math.max(Math.abs(x - fromX), Math.abs(y - fromY), 1);
      for (let i = 0; i <= steps; i++) stamp(fromX + ((x - fromX) * i) / steps, fromY + ((y - fromY) * i) / steps);
    }
    showSheet();
    follow();
  }

  function remember() {
    state.before.push(state.sheet.slice());
    if (state.before.length > 50) state.before.shift();
  }

  const placeOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((at) =>
      Math.min(Math.max(Math.floor((at / box.width) * SIDE), 0), SIDE - 1),
    );
  };
  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    remember();
    last = placeOf(event);
    apply(...last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last || state.fill) return;
    const place = placeOf(event);
    apply(...place, last);
    last = place;
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (last = null));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) state.cursor = state.cursor.map((at, i) => Math.min(Math.max(at + step[i] * (event.shiftKey ? 8 : 1), 0), SIDE - 1));
    else if (event.key === " " || event.key === "Enter") {
      remember();
      apply(...state.cursor);
    } else return;
    event.preventDefault();
    showSheet();
  });

  function showPens() {
    const pens = ofLabels()
      ? DATA.labels.map(({ title, colour }, number) => ({ title, colour: `#${colour}`, number }))
      : [{ title: "ink", colour: "#000000", number: 0 }, { title: "paper", colour: "#ffffff", number: PAPER }];
    if (!pens.some(({ number }) => number === state.colour)) state.colour = pens[0].number;
    find("draw-pens").replaceChildren(
      ...pens.map(({ title, colour, number }) => {
        const input = make("input", { type: "radio", name: "draw-pen", value: number, onchange: () => (state.colour = number) });
        input.checked = number === state.colour;
        return make("label", { class: "pen" }, input, make("span", { class: "swatch", style: `background:${colour}` }), title);
      }),
    );
  }

  function choose(kind) {
    state.kind = kind;
    state.colour = ofLabels() ? 13 : 0;
    width.set((state.width = ofLabels() ? 5 : 2));
    showPens();
    return begin(state.head);
  }

  const width = slider({ label: "brush", min: 1, max: 16, step: 1, value: 5, onmove: (value) => ((state.width = value), showSheet()) });
  find("draw-width").append(width);
  for (const input of document.getElementsByName("draw-kind")) input.addEventListener("change", () => choose(input.value));
  for (const input of document.getElementsByName("draw-tool"))
    input.addEventListener("change", () => ((state.fill = input.value === "fill"), showSheet()));
  find("draw-heads").append(headPicker("draw-head", 0, begin));
  find("draw-empty").addEventListener("click", () => {
    find("draw-heads").firstElementChild.clear();
    begin(null);
  });
  find("draw-undo").addEventListener("click", () => {
    state.sheet = state.before.pop();
    showSheet();
    follow();
  });
  return choose("segmentation");
}
