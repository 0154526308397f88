// The newest grid, large, and all earlier ones under a slider of training time.

import { type Signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Feed } from "../feed";
import { t, whole } from "../i18n";
import { Icon } from "../icons";
import { Pixels, preload, useImage } from "../images";
import type { Card } from "../types";

/** Which grid is on the stage: a saved grid's step, or null to follow the newest. */
export interface Stage {
  chosen: Signal<number | null>;
  pinned: Signal<number | null>;
}

const gridPath = (id: string, step: number): string => `/runs/${id}/grids/${step}.png`;

/** The index of the last value that is at most `step`. */
export function indexAt(steps: number[], step: number): number {
  let low = 0;
  let high = steps.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (steps[middle]! <= step) low = middle;
    else high = middle - 1;
  }
  return low;
}

function Picture({
  path,
  alt,
  label,
  onClose,
}: {
  path: string | null;
  alt: string;
  label: string;
  onClose?: () => void;
}) {
  const { bitmap, failed, path: shown } = useImage(path);
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(entry!.contentRect.width));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  // Not taller than the window, so that the slider below stays in sight.
  const tall = Math.max(260, window.innerHeight - 250);
  const size = bitmap ? Math.floor(Math.min(width, (tall * bitmap.width) / bitmap.height)) : 0;
  return (
    <figure class="picture">
      <div class="picture-box" ref={box}>
        {bitmap && size > 0 ? (
          <Pixels bitmap={bitmap} width={size} alt={alt} path={shown} />
        ) : (
          <div class="picture-none">{failed ? t("live.no_image") : path ? "" : t("live.waiting")}</div>
        )}
      </div>
      <figcaption>
        <span>{label}</span>
        {onClose && (
          <button type="button" class="bare" aria-label={t("live.unpin")} title={t("live.unpin")} onClick={onClose}>
            <Icon name="close" />
          </button>
        )}
      </figcaption>
    </figure>
  );
}

export function StageView({ feed, card, stage }: { feed: Feed; card: Card; stage: Stage }) {
  const grids = feed.grids.value;
  const playing = useSignal(false);
  const chosen = stage.chosen.value;
  const index = chosen === null ? grids.length - 1 : indexAt(grids, chosen);
  const follows = chosen === null;
  const preview = feed.preview.value;
  const newest = grids.at(-1) ?? null;
  const showsPreview = follows && preview !== null && preview.step > (newest ?? -1) && card.state !== "finished";
  const step = showsPreview ? preview.step : follows ? newest : (grids[index] ?? null);
  const path =
    step === null ? null : showsPreview ? `/runs/${feed.id}/preview.png?v=${preview.version}` : gridPath(feed.id, step);
  const epoch = step === null || !card.steps_per_epoch ? null : Math.floor(step / card.steps_per_epoch);
  const name = step === null ? "" : t("live.step", { step: whole(step), epoch: whole(epoch ?? 0) });

  const move = (to: number, keepPlaying = false): void => {
    if (!grids.length) return;
    if (!keepPlaying) playing.value = false;
    const at = Math.max(0, Math.min(grids.length - 1, to));
    stage.chosen.value = at === grids.length - 1 && feed.active.value ? null : grids[at]!;
    if (grids[at + 1] !== undefined) void preload(gridPath(feed.id, grids[at + 1]!));
    if (grids[at - 1] !== undefined) void preload(gridPath(feed.id, grids[at - 1]!));
  };
  const toggle = (): void => {
    if (!playing.value && index >= grids.length - 1) stage.chosen.value = grids[0] ?? null;
    playing.value = !playing.value;
  };

  // Playing waits for each image, and takes about eight seconds for the whole of training.
  const grown = useComputed(() => feed.grids.value.length);
  useSignalEffect(() => {
    if (!playing.value) return;
    let alive = true;
    const pause = Math.max(50, Math.min(400, 8000 / Math.max(1, grown.peek())));
    void (async () => {
      for (;;) {
        const all = feed.grids.peek();
        const now = stage.chosen.peek();
        const next = now === null ? all.length : indexAt(all, now) + 1;
        if (next >= all.length) break;
        const wait = new Promise((resolve) => setTimeout(resolve, pause));
        await Promise.all([wait, preload(gridPath(feed.id, all[next]!))]);
        if (!alive) return;
        stage.chosen.value = all[next]!;
      }
      playing.value = false;
      if (feed.active.peek()) stage.chosen.value = null;
    })();
    return () => {
      alive = false;
    };
  });

  // At once, not after painting: a quick second press must not meet the state before the first.
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const target = event.target as HTMLElement;
      if (target.closest("input, select, textarea, [contenteditable]")) return;
      const onButton = target.closest("button, a, summary") !== null;
      if (event.key === "ArrowLeft") move(index - 1);
      else if (event.key === "ArrowRight") move(index + 1);
      else if (event.key === "Home" && !onButton) move(0);
      else if (event.key === "End" && !onButton) move(grids.length - 1);
      else if (event.key === " " && !onButton) toggle();
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  });

  const pinned = stage.pinned.value;
  return (
    <section class={`stage ${pinned === null ? "" : "with-pin"}`} aria-label={t("live.stage")}>
      <div class="pictures">
        {pinned !== null && (
          <Picture
            path={gridPath(feed.id, pinned)}
            alt={t("live.grid_alt", { step: whole(pinned) })}
            label={t("live.pinned", { step: whole(pinned) })}
            onClose={() => (stage.pinned.value = null)}
          />
        )}
        <Picture
          path={path}
          alt={step === null ? t("live.waiting") : t("live.grid_alt", { step: whole(step) })}
          label={name}
        />
        {follows && feed.active.value && <span class="live-badge">{t("live.now")}</span>}
      </div>
      {grids.length > 0 && (
        <div class="scrubber">
          <button
            type="button"
            class="round"
            aria-pressed={playing.value}
            aria-label={t(playing.value ? "live.stop_play" : "live.play")}
            onClick={toggle}
            disabled={grids.length < 2}
          >
            <Icon name={playing.value ? "pause" : "play"} />
          </button>
          <button
            type="button"
            class="bare"
            aria-label={t("live.earlier")}
            title={`${t("live.earlier")} (←)`}
            disabled={index <= 0}
            onClick={() => move(index - 1)}
          >
            <Icon name="left" />
          </button>
          <input
            type="range"
            min={0}
            max={Math.max(0, grids.length - 1)}
            step={1}
            value={Math.max(0, index)}
            aria-label={t("live.time")}
            aria-valuetext={name}
            onInput={(event) => move(event.currentTarget.valueAsNumber)}
          />
          <button
            type="button"
            class="bare"
            aria-label={t("live.later")}
            title={`${t("live.later")} (→)`}
            disabled={index >= grids.length - 1}
            onClick={() => move(index + 1)}
          >
            <Icon name="right" />
          </button>
          {feed.active.value && (
            <button
              type="button"
              class="follow"
              aria-pressed={follows}
              onClick={() => ((playing.value = false), (stage.chosen.value = null))}
            >
              {t("live.follow")}
            </button>
          )}
          <button
            type="button"
            disabled={step === null || grids.length === 0}
            onClick={() => (stage.pinned.value = grids[index] ?? null)}
            title={t("live.pin_hint")}
          >
            <Icon name="pin" />
            {t("live.pin")}
          </button>
        </div>
      )}
    </section>
  );
}
