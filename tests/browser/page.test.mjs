// The HTML page of the reports in a browser, as a licence manager opens it.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

import { HOSTILE, makeReports } from "./store.mjs";

const home = process.env.BOXSEAT_BROWSER_HOME;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
let made;

before(async () => {
  mkdirSync(home, { recursive: true });
  made = await makeReports(home, process.env.BOXSEAT_BROWSER_BINARY);
  browser = await chromium.launch({
    executablePath: process.env.BOXSEAT_BROWSER,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  });
});

after(async () => {
  await browser?.close();
});

/** Opens the page and records its requests, errors and console messages. */
async function open(file, { width = 1280, scheme = "light", script = true } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: 800 },
    colorScheme: scheme,
    javaScriptEnabled: script,
  });
  const page = await context.newPage();
  const seen = { requests: [], answered: [], complaints: [] };
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("requestfinished", (request) => seen.answered.push(request.url()));
  page.on("requestfailed", (request) => seen.complaints.push(`${request.url()}: ${request.failure().errorText}`));
  page.on("console", (message) => seen.complaints.push(message.text()));
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  page.on("dialog", (dialog) => {
    seen.complaints.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  const url = pathToFileURL(file).href;
  await page.goto(url);
  return { page, seen, url, close: () => context.close() };
}

/** The list of a report. In the report `suspended`, six users have hostile names. */
const list = (page, report = "suspended") => page.locator(`article#${report} [data-list]`).first();

test("hostile names are text, run nothing and fetch nothing", async () => {
  const { page, seen, url, close } = await open(made.page);
  assert.equal(await page.evaluate(() => window.hurt), undefined);
  assert.deepEqual(await page.locator("img, iframe, object, embed, [onload], [onerror]").count(), 0);
  assert.equal(await page.locator("script").count(), 1);
  const text = await list(page).innerText();
  for (const name of HOSTILE) {
    const shown = name.replaceAll("\u202e", "\\u{202e}");
    assert.ok(text.includes(shown), `${shown} is not to be read`);
  }
  assert.deepEqual(seen.requests, [url]);
  assert.deepEqual(seen.complaints, []);
  await close();
});

// If an escape is missing, the policy of the page still stops the script.
test("the policy refuses scripts, styles and pictures that are not the page's", async () => {
  const { page, seen, url, close } = await open(made.page);
  await page.evaluate(() => {
    const inject = document.createElement("div");
    inject.innerHTML = '<img src="https://example.test/x.png" onerror="window.hurt = 9">';
    document.body.append(inject);
    const script = document.createElement("script");
    script.textContent = "window.hurt = 10";
    document.body.append(script);
  });
  await page.waitForTimeout(200);
  assert.equal(await page.evaluate(() => window.hurt), undefined);
  assert.deepEqual(seen.answered, [url]);
  assert.ok(seen.complaints.includes("https://example.test/x.png: csp"), seen.complaints.join("\n"));
  assert.ok(seen.complaints.some((text) => /inline script/.test(text)), seen.complaints.join("\n"));
  await close();
});

test("nobody is named on a page that is made to be forwarded", async () => {
  const { page, close } = await open(made.forwarded);
  const html = await page.content();
  for (const id of made.ids) assert.ok(!html.includes(id));
  assert.doesNotMatch(await page.locator("body").innerText(), /\S@\S+\.\S/, "no address is on it");
  await close();
});

test("lists are sorted as what they are, what is not known last", async () => {
  const { page, close } = await open(made.page);
  const table = list(page, "idle").locator("table");
  const headings = await table.locator("th[scope=col]").allInnerTexts();
  const days = headings.findIndex((heading) => /days/i.test(heading));
  assert.ok(days > 0, `no column of days in ${headings}`);
  const column = async () =>
    (await table.locator("tbody tr").evaluateAll((rows, at) => rows.map((row) => row.cells[at].innerText), days)).map(
      (cell) => (cell === "" ? null : Number(cell.replaceAll(",", ""))),
    );
  const button = table.locator("th[scope=col]").nth(days).getByRole("button");
  // With the keyboard: a heading is a button.
  await button.focus();
  await page.keyboard.press("Enter");
  const falling = await column();
  assert.equal(await table.locator("th[scope=col]").nth(days).getAttribute("aria-sort"), "descending");
  await page.keyboard.press("Enter");
  const rising = await column();
  assert.equal(await table.locator("th[scope=col]").nth(days).getAttribute("aria-sort"), "ascending");
  const known = falling.filter((value) => value !== null);
  assert.ok(known.length > 3 && new Set(known).size > 1, "there is something to sort");
  assert.deepEqual(known, [...known].sort((a, b) => b - a));
  assert.deepEqual(rising.filter((value) => value !== null), [...known].sort((a, b) => a - b));
  for (const values of [falling, rising]) {
    const firstUnknown = values.indexOf(null);
    assert.ok(firstUnknown === -1 || values.slice(firstUnknown).every((value) => value === null));
  }
  await close();
});

test("a search narrows the list and says how many are left", async () => {
  const { page, close } = await open(made.page);
  const rows = list(page).locator("tbody tr");
  const all = await rows.count();
  await list(page).getByRole("searchbox").fill("gnp.exe");
  assert.equal(await rows.filter({ visible: true }).count(), 1);
  assert.equal(await list(page).getByRole("status").innerText(), `1 of ${all} rows`);
  await list(page).getByRole("searchbox").fill("");
  assert.equal(await rows.filter({ visible: true }).count(), all);
  await close();
});

test("without script everything is there to be read", async () => {
  const { page, close } = await open(made.page, { script: false });
  assert.ok((await list(page).locator("tbody tr").count()) > HOSTILE.length);
  assert.equal(await page.getByRole("searchbox").count(), 0);
  await close();
});

for (const width of [1280, 390]) {
  for (const scheme of ["light", "dark"]) {
    test(`${width} pixels, ${scheme}: nothing sticks out, and nothing serious for axe`, async () => {
      const { page, close } = await open(made.page, { width, scheme });
      const [needed, there] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
      assert.ok(needed <= there, `${needed} pixels wide on ${there}`);
      assert.ok((await page.locator("svg[role=img]").filter({ visible: true }).count()) >= 4, "charts are drawn");
      await page.screenshot({ path: path.join(home, `page-${width}-${scheme}.png`), fullPage: true });
      // The policy allows only the page's own script, so axe is injected by the debugger.
      const found = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ["violations"] })`);
      writeFileSync(path.join(home, `axe-${width}-${scheme}.json`), JSON.stringify(found.violations, null, 2));
      const serious = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes[0].html, nodes[0].failureSummary]), []);
      await close();
    });
  }
}

test("on paper it is light, whole and without controls", async () => {
  const { page, close } = await open(made.page, { scheme: "dark" });
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  const [red, green, blue] = await page.evaluate(() =>
    getComputedStyle(document.body).color.match(/\d+/g).slice(0, 3).map(Number),
  );
  assert.ok(red + green + blue < 300, "dark text");
  assert.equal(await page.getByRole("searchbox").filter({ visible: true }).count(), 0);
  await page.screenshot({ path: path.join(home, "page-print.png"), fullPage: true });
  await page.pdf({ path: path.join(home, "page.pdf"), format: "A4", preferCSSPageSize: true });
  await close();
});
