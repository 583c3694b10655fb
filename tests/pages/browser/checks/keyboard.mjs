// The keyboard alone: the first stop leads to the content, every stop is seen, in the order of the page, and none traps.

import { open } from '../lib/browser.mjs';
import { pagesOf, visit } from '../lib/pages.mjs';

/** The pages that are looked at on a phone, too, where a bar may lie over what has the focus. */
const ON_A_PHONE = ['Fleet', 'Instance', 'Server', 'Adoption'];

export async function jobs({ dozen }) {
  const all = [];
  for (const entry of pagesOf(dozen)) {
    if (entry.isLikeFleet) continue;
    for (const width of ON_A_PHONE.includes(entry.name) ? [1440, 390] : [1440]) {
      all.push({ name: `${entry.name} at ${width}`, run: (browser, fault) => look(browser, dozen, entry, width, fault) });
    }
  }
  return all;
}

async function look(browser, fleet, entry, width, fault) {
  const context = await open(browser, fleet, [], { viewport: { width, height: 800 } });
  const page = await context.newPage();
  await visit(page, fleet, entry);
  if (!await page.locator('nav').count()) return context.close();
  await skips(page, fault);
  await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
  if (entry.make) return context.close();
  await visit(page, fleet, entry);
  await goesThrough(page, fault);
  return context.close();
}

/** The first stop is a link past the navigation, which is seen while it has the focus. */
async function skips(page, fault) {
  await page.keyboard.press('Tab');
  const first = await page.evaluate(() => {
    const element = document.activeElement;
    const { left, top, width, height } = element.getBoundingClientRect();
    return { href: element.getAttribute('href'), isSeen: width > 20 && height > 10 && left >= 0 && top >= 0 };
  });
  if (first.href !== '#main') return fault(`the first stop leads to ${first.href}, not to the content`);
  if (!first.isSeen) fault('the link past the navigation is not seen when it has the focus');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  const isInside = await page.evaluate(() => {
    const element = document.activeElement;
    return element === document.body || document.querySelector('main').contains(element)
      || Boolean(document.querySelector('main').compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING);
  });
  if (!isInside) fault('the stop after the link past the navigation is before the content');
}

/** Presses Tab until the page is left, and looks at each stop. */
async function goesThrough(page, fault) {
  const expected = await page.evaluate(() => {
    const stops = 'a[href], button, input:not([type=hidden], [type=radio]), select, textarea, summary, [tabindex="0"]';
    window.stops = [];
    window.missed = new Set([...document.querySelectorAll(stops)].filter((element) =>
      !element.disabled && element.tabIndex >= 0 && element.checkVisibility({ checkVisibilityCSS: true })));
    return window.missed.size;
  });
  const told = new Set();
  for (let presses = 0; ; presses += 1) {
    if (presses > expected * 2 + 20) return fault('the keyboard does not leave the page');
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(stopOfFocus);
    if (stop === null) break;
    for (const text of stop) told.add(text);
  }
  for (const text of [...told].slice(0, 6)) fault(text);
  const missed = await page.evaluate(() => [...window.missed].map((element) => element.outerHTML.slice(0, 80)));
  if (missed.length > 0) fault(`${missed.length} are not reached, first ${missed[0]}`);
}

/** What is wrong with the element that has the focus; `null` where none has it, or each had it. */
async function stopOfFocus() {
  const element = document.activeElement;
  const last = window.stops.at(-1);
  // A field for a time has a stop for each of its parts.
  if (element === last) return [];
  if (element === document.body || window.stops.includes(element)) return null;
  const found = [];
  window.stops.push(element);
  window.missed.delete(element);
  const name = `<${element.localName}> "${(element.getAttribute('aria-label') ?? element.textContent).trim().slice(0, 30)}"`;
  if (last && !(last.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING)) found.push(`${name} is out of order`);
  const style = getComputedStyle(element);
  const hasOutline = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
  if (!hasOutline && style.boxShadow === 'none') found.push(`${name} does not show that it has the focus`);
  // Of what is seen of it: WCAG 2.4.11 forbids that all of it is hidden.
  const middle = () => {
    const box = element.getClientRects()[0];
    if (!box || box.width < 1 || box.height < 1) return null;
    const [left, right] = [Math.max(box.left, 0), Math.min(box.right, innerWidth)];
    const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
    return [left + Math.min((right - left) / 2, 200), top + Math.min((bottom - top) / 2, 100)];
  };
  if (middle() === null) return [...found, `${name} has the focus and is not there`];
  const isInside = ([x, y]) => x >= 0 && x <= innerWidth && y >= 0 && y <= innerHeight;
  // What scrolls inside of a page does so with one of the next frames, which a busy machine draws late.
  const until = performance.now() + 5000;
  while (!isInside(middle()) && performance.now() < until) await new Promise((done) => setTimeout(done, 20));
  const [x, y] = middle();
  if (!isInside([x, y])) return [...found, `${name} has the focus outside of the window`];
  const top = document.elementFromPoint(x, y);
  const isItself = top && (element.contains(top) || top.contains(element) || top.closest('label')?.control === element);
  if (!isItself) found.push(`${name} has the focus behind <${top?.localName} class="${top?.className}">`);
  return found;
}
