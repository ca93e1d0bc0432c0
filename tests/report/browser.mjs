// Opens pages in Chromium, with and without their script, in light and dark, on paper: no request but for the page,
// nothing on the console, nothing that axe calls serious, numbers as wanted, and names of strangers that do nothing.
//
//   node browser.mjs '[{"page": FILE, "figures": {}, "cells": [], "texts": []}]'
//
// With BAREWIRE_SHOTS=FOLDER it leaves pictures and a PDF there. The network is closed to the browser all the same.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const faults = [];
const check = (holds, what) => {
  if (!holds) faults.push(what);
};

/** The number in a table, by its caption, the name of its row in any cell, and the head of its column. */
const cell = ([caption, name, head]) => {
  const table = [...document.querySelectorAll("table")].find((one) => one.caption?.textContent === caption);
  const heads = [...(table?.tHead.rows[0].cells ?? [])].map((one) => one.textContent);
  const row = [...(table?.tBodies[0].rows ?? [])].find((one) => [...one.cells].some((part) => part.textContent === name));
  return row?.cells[heads.indexOf(head)]?.textContent ?? null;
};

const figures = () =>
  Object.fromEntries(
    [...document.querySelectorAll(".figures div")].map((one) => [
      one.querySelector("dt").textContent,
      one.querySelector("dd").textContent,
    ]),
  );

/** Opens a page and notes whatever goes on besides. */
const open = async (browser, wanted, options, name) => {
  const context = await browser.newContext({ offline: true, ...options });
  const page = await context.newPage();
  const address = pathToFileURL(wanted.page).href;
  page.on("request", (request) => check(request.url() === address, `${name}: asked for ${request.url()}`));
  page.on("console", (message) => check(false, `${name}: console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => check(false, `${name}: ${error}`));
  page.on("dialog", (dialog) => {
    check(false, `${name}: a dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  await page.goto(address, { waitUntil: "load" });
  return { context, page };
};

/** What must hold with and without the script. Without it the page's own context still answers to us. */
const says = async (page, wanted, name) => {
  const shown = await page.evaluate(figures);
  for (const [label, value] of Object.entries(wanted.figures)) {
    check(shown[label] === value, `${name}: ${label} is ${shown[label]}, not ${value}`);
  }
  for (const [caption, row, head, value] of wanted.cells) {
    const is = await page.evaluate(cell, [caption, row, head]);
    check(is === value, `${name}: ${caption}, ${row}, ${head} is ${is}, not ${value}`);
  }
  const text = await page.evaluate(() => document.body.textContent);
  for (const part of wanted.texts) check(text.includes(part), `${name}: no ${part}`);
  const title = await page.title();
  check(title.startsWith("Mail credentials in clear"), `${name}: the title is ${title}`);
  const [levels, images] = await page.evaluate(() => [
    [...document.querySelectorAll("h1, h2, h3")].map((one) => Number(one.tagName[1])),
    document.querySelectorAll("img, iframe, object, embed, link, body style").length,
  ]);
  check(levels[0] === 1 && levels.every((level, at) => at === 0 || level <= levels[at - 1] + 1), `${name}: headings ${levels}`);
  check(images === 0, `${name}: something to be fetched`);
};

const audit = async (page, name) => {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  check(passes.length > 20, `${name}: axe looked at ${passes.length} rules only`);
  for (const { id, impact, nodes } of violations) {
    const line = `${name}: axe: ${id} (${impact}): ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`;
    if (impact === "serious" || impact === "critical") faults.push(line);
    else console.log(line);
  }
};

/** By keyboard alone: to the report, and a table sorted and sorted back. */
const keyboard = async (page, name) => {
  await page.keyboard.press("Tab");
  const skip = await page.evaluate(() => {
    const at = document.activeElement.getBoundingClientRect();
    return document.activeElement.className === "skip" && at.top >= 0 && at.height > 10;
  });
  check(skip, `${name}: the link to the report comes first and is seen`);
  await page.keyboard.press("Enter");
  check(await page.evaluate(() => document.activeElement.id === "main"), `${name}: it leads to the report`);
  const sort = async (direction) => {
    await page.keyboard.press("Enter");
    const [state, values] = await page.evaluate(() => {
      const head = document.activeElement.closest("th");
      const rows = [...head.closest("table").tBodies[0].rows];
      return [head.getAttribute("aria-sort"), rows.map((row) => Number(row.cells[head.cellIndex].textContent))];
    });
    const sign = direction === "ascending" ? 1 : -1;
    const sorted = values.every((value, at) => at === 0 || sign * (value - values[at - 1]) >= 0);
    check(state === direction && sorted, `${name}: ${state} ${values}`);
  };
  await page.evaluate(() => {
    const table = [...document.querySelectorAll("table")].find((one) => one.caption.textContent === "Findings by kind");
    table.tHead.rows[0].cells[4].querySelector("button").focus();
  });
  await sort("ascending");
  await sort("descending");
};

const shots = process.env.BAREWIRE_SHOTS;
const shoot = (page, name) => shots && page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });

const browser = await chromium.launch({
  executablePath: process.env.BAREWIRE_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
try {
  for (const wanted of JSON.parse(process.argv[2])) {
    const file = wanted.page.split("/").pop().replace(/\.html$/, "");
    for (const colorScheme of ["light", "dark"]) {
      const name = `${file}, ${colorScheme}`;
      const { context, page } = await open(browser, wanted, { colorScheme, viewport: { width: 1280, height: 900 } }, name);
      await shoot(page, `${file}-${colorScheme}`);
      await says(page, wanted, name);
      await audit(page, name);
      await keyboard(page, name);
      if (colorScheme === "light") {
        await page.emulateMedia({ media: "print" });
        const heads = await page.evaluate(() => {
          const buttons = [...document.querySelectorAll("th button")];
          const shown = (one) => getComputedStyle(one).display !== "none";
          return [buttons.length > 10, buttons.some(shown), getComputedStyle(buttons[0].closest("th"), "::before").content];
        });
        // A head with a button in it is not repeated from page to page.
        check(heads[0] && !heads[1] && heads[2].length > 4, `${name}: heads on paper: ${heads}`);
        await page.emulateMedia({ media: null });
        const paper = await page.pdf({ preferCSSPageSize: true, ...(shots && { path: join(shots, `${file}.pdf`) }) });
        check(paper.length > 10_000, `${name}: ${paper.length} octets of paper`);
      }
      await context.close();
    }
    const plain = await open(browser, wanted, { javaScriptEnabled: false }, `${file}, without script`);
    await says(plain.page, wanted, `${file}, without script`);
    check((await plain.page.locator("th button").count()) === 0, `${file}: the script ran though it is off`);
    await plain.context.close();
    const narrow = await open(browser, wanted, { viewport: { width: 375, height: 800 } }, `${file}, narrow`);
    const width = await narrow.page.evaluate(() => document.documentElement.scrollWidth);
    check(width <= 375, `${file}: ${width} wide on a screen of 375`);
    await shoot(narrow.page, `${file}-narrow`);
    await narrow.context.close();
  }
} finally {
  await browser.close();
}
console.log(faults.length ? faults.join("\n") : "pages are well in light, dark, narrow, on paper and without script");
process.exitCode = faults.length ? 1 : 0;
