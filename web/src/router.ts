// The route lives in the hash: #/run/ID/live?step=400

import { signal } from "@preact/signals";

export interface Route {
  path: string[];
  params: URLSearchParams;
}

function parse(): Route {
  // A token before the route is on its way out of the address.
  const [path = "", query = ""] = location.hash.replace(/^#(?:token=[0-9a-fA-F]*&?)?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean), params: new URLSearchParams(query) };
}

export const route = signal<Route>(parse());

export function startRouter(): void {
  route.value = parse();
  window.addEventListener("hashchange", () => {
    route.value = parse();
  });
}

export function href(path: string, params?: Record<string, string>): string {
  const query = params ? new URLSearchParams(params).toString().replaceAll("%2C", ",") : "";
  return `#${path}${query ? `?${query}` : ""}`;
}

export function go(path: string, params?: Record<string, string>): void {
  location.hash = href(path, params);
}

let pending = 0;

/** Keep the state of a view in the address, without a new entry in the history; at most a few times a second. */
export function keepParams(params: URLSearchParams): void {
  clearTimeout(pending);
  const [path] = location.hash.split("?", 1);
  pending = window.setTimeout(() => {
    if (location.hash.split("?", 1)[0] !== path) return;
    // Commas and colons are legal in a fragment and easier to read than their codes.
    const query = params.toString().replaceAll("%2C", ",").replaceAll("%3A", ":").replaceAll("%3B", ";");
    history.replaceState(null, "", `${location.pathname}${path}${query ? `?${query}` : ""}`);
  }, 200);
}
