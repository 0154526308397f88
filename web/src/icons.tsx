// Icons: 16 x 16, drawn with the color of the text around them, hidden from screen readers.

const paths = {
  play: "M5 3.2v9.6l8-4.8z",
  pause: "M4.5 3h2.5v10H4.5zM9 3h2.5v10H9z",
  stop: "M4 4h8v8H4z",
} as const;

const strokes = {
  pin: "M6 2.5h4M6.7 2.5v4L5 9.2h6L9.3 6.5v-4M8 9.2v4.3",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  check: "M3 8.5l3.2 3.2L13 5",
  close: "M4 4l8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  search: "M7 11.5a4.5 4.5 0 100-9 4.5 4.5 0 000 9zM10.4 10.4l3.1 3.1",
  sun: "M8 10.8a2.8 2.8 0 100-5.6 2.8 2.8 0 000 5.6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9",
  moon: "M13.2 9.7A5.6 5.6 0 016.3 2.8 5.6 5.6 0 1013.2 9.7z",
  system: "M2 3h12v8H2zM6 13.5h4",
  warn: "M8 2.5l6 10.8H2zM8 6.5v3.2M8 11.5v.2",
  download: "M8 2.5v8M4.8 7.5L8 10.7l3.2-3.2M3 13.5h10",
  upload: "M8 11V3M4.8 6.2L8 3l3.2 3.2M3 13.5h10",
  left: "M10 3.5L5.5 8l4.5 4.5",
  right: "M6 3.5l4.5 4.5L6 12.5",
  home: "M8 3.2a4.8 4.8 0 100 9.6 4.8 4.8 0 000-9.6zM8 1.5v3M8 11.5v3M1.5 8h3M11.5 8h3",
  undo: "M3 7h6.5a3.2 3.2 0 010 6.4H6M5.5 4.5L3 7l2.5 2.5",
  info: "M8 14A6 6 0 108 2a6 6 0 000 12zM8 7.3v3.6M8 5v.2",
} as const;

export type IconName = keyof typeof paths | keyof typeof strokes;

export function Icon({ name }: { name: IconName }) {
  const solid = name in paths;
  const d = solid ? paths[name as keyof typeof paths] : strokes[name as keyof typeof strokes];
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={d} class={solid ? "solid" : "line"} />
    </svg>
  );
}

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
      <rect class="l1" x="2" y="2" width="9" height="9" rx="2" />
      <rect class="l2" x="13" y="2" width="9" height="9" rx="2" />
      <rect class="l2" x="2" y="13" width="9" height="9" rx="2" />
      <rect class="l3" x="13" y="13" width="9" height="9" rx="2" />
    </svg>
  );
}
