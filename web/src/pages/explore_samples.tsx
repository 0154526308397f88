// Single samples: the one that is looked at, the tray of picked ones, the walk between them and their children.

import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asApiError, post } from "../api";
import type { Generator, Images } from "../generator";
import { measure, percent, t } from "../i18n";
import { Icon } from "../icons";
import { between, blendText, mix, shares } from "../latent";
import { bytesOf, Sample, toCanvas } from "../sample";
import { saveCanvas } from "../save";
import type { Blend, Card, Neighbors } from "../types";
import { CopyButton, ErrorNote, Loading } from "../ui";
import { addPick, type ExploreState, removePick } from "./explore_state";

interface Part {
  card: Card;
  state: ExploreState;
  generator: Generator;
}

/** Images of these blends, asked for again when they or the look change; the old ones stay until then. */
function useBlends(
  { state, generator }: Part,
  blends: Blend[],
  priority: number,
): { images: Images; key: string } | null {
  const [result, setResult] = useState<{ images: Images; key: string } | null>(null);
  const wanted = useRef<Blend[]>(blends);
  const had = useRef("");
  wanted.current = blends;
  const key = JSON.stringify([blends, state.look.value]);
  useEffect(
    () =>
      generator.add(() => {
        const list = wanted.current;
        const look = state.look.peek();
        const now = JSON.stringify([list, look]);
        if (!list.length || now === had.current) return null;
        return {
          look,
          points: { blends: list },
          done: (images) => {
            had.current = now;
            setResult({ images, key: JSON.stringify(list) });
          },
        };
      }, priority),
    [generator],
  );
  useEffect(() => generator.kick(), [key]);
  return result;
}

function sizeOf(card: Card): [number, number] {
  return [card.image_shape[2], card.image_shape[1]];
}

/** "Seeds 203 53%, 202 41%, 2 more" */
function seedText(blend: Blend): string {
  const all = shares(blend);
  const first = all.slice(0, 2).map(([seed, share]) => `${seed} (${percent(share)})`);
  return t(all.length > 2 ? "sample.seeds_more" : "sample.seeds", {
    seeds: first.join(t("comma")),
    more: String(all.length - 2),
  });
}

export function Inspector(part: Part) {
  const { card, state, generator } = part;
  const blend = state.current.value;
  const result = useBlends(part, [blend], 3);
  const [answer, setAnswer] = useState<{ key: string; value: Neighbors } | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const size = sizeOf(card);
  const key = JSON.stringify([blend, state.look.value]);
  const picked = state.picks.value.length > 0;
  const seeds = blendText(blend);
  const compare = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      const value = await post<Neighbors>(`/runs/${card.id}/neighbors`, { blends: [blend], ...state.look.value });
      setAnswer({ key, value });
    } catch (caught) {
      setError(asApiError(caught));
    }
    setBusy(false);
  };
  const save = (): void => {
    if (!result) return;
    const one = new OffscreenCanvas(...size);
    one.getContext("2d")!.drawImage(result.images.canvas, 0, 0);
    saveCanvas(
      one,
      `${card.name}-${seeds.length < 40 ? seeds.replaceAll(":", "_").replaceAll(",", "-") : "sample"}.png`,
    );
  };
  void generator;
  return (
    <section class="panel explore-panel inspector" aria-label={t("sample")}>
      <div class="inspector-top">
        <div class="inspector-image">
          {result && (
            <Sample
              source={result.images.canvas}
              index={0}
              size={size}
              alt={t("sample.alt", { seeds: blendText((JSON.parse(result.key) as Blend[])[0]!) })}
              scale={Math.max(1, Math.ceil(280 / size[0]))}
            />
          )}
        </div>
        <div class="inspector-text">
          <h2>{t(picked ? "sample.picked" : "sample.middle")}</h2>
          <p class="seeds" title={seeds}>
            {Object.keys(blend).length === 1 ? t("sample.seed", { seed: seeds }) : seedText(blend)}
          </p>
          <div class="stack">
            <CopyButton label={t("copy.command")} text={() => result?.images.command ?? ""} />
            <CopyButton label={t("copy.python")} text={() => result?.images.python ?? ""} />
            <button type="button" disabled={!result} onClick={save}>
              <Icon name="download" />
              {t("sample.save")}
            </button>
          </div>
        </div>
      </div>
      {answer?.key === key ? (
        <div class={`neighbors ${answer.value.copy ? "copy" : ""}`} role="status">
          <p lang="en">
            <Icon name={answer.value.copy ? "warn" : "check"} />
            {answer.value.message}
          </p>
          <Nearest value={answer.value} />
        </div>
      ) : busy ? (
        <Loading text={t("neighbors.busy")} />
      ) : (
        <button type="button" class="wide-button" disabled={!result} onClick={() => void compare()}>
          <Icon name="search" />
          {t("neighbors.ask")}
        </button>
      )}
      {error && <ErrorNote error={error} />}
    </section>
  );
}

