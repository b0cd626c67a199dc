const poll = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const votes = [];
let began = performance.now();

function draw(image, canvas) {
  if (!image.complete || !image.naturalWidth) return;
  const count = Number(image.dataset.frames);
  const [width, height] = [image.naturalWidth / count, image.naturalHeight];
  const k = Math.min(count - 1, Math.round(clock.t * (count - 1)));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width; canvas.height = height;
  }
  canvas.getContext("2d").drawImage(image, k * width, 0, width, height, 0, 0, width, height);
}

players.push(() => {
  const trial = poll.trials[votes.length];
  if (!trial) return;
  draw(at(`clip${trial[0]}`), at("left"));
  draw(at(`clip${trial[1]}`), at("right"));
});

function ask() {
  at("progress").textContent = `${votes.length + 1} of ${poll.trials.length}`;
  began = performance.now();
  clock.t = 0;
  show();
}

function finish() {
  const { schema, version, poll: name } = poll;
  const text = JSON.stringify({ schema, version, poll: name, votes }, null, 1);
  at("votes").value = text;
  at("save").href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  at("asking").classList.add("hidden");
  at("done").classList.remove("hidden");
}

function vote(choice) {
  if (votes.length >= poll.trials.length) return;
  const seconds = Math.round(performance.now() - began) / 1000;
  votes.push({ trial: votes.length, choice, seconds });
  if (votes.length < poll.trials.length) ask(); else finish();
}

document.querySelectorAll("[data-choice]").forEach((button) => {
  button.addEventListener("click", () => vote(button.dataset.choice));
});
document.addEventListener("keydown", (event) => {
  const keys = { 1: "left", 2: "neither", 3: "right" };
  if (keys[event.key]) vote(keys[event.key]);
  if (event.key === "Backspace" && votes.length && votes.length < poll.trials.length) {
    votes.pop();
    ask();
  }
});
controls();
window.addEventListener("load", ask);
