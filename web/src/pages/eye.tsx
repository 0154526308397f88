// The discriminator's eye: what it looks at, how it ranks samples, and a quiz against it.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ApiError, asApiError, post } from "../api";
import { announce } from "../announce";
import { percent, t, whole } from "../i18n";
import { Icon } from "../icons";
import { Latest } from "../latest";
import { keepParams, route } from "../router";
import { bytesOf, mapCanvas, Sample, toCanvas } from "../sample";
import { dark } from "../settings";
import type { Card, Detail } from "../types";
import { ErrorNote, Loading, Segmented, Slider } from "../ui";
import { Checkpoint } from "./checkpoint";
import { RunPage } from "./run_page";

interface Judged {
  step: number;
  probability: number[];
  shape: number[];
  images: string;
  maps: string;
}

interface Round extends Judged {
  real: boolean[];
}

const COUNT = 24;
const QUESTIONS = 12;

function useCanvases(judged: Judged | null) {
  return useMemo(() => {
    if (!judged) return null;
    return {
      images: toCanvas(bytesOf(judged.images), judged.shape),
      maps: mapCanvas(bytesOf(judged.maps), judged.shape),
      size: [judged.shape[2]!, judged.shape[1]!] as [number, number],
    };
  }, [judged, dark.value]);
}

function Looks({
  card,
  detail,
  step,
  onStep,
}: {
  card: Card;
  detail: Detail;
  step: number | null;
  onStep: (step: number | null) => void;
}) {
  const [page, setPage] = useState(0);
  const [judged, setJudged] = useState<Judged | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(true);
  const [overlay, setOverlay] = useState(0.9);
  const [order, setOrder] = useState<"drawn" | "best" | "worst">("best");
  const worker = useRef<Latest<Record<string, unknown>, Judged> | null>(null);
  worker.current ??= new Latest(
    (value) => post<Judged>(`/runs/${card.id}/saliency`, value),
    (value) => (setJudged(value), setError(null), setBusy(false)),
    (failure) => (setError(failure), setBusy(false)),
  );
  useEffect(() => () => worker.current?.stop(), []);
  const ask = (): void => {
    setBusy(true);
    worker.current!.ask({ seeds: Array.from({ length: COUNT }, (_, i) => page * COUNT + i), step });
  };
  useEffect(ask, [page, step]);
  const canvases = useCanvases(judged);
  const indices = judged ? judged.probability.map((_, i) => i) : [];
  if (order !== "drawn")
    indices.sort((a, b) => (judged!.probability[b]! - judged!.probability[a]!) * (order === "best" ? 1 : -1));
  return (
    <div class="eye">
      <section class="panel explore-panel eye-side">
        <p>{t("eye.text")}</p>
        <Segmented
          label={t("eye.order")}
          value={order}
          options={[
            { value: "best", label: t("eye.best") },
            { value: "worst", label: t("eye.worst") },
            { value: "drawn", label: t("eye.drawn") },
          ]}
          onChange={setOrder}
        />
        <Slider
          label={t("eye.overlay")}
          min={0}
          max={1}
          step={0.05}
          value={overlay}
          text={percent(overlay)}
          onInput={setOverlay}
        />
        <p class="quiet small-text map-key">
          <span>
            <i class="swatch k1" aria-hidden="true" /> {t("eye.up")}
          </span>
          <span>
            <i class="swatch k0" aria-hidden="true" /> {t("eye.down")}
          </span>
        </p>
        <Checkpoint
          detail={detail}
          step={step}
          used={judged?.step ?? null}
          note={t("eye.checkpoint_hint")}
          onChange={onStep}
        />
        <button type="button" onClick={() => setPage(page + 1)}>
          {t("eye.more")}
        </button>
        {error && <ErrorNote error={error} retry={ask} />}
      </section>
      <section aria-label={t("eye.samples")} aria-busy={busy}>
        {canvases && judged ? (
          <ol class={`eye-grid ${busy ? "busy" : ""}`}>
            {indices.map((i) => (
              <li key={i}>
                <Sample
                  source={canvases.images}
                  index={i}
                  size={canvases.size}
                  scale={Math.max(1, Math.ceil(160 / canvases.size[0]))}
                  over={{ source: canvases.maps, opacity: overlay }}
                  alt={t("eye.sample_alt", { seed: String(page * COUNT + i), value: percent(judged.probability[i]!) })}
                />
                <span aria-hidden="true">{percent(judged.probability[i]!)}</span>
              </li>
            ))}
          </ol>
        ) : (
          !error && <Loading text={t("explore.starting")} />
        )}
      </section>
    </div>
  );
}

interface Result {
  step: number;
  you: number;
  d: number;
}