function Nearest({ value }: { value: Neighbors }) {
  const [source] = useState(() => toCanvas(bytesOf(value.images), value.shape));
  const [count, height, width] = value.shape as [number, number, number];
  return (
    <ol class="nearest">
      {Array.from({ length: count }, (_, i) => (
        <li key={i}>
          <Sample
            source={source}
            index={i}
            size={[width, height]}
            alt={t("neighbors.alt", { n: i + 1 })}
            scale={Math.max(1, Math.ceil(64 / width))}
          />
          <span>{measure(value.distances[i], 3)}</span>
        </li>
      ))}
    </ol>
  );
}

const FRAMES = 24; // of a walk from one sample to the next

function Walk(part: Part & { picks: Blend[]; uniform: boolean; onStop: () => void }) {
  const { card, state, generator, picks, uniform } = part;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, height] = sizeOf(card);
  const scale = Math.max(1, Math.ceil(320 / width));
  const key = JSON.stringify([picks, state.look.value]);
  useEffect(() => {
    const segments: (Images | null)[] = picks.map(() => null);
    const look = state.look.peek();
    let shown = 0;
    const remove = generator.add(() => {
      // The segment that is shown first, then the others in the order of the walk.
      const at = Math.floor(shown / FRAMES) % picks.length;
      const order = picks.map((_, i) => (at + i) % picks.length);
      const next = order.find((i) => !segments[i]);
      if (next === undefined) return null;
      const [from, to] = [picks[next]!, picks[(next + 1) % picks.length]!];
      const blends = Array.from({ length: FRAMES }, (_, i) => between(from, to, i / FRAMES, uniform));
      return { look, points: { blends }, done: (images) => void (segments[next] = images) };
    }, 1);
    let last = performance.now();
    let frame = requestAnimationFrame(function paint(now: number) {
      frame = requestAnimationFrame(paint);
      if (now - last < 1000 / 20) return;
      const images = segments[Math.floor(shown / FRAMES) % picks.length];
      const context = canvas.current?.getContext("2d");
      if (!images || !context) return; // it waits for its images
      last = now;
      context.imageSmoothingEnabled = false;
      context.drawImage(
        images.canvas,
        0,
        (shown % FRAMES) * height,
        width,
        height,
        0,
        0,
        width * scale,
        height * scale,
      );
      shown = (shown + 1) % (FRAMES * picks.length);
    });
    return () => {
      remove();
      cancelAnimationFrame(frame);
    };
  }, [key]);
  return (
    <div class="walk">
      <canvas ref={canvas} width={width * scale} height={height * scale} role="img" aria-label={t("walk.alt")} />
      <button type="button" onClick={part.onStop}>
        <Icon name="stop" />
        {t("walk.stop")}
      </button>
    </div>
  );
}

