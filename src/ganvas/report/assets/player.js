// The sample grids under their slider: dragged, stepped by arrow keys, or played.
(() => {
  "use strict";
  const MILLISECONDS = 180;
  for (const player of document.querySelectorAll(".player")) {
    const slider = player.querySelector("input");
    if (!slider) continue;
    const image = player.querySelector("img"), label = player.querySelector("output");
    const button = player.querySelector("button");
    const { labels, frames } = JSON.parse(player.querySelector("script").textContent);
    frames.push(image.src); // the last one is the image shown at first
    const last = frames.length - 1;
    let timer = null;

    const show = (i) => {
      const at = Math.min(last, Math.max(0, i));
      slider.value = at;
      slider.setAttribute("aria-valuetext", labels[at]);
      image.src = frames[at];
      image.alt = "Grid of generated images, " + labels[at];
      label.textContent = labels[at];
    };
    const stop = () => {
      window.clearInterval(timer);
      timer = null;
      button.textContent = "Play";
    };
    const next = () => {
      show(Number(slider.value) + 1);
      if (Number(slider.value) === last) stop();
    };
    button.addEventListener("click", () => {
      if (timer !== null) return stop();
      if (Number(slider.value) === last) show(0);
      button.textContent = "Pause";
      timer = window.setInterval(next, MILLISECONDS);
    });
    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    document.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const elsewhere = event.target.closest(".plot, input, pre, th");
      if (!by || elsewhere || event.altKey || event.ctrlKey || event.metaKey) return; // a slider moves itself
      event.preventDefault();
      stop();
      show(Number(slider.value) + by);
    });
  }
})();
