// Pages follow the fleet by themselves, without moving what people look at.

import { open } from '../lib/browser.mjs';
import { follow } from '../lib/pages.mjs';

export async function jobs({ changed }) {
  return [{ name: 'a server comes back', run: (browser, fault) => comesBack(browser, changed, fault) }];
}

/** An event comes while the list of events is open. */
async function arrives(page, fleet, send, fault) {
  await page.goto(`${fleet.url}events`);
  const rows = () => page.locator('main table tbody th a').allInnerTexts();
  const before = await rows();
  await send();
  const news = page.getByRole('link', { name: '1 new, show' });
  const isShown = await news.waitFor({ timeout: 10_000 }).then(() => true, () => false);
  if (!isShown) return fault('no link shows that an event came');
  if ((await rows()).join() !== before.join()) fault('the rows of the events have moved by themselves');
  await follow(page, news);
  if ((await rows()).join() === before.join()) fault('the event is not in the list, also when it is shown anew');
  if (await news.isVisible()) fault('an event that is shown is still called new');
}

async function comesBack(browser, fleet, fault) {
  const faults = [];
  const context = await open(browser, fleet, faults);
  const page = await context.newPage();
  await page.goto(fleet.url);
  const title = await page.title();
  const rows = () => page.locator('main table tbody th a').allInnerTexts();
  const before = await rows();
  const { key, headers, body } = fleet.begins['klinikum-nord prod'];
  const send = async () => {
    const answer = await fetch(new URL(fleet.webhooks[key], fleet.url), { method: 'POST', headers, body });
    if (answer.status !== 200) fault(`the event is answered ${answer.status}`);
  };
  await send();
  // Counts are kept for twenty times as long as the counting took, which is seconds where the machine is busy.
  await page.waitForFunction((old) => document.title !== old, title, { timeout: 30_000 })
    .catch(() => fault(`the title is "${title}" half a minute after a server came back`));
  if ((await rows()).join() !== before.join()) fault('the rows have moved by themselves');
  const news = page.getByRole('link', { name: /change.*show/i });
  if (!await news.isVisible()) fault('no link shows what has changed');
  const spoken = await page.locator('[aria-live], [role=status]').allInnerTexts();
  if (!spoken.join('').includes('klinikum-nord prod')) fault(`nobody is told of it who does not see: ${spoken.join(' / ')}`);
  await news.click();
  await page.locator('main tbody').filter({ hasText: 'klinikum-nord prod' }).waitFor();
  if ((await rows())[2] === 'klinikum-nord prod') fault('the list is as it was, also when it is shown anew');
  const id = headers.find(([name]) => name === 'webhook-id');
  id[1] = id[1].replace(/\d+$/, (number) => Number(number) + 1);
  await arrives(page, fleet, send, fault);
  for (const text of new Set(faults)) fault(text);
  await context.close();
}
