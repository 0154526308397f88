// Raw images from the server: uint8 [N, H, W, C], one below the other on a canvas.

import { useLayoutEffect, useRef } from "preact/hooks";

export const bytesOf = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

/** The bytes as base64, in parts that fit on the stack. */
export function base64Of(bytes: Uint8Array | Uint8ClampedArray): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

/** Raw uint8 [N, H, W, C] as a canvas, image below image. */
export function toCanvas(bytes: Uint8Array, [count, height, width, channels]: number[]): OffscreenCanvas {
  const pixels = new Uint8ClampedArray(4 * count! * height! * width!);
  for (let i = 0, j = 0; j < pixels.length; i += channels!, j += 4) {
    pixels[j] = bytes[i]!;
    pixels[j + 1] = bytes[channels === 1 ? i : i + 1]!;
    pixels[j + 2] = bytes[channels === 1 ? i : i + 2]!;
    pixels[j + 3] = 255;
  }
  const canvas = new OffscreenCanvas(width!, height! * count!);
  canvas.getContext("2d")!.putImageData(new ImageData(pixels, width!, height! * count!), 0, 0);
  return canvas;
}

/**
 * Signed maps as colors: 128 is nothing, above it orange, below it blue, the stronger the more opaque.
 * Of several channels, their mean.
 */
export function mapCanvas(bytes: Uint8Array, [count, height, width, channels]: number[]): OffscreenCanvas {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): number[] => {
    const hex = style.getPropertyValue(name).trim();
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  };
  const [up, down] = [color("--c1"), color("--c0")];
  const pixels = new Uint8ClampedArray(4 * count! * height! * width!);
  for (let i = 0, j = 0; j < pixels.length; i += channels!, j += 4) {
    let sum = 0;
    for (let c = 0; c < channels!; c++) sum += bytes[i + c]! - 128;
    const value = sum / channels! / 127;
    const [r, g, b] = value > 0 ? up : down;
    pixels[j] = r!;
    pixels[j + 1] = g!;
    pixels[j + 2] = b!;
    pixels[j + 3] = 255 * Math.sqrt(Math.min(1, Math.abs(value)));
  }
  const canvas = new OffscreenCanvas(width!, height! * count!);
  canvas.getContext("2d")!.putImageData(new ImageData(pixels, width!, height! * count!), 0, 0);
  return canvas;
}

/** One image of such a canvas with hard pixels, `over` drawn on it. */
export function Sample(props: {
  source: OffscreenCanvas;
  index: number;
  size: [width: number, height: number];
  alt: string;
  scale: number;
  over?: { source: OffscreenCanvas; opacity: number };
  class?: string;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, height] = props.size;
  const { source, index, scale, over } = props;
  useLayoutEffect(() => {
    const context = canvas.current!.getContext("2d")!;
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, width * scale, height * scale);
    const draw = (from: OffscreenCanvas): void =>
      context.drawImage(from, 0, index * height, width, height, 0, 0, width * scale, height * scale);
    draw(source);
    if (over && over.opacity > 0) {
      // The image steps back behind what is laid over it.
      context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--card");
      context.globalAlpha = 0.55 * over.opacity;
      context.fillRect(0, 0, width * scale, height * scale);
      context.globalAlpha = over.opacity;
      draw(over.source);
      context.globalAlpha = 1;
    }
  }, [source, index, scale, width, height, over?.source, over?.opacity]);
  return (
    <canvas
      ref={canvas}
      class={props.class ?? ""}
      width={width * scale}
      height={height * scale}
      {...(props.alt ? { role: "img", "aria-label": props.alt } : { "aria-hidden": true })}
    />
  );
}
