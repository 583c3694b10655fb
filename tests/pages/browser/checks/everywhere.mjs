// What holds for every page, at every width, in both schemes: no violation that axe finds, no scrolling sideways, no
// squeezed text, no text under its neighbour, no filter out of sight on a telephone, nothing to be tapped that lies under another thing, no request to another
// host, no complaint of the browser, no field that must be filled in without saying so.

import { readFileSync } from 'node:fs';

import { open } from '../lib/browser.mjs';
import { job, load } from '../lib/job.mjs';
import { covered, cramped, hidden, sideways, squeezed, unmarked } from '../lib/measures.mjs';
import { pagesOf, visit } from '../lib/pages.mjs';

/** The widths that pages are looked at with: in the long form all, else fewer of what differs from other pages by its texts. */
const WIDTHS = [320, 390, 768, 1440, 2560];
const FEWER = [320, 1440];

/** The window of a telephone, where the links to the pages stay at the lower edge. */
const PHONE = { width: 390, height: 844 };

/** The pages that have a layout of their own. */
const OWN = /^(Fleet|Instance|Event|Events|All changes|By key|Refused|Alerts|Adoption|Licenses|Server|Key|Key made)$/;
const AXE = readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');

/** The rules that colours decide. The others hold in one scheme if they hold in the other. */
const OF_COLOURS = ['color-contrast', 'link-in-text-block'];

/** The pages that are different in a fleet that is empty, small or large. */
const OTHERS = {
  none: /^(Fleet|Events|All changes|By key|Refused|Alerts|Adoption|Licenses|Server)$/,
  one: /^(Fleet|Adoption|Licenses)$/,
  thousand: /^(Fleet|Fleet, filtered|Events|All changes|Adoption|Licenses|Alerts|Server)$/,
  hundredThousand: /^(Fleet|Fleet, filtered|Adoption|Licenses)$/,
};

export async function jobs(fleets) {
  const all = [];
  for (const size of ['dozen', 'hundredThousand', 'thousand', 'none', 'one']) {
    const fleet = fleets[size];
    for (const entry of pagesOf(fleet)) {
      if (!job.isLong && OTHERS[size]?.test(entry.name) === false) continue;
      all.push({ name: `${entry.name} (${size})`, run: (browser, fault) => look(browser, fleet, entry, job.isLong || (size === 'dozen' && OWN.test(entry.name)) ? WIDTHS : FEWER, fault) });
    }
  }
  return all;
}

async function look(browser, fleet, entry, widths, fault) {
  const faults = [];
  const context = await open(browser, fleet, faults);
  const page = await context.newPage();
  await visit(page, fleet, entry);
  await page.evaluate(AXE);
  // The same fault at several widths is told once.
  const found = new Map();
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    // The colours are those of the other widths.
    for (const width of colorScheme === 'dark' && !job.isLong ? FEWER : widths) {
      await page.setViewportSize({ width, height: 900 });
      const texts = await violations(page, colorScheme === 'light' ? null : OF_COLOURS);
      if (colorScheme === 'light') {
        const wide = await page.evaluate(sideways);
        if (wide.length > 0) texts.push(`scrolls sideways: ${wide.join('; ')}`);
        texts.push(...await page.evaluate(squeezed), ...await page.evaluate(cramped));
      }
      for (const text of texts) found.set(text, [...found.get(text) ?? [], `${width} ${colorScheme}`]);
    }
  }
  await page.setViewportSize(PHONE);
  for (const text of await page.evaluate(hidden)) fault(`${text} [at ${PHONE.width}]`);
  // What is done with the selected servers stays in view, above what is there anyway.
  const boxes = page.locator('tbody [type=checkbox]');
  if (await boxes.count() > 0) await boxes.first().check();
  for (const text of await page.evaluate(unmarked)) fault(text);
  for (const text of await page.evaluate(covered)) fault(`${text} [at ${PHONE.width}]`);
  for (const [text, where] of found) fault(`${text} [at ${where.join(', ')}]`);
  for (const text of new Set(faults)) fault(text);
  await context.close();
}

/** What axe finds, by these rules or by all. */
export async function violations(page, rules) {
  const found = await page.evaluate(async (values) => {
    // Style sheets are not fetched a second time: the policy forbids that.
    const options = { resultTypes: ['violations'], preload: false };
    if (values) options.runOnly = { type: 'rule', values };
    else options.rules = { 'target-size': { enabled: true } };
    const { violations } = await axe.run(document, options);
    return violations.map(({ id, impact, nodes }) => {
      const [{ target, any }] = nodes;
      return `axe ${id} (${impact}), ${nodes.length} times, first ${target.join(' ')}${any[0] ? `: ${any[0].message}` : ''}`;
    });
  }, rules);
  return found;
}

/** Makes axe known to a page. */
export const prepare = (page) => page.evaluate(AXE);
