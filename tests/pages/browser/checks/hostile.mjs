// Texts of others: whatever servers, keys, mutes, queries and paths say is text on every page, even where no policy of the
// browser stops what would run.

import { open } from '../lib/browser.mjs';
import { hostile } from '../lib/measures.mjs';
import { ask, pagesOf, visit } from '../lib/pages.mjs';

/** Queries and paths in which `%` stands for a text. */
const ADDRESSES = [
  '?search=%', '?version=%', '?product=%', '?state=%', '?key=%', '?sort=%', '?after=%', '?system=%', '?older-than=%', '?license-hash=%',
  'events?reason=%', 'events?instance=%', 'events?from=%', 'events?after=%', 'forget?search=%', 'forget?revoke=%', 'instances/%',
  'instances/00000000-0000-4000-8000-000000000000/events/%', 'adoption?key=%', 'adoption?by=%', 'licenses?hash=%', 'login?next=%', 'nowhere?%', '%',
];

export async function jobs({ hostile: fleet }) {
  const pages = pagesOf(fleet);
  const instances = Object.entries(fleet.servers);
  const texts = instances.map(([name]) => name);
  const addresses = ADDRESSES.flatMap((address, number) => {
    // Each address gets some of the texts, and each text some of the addresses.
    const chosen = texts.filter((_, index) => (index + number) % 8 === 0);
    return chosen.map((text) => address.replace('%', encodeURIComponent(text)));
  });
  const half = Math.ceil(instances.length / 2);
  return [
    { name: 'pages', run: (browser, fault) => inOneTab(browser, fleet, fault, pages.map((entry) => [entry.name, (page) => visit(page, fleet, entry)])) },
    { name: 'servers', run: (browser, fault) => servers(browser, fleet, fault, instances.slice(0, half)) },
    { name: 'more servers', run: (browser, fault) => servers(browser, fleet, fault, instances.slice(half)) },
    { name: 'addresses', run: (browser, fault) => inOneTab(browser, fleet, fault, addresses.map((path) => [path, (page) => page.goto(fleet.url + path)])) },
  ];
}

async function servers(browser, fleet, fault, instances) {
  const steps = [];
  for (const [, id] of instances) {
    steps.push(['instance', (page) => page.goto(`${fleet.url}instances/${id}`)]);
    const { events } = await ask(fleet, `api/events?instance=${id}&limit=1`);
    steps.push(['event', (page) => page.goto(`${fleet.url}instances/${id}/events/${events[0].id}`)]);
    steps.push(['forgetting', (page) => page.goto(`${fleet.url}instances/${id}/forget`)]);
  }
  await inOneTab(browser, fleet, fault, steps);
}

async function inOneTab(browser, fleet, fault, steps) {
  const faults = [];
  const context = await open(browser, fleet, faults, { bypassCSP: true });
  const page = await context.newPage();
  // The same fault of many texts is told once for each kind of page.
  const told = new Set();
  for (const [name, go] of steps) {
    await go(page);
    await page.evaluate(() => {
      for (const details of document.querySelectorAll('details')) details.open = true;
      for (const element of document.querySelectorAll('*')) {
        for (const kind of ['mouseover', 'mouseenter', 'focus', 'load', 'error', 'toggle']) element.dispatchEvent(new Event(kind));
      }
    });
    for (const text of await page.evaluate(hostile)) faults.push(text);
    for (const text of faults.splice(0)) {
      const kind = `${name}: ${text.split(':')[0]}`;
      if (!told.has(kind)) fault(`${name}: ${text}`);
      told.add(kind);
    }
  }
  await context.close();
}
