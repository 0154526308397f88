// Charts read point by point: under the pointer, under a finger, or by the arrow keys.
(() => {
  "use strict";
  const words = (value) => {
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(2);
    return value.toLocaleString("en-US", { maximumSignificantDigits: size >= 1000 ? 6 : 4 });
  };
  const nearest = (xs, x) => {
    let low = 0, high = xs.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] <= x) low = middle; else high = middle;
    }
    return x - xs[low] <= xs[high] - x ? low : high;
  };
  const element = (name, kind, parent) => {
    const made = document.createElement(name);
    made.className = kind;
    parent.append(made);
    return made;
  };

  for (const figure of document.querySelectorAll(".chart")) {
    const plot = figure.querySelector(".plot"), area = figure.querySelector(".area");
    const chart = JSON.parse(figure.querySelector("script").textContent);
    const lines = chart.lines
      .map((line, i) => ({ ...line, look: "c" + (i % 6) }))
      .filter((line) => line.x.length);
    const cursor = element("i", "cursor", area);
    const dots = lines.map((line) => element("i", "dot " + line.look, area));
    const readout = element("div", "readout", plot);
    const left = (x) => (x - chart.x[0]) / (chart.x[1] - chart.x[0]);
    const top = (y) => chart.log
      ? 1 - Math.log(Math.max(y, chart.y[0]) / chart.y[0]) / Math.log(chart.y[1] / chart.y[0])
      : 1 - (y - chart.y[0]) / (chart.y[1] - chart.y[0]);
    let at = null; // the x that is read

    const heading = (x) => {
      const epoch = chart.perEpoch ? ", epoch " + words(Math.floor(x / chart.perEpoch)) : "";
      return chart.across + " " + words(x) + epoch;
    };
    const read = (x) => {
      const found = lines.map((line) => nearest(line.x, x));
      at = found.map((i, k) => lines[k].x[i]).reduce((a, b) => (Math.abs(b - x) < Math.abs(a - x) ? b : a));
      cursor.style.left = 100 * left(at) + "%";
      readout.replaceChildren();
      element("b", "", readout).textContent = heading(at);
      lines.forEach((line, k) => {
        const i = nearest(line.x, at), y = line.y[i], outside = at < line.x[0] || at > line.x[line.x.length - 1];
        const seen = !outside && y <= chart.y[1];
        dots[k].style.cssText = "left:" + 100 * left(line.x[i]) + "%;top:" + 100 * top(y) + "%";
        dots[k].hidden = !seen;
        if (outside) return;
        const row = element("span", "", readout);
        element("i", "key " + line.look, row);
        row.append(line.name + " ");
        element("b", "", row).textContent = words(y);
      });
      plot.classList.add("read");
      // Beside the cursor where there is room: to the right, else to the left, else as far right as it goes.
      const here = left(at) * plot.clientWidth, wide = readout.offsetWidth, room = plot.clientWidth - wide;
      const place = here + 12 <= room ? here + 12 : here - 12 - wide >= 0 ? here - 12 - wide : Math.max(0, room);
      readout.style.left = place + "px";
    };
    const leave = () => plot.classList.remove("read");

    area.addEventListener("pointermove", (event) => {
      const box = area.getBoundingClientRect();
      read(chart.x[0] + (event.clientX - box.left) / box.width * (chart.x[1] - chart.x[0]));
    });
    area.addEventListener("pointerdown", (event) => area.releasePointerCapture(event.pointerId));
    plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") leave(); });
    plot.addEventListener("blur", leave);
    plot.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") leave();
      if (!by) return;
      event.preventDefault();
      const all = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
      const now = at === null ? (by > 0 ? -1 : all.length) : all.indexOf(at);
      read(all[Math.min(all.length - 1, Math.max(0, now + by))]);
    });
  }
})();
