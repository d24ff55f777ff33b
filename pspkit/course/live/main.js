// Starts the page: the runtime, the heads' codes, then its parts in the order in which a reader meets them.

function say(text) {
  find("status").textContent = text;
}

async function start() {
  const begun = performance.now();
  say("Unpacking the networks …");
  await startRuntime();
  const heads = [];
  for (const head of DATA.heads) heads.push(head.w ? spread(floats(head.w)) : await encodePicture(head.picture));
  await startMix(heads);
  document.body.dataset.state = "ready";
  say(`The model runs in this page; it was ready after ${((performance.now() - begun) / 1000).toFixed(1)} s. Nothing is sent anywhere.`);
  await startWalk(heads);
  if (find("inside")) startInside();
  if (find("draw")) await startDraw();
  document.body.dataset.state = "complete";
}

start().catch((error) => {
  document.body.dataset.state = "failed";
  say(`The model could not be started here: ${error.message}. A browser of the last two years is needed, with WebAssembly.`);
  throw error;
});
