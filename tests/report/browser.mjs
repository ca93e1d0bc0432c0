// Opens pages in Chromium, with and without their script, in light and dark, on paper: no request but for the page,
// nothing on the console, nothing that axe calls serious, numbers as wanted, and names of strangers that do nothing.
//
//   node browser.mjs '[{"page": FILE, "figures": {}, "cells": [], "texts": []}]'
//
// With BAREWIRE_SHOTS=FOLDER it leaves pictures and a PDF there. The network is closed to the browser all the same.

import { join } from "node:path";
import { audit, blank, check, conclude, holds, launch, shoot } from "../bed/browser.mjs";
import { pathToFileURL } from "node:url";

/** Opens a page and notes whatever goes on besides. */
const open = async (browser, wanted, options, name) => {
  const { context, page } = await blank(browser, { offline: true, ...options }, name);
  const address = pathToFileURL(wanted.page).href;
  page.on("request", (request) => check(request.url() === address, `${name}: asked for ${request.url()}`));
  await page.goto(address, { waitUntil: "load" });
  return { context, page };
};

/** What must hold with and without the script. Without it the page's own context still answers to us. */
const says = async (page, wanted, name) => {
  await holds(page, wanted, name);
  const title = await page.title();
  check(title.startsWith("Mail credentials in clear"), `${name}: the title is ${title}`);
  const [levels, images] = await page.evaluate(() => [
    [...document.querySelectorAll("h1, h2, h3")].map((one) => Number(one.tagName[1])),
    document.querySelectorAll("img, iframe, object, embed, link, body style").length,
  ]);
  check(levels[0] === 1 && levels.every((level, at) => at === 0 || level <= levels[at - 1] + 1), `${name}: headings ${levels}`);
  check(images === 0, `${name}: something to be fetched`);
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

const browser = await launch();
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
conclude("pages are well in light, dark, narrow, on paper and without script");
