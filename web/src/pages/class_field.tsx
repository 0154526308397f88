// The choice of a class or cluster of a conditional run.

import { t } from "../i18n";
import type { Card } from "../types";
import { Field } from "../ui";

export function ClassField({
  card,
  label,
  onChange,
}: {
  card: Card;
  label: number | null;
  onChange: (label: number | null) => void;
}) {
  if (!card.classes) return null;
  const names = card.class_names.length ? card.class_names : Array.from({ length: card.classes }, (_, i) => String(i));
  return (
    <Field label={t(card.condition === "clusters" ? "explore.cluster" : "explore.class")}>
      {(id) => (
        <select
          id={id}
          value={label === null ? "" : String(label)}
          onChange={({ currentTarget: { value } }) => onChange(value === "" ? null : Number(value))}
        >
          <option value="">{t("explore.any_class")}</option>
          {names.map((name, i) => (
            <option key={name} value={i}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
