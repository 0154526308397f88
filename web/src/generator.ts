// Requests for generated images: one in flight. What is wanted is asked for when it can be sent, so that the
// latest view is always the next request, and nothing outdated waits in a queue.

import { signal } from "@preact/signals";
import { ApiError, asApiError, send } from "./api";
import { toCanvas } from "./sample";
import type { Blend } from "./types";

/** What all images of a view share. */
export interface Look {
  step: number | null;
  label: number | null;
  truncation: number;
  directions: Record<string, number>;
}

export type Points =
  { blends: Blend[] } | { plane: { x: number; y: number; columns: number; rows: number; spacing: number } };

export interface Images {
  count: number;
  width: number;
  height: number;
  /** One below the other. */
  canvas: OffscreenCanvas;
  step: number;
  command: string;
  python: string;
  milliseconds: number;
}

interface Job {
  look: Look;
  points: Points;
  done: (images: Images) => void;
}

/** Says what it wants next, or null. */
export type Source = () => Job | null;

export class Generator {
  readonly error = signal<ApiError | null>(null);
  /** No image has arrived yet. */
  readonly starting = signal(true);
  readonly step = signal<number | null>(null);
  private readonly sources: { source: Source; priority: number }[] = [];
  private busy = false;
  private stopped = false;

  constructor(private readonly id: string) {}

  add(source: Source, priority: number): () => void {
    const entry = { source, priority };
    this.sources.push(entry);
    this.sources.sort((a, b) => a.priority - b.priority);
    this.kick();
    return () => void this.sources.splice(this.sources.indexOf(entry), 1);
  }

  stop(): void {
    this.stopped = true;
  }

  /** Something may be wanted now. */
  kick(): void {
    if (!this.busy) void this.work();
  }

  private async work(): Promise<void> {
    this.busy = true;
    await Promise.resolve(); // several changes of one event become one request
    while (!this.stopped) {
      let job: Job | null = null;
      for (const { source } of this.sources) if ((job = source())) break;
      if (!job) break;
      try {
        const images = await this.request(job);
        if (this.stopped) break;
        this.error.value = null;
        this.starting.value = false;
        this.step.value = images.step;
        job.done(images);
      } catch (caught) {
        const error = asApiError(caught);
        if (this.stopped) break;
        if (error.code !== "busy") this.error.value = error;
        // Busy or without a connection: the same again in a moment. What was refused waits for a change.
        if (error.code === "bad_request" || error.code === "not_found" || error.code === "unauthorized") break;
        await new Promise((resolve) => setTimeout(resolve, error.code === "busy" ? 300 : 2000));
      }
    }
    this.busy = false;
  }

  private async request({ look, points }: Job): Promise<Images> {
    const from = performance.now();
    const response = await send(`/runs/${this.id}/generate`, { json: { ...points, ...look } });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const header = (name: string): string => response.headers.get(name) ?? "";
    const shape = header("X-Shape").split(",").map(Number);
    return {
      count: shape[0]!,
      height: shape[1]!,
      width: shape[2]!,
      canvas: toCanvas(bytes, shape),
      step: Number(header("X-Step")),
      command: decodeURIComponent(header("X-Command")),
      python: decodeURIComponent(header("X-Python")),
      milliseconds: performance.now() - from,
    };
  }
}
