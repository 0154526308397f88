// A drawing of a few pixels: soft round strokes, undo, and which pixels were painted.

export type Color = [number, number, number];

export class Drawing {
  pixels: Uint8ClampedArray; // RGB
  painted: Uint8Array; // 1 where a stroke was
  private readonly past: { pixels: Uint8ClampedArray; painted: Uint8Array }[] = [];

  constructor(
    readonly width: number,
    readonly height: number,
    private paper: number,
  ) {
    this.pixels = new Uint8ClampedArray(3 * width * height).fill(paper);
    this.painted = new Uint8Array(width * height);
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get empty(): boolean {
    return !this.painted.some(Boolean);
  }

  /** Call before each stroke or other change. */
  remember(): void {
    this.past.push({ pixels: this.pixels.slice(), painted: this.painted.slice() });
    if (this.past.length > 50) this.past.shift();
  }

  undo(): void {
    const last = this.past.pop();
    if (last) [this.pixels, this.painted] = [last.pixels, last.painted];
  }

  clear(paper = this.paper): void {
    this.remember();
    this.paper = paper;
    this.pixels.fill(paper);
    this.painted.fill(0);
  }

  /** Start from an image, raw uint8 [H, W, C], of which nothing is painted yet. */
  load(bytes: Uint8Array, channels: number): void {
    this.remember();
    for (let i = 0; i < this.width * this.height; i++) {
      for (let c = 0; c < 3; c++) this.pixels[3 * i + c] = bytes[channels * i + (channels === 1 ? 0 : c)]!;
    }
    this.painted.fill(0);
  }

  /** A line of the pen from one point to another, in pixels of the drawing. */
  stroke(x0: number, y0: number, x1: number, y1: number, radius: number, color: Color): void {
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length = dx * dx + dy * dy;
    const reach = radius + 1;
    const left = Math.max(0, Math.floor(Math.min(x0, x1) - reach));
    const right = Math.min(this.width - 1, Math.ceil(Math.max(x0, x1) + reach));
    const top = Math.max(0, Math.floor(Math.min(y0, y1) - reach));
    const bottom = Math.min(this.height - 1, Math.ceil(Math.max(y0, y1) + reach));
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
        const t = length ? Math.max(0, Math.min(1, (px * dx + py * dy) / length)) : 0;
        const cover = Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(px - t * dx, py - t * dy)));
        if (cover <= 0) continue;
        const i = y * this.width + x;
        if (cover > 0.3) this.painted[i] = 1;
        for (let c = 0; c < 3; c++) {
          const now = this.pixels[3 * i + c]!;
          const next = now + (color[c]! - now) * cover;
          // Strokes that overlap do not wash each other out.
          this.pixels[3 * i + c] = color[c]! >= now ? Math.max(now, next) : Math.min(now, next);
        }
      }
    }
  }

  /** Raw uint8 [H, W, C]. */
  bytes(channels: number): Uint8Array {
    if (channels === 3) return new Uint8Array(this.pixels);
    return Uint8Array.from({ length: this.width * this.height }, (_, i) =>
      Math.round(0.299 * this.pixels[3 * i]! + 0.587 * this.pixels[3 * i + 1]! + 0.114 * this.pixels[3 * i + 2]!),
    );
  }

  paint(canvas: HTMLCanvasElement): void {
    const image = new ImageData(this.width, this.height);
    for (let i = 0; i < this.width * this.height; i++) {
      image.data.set(this.pixels.subarray(3 * i, 3 * i + 3), 4 * i);
      image.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d")!.putImageData(image, 0, 0);
  }
}
