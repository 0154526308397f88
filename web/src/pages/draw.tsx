// Draw, and the generator answers with its nearest image; paint over the answer, and it follows.

import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asApiError, isAbort, post } from "../api";
import { announce } from "../announce";
import { duration, measure, t } from "../i18n";
import { Icon } from "../icons";
import { type Color, Drawing } from "../pencil";
import { base64Of, bytesOf, Sample, toCanvas } from "../sample";
import { saveCanvas } from "../save";
import type { Card, Detail } from "../types";
import { Check, ErrorNote, Loading, Segmented, Slider } from "../ui";
import { Checkpoint } from "./checkpoint";
import { ClassField } from "./class_field";
import { RunPage } from "./run_page";

interface Answer {
  z: number[];
  label: number | null;
  error: number;
  shape: number[];
  image: string;
}

const swatches: Color[] = [
  [255, 255, 255],
  [20, 20, 22],
  [214, 62, 54],
  [240, 158, 48],
  [246, 214, 84],
  [74, 160, 84],
  [58, 122, 206],
  [124, 82, 160],
  [150, 104, 70],
  [240, 190, 160],
];
const hex = (color: Color): string => `#${color.map((v) => v.toString(16).padStart(2, "0")).join("")}`;
const fromHex = (text: string): Color => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16)) as Color;

