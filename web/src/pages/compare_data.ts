// Several runs beside each other: what is fetched of each, and the series of a chart with one line a run.

import { type Signal, signal } from "@preact/signals";
import { type ApiError, asApiError, get, isAbort } from "../api";
import type { ChartData } from "../chart";
import type { Detail, Metrics } from "../types";

const POINTS = 2000;
const REFRESH = 4000; // milliseconds, of runs that train

export type Axis = "step" | "images_seen" | "seconds";

export interface Compared {
  id: string;
  detail: Detail | null;
  metrics: Metrics | null;
  error: ApiError | null;
}

/** Fetches the runs, and those that train again and again; without streams, of which a browser opens only six. */
export class Comparison {
  readonly runs: Signal<Compared[]>;
  readonly version = signal(0);
  private readonly stopped = new AbortController();
  private timer = 0;

  constructor(ids: string[]) {
    this.runs = signal(ids.map((id) => ({ id, detail: null, metrics: null, error: null })));
    void this.load(ids);
  }

  dispose(): void {
    this.stopped.abort();
    clearTimeout(this.timer);
  }

  private async load(ids: string[]): Promise<void> {
    await Promise.all(ids.map((id) => this.fetch(id)));
    if (this.stopped.signal.aborted) return;
    this.version.value++;
    const training = (): string[] =>
      this.runs.value
        .filter(({ detail }) => detail && ["running", "paused"].includes(detail.card.state))
        .map(({ id }) => id);
    const again = (): void => {
      if (document.hidden) this.timer = window.setTimeout(again, REFRESH);
      else void this.load(training());
    };
    if (training().length) this.timer = window.setTimeout(again, REFRESH);
  }

  private async fetch(id: string): Promise<void> {
    const { signal } = this.stopped;
    let change: Partial<Compared>;
    try {
      const [detail, metrics] = await Promise.all([
        get<Detail>(`/runs/${id}`, signal),
        get<Metrics>(`/runs/${id}/metrics?max=${POINTS}`, signal),
      ]);
      change = { detail, metrics, error: null };
    } catch (error) {
      if (isAbort(error)) return;
      change = { error: asApiError(error) };
    }
    this.runs.value = this.runs.value.map((run) => (run.id === id ? { ...run, ...change } : run));
  }
}

/** What a step of a run is on the axis; null where it was not logged. */
export function onAxis(run: Compared, step: number, axis: Axis): number | null {
  const { metrics } = run;
  if (axis === "step") return step;
  const values = metrics?.columns[axis];
  if (!metrics || !values?.length) return null;
  // Linear between logged steps.
  let low = 0;
  let high = metrics.steps.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (metrics.steps[middle]! <= step) low = middle;
    else high = middle;
  }
  const [s0, s1, v0, v1] = [metrics.steps[low]!, metrics.steps[high]!, values[low], values[high]];
  if (typeof v0 !== "number" || typeof v1 !== "number") return null;
  if (s1 === s0) return (v0 * step) / (s0 || 1);
  const t = (step - s0) / (s1 - s0);
  return Math.max(0, v0 + t * (v1 - v0));
}

/** Lines with x of their own on one x. */
export function join(lines: [x: number[], y: (number | null)[]][]): ChartData {
  const x = [...new Set(lines.flatMap(([xs]) => xs))].sort((a, b) => a - b);
  const place = new Map(x.map((value, i) => [value, i]));
  const ys = lines.map(([xs, values]) => {
    const y = new Array<number | null>(x.length).fill(null);
    xs.forEach((value, i) => {
      y[place.get(value)!] = values[i] ?? null;
    });
    return y;
  });
  return { x, ys };
}

/** A run's logged values, or its scores, along the axis. */
export function lineOf(run: Compared, key: string, axis: Axis, log: boolean): [number[], (number | null)[]] {
  const { metrics } = run;
  if (!metrics) return [[], []];
  const x: number[] = [];
  const y: (number | null)[] = [];
  const add = (at: number | null | undefined, value: number | null | undefined): void => {
    if (typeof at !== "number" || typeof value !== "number" || (log && value <= 0)) return;
    x.push(at);
    y.push(value);
  };
  if (key in metrics.columns) {
    const values = metrics.columns[key]!;
    const positions = axis === "step" ? metrics.steps : metrics.columns[axis];
    metrics.steps.forEach((_, i) => add(positions?.[i], values[i]));
  } else {
    for (const row of metrics.scores) add(onAxis(run, row.step, axis), row[key]);
  }
  return [x, y];
}

function flatten(value: unknown, path: string, into: Map<string, string>): void {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value)) flatten(inner, path ? `${path}.${key}` : key, into);
  } else {
    into.set(path, value === null ? "–" : typeof value === "string" ? value : JSON.stringify(value));
  }
}

/** The recipe keys in which the runs differ, with the value of each run. */
export function differences(details: Detail[]): [key: string, values: string[]][] {
  const all = details.map((detail) => {
    const values = new Map<string, string>();
    flatten(detail.recipe, "", values);
    return values;
  });
  const keys = [...new Set(all.flatMap((values) => [...values.keys()]))];
  const left = new Set(["name", "summary", "source"]);
  return keys
    .filter((key) => !left.has(key))
    .map((key): [string, string[]] => [key, all.map((values) => values.get(key) ?? "–")])
    .filter(([, values]) => new Set(values).size > 1);
}
