// Chromium, and tabs that are watched: whatever a page does that it must not do becomes a fault.

import { job, load } from './job.mjs';

const { chromium } = load('playwright-core');

const FLAGS = [
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--font-render-hinting=none', '--hide-scrollbars',
];

/** Starts the browser, with an empty profile. */
export const launch = () => chromium.launch({
  executablePath: job.chromium,
  args: FLAGS,
  env: { ...process.env, FONTCONFIG_FILE: job.fonts },
});

/** The header by which a program logs in. */
export const authorization = ({ user, password }) => `Basic ${btoa(`${user}:${password}`)}`;

/**
 * A window of the browser that is logged in to a fleet. `faults` gets a line for each request to another host, each
 * complaint of the browser and each dialog, however it came about.
 */
export async function open(browser, fleet, faults, options = {}) {
  const context = await browser.newContext({
    extraHTTPHeaders: { authorization: authorization(fleet) },
    viewport: { width: 1440, height: 900 },
    locale: 'en-GB',
    timezoneId: 'UTC',
    ...options,
  });
  context.setDefaultTimeout(10_000);
  const own = new URL(fleet.url).origin;
  context.on('request', (request) => {
    if (!request.url().startsWith(`${own}/`)) faults.push(`asks another host: ${request.url()}`);
  });
  context.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    // A page that says that something is not there is answered as such.
    const isItself = message.location().url === message.page()?.url();
    if (isItself && message.text().startsWith('Failed to load resource: the server responded with')) return;
    faults.push(`the browser complains: ${message.text()} (${message.location().url})`);
  });
  context.on('weberror', (error) => faults.push(`a script fails: ${error.error()}`));
  context.on('dialog', (dialog) => {
    faults.push(`a dialog opens: ${dialog.message()}`);
    dialog.dismiss();
  });
  return context;
}

/** Works through a list with a few workers at once, since the machine has more than one core. */
export async function inParallel(items, work, workers = 3) {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: workers }, worker));
}
