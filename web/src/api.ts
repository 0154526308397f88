// Requests to the server, with the token that its printed address carries.

import { signal } from "@preact/signals";

export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint = "",
    readonly field = "",
  ) {
    super(message);
  }
}

/** "missing": this tab has no token; "refused": the server does not accept it. */
export const access = signal<"ok" | "asking" | "missing" | "refused">("asking");
export const online = signal(true);

const STORE = "ganvas-token";
const channel = "BroadcastChannel" in window ? new BroadcastChannel("ganvas-studio") : null;
let token = "";

function accept(value: string): void {
  token = value;
  sessionStorage.setItem(STORE, value);
  access.value = "ok";
}

/** Take the token from the address, from this tab's storage, or from another tab of the same origin. */
export async function openSession(): Promise<void> {
  const match = /^#token=([0-9a-fA-F]+)&?(.*)$/.exec(location.hash);
  if (match) {
    accept(match[1]!);
    const route = match[2]!.startsWith("/") ? match[2]! : "/";
    history.replaceState(null, "", `${location.pathname}#${route}`);
    channel?.postMessage({ token });
  }
  const stored = sessionStorage.getItem(STORE);
  if (!token && stored) accept(stored);
  channel?.addEventListener("message", ({ data }: MessageEvent<{ token?: string; ask?: true }>) => {
    if (data.ask && token && access.value === "ok") channel.postMessage({ token });
    // The server was started again: its new address, opened in another tab, serves this one too.
    if (data.token && data.token !== token && access.value !== "ok") accept(data.token);
  });
  if (token) return;
  channel?.postMessage({ ask: true });
  await new Promise((resolve) => setTimeout(resolve, channel ? 250 : 0));
  if (!token) access.value = "missing";
}

export interface Options {
  method?: "GET" | "POST";
  json?: unknown;
  body?: Blob;
  signal?: AbortSignal;
}

/** The raw response of an /api request; throws ApiError for anything but success. */
export async function send(path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { "X-Ganvas-Token": token };
  let body: BodyInit | undefined = options.body;
  if (options.json !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(options.json);
  }
  let response: Response;
  try {
    const method = options.method ?? (body === undefined ? "GET" : "POST");
    response = await fetch(`/api${path}`, { method, headers, body, signal: options.signal, credentials: "omit" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    online.value = false;
    throw new ApiError("offline", "");
  }
  online.value = true;
  if (response.ok) return response;
  let sent: { code?: string; message?: string; hint?: string; field?: string } = {};
  try {
    sent = await response.json();
  } catch {
    // Not JSON: the status alone has to do.
  }
  if (response.status === 401) access.value = "refused";
  const message = sent.message ?? `${response.status} ${response.statusText}`;
  throw new ApiError(sent.code ?? "failed", message, sent.hint, sent.field);
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await send(path, { signal })).json() as Promise<T>;
}

export async function post<T>(path: string, json: unknown = {}, signal?: AbortSignal): Promise<T> {
  return (await send(path, { method: "POST", json, signal })).json() as Promise<T>;
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";

/** Any failure as an ApiError; failures of the page itself stay visible in the console. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  console.error(error);
  return new ApiError("failed", String(error));
}

export interface ServerEvent {
  name: string;
  data: unknown;
}

/** Read a run's event stream from `offset` until it ends; calls `handle` for each event with the offset after it. */
export async function readEvents(
  id: string,
  offset: number,
  handle: (event: ServerEvent, offset: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const response = await send(`/runs/${id}/events?offset=${offset}`, { signal });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let at = offset;
  for (;;) {
    const { value, done } = await reader.read().catch((error: unknown) => {
      if (signal.aborted) throw error;
      throw new ApiError("offline", ""); // the server ended in the middle of its answer
    });
    if (done) return;
    text += value.replaceAll("\r", "");
    let end: number;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const event = { name: "message", data: "" };
      for (const line of text.slice(0, end).split("\n")) {
        const colon = line.indexOf(":");
        if (colon <= 0) continue;
        const rest = line.slice(colon + 1).trimStart();
        const field = line.slice(0, colon);
        if (field === "event") event.name = rest;
        else if (field === "data") event.data += rest;
        else if (field === "id") at = Number(rest);
      }
      text = text.slice(end + 2);
      if (event.data) handle({ name: event.name, data: JSON.parse(event.data) }, at);
    }
  }
}
