// All runs as cards: the newest grid, how far, how good.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ApiError, asApiError, get, isAbort } from "../api";
import { announce } from "../announce";
import { ago, compact, dateTime, measure, score, t, whole } from "../i18n";
import { Icon } from "../icons";
import { RunImage } from "../images";
import { go, href } from "../router";
import { useTitle } from "../title";
import type { About, Card, State } from "../types";
import { CopyButton, Empty, ErrorNote, Loading, Progress, StateMark, timeLeft } from "../ui";

const MANY = 12;
const MOST_RUNS = 8; // of a comparison
const states: State[] = ["running", "paused", "finished", "stopped", "interrupted", "failed", "damaged"];

function useRuns() {
  const [cards, setCards] = useState<Card[] | null>(null);
  const [about, setAbout] = useState<About | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    let seen = new Map<string, State>();
    const load = async (): Promise<void> => {
      let wait = 3000;
      try {
        if (!document.hidden || !seen.size) {
          const { runs } = await get<{ runs: Card[] }>("/runs", stop.signal);
          setCards(runs);
          setError(null);
          if (runs.some((card) => card.state === "running")) wait = 1500;
          for (const card of runs) {
            const before = seen.get(card.id);
            if (before && before !== card.state) announce(`${card.name}: ${t(`state.${card.state}`)}`);
          }
          seen = new Map(runs.map((card) => [card.id, card.state]));
        }
      } catch (caught) {
        if (isAbort(caught)) return;
        setError(asApiError(caught));
      }
      timer = window.setTimeout(load, wait);
    };
    void load();
    get<About>("/about", stop.signal).then(setAbout, () => undefined);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [round]);
  return { cards, about, error, retry: () => setRound(round + 1) };
}

function RunCard({ card, selected, onSelect }: { card: Card; selected: boolean; onSelect: (on: boolean) => void }) {
  if (card.state === "damaged") {
    return (
      <li class="card damaged">
        <div class="card-image image-empty">
          <Icon name="warn" />
        </div>
        <div class="card-text">
          <h2>{card.name}</h2>
          <p>
            <StateMark state="damaged" />
          </p>
          <p class="card-message" lang="en">
            {card.message}
          </p>
          <p class="quiet small-text path">{card.path}</p>
        </div>
      </li>
    );
  }
  const busy = card.state === "running" || card.state === "paused";
  const running = card.state === "running";
  const fid = card.score?.["fid"];
  const baseline = card.score?.["fid_baseline"];
  const facts = [
    busy || card.step < card.steps
      ? t("progress", { step: compact(card.step), steps: compact(card.steps) })
      : t("steps", { n: card.steps, count: compact(card.steps) }),
    ...(running
      ? [card.images_per_second !== null && t("rate", { value: measure(card.images_per_second, 3) }), timeLeft(card)]
      : [card.data, card.recipe]),
  ].filter(Boolean);
  return (
    <li class={`card ${selected ? "selected" : ""}`}>
      <a class="card-link" href={href(`/run/${card.id}/live`)}>
        <RunImage
          class="card-image"
          path={card.grids === null ? null : `/runs/${card.id}/grids/${card.grids}.png`}
          alt={
            card.grids === null ? t("runs.no_grid") : t("runs.grid_alt", { name: card.name, step: whole(card.grids) })
          }
        />
        <div class="card-text">
          <div class="card-top">
            <h2>{card.name}</h2>
            {fid !== null && fid !== undefined && <b>{t("fid", { value: score(fid) })}</b>}
          </div>
          <p class="card-line">
            <span>
              <StateMark state={card.state} />
              <span class="quiet" title={dateTime(card.created)}>
                {" "}
                · {ago(card.created)}
              </span>
            </span>
            {baseline !== null && baseline !== undefined && (
              <span class="quiet">{t("real_data", { value: score(baseline) })}</span>
            )}
          </p>
          <Progress card={card} label={t("progress.of", { name: card.name })} />
          <p class="card-line quiet">
            <span>{facts.join(" · ")}</span>
          </p>
          {card.message && (
            <p class={`card-message ${card.state === "failed" ? "bad" : "warn"}`} lang="en">
              <Icon name="warn" />
              <span>{card.message}</span>
            </p>
          )}
        </div>
      </a>
      <label class="card-select">
        <input type="checkbox" checked={selected} onChange={(event) => onSelect(event.currentTarget.checked)} />
        <span class="hidden">{t("runs.select", { name: card.name })}</span>
      </label>
    </li>
  );
}

