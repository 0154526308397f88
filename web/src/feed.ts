// A run as it goes: its details, its logged values, and the stream of what is new.

import { computed, signal } from "@preact/signals";
import { type ApiError, access, asApiError, get, isAbort, online, readEvents, type ServerEvent } from "./api";
import { inOneTab, takeStream } from "./leader";
import type { Card, Detail, HealthMessage, Metrics, Row } from "./types";

const POINTS = 4000; // rows asked for at first: twice what the widest chart draws
const ALL = 100_000; // rows asked for once somebody zooms in
const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const waits = [1, 2, 5]; // seconds before the stream is opened again

export class Feed {
  readonly detail = signal<Detail | null>(null);
  readonly error = signal<ApiError | null>(null);
  readonly card = signal<Card | null>(null);
  readonly grids = signal<number[]>([]);
  readonly preview = signal<{ step: number; version: number } | null>(null);
  readonly health = signal<HealthMessage[]>([]);
  readonly gone = signal(false);
  /** Counts up whenever `steps`, `columns` or `scores` have changed. */
  readonly version = signal(0);
  readonly active = computed(() => this.card.value?.state === "running");

  steps: number[] = [];
  columns: Record<string, (number | null)[]> = {};
  scores: Row[] = [];
  complete = false;

  private offset = 0;
  private stale = false;
  private loading = false;
  private leading = false;
  private readonly waiting: [ServerEvent, number][] = [];
  private readonly channel: BroadcastChannel | null;
  private stopped = new AbortController();
  private stream: AbortController | null = null;

  constructor(readonly id: string) {
    document.addEventListener("visibilitychange", this.onVisibility);
    this.channel = "BroadcastChannel" in window ? new BroadcastChannel(`ganvas-run-${id}`) : null;
    this.channel?.addEventListener("message", ({ data }: MessageEvent<{ event: ServerEvent; offset: number }>) => {
      if (!this.leading && !this.stopped.signal.aborted) this.receive(data.event, data.offset);
    });
    void this.run();
  }

  dispose(): void {
    document.removeEventListener("visibilitychange", this.onVisibility);
    this.stopped.abort();
    this.stream?.abort();
    this.channel?.close();
  }

  /** Ask again for everything; after an action that the stream does not tell about. */
  async reload(): Promise<void> {
    this.loading = true;
    try {
      const { signal } = this.stopped;
      const [detail, metrics] = await Promise.all([
        get<Detail>(`/runs/${this.id}`, signal),
        get<Metrics>(`/runs/${this.id}/metrics?max=${POINTS}`, signal),
      ]);
      this.detail.value = detail;
      this.card.value = detail.card;
      this.grids.value = detail.grids;
      this.health.value = detail.health;
      this.take(metrics);
      this.complete = metrics.steps.length < POINTS / 2;
      this.stale = false;
      this.error.value = null;
    } catch (error) {
      if (!isAbort(error)) this.error.value = asApiError(error);
    }
    // What other tabs passed on meanwhile may be in what was loaded already: rows are told apart by their steps.
    this.loading = false;
    for (const [event, offset] of this.waiting.splice(0)) if (offset >= this.offset) this.receive(event, offset);
  }

  /** Every logged row instead of the decimated ones, for a closer look. */
  async loadAll(): Promise<void> {
    if (this.complete) return;
    this.complete = true;
    try {
      this.take(await get<Metrics>(`/runs/${this.id}/metrics?max=${ALL}`, this.stopped.signal), false);
    } catch (error) {
      this.complete = false;
      if (!isAbort(error)) console.warn(error);
    }
  }

  private take(metrics: Metrics, follow = true): void {
    const newer = follow ? [] : this.rowsAfter(metrics.steps.at(-1) ?? -1);
    this.steps = metrics.steps;
    this.columns = metrics.columns;
    this.scores = metrics.scores;
    if (follow) this.offset = metrics.offset;
    this.append(newer);
    this.version.value++;
  }

  private rowsAfter(step: number): Row[] {
    const rows: Row[] = [];
    for (let i = this.steps.length - 1; i >= 0 && this.steps[i]! > step; i--) {
      const row: Row = { step: this.steps[i]! };
      for (const key in this.columns) row[key] = this.columns[key]![i] ?? null;
      rows.unshift(row);
    }
    return rows;
  }

