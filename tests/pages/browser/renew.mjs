// Keeps the layout as it is now, and the pictures of the documentation.

import { writeFileSync } from 'node:fs';

import { launch, open } from './lib/browser.mjs';
import { job, tell } from './lib/job.mjs';
import { photograph } from './lib/layout.mjs';

const { standing } = job.fleets;
const browser = await launch();
await photograph(browser, standing, (name, picture) => writeFileSync(`${job.screenshots}/${name}`, picture));
for (const [file, colorScheme] of [['fleet.png', 'light'], ['fleet-dark.png', 'dark']]) {
  const context = await open(browser, standing, [], { colorScheme, viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(standing.url);
  await page.screenshot({ path: `${job.pictures}/${file}` });
  await context.close();
}
tell(`the layout is kept in ${job.screenshots}, the pictures in ${job.pictures}`);
await browser.close();
