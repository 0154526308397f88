// Streams are shared between tabs: a browser opens only six connections to a server, for all its tabs together.

const STREAMS = 4; // of all runs that are shown in this browser; others ask now and then

/** Do `work` in one tab at a time; the others wait for their turn. Without locks (on plain HTTP) all tabs work. */
export async function inOneTab(name: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  if (!navigator.locks) return work();
  try {
    await navigator.locks.request(name, { signal }, work);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** A place among the streams of this browser: the function that gives it back, or null where all are taken. */
export async function takeStream(): Promise<(() => void) | null> {
  if (!navigator.locks) return () => undefined;
  for (let n = 0; n < STREAMS; n++) {
    const release = await new Promise<(() => void) | null>((resolve) => {
      void navigator.locks.request(`ganvas-stream-${n}`, { ifAvailable: true }, (lock) =>
        lock ? new Promise<void>((done) => resolve(done)) : resolve(null),
      );
    });
    if (release) return release;
  }
  return null;
}
