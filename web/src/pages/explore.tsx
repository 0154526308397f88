// Latent space: a plane to drag, samples to keep, and what they are made of.

import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Feed } from "../feed";
import { Generator } from "../generator";
import { measure, t } from "../i18n";
import { Icon } from "../icons";
import { pointOfPlane } from "../latent";
import { Plane } from "../plane";
import { keepParams, route } from "../router";
import { announce } from "../announce";
import { saveCanvas } from "../save";
import type { Card, Detail } from "../types";
import { CopyButton, ErrorNote, Loading } from "../ui";
import { addPick, type ExploreState, readState, writeState } from "./explore_state";
import { Directions, Sliders } from "./explore_sliders";
import { Inspector, Tray } from "./explore_samples";
import { RunPage } from "./run_page";

function PlaneView({ card, state, generator }: { card: Card; state: ExploreState; generator: Generator }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const plane = useRef<Plane | null>(null);
  const [, height, width] = card.image_shape;
  useEffect(() => {
    const made = new Plane(
      canvas.current!,
      [width, height],
      state.look.peek(),
      { ...state.view.peek() },
      {
        onView: (view) => (state.view.value = view),
        onPick: (x, y) => {
          addPick(state, pointOfPlane(x, y), [x, y]);
          announce(t("explore.picked", { n: state.picks.value.length }));
        },
        onCursor: (x, y) => announce(t("explore.at", { x: measure(x), y: measure(y) })),
        kick: () => generator.kick(),
      },
    );
    plane.current = made;
    const remove = generator.add(made.source, 2);
    return () => {
      remove();
      made.destroy();
    };
  }, [generator]);
  useSignalEffect(() => plane.current?.setLook(state.look.value));
  useSignalEffect(() => {
    const chosen = state.chosen.value;
    plane.current?.setMarks(
      state.picks.value.flatMap(({ at }, i) => (at ? [{ x: at[0], y: at[1], current: i === chosen }] : [])),
    );
  });
  const { x, y, zoom } = state.view.value;
  return (
    <section class="plane" aria-label={t("explore.plane")}>
      <canvas
        ref={canvas}
        tabIndex={0}
        role="application"
        aria-roledescription={t("explore.plane")}
        aria-label={t("explore.plane_help")}
      />
      {generator.starting.value && !generator.error.value && (
        <div class="plane-note">
          <Loading text={t("explore.starting")} />
        </div>
      )}
      {generator.error.value && (
        <div class="plane-note">
          <ErrorNote error={generator.error.value} retry={() => generator.kick()} />
        </div>
      )}
      <div class="plane-bar">
        <button
          type="button"
          aria-label={t("explore.closer")}
          title={`${t("explore.closer")} (+)`}
          disabled={zoom >= 6}
          onClick={() => plane.current?.zoomBy(1)}
        >
          <Icon name="plus" />
        </button>
        <button
          type="button"
          aria-label={t("explore.apart")}
          title={`${t("explore.apart")} (−)`}
          disabled={zoom <= 0}
          onClick={() => plane.current?.zoomBy(-1)}
        >
          <Icon name="minus" />
        </button>
        <span class="plane-place">
          {t("explore.at", { x: x.toFixed(2), y: y.toFixed(2) })}
          <span class="quiet"> · {zoom ? t("explore.spacing", { n: 2 ** zoom }) : t("explore.spacing_1")}</span>
        </span>
        <span class="plane-tools">
          <CopyButton label={t("explore.link")} text={() => linkTo(state)} />
          <button type="button" onClick={() => canvas.current && saveCanvas(canvas.current, `${card.name}-plane.png`)}>
            <Icon name="download" />
            {t("explore.save_view")}
          </button>
        </span>
      </div>
    </section>
  );
}

const linkTo = (state: ExploreState): string =>
  `${location.origin}${location.pathname}${location.hash.split("?", 1)[0]}?${writeState(state).toString()}`;

function Workspace({ feed, card, detail }: { feed: Feed; card: Card; detail: Detail }) {
  const [generator] = useState(() => new Generator(card.id));
  const [state] = useState(() => readState(route.peek().params, detail));
  useEffect(() => () => generator.stop(), [generator]);
  useSignalEffect(() => keepParams(writeState(state)));
  useSignalEffect(() => {
    void state.look.value;
    generator.kick();
  });
  const running = card.state === "running";
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => void feed.refresh(), 10_000);
    return () => clearInterval(timer);
  }, [running]);
  useEffect(() => {
    // Old checkpoints of a run that trains are deleted.
    const step = state.step.value;
    if (step !== null && !detail.checkpoints.includes(step)) state.step.value = null;
  }, [detail]);
  const uniform = (detail.recipe["latent"] as { distribution?: string } | undefined)?.distribution === "uniform";
  return (
    <div class="explore">
      <PlaneView card={card} state={state} generator={generator} />
      <div class="explore-side">
        <Inspector card={card} state={state} generator={generator} />
        <Tray card={card} state={state} generator={generator} uniform={uniform} />
        <Sliders card={card} detail={detail} state={state} generator={generator} />
        <Directions feed={feed} state={state} />
      </div>
    </div>
  );
}

export function ExplorePage({ id }: { id: string }) {
  return (
    <RunPage id={id} view="explore">
      {(feed, card, detail) => (
        <Workspace key={route.value.params.toString()} feed={feed} card={card} detail={detail} />
      )}
    </RunPage>
  );
}
