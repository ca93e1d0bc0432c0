// Opens live pages in Chromium: no request but for the page and its news, nothing on the console, nothing that axe calls
// serious, numbers as wanted, filters that are links, news that comes by itself, and names of strangers that do nothing.
//
//   node browser.mjs '[{"name": NAME, "url": URL, "figures": {}, "cells": [], "texts": []}]'
//
// With BAREWIRE_SHOTS=FOLDER it leaves pictures there. Times are told and not judged.

import { appendFileSync } from "node:fs";
import { audit, blank, check, conclude, holds, launch, shoot } from "../bed/browser.mjs";

const LONG = { timeout: 60_000 };

const open = async (browser, wanted, options, name) => {
  const { context, page } = await blank(browser, options, name);
  page.on("request", (request) => {
    const path = request.url().startsWith(wanted.url) ? request.url().slice(wanted.url.length) : null;
    check(path !== null && /^(events)?(\?.*)?$/.test(path), `${name}: asked for ${request.url()}`);
  });
  // Records are read while the page is served.
  for (let tries = 0; tries < 300; tries++) {
    await page.goto(wanted.url, { waitUntil: "load" });
    const text = await page.evaluate(() => document.body.textContent);
    if (wanted.texts.every((part) => text.includes(part))) break;
    await new Promise((later) => setTimeout(later, 200));
  }
  return { context, page };
};

const says = async (page, wanted, name) => {
  await holds(page, wanted, name);
  const title = await page.title();
  check(title === "barewire: mail credentials in clear", `${name}: the title is ${title}`);
  const [foreign, ids] = await page.evaluate(() => [
    document.querySelectorAll("img, iframe, object, embed, link, base, body style, [style], [onerror], [onclick]").length,
    [...document.querySelectorAll("[id]")].map((one) => one.id),
  ]);
  check(foreign === 0, `${name}: ${foreign} elements that no part of the page has`);
  check(new Set(ids).size === ids.length, `${name}: an id twice: ${ids.filter((id, at) => ids.indexOf(id) !== at)}`);
};

const has = (page, text) =>
  page.waitForFunction((text) => document.querySelector("main").textContent.includes(text), text, LONG);

/** News come by themselves, keep the place that one is at, and stop while one wants them to. */
const live = async (browser, wanted, page, name) => {
  const { file, lines, names } = wanted.append;
  await page.waitForFunction(() => document.getElementById("state").dataset.kind === "live", null, LONG);
  const href = await page.evaluate(() => {
    window.isTheSame = true;
    const link = document.querySelector("#exposed a[href]");
    link.focus();
    return link.getAttribute("href");
  });
  await page.evaluate(() => (document.querySelector("#findings-numbers") ?? {}).open = true);
  appendFileSync(file, lines[0]);
  await has(page, names[0]);
  check(await page.evaluate(() => window.isTheSame), `${name}: the page was loaded anew`);
  const focused = await page.evaluate(() => document.activeElement.getAttribute("href"));
  check(focused === href, `${name}: the focus went from ${href} to ${focused}`);
  const numbers = await page.evaluate(() => document.querySelector("#findings-numbers")?.open ?? true);
  check(numbers, `${name}: what was open is closed`);
  if (lines.length < 4) return;
  // Whoever marks text keeps it until they let go.
  await page.evaluate(() => getSelection().selectAllChildren(document.querySelector("#log table tbody tr")));
  const marked = await page.evaluate(() => getSelection().toString());
  appendFileSync(file, lines[1]);
  await page.waitForFunction((name) => document.querySelector("#who").textContent.includes(name), names[1], LONG);
  check((await page.evaluate(() => getSelection().toString())) === marked, `${name}: what was marked is gone`);
  await page.evaluate(() => getSelection().removeAllRanges());
  await page.waitForFunction((name) => document.querySelector("#log").textContent.includes(name), names[1], LONG);
  // A part is not changed under a finger.
  const link = page.locator("#who a").first();
  await link.hover();
  await page.mouse.down();
  const before = await page.evaluate(() => (window.pressed = document.querySelector("#who a")) && true);
  appendFileSync(file, lines[2]);
  const told = await open(browser, { ...wanted, texts: [names[2]] }, {}, `${name}, beside`);
  await told.context.close();
  await new Promise((later) => setTimeout(later, 3000));
  check(before && (await page.evaluate(() => window.pressed.isConnected)), `${name}: a link goes while it is pressed`);
  await page.mouse.move(0, 0);
  await page.mouse.up();
  await has(page, names[2]);
  await page.getByRole("button", { name: "Pause" }).click();
  appendFileSync(file, lines[3]);
  const other = await open(browser, { ...wanted, texts: [names[3]] }, {}, `${name}, another`);
  await other.context.close();
  check(!(await page.evaluate((name) => document.body.textContent.includes(name), names[3])), `${name}: it is not paused`);
  await page.getByRole("button", { name: "Go on" }).click();
  await has(page, names[3]);
};

