// The head of a run's pages: name, state, progress, and what can be done with it.

import { useState } from "preact/hooks";
import { ApiError, asApiError, post } from "../api";
import { announce } from "../announce";
import { t, whole } from "../i18n";
import { Icon } from "../icons";
import type { Feed } from "../feed";
import { href } from "../router";
import type { Card } from "../types";
import { ErrorNote, Progress, StateMark, useName } from "../ui";

const views = ["live", "explore", "slow", "draw", "eye"] as const;
export type View = (typeof views)[number];

export function RunHead({ feed, card, view }: { feed: Feed; card: Card; view: View }) {
  return (
    <div class="run-head">
      <div class="run-title">
        <h1>{card.name}</h1>
        <StateMark state={card.state} />
        <nav class="tabs" aria-label={t("run.views")}>
          {views.map((name) => (
            <a key={name} href={href(`/run/${card.id}/${name}`)} aria-current={view === name ? "page" : undefined}>
              {t(`nav.${name}`)}
            </a>
          ))}
        </nav>
        <Actions feed={feed} card={card} />
      </div>
      <Progress card={card} label={t("progress.of", { name: card.name })} />
    </div>
  );
}

type Want = "run" | "pause" | "stop" | "resume";

function Actions({ feed, card }: { feed: Feed; card: Card }) {
  const [waiting, setWaiting] = useState<{ want: Want; from: string } | null>(null);
  const [asking, setAsking] = useState<"stop" | "longer" | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [steps, setSteps] = useState("");
  const field = useName();
  // What was asked for has happened once the state is another one.
  const busy = waiting !== null && waiting.from === card.state;

  const ask = async (want: Want, total?: number): Promise<void> => {
    setAsking(null);
    setError(null);
    setWaiting({ want, from: card.state });
    try {
      if (want === "resume") await post(`/runs/${card.id}/resume`, { steps: total ?? null });
      else await post(`/runs/${card.id}/control`, { want });
      announce(t(`control.asked.${want}`));
    } catch (caught) {
      setWaiting(null);
      setError(asApiError(caught));
      void feed.reload();
    }
  };

  const resumable = !card.controllable && ["stopped", "interrupted", "failed"].includes(card.state);
  const longer = Number(steps);
  return (
    <div class="actions">
      {busy && (
        <span class="quiet waiting" role="status">
          <span class="spinner" aria-hidden="true" />
          {t(`control.wait.${waiting.want}`)}
        </span>
      )}
      {card.controllable && card.state === "running" && (
        <button type="button" disabled={busy} onClick={() => ask("pause")}>
          <Icon name="pause" />
          {t("control.pause")}
        </button>
      )}
      {card.controllable && card.state === "paused" && (
        <button type="button" class="primary" disabled={busy} onClick={() => ask("run")}>
          <Icon name="play" />
          {t("control.run")}
        </button>
      )}
      {card.controllable && asking !== "stop" && (
        <button type="button" disabled={busy} onClick={() => setAsking("stop")}>
          <Icon name="stop" />
          {t("control.stop")}
        </button>
      )}
      {resumable && (
        <button type="button" class="primary" disabled={busy} onClick={() => ask("resume")}>
          <Icon name="play" />
          {t("control.resume")}
        </button>
      )}
      {card.state === "finished" && asking !== "longer" && (
        <button type="button" disabled={busy} onClick={() => (setSteps(String(card.steps * 2)), setAsking("longer"))}>
          <Icon name="plus" />
          {t("control.longer")}
        </button>
      )}
      {asking === "stop" && (
        <div class="ask" role="group" aria-label={t("control.stop_sure")}>
          <span>{t("control.stop_sure")}</span>
          <button type="button" class="danger" ref={(node) => node?.focus()} onClick={() => ask("stop")}>
            {t("control.stop")}
          </button>
          <button type="button" onClick={() => setAsking(null)}>
            {t("cancel")}
          </button>
        </div>
      )}
      {asking === "longer" && (
        <form
          class="ask"
          onSubmit={(event) => {
            event.preventDefault();
            if (longer > card.steps) void ask("resume", longer);
          }}
        >
          <label for={field}>{t("control.longer_to")}</label>
          <input
            id={field}
            class="number"
            type="number"
            min={card.steps + 1}
            step={1}
            value={steps}
            required
            onInput={(event) => setSteps(event.currentTarget.value)}
          />
          <button type="submit" class="primary" disabled={!(longer > card.steps)}>
            {t("control.start")}
          </button>
          <button type="button" onClick={() => setAsking(null)}>
            {t("cancel")}
          </button>
        </form>
      )}
      {error && <ErrorNote error={error} />}
      <span class="hidden">{t("progress", { step: whole(card.step), steps: whole(card.steps) })}</span>
    </div>
  );
}
