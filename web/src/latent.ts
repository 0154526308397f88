// Points of latent space as blends of seeds, with the arithmetic that the server uses.

import type { Blend } from "./types";

export const COLUMNS = 100; // seeds in a row of the plane; it repeats beyond its edges

const wrap = (n: number): number => ((n % COLUMNS) + COLUMNS) % COLUMNS;

/** The blend of a point of the plane: bilinear between the four seeds around it. */
export function pointOfPlane(x: number, y: number): Blend {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, below] = [x - left, y - top];
  const blend: Blend = {};
  for (const [dx, dy, weight] of [
    [0, 0, (1 - right) * (1 - below)],
    [1, 0, right * (1 - below)],
    [0, 1, (1 - right) * below],
    [1, 1, right * below],
  ] as const) {
    if (weight <= 0) continue;
    const seed = wrap(left + dx) + COLUMNS * wrap(top + dy);
    blend[seed] = (blend[seed] ?? 0) + weight;
  }
  return blend;
}

/** Sum of blends with weights. Each counts as its own normalized z, whatever its weights add up to. */
export function mix(parts: [Blend, number][], uniform: boolean): Blend {
  const sum: Blend = {};
  for (const [blend, weight] of parts) {
    const values = Object.values(blend);
    const length = uniform ? values.reduce((s, v) => s + Math.abs(v), 0) : Math.hypot(...values);
    for (const seed in blend) sum[seed] = (sum[seed] ?? 0) + (weight * blend[seed]!) / (length || 1);
  }
  // Of many seeds the heaviest 64 are kept, which is what the server takes.
  const entries = Object.entries(sum).filter(([, w]) => Math.abs(w) > 1e-6);
  entries.sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  return Object.fromEntries(entries.slice(0, 64).map(([seed, w]) => [seed, Number(w.toPrecision(6))]));
}

/** The point `t` of the way from one blend to another; along a great circle where z is normal. */
export function between(a: Blend, b: Blend, t: number, uniform: boolean): Blend {
  if (t <= 0) return a;
  if (t >= 1) return b;
  const angle = (t * Math.PI) / 2;
  return mix(
    [
      [a, uniform ? 1 - t : Math.cos(angle)],
      [b, uniform ? t : Math.sin(angle)],
    ],
    uniform,
  );
}

/** "12" or "12:0.5,13:0.5", as the command line writes it. */
export function blendText(blend: Blend): string {
  const entries = Object.entries(blend);
  if (entries.length === 1) return entries[0]![0];
  return entries.map(([seed, w]) => `${seed}:${Number(w.toPrecision(6))}`).join(",");
}

/** The seeds of a blend by their shares, the heaviest first: [["203", 0.53], ["202", 0.41]]. */
export function shares(blend: Blend): [seed: string, share: number][] {
  const total = Object.values(blend).reduce((sum, w) => sum + Math.abs(w), 0) || 1;
  return Object.entries(blend)
    .map(([seed, w]): [string, number] => [seed, Math.abs(w) / total])
    .sort(([, a], [, b]) => b - a);
}

export function readBlend(text: string): Blend | null {
  const blend: Blend = {};
  for (const part of text.split(",").slice(0, 64)) {
    const match = /^(\d{1,15})(?::(-?[\d.]+(?:e-?\d+)?))?$/.exec(part.trim());
    if (!match) return null;
    blend[match[1]!] = Number(match[2] ?? 1);
  }
  return Object.values(blend).some((w) => w !== 0 && Number.isFinite(w)) ? blend : null;
}

export const sameBlend = (a: Blend, b: Blend): boolean => blendText(a) === blendText(b);
