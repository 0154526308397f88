/** Offer a canvas as a PNG to save. */
export function saveCanvas(canvas: HTMLCanvasElement | OffscreenCanvas, name: string): void {
  const offer = (blob: Blob | null): void => {
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name.replaceAll("/", "-");
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  if (canvas instanceof OffscreenCanvas) void canvas.convertToBlob({ type: "image/png" }).then(offer);
  else canvas.toBlob(offer, "image/png");
}
