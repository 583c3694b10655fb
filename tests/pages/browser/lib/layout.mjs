// The pages whose layout is kept, as small pictures of a fleet whose clock stands.

import { open } from './browser.mjs';
import { pagesOf, visit } from './pages.mjs';
import { shrink, studio } from './thumbnails.mjs';

const PAGES = ['Fleet', 'Instance', 'Adoption', 'Licenses'];

/** Widths, how much of the page is looked at, and how small it is made. */
const VIEWS = [
  { width: 390, height: 1600, factor: 0.4 },
  { width: 1440, height: 1400, factor: 0.2 },
];

/** Takes the pictures, and gives each to `take` by its name. */
export async function photograph(browser, fleet, take) {
  const tab = await studio(browser);
  for (const entry of pagesOf(fleet)) {
    if (!PAGES.includes(entry.name)) continue;
    for (const { width, height, factor } of VIEWS) {
      for (const colorScheme of ['light', 'dark']) {
        const context = await open(browser, fleet, [], { viewport: { width, height }, colorScheme, reducedMotion: 'reduce' });
        const page = await context.newPage();
        await visit(page, fleet, entry);
        const picture = await shrink(tab, await page.screenshot(), factor);
        await take(`${entry.name.toLowerCase()}-${width}-${colorScheme}.png`, picture, tab);
        await context.close();
      }
    }
  }
  await tab.context().close();
}
