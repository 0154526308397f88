// A mistake in one page is said on that page, and leaves the rest of the studio usable.

import { Component, type ComponentChildren } from "preact";
import { t } from "./i18n";

export class Boundary extends Component<{ children: ComponentChildren }, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static override getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override componentDidCatch(error: unknown): void {
    console.error(error);
  }

  override render(): ComponentChildren {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <div class="empty" role="alert">
        <h1>{t("boundary.title")}</h1>
        <p>{t("boundary.hint")}</p>
        <pre class="example">
          <code>{String(error)}</code>
        </pre>
        <button type="button" onClick={() => location.reload()}>
          {t("boundary.reload")}
        </button>
      </div>
    );
  }
}