function Quiz({
  card,
  detail,
  step,
  onStep,
}: {
  card: Card;
  detail: Detail;
  step: number | null;
  onStep: (step: number | null) => void;
}) {
  const [round, setRound] = useState<Round | null>(null);
  const [guesses, setGuesses] = useState<boolean[]>([]);
  const [results, setResults] = useState<Result[]>([]);
  const [seed, setSeed] = useState(() => Math.floor(Math.random() * 100_000));
  const [error, setError] = useState<ApiError | null>(null);
  const [overlay, setOverlay] = useState(false);
  useEffect(() => {
    let current = true;
    setRound(null);
    setGuesses([]);
    post<Round>(`/runs/${card.id}/quiz`, { seed, count: QUESTIONS, step }).then(
      (value) => current && (setRound(value), setError(null)),
      (caught) => current && setError(asApiError(caught)),
    );
    return () => {
      current = false;
    };
  }, [seed, step]);
  const canvases = useCanvases(round);
  const at = guesses.length;
  const done = round !== null && at >= round.real.length;
  const right = (list: boolean[]): number => list.filter((guess, i) => guess === round!.real[i]).length;
  const guess = (real: boolean): void => {
    if (!round || done) return;
    const next = [...guesses, real];
    setGuesses(next);
    if (next.length === round.real.length) {
      const result = { step: round.step, you: right(next), d: right(round.probability.map((p) => p > 0.5)) };
      setResults([...results, result]);
      announce(t("quiz.result", { you: String(result.you), d: String(result.d), n: round.real.length }));
    }
  };
  // At once, not after painting: a quick second press must not meet the state before the first.
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        (event.target as HTMLElement).closest("input, select, textarea")
      )
        return;
      if (event.key === "ArrowLeft" || event.key.toLowerCase() === "r") guess(true);
      else if (event.key === "ArrowRight" || event.key.toLowerCase() === "g") guess(false);
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  });
  const last = results.at(-1);
  return (
    <div class="eye">
      <section class="panel explore-panel eye-side">
        <p>{t("quiz.text", { n: QUESTIONS })}</p>
        <Checkpoint
          detail={detail}
          step={step}
          used={round?.step ?? null}
          note={t("quiz.checkpoint_hint")}
          onChange={onStep}
        />
        <button type="button" onClick={() => setSeed(seed + 1)}>
          {t("quiz.again")}
        </button>
        {results.length > 0 && (
          <table class="quiz-table">
            <caption>{t("quiz.results")}</caption>
            <thead>
              <tr>
                <th scope="col">{t("fact.step")}</th>
                <th scope="col">{t("quiz.you")}</th>
                <th scope="col">D</th>
              </tr>
            </thead>
            <tbody>
              {results.slice(-8).map((result, i) => (
                <tr key={i}>
                  <th scope="row">{whole(result.step)}</th>
                  <td>{result.you}</td>
                  <td>{result.d}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        {error && <ErrorNote error={error} />}
      </section>
      <section aria-label={t("eye.quiz")}>
        {!canvases || !round ? (
          !error && <Loading text={t("explore.starting")} />
        ) : done ? (
          <>
            <div class="quiz-score" role="status">
              <h2>{t(last!.you > last!.d ? "quiz.won" : last!.you === last!.d ? "quiz.draw" : "quiz.lost")}</h2>
              <p>{t("quiz.result", { you: String(last!.you), d: String(last!.d), n: round.real.length })}</p>
              <div class="tools">
                <button type="button" class="primary" onClick={() => setSeed(seed + 1)}>
                  {t("quiz.again")}
                </button>
                <button type="button" aria-pressed={overlay} onClick={() => setOverlay(!overlay)}>
                  {t("quiz.overlay")}
                </button>
              </div>
            </div>
            <ol class="eye-grid">
              {round.real.map((real, i) => {
                const yours = guesses[i] === real;
                const its = round.probability[i]! > 0.5 === real;
                return (
                  <li key={i}>
                    <Sample
                      source={canvases.images}
                      index={i}
                      size={canvases.size}
                      scale={Math.max(1, Math.ceil(160 / canvases.size[0]))}
                      over={{ source: canvases.maps, opacity: overlay ? 0.9 : 0 }}
                      alt={t(real ? "quiz.was_real" : "quiz.was_fake")}
                    />
                    <span>
                      <b>{t(real ? "quiz.real" : "quiz.fake")}</b>
                      <small>
                        {t("quiz.you")} {yours ? "✓" : "✗"} · D {its ? "✓" : "✗"} {percent(round.probability[i]!)}
                      </small>
                    </span>
                  </li>
                );
              })}
            </ol>
          </>
        ) : (
          <div class="quiz-ask">
            <p class="quiet">{t("quiz.question", { at: at + 1, n: round.real.length })}</p>
            <Sample
              class="pad"
              source={canvases.images}
              index={at}
              size={canvases.size}
              scale={Math.max(1, Math.round(336 / canvases.size[0]))}
              alt={t("quiz.image_alt", { at: at + 1 })}
            />
            <div class="row-buttons">
              <button type="button" class="large" onClick={() => guess(true)}>
                <Icon name="left" />
                {t("quiz.real")}
              </button>
              <button type="button" class="large" onClick={() => guess(false)}>
                {t("quiz.fake")}
                <Icon name="right" />
              </button>
            </div>
          </div>
        )}
      </section>
    </div>
  );
}

function Workspace({ card, detail }: { card: Card; detail: Detail }) {
  const given = route.peek().params;
  const [mode, setMode] = useState<"looks" | "quiz">(given.get("mode") === "quiz" ? "quiz" : "looks");
  const [step, setStep] = useState<number | null>(() =>
    detail.checkpoints.includes(Number(given.get("step"))) ? Number(given.get("step")) : null,
  );
  useEffect(() => {
    const params = new URLSearchParams();
    if (mode === "quiz") params.set("mode", mode);
    if (step !== null) params.set("step", String(step));
    keepParams(params);
  }, [mode, step]);
  return (
    <>
      <div class="eye-bar">
        <Segmented
          label={t("nav.eye")}
          value={mode}
          options={[
            { value: "looks", label: t("eye.looks") },
            { value: "quiz", label: t("eye.quiz") },
          ]}
          onChange={setMode}
        />
      </div>
      {mode === "looks" ? (
        <Looks card={card} detail={detail} step={step} onStep={setStep} />
      ) : (
        <Quiz card={card} detail={detail} step={step} onStep={setStep} />
      )}
    </>
  );
}

export function EyePage({ id }: { id: string }) {
  return (
    <RunPage id={id} view="eye">
      {(_, card, detail) => <Workspace card={card} detail={detail} />}
    </RunPage>
  );
}
