// The beginning: a fleet without servers leads to its first one, on one page, by what that page says to run.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { open } from '../lib/browser.mjs';
import { follow } from '../lib/pages.mjs';

/** What the page calls the server that its command speaks for. */
const NAMES = /try-out/;

export async function jobs({ empty }) {
  return [{ name: 'the first server', run: (browser, fault) => begins(browser, empty, fault) }];
}

async function begins(browser, fleet, fault) {
  const faults = [];
  const plain = await (await open(browser, fleet, faults, { javaScriptEnabled: false })).newPage();
  const lively = await (await open(browser, fleet, faults, { permissions: ['clipboard-read', 'clipboard-write'] })).newPage();
  await lively.goto(fleet.url);
  await lively.getByLabel(/^Name/).fill('the <i>first</i>');
  await follow(lively, lively.getByRole('button', { name: 'Make the key' }));
  const given = await lively.locator('pre').allInnerTexts();
  const setting = given.find((text) => text.includes('_TELEMETRY_URL='));
  const webhook = setting?.match(/_TELEMETRY_URL='?(http:\/\/[^\s']+)/)?.[1];
  if (!webhook?.startsWith(`${fleet.url}webhooks/`)) return fault(`the variable to set is ${setting}`);
  await copies(lively, given, fault);

  const refused = await fetch(webhook, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"reason":"<b>no</b>"}' });
  if (refused.ok) fault('an event without fields is taken');
  await shows(lively, plain, fleet, /was refused/, 'what was refused', fault);
  const command = given.find((text) => text.startsWith('curl'));
  const { stdout, stderr } = await promisify(execFile)('sh', ['-c', command], { timeout: 10_000 });
  if (!/200|^$/.test(stdout.trim())) fault(`the command says ${stdout} ${stderr}`);
  await shows(lively, plain, fleet, NAMES, 'the server that arrived', fault);
  await follow(plain, plain.locator('main').getByRole('link', { name: NAMES }).first());
  if (!/instances\/[0-9a-f-]{36}$/.test(plain.url())) fault(`the server that arrived is at ${plain.url()}`);
  for (const text of new Set(faults)) fault(text);
  await lively.context().close();
  await plain.context().close();
}

/** With scripts the page says something by itself, without them when it is looked at again. */
async function shows(lively, plain, fleet, text, what, fault) {
  await lively.getByText(text).first().waitFor({ timeout: 8_000 }).catch(() => fault(`with scripts, ${what} is not shown`));
  await plain.goto(fleet.url);
  if (!await plain.getByText(text).count()) fault(`without scripts, ${what} is not shown`);
}

/** The buttons copy what stands before them, and are there with scripts alone. */
async function copies(page, given, fault) {
  const buttons = await page.getByRole('button', { name: 'Copy' }).all();
  if (buttons.length < given.length) return fault(`${buttons.length} buttons copy ${given.length} texts`);
  await buttons[0].click();
  await page.getByRole('button', { name: 'Copied' }).first().waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  if (copied.trim() !== given[0].trim()) fault(`"${copied}" is copied instead of "${given[0]}"`);
  return undefined;
}