/** A filter is a link; what it leaves out comes back by another. */
const filtered = async (page, wanted, name) => {
  const { text, within, query, figures: of } = wanted.filter;
  await page.goto(wanted.url);
  const began = performance.now();
  await page.locator(within).getByRole("link", { name: text, exact: true }).first().click();
  await page.waitForURL((url) => url.search === `?${query}`, LONG);
  console.log(`${name}: ${query} took ${Math.round(performance.now() - began)} ms`);
  await says(page, { figures: of }, `${name}, ${query}`);
  await page.getByRole("searchbox").fill("nobody of that name");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.waitForURL((url) => url.searchParams.get("text") === "nobody of that name", LONG);
  check(new URL(page.url()).search.includes(query), `${name}: looking for something gives up ${query}`);
  await says(page, { figures: { "accounts exposed": "0" } }, `${name}, nobody`);
  await page.getByRole("link", { name: "Show everything" }).click();
  await page.waitForURL((url) => url.search === "", LONG);
  await page.goBack();
  await page.goBack();
  check(new URL(page.url()).search === `?${query}`, `${name}: the way back is lost`);
};

const browser = await launch();
try {
  for (const wanted of JSON.parse(process.argv[2])) {
    for (const colorScheme of ["light", "dark"]) {
      const name = `${wanted.name}, ${colorScheme}`;
      const { context, page } = await open(browser, wanted, { colorScheme, viewport: { width: 1280, height: 900 } }, name);
      const timing = await page.evaluate(() => performance.getEntriesByType("navigation")[0].loadEventEnd);
      const elements = await page.evaluate(() => document.querySelectorAll("*").length);
      console.log(`${name}: ${elements} elements, loaded in ${Math.round(timing)} ms`);
      if (wanted.elements) check(elements <= wanted.elements, `${name}: ${elements} elements`);
      await page.waitForFunction(() => document.getElementById("state").dataset.kind === "live", null, LONG);
      await says(page, wanted, name);
      await audit(page, name);
      await shoot(page, `ui-${wanted.name}-${colorScheme}`);
      await context.close();
    }
    const plain = await open(browser, wanted, { javaScriptEnabled: false }, `${wanted.name}, without script`);
    await says(plain.page, wanted, `${wanted.name}, without script`);
    await plain.context.close();
    const narrow = await open(browser, wanted, { viewport: { width: 375, height: 800 } }, `${wanted.name}, narrow`);
    const width = await narrow.page.evaluate(() => document.documentElement.scrollWidth);
    check(width <= 375, `${wanted.name}: ${width} wide on a screen of 375`);
    await shoot(narrow.page, `ui-${wanted.name}-narrow`);
    if (wanted.filter) await filtered(narrow.page, wanted, wanted.name);
    await narrow.context.close();
    if (wanted.append) {
      const own = await open(browser, wanted, { viewport: { width: 1280, height: 900 } }, `${wanted.name}, live`);
      await live(browser, wanted, own.page, `${wanted.name}, live`);
      await own.context.close();
    }
  }
} finally {
  await browser.close();
}
conclude("live pages are well in light, dark, narrow and without script");