function FirstSteps({ about }: { about: About | null }) {
  const command = `ganvas train --data mnist-5k --budget 1m --out ${about?.runs_dir ?? "runs"}/first`;
  return (
    <Empty title={t("runs.empty")}>
      <p>{t("runs.empty_hint", { folder: about?.runs_dir ?? "runs" })}</p>
      <a class="button primary" href={href("/new")}>
        <Icon name="plus" />
        {t("nav.new")}
      </a>
      <div class="command">
        <pre>
          <code>{command}</code>
        </pre>
        <CopyButton text={() => command} label={t("copy")} />
      </div>
    </Empty>
  );
}

export function RunsPage() {
  const { cards, about, error, retry } = useRuns();
  const [selected, setSelected] = useState<string[]>([]);
  const [text, setText] = useState("");
  const [state, setState] = useState<State | "">("");
  const search = useRef<HTMLInputElement>(null);
  useTitle(t("nav.runs"));

  const shown = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return (cards ?? []).filter((card) => {
      const hay = [card.name, card.data, card.recipe, card.state, t(`state.${card.state}`)].join(" ").toLowerCase();
      return (!state || card.state === state) && words.every((word) => hay.includes(word));
    });
  }, [cards, text, state]);

  if (!cards) return error ? <ErrorNote error={error} retry={retry} /> : <Loading />;
  if (!cards.length) return <FirstSteps about={about} />;
  const counts = states.map((s) => [s, cards.filter((card) => card.state === s).length] as const).filter(([, n]) => n);
  const chosen = selected.filter((id) => cards.some((card) => card.id === id));
  return (
    <>
      <div class="page-head">
        <h1>{t("nav.runs")}</h1>
        <p class="quiet">{about && t("runs.where", { folder: about.runs_dir, machine: about.machine })}</p>
        <div class="head-buttons">
          {cards.length > 1 && (
            <a class="button" href={href("/compare")}>
              {t("runs.compare")}
            </a>
          )}
          <a class="button primary" href={href("/new")}>
            <Icon name="plus" />
            {t("nav.new")}
          </a>
        </div>
      </div>
      {cards.length > MANY && (
        <div class="filters" role="search">
          <label class="search">
            <Icon name="search" />
            <span class="hidden">{t("runs.search")}</span>
            <input
              ref={search}
              type="search"
              value={text}
              placeholder={t("runs.search")}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
          <div class="chips" role="group" aria-label={t("runs.by_state")}>
            <button type="button" class="chip" aria-pressed={state === ""} onClick={() => setState("")}>
              {t("runs.all")} <span class="count">{cards.length}</span>
            </button>
            {counts.map(([s, n]) => (
              <button
                key={s}
                type="button"
                class="chip"
                aria-pressed={state === s}
                onClick={() => setState(state === s ? "" : s)}
              >
                {t(`state.${s}`)} <span class="count">{n}</span>
              </button>
            ))}
          </div>
        </div>
      )}
      {chosen.length > 0 && (
        <div class="selection" role="region" aria-label={t("runs.selected", { n: chosen.length })}>
          <b>{t("runs.selected", { n: chosen.length })}</b>
          {chosen.length > MOST_RUNS && <span class="quiet">{t("runs.too_many", { n: MOST_RUNS })}</span>}
          <button
            type="button"
            class="primary"
            disabled={chosen.length < 2 || chosen.length > MOST_RUNS}
            onClick={() => go("/compare", { ids: chosen.join(",") })}
          >
            {t("runs.compare")}
          </button>
          <button type="button" onClick={() => setSelected([])}>
            {t("runs.unselect")}
          </button>
        </div>
      )}
      {shown.length ? (
        <ul class="cards">
          {shown.map((card) => (
            <RunCard
              key={card.id}
              card={card}
              selected={chosen.includes(card.id)}
              onSelect={(on) => setSelected(on ? [...chosen, card.id] : chosen.filter((id) => id !== card.id))}
            />
          ))}
        </ul>
      ) : (
        <Empty part title={t("runs.none_match")}>
          <button
            type="button"
            onClick={() => {
              setText("");
              setState("");
              search.current?.focus();
            }}
          >
            {t("runs.clear")}
          </button>
        </Empty>
      )}
    </>
  );
}
