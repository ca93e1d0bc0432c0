// Shows a dashboard by Grafana's own components in Chromium, and says what each panel shows.
//
//   node render.mjs '{"dashboard": FILE, "picture": FILE, "from": MS, "to": MS, "prometheus": URL}'
//   node render.mjs '{"dashboard": FILE, "picture": FILE, "from": MS, "to": MS, "frames": {"ID OF A PANEL": [FRAME]}}'
//
// Standard output: {"panels": {TITLE: TEXT}, "faults": [TEXT]}. It serves the page on loopback and lets nothing else be asked.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const wanted = JSON.parse(process.argv[2]);
const here = dirname(fileURLToPath(import.meta.url));
const dashboard = JSON.parse(readFileSync(wanted.dashboard, "utf8"));

const bundled = await build({
  entryPoints: [`${here}/page.jsx`], bundle: true, write: false, format: "esm", jsx: "automatic", minify: true, logLevel: "error",
  define: { "process.env.NODE_ENV": '"production"', global: "globalThis" }, outdir: "/", absWorkingDir: here,
  loader: { ".svg": "dataurl", ".woff": "dataurl", ".woff2": "dataurl", ".ttf": "dataurl", ".png": "dataurl" },
});
// What a server of Grafana has at /public.
const ICONS = join(here, "node_modules/@grafana/ui/dist/public");
const FONTS = join(here, "node_modules/@fontsource/inter/files");
const [REGULAR, MEDIUM] = [400, 500].map((weight) => `inter-latin-${weight}-normal.woff2`);
const files = Object.fromEntries(bundled.outputFiles.map((file) => [file.path.split(".").pop(), file.text]));
const PAGE = `<!doctype html><meta charset="utf-8"><title>loading</title><style>${files.css ?? ""}
body { margin: 16px; font: 14px Inter, "DejaVu Sans", sans-serif } h2 { font-size: 16px; margin: 8px 0 }
.empty { display: grid; place-content: center; height: 100% } p, pre { margin: 0 }</style><div id="root"></div>
<script type="module" src="/page.js"></script>`;

// --- Prometheus, as Grafana's data source asks it -----------------------------------------------

const STEP = 2;
const put = (text) => text.replaceAll("$__rate_interval", "20s").replaceAll("$instance", ".*");

const prometheus = async (panel) => {
  const frames = [];
  for (const target of panel.targets) {
    const asked = new URLSearchParams({ query: put(target.expr) });
    if (target.range) for (const [name, value] of [["start", wanted.from / 1000], ["end", wanted.to / 1000], ["step", STEP]]) asked.set(name, value);
    else asked.set("time", wanted.to / 1000);
    const answer = await (await fetch(`${wanted.prometheus}/api/v1/query${target.range ? "_range" : ""}?${asked}`)).json();
    if (answer.status !== "success") throw new Error(`${panel.title}: ${JSON.stringify(answer)}`);
    for (const { metric, value, values } of answer.data.result) {
      const points = values ?? [value];
      const legend = target.legendFormat.replace(/{{\s*(\w+)\s*}}/g, (_, label) => metric[label] ?? "");
      frames.push({
        refId: target.refId,
        fields: [
          { name: "Time", type: "time", values: points.map(([time]) => time * 1000) },
          { name: "Value", type: "number", labels: metric, config: { displayNameFromDS: legend || target.expr }, values: points.map(([, text]) => Number(text)) },
        ],
      });
    }
  }
  return frames;
};

// --- the page -----------------------------------------------------------------------------------

const answer = async (path) => {
  if (path === "/dashboard") return dashboard;
  if (path === "/range") return { from: wanted.from, to: wanted.to };
  const panel = dashboard.panels.find(({ id }) => path === `/panel/${id}`);
  return wanted.frames ? (wanted.frames[panel.id] ?? []) : prometheus(panel);
};

const faults = [];
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  const say = (type, text) => response.setHeader("content-type", type).end(text);
  if (pathname === "/") say("text/html", PAGE);
  else if (pathname === "/page.js") say("text/javascript", files.js);
  else if (pathname === "/favicon.ico") response.writeHead(204).end();
  else if (pathname.startsWith("/public/build/img/icons/")) say("image/svg+xml", readFileSync(join(ICONS, pathname.slice(13))));
  else if (pathname.startsWith("/public/fonts/inter/")) say("font/woff2", readFileSync(join(FONTS, pathname.includes("Medium") ? MEDIUM : REGULAR)));
  else
    answer(pathname).then(
      (value) => say("application/json", JSON.stringify(value)),
      (error) => {
        faults.push(`${pathname}: ${error}`);
        response.writeHead(500).end("{}");
      },
    );
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const origin = `http://127.0.0.1:${server.address().port}`;

const browser = await chromium.launch({
  executablePath: process.env.BAREWIRE_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  // As high as the dashboard: what is out of sight is not drawn.
  const lines = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
  const page = await browser.newPage({ viewport: { width: 1480, height: 38 * lines + 40 } });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith("data:")) faults.push(`asked for ${url}`);
  });
  page.on("console", (message) => message.type() === "error" && faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`${error}`));
  await page.goto(origin, { waitUntil: "load" });
  await page.waitForFunction(() => document.title === "shown", null, { timeout: 120_000 });
  await page.screenshot({ path: wanted.picture, fullPage: true });
  const panels = await page.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll("[data-panel]")].map((panel) => {
        const title = panel.querySelector("h2, h6, [title]");
        const cut = title && title.scrollWidth <= title.clientWidth ? "" : " [TITLE CUT]";
        return [panel.dataset.title, panel.innerText.replace(/\s+/g, " ").replace(panel.dataset.title, "").trim() + cut];
      }),
    ),
  );
  console.log(JSON.stringify({ panels, faults }));
} finally {
  await browser.close();
  server.close();
}
