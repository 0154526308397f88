// One training step, stage by stage, on eight real images and on a copy of the run.

import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, post } from "../api";
import { fixed, t } from "../i18n";
import { Icon } from "../icons";
import { Latest } from "../latest";
import { keepParams, route } from "../router";
import { texts, type Key } from "../strings";
import type { Card, Detail } from "../types";
import { CopyButton, ErrorNote, Loading } from "../ui";
import { Checkpoint } from "./checkpoint";
import { RunPage } from "./run_page";
import { Board, type Frame } from "./slow_board";

const STAGES = ["overview", "noise", "generator", "discriminator", "losses", "gradient", "update"] as const;
const MOST_TURNS = 200;
const PAUSE = 6000; // milliseconds a stage is shown while it plays

/** The losses of the objective, as functions of D's output: D, or C where it is no probability. */
const equations: Record<string, [d: string, g: string]> = {
  non_saturating: ["−log D(x) − log(1 − D(G(z)))", "−log D(G(z))"],
  saturating: ["−log D(x) − log(1 − D(G(z)))", "log(1 − D(G(z)))"],
  least_squares: ["½(C(x) − 1)² + ½C(G(z))²", "½(C(G(z)) − 1)²"],
  hinge: ["max(0, 1 − C(x)) + max(0, 1 + C(G(z)))", "−C(G(z))"],
  wasserstein: ["C(G(z)) − C(x)", "−C(G(z))"],
  relativistic: ["−log σ(C(x) − C(G(z)))", "−log σ(C(G(z)) − C(x))"],
};

function useFrames(id: string, step: number | null, seed: number, turns: string) {
  const [frame, setFrame] = useState<Frame | null>(null);
  const [before, setBefore] = useState<Frame | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(true);
  const shown = useRef<{ frame: Frame; key: string } | null>(null);
  const worker = useRef<Latest<{ turns: string; step: number | null; seed: number }, Frame> | null>(null);
  worker.current ??= new Latest(
    (value) => post<Frame>(`/runs/${id}/slow`, value),
    (next, { step: ofStep, seed: ofSeed }) => {
      const key = `${ofStep} ${ofSeed}`;
      const last = shown.current;
      // Before and after belong to the same images, and to turns that follow each other.
      setBefore(last && last.key === key && next.turns.length > last.frame.turns.length ? last.frame : null);
      shown.current = { frame: next, key };
      setFrame(next);
      setError(null);
      setBusy(false);
    },
    (failure) => {
      setError(failure);
      setBusy(false);
    },
  );
  useEffect(() => () => worker.current?.stop(), []);
  const ask = (): void => {
    setBusy(true);
    worker.current!.ask({ turns, step, seed });
  };
  useEffect(ask, [turns, step, seed]);
  return { frame, before, error, busy, ask };
}

function Losses({ frame, before, stage }: { frame: Frame; before: Frame | null; stage: number }) {
  const row = (name: string, now: number | null, was: number | null | undefined) => (
    <div>
      <dt>{name}</dt>
      <dd>
        {was !== null && was !== undefined && was !== now && <small>{fixed(was, 3)} → </small>}
        {now === null ? "–" : fixed(now, 3)}
      </dd>
    </div>
  );
  return (
    <dl class={`slow-losses ${stage === 4 || stage === 6 ? "lit" : ""}`}>
      {row(t("compare.d_loss"), frame.discriminator_loss, before?.discriminator_loss)}
      {row(t("compare.g_loss"), frame.generator_loss, before?.generator_loss)}
      {stage === 6 && row(t("slow.d_norm"), frame.discriminator_norm, before?.discriminator_norm)}
      {stage === 6 && row(t("slow.g_norm"), frame.generator_norm, before?.generator_norm)}
    </dl>
  );
}

