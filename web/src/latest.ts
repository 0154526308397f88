// One request in flight; of those asked for meanwhile, only the last is sent.

import { asApiError, type ApiError } from "./api";

export class Latest<In, Out> {
  private busy = false;
  private next: { value: In } | null = null;
  private stopped = false;

  constructor(
    private readonly work: (value: In) => Promise<Out>,
    private readonly done: (result: Out, value: In) => void,
    private readonly failed: (error: ApiError, value: In) => void,
  ) {}

  get idle(): boolean {
    return !this.busy;
  }

  ask(value: In): void {
    this.next = { value };
    if (!this.busy) void this.drain();
  }

  stop(): void {
    this.stopped = true;
    this.next = null;
  }

  private async drain(): Promise<void> {
    this.busy = true;
    while (this.next && !this.stopped) {
      const { value } = this.next;
      this.next = null;
      try {
        const result = await this.work(value);
        this.busy = false;
        if (!this.stopped) this.done(result, value);
      } catch (error) {
        this.busy = false;
        if (!this.stopped) this.failed(asApiError(error), value);
      }
      if (this.busy) return; // `done` has asked again, and that call goes on
      this.busy = true;
    }
    this.busy = false;
  }
}
