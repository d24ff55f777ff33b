// Look inside: what was drawn last goes through pSp once more, and every step of the way is shown.

const inside = { from: null, step: 0, player: null, source: null, task: "encode" };

listeners.push((part, source, task) => {
  Object.assign(inside, { from: part, source, task });
  inside.show?.();
});

function startInside() {
  const steps = [...find("inside-way").children];
  const words = { mix: "the mix", walk: "the walk", draw: "your drawing" };

  inside.show = latest(async () => {
    if (!inside.visible) return;
    const { source, task, from } = inside;
    const start = performance.now();
    const encoded = await encode(task, source);
    const decoded = await decode(encoded.w_plus.data);
    const took = performance.now() - start;
    find("inside-from").textContent = `Shown: ${words[from]}. Encoder and decoder together took ${took.toFixed(0)} ms.`;
    showSource(source, task);
    for (const name of ["c0", "c1", "c2", "c3", "p2", "p1"]) showMaps(name, encoded[name]);
    showCodes(encoded.w_plus.data);
    showGrowth(decoded);
  });

  function showSource(source, task) {
    const canvas = find("inside-source");
    if (task === "encode") return drawPicture(canvas, source);
    const area = SIDE * SIDE;
    const shown = new Float32Array(3 * area);
    for (let i = 0; i < area; i++) {
      let colour = [source[i] * 255, source[i] * 255, source[i] * 255];
      if (task === "segmentation") colour = toRgb(`#${DATA.labels[DATA.labels.findIndex((_, n) => source[n * area + i])].colour}`);
      for (let c = 0; c < 3; c++) shown[c * area + i] = colour[c] / 127.5 - 1;
    }
    drawPicture(canvas, shown);
  }

  function showMaps(name, map) {
    const row = find(`inside-${name}`);
    const side = map.dims[3];
    const level = { c3: "coarse", p2: "middle", c2: "middle", p1: "fine", c1: "fine" }[name] ?? "plain";
    if (!row.channels) {
      row.channels = lively(map, +row.dataset.count); // chosen once, so that a channel keeps its place
      row.replaceChildren(...row.channels.map((channel) => make("canvas", { class: "map", role: "img", "aria-label": `${name}, channel ${channel}` })));
    }
    row.channels.forEach((channel, i) => drawMap(row.children[i], map.data.subarray(channel * side * side, (channel + 1) * side * side), side, level));
    find(`inside-${name}-size`).textContent = `${map.dims[1]} channels of ${side} × ${side}`;
  }

  function showCodes(codes) {
    const row = find("inside-codes");
    if (!row.children.length)
      for (let style = 0; style < STYLES; style++)
        row.append(make("figure", { class: levelOf(style) }, make("canvas", { class: "map", role: "img", "aria-label": `code ${style}` }), make("figcaption", {}, `${style}`)));
    for (let style = 0; style < STYLES; style++) {
      const offset = codes.slice(style * LENGTH, (style + 1) * LENGTH).map((value, i) => value - AVERAGE[style * LENGTH + i]);
      drawMap(row.children[style].firstChild, offset, Math.sqrt(LENGTH), levelOf(style));
    }
  }

  function showGrowth(decoded) {
    const row = find("inside-growth");
    const sides = Object.keys(decoded).filter((name) => name.startsWith("rgb")).map((name) => +name.slice(3)).sort((a, b) => a - b);
    if (!row.children.length)
      for (const side of [...sides, SIDE])
        row.append(make("figure", {}, make("canvas", { class: "map", role: "img", "aria-label": `the picture at ${side} pixels` }), make("figcaption", {}, `${side} px`)));
    sides.forEach((side, i) => drawPicture(row.children[i].firstChild, decoded[`rgb${side}`].data, side));
    drawPicture(row.children[sides.length].firstChild, decoded.picture.data);
  }

  function go(step) {
    inside.step = (step + steps.length) % steps.length;
    steps.forEach((item, index) => {
      item.classList.toggle("now", index === inside.step);
      item.toggleAttribute("aria-current", index === inside.step);
    });
    find("inside-words").textContent = steps[inside.step].dataset.words;
  }

  function stop() {
    clearInterval(inside.player);
    inside.player = null;
    find("inside-play").textContent = "▶ Play";
  }

  function play() {
    stop();
    go(0);
    find("inside-play").textContent = "❚❚ Pause";
    inside.player = setInterval(() => (inside.step + 1 < steps.length ? go(inside.step + 1) : stop()), 2600);
  }

  find("inside-play").addEventListener("click", () => (inside.player ? stop() : play()));
  find("inside-next").addEventListener("click", () => (stop(), go(inside.step + 1)));
  find("inside-before").addEventListener("click", () => (stop(), go(inside.step - 1)));
  steps.forEach((item, index) => item.addEventListener("click", () => (stop(), go(index))));
  go(0);

  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let played = still; // the way is shown once by itself, unless motion is unwelcome
  new IntersectionObserver(([entry]) => {
    inside.visible = entry.isIntersecting;
    if (!inside.visible) return;
    inside.show();
    if (!played) play();
    played = true;
  }, { threshold: 0.15 }).observe(find("inside"));
}