function Workspace({ card, detail }: { card: Card; detail: Detail }) {
  const given = route.peek().params;
  const [turns, setTurns] = useState(() => (given.get("turns") ?? "").replace(/[^DG]/g, "").slice(0, MOST_TURNS));
  const [seed, setSeed] = useState(() => Math.max(0, Number.parseInt(given.get("seed") ?? "0", 10) || 0));
  const [step, setStep] = useState<number | null>(() =>
    detail.checkpoints.includes(Number(given.get("step"))) ? Number(given.get("step")) : null,
  );
  const [stage, setStage] = useState(() =>
    Math.max(0, Math.min(6, Number.parseInt(given.get("stage") ?? "0", 10) || 0)),
  );
  const [playing, setPlaying] = useState(false);
  const { frame, before, error, busy, ask } = useFrames(card.id, step, seed, turns);
  const params = new URLSearchParams();
  if (turns) params.set("turns", turns);
  if (seed) params.set("seed", String(seed));
  if (step !== null) params.set("step", String(step));
  if (stage) params.set("stage", String(stage));
  useEffect(() => keepParams(params), [params.toString()]);
  useEffect(() => {
    if (!playing) return;
    const timer = setTimeout(() => (stage < 6 ? setStage(stage + 1) : setPlaying(false)), PAUSE);
    return () => clearTimeout(timer);
  }, [playing, stage]);

  const take = (more: string): void => {
    setTurns((old) => (old + more).slice(0, MOST_TURNS));
    setStage(6);
  };
  const name = STAGES[stage]!;
  const objective = frame?.objective ?? "";
  const equation = equations[objective];
  const count = (player: string): number => turns.split(player).length - 1;
  const full = turns.length >= MOST_TURNS;
  return (
    <div class="slow">
      <div class="slow-side">
        <section class="slow-theory panel explore-panel" aria-label={t("slow.stages")}>
          <ol class="stages" aria-label={t("slow.stages")}>
            {STAGES.map((s, i) => (
              <li key={s}>
                <button
                  type="button"
                  aria-current={i === stage ? "step" : undefined}
                  onClick={() => (setStage(i), setPlaying(false))}
                >
                  {i > 0 && <span>{i}</span>}
                  {t(`slow.${s}`)}
                </button>
              </li>
            ))}
          </ol>
          <div class="theory" aria-live="polite">
            <h2>{t(`slow.${name}`)}</h2>
            <p>{t(`slow.${name}_text`, { n: frame?.z[0]?.length ?? 0 })}</p>
            {stage === 4 && equation && (
              <div class="equations">
                <p>
                  L<sub>D</sub> = E[{equation[0]}]
                </p>
                <p>
                  L<sub>G</sub> = E[{equation[1]}]
                </p>
                <p class="quiet small-text">
                  {`objective.${objective}` in texts ? t(`objective.${objective}` as Key) : objective}
                  {equation[0].includes("C(") && ` ${t("slow.critic")}`}
                </p>
              </div>
            )}
          </div>
          <div class="row-buttons stage-buttons">
            <button type="button" disabled={stage === 0} onClick={() => (setStage(stage - 1), setPlaying(false))}>
              <Icon name="left" />
              {t("slow.back")}
            </button>
            <button
              type="button"
              class={stage < 6 ? "primary" : ""}
              disabled={stage === 6}
              onClick={() => (setStage(stage + 1), setPlaying(false))}
            >
              {t("slow.next")}
              <Icon name="right" />
            </button>
            <button
              type="button"
              aria-pressed={playing}
              aria-label={t(playing ? "slow.pause" : "slow.play")}
              title={t(playing ? "slow.pause" : "slow.play")}
              onClick={() => (setStage(stage === 6 ? 0 : stage), setPlaying(!playing))}
            >
              <Icon name={playing ? "pause" : "play"} />
            </button>
          </div>
        </section>
        <section class="slow-turns panel explore-panel" aria-label={t("slow.turns")}>
          {frame && <Losses frame={frame} before={before} stage={stage} />}
          <div class="turns">
            <h2>{t("slow.turns")}</h2>
            <p class="quiet small-text">
              {turns ? t("slow.taken", { d: count("D"), g: count("G") }) : t("slow.no_turns")}
            </p>
            <div class="turn-buttons">
              <button type="button" disabled={full} onClick={() => take("D")}>
                {t("slow.d_turn")}
              </button>
              <button type="button" disabled={full} onClick={() => take("G")}>
                {t("slow.g_turn")}
              </button>
              <button type="button" disabled={full} onClick={() => take("DG")}>
                {t("slow.both")}
              </button>
              <button type="button" disabled={full} onClick={() => take("DG".repeat(10))}>
                {t("slow.ten")}
              </button>
              <button type="button" disabled={!turns} onClick={() => setTurns(turns.slice(0, -1))}>
                <Icon name="undo" />
                {t("slow.undo")}
              </button>
              <button type="button" disabled={!turns} onClick={() => setTurns("")}>
                {t("reset")}
              </button>
            </div>
          </div>
          <Checkpoint
            detail={detail}
            step={step}
            used={frame?.step ?? null}
            onChange={(next) => (setStep(next), setTurns(""))}
          />
          <div class="row-buttons">
            <button type="button" onClick={() => setSeed(seed + 1)}>
              {t("slow.others")}
            </button>
            <CopyButton
              label={t("explore.link")}
              text={() =>
                `${location.origin}${location.pathname}${location.hash.split("?", 1)[0]}?${params.toString()}`
              }
            />
          </div>
          {error && <ErrorNote error={error} retry={ask} />}
        </section>
      </div>
      <section class={`slow-main ${busy ? "busy" : ""}`} aria-busy={busy} aria-label={t("slow.board")}>
        {frame ? (
          <Board frame={frame} before={before} stage={stage} />
        ) : (
          !error && <Loading text={t("explore.starting")} />
        )}
        {frame && (
          <p class="quiet small-text map-key">
            <span>
              <i class="swatch k1" aria-hidden="true" /> {t("map.brighter")}
            </span>
            <span>
              <i class="swatch k0" aria-hidden="true" /> {t("map.darker")}
            </span>
          </p>
        )}
      </section>
    </div>
  );
}

export function SlowPage({ id }: { id: string }) {
  return (
    <RunPage id={id} view="slow">
      {(_, card, detail) => <Workspace card={card} detail={detail} />}
    </RunPage>
  );
}
