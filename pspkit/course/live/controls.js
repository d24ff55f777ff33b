// Controls that the parts share. What they show is also in words, for those who do not see them.

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function find(id) {
  return document.getElementById(id);
}

const listeners = [];

/** Tells who listens what a part has just drawn: a picture, or what an encoder of drawings gets. */
function moved(part, source, task = "encode") {
  for (const listener of listeners) listener(part, source, task);
}

/** A labelled slider with its number beside it. Calls onmove(value). */
function slider({ label, hint, min, max, step, value, onmove }) {
  const digits = (value) => value.toFixed(step < 1 ? 2 : 0);
  const number = make("output", {}, digits(value));
  const input = make("input", { type: "range", min, max, step, value, "aria-label": hint ? `${label}: ${hint}` : label });
  const show = () => (number.textContent = digits(+input.value));
  input.addEventListener("input", () => {
    show();
    onmove(+input.value);
  });
  const row = make("label", { class: "slider" }, make("span", {}, label), input, number);
  if (hint) row.append(make("small", {}, hint));
  row.set = (to) => {
    input.value = to;
    show();
  };
  return row;
}

/** A row of heads of which one is chosen, as radio buttons: arrow keys move the choice. Calls onchoose(index). */
function headPicker(name, chosen, onchoose) {
  const row = make("div", { class: "heads" });
  DATA.heads.forEach((head, index) => {
    const input = make("input", { type: "radio", name, value: index, onchange: () => onchoose(index) });
    input.checked = index === chosen;
    row.append(make("label", {}, input, make("img", { src: head.picture, alt: `${DATA.name} ${index}: ${head.words}` })));
  });
  row.clear = () => row.querySelectorAll("input").forEach((input) => (input.checked = false));
  return row;
}

/** Buttons side by side of which any number is pressed. Tab enters and leaves, arrow keys move, a drag presses many. */
function squares(row, count, pressed, onchange) {
  const buttons = Array.from({ length: count }, (_, style) => {
    const level = levelOf(style);
    const title = `code ${style}, ${level}`;
    return make("button", { type: "button", class: `square ${level}`, title, "aria-label": title, tabindex: style ? -1 : 0 }, `${style}`);
  });
  let painting = null;
  const show = () => buttons.forEach((button, style) => button.setAttribute("aria-pressed", pressed[style]));
  const set = (style, value) => {
    if (pressed[style] === value) return;
    pressed[style] = value;
    show();
    onchange();
  };
  row.addEventListener("pointerdown", (event) => {
    const style = buttons.indexOf(event.target);
    if (style < 0) return;
    painting = !pressed[style];
    event.target.releasePointerCapture(event.pointerId);
    set(style, painting);
  });
  row.addEventListener("pointermove", (event) => {
    if (painting === null) return;
    const style = buttons.indexOf(document.elementFromPoint(event.clientX, event.clientY));
    if (style >= 0) set(style, painting);
  });
  addEventListener("pointerup", () => (painting = null));
  row.addEventListener("click", (event) => {
    const style = buttons.indexOf(event.target);
    if (style >= 0 && event.detail === 0) set(style, !pressed[style]); // by keyboard; a pointer has set it already
  });
  row.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const from = buttons.indexOf(document.activeElement);
    const to = buttons[(from + step + count) % count];
    buttons.forEach((button) => (button.tabIndex = button === to ? 0 : -1));
    to.focus();
    event.preventDefault();
  });
  row.append(...buttons);
  show();
  return (values) => {
    values.forEach((value, style) => (pressed[style] = value));
    show();
    onchange();
  };
}

/** Numbers as people say them: 0, 1, 4 to 6. */
function inWords(numbers) {
  const spans = [];
  for (const number of numbers) {
    const last = spans[spans.length - 1];
    if (last && last[1] === number - 1) last[1] = number;
    else spans.push([number, number]);
  }
  return spans.map(([from, to]) => (from === to ? `${from}` : `${from} to ${to}`)).join(", ");
}
