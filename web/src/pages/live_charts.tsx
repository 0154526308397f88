// The charts of a run: they share the cursor, and a line marks the step that is on the stage.

import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useState } from "preact/hooks";
import { Chart, type ChartData, type Line } from "../chart";
import type { Feed } from "../feed";
import { percent, t } from "../i18n";
import type { Detail, Row } from "../types";
import { Check, Slider } from "../ui";
import { indexAt, type Stage } from "./stage";

interface Spec {
  title: string;
  note: string;
  keys: { key: string; label: string; color: number; dash?: boolean }[];
  fixed?: [number, number];
}

export const logged = (): Spec[] => [
  {
    title: t("chart.losses"),
    note: t("chart.losses_note"),
    keys: [
      { key: "discriminator_loss", label: t("chart.d_loss"), color: 0 },
      { key: "generator_loss", label: t("chart.g_loss"), color: 1 },
    ],
  },
  {
    title: t("chart.probabilities"),
    note: t("chart.probabilities_note"),
    keys: [
      { key: "real_probability", label: "D(x)", color: 0 },
      { key: "fake_probability", label: "D(G(z))", color: 1 },
    ],
    fixed: [0, 1],
  },
  {
    title: t("chart.accuracy"),
    note: t("chart.accuracy_note"),
    keys: [
      { key: "real_accuracy", label: t("chart.on_real"), color: 0 },
      { key: "fake_accuracy", label: t("chart.on_fake"), color: 1 },
    ],
    fixed: [0, 1],
  },
  {
    title: t("chart.speed"),
    note: t("chart.speed_note"),
    keys: [{ key: "images_per_second", label: t("chart.images_per_second"), color: 2 }],
  },
];

/** Scores on a chart of their own, with what real images get as a dashed line. */
export function scoreData(scores: Row[], key: string, baseline: number | null, log: boolean, end: number): ChartData {
  const clean = (value: number | null | undefined): number | null =>
    typeof value === "number" && (!log || value > 0) ? value : null;
  const x = scores.map((row) => row.step);
  const ys = [scores.map((row) => clean(row[key]))];
  const line = clean(baseline);
  if (line === null) return { x, ys };
  // The baseline holds for the whole axis, also before the first score.
  const steps = [...new Set([0, ...x, end])].sort((a, b) => a - b);
  return { x: steps, ys: [steps.map((s) => (x.includes(s) ? ys[0]![x.indexOf(s)]! : null)), steps.map(() => line)] };
}

export function LiveCharts({ feed, detail, stage }: { feed: Feed; detail: Detail; stage: Stage }) {
  const [log, setLog] = useState(true);
  const [smooth, setSmooth] = useState(0.4);
  const version = feed.version;
  const hasScores = useComputed(() => feed.version.value >= 0 && feed.scores.length > 1).value;
  const keys = useComputed(() => (void feed.version.value, Object.keys(feed.columns).join(" "))).value.split(" ");
  const mark = useComputed(() => stage.chosen.value ?? (feed.active.value ? null : (feed.grids.value.at(-1) ?? null)));
  const zoom = useSignal<[number, number] | null>(null);
  useSignalEffect(() => {
    if (zoom.value) void feed.loadAll();
  });
  const evaluation = detail.evaluation;
  const end = (): number =>
    Math.max(feed.steps.at(-1) ?? 1, feed.scores.at(-1)?.step ?? 1, feed.grids.peek().at(-1) ?? 1);
  const range = (): [number, number] => [0, end()];
  const pick = (step: number): void => {
    const grids = feed.grids.peek();
    if (!grids.length) return;
    const low = indexAt(grids, step);
    const next = grids[low + 1];
    stage.chosen.value = next !== undefined && next - step < step - grids[low]! ? next : grids[low]!;
  };
  const common = { version, range, mark, group: `live-${feed.id}`, onPick: pick, zoom };

  if (!keys.filter(Boolean).length && !hasScores) return <p class="quiet charts-empty">{t("chart.none")}</p>;
  const specs = logged().filter((spec) => spec.keys.some(({ key }) => keys.includes(key)));
  const shownScores = ["fid", "kid"].filter(
    (key) => feed.scores.filter((row) => typeof row[key] === "number").length > 1,
  );
  return (
    <section class="charts-part" aria-label={t("chart.all")}>
      <div class="charts-bar">
        <Slider
          label={t("chart.smooth")}
          min={0}
          max={1}
          step={0.05}
          value={smooth}
          text={smooth ? percent(smooth) : t("chart.off")}
          onInput={setSmooth}
        />
        {hasScores && <Check label={t("chart.log")} checked={log} onChange={setLog} />}
        {zoom.value && (
          <button type="button" class="small" onClick={() => (zoom.value = null)}>
            {t("chart.whole")}
          </button>
        )}
      </div>
      <div class="charts">
        {hasScores &&
          shownScores.map((key) => {
            const info = detail.metrics_info.find((m) => m.key === key);
            const name = info?.name ?? key.toUpperCase();
            const baseline = evaluation?.[`${key}_baseline`] ?? detail.card.score?.[`${key}_baseline`] ?? null;
            const dashed = baseline !== null && (!log || baseline > 0);
            const lines: Line[] = [{ label: name, color: 0, points: true }];
            if (dashed) lines.push({ label: t("chart.baseline"), color: 5, dash: true });
            return (
              <Chart
                key={key}
                {...common}
                title={name}
                aside={t(`better.${info?.direction ?? "lower"}`)}
                note={t(key === "fid" ? "chart.fid_note" : "chart.kid_note")}
                lines={lines}
                log={log}
                data={() => scoreData(feed.scores, key, dashed ? baseline : null, log, end())}
              />
            );
          })}
        {specs.map((spec) => {
          const used = spec.keys.filter(({ key }) => keys.includes(key));
          return (
            <Chart
              key={spec.title}
              {...common}
              title={spec.title}
              note={spec.note}
              lines={used.map(({ label, color }) => ({ label, color }))}
              {...(spec.fixed ? { fixed: spec.fixed } : {})}
              smooth={smooth}
              data={() => ({ x: feed.steps, ys: used.map(({ key }) => feed.columns[key] ?? []) })}
            />
          );
        })}
      </div>
      <p class="quiet small-text charts-hint">{t("chart.hint")}</p>
    </section>
  );
}
