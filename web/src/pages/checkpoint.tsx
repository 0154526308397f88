// The slider over a run's checkpoints that several pages have.

import { t, whole } from "../i18n";
import type { Detail } from "../types";
import { Slider } from "../ui";

export function Checkpoint(props: {
  detail: Detail;
  step: number | null;
  used: number | null;
  note?: string;
  onChange: (step: number | null) => void;
}) {
  const { checkpoints, best_step: best } = props.detail;
  if (checkpoints.length < 2) return null;
  const used = props.step ?? props.used ?? best ?? checkpoints.at(-1)!;
  return (
    <Slider
      label={t("explore.checkpoint")}
      min={0}
      max={checkpoints.length - 1}
      step={1}
      value={Math.max(0, checkpoints.indexOf(used))}
      text={t(used === best ? "explore.step_best" : "chart.at", { step: whole(used) })}
      {...(props.note ? { note: props.note } : {})}
      onInput={(value) => props.onChange(checkpoints[value]!)}
      onReset={() => props.onChange(null)}
    />
  );
}
