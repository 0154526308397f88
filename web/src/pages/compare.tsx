// Several runs beside each other.

import { useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get } from "../api";
import { Chart } from "../chart";
import { compact, duration, percent, score, t, whole } from "../i18n";
import { Icon } from "../icons";
import { RunImage } from "../images";
import { go, href, route } from "../router";
import { useTitle } from "../title";
import type { Card } from "../types";
import { Check, CopyButton, Empty, ErrorNote, Loading, Progress, Segmented, Slider, StateMark } from "../ui";
import { type Axis, type Compared, Comparison, differences, join, lineOf, onAxis } from "./compare_data";

const MOST_RUNS = 8;
const COLORS = 6;

/** The color of the n-th run; after six, dashed. */
const look = (n: number): { color: number; dash?: boolean } => ({
  color: n % COLORS,
  ...(n >= COLORS ? { dash: true } : {}),
});

function Grids({ runs, at, axis }: { runs: Compared[]; at: number; axis: Axis }) {
  return (
    <ul class="compare-grids">
      {runs.map((run, n) => {
        const grids = run.detail?.grids ?? [];
        // The newest grid that is not beyond the place on the axis.
        const reached = grids.filter((step) => (onAxis(run, step, axis) ?? step) <= at);
        const step = reached.at(-1) ?? grids[0];
        const name = run.detail?.card.name ?? run.id;
        return (
          <li key={run.id}>
            <RunImage
              path={step === undefined ? null : `/runs/${run.id}/grids/${step}.png`}
              alt={step === undefined ? t("runs.no_grid") : t("runs.grid_alt", { name, step: whole(step) })}
            />
            <p>
              <i class={`swatch k${look(n).color}`} aria-hidden="true" />
              <b>{name}</b>
              <span class="quiet">{step === undefined ? "" : t("chart.at", { step: whole(step) })}</span>
              <button
                type="button"
                class="bare"
                aria-label={t("compare.remove", { name })}
                title={t("compare.remove", { name })}
                onClick={() =>
                  go("/compare", {
                    ids: runs
                      .filter((other) => other !== run)
                      .map(({ id }) => id)
                      .join(","),
                  })
                }
              >
                <Icon name="close" />
              </button>
            </p>
          </li>
        );
      })}
    </ul>
  );
}

/** The index of the best value by its direction; -1 where there are not two to compare. */
function bestOf(values: (number | null | undefined)[], direction: string): number {
  const known = values.filter((v): v is number => typeof v === "number");
  if (known.length < 2) return -1;
  const rank = (v: number): number => (direction === "higher" ? -v : direction === "lower" ? v : Math.abs(v));
  const best = Math.min(...known.map(rank));
  return values.findIndex((v) => typeof v === "number" && rank(v) === best);
}

