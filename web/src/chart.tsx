// One chart: uPlot with the page's colors, a legend that reads out the cursor, and the step that is shown.

import type { ReadonlySignal, Signal } from "@preact/signals";
import { effect } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { compact, measure, t, whole } from "./i18n";
import { dark, language } from "./settings";

export interface Line {
  label: string;
  /** 0 to 5: the color. */
  color: number;
  dash?: boolean;
  /** Drawn with points: few values. */
  points?: boolean;
}

export interface ChartData {
  x: number[];
  ys: (number | null)[][];
}

export interface ChartProps {
  title: string;
  aside?: string;
  note?: string;
  lines: Line[];
  data: () => ChartData;
  /** Changes when `data` would give something else. */
  version: ReadonlySignal<number>;
  /** The steps that the axis goes over, where it is not the data's own. */
  range: () => [number, number] | null;
  log?: boolean;
  fixed?: [number, number];
  /** 0 to 1: at 1 the average reaches back over a tenth of all points. */
  smooth?: number;
  /** A vertical line at this step. */
  mark?: ReadonlySignal<number | null>;
  group: string;
  /** How the axis and the legend write x; steps without them. */
  format?: (x: number) => string;
  at?: (x: number) => string;
  onPick?: (step: number) => void;
  /** The steps that the charts of a group are zoomed to. */
  zoom: Signal<[number, number] | null>;
}

const style = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const atStep = (step: number): string => t("chart.at", { step: whole(step) });

/** Exponential moving average that is not biased towards its first value; at 1 it reaches over a tenth of all values. */
function average(values: (number | null)[], strength: number): (number | null)[] {
  const count = values.reduce((n: number, value) => n + (value === null ? 0 : 1), 0);
  const weight = Math.exp(-1 / (0.1 * count * strength * strength || 1e-9));
  let sum = 0;
  let total = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    total = weight * total + (1 - weight);
    return sum / total;
  });
}

const powerOfTen = (value: number): boolean => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-6;

/** Of the splits of a logarithmic axis, those that get a number: 1, 2 and 5 where there is room for them. */
function labeled(splits: number[]): (number | null)[] {
  const tens = splits.filter(powerOfTen).length;
  return splits.map((v) => (powerOfTen(v) || (tens < 3 && (powerOfTen(v / 2) || powerOfTen(v / 5))) ? v : null));
}

