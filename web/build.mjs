// Builds the page of `ganvas studio`: src/ -> ../src/ganvas/studio/static/. The same sources give the same bytes.
//
//   npm ci && npm run check && npm run build
//
// manifest.json holds the SHA-256 of every source file and every built file, so that a test without Node can tell
// whether the built files belong to the sources.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../src/ganvas/studio/static");
// Bytes: of what the first page needs, and of all JavaScript.
const budgets = { "app.js + chunk.js": 90_000, "app.js + chunk.js + all.js": 220_000 };

const files = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)],
  );
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

mkdirSync(out, { recursive: true });

// Parts of uPlot that no chart here has: dates on axes, bars, steps, splines, joined tables. They hang on the class
// where no bundler can see that they are unused; without them app.js is a tenth smaller.
const unused = [
  ["	uPlot.join = join;", ""],
  ["	uPlot.fmtDate = fmtDate;", ""],
  ["	uPlot.tzDate  = tzDate;", ""],
  ["	(paths.stepped = stepped);", ""],
  ["	(paths.bars    = bars);", ""],
  ["	(paths.spline  = monotoneCubic);", ""],
  ["const [ timeIncrsMs, _timeAxisStampsMs, timeAxisSplitsMs ] = genTimeStuffs(1);", ""],
  ["const [ timeIncrsS,  _timeAxisStampsS,  timeAxisSplitsS  ] = genTimeStuffs(1e-3);", ""],
  [/const _timeAxisSplits = .*/, "const _timeAxisSplits = null;"],
  [/const _timeAxisVals   = .*/, "const _timeAxisVals = null;"],
  [/const _timeSeriesVal  = .*/, "const _timeSeriesVal = null;"],
  ["const _fmtDate = (opts.fmtDate || fmtDate);", "const _fmtDate = null;"],
  ["const _tzDate  = (opts.tzDate || (ts => new Date(round(ts / ms))));", "const _tzDate = null;"],
  ["(isTime ? (ms == 1 ? timeIncrsMs : timeIncrsS) : numIncrs)", "numIncrs"],
  [/isTime \? \(isStr\(sv\) \? timeSeriesVal.*_timeSeriesVal\) : sv/, "sv"],
  [/isTime \? \(\s*\/\/ config array[\s\S]*?av \|\| _timeAxisVals\s*\) : av/, "av"],
];
const trimUplot = {
  name: "trim-uplot",
  setup({ onLoad }) {
    onLoad({ filter: /uPlot\.esm\.js$/ }, ({ path }) => {
      let contents = readFileSync(path, "utf8");
      for (const [from, to] of unused) {
        const trimmed = contents.replace(from, to);
        if (trimmed === contents) throw new Error(`uPlot has no ${from} any more: look at the list in build.mjs`);
        contents = trimmed;
      }
      return { contents, loader: "js" };
    });
  },
};

await build({
  absWorkingDir: here,
  entryPoints: { app: "src/index.tsx" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  splitting: true,
  chunkNames: "[name]",
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  charset: "utf8",
  plugins: [trimUplot],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  banner: { js: "/* Contains preact, @preact/signals and uPlot: see licenses.txt. */" },
});

for (const name of ["index.html", "favicon.svg"]) {
  writeFileSync(join(out, name), readFileSync(join(here, "src", name)));
}

const packages = ["preact", "@preact/signals", "@preact/signals-core", "uplot"];
const licenses = packages.map((name) => {
  const folder = join(here, "node_modules", name);
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return `${name} ${version}\n\n${readFileSync(join(folder, "LICENSE"), "utf8").trim()}\n`;
});
writeFileSync(join(out, "licenses.txt"), licenses.join(`\n${"-".repeat(80)}\n\n`));

const sources = [
  ...["build.mjs", "package.json", "package-lock.json", "tsconfig.json"].map((name) => join(here, name)),
  ...files(join(here, "src")),
];
const digest = (paths, root) =>
  Object.fromEntries(
    paths
      .map((path) => [relative(root, path).split("\\").join("/"), sha256(readFileSync(path))])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
const names = ["app.js", "chunk.js", "all.js", "app.css", "index.html", "favicon.svg", "licenses.txt"];
for (const path of files(out)) {
  if (!names.includes(relative(out, path))) rmSync(path);
}
const built = files(out);
const manifest = { sources: digest(sources, here), built: digest(built, out) };
writeFileSync(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);

for (const [parts, budget] of Object.entries(budgets)) {
  const size = parts.split(" + ").reduce((sum, name) => sum + statSync(join(out, name)).size, 0);
  console.log(`${parts}: ${size} bytes`);
  if (size > budget) {
    console.error(`expected at most ${budget}`);
    process.exitCode = 1;
  }
}
