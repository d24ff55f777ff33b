// Mix: one head with some codes of another.

function startMix(heads) {
  const state = { person: 0, other: 1, chosen: Array(SHOWN).fill(false), alpha: 1 };
  state.chosen.fill(true, DATA.model.middle);

  const show = latest(async () => {
    const codes = mixCodes(heads[state.person], heads[state.other], state.chosen, state.alpha);
    const { picture } = await decode(codes);
    drawPicture(find("mix-picture"), picture.data);
    const taken = [...state.chosen.keys()].filter((style) => state.chosen[style]);
    const share = state.alpha === 1 ? "" : `, ${Math.round(100 * state.alpha)} % of the way`;
    find("mix-words").textContent = taken.length && state.alpha
      ? `${NAME} ${state.person} with codes ${inWords(taken)} of ${DATA.name} ${state.other}${share}.`
      : `${NAME} ${state.person} as its codes describe it: nothing is taken from ${DATA.name} ${state.other}.`;
    moved("mix", picture.data);
  });

  find("mix-person").append(headPicker("mix-person", state.person, (index) => ((state.person = index), show())));
  find("mix-other").append(headPicker("mix-other", state.other, (index) => ((state.other = index), show())));
  const set = squares(find("mix-codes"), SHOWN, state.chosen, show);
  const level = (wanted) => () => set(Array.from({ length: SHOWN }, (_, style) => wanted.includes(levelOf(style))));
  find("mix-levels").append(
    ...[["none", []], ["coarse", ["coarse"]], ["middle", ["middle"]], ["fine", ["fine"]], ["all", ["coarse", "middle", "fine"]]].map(
      ([name, wanted]) => make("button", { type: "button", onclick: level(wanted) }, name),
    ),
  );
  const alpha = (value) => ((state.alpha = value), show());
  find("mix-alpha").append(slider({ label: "how far", min: 0, max: 1, step: 0.05, value: 1, onmove: alpha }));
  return show();
}