/** Children: the even mixture, then random mixtures with a little of somebody new. */
function breed(picks: Blend[], uniform: boolean): Blend[] {
  return Array.from({ length: 8 }, (_, n) => {
    if (n === 0)
      return mix(
        picks.map((blend) => [blend, 1]),
        uniform,
      );
    const weights = picks.map(() => -Math.log(1 - Math.random()));
    const stranger: Blend = { [Math.floor(Math.random() * 10_000)]: 1 };
    const size = Math.hypot(...weights);
    return mix(
      [...picks.map((blend, i): [Blend, number] => [blend, weights[i]! / size]), [stranger, n % 2 ? 0 : 0.35]],
      uniform,
    );
  });
}

export function Tray(part: Part & { uniform: boolean }) {
  const { card, state, uniform } = part;
  const picks = state.picks.value;
  const blends = picks.map((pick) => pick.blend);
  const result = useBlends(part, blends, 0);
  const children = useSignal<Blend[]>([]);
  const born = useBlends(part, children.value, 0);
  const walking = useSignal(false);
  useSignalEffect(() => {
    if (state.picks.value.length < 2) {
      walking.value = false;
      children.value = [];
    }
  });
  const size = sizeOf(card);
  const scale = Math.max(1, Math.ceil(64 / size[0]));
  // Until the images of a changed tray have come, those of the old one show what is still in it.
  const known: Blend[] = result ? (JSON.parse(result.key) as Blend[]) : [];
  const indexOf = (blend: Blend): number => known.findIndex((k) => JSON.stringify(k) === JSON.stringify(blend));
  return (
    <section class="panel explore-panel" aria-label={t("tray")}>
      <div class="panel-head">
        <h2>{t("tray")}</h2>
        {picks.length > 0 && (
          <button type="button" class="small" onClick={() => ((state.picks.value = []), (state.chosen.value = -1))}>
            {t("tray.clear")}
          </button>
        )}
      </div>
      {picks.length === 0 && <p class="quiet">{t("tray.empty")}</p>}
      {picks.length > 0 && (
        <ul class="tray">
          {picks.map((pick, i) => {
            const index = indexOf(pick.blend);
            const seeds = blendText(pick.blend);
            return (
              <li key={seeds} class={i === state.chosen.value ? "current" : ""}>
                <button
                  type="button"
                  class="tile"
                  aria-pressed={i === state.chosen.value}
                  aria-label={t("tray.look", { n: i + 1 })}
                  title={seeds}
                  onClick={() => (state.chosen.value = i)}
                >
                  {result && index >= 0 ? (
                    <Sample source={result.images.canvas} index={index} size={size} alt="" scale={scale} />
                  ) : (
                    <span class="tile-wait" />
                  )}
                </button>
                <button
                  type="button"
                  class="tile-remove"
                  aria-label={t("tray.remove", { n: i + 1 })}
                  onClick={() => removePick(state, i)}
                >
                  <Icon name="close" />
                </button>
              </li>
            );
          })}
        </ul>
      )}
      {picks.length === 1 && <p class="quiet">{t("tray.one")}</p>}
      {picks.length > 1 && (
        <div class="row-buttons">
          <button type="button" aria-pressed={walking.value} onClick={() => (walking.value = !walking.value)}>
            <Icon name={walking.value ? "stop" : "play"} />
            {t("walk")}
          </button>
          <button type="button" onClick={() => (children.value = breed(blends, uniform))}>
            <Icon name="plus" />
            {t(children.value.length ? "breed.again" : "breed")}
          </button>
        </div>
      )}
      {walking.value && picks.length > 1 && <Walk {...part} picks={blends} onStop={() => (walking.value = false)} />}
      {children.value.length > 0 && picks.length > 1 && (
        <div>
          <p class="quiet small-text">{t("breed.hint")}</p>
          <ul class="tray">
            {children.value.map((child, i) => (
              <li key={blendText(child)}>
                <button
                  type="button"
                  class="tile"
                  aria-label={t("breed.keep", { n: i + 1 })}
                  onClick={() => addPick(state, child, null)}
                >
                  {born && born.key === JSON.stringify(children.value) ? (
                    <Sample source={born.images.canvas} index={i} size={size} alt="" scale={scale} />
                  ) : (
                    <span class="tile-wait" />
                  )}
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
    </section>
  );
}
