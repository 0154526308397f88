// What all images of the view share: class, truncation, training time, and directions with a meaning.

import { useState } from "preact/hooks";
import { type ApiError, asApiError, post } from "../api";
import type { Feed } from "../feed";
import type { Generator } from "../generator";
import { fixed, measure, t } from "../i18n";
import type { Key } from "../strings";
import { texts } from "../strings";
import type { Card, Detail, Direction } from "../types";
import { ErrorNote, Loading, Slider } from "../ui";
import { ClassField } from "./class_field";
import { Checkpoint } from "./checkpoint";
import type { ExploreState } from "./explore_state";

export function Sliders({
  card,
  detail,
  state,
  generator,
}: {
  card: Card;
  detail: Detail;
  state: ExploreState;
  generator: Generator;
}) {
  return (
    <section class="panel explore-panel">
      <ClassField card={card} label={state.label.value} onChange={(label) => (state.label.value = label)} />
      <Slider
        label={t("explore.truncation")}
        min={0}
        max={1.5}
        step={0.05}
        value={state.truncation.value}
        text={fixed(state.truncation.value, 2)}
        note={t("explore.truncation_hint")}
        onInput={(value) => (state.truncation.value = Number(value.toFixed(2)))}
        onReset={() => (state.truncation.value = 1)}
      />
      <Checkpoint
        detail={detail}
        step={state.step.value}
        used={generator.step.value}
        note={t("explore.checkpoint_hint")}
        onChange={(step) => (state.step.value = step)}
      />
    </section>
  );
}

/** A direction's name in the language set, where it is a known one. */
function nameOf(name: string): string {
  const numbered = /^component (\d+)$/.exec(name);
  if (numbered) return t("direction.component", { n: numbered[1]! });
  const key = `direction.${name}`;
  return key in texts ? t(key as Key) : name;
}

export function Directions({ feed, state }: { feed: Feed; state: ExploreState }) {
  const [list, setList] = useState<Direction[] | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const set = state.directions.value;
  const used = Object.values(set).some((amount) => amount !== 0);
  const load = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      const answer = await post<{ directions: Direction[] }>(`/runs/${feed.id}/directions`, { step: state.step.value });
      setList(answer.directions);
    } catch (caught) {
      setError(asApiError(caught));
    }
    setBusy(false);
  };
  const slider = (direction: Direction) => (
    <Slider
      key={direction.name}
      label={nameOf(direction.name)}
      min={-3}
      max={3}
      step={0.1}
      value={set[direction.name] ?? 0}
      text={`${(set[direction.name] ?? 0) > 0 ? "+" : ""}${measure(set[direction.name] ?? 0, 2)} σ`}
      {...(direction.r2 === null ? {} : { note: t("directions.r2", { value: fixed(direction.r2, 2) }) })}
      onInput={(value) =>
        (state.directions.value = { ...state.directions.value, [direction.name]: Number(value.toFixed(1)) })
      }
      onReset={() => (state.directions.value = { ...state.directions.value, [direction.name]: 0 })}
    />
  );
  const named = list?.filter((d) => d.kind === "attribute") ?? [];
  const unnamed = list?.filter((d) => d.kind !== "attribute") ?? [];
  return (
    <section class="panel explore-panel">
      <div class="panel-head">
        <h2>{t("directions")}</h2>
        {used && (
          <button type="button" class="small" onClick={() => (state.directions.value = {})}>
            {t("reset")}
          </button>
        )}
      </div>
      {!list && !busy && (
        <>
          <p class="quiet">{t("directions.hint")}</p>
          <button type="button" onClick={() => void load()}>
            {t("directions.find")}
          </button>
        </>
      )}
      {busy && <Loading text={t("directions.finding")} />}
      {error && <ErrorNote error={error} />}
      {list && !list.length && <p class="quiet">{t("directions.none")}</p>}
      {named.map(slider)}
      {unnamed.length > 0 && (
        <details>
          <summary>{t("directions.principal")}</summary>
          <div class="explore-panel">{unnamed.map(slider)}</div>
        </details>
      )}
    </section>
  );
}
