// Every key of the recipe as a form field, made from the recipe's schema.

import { useEffect, useState } from "preact/hooks";
import { t } from "../i18n";
import { Icon } from "../icons";
import type { RecipeKey } from "../types";
import { Field, Loading } from "../ui";

interface SettingsProps {
  keys: RecipeKey[] | null;
  automatic: boolean;
  overrides: Record<string, unknown>;
  errorOf: (field: string) => string;
  /** A key has an error: it must be in sight. */
  wrong: boolean;
  onChange: (overrides: Record<string, unknown>) => void;
}

const plain = (value: unknown): string =>
  value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);

function Setting(props: {
  item: RecipeKey;
  automatic: boolean;
  value: unknown;
  changed: boolean;
  error: string;
  onChange: (value: unknown) => void;
  onReset: () => void;
}) {
  const { item, value, changed, error } = props;
  const own = props.automatic ? t("new.auto_value") : plain(item.default) || t("new.none");
  const select = (options: [string, string][], read: (text: string) => unknown) => (id: string) => (
    <select
      id={id}
      value={changed ? plain(value) : "\0"}
      aria-invalid={error !== ""}
      onChange={(event) =>
        event.currentTarget.value === "\0" ? props.onReset() : props.onChange(read(event.currentTarget.value))
      }
    >
      <option value={"\0"}>{own}</option>
      {options
        .filter(([text]) => props.automatic || text !== plain(item.default))
        .map(([text, label]) => (
          <option key={text} value={text}>
            {label}
          </option>
        ))}
    </select>
  );
  const input = (id: string) => (
    <input
      id={id}
      type={(item.kind === "number" || item.kind === "integer" ? "number" : "text") as "text"}
      step={item.kind === "integer" ? 1 : "any"}
      value={changed ? plain(value) : ""}
      placeholder={own}
      autoComplete="off"
      spellcheck={false}
      aria-invalid={error !== ""}
      onInput={(event) => {
        const text = event.currentTarget.value;
        if (text === "") props.onReset();
        else props.onChange(item.kind === "number" || item.kind === "integer" ? Number(text) : text);
      }}
    />
  );
  const control =
    item.kind === "boolean"
      ? select(
          [
            ["true", t("yes")],
            ["false", t("no")],
          ],
          (text) => text === "true",
        )
      : item.kind === "choice"
        ? select(
            item.choices.map((c) => [plain(c), plain(c)]),
            (text) => item.choices.find((c) => plain(c) === text),
          )
        : input;
  return (
    <div class={`setting ${changed ? "changed" : ""}`}>
      <Field label={item.path} error={error} hint={item.description} code>
        {control}
      </Field>
      {changed && (
        <button
          type="button"
          class="bare"
          title={t("reset")}
          aria-label={t("reset_of", { name: item.path })}
          onClick={props.onReset}
        >
          <Icon name="undo" />
        </button>
      )}
    </div>
  );
}

export function Settings({ keys, automatic, overrides, errorOf, wrong, onChange }: SettingsProps) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  useEffect(() => {
    if (wrong) setOpen(true);
  }, [wrong]);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = (keys ?? []).filter((key) => {
    const hay = `${key.path} ${key.path.replaceAll("_", " ")} ${key.description}`.toLowerCase();
    return errorOf(key.path) !== "" || words.every((word) => hay.includes(word));
  });
  const groups = new Map<string, RecipeKey[]>(shown.some((key) => !key.path.includes(".")) ? [["", []]] : []);
  for (const key of shown) {
    const group = key.path.includes(".") ? key.path.slice(0, key.path.indexOf(".")) : "";
    groups.set(group, [...(groups.get(group) ?? []), key]);
  }
  const count = Object.keys(overrides).length;
  return (
    <section class="panel">
      <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          {t("settings.all")}
          {count > 0 && <span class="count">{t("settings.changed", { n: count })}</span>}
        </summary>
        {open && !keys && <Loading />}
        {open && keys && (
          <>
            <div class="settings-bar">
              <label class="search">
                <Icon name="search" />
                <span class="hidden">{t("settings.search")}</span>
                <input
                  type="search"
                  value={text}
                  placeholder={t("settings.search")}
                  onInput={(event) => setText(event.currentTarget.value)}
                />
              </label>
              {count > 0 && (
                <button type="button" class="small" onClick={() => onChange({})}>
                  {t("settings.reset")}
                </button>
              )}
            </div>
            {shown.length === 0 && <p class="quiet">{t("settings.none")}</p>}
            {[...groups].map(([group, items]) => (
              <div key={group} class="settings-group">
                <h3 lang="en">{group ? group.replaceAll("_", " ") : t("settings.general")}</h3>
                <div class="settings">
                  {items.map((item) => (
                    <Setting
                      key={item.path}
                      item={item}
                      automatic={automatic}
                      value={overrides[item.path]}
                      changed={item.path in overrides}
                      error={errorOf(item.path)}
                      onChange={(value) => onChange({ ...overrides, [item.path]: value })}
                      onReset={() => {
                        const { [item.path]: _, ...rest } = overrides;
                        onChange(rest);
                      }}
                    />
                  ))}
                </div>
              </div>
            ))}
          </>
        )}
      </details>
    </section>
  );
}
