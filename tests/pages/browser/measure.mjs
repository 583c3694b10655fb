// Measures when the largest part of a page is painted, each time in a browser that has seen nothing of it.

import { launch } from './lib/browser.mjs';
import { count, figure, job } from './lib/job.mjs';

const browser = await launch();
for (let time = 0; time < job.times; time += 1) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(job.url);
  const painted = await page.evaluate(() => new Promise((resolve) => {
    new PerformanceObserver((list) => resolve(list.getEntries().at(-1).startTime)).observe({ type: 'largest-contentful-paint', buffered: true });
  }));
  figure('largest contentful paint', painted);
  count(1);
  await context.close();
}
await browser.close();
