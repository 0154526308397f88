// A run as it trains.

import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { announce } from "../announce";
import { Feed } from "../feed";
import { duration, measure, percent, score, t, whole } from "../i18n";
import { Icon } from "../icons";
import { href, keepParams, route } from "../router";
import { useTitle } from "../title";
import type { Card, Detail } from "../types";
import { CopyButton, Empty, ErrorNote, Loading } from "../ui";
import { LiveCharts } from "./live_charts";
import { RunHead } from "./run_head";
import { StageView, type Stage } from "./stage";

/** A feed that lives as long as the page. */
export function useFeed(id: string): Feed {
  const [feed] = useState(() => new Feed(id));
  useEffect(() => () => feed.dispose(), [feed]);
  return feed;
}

export function RunGone() {
  return (
    <Empty title={t("run.gone")}>
      <p>{t("run.gone_hint")}</p>
      <p>
        <a class="button" href={href("/")}>
          {t("no_page.back")}
        </a>
      </p>
    </Empty>
  );
}

function Facts({ card, detail }: { card: Card; detail: Detail }) {
  const scores = card.score ?? {};
  const running = card.state === "running";
  const facts: { name: string; value: string; more?: string; title?: string }[] = [
    {
      name: t("fact.step"),
      value: whole(card.step),
      more: t("fact.of", { total: whole(card.steps) }),
    },
  ];
  if (running) {
    facts.push({ name: t("fact.left"), value: duration(card.seconds_left) });
    facts.push({ name: t("chart.images_per_second"), value: measure(card.images_per_second, 4) });
  }
  facts.push({ name: t("fact.epoch"), value: whole(card.epoch) });
  for (const key of ["fid", "kid"]) {
    const value = scores[key];
    if (value === null || value === undefined) continue;
    const info = detail.metrics_info.find((m) => m.key === key);
    const baseline = scores[`${key}_baseline`] ?? detail.evaluation?.[`${key}_baseline`];
    facts.push({
      name: info?.name ?? key.toUpperCase(),
      value: score(value),
      ...(baseline === null || baseline === undefined ? {} : { more: t("real_data", { value: score(baseline) }) }),
      ...(info ? { title: info.description } : {}),
    });
  }
  return (
    <dl class="facts">
      {facts.map((fact) => (
        <div key={fact.name} title={fact.title}>
          <dt>{fact.name}</dt>
          <dd>
            {fact.value}
            {fact.more && <small>{fact.more}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Health({ feed, card }: { feed: Feed; card: Card }) {
  const messages = feed.health.value;
  const said = messages.length > 0;
  if (card.state === "failed" && card.message) {
    return (
      <div class="notice bad" role="alert">
        <Icon name="warn" />
        <p lang="en">{card.message}</p>
      </div>
    );
  }
  if (!said) return null;
  return (
    <div class="notice warn">
      <Icon name="warn" />
      <ul>
        {messages.slice(-3).map(({ step, message }) => (
          <li key={`${step} ${message}`}>
            <span class="quiet">{t("health.at", { step: whole(step) })}</span> <span lang="en">{message}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The logged values as a table: for whoever cannot see the charts, and for exact numbers. */
function Numbers({ feed }: { feed: Feed }) {
  const [open, setOpen] = useState(false);
  if (open) void feed.version.value;
  const keys = Object.keys(feed.columns).filter((key) => key !== "epoch");
  const count = feed.steps.length;
  const rows = 24;
  const picks = [
    ...new Set(
      Array.from(
        { length: Math.min(rows, count) },
        (_, i, n = Math.min(rows, count)) => Math.round(((i + 1) * count) / n) - 1,
      ),
    ),
  ];
  return (
    <details class="numbers" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t("numbers")}</summary>
      {open && (
        <div class="wide" tabIndex={0} role="region" aria-label={t("numbers")}>
          <table>
            <caption>{t("numbers.caption", { n: picks.length, count: whole(count) })}</caption>
            <thead>
              <tr>
                <th scope="col">{t("fact.step")}</th>
                {keys.map((key) => (
                  <th key={key} scope="col" lang="en">
                    {key.replaceAll("_", " ")}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {picks.map((i) => (
                <tr key={feed.steps[i]}>
                  <th scope="row">{whole(feed.steps[i]!)}</th>
                  {keys.map((key) => (
                    <td key={key}>{measure(feed.columns[key]![i])}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
          {feed.scores.length > 0 && (
            <table>
              <caption>{t("numbers.scores")}</caption>
              <thead>
                <tr>
                  <th scope="col">{t("fact.step")}</th>
                  {scoreKeys(feed).map((key) => (
                    <th key={key} scope="col" lang="en">
                      {key.replaceAll("_", " ")}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {feed.scores.slice(-rows).map((row) => (
                  <tr key={row.step}>
                    <th scope="row">{whole(row.step)}</th>
                    {scoreKeys(feed).map((key) => (
                      <td key={key}>{measure(row[key])}</td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </div>
      )}
    </details>
  );
}

const scoreKeys = (feed: Feed): string[] =>
  Object.keys(feed.scores.at(-1) ?? {}).filter((key) => key !== "step" && typeof feed.scores.at(-1)![key] === "number");

function About({ detail, card }: { detail: Detail; card: Card }) {
  const [channels, height, width] = card.image_shape;
  return (
    <details class="numbers">
      <summary>{t("about")}</summary>
      <dl class="about">
        <dt>{t("about.folder")}</dt>
        <dd>
          <code>{detail.shell_path}</code>
        </dd>
        <dt>{t("about.data")}</dt>
        <dd>
          {card.data}, {t(channels === 1 ? "shape.gray" : "shape.color", { size: `${width} × ${height}` })}
        </dd>
        <dt>{t("about.recipe")}</dt>
        <dd lang="en">
          {card.recipe}: {card.summary}
        </dd>
        {detail.notes.length > 0 && (
          <>
            <dt>{t("about.notes")}</dt>
            <dd lang="en">
              {detail.notes.map((note) => (
                <p key={note}>{note}</p>
              ))}
            </dd>
          </>
        )}
        <dt>{t("about.command")}</dt>
        <dd class="command">
          <pre>
            <code>{detail.command}</code>
          </pre>
          <CopyButton text={() => detail.command} label={t("copy")} />
        </dd>
      </dl>
    </details>
  );
}

export function LivePage({ id }: { id: string }) {
  const feed = useFeed(id);
  const given = (name: string): number | null =>
    /^\d+$/.test(route.peek().params.get(name) ?? "") ? Number(route.peek().params.get(name)) : null;
  const stage: Stage = { chosen: useSignal(given("step")), pinned: useSignal(given("pin")) };
  useSignalEffect(() => {
    const params = new URLSearchParams();
    if (stage.chosen.value !== null) params.set("step", String(stage.chosen.value));
    if (stage.pinned.value !== null) params.set("pin", String(stage.pinned.value));
    keepParams(params);
  });
  const card = feed.card.value;
  const detail = feed.detail.value;
  useTitle(
    card ? (card.state === "running" ? `${percent(card.step / (card.steps || 1))} ${card.name}` : card.name) : "",
  );
  const before = useSignal("");
  useSignalEffect(() => {
    const now = feed.card.value;
    if (!now) return;
    if (before.peek() && before.peek() !== now.state) announce(`${now.name}: ${t(`state.${now.state}`)}`);
    before.value = now.state;
  });
  useSignalEffect(() => {
    const last = feed.health.value.at(-1);
    if (last && feed.active.peek()) announce(last.message);
  });

  if (feed.gone.value) return <RunGone />;
  if (feed.error.value?.code === "not_found") return <RunGone />;
  if (!card || !detail) {
    return feed.error.value ? <ErrorNote error={feed.error.value} retry={() => void feed.reload()} /> : <Loading />;
  }
  return (
    <>
      <RunHead feed={feed} card={card} view="live" />
      <Health feed={feed} card={card} />
      <div class={`live ${stage.pinned.value === null ? "" : "with-pin"}`}>
        <div class="live-stage">
          <StageView feed={feed} card={card} stage={stage} />
        </div>
        <div class="live-side">
          <Facts card={card} detail={detail} />
          <LiveCharts feed={feed} detail={detail} stage={stage} />
          <Numbers feed={feed} />
          <About detail={detail} card={card} />
        </div>
      </div>
    </>
  );
}
