// What tests of pages in Chromium have in common: the browser, what is noted as a fault, and what a page says.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createRequire } from "node:module";

const require = createRequire(new URL("../report/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const faults = [];

export const check = (holds, what) => {
  if (!holds) faults.push(what);
};

export const launch = () =>
  chromium.launch({
    executablePath: process.env.BAREWIRE_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });

/** A page of a context of its own; what it says on the console, throws or asks is a fault. */
export const blank = async (browser, options, name) => {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("console", (message) => check(false, `${name}: console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => check(false, `${name}: ${error}`));
  page.on("dialog", (dialog) => {
    check(false, `${name}: a dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  return { context, page };
};

const figures = () =>
  Object.fromEntries(
    [...document.querySelectorAll(".figures div")].map((one) => [
      one.querySelector("dt").textContent,
      one.querySelector("dd").textContent,
    ]),
  );

/** The number in a table, by its caption, the name of its row in any cell, and the head of its column. */
const cell = ([caption, name, head]) => {
  const table = [...document.querySelectorAll("table")].find((one) => one.caption?.textContent === caption);
  const heads = [...(table?.tHead.rows[0].cells ?? [])].map((one) => one.textContent);
  const row = [...(table?.tBodies[0].rows ?? [])].find((one) => [...one.cells].some((part) => part.textContent === name));
  return row?.cells[heads.indexOf(head)]?.textContent ?? null;
};

/** Figures, cells of tables and parts of the text are as wanted. */
export const holds = async (page, wanted, name) => {
  const shown = await page.evaluate(figures);
  for (const [label, value] of Object.entries(wanted.figures)) {
    check(shown[label] === value, `${name}: ${label} is ${shown[label]}, not ${value}`);
  }
  for (const [caption, row, head, value] of wanted.cells ?? []) {
    const is = await page.evaluate(cell, [caption, row, head]);
    check(is === value, `${name}: ${caption}, ${row}, ${head} is ${is}, not ${value}`);
  }
  const text = await page.evaluate(() => document.body.textContent);
  for (const part of wanted.texts ?? []) check(text.includes(part), `${name}: no ${part}`);
};

/** Nothing that axe calls serious. */
export const audit = async (page, name) => {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  check(passes.length > 20, `${name}: axe looked at ${passes.length} rules only`);
  for (const { id, impact, nodes } of violations) {
    const line = `${name}: axe: ${id} (${impact}): ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`;
    if (impact === "serious" || impact === "critical") faults.push(line);
    else console.log(line);
  }
};

/** A picture, where somebody wants some. */
export const shoot = (page, name) =>
  process.env.BAREWIRE_SHOTS && page.screenshot({ path: join(process.env.BAREWIRE_SHOTS, `${name}.png`), fullPage: true });

/** Says what was found, and ends with a status that tells. */
export const conclude = (well) => {
  console.log(faults.length ? faults.join("\n") : well);
  process.exitCode = faults.length ? 1 : 0;
};
