// The shell: top bar, banners, and the page of the route.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { access, ApiError, online } from "./api";
import { Announcer } from "./announce";
import { Boundary } from "./boundary";
import { t } from "./i18n";
import { Icon, Logo } from "./icons";
import { RunsPage } from "./pages/runs";
import { href, route } from "./router";
import { language, theme, type Theme } from "./settings";
import { Empty, ErrorNote, Loading } from "./ui";

const themes: Theme[] = ["system", "light", "dark"];
const themeIcons = { system: "system", light: "sun", dark: "moon" } as const;

function TopBar() {
  const [page] = route.value.path;
  const here = (name: string | undefined): "page" | undefined => (page === name ? "page" : undefined);
  const next = themes[(themes.indexOf(theme.value) + 1) % themes.length]!;
  const themeText = t("theme.button", { now: t(`theme.${theme.value}`), next: t(`theme.${next}`) });
  return (
    <header class="topbar">
      <a class="brand" href={href("/")}>
        <Logo />
        <span>
          ganvas <span class="brand-studio">studio</span>
        </span>
      </a>
      <nav aria-label={t("nav.label")}>
        <a href={href("/")} aria-current={here(undefined)}>
          {t("nav.runs")}
        </a>
        <a href={href("/new")} aria-current={here("new")}>
          {t("nav.new")}
        </a>
      </nav>
      <div class="topbar-end">
        <button
          type="button"
          class="bare language"
          lang={language.value === "zh" ? "en" : "zh-CN"}
          onClick={() => (language.value = language.value === "zh" ? "en" : "zh")}
        >
          {language.value === "zh" ? "English" : "中文"}
        </button>
        <button
          type="button"
          class="bare"
          title={themeText}
          aria-label={themeText}
          onClick={() => (theme.value = next)}
        >
          <Icon name={themeIcons[theme.value]} />
        </button>
      </div>
    </header>
  );
}

const pages = signal<typeof import("./pages/all") | null>(null);
const pagesFailed = signal(false);

/** Fetch the code of the other pages; called as soon as the first page is there. */
export function loadPages(): void {
  pagesFailed.value = false;
  import("./pages/all").then(
    (loaded) => (pages.value = loaded),
    () => (pagesFailed.value = true),
  );
}

function Page() {
  const [page, id, view] = route.value.path;
  if (page === undefined) return <RunsPage />;
  const loaded = pages.value;
  if (!loaded)
    return pagesFailed.value ? <ErrorNote error={new ApiError("offline", "")} retry={loadPages} /> : <Loading />;
  if (page === "compare") return <loaded.ComparePage />;
  if (page === "new") return <loaded.NewPage />;
  if (page === "run" && id && view === "slow") return <loaded.SlowPage key={id} id={id} />;
  if (page === "run" && id && view === "draw") return <loaded.DrawPage key={id} id={id} />;
  if (page === "run" && id && view === "eye") return <loaded.EyePage key={id} id={id} />;
  if (page === "run" && id && view === "explore") return <loaded.ExplorePage key={id} id={id} />;
  if (page === "run" && id && (view === "live" || view === undefined)) return <loaded.LivePage key={id} id={id} />;
  return (
    <Empty title={t("no_page.title")}>
      <p>
        <a href={href("/")}>{t("no_page.back")}</a>
      </p>
    </Empty>
  );
}

function NoAccess() {
  return (
    <Empty title={t(access.value === "refused" ? "access.refused" : "access.missing")}>
      <p>{t("access.hint")}</p>
      <pre class="example">
        <code>{`${location.origin}/#token=…`}</code>
      </pre>
      <p class="quiet">{t("access.why")}</p>
    </Empty>
  );
}

export function App() {
  const main = useRef<HTMLElement>(null);
  const place = route.value.path.join("/");
  const first = useRef(true);
  useEffect(() => {
    // A new page is read from its start; not at the first load, where the address bar has the focus.
    if (access.value !== "ok") return;
    if (first.current) {
      first.current = false;
      return;
    }
    main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [place, access.value]);
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {t("skip")}
      </a>
      <TopBar />
      {!online.value && access.value === "ok" && (
        <div class="banner" role="status">
          <Icon name="warn" />
          <span>
            <b>{t("offline.title")}</b> {t("offline.hint")}
          </span>
        </div>
      )}
      <main ref={main} id="main" tabIndex={-1}>
        {access.value === "asking" ? (
          <Loading />
        ) : access.value === "ok" ? (
          <Boundary key={place}>
            <Page />
          </Boundary>
        ) : (
          <NoAccess />
        )}
      </main>
      <Announcer />
    </>
  );
}
