// A live region for what changes without being asked for: screen readers say it when they are free.

import { signal } from "@preact/signals";

const text = signal("");

export function announce(message: string): void {
  text.value = "";
  setTimeout(() => {
    text.value = message;
  }, 30);
}

export function Announcer() {
  return (
    <div class="hidden" role="status" aria-live="polite">
      {text.value}
    </div>
  );
}
