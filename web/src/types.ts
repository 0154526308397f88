// What the server sends. Names are those of the API.

export type State = "running" | "paused" | "stopped" | "finished" | "interrupted" | "failed" | "damaged";

export interface Card {
  id: string;
  name: string;
  path: string;
  data: string;
  recipe: string;
  summary: string;
  state: State;
  message: string;
  step: number;
  steps: number;
  steps_per_epoch: number;
  epoch: number;
  images_per_second: number | null;
  seconds_left: number | null;
  created: string;
  image_shape: [number, number, number];
  classes: number;
  condition: "labels" | "clusters" | "none";
  class_names: string[];
  grids: number | null;
  controllable: boolean;
  score: Scores | null;
}

export type Scores = Record<string, number | null>;
export type Row = Record<string, number | null> & { step: number };

export interface MetricInfo {
  key: string;
  name: string;
  direction: "lower" | "higher" | "nearer 0";
  description: string;
}

export interface HealthMessage {
  step: number;
  message: string;
}

export interface Detail {
  card: Card;
  recipe: Record<string, unknown>;
  notes: string[];
  command: string;
  machine: Record<string, unknown>;
  shell_path: string;
  grids: number[];
  checkpoints: number[];
  best_step: number | null;
  log_keys: string[];
  evaluation: Scores | null;
  metrics_info: MetricInfo[];
  health: HealthMessage[];
}

export interface Metrics {
  offset: number;
  steps: number[];
  columns: Record<string, (number | null)[]>;
  scores: Row[];
}

export interface About {
  version: string;
  runs_dir: string;
  machine: string;
  home: string;
}

export interface RecipeInfo {
  name: string;
  title: string;
  source: string;
  data: string;
  length: string;
  pixels: number | null;
  batch_size: number;
}

export interface RecipeKey {
  path: string;
  kind: "number" | "integer" | "choice" | "text" | "boolean";
  default: unknown;
  optional: boolean;
  choices: (string | number)[];
  description: string;
}

export interface Recipes {
  recipes: RecipeInfo[];
  automatic: RecipeInfo;
  budgets: string[];
}

export interface DataChoices {
  sets: { name: string; title: string; classes: number }[];
  folders: { path: string; name: string }[];
}

export interface Preview {
  name: string;
  images: number;
  image_shape: [number, number, number];
  classes: number;
  class_names: string[];
  source: string;
  note: string;
  notes: string[];
  preview: string;
  recipe: string;
  steps: number;
  seconds: number;
}

/** A point of latent space: weights of seeds, z = sum(w z) / sqrt(sum(w^2)). */
export type Blend = Record<string, number>;

export interface Neighbors {
  distance: number;
  percentile: number | null;
  copy: boolean;
  message: string;
  shape: number[];
  images: string;
  distances: number[];
}

export interface Direction {
  name: string;
  r2: number | null;
  kind: "attribute" | "principal";
}
