// The data of a new run: a known set, a path, or files of this computer.

import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, asApiError, send } from "../api";
import { measure, t } from "../i18n";
import { Icon } from "../icons";
import type { DataChoices } from "../types";
import { Field } from "../ui";
import { droppedFiles, type NamedFile, onlyImages, pickedFiles, zip } from "../zip";
import type { Form } from "./new";

const LIMIT = 64 * 2 ** 20; // bytes of an upload

interface Part {
  form: Form;
  set: (change: Partial<Form>) => void;
  choices: DataChoices;
  known: boolean;
  errorOf: (field: string) => string;
}

function Drop({ form, set }: Pick<Part, "form" | "set">) {
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState("");
  const [error, setError] = useState("");
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  useEffect(() => folder.current?.setAttribute("webkitdirectory", ""), []);

  const upload = async (all: NamedFile[]): Promise<void> => {
    setError("");
    const single = all.length === 1 && /\.zip$/i.test(all[0]!.path) ? all[0]! : null;
    const images = single ? [] : onlyImages(all);
    if (!single && !images.length) return setError(t("drop.no_images"));
    if (images.length > 65_535) return setError(t("drop.too_many"));
    const size = single ? single.file.size : images.reduce((sum, { file }) => sum + file.size, 0);
    if (size > LIMIT) return setError(t("drop.too_large", { size: measure(size / 2 ** 20, 3) }));
    const label = single ? single.path : t("drop.count", { n: images.length });
    setBusy(label);
    try {
      const content = single ? single.file : await zip(images);
      const name = single
        ? single.path.split("/").pop()!
        : `${images[0]!.path.split("/").slice(0, -1)[0] ?? "images"}.zip`;
      const response = await send(`/uploads?name=${encodeURIComponent(name)}`, { method: "POST", body: content });
      const { data } = (await response.json()) as { data: string };
      set({ data, upload: label });
    } catch (caught) {
      const failure: ApiError = asApiError(caught);
      setError(failure.code === "offline" ? t("offline.title") : failure.message);
    } finally {
      setBusy("");
    }
  };
  const pick = (input: HTMLInputElement): void => {
    if (input.files?.length) void upload(pickedFiles(input.files));
    input.value = "";
  };
  const chosen = form.upload !== "";
  return (
    <div
      class={`drop ${over ? "over" : ""} ${chosen ? "chosen" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        if (event.dataTransfer)
          void droppedFiles(event.dataTransfer).then(upload, () => setError(t("drop.unreadable")));
      }}
    >
      {busy ? (
        <p role="status">
          <span class="spinner" aria-hidden="true" /> {t("drop.sending", { name: busy })}
        </p>
      ) : (
        <p>
          <Icon name={chosen ? "check" : "upload"} />
          {chosen ? t("drop.chosen", { name: form.upload }) : t("drop.hint")}
        </p>
      )}
      <div class="drop-buttons">
        <button type="button" class="small" disabled={busy !== ""} onClick={() => files.current?.click()}>
          {t("drop.files")}
        </button>
        <button type="button" class="small" disabled={busy !== ""} onClick={() => folder.current?.click()}>
          {t("drop.folder")}
        </button>
      </div>
      <input
        ref={files}
        type="file"
        hidden
        multiple
        accept=".zip,image/*"
        onChange={(event) => pick(event.currentTarget)}
      />
      <input ref={folder} type="file" hidden multiple onChange={(event) => pick(event.currentTarget)} />
      {error && (
        <p class="field-error" role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

export function DataPart({ form, set, choices, known, errorOf }: Part) {
  const [path, setPath] = useState(known || form.upload ? "" : form.data);
  const [given, setGiven] = useState(path);
  // A path is looked at when its typing pauses.
  useEffect(() => {
    const text = path.trim();
    if (!text || text === given) return;
    const timer = setTimeout(() => {
      setGiven(text);
      set({ data: text, upload: "" });
    }, 600);
    return () => clearTimeout(timer);
  }, [path]);
  const choose = (data: string): void => {
    setPath("");
    setGiven("");
    set({ data, upload: "" });
  };
  const folders = choices.folders.slice(0, 12);
  return (
    <section class="panel">
      <h2>{t("new.data")}</h2>
      <div class="options" role="radiogroup" aria-label={t("new.data")}>
        {choices.sets.map((item) => (
          <label key={item.name} class="option">
            <input type="radio" name="data" checked={form.data === item.name} onChange={() => choose(item.name)} />
            <span>
              <b>{item.name}</b>
              <small lang="en">{item.title}</small>
            </span>
          </label>
        ))}
      </div>
      <div class="own-data">
        <Drop form={form} set={(change) => (setPath(""), setGiven(""), set(change))} />
        <Field label={t("new.path")} error={errorOf("data")} hint={t("new.path_hint")}>
          {(id) => (
            <input
              id={id}
              type="text"
              value={path}
              placeholder="/home/me/photos"
              autoComplete="off"
              spellcheck={false}
              aria-invalid={errorOf("data") !== ""}
              onInput={(event) => setPath(event.currentTarget.value)}
            />
          )}
        </Field>
        {folders.length > 0 && (
          <div class="chips" role="group" aria-label={t("new.nearby")}>
            {folders.map((folder) => (
              <button
                key={folder.path}
                type="button"
                class="chip"
                aria-pressed={form.data === folder.path}
                title={folder.path}
                onClick={() => (setPath(folder.path), setGiven(folder.path), set({ data: folder.path, upload: "" }))}
              >
                {folder.name}
              </button>
            ))}
          </div>
        )}
        {!known && form.data && (
          <div class="fields">
            <Field label={t("new.size")} error={errorOf("size")} hint={t("new.size_hint")}>
              {(id) => (
                <input
                  id={id}
                  class="number"
                  type="number"
                  min={8}
                  max={256}
                  step={1}
                  value={form.size}
                  placeholder={t("new.size_own")}
                  aria-invalid={errorOf("size") !== ""}
                  onInput={(event) => set({ size: event.currentTarget.value })}
                />
              )}
            </Field>
            <Field label={t("new.resize")} error={errorOf("resize")}>
              {(id) => (
                <select
                  id={id}
                  value={form.resize}
                  disabled={!form.size.trim()}
                  onChange={(event) => set({ resize: event.currentTarget.value })}
                >
                  {(["crop", "pad", "resize"] as const).map((how) => (
                    <option key={how} value={how}>
                      {t(`resize.${how}`)}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          </div>
        )}
      </div>
    </section>
  );
}
