document.querySelectorAll(".row").forEach((row) => {
  player(row.querySelector("canvas"), row.querySelector("img.strip"));
});
controls();
document.querySelectorAll("select.sort").forEach((select) => {
  select.addEventListener("change", () => {
    const list = document.getElementById(select.dataset.list);
    const of = (article) => JSON.parse(article.dataset.scores)[select.value] ?? 0;
    [...list.children].sort((a, b) => of(b) - of(a)).forEach((each) => list.append(each));
  });
});