function ScoreTable({ runs }: { runs: Compared[] }) {
  const details = runs.map((run) => run.detail).filter((detail) => detail !== null);
  const infos = details[0]?.metrics_info ?? [];
  const shown = infos.filter((info) => details.some(({ card }) => typeof card.score?.[info.key] === "number"));
  const differing = details.length > 1 ? differences(details) : [];
  return (
    <div class="wide panel" tabIndex={0} role="region" aria-label={t("compare.table")}>
      <table class="compare-table">
        <thead>
          <tr>
            <td />
            {details.map((detail) => (
              <th key={detail.card.id} scope="col">
                <i
                  class={`swatch k${look(runs.findIndex((run) => run.id === detail.card.id)).color}`}
                  aria-hidden="true"
                />
                <a href={href(`/run/${detail.card.id}/live`)}>{detail.card.name}</a>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">{t("compare.state")}</th>
            {details.map(({ card }) => (
              <td key={card.id}>
                <StateMark state={card.state} />
                <Progress card={card} label={t("progress.of", { name: card.name })} />
              </td>
            ))}
          </tr>
          <tr>
            <th scope="row">{t("fact.step")}</th>
            {details.map(({ card }) => (
              <td key={card.id}>{t("progress", { step: compact(card.step), steps: compact(card.steps) })}</td>
            ))}
          </tr>
          <tr>
            <th scope="row">{t("about.data")}</th>
            {details.map(({ card }) => (
              <td key={card.id}>{card.data}</td>
            ))}
          </tr>
          <tr>
            <th scope="row">{t("about.recipe")}</th>
            {details.map(({ card }) => (
              <td key={card.id}>{card.recipe}</td>
            ))}
          </tr>
        </tbody>
        {shown.length > 0 && (
          <tbody>
            <tr class="table-part">
              <th scope="rowgroup" colSpan={details.length + 1}>
                {t("compare.scores")}
              </th>
            </tr>
            {shown.map((info) => {
              const values = details.map(({ card }) => card.score?.[info.key]);
              const best = bestOf(values, info.direction);
              return (
                <tr key={info.key}>
                  <th scope="row" lang="en" title={info.description}>
                    {info.name} <small>{t(`better.${info.direction}`)}</small>
                  </th>
                  {details.map(({ card }, n) => {
                    const baseline = card.score?.[`${info.key}_baseline`];
                    return (
                      <td key={card.id} class={n === best ? "best" : ""}>
                        {score(values[n])}
                        {n === best && <span class="hidden"> ({t("compare.best")})</span>}
                        {typeof baseline === "number" && <small> / {score(baseline)}</small>}
                      </td>
                    );
                  })}
                </tr>
              );
            })}
          </tbody>
        )}
        {differing.length > 0 && (
          <tbody>
            <tr class="table-part">
              <th scope="rowgroup" colSpan={details.length + 1}>
                {t("compare.differences")}
              </th>
            </tr>
            {differing.map(([key, values]) => (
              <tr key={key}>
                <th scope="row">
                  <code>{key}</code>
                </th>
                {values.map((value, n) => (
                  <td key={details[n]!.card.id}>{value}</td>
                ))}
              </tr>
            ))}
          </tbody>
        )}
      </table>
      {shown.length > 0 && <p class="quiet small-text">{t("compare.note")}</p>}
    </div>
  );
}

function Charts({
  comparison,
  runs,
  axis,
  at,
  onPick,
}: {
  comparison: Comparison;
  runs: Compared[];
  axis: Axis;
  at: number | null;
  onPick: (x: number) => void;
}) {
  const [log, setLog] = useState(true);
  const [smooth, setSmooth] = useState(0.4);
  const zoom = useSignal<[number, number] | null>(null);
  const mark = useSignal<number | null>(at);
  mark.value = at;
  const version = comparison.version;
  useEffect(() => {
    zoom.value = null;
  }, [axis]);
  const loaded = runs.filter((run) => run.metrics);
  const lines = loaded.map((run) => ({ label: run.detail!.card.name, ...look(runs.indexOf(run)) }));
  const specs = [
    { key: "fid", title: "FID", aside: t("better.lower"), score: true },
    { key: "kid", title: "KID", aside: t("better.lower"), score: true },
    { key: "generator_loss", title: t("compare.g_loss") },
    { key: "discriminator_loss", title: t("compare.d_loss") },
    { key: "real_probability", title: "D(x)", fixed: [0, 1] as [number, number] },
    { key: "fake_probability", title: "D(G(z))", fixed: [0, 1] as [number, number] },
    { key: "images_per_second", title: t("chart.images_per_second") },
  ];
  const has = (key: string): boolean => loaded.some((run) => lineOf(run, key, axis, false)[0].length > 1);
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
        <Check label={t("chart.log")} checked={log} onChange={setLog} />
        {zoom.value && (
          <button type="button" class="small" onClick={() => (zoom.value = null)}>
            {t("chart.whole")}
          </button>
        )}
      </div>
      <div class="charts">
        {specs
          .filter(({ key }) => has(key))
          .map((spec) => (
            <Chart
              key={`${spec.key} ${axis}`}
              title={spec.title}
              {...(spec.aside ? { aside: spec.aside } : {})}
              lines={lines.map((line) => (spec.score ? { ...line, points: true } : line))}
              data={() =>
                join(
                  comparison.runs.value
                    .filter((run) => run.metrics)
                    .map((run) => lineOf(run, spec.key, axis, spec.score === true && log)),
                )
              }
              version={version}
              range={() => [0, end(comparison.runs.value, axis)]}
              log={spec.score === true && log}
              {...(spec.fixed ? { fixed: spec.fixed } : {})}
              smooth={spec.score ? 0 : smooth}
              mark={mark}
              group="compare"
              zoom={zoom}
              format={axis === "seconds" ? duration : compact}
              at={axis === "seconds" ? duration : axis === "step" ? (x) => t("chart.at", { step: whole(x) }) : whole}
              onPick={onPick}
            />
          ))}
      </div>
      <p class="quiet small-text charts-hint">{t("chart.hint")}</p>
    </section>
  );
}

/** The end of the axis: that of the longest run. */
function end(runs: Compared[], axis: Axis): number {
  const ends = runs.map((run) => {
    const last = Math.max(
      run.metrics?.steps.at(-1) ?? 0,
      run.metrics?.scores.at(-1)?.step ?? 0,
      run.detail?.grids.at(-1) ?? 0,
    );
    return onAxis(run, last, axis) ?? 0;
  });
  return Math.max(1, ...ends);
}

function Add({ ids }: { ids: string[] }) {
  const [cards, setCards] = useState<Card[]>([]);
  useEffect(() => {
    get<{ runs: Card[] }>("/runs").then(
      ({ runs }) => setCards(runs),
      () => undefined,
    );
  }, []);
  const others = cards.filter((card) => card.state !== "damaged" && !ids.includes(card.id));
  if (!others.length || ids.length >= MOST_RUNS) return null;
  return (
    <select
      aria-label={t("compare.add")}
      value=""
      onChange={({ currentTarget: { value } }) => go("/compare", { ids: [...ids, value].join(",") })}
    >
      <option value="">{t("compare.add")}</option>
      {others.map((card) => (
        <option key={card.id} value={card.id}>
          {card.name}
        </option>
      ))}
    </select>
  );
}

function Workspace({ ids }: { ids: string[] }) {
  const [comparison] = useState(() => new Comparison(ids));
  useEffect(() => () => comparison.dispose(), [comparison]);
  const [axis, setAxis] = useState<Axis>("step");
  const [at, setAt] = useState<number | null>(null);
  const runs = comparison.runs.value;
  const last = end(runs, axis);
  const place = at ?? last;
  const text =
    axis === "seconds"
      ? duration(place)
      : axis === "step"
        ? t("chart.at", { step: whole(place) })
        : t("compare.images", { n: place, count: compact(place) });
  if (!runs.some((run) => run.detail)) {
    const error = runs.find((run) => run.error)?.error;
    return error ? <ErrorNote error={error} /> : <Loading />;
  }
  return (
    <>
      <div class="compare-bar">
        <Slider
          label={t("live.time")}
          min={0}
          max={last}
          step="any"
          value={place}
          text={text}
          onInput={(value) => setAt(value >= last ? null : value)}
        />
        <CopyButton
          label={t("copy.command")}
          text={() => `ganvas compare ${runs.flatMap((run) => (run.detail ? [run.detail.shell_path] : [])).join(" ")}`}
        />
        <Segmented
          label={t("compare.axis")}
          value={axis}
          options={[
            { value: "step", label: t("compare.by_step") },
            { value: "images_seen", label: t("compare.by_images") },
            { value: "seconds", label: t("compare.by_time") },
          ]}
          onChange={(next) => {
            setAxis(next);
            setAt(null);
          }}
        />
      </div>
      {runs
        .filter((run) => run.error)
        .map((run) => (
          <ErrorNote key={run.id} error={run.error!} />
        ))}
      <Grids runs={runs} at={place} axis={axis} />
      <Charts comparison={comparison} runs={runs} axis={axis} at={at} onPick={setAt} />
      <ScoreTable runs={runs} />
    </>
  );
}

export function ComparePage() {
  useTitle(t("nav.compare"));
  const ids = [
    ...new Set((route.value.params.get("ids") ?? "").split(",").filter((id) => /^[0-9a-f]{12}$/.test(id))),
  ].slice(0, MOST_RUNS);
  return (
    <>
      <div class="page-head compare-head">
        <h1>{t("nav.compare")}</h1>
        <Add ids={ids} />
      </div>
      {ids.length === 0 ? (
        <Empty part title={t("compare.none")}>
          <p>{t("compare.none_hint")}</p>
          <a class="button" href={href("/")}>
            <Icon name="left" />
            {t("no_page.back")}
          </a>
        </Empty>
      ) : (
        <Workspace key={ids.join(",")} ids={ids} />
      )}
    </>
  );
}
