import "uplot/dist/uPlot.min.css";
import "./css/base.css";
import "./css/parts.css";
import "./css/shell.css";
import "./css/runs.css";
import "./css/live.css";
import "./css/new.css";
import "./css/explore.css";
import "./css/compare.css";
import "./css/slow.css";
import "./css/eye.css";
import { render } from "preact";
import { openSession } from "./api";
import { App, loadPages } from "./app";
import { startRouter } from "./router";

void openSession().then(startRouter);
render(<App />, document.body);
loadPages();
