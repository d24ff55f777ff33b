// Walk: a head, moved along directions that were found from heads which differ in one thing alone.

function startWalk(heads) {
  const ways = DATA.directions.map((direction) => ({ ...direction, way: floats(direction.way), step: 0 }));
  const state = { name: `${DATA.name} 3`, start: heads[3], truncation: 1 };

  const show = latest(async (restarted) => {
    if (restarted) drawPicture(find("walk-start"), (await decode(state.start)).picture.data);
    const { picture } = await decode(walkCodes(state.start, ways, state.truncation));
    drawPicture(find("walk-picture"), picture.data);
    const steps = ways.filter(({ step }) => step).map(({ low, high, step }) => `${step > 0 ? high : low} by ${Math.abs(step).toFixed(2)}`);
    find("walk-words").textContent = `${state.name}: ${steps.join(", ") || "no step yet"}.`.replace(/^./, (letter) => letter.toUpperCase());
    moved("walk", picture.data);
  });

  const begin = (name, codes) => {
    Object.assign(state, { name, start: codes });
    return show(true);
  };
  const picker = headPicker("walk-head", 3, (index) => begin(`${DATA.name} ${index}`, heads[index]));
  find("walk-heads").append(picker);
  const sliders = ways.map((way) =>
    slider({ label: way.name, hint: `${way.low} ↔ ${way.high}`, min: -1.5, max: 1.5, step: 0.05, value: 0,
             onmove: (step) => ((way.step = step), show()) }),
  );
  const pull = slider({ label: "truncation", hint: `0: the average ${DATA.name} ↔ 1: this one`, min: 0, max: 1, step: 0.05, value: 1,
                        onmove: (value) => ((state.truncation = value), show()) });
  find("walk-sliders").append(...sliders, pull);
  find("walk-new").addEventListener("click", async () => {
    picker.clear();
    await begin("somebody who does not exist", await invent());
  });
  find("walk-back").addEventListener("click", () => {
    ways.forEach((way, index) => ((way.step = 0), sliders[index].set(0)));
    pull.set((state.truncation = 1));
    show();
  });
  return show(true);
}
