// Words and numbers in the language that is set. Components that call these re-render when it changes.

import { language } from "./settings";
import { type Key, texts } from "./strings";

const locale = (): string => (language.value === "zh" ? "zh-CN" : "en-US");
const cache = new Map<string, Intl.NumberFormat>();

function format(value: number, options: Intl.NumberFormatOptions): string {
  const key = locale() + JSON.stringify(options);
  let made = cache.get(key);
  if (!made) cache.set(key, (made = new Intl.NumberFormat(locale(), options)));
  return made.format(value);
}

export const whole = (value: number): string => format(value, { maximumFractionDigits: 0 });
export const fixed = (value: number, digits: number): string =>
  format(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const compact = (value: number): string => format(value, { notation: "compact", maximumFractionDigits: 1 });
export const percent = (value: number, digits = 0): string =>
  format(value, { style: "percent", maximumFractionDigits: digits });

/** A measured value with about four significant digits; "–" where there is none. */
export function measure(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(2).replace("-", "−");
  if (size >= 1000) return whole(value).replace("-", "−");
  return format(value, { maximumSignificantDigits: digits }).replace("-", "−");
}

/** A score with three significant digits, also where these are zeros: "21.0". */
export function score(value: number | null | undefined): string {
  if (
    value === null ||
    value === undefined ||
    Math.abs(value) < 0.01 ||
    Math.abs(value) >= 1000 ||
    Number.isInteger(value)
  ) {
    return measure(value, 2);
  }
  return format(value, { minimumSignificantDigits: 3, maximumSignificantDigits: 3 }).replace("-", "−");
}

/** The text of `key`; "one|other" texts choose by the number `n`. Numbers are written in the language set. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  let text: string = texts[key][language.value === "zh" ? 1 : 0];
  if (text.includes("|")) {
    const forms = text.split("|");
    text = values["n"] === 1 ? forms[0]! : forms[forms.length - 1]!;
  }
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    return typeof value === "number" ? measure(value) : (value ?? "");
  });
}

/** A length of time in its two largest units: "3 min 20 s". */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return t("time.s", { s });
  const minutes = Math.floor(s / 60);
  if (minutes < 60)
    return s % 60 && minutes < 10 ? t("time.ms", { m: minutes, s: s % 60 }) : t("time.m", { m: minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? t("time.hm", { h: hours, m: minutes % 60 }) : t("time.h", { h: hours });
  return t("time.d", { d: Math.floor(hours / 24), h: hours % 24 });
}

/** How long ago an ISO time was: "3min ago". */
export function ago(iso: string): string {
  const seconds = (Date.parse(iso) - Date.now()) / 1000;
  if (Number.isNaN(seconds)) return iso;
  const relative = new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "narrow" });
  const steps: [Intl.RelativeTimeFormatUnit, number][] = [
    ["day", 86400],
    ["hour", 3600],
    ["minute", 60],
  ];
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  }
  return relative.format(0, "minute");
}

/** Date and time, for titles. */
export const dateTime = (iso: string): string =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));

/** "28 × 28, gray" */
export function shape([channels, height, width]: [number, number, number]): string {
  return t(channels === 1 ? "shape.gray" : "shape.color", { size: `${width} × ${height}` });
}