function Workspace({ card, detail }: { card: Card; detail: Detail }) {
  const [channels, height, width] = card.image_shape;
  const color = channels === 3;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drawing] = useState(() => new Drawing(width, height, color ? 255 : 0));
  const [size, setSize] = useState(Math.max(0.8, Math.round((width / 28) * 10) / 10));
  const [pen, setPen] = useState<Color>(color ? [20, 20, 22] : [255, 255, 255]);
  const [paper, setPaper] = useState<"black" | "white">(color ? "white" : "black");
  const [erasing, setErasing] = useState(false);
  const [automatic, setAutomatic] = useState(true);
  const [keep, setKeep] = useState(true); // the pixels that were not painted count, too
  const [label, setLabel] = useState<number | null>(null);
  const [step, setStep] = useState<number | null>(null);
  const [answer, setAnswer] = useState<{ value: Answer; canvas: OffscreenCanvas; seconds: number } | null>(null);
  const [base, setBase] = useState<Answer | null>(null); // the answer that is painted over
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [strokes, setStrokes] = useState(0);
  const asking = useRef<AbortController | null>(null);
  const again = useRef(false);
  const timer = useRef(0);
  const last = useRef<[number, number] | null>(null);
  const background = paper === "black" ? 0 : 255;
  const current = useRef({ base, label, step, keep });
  current.current = { base, label, step, keep };

  const repaint = (): void => {
    if (canvas.current) drawing.paint(canvas.current);
    setStrokes((n) => n + 1);
  };
  useEffect(repaint, []);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      asking.current?.abort();
    },
    [],
  );

  const ask = async (): Promise<void> => {
    clearTimeout(timer.current);
    if (drawing.empty) return;
    if (asking.current) return void (again.current = true); // the newest drawing is next
    again.current = false;
    const controller = new AbortController();
    asking.current = controller;
    setBusy(true);
    setError(null);
    const from = performance.now();
    const { base: over, label: asked, step: ofStep, keep: keepsRest } = current.current;
    try {
      const value = await post<Answer>(
        `/runs/${card.id}/project`,
        {
          image: base64Of(drawing.bytes(channels)),
          mask: over && !keepsRest ? base64Of(drawing.painted) : null,
          label: over ? over.label : asked,
          step: ofStep,
          start: over ? over.z : null,
        },
        controller.signal,
      );
      setAnswer({
        value,
        canvas: toCanvas(bytesOf(value.image), value.shape),
        seconds: (performance.now() - from) / 1000,
      });
      announce(t("draw.answered"));
    } catch (caught) {
      if (!isAbort(caught)) setError(asApiError(caught));
    }
    asking.current = null;
    setBusy(false);
    if (again.current && !controller.signal.aborted) void ask();
  };
  const cancel = (): void => {
    again.current = false;
    asking.current?.abort();
  };
  const changed = (): void => {
    repaint();
    clearTimeout(timer.current);
    if (automatic) timer.current = window.setTimeout(() => void ask(), 500);
  };

  const place = (event: PointerEvent): [number, number] => {
    const box = canvas.current!.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  };
  const draw = (event: PointerEvent): void => {
    if (!last.current) return;
    const here = place(event);
    const used: Color = erasing ? [background, background, background] : pen;
    drawing.stroke(...last.current, ...here, size, used);
    last.current = here;
    if (canvas.current) drawing.paint(canvas.current);
  };

  void strokes;
  const shown: [number, number] = [width, height];
  const scale = Math.max(1, Math.round(448 / width));
  return (
    <div class="draw">
      <section class="panel draw-panel" aria-label={t("draw.yours")}>
        <div class="panel-head">
          <h2>{t(base ? "draw.over" : "draw.yours")}</h2>
          {base && (
            <button type="button" class="small" onClick={() => (setBase(null), drawing.clear(background), repaint())}>
              {t("draw.from_scratch")}
            </button>
          )}
        </div>
        <canvas
          ref={canvas}
          class="pad"
          width={width}
          height={height}
          role="img"
          aria-label={t("draw.pad")}
          onPointerDown={(event) => {
            if (event.button !== 0) return;
            event.currentTarget.setPointerCapture(event.pointerId);
            drawing.remember();
            last.current = place(event);
            draw(event);
          }}
          onPointerMove={(event) => {
            if (last.current) for (const e of event.getCoalescedEvents?.() ?? [event]) draw(e);
          }}
          onPointerUp={() => {
            if (!last.current) return;
            last.current = null;
            changed();
          }}
          onPointerCancel={() => (last.current = null)}
        />
        <div class="tools">
          <Segmented
            label={t("draw.tool")}
            value={erasing ? "eraser" : "pen"}
            options={[
              { value: "pen", label: t("draw.pen") },
              { value: "eraser", label: t("draw.eraser") },
            ]}
            onChange={(tool) => setErasing(tool === "eraser")}
          />
          <button type="button" disabled={!drawing.canUndo} onClick={() => (drawing.undo(), changed())}>
            <Icon name="undo" />
            {t("slow.undo")}
          </button>
          <button type="button" onClick={() => (drawing.clear(background), repaint())}>
            {t("tray.clear")}
          </button>
        </div>
        <Slider
          label={t("draw.size")}
          min={0.4}
          max={Math.max(3, width / 8)}
          step={0.1}
          value={size}
          text={t("draw.pixels", { n: 2 * size })}
          onInput={setSize}
        />
        {color ? (
          <div class="swatches" role="group" aria-label={t("draw.color")}>
            {swatches.map((item) => (
              <button
                key={hex(item)}
                type="button"
                class="color"
                aria-pressed={!erasing && hex(item) === hex(pen)}
                aria-label={hex(item)}
                style={{ background: hex(item) }}
                onClick={() => (setPen(item), setErasing(false))}
              />
            ))}
            <input
              type="color"
              aria-label={t("draw.own_color")}
              value={hex(pen)}
              onInput={(event) => (setPen(fromHex(event.currentTarget.value)), setErasing(false))}
            />
          </div>
        ) : (
          !base && (
            <Segmented
              label={t("draw.paper")}
              value={paper}
              options={[
                { value: "black", label: t("draw.white_on_black") },
                { value: "white", label: t("draw.black_on_white") },
              ]}
              onChange={(next) => {
                setPaper(next);
                setPen(next === "black" ? [255, 255, 255] : [0, 0, 0]);
                drawing.clear(next === "black" ? 0 : 255);
                repaint();
              }}
            />
          )
        )}
      </section>

      <section class="panel draw-panel" aria-label={t("draw.answer")} aria-busy={busy}>
        <div class="panel-head">
          <h2>{t("draw.answer")}</h2>
          {busy && (
            <button type="button" class="small" onClick={cancel}>
              {t("cancel")}
            </button>
          )}
        </div>
        <div class={`answer ${busy ? "busy" : ""}`}>
          {answer ? (
            <Sample
              class="pad"
              source={answer.canvas}
              index={0}
              size={shown}
              scale={scale}
              alt={t("draw.answer_alt")}
            />
          ) : (
            <div class="pad image-empty answer-none">
              <span class="quiet">{busy ? "" : t("draw.hint")}</span>
            </div>
          )}
          {busy && (
            <div class="answer-note">
              <Loading text={t("draw.busy")} />
            </div>
          )}
        </div>
        <div class="tools">
          <button
            type="button"
            disabled={!answer || busy}
            onClick={() => {
              setBase(answer!.value);
              drawing.load(bytesOf(answer!.value.image), channels);
              repaint();
            }}
          >
            {t(base ? "draw.accept" : "draw.paint_over")}
          </button>
          <button
            type="button"
            disabled={!answer}
            onClick={() => answer && saveCanvas(answer.canvas, `${card.name}-drawing.png`)}
          >
            <Icon name="download" />
            {t("sample.save")}
          </button>
        </div>
        {answer && (
          <p class="quiet small-text">
            {t("draw.distance", { error: measure(answer.value.error, 3), time: duration(answer.seconds) })}
          </p>
        )}
        {error && <ErrorNote error={error} retry={() => void ask()} />}
      </section>

      <section class="panel explore-panel draw-side">
        <p>{t(base ? "draw.text_over" : "draw.text")}</p>
        {base && <Check label={t("draw.keep")} checked={keep} onChange={setKeep} />}
        <Check label={t("draw.automatic")} checked={automatic} onChange={setAutomatic} />
        <button type="button" class="primary" disabled={busy || drawing.empty} onClick={() => void ask()}>
          {t("draw.ask")}
        </button>
        {!base && <ClassField card={card} label={label} onChange={setLabel} />}
        <Checkpoint detail={detail} step={step} used={null} onChange={setStep} />
      </section>
    </div>
  );
}

export function DrawPage({ id }: { id: string }) {
  return (
    <RunPage id={id} view="draw">
      {(_, card, detail) => <Workspace card={card} detail={detail} />}
    </RunPage>
  );
}
