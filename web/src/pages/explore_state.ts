// What a person set in Explore, and its form in the address.

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Look } from "../generator";
import { blendText, pointOfPlane, readBlend, sameBlend } from "../latent";
import type { View } from "../plane";
import type { Blend, Detail } from "../types";

export const MOST_PICKS = 12;

export interface Pick {
  blend: Blend;
  /** Where on the plane it was picked. */
  at: [x: number, y: number] | null;
}

export interface ExploreState {
  view: Signal<View>;
  step: Signal<number | null>;
  label: Signal<number | null>;
  truncation: Signal<number>;
  directions: Signal<Record<string, number>>;
  picks: Signal<Pick[]>;
  chosen: Signal<number>;
  look: ReadonlySignal<Look>;
  /** The picked sample that is looked at; without one, that in the middle of the plane. */
  current: ReadonlySignal<Blend>;
}

const finite = (text: string | null, fallback: number, low: number, high: number): number => {
  const value = text === null ? NaN : Number(text);
  return Number.isFinite(value) ? Math.max(low, Math.min(high, value)) : fallback;
};

export function readState(params: URLSearchParams, detail: Detail): ExploreState {
  const step = params.has("step") ? finite(params.get("step"), -1, 0, 1e15) : -1;
  const label = params.has("label") ? finite(params.get("label"), -1, 0, 1e6) : -1;
  const directions: Record<string, number> = {};
  for (const part of (params.get("d") ?? "").split(",").filter(Boolean)) {
    const [name, amount] = [part.slice(0, part.lastIndexOf(":")), part.slice(part.lastIndexOf(":") + 1)];
    if (name) directions[name] = finite(amount, 0, -5, 5);
  }
  const picks = (params.get("pick") ?? "")
    .split(";")
    .map(readBlend)
    .filter((blend) => blend !== null)
    .slice(0, MOST_PICKS)
    .map((blend) => ({ blend, at: null }));
  const state = {
    view: signal<View>({
      x: finite(params.get("x"), 2, 0, 100),
      y: finite(params.get("y"), 2, 0, 100),
      zoom: Math.round(finite(params.get("zoom"), 2, 0, 6)),
    }),
    step: signal(detail.checkpoints.includes(step) ? step : null),
    label: signal(label >= 0 && label < detail.card.classes ? label : null),
    truncation: signal(finite(params.get("truncation"), 1, 0, 2)),
    directions: signal(directions),
    picks: signal<Pick[]>(picks),
    chosen: signal(picks.length - 1),
  };
  const look = computed<Look>(() => ({
    step: state.step.value,
    label: state.label.value,
    truncation: state.truncation.value,
    directions: Object.fromEntries(Object.entries(state.directions.value).filter(([, amount]) => amount !== 0)),
  }));
  const current = computed<Blend>(() => {
    const pick = state.picks.value[state.chosen.value];
    if (pick) return pick.blend;
    const { x, y, zoom } = state.view.value;
    const scale = 2 ** zoom;
    return pointOfPlane(Math.round(x * scale) / scale, Math.round(y * scale) / scale);
  });
  return { ...state, look, current };
}

const round = (value: number): string => String(Number(value.toFixed(4)));

export function writeState(state: ExploreState): URLSearchParams {
  const params = new URLSearchParams();
  const { x, y, zoom } = state.view.value;
  params.set("x", round(x));
  params.set("y", round(y));
  params.set("zoom", String(zoom));
  const { step, label, truncation, directions } = state.look.value;
  if (step !== null) params.set("step", String(step));
  if (label !== null) params.set("label", String(label));
  if (truncation !== 1) params.set("truncation", round(truncation));
  const set = Object.entries(directions).map(([name, amount]) => `${name}:${round(amount)}`);
  if (set.length) params.set("d", set.join(","));
  const picks = state.picks.value.map(({ blend }) => blendText(blend));
  if (picks.length) params.set("pick", picks.join(";"));
  return params;
}

/** Add a sample to the tray, or choose it where it is there already. */
export function addPick(state: ExploreState, blend: Blend, at: [number, number] | null): void {
  const picks = state.picks.value;
  const known = picks.findIndex((pick) => sameBlend(pick.blend, blend));
  if (known >= 0) {
    state.chosen.value = known;
    return;
  }
  const next = [...picks, { blend, at }].slice(-MOST_PICKS);
  state.picks.value = next;
  state.chosen.value = next.length - 1;
}

export function removePick(state: ExploreState, index: number): void {
  state.picks.value = state.picks.value.filter((_, i) => i !== index);
  if (state.chosen.value >= index)
    state.chosen.value = Math.max(state.chosen.value - 1, state.picks.value.length ? 0 : -1);
}
