// Writes pictures of every page into a folder, for people to look at.

import { launch, open, inParallel } from './lib/browser.mjs';
import { count, job, tell } from './lib/job.mjs';
import { pagesOf, visit } from './lib/pages.mjs';

const WIDTHS = [390, 1440];
const SCHEMES = ['light', 'dark'];

/** The pages of which there is a picture for fleets other than the dozen. */
const ALSO = { none: ['Fleet', 'Events', 'Adoption', 'Licenses', 'Alerts', 'Server'], thousand: ['Fleet', 'Adoption', 'Licenses', 'Events', 'Server'], hostile: ['Fleet', 'Instance', 'Events', 'Server', 'Refused'] };

const slug = (name) => name.toLowerCase().replace(/[^a-z0-9]+/g, '-');

const browser = await launch();
const shots = [];
for (const [name, fleet] of Object.entries(job.fleets)) {
  if (name !== 'dozen' && !ALSO[name]) continue;
  for (const entry of pagesOf(fleet)) {
    if (ALSO[name] && !ALSO[name].includes(entry.name)) continue;
    shots.push({ fleet, entry, file: name === 'dozen' ? slug(entry.name) : `${slug(entry.name)}-of-${name}` });
  }
}
await inParallel(shots, async ({ fleet, entry, file }) => {
  const faults = [];
  const context = await open(browser, fleet, faults);
  const page = await context.newPage();
  try {
    await visit(page, fleet, entry);
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: width < 500 ? 844 : 900 });
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: `${job.folder}/${file}-${width}-${colorScheme}.png`, fullPage: true });
        count(1);
      }
    }
    if (['fleet', 'instance', 'adoption'].includes(file)) {
      await page.emulateMedia({ colorScheme: 'light', media: 'print' });
      await page.screenshot({ path: `${job.folder}/${file}-print.png`, fullPage: true });
      await page.emulateMedia({ media: 'screen', forcedColors: 'active' });
      await page.screenshot({ path: `${job.folder}/${file}-forced-colours.png`, fullPage: true });
      await page.emulateMedia({ colorScheme: 'dark' });
      await page.screenshot({ path: `${job.folder}/${file}-forced-colours-dark.png`, fullPage: true });
    }
  } catch (error) {
    tell(`${file}: ${error.message}`);
  }
  for (const text of faults) tell(`${file}: ${text}`);
  await context.close();
});
tell(`the pictures are in ${job.folder}`);
await browser.close();
