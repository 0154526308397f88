// Images of runs: fetched with the token, kept for going back, drawn with hard pixels of one size.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { send } from "./api";

const KEPT = 200;
const blobs = new Map<string, Promise<Blob>>();

function fetchImage(path: string): Promise<Blob> {
  const known = blobs.get(path);
  if (known) {
    blobs.delete(path);
    blobs.set(path, known); // now the newest
    return known;
  }
  const blob = send(path).then((response) => response.blob());
  blob.catch(() => blobs.delete(path));
  blobs.set(path, blob);
  for (const old of blobs.keys()) {
    if (blobs.size <= KEPT) break;
    blobs.delete(old);
  }
  return blob;
}

/** Fetch an image before it is needed. */
export const preload = (path: string): Promise<unknown> => fetchImage(path).catch(() => undefined);

interface Shown {
  bitmap: ImageBitmap | null;
  /** The path of `bitmap`: that of the last image until the next has arrived. */
  path: string;
  failed: boolean;
}

export function useImage(path: string | null): Shown {
  const [state, setState] = useState<Shown>({ bitmap: null, path: "", failed: false });
  useEffect(() => {
    if (path === null) return setState({ bitmap: null, path: "", failed: false });
    let current = true;
    fetchImage(path)
      .then((blob) => createImageBitmap(blob))
      .then(
        (bitmap) => {
          if (current) setState({ bitmap, path, failed: false });
          else bitmap.close();
        },
        () => current && setState((old) => ({ ...old, failed: true })),
      );
    return () => {
      current = false;
    };
  }, [path]);
  return state;
}

/**
 * An image as a canvas. It is drawn with whole multiples of its pixels, larger than it is shown, and then reduced:
 * at a scale of 2.3 all pixels still look alike, which `image-rendering: pixelated` alone does not give.
 */
export function Pixels(props: { bitmap: ImageBitmap; alt: string; width?: number; class?: string; path?: string }) {
  const { bitmap } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const element = canvas.current!;
    const draw = (): void => {
      const shown = (props.width ?? element.clientWidth) * (window.devicePixelRatio || 1);
      const times = Math.max(1, Math.min(16, Math.ceil(shown / bitmap.width - 0.01)));
      element.width = bitmap.width * times;
      element.height = bitmap.height * times;
      const context = element.getContext("2d")!;
      context.imageSmoothingEnabled = false;
      context.drawImage(bitmap, 0, 0, element.width, element.height);
    };
    draw();
    if (props.width !== undefined) return;
    let last = element.clientWidth;
    const watch = new ResizeObserver(() => {
      if (Math.abs(element.clientWidth - last) > 4) {
        last = element.clientWidth;
        draw();
      }
    });
    watch.observe(element);
    return () => watch.disconnect();
  }, [bitmap, props.width]);
  return (
    <canvas
      ref={canvas}
      class={props.class ?? ""}
      role="img"
      aria-label={props.alt}
      data-image={props.path}
      {...(props.width === undefined ? {} : { style: { width: `${props.width}px` } })}
    />
  );
}

/** An image of the API; the last one stays until the next has arrived. */
export function RunImage({ path, alt, class: kind = "" }: { path: string | null; alt: string; class?: string }) {
  const { bitmap, path: shown } = useImage(path);
  if (!bitmap) return <div class={`image-empty ${kind}`} role="img" aria-label={alt} />;
  return <Pixels class={kind} bitmap={bitmap} alt={alt} path={shown} />;
}
