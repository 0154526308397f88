// Small parts that every page uses.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api";
import { duration, measure, t, whole } from "./i18n";
import { Icon, type IconName } from "./icons";
import { announce } from "./announce";
import type { Card, State } from "./types";

/** What went wrong, in the server's words, with what to do. */
export function ErrorNote({ error, retry }: { error: ApiError; retry?: () => void }) {
  const offline = error.code === "offline";
  return (
    <div class="notice bad" role="alert">
      <Icon name="warn" />
      <div>
        <p lang={offline ? undefined : "en"}>{offline ? t("offline.title") : error.message}</p>
        {(offline || error.hint) && (
          <p class="quiet" lang={offline ? undefined : "en"}>
            {offline ? t("offline.hint") : error.hint}
          </p>
        )}
        {retry && (
          <button type="button" class="small" onClick={retry}>
            {t("retry")}
          </button>
        )}
      </div>
    </div>
  );
}

/** What stands where there is nothing: what is missing, and what to do. `part`: the page has a heading of its own. */
export function Empty({ title, part, children }: { title: string; part?: boolean; children?: ComponentChildren }) {
  return (
    <div class="empty">
      {part ? <h2>{title}</h2> : <h1>{title}</h1>}
      {children}
    </div>
  );
}

export function Loading({ text }: { text?: string }) {
  return (
    <p class="loading" role="status">
      <span class="spinner" aria-hidden="true" />
      {text ?? t("loading")}
    </p>
  );
}

export function StateMark({ state }: { state: State }) {
  return <span class={`state ${state}`}>{t(`state.${state}`)}</span>;
}

export function Progress({ card, label }: { card: Pick<Card, "step" | "steps" | "state">; label: string }) {
  const fraction = card.steps > 0 ? Math.min(1, card.step / card.steps) : 0;
  return (
    <div
      class={`progress ${card.state}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={card.steps}
      aria-valuenow={card.step}
      aria-valuetext={t("progress", { step: whole(card.step), steps: whole(card.steps) })}
    >
      <div style={{ width: `${100 * fraction}%` }} />
    </div>
  );
}

export const timeLeft = (card: Card): string =>
  card.seconds_left === null || card.seconds_left === undefined ? "" : t("left", { time: duration(card.seconds_left) });

export function CopyButton({ text, label, icon = "copy" }: { text: () => string; label: string; icon?: IconName }) {
  const [done, setDone] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      // Without the permission: the old way, from a text field that is gone again at once.
      const area = document.createElement("textarea");
      area.value = text();
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    setDone(true);
    announce(t("copied"));
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setDone(false), 1600);
  };
  return (
    <button type="button" class={done ? "done" : ""} onClick={copy}>
      <Icon name={done ? "check" : icon} />
      {done ? t("copied") : label}
    </button>
  );
}

/** One of a few choices, as radio buttons that look like one switch. */
export function Segmented<T extends string>(props: {
  label: string;
  value: T;
  options: readonly { value: T; label: string; hint?: string }[];
  onChange: (value: T) => void;
  class?: string;
}) {
  const name = useName();
  return (
    <fieldset class={`segmented ${props.class ?? ""}`}>
      <legend class="hidden">{props.label}</legend>
      {props.options.map((option) => (
        <label key={option.value} title={option.hint}>
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === props.value}
            onChange={() => props.onChange(option.value)}
          />
          <span>{option.label}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function Check(props: { label: string; checked: boolean; onChange: (on: boolean) => void; disabled?: boolean }) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={props.checked}
        disabled={props.disabled}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      <span>{props.label}</span>
    </label>
  );
}

let ids = 0;

/** A name for this page's labels to point to. */
export const useName = (): string => useState(() => `n${++ids}`)[0];

export function Slider(props: {
  label: string;
  value: number;
  min: number;
  max: number;
  step: number | "any";
  text?: string;
  note?: ComponentChildren;
  onInput: (value: number) => void;
  onReset?: (() => void) | undefined;
}) {
  const id = useName();
  return (
    <div class="slider">
      <label for={id}>{props.label}</label>
      <output for={id}>{props.text ?? measure(props.value)}</output>
      <input
        id={id}
        type="range"
        min={props.min}
        max={props.max}
        step={props.step}
        value={props.value}
        aria-valuetext={props.text}
        onInput={(event) => props.onInput(event.currentTarget.valueAsNumber)}
        onDblClick={props.onReset}
      />
      {props.note && <span class="slider-note">{props.note}</span>}
    </div>
  );
}

/** A form field: label, control, what it means, and what is wrong with it. */
export function Field(props: {
  label: string;
  hint?: string | undefined;
  error?: string;
  /** The label is a key of a recipe. */
  code?: boolean;
  /** The control has labels of its own. */
  plain?: boolean;
  children: ComponentChildren | ((id: string) => ComponentChildren);
}) {
  const id = useName();
  const { children } = props;
  return (
    <div class={`field ${props.error ? "wrong" : ""}`}>
      {props.plain ? (
        <span class="field-label">{props.label}</span>
      ) : (
        <label class="field-label" for={id}>
          {props.code ? <code>{props.label}</code> : props.label}
        </label>
      )}
      {typeof children === "function" ? children(id) : children}
      {props.error && (
        <p class="field-error" role="alert" lang="en">
          {props.error}
        </p>
      )}
      {props.hint && (
        <p class="field-hint" lang={props.code ? "en" : undefined}>
          {props.hint}
        </p>
      )}
    </div>
  );
}
