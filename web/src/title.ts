import { useEffect } from "preact/hooks";

/** The title of the document while a page is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · ganvas studio` : "ganvas studio";
  }, [title]);
}
