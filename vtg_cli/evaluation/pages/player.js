// Plays all strips of a page in step: one clock, a canvas for each strip.
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
const clock = { t: 0, playing: !reduced, last: 0, seconds: 1.6 };
const players = [];

function player(canvas, image) {
  const frames = Number(image.dataset.frames);
  const draw = () => {
    if (!image.complete || !image.naturalWidth) return;
    const width = image.naturalWidth / frames;
    if (canvas.width !== width) { canvas.width = width; canvas.height = image.naturalHeight; }
    const k = Math.min(frames - 1, Math.round(clock.t * (frames - 1)));
    canvas.getContext("2d").drawImage(
      image, k * width, 0, width, image.naturalHeight, 0, 0, width, image.naturalHeight);
    canvas.dataset.frame = k;
  };
  image.addEventListener("load", draw);
  players.push(draw);
  draw();
}

function show() {
  const slider = document.getElementById("time");
  if (slider) slider.value = clock.t;
  players.forEach((draw) => draw());
}

function tick(now) {
  if (clock.playing && clock.last) {
    clock.t += (now - clock.last) / 1000 / clock.seconds;
    if (clock.t > 1.25) clock.t = 0;  // rests on the last frame
    show();
  }
  clock.last = now;
  requestAnimationFrame(tick);
}

function controls() {
  const play = document.getElementById("play");
  const time = document.getElementById("time");
  const label = () => { play.textContent = clock.playing ? "Pause" : "Play"; };
  play.addEventListener("click", () => { clock.playing = !clock.playing; label(); });
  time.addEventListener("input", () => {
    clock.playing = false; clock.t = Number(time.value); label(); show();
  });
  label();
  requestAnimationFrame(tick);
}
