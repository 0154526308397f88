// Eight generated and eight real images of a training step, with what D makes of them.

import { useMemo } from "preact/hooks";
import { fixed, measure, t } from "../i18n";
import { bytesOf, mapCanvas, Sample, toCanvas } from "../sample";
import { dark } from "../settings";

export interface Frame {
  step: number;
  turns: string;
  objective: string;
  z: number[][];
  real_probability: number[];
  fake_probability: number[];
  discriminator_loss: number | null;
  generator_loss: number | null;
  discriminator_norm: number | null;
  generator_norm: number | null;
  shape: number[];
  images: string[];
}

/** D's probability as a bar, with a mark where it was before the turn. */
function Probability({ value, before, good }: { value: number; before: number | undefined; good: boolean }) {
  return (
    <div class={`probability ${good ? "real" : "fake"}`} title={measure(value, 3)}>
      <div class="probability-bar">
        <div style={{ width: `${100 * value}%` }} />
        {before !== undefined && <i style={{ left: `${100 * before}%` }} />}
      </div>
      <span>
        {before !== undefined && Math.abs(before - value) >= 0.005 ? <small>{fixed(before, 2)} → </small> : null}
        {fixed(value, 2)}
      </span>
    </div>
  );
}

/** The numbers of each z as gray cells. */
function noiseCanvas(z: number[][]): { canvas: OffscreenCanvas; size: [number, number] } {
  const side = Math.ceil(Math.sqrt(z[0]?.length ?? 1));
  const bytes = new Uint8Array(z.length * side * side).fill(128);
  z.forEach((row, n) => {
    row.forEach((value, i) => (bytes[n * side * side + i] = Math.max(0, Math.min(255, 128 + 50 * value))));
  });
  return { canvas: toCanvas(bytes, [z.length, side, side, 1]), size: [side, side] };
}

export function Board({ frame, before, stage }: { frame: Frame; before: Frame | null; stage: number }) {
  const { noise, real, fake, realMap, fakeMap } = useMemo(() => {
    const [r, f, rg, fg] = frame.images.map(bytesOf);
    return {
      noise: noiseCanvas(frame.z),
      real: toCanvas(r!, frame.shape),
      fake: toCanvas(f!, frame.shape),
      realMap: mapCanvas(rg!, frame.shape),
      fakeMap: mapCanvas(fg!, frame.shape),
    };
  }, [frame, dark.value]);
  const size: [number, number] = [frame.shape[2]!, frame.shape[1]!];
  const scale = Math.max(1, Math.ceil(104 / size[0]));
  // The gradient belongs to the sixth stage, the bars to the fourth and fifth; 0 shows all alike.
  const on = (...stages: number[]): string => (stage === 0 || stages.includes(stage) ? "" : "off");
  const rows = frame.fake_probability.map((_, i) => i);
  return (
    <div class="slow-board">
      <div class="slow-part">
        <table class="slow-table">
          <caption>{t("slow.generated")}</caption>
          <thead>
            <tr>
              <th scope="col" class={on(1)}>
                z
              </th>
              <th scope="col" class={on(2, 3, 6)}>
                G(z)
              </th>
              <th scope="col" class={on(3, 4, 6)}>
                D(G(z))
              </th>
              <th scope="col" class={on(5)}>
                {t("slow.wish")}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((i) => (
              <tr key={i}>
                <td class={on(1)}>
                  <Sample
                    source={noise.canvas}
                    index={i}
                    size={noise.size}
                    scale={Math.max(1, Math.floor(104 / noise.size[0]))}
                    alt={t("slow.z_alt", { n: i + 1 })}
                  />
                </td>
                <td class={on(2, 3, 6)}>
                  <Sample source={fake} index={i} size={size} scale={scale} alt={t("slow.fake_alt", { n: i + 1 })} />
                </td>
                <td class={on(3, 4, 6)}>
                  <Probability value={frame.fake_probability[i]!} before={before?.fake_probability[i]} good={false} />
                </td>
                <td class={on(5)}>
                  <Sample
                    source={fakeMap}
                    index={i}
                    size={size}
                    scale={scale}
                    alt={t("slow.map_alt", { n: i + 1 })}
                    class="map"
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div class="slow-part">
        <table class="slow-table">
          <caption>{t("slow.real")}</caption>
          <thead>
            <tr>
              <th scope="col" class={on(3)}>
                x
              </th>
              <th scope="col" class={on(3, 4, 6)}>
                D(x)
              </th>
              <th scope="col" class={on(5)}>
                {t("slow.looks")}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((i) => (
              <tr key={i}>
                <td class={on(3)}>
                  <Sample source={real} index={i} size={size} scale={scale} alt={t("slow.real_alt", { n: i + 1 })} />
                </td>
                <td class={on(3, 4, 6)}>
                  <Probability value={frame.real_probability[i]!} before={before?.real_probability[i]} good />
                </td>
                <td class={on(5)}>
                  <Sample
                    source={realMap}
                    index={i}
                    size={size}
                    scale={scale}
                    alt={t("slow.map_alt", { n: i + 1 })}
                    class="map"
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
