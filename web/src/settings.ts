// What a person set on this page: language and theme, kept in this browser.

import { computed, effect, signal } from "@preact/signals";

export type Language = "en" | "zh";
export type Theme = "system" | "light" | "dark";

const read = (key: string): string | null => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // storage is switched off in this browser
  }
};

const stored = read("ganvas-language");
export const language = signal<Language>(
  stored === "en" || stored === "zh" ? stored : navigator.language.startsWith("zh") ? "zh" : "en",
);
const storedTheme = read("ganvas-theme");
export const theme = signal<Theme>(storedTheme === "light" || storedTheme === "dark" ? storedTheme : "system");

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(prefersDark.matches);
prefersDark.addEventListener("change", () => {
  systemDark.value = prefersDark.matches;
});
export const dark = computed(() => (theme.value === "system" ? systemDark.value : theme.value === "dark"));

const stillness = matchMedia("(prefers-reduced-motion: reduce)");
export const reducedMotion = (): boolean => stillness.matches;

effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
  document.documentElement.dataset["theme"] = dark.value ? "dark" : "light";
  try {
    localStorage.setItem("ganvas-language", language.value);
    localStorage.setItem("ganvas-theme", theme.value);
  } catch {
    // The choice then lasts as long as the page.
  }
});
