// A new run: data, recipe, how long, and where wanted every key of the recipe.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, asApiError, get, post } from "../api";
import { duration, shape, t, whole } from "../i18n";
import { Icon } from "../icons";
import { Pixels } from "../images";
import { Latest } from "../latest";
import { go, route } from "../router";
import { useTitle } from "../title";
import type { About, DataChoices, Preview, RecipeKey, Recipes } from "../types";
import { commandLine } from "../shell";
import { Check, CopyButton, ErrorNote, Field, Loading, Segmented } from "../ui";
import { DataPart } from "./new_data";
import { Settings } from "./new_settings";

export interface Form {
  data: string;
  /** What an upload was called. */
  upload: string;
  size: string;
  resize: string;
  recipe: string;
  budget: string;
  steps: string;
  conditional: boolean;
  clusters: string;
  seed: string;
  name: string;
  overrides: Record<string, unknown>;
}

const start: Form = {
  data: "mnist-5k",
  upload: "",
  size: "",
  resize: "crop",
  recipe: "",
  budget: "5m",
  steps: "",
  conditional: false,
  clusters: "",
  seed: "0",
  name: "",
  overrides: {},
};

const number = (text: string): number | null => (text.trim() === "" ? null : Number(text));

/** The form as the server wants it. */
function body(form: Form, known: boolean): Record<string, unknown> {
  return {
    data: form.data,
    recipe: form.recipe || null,
    budget: form.budget === "steps" || form.budget === "recipe" ? null : form.budget,
    steps: form.budget === "steps" ? number(form.steps) : null,
    conditional: form.conditional,
    clusters: number(form.clusters),
    seed: number(form.seed) ?? 0,
    size: known ? null : number(form.size),
    resize: known || !form.size.trim() ? null : form.resize,
    overrides: form.overrides,
  };
}

function usePreview(form: Form, ready: boolean, known: boolean) {
  const [preview, setPreview] = useState<Preview | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const worker = useRef<Latest<Record<string, unknown>, Preview> | null>(null);
  worker.current ??= new Latest(
    (value) => post<Preview>("/data/preview", value),
    (result) => {
      setPreview(result);
      setError(null);
      setBusy(false);
    },
    (failure) => {
      setError(failure);
      setBusy(false);
    },
  );
  useEffect(() => () => worker.current?.stop(), []);
  const { name, upload, ...rest } = form;
  const key = JSON.stringify(rest);
  useEffect(() => {
    if (!ready || !form.data) {
      setPreview(null);
      setError(null);
      return;
    }
    setBusy(true);
    const timer = setTimeout(() => worker.current!.ask(body(form, known)), 350);
    return () => clearTimeout(timer);
  }, [key, ready]);
  void name;
  void upload;
  return { preview, error, busy };
}