function options(props: ChartProps, smooth: boolean, width: number, height: number): uPlot.Options {
  const ink = style("--quiet");
  const hair = style("--hair");
  const font = `12px ${style("--font")}`;
  const axis = { stroke: ink, font, ticks: { show: false }, grid: { stroke: hair, width: 1 } };
  const color = (n: number): string => style(`--c${n}`);
  const line = (l: Line, raw: boolean): uPlot.Series => ({
    label: l.label,
    stroke: raw ? `${color(l.color)}48` : color(l.color),
    width: raw ? 1 : 1.75,
    ...(l.dash ? { dash: [5, 4] } : {}),
    points: l.points ? { show: true, size: 5, fill: color(l.color) } : { show: false },
    spanGaps: true,
  });
  return {
    width,
    height,
    legend: { show: false },
    padding: [10, 12, 0, 0],
    cursor: {
      sync: { key: props.group, scales: ["x", null] },
      drag: { x: true, y: false, dist: 6 },
      points: {
        size: 7,
        width: 2,
        stroke: (_, i) => color(props.lines[(i - 1) % props.lines.length]!.color),
        fill: style("--card"),
      },
      focus: { prox: -1 },
    },
    scales: {
      x: { time: false, range: (_, min, max) => props.range() ?? [min, max] },
      y: {
        ...(props.log ? { distr: 3 as const, log: 10 as const } : {}),
        ...(props.fixed ? { range: props.fixed } : {}),
      },
    },
    axes: [
      { ...axis, size: 28, gap: 6, space: 70, values: (_, ticks) => ticks.map((v) => (props.format ?? compact)(v)) },
      {
        ...axis,
        grid: {
          ...axis.grid,
          filter: (_, splits) => (props.log ? splits.map((v) => (powerOfTen(v) ? v : null)) : splits),
        },
        filter: (_, splits) => (props.log ? labeled(splits) : splits),
        size: 52,
        gap: 6,
        space: props.log ? 24 : 34,
        values: (_, ticks) => ticks.map((v) => (v === null ? "" : Math.abs(v) >= 10000 ? compact(v) : measure(v, 3))),
      },
    ],
    series: [{}, ...(smooth ? props.lines.map((l) => line(l, true)) : []), ...props.lines.map((l) => line(l, false))],
  };
}

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const values = useRef<(HTMLElement | null)[]>([]);
  const at = useRef<HTMLElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const smooth = props.smooth ?? 0;
  const shape = JSON.stringify([props.lines, props.log, props.fixed, smooth, dark.value, language.value]);

  useLayoutEffect(() => {
    const element = box.current!;
    let plot: uPlot | null = null;
    const { zoom } = latest.current;
    let seen = true;
    let stale = false;
    let timer = 0;
    let last = 0;

    const read = (): uPlot.AlignedData => {
      const { x, ys } = latest.current.data();
      return smooth > 0 ? [x, ...ys, ...ys.map((y) => average(y, smooth))] : [x, ...ys];
    };
    const legend = (): void => {
      if (!plot) return;
      const index = plot.cursor.idx ?? null;
      const x = plot.data[0];
      const point = index ?? x.length - 1;
      const step = x[point];
      const count = latest.current.lines.length;
      for (let i = 0; i < count; i++) {
        const series = plot.data[plot.data.length - count + i] as (number | null)[];
        let value = series[point];
        for (let k = point; value === null && k >= 0; k--) value = series[k];
        const node = values.current[i];
        if (node) node.textContent = measure(value);
      }
      if (at.current)
        at.current.textContent = index === null || step === undefined ? "" : (latest.current.at ?? atStep)(step);
    };
    const mark = document.createElement("div");
    mark.className = "chart-mark";
    const placeMark = (): void => {
      const step = latest.current.mark?.peek() ?? null;
      const scale = plot?.scales["x"];
      if (!plot || step === null || scale?.min === undefined || scale.max === undefined)
        return void (mark.hidden = true);
      mark.hidden = step < scale.min || step > scale.max;
      mark.style.transform = `translateX(${plot.valToPos(step, "x")}px)`;
    };
    const draw = (): void => {
      timer = 0;
      if (!plot) return;
      if (!seen || document.hidden) return void (stale = true);
      stale = false;
      last = performance.now();
      plot.setData(read());
      legend();
    };
    // New rows come four times a second; many points are drawn less often.
    const schedule = (): void => {
      if (timer) return;
      const rest = (plot?.data[0].length ?? 0) > 20_000 ? 1500 : 250;
      timer = window.setTimeout(draw, Math.max(0, last + rest - performance.now()));
    };

    // Charts of a group repeat each other's mouse events; only the one under the mouse acts on them.
    const followed = (u: uPlot): boolean => !u.over.matches(":hover");

    const build = (): void => {
      const made = options(latest.current, smooth > 0, element.clientWidth, element.clientHeight);
      made.scales!["x"]!.range = (_, min, max) => zoom.peek() ?? latest.current.range() ?? [min, max];
      made.hooks = {
        setCursor: [legend],
        setScale: [placeMark],
        setSize: [placeMark],
        setSelect: [
          (u) => {
            if (u.select.width < 6) return;
            const [from, to] = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            if (!followed(u)) zoom.value = [from, to];
          },
        ],
      };
      made.cursor!.drag!.setScale = false;
      made.cursor!.bind = {
        dblclick: (u) => () => {
          if (!followed(u)) zoom.value = null;
          return null;
        },
      };
      plot = new uPlot(made, read(), element);
      plot.over.append(mark);
      let pressed = 0;
      plot.over.addEventListener("pointerdown", (event) => (pressed = event.clientX));
      plot.over.addEventListener("click", (event) => {
        if (Math.abs(event.clientX - pressed) < 5) latest.current.onPick?.(plot!.posToVal(event.offsetX, "x"));
      });
      last = performance.now();
      placeMark();
      legend();
    };

    const resize = new ResizeObserver(() => {
      if (!element.clientWidth) return;
      if (!plot) build();
      else plot.setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    resize.observe(element);
    const watch = new IntersectionObserver(
      ([entry]) => {
        seen = entry!.isIntersecting;
        if (seen && stale) schedule();
      },
      { rootMargin: "200px" },
    );
    watch.observe(element);
    const onShow = (): void => {
      if (!document.hidden && stale) schedule();
    };
    document.addEventListener("visibilitychange", onShow);
    const stopData = effect(() => {
      void latest.current.version.value;
      schedule();
    });
    const stopZoom = effect(() => {
      void zoom.value;
      if (plot) plot.setData(plot.data);
    });
    const stopMark = effect(() => {
      void latest.current.mark?.value;
      placeMark();
    });
    return () => {
      stopData();
      stopMark();
      stopZoom();
      clearTimeout(timer);
      resize.disconnect();
      watch.disconnect();
      document.removeEventListener("visibilitychange", onShow);
      plot?.destroy();
      element.replaceChildren();
    };
  }, [shape]);

  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">
          <span>
            {props.title}
            {props.aside && <small> {props.aside}</small>}
          </span>
          <small ref={at} />
        </span>
        <ul class="legend">
          {props.lines.map((line, i) => (
            <li key={line.label} class={`k${line.color}${line.dash ? " dashed" : ""}`}>
              <i aria-hidden="true" />
              {line.label}
              <b ref={(node) => void (values.current[i] = node)} />
            </li>
          ))}
        </ul>
      </figcaption>
      <div class="plot" ref={box} aria-hidden="true" />
      {props.note && <p class="chart-note">{props.note}</p>}
    </figure>
  );
}