  private append(rows: Row[]): void {
    for (const row of rows) {
      // A run that went back to a checkpoint logs steps again: the later row counts.
      while (this.steps.length && this.steps.at(-1)! >= row.step) {
        this.steps.pop();
        for (const key in this.columns) this.columns[key]!.pop();
      }
      this.steps.push(row.step);
      for (const key in row) {
        if (key !== "step" && !(key in this.columns)) {
          this.columns[key] = new Array<number | null>(this.steps.length - 1).fill(null);
        }
      }
      for (const key in this.columns) {
        const value = row[key];
        this.columns[key]!.push(typeof value === "number" ? value : null);
      }
    }
  }

  private onVisibility = (): void => {
    if (document.hidden) this.stream?.abort();
  };

  private visible(): Promise<void> {
    if (!document.hidden) return Promise.resolve();
    return new Promise((resolve) => {
      const check = (): void => {
        if (document.hidden) return;
        document.removeEventListener("visibilitychange", check);
        resolve();
      };
      document.addEventListener("visibilitychange", check);
    });
  }

  private async run(): Promise<void> {
    const { signal } = this.stopped;
    for (let tries = 0; !signal.aborted;) {
      if (!this.detail.value || this.stale) await this.reload();
      if (this.error.value && ["not_found", "unauthorized"].includes(this.error.value.code)) return;
      let read = false;
      if (this.detail.value && !this.gone.value) {
        await this.visible();
        await inOneTab(`ganvas-run-${this.id}`, signal, async () => {
          this.leading = true;
          read = await this.follow();
          this.leading = false;
        });
      }
      if (this.gone.value || signal.aborted || access.value === "refused") return;
      if (document.hidden) continue;
      tries = read ? 0 : tries + 1;
      await sleep(1000 * waits[Math.min(Math.max(0, tries - 1), waits.length - 1)]!);
    }
  }

  /** Read the stream until it ends, and pass it on to the other tabs; true if anything came. */
  private async follow(): Promise<boolean> {
    if (document.hidden || this.gone.value) return true;
    const release = await takeStream();
    if (!release) {
      await sleep(1000);
      await this.reload();
      return true;
    }
    let read = false;
    this.stream = new AbortController();
    try {
      await readEvents(
        this.id,
        this.offset,
        (event, offset) => {
          read = true;
          this.channel?.postMessage({ event, offset });
          this.receive(event, offset);
        },
        this.stream.signal,
      );
    } catch (error) {
      if (!isAbort(error)) {
        const { code } = asApiError(error);
        if (code === "not_found") this.gone.value = true;
        if (code === "offline") online.value = false;
      }
    }
    release();
    return read;
  }

  private receive(event: ServerEvent, offset: number): void {
    if (this.loading) return void this.waiting.push([event, offset]);
    this.offset = offset;
    this.handle(event);
  }

  private handle({ name, data }: ServerEvent): void {
    if (name === "metrics") {
      this.append((data as { rows: Row[] }).rows);
      this.version.value++;
    } else if (name === "scores") {
      const { rows } = data as { rows: Row[] };
      const first = rows[0]?.step ?? 0;
      this.scores = [...this.scores.filter((row) => row.step < first), ...rows];
      const card = this.card.value;
      const newest = rows.at(-1);
      if (card && newest) this.card.value = { ...card, score: { ...card.score, ...newest } };
      this.version.value++;
    } else if (name === "health") {
      this.health.value = [...this.health.value, ...(data as { rows: HealthMessage[] }).rows];
    } else if (name === "status") {
      const changed = data as Partial<Card>;
      const before = this.card.value;
      if (before) this.card.value = { ...before, ...changed };
      // At its end a run has an evaluation, checkpoints and a best step that the stream does not carry.
      if (before && before.state !== changed.state && changed.state !== "running") void this.refresh();
    } else if (name === "grid") {
      const { step } = data as { step: number };
      const grids = this.grids.value;
      if (!grids.includes(step)) this.grids.value = [...grids.filter((s) => s < step), step];
    } else if (name === "preview") {
      this.preview.value = data as { step: number; version: number };
    } else if (name === "reset") {
      // The run went back to an earlier checkpoint: the log is another one.
      this.stale = true;
      if (this.leading) this.stream?.abort();
      else void this.reload();
    } else if (name === "gone") {
      this.gone.value = true;
    }
  }

  /** Ask again for what the stream does not tell: checkpoints, the evaluation. */
  async refresh(): Promise<void> {
    try {
      const detail = await get<Detail>(`/runs/${this.id}`, this.stopped.signal);
      this.detail.value = detail;
      this.card.value = detail.card;
      this.grids.value = detail.grids;
      this.health.value = detail.health;
    } catch (error) {
      if (!isAbort(error)) console.warn(error);
    }
  }
}
