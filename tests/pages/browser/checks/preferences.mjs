// What people prefer: less motion, colours of their own, paper.

import { open } from '../lib/browser.mjs';
import { unreadable } from '../lib/measures.mjs';
import { pagesOf, visit } from '../lib/pages.mjs';
import { prepare, violations } from './everywhere.mjs';

export async function jobs({ dozen }) {
  return pagesOf(dozen).filter((entry) => !entry.isLikeFleet).map((entry) => ({
    name: entry.name,
    run: (browser, fault) => look(browser, dozen, entry, fault),
  }));
}

async function look(browser, fleet, entry, fault) {
  const context = await open(browser, fleet, []);
  const page = await context.newPage();
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await visit(page, fleet, entry);
  await prepare(page);
  const tell = async (when, measures) => {
    for (const measure of measures) for (const text of await page.evaluate(measure)) fault(`${when}, ${text}`);
  };
  await tell('with less motion', [moving]);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ forcedColors: 'active', colorScheme });
    await tell(`with forced colours, ${colorScheme}`, [unreadable, unseenShapes]);
    await page.emulateMedia({ forcedColors: 'none', media: 'print' });
    await tell(`on paper, ${colorScheme}`, [unreadable, paper]);
    for (const text of await violations(page, ['color-contrast'])) fault(`on paper, ${colorScheme}, ${text}`);
    await page.emulateMedia({ media: 'screen' });
  }
  await context.close();
}

/** What moves. */
function moving() {
  const seconds = (text) => Math.max(...text.split(',').map((part) => parseFloat(part) * (part.trim().endsWith('ms') ? 0.001 : 1)));
  const found = [];
  for (const element of document.querySelectorAll('*')) {
    const style = getComputedStyle(element);
    const isMoving = seconds(style.transitionDuration) > 0.01 || (style.animationName !== 'none' && seconds(style.animationDuration) > 0.01);
    if (isMoving) found.push(`<${element.localName} class="${element.getAttribute('class') ?? ''}"> moves`);
  }
  if (getComputedStyle(document.documentElement).scrollBehavior === 'smooth') found.push('the page scrolls smoothly');
  return [...new Set(found)].slice(0, 4);
}

/** Pictures of which no shape is seen before the ground that the system chose. */
function unseenShapes() {
  const channel = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = (color) => {
    const parts = color.match(/[\d.]+/g).slice(0, 3).map((part) => channel(part / 255));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ratio = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const canvas = document.createElement('div');
  canvas.style.setProperty('background-color', 'Canvas');
  document.body.append(canvas);
  const ground = luminance(getComputedStyle(canvas).backgroundColor);
  canvas.remove();
  const isSeen = (shape) => {
    const { fill, stroke } = getComputedStyle(shape);
    return [fill, stroke].some((color) => color.startsWith('rgb(') && ratio(luminance(color), ground) >= 3);
  };
  const found = [];
  for (const picture of document.querySelectorAll('svg')) {
    if (!picture.checkVisibility() || picture.getBoundingClientRect().width < 2 || picture.closest('a, button')) continue;
    const shapes = [...picture.querySelectorAll('path, circle, rect, line, polyline, polygon, use')].filter((shape) => !shape.closest('defs, symbol'));
    if (shapes.length > 0 && !shapes.some(isSeen)) found.push(`no shape of the picture "${picture.getAttribute('aria-label') ?? picture.parentElement.textContent.trim().slice(0, 30)}" is seen`);
  }
  return [...new Set(found)].slice(0, 4);
}

/** What does not belong on paper. */
function paper() {
  const found = [];
  if (!document.querySelector('h1')?.checkVisibility()) found.push('the title is missing');
  for (const form of document.querySelectorAll('nav, form[role=search]')) {
    if (form.checkVisibility()) found.push(`<${form.localName}> is printed`);
  }
  for (const element of [document.documentElement, document.body]) {
    const parts = getComputedStyle(element).backgroundColor.match(/[\d.]+/g).map(Number);
    if ((parts[3] ?? 1) > 0 && Math.min(...parts.slice(0, 3)) < 200) found.push(`the ground is dark: ${parts.join(' ')}`);
  }
  return found;
}
