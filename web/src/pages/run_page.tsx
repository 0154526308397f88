// What the pages of a run have in common: its data, its head, and what stands there while there is no checkpoint.

import type { ComponentChildren } from "preact";
import type { Feed } from "../feed";
import { t, whole } from "../i18n";
import { useTitle } from "../title";
import type { Card, Detail } from "../types";
import { Empty, ErrorNote, Loading } from "../ui";
import { RunGone, useFeed } from "./live";
import { RunHead, type View } from "./run_head";

export function RunPage(props: {
  id: string;
  view: View;
  children: (feed: Feed, card: Card, detail: Detail) => ComponentChildren;
}) {
  const feed = useFeed(props.id);
  const card = feed.card.value;
  const detail = feed.detail.value;
  useTitle(card ? `${card.name} · ${t(`nav.${props.view}`)}` : "");
  if (feed.gone.value || feed.error.value?.code === "not_found") return <RunGone />;
  if (!card || !detail) {
    return feed.error.value ? <ErrorNote error={feed.error.value} retry={() => void feed.reload()} /> : <Loading />;
  }
  return (
    <>
      <RunHead feed={feed} card={card} view={props.view} />
      {detail.checkpoints.length ? (
        props.children(feed, card, detail)
      ) : (
        <Empty part title={t("explore.none")}>
          <p>{t("explore.none_hint", { step: whole(card.step) })}</p>
          <button type="button" onClick={() => void feed.reload()}>
            {t("explore.look_again")}
          </button>
        </Empty>
      )}
    </>
  );
}