function PreviewPart({ preview, busy, error }: { preview: Preview | null; busy: boolean; error: ApiError | null }) {
  const [bitmap, setBitmap] = useState<ImageBitmap | null>(null);
  useEffect(() => {
    if (!preview) return setBitmap(null);
    const bytes = Uint8Array.from(atob(preview.preview), (c) => c.charCodeAt(0));
    void createImageBitmap(new Blob([bytes], { type: "image/png" })).then(setBitmap);
  }, [preview?.preview]);
  const failed = error !== null && (error.field === "data" || error.field === "" || error.field === undefined);
  return (
    <div class={`preview ${busy ? "busy" : ""}`} aria-busy={busy}>
      {bitmap && preview && !failed ? (
        <Pixels class="preview-image" bitmap={bitmap} alt={t("new.preview_alt", { name: preview.name })} />
      ) : (
        <div class="preview-image image-empty">
          {busy ? <Loading text={t("new.reading")} /> : <span class="quiet">{t("new.no_preview")}</span>}
        </div>
      )}
      {preview && !failed && (
        <dl class="preview-facts">
          <dt>{t("new.images")}</dt>
          <dd>{whole(preview.images)}</dd>
          <dt>{t("new.pixels")}</dt>
          <dd>{shape(preview.image_shape)}</dd>
          <dt>{t("new.classes")}</dt>
          <dd title={preview.class_names.join(", ")}>
            {preview.classes ? whole(preview.classes) : t("new.no_classes")}
          </dd>
          <dt>{t("new.length")}</dt>
          <dd>{t("new.length_value", { steps: whole(preview.steps), time: duration(preview.seconds) })}</dd>
        </dl>
      )}
      {preview && !failed && (preview.note || preview.notes.length > 0) && (
        <ul class="preview-notes" lang="en">
          {[preview.note, ...preview.notes].filter(Boolean).map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

export function NewPage() {
  const [choices, setChoices] = useState<DataChoices | null>(null);
  const [folder, setFolder] = useState("runs");
  const [recipes, setRecipes] = useState<Recipes | null>(null);
  const [keys, setKeys] = useState<RecipeKey[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [starting, setStarting] = useState(false);
  const [round, setRound] = useState(0);
  const [form, setForm] = useState<Form>(() => ({ ...start, data: route.peek().params.get("data") ?? start.data }));
  useTitle(t("nav.new"));

  useEffect(() => {
    get<About>("/about").then(
      (about) => setFolder(about.runs_dir),
      () => undefined,
    );
    Promise.all([get<DataChoices>("/data"), get<Recipes>("/recipes")]).then(
      ([data, list]) => {
        setChoices(data);
        setRecipes(list);
        setError(null);
      },
      (caught) => setError(asApiError(caught)),
    );
  }, [round]);
  useEffect(() => {
    setKeys(null);
    get<{ keys: RecipeKey[] }>(`/recipes?recipe=${encodeURIComponent(form.recipe || "auto")}`).then(
      (answer) => setKeys(answer.keys),
      () => setKeys([]),
    );
  }, [form.recipe]);

  const known = useMemo(() => choices?.sets.some((set) => set.name === form.data) ?? true, [choices, form.data]);
  const { preview, error: previewError, busy } = usePreview(form, choices !== null, known);
  const set = (change: Partial<Form>): void => {
    setProblem(null);
    setForm((old) => ({ ...old, ...change }));
  };

  if (!choices || !recipes) return error ? <ErrorNote error={error} retry={() => setRound(round + 1)} /> : <Loading />;

  const failure = problem ?? previewError;
  const paths = new Set((keys ?? []).map((key) => key.path));
  // A recipe's key is named in the message; other fields by the server.
  const word = failure?.message.match(/^(?:recipe key )?'?([\w.]+)/)?.[1] ?? "";
  const where = failure ? (paths.has(word) ? word : failure.field) : "";
  const errorOf = (field: string): string => (failure && where === field ? failure.message : "");
  const shown = ["data", "recipe", "budget", "steps", "conditional", "clusters", "seed", "size", "resize", "name"];
  const elsewhere = failure !== null && !shown.includes(where) && !paths.has(where);
  const recipe = recipes.recipes.find((r) => r.name === form.recipe);
  const lengths = [
    ...(form.recipe ? [{ value: "recipe", label: t("new.as_recipe") }] : []),
    ...recipes.budgets.map((b) => ({ value: b, label: budgetText(b) })),
    { value: "steps", label: t("new.steps") },
  ];

  const command = (): string => {
    const asked = body(form, known);
    const words: (string | number)[] = ["ganvas", "train", ...(form.recipe ? [form.recipe] : [])];
    for (const name of ["data", "budget", "steps", "clusters", "seed", "size", "resize"]) {
      const value = asked[name];
      if (value !== null && value !== "" && !(name === "seed" && value === 0))
        words.push(`--${name}`, value as string | number);
    }
    if (form.conditional) words.push("--conditional");
    for (const [key, value] of Object.entries(form.overrides)) {
      words.push("--set", `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
    }
    return commandLine([...words, "--out", `${folder}/${form.name.trim() || form.recipe || "run"}`]);
  };

  const submit = async (): Promise<void> => {
    setStarting(true);
    setProblem(null);
    try {
      const { id } = await post<{ id: string }>("/runs", { ...body(form, known), name: form.name.trim() });
      go(`/run/${id}/live`);
    } catch (caught) {
      setProblem(asApiError(caught));
      setStarting(false);
    }
  };

  return (
    <form
      class="new"
      noValidate
      onKeyDown={(event) => {
        // Enter in a field is not yet "start training".
        if (event.key === "Enter" && event.target instanceof HTMLInputElement) event.preventDefault();
      }}
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <div class="page-head">
        <h1>{t("nav.new")}</h1>
      </div>
      <div class="new-form">
        <DataPart form={form} set={set} choices={choices} known={known} errorOf={errorOf} />
        <section class="panel">
          <h2>{t("new.recipe")}</h2>
          <div class="options" role="radiogroup" aria-label={t("new.recipe")}>
            {[recipes.automatic, ...recipes.recipes].map((r) => {
              const automatic = r === recipes.automatic;
              const value = automatic ? "" : r.name;
              return (
                <label key={r.name} class="option" title={r.source}>
                  <input
                    type="radio"
                    name="recipe"
                    checked={form.recipe === value}
                    onChange={() => set({ recipe: value, budget: automatic ? "5m" : "recipe", overrides: {} })}
                  />
                  <span>
                    <b>{automatic ? t("new.automatic") : r.name}</b>
                    <small lang={automatic ? undefined : "en"}>{automatic ? t("new.automatic_hint") : r.title}</small>
                  </span>
                </label>
              );
            })}
          </div>
          {errorOf("recipe") && (
            <p class="field-error" lang="en">
              {errorOf("recipe")}
            </p>
          )}
          <div class="fields">
            <Field
              label={t("new.how_long")}
              error={errorOf("budget")}
              hint={recipe && form.budget === "recipe" ? recipe.length : t("new.how_long_hint")}
              plain
            >
              <Segmented
                label={t("new.how_long")}
                value={form.budget}
                options={lengths}
                onChange={(budget) => set({ budget })}
              />
            </Field>
            {form.budget === "steps" && (
              <Field label={t("new.steps")} error={errorOf("steps")}>
                {(id) => (
                  <input
                    id={id}
                    class="number"
                    type="number"
                    min={1}
                    step={1}
                    value={form.steps}
                    aria-invalid={errorOf("steps") !== ""}
                    onInput={(e) => set({ steps: e.currentTarget.value })}
                  />
                )}
              </Field>
            )}
          </div>
          <div class="fields">
            {(preview?.classes ?? 0) > 0 && (
              <Field label={t("new.conditional")} error={errorOf("conditional")} hint={t("new.conditional_hint")} plain>
                <Check
                  label={t("new.conditional_check", { n: preview!.classes })}
                  checked={form.conditional}
                  onChange={(conditional) => set({ conditional })}
                />
              </Field>
            )}
            {!form.conditional && (
              <Field label={t("new.clusters")} error={errorOf("clusters")} hint={t("new.clusters_hint")}>
                {(id) => (
                  <input
                    id={id}
                    class="number"
                    type="number"
                    min={0}
                    step={1}
                    value={form.clusters}
                    placeholder={t("new.auto_value")}
                    aria-invalid={errorOf("clusters") !== ""}
                    onInput={(e) => set({ clusters: e.currentTarget.value })}
                  />
                )}
              </Field>
            )}
            <Field label={t("new.seed")} error={errorOf("seed")} hint={t("new.seed_hint")}>
              {(id) => (
                <input
                  id={id}
                  class="number"
                  type="number"
                  min={0}
                  step={1}
                  value={form.seed}
                  aria-invalid={errorOf("seed") !== ""}
                  onInput={(e) => set({ seed: e.currentTarget.value })}
                />
              )}
            </Field>
          </div>
        </section>
        <Settings
          keys={keys}
          automatic={form.recipe === ""}
          overrides={form.overrides}
          errorOf={errorOf}
          wrong={paths.has(where)}
          onChange={(overrides) => set({ overrides })}
        />
      </div>
      <aside class="new-side">
        <section class="panel">
          <h2>{t("new.preview")}</h2>
          <PreviewPart preview={preview} busy={busy} error={previewError} />
          <Field label={t("new.name")} error={errorOf("name")} hint={t("new.name_hint")}>
            {(id) => (
              <input
                id={id}
                type="text"
                value={form.name}
                placeholder={form.recipe || "run"}
                autoComplete="off"
                spellcheck={false}
                aria-invalid={errorOf("name") !== ""}
                onInput={(e) => set({ name: e.currentTarget.value })}
              />
            )}
          </Field>
          {elsewhere && <ErrorNote error={failure} />}
          <button type="submit" class="primary large" disabled={starting || !form.data}>
            {starting ? <span class="spinner" aria-hidden="true" /> : <Icon name="play" />}
            {t(starting ? "new.starting" : "new.start")}
          </button>
          {!form.upload && form.data && <CopyButton label={t("copy.command")} text={command} />}
        </section>
      </aside>
    </form>
  );
}

/** "5m" as "5 min". */
function budgetText(budget: string): string {
  const match = /^(\d+)([smh])$/.exec(budget);
  if (!match) return budget;
  return duration(Number(match[1]) * { s: 1, m: 60, h: 3600 }[match[2] as "s" | "m" | "h"]);
}
