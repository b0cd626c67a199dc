const images = [document.getElementById("a"), document.getElementById("b")];
const at = (id) => document.getElementById(id);
const [split, gain] = [at("split"), at("gain")];

function frame(image, canvas, part = [0, 1]) {
  const count = Number(image.dataset.frames);
  const [width, height] = [image.naturalWidth / count, image.naturalHeight];
  const k = Math.min(count - 1, Math.round(clock.t * (count - 1)));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width; canvas.height = height;
  }
  const [from, to] = part.map((share) => Math.round(share * width));
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  if (to > from) pen.drawImage(image, k * width + from, 0, to - from, height, from, 0, to - from, height);
  return pen;
}

function draw() {
  if (images.some((image) => !image.complete || !image.naturalWidth)) return;
  const share = Number(split.value);
  frame(images[0], at("wipe"), [0, share]);
  const pen = frame(images[1], at("wipe"), [share, 1]);
  pen.fillStyle = "#fff";
  pen.fillRect(Math.round(share * pen.canvas.width) - 1, 0, 2, pen.canvas.height);
  const [a, b] = [frame(images[0], at("left")), frame(images[1], at("right"))];
  const canvas = at("difference");
  const c = frame(images[1], canvas);
  const size = [0, 0, canvas.width, canvas.height];
  const [p, q, out] = [a.getImageData(...size), b.getImageData(...size), c.getImageData(...size)];
  let sum = 0;
  for (let i = 0; i < out.data.length; i++) {
    if (i % 4 === 3) continue;
    const apart = Math.abs(p.data[i] - q.data[i]);
    sum += apart;
    out.data[i] = apart * Number(gain.value);
  }
  c.putImageData(out, 0, 0);
  at("mean").textContent = (sum / (out.data.length * 0.75)).toFixed(2);
  at("times").textContent = gain.value;
}

players.push(draw);
images.forEach((image) => image.addEventListener("load", draw));
[split, gain].forEach((input) => input.addEventListener("input", draw));
controls();
draw();
