// The plane of latent space as a map: tiles at the points of a lattice, dragged, zoomed, and kept while they are of use.

import type { Look, Source } from "./generator";
import { reducedMotion } from "./settings";

const SIZE = 80; // wanted CSS pixels of a tile
const MIN_ZOOM = 0; // neighbors are one seed apart
const MAX_ZOOM = 6; // neighbors are 1/64 of a seed apart
const BUDGET = 160; // milliseconds that a request should take
const LAYERS = 6;

interface Tile {
  source: OffscreenCanvas;
  top: number;
}

interface Layer {
  key: string;
  level: number;
  tiles: Map<string, Tile>;
  /** The checkpoint of the tiles. */
  step: number;
}

export interface View {
  /** The point in the middle of the canvas, in seeds. */
  x: number;
  y: number;
  /** Tiles are 2 ** -zoom seeds apart. */
  zoom: number;
}

export interface PlaneEvents {
  onView: (view: View) => void;
  onPick: (x: number, y: number) => void;
  onCursor: (x: number, y: number) => void;
  kick: () => void;
}

export class Plane {
  private layers: Layer[] = [];
  private look: Look;
  private cursor: [number, number] | null = null;
  private marks: { x: number; y: number; current: boolean }[] = [];
  private width = 0;
  private height = 0;
  private tile = SIZE;
  private most = 64; // images of a request; adapted to how long they take
  private frame = 0;
  private snapTimer = 0;
  private pointers = new Map<number, { x: number; y: number }>();
  private moved = 0;
  private readonly stops: (() => void)[] = [];

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly imageSize: [width: number, height: number],
    look: Look,
    public view: View,
    private readonly events: PlaneEvents,
  ) {
    this.look = look;
    const on = <K extends keyof HTMLElementEventMap>(
      name: K,
      handle: (event: HTMLElementEventMap[K]) => void,
      passive = true,
    ): void => {
      canvas.addEventListener(name, handle, { passive });
      this.stops.push(() => canvas.removeEventListener(name, handle));
    };
    on("pointerdown", this.onDown);
    on("pointermove", this.onMove);
    on("pointerup", this.onUp);
    on("pointercancel", this.onUp);
    on("wheel", this.onWheel, false);
    on("keydown", this.onKey, false);
    on("focus", () => {
      if (!canvas.matches(":focus-visible")) return;
      this.cursor ??= this.snapped(this.view.x, this.view.y);
      this.draw();
    });
    on("blur", () => {
      this.cursor = null;
      this.draw();
    });
    const resize = new ResizeObserver(() => this.resize());
    resize.observe(canvas);
    this.stops.push(() => resize.disconnect());
  }

  destroy(): void {
    for (const stop of this.stops) stop();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.snapTimer);
  }

  setLook(look: Look): void {
    this.look = look;
    this.draw();
    this.events.kick();
  }

  setMarks(marks: { x: number; y: number; current: boolean }[]): void {
    this.marks = marks;
    this.draw();
  }

  /** Zoom by whole steps around the middle. */
  zoomBy(steps: number): void {
    this.animateZoom(this.level + steps, this.width / 2, this.height / 2);
  }

  moveTo(view: Partial<View>): void {
    this.view = { ...this.view, ...view };
    this.changed();
  }

  private get level(): number {
    return Math.max(MIN_ZOOM, Math.min(MAX_ZOOM, Math.round(this.view.zoom)));
  }

  private get spacing(): number {
    return 2 ** -this.level;
  }

  /** CSS pixels of a tile as it is shown now, and its height. */
  private get shown(): [number, number] {
    const width = this.tile * 2 ** (this.view.zoom - this.level);
    return [width, (width * this.imageSize[1]) / this.imageSize[0]];
  }

  private layer(create: boolean): Layer | undefined {
    const key = JSON.stringify([this.level, this.look]);
    let layer = this.layers.find((l) => l.key === key);
    if (!layer && create) layer = { key, level: this.level, tiles: new Map(), step: -1 };
    if (layer && create) this.layers = [layer, ...this.layers.filter((l) => l !== layer)].slice(0, LAYERS);
    return layer;
  }

  /** Lattice indices of the tiles in sight: first and last column, first and last row. */
  private range(margin = 0): [number, number, number, number] {
    const [w, h] = this.shown;
    const [cx, cy] = [this.view.x / this.spacing, this.view.y / this.spacing];
    return [
      Math.floor(cx - this.width / 2 / w + 0.5) - margin,
      Math.ceil(cx + this.width / 2 / w - 0.5) + margin,
      Math.floor(cy - this.height / 2 / h + 0.5) - margin,
      Math.ceil(cy + this.height / 2 / h - 0.5) + margin,
    ];
  }

  /** The next request: a rectangle of missing tiles that grows from the middle of the view; then a margin of one. */
  readonly source: Source = () => {
    if (!this.width) return null;
    for (const margin of [0, 1]) {
      const rectangle = this.missing(margin);
      if (!rectangle) continue;
      const [left, right, top, bottom] = rectangle;
      const layer = this.layer(true)!;
      const { spacing } = this;
      const columns = right - left + 1;
      const rows = bottom - top + 1;
      return {
        look: this.look,
        points: { plane: { x: left * spacing, y: top * spacing, columns, rows, spacing } },
        done: (images) => {
          // Of a run that trains, "the best checkpoint" becomes another one: its tiles do not mix with the old ones.
          if (layer.step !== images.step) layer.tiles.clear();
          layer.step = images.step;
          const fits = (BUDGET * images.count) / Math.max(8, images.milliseconds);
          this.most = Math.round(Math.max(32, Math.min(400, (this.most + fits) / 2)));
          for (let n = 0; n < images.count; n++) {
            const key = `${left + (n % columns)},${top + Math.floor(n / columns)}`;
            layer.tiles.set(key, { source: images.canvas, top: n * images.height });
          }
          this.forget(layer);
          this.draw();
        },
      };
    }
    return null;
  };

  private missing(margin: number): [number, number, number, number] | null {
    const tiles = this.layer(false)?.tiles;
    const [left, right, top, bottom] = this.range(margin);
    const lacks = (i: number, j: number): boolean => !tiles?.has(`${i},${j}`);
    const [cx, cy] = [this.view.x / this.spacing, this.view.y / this.spacing];
    let best: [number, number] | null = null;
    let nearest = Infinity;
    for (let j = top; j <= bottom; j++) {
      for (let i = left; i <= right; i++) {
        const distance = (i - cx) ** 2 + (j - cy) ** 2;
        if (distance < nearest && lacks(i, j)) [best, nearest] = [[i, j], distance];
      }
    }
    if (!best) return null;
    let [l, t] = best;
    let [r, b] = best;
    const column = (i: number): boolean => {
      for (let j = t; j <= b; j++) if (!lacks(i, j)) return false;
      return true;
    };
    const row = (j: number): boolean => {
      for (let i = l; i <= r; i++) if (!lacks(i, j)) return false;
      return true;
    };
    for (let grown = true; grown;) {
      grown = false;
      const room = (columns: number, rows: number): boolean => (r - l + 1 + columns) * (b - t + 1 + rows) <= this.most;
      if (r < right && room(1, 0) && column(r + 1)) (r++, (grown = true));
      if (l > left && room(1, 0) && column(l - 1)) (l--, (grown = true));
      if (b < bottom && room(0, 1) && row(b + 1)) (b++, (grown = true));
      if (t > top && room(0, 1) && row(t - 1)) (t--, (grown = true));
    }
    return [l, r, t, b];
  }

  /** Tiles far from the view are not kept. */
  private forget(layer: Layer): void {
    if (layer.tiles.size < 4000) return;
    const [left, right, top, bottom] = this.range(12);
    for (const key of layer.tiles.keys()) {
      const [i, j] = key.split(",").map(Number) as [number, number];
      if (i < left || i > right || j < top || j > bottom) layer.tiles.delete(key);
    }
  }

  /** The tile for a point: of the current look, else the nearest one of those that were shown before. */
  private find(x: number, y: number): Tile | undefined {
    const key = JSON.stringify([this.level, this.look]);
    const current = this.layers.find((l) => l.key === key);
    for (const layer of current ? [current, ...this.layers] : this.layers) {
      const scale = 2 ** layer.level;
      const tile = layer.tiles.get(`${Math.round(x * scale)},${Math.round(y * scale)}`);
      if (tile) return tile;
    }
    return undefined;
  }

  private draw(): void {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.paint());
  }

  private paint(): void {
    this.frame = 0;
    const context = this.canvas.getContext("2d")!;
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingEnabled = false;
    const [w, h] = this.shown;
    const { spacing } = this;
    const [left, right, top, bottom] = this.range();
    const [iw, ih] = this.imageSize;
    const edge = (n: number): number => Math.round(n * ratio);
    for (let j = top; j <= bottom; j++) {
      for (let i = left; i <= right; i++) {
        const px = (i - this.view.x / spacing) * w + this.width / 2 - w / 2;
        const py = (j - this.view.y / spacing) * h + this.height / 2 - h / 2;
        const tile = this.find(i * spacing, j * spacing);
        if (!tile) continue;
        const [x0, y0] = [edge(px), edge(py)];
        context.drawImage(tile.source, 0, tile.top, iw, ih, x0, y0, edge(px + w) - x0, edge(py + h) - y0);
      }
    }
    const box = (x: number, y: number, color: string, width: number): void => {
      const px = ((x - this.view.x) / spacing) * w + this.width / 2 - w / 2;
      const py = ((y - this.view.y) / spacing) * h + this.height / 2 - h / 2;
      context.strokeStyle = color;
      context.lineWidth = width * ratio;
      context.strokeRect(
        px * ratio + context.lineWidth / 2,
        py * ratio + context.lineWidth / 2,
        w * ratio - context.lineWidth,
        h * ratio - context.lineWidth,
      );
    };
    const style = getComputedStyle(this.canvas);
    for (const mark of this.marks)
      box(mark.x, mark.y, style.getPropertyValue(mark.current ? "--c1" : "--accent"), mark.current ? 3 : 2);
    if (this.cursor) box(...this.cursor, style.getPropertyValue("--c1"), 2);
  }

  private resize(): void {
    const ratio = window.devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    // A whole number of screen pixels for each pixel of an image.
    const wanted = Math.min(SIZE, Math.max(44, this.width / 6));
    this.tile = (Math.max(1, Math.round((wanted * ratio) / this.imageSize[0])) * this.imageSize[0]) / ratio;
    this.paint();
    this.events.kick();
  }

  private changed(): void {
    this.view.x = ((this.view.x % 100) + 100) % 100;
    this.view.y = ((this.view.y % 100) + 100) % 100;
    this.draw();
    this.events.onView({ ...this.view, zoom: this.level });
    this.events.kick();
  }

  /** The lattice point at a point of the canvas. */
  private at(px: number, py: number): [number, number] {
    const [w, h] = this.shown;
    return this.snapped(
      this.view.x + ((px - this.width / 2) / w) * this.spacing,
      this.view.y + ((py - this.height / 2) / h) * this.spacing,
    );
  }

  private snapped(x: number, y: number): [number, number] {
    return [Math.round(x / this.spacing) * this.spacing, Math.round(y / this.spacing) * this.spacing];
  }

  private zoomTo(zoom: number, px: number, py: number): void {
    const scale = (z: number): number => 2 ** -z / this.tile; // seeds in a CSS pixel
    const next = Math.max(MIN_ZOOM - 0.3, Math.min(MAX_ZOOM + 0.3, zoom));
    const change = scale(this.view.zoom) - scale(next);
    this.view.x += (px - this.width / 2) * change;
    this.view.y += ((py - this.height / 2) * change * this.imageSize[0]) / this.imageSize[1];
    this.view.zoom = next;
    this.changed();
  }

  private animateZoom(to: number, px: number, py: number): void {
    const target = Math.max(MIN_ZOOM, Math.min(MAX_ZOOM, to));
    const from = this.view.zoom;
    if (reducedMotion() || Math.abs(target - from) < 0.01) return this.zoomTo(target, px, py);
    const began = performance.now();
    const step = (now: number): void => {
      const t = Math.min(1, (now - began) / 160);
      this.zoomTo(from + (target - from) * (1 - (1 - t) ** 3), px, py);
      if (t < 1 && !this.pointers.size) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  /** After a gesture the zoom settles on whole steps, where pixels are sharp. */
  private settle(px: number, py: number): void {
    clearTimeout(this.snapTimer);
    this.snapTimer = window.setTimeout(() => this.animateZoom(this.level, px, py), 140);
  }

  private place(event: MouseEvent): { x: number; y: number } {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private onDown = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    if (!this.pointers.size) this.moved = 0;
    this.pointers.set(event.pointerId, this.place(event));
    this.cursor = null;
  };

  private onMove = (event: PointerEvent): void => {
    const here = this.place(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, here);
    this.moved += Math.abs(here.x - before.x) + Math.abs(here.y - before.y);
    if (this.moved < 5) return;
    this.canvas.classList.add("dragging");
    const part = other ? 0.5 : 1; // with two fingers the middle between them moves half as far
    const [w, h] = this.shown;
    this.view.x -= ((here.x - before.x) / w) * this.spacing * part;
    this.view.y -= ((here.y - before.y) / h) * this.spacing * part;
    if (other) {
      const stretch =
        Math.hypot(here.x - other.x, here.y - other.y) /
        Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
      this.zoomTo(this.view.zoom + Math.log2(stretch), (here.x + other.x) / 2, (here.y + other.y) / 2);
    }
    this.changed();
  };

  private onUp = (event: PointerEvent): void => {
    if (!this.pointers.delete(event.pointerId)) return;
    const here = this.place(event);
    if (!this.pointers.size) {
      this.canvas.classList.remove("dragging");
      if (this.moved < 5 && event.type === "pointerup") this.events.onPick(...this.at(here.x, here.y));
      this.settle(here.x, here.y);
    }
  };

  private onWheel = (event: WheelEvent): void => {
    event.preventDefault();
    const here = this.place(event);
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    this.zoomTo(this.view.zoom - (event.deltaY * unit * (event.ctrlKey ? 5 : 1)) / 320, here.x, here.y);
    this.settle(here.x, here.y);
  };

  private onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { spacing } = this;
    const [x, y] = this.cursor ?? this.snapped(this.view.x, this.view.y);
    const steps: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const step = steps[event.key];
    if (step) {
      this.cursor = [x + step[0] * spacing, y + step[1] * spacing];
      this.reveal();
      this.events.onCursor(...this.cursor);
    } else if (event.key === "+" || event.key === "=") this.zoomBy(1);
    else if (event.key === "-") this.zoomBy(-1);
    else if (event.key === "Enter" || event.key === " ") this.events.onPick(x, y);
    else return;
    event.preventDefault();
    this.draw();
  };

  /** Move the view so that the cursor is in it. */
  private reveal(): void {
    const [w, h] = this.shown;
    const [x, y] = this.cursor!;
    const roomX = Math.max(0, (this.width / 2 / w - 1) * this.spacing);
    const roomY = Math.max(0, (this.height / 2 / h - 1) * this.spacing);
    const vx = Math.max(x - roomX, Math.min(x + roomX, this.view.x));
    const vy = Math.max(y - roomY, Math.min(y + roomY, this.view.y));
    if (vx === this.view.x && vy === this.view.y) return;
    const [dx, dy] = [vx - this.view.x, vy - this.view.y];
    this.view.x = vx;
    this.view.y = vy;
    const before: [number, number] = [this.view.x, this.view.y];
    this.changed();
    // The plane repeats: the cursor stays beside the view.
    if (dx || dy) this.cursor = [x + this.view.x - before[0], y + this.view.y - before[1]];
  }
}
