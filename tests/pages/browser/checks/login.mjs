// People log in by a form, stay logged in, and log out, without scripts.

import { open } from '../lib/browser.mjs';
import { follow } from '../lib/pages.mjs';

export async function jobs({ changed }) {
  return [{ name: 'by a form', run: async (browser, fault) => {
    for (const step of [logsIn, refusesWrongOnes, stays, expires, needsTheToken, leadsNowhereElse]) {
      const faults = [];
      const context = await open(browser, changed, faults, { extraHTTPHeaders: {}, javaScriptEnabled: false });
      const page = await context.newPage();
      try {
        await step(page, changed, (text) => fault(`${step.name}: ${text}`));
      } catch (error) {
        fault(`${step.name}: ${error.message.split('\n').slice(0, 3).join(' | ')}`);
      }
      for (const text of new Set(faults)) fault(`${step.name}: ${text}`);
      await context.close();
    }
  } }];
}

const isLogin = (page) => page.getByLabel('Password').count();

async function enter(page, { user, password }) {
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Password').fill(password);
  await follow(page, page.getByRole('button', { name: /log in/i }));
}

async function logsIn(page, fleet, fault) {
  await page.goto(`${fleet.url}events?reason=update`);
  if (!await isLogin(page)) return fault('a page is shown to somebody who is not logged in');
  await enter(page, fleet);
  if (page.url() !== `${fleet.url}events?reason=update`) fault(`it leads to ${page.url()}, not to the page that was asked for`);
  const cookies = await page.context().cookies();
  if (cookies.length !== 1 || !cookies[0].httpOnly || cookies[0].sameSite !== 'Strict') fault(`the cookies are ${JSON.stringify(cookies)}`);
  await follow(page, page.getByRole('button', { name: /log ?out/i }).first());
  await page.goto(fleet.url);
  if (!await isLogin(page)) fault('a page is shown to somebody who has logged out');
}

async function refusesWrongOnes(page, fleet, fault) {
  await page.goto(fleet.url);
  await enter(page, { ...fleet, password: '<b>wrong</b>' });
  if (!await isLogin(page)) return fault('a wrong password is taken');
  if (!await page.getByRole('alert').count()) fault('a wrong password is not spoken of');
  if (await page.getByLabel('Password').inputValue() !== '') fault('the wrong password is in the field');
  await enter(page, fleet);
  if (await isLogin(page)) fault('the right password is not taken after a wrong one');
}

async function stays(page, fleet, fault) {
  await page.goto(fleet.url);
  await enter(page, fleet);
  await page.goto(`${fleet.url}server`);
  const other = await page.context().newPage();
  await other.goto(fleet.url);
  if (await isLogin(page) || await isLogin(other)) fault('the login is forgotten on the next page');
  await page.goto(`${fleet.url}login`);
  if ((await page.content()).includes(fleet.password)) fault('the password is in the page');
}

async function expires(page, fleet, fault) {
  await page.goto(fleet.url);
  await enter(page, fleet);
  await page.goto(`${fleet.url}server`);
  const [cookie] = await page.context().cookies();
  await page.context().addCookies([{ ...cookie, value: cookie.value.replace(/^..../, 'AAAA') }]);
  await page.locator('summary').filter({ hasText: 'Make a key' }).click();
  await page.getByLabel(/^Name/).fill('made without a session');
  await follow(page, page.getByRole('button', { name: 'Make it' }));
  if (!await isLogin(page) && !await page.getByRole('alert').count()) fault('a form is taken without a session');
  await page.goto(`${fleet.url}events`);
  if (!await isLogin(page)) fault('a page is shown without a session');
}

async function needsTheToken(page, fleet, fault) {
  await page.goto(fleet.url);
  await enter(page, fleet);
  const cookies = await page.context().cookies();
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
  const answer = await fetch(`${fleet.url}server/keys`, {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' },
    body: 'name=without+a+token',
    redirect: 'manual',
  });
  if (answer.status !== 403) fault(`a form without the token of the session is answered ${answer.status}`);
}

async function leadsNowhereElse(page, fleet, fault) {
  const own = new URL(fleet.url).origin;
  for (const next of ['https://pwned.example/', '//pwned.example/', '/\\pwned.example', '\\\\pwned.example', 'javascript:alert(1)', '%2f%2fpwned.example', 'https:pwned.example', '\t//pwned.example']) {
    await page.context().clearCookies();
    await page.goto(`${fleet.url}login?next=${encodeURIComponent(next)}`);
    if (!await isLogin(page)) continue;
    await enter(page, fleet);
    if (new URL(page.url()).origin !== own) fault(`it leads to ${page.url()} with next=${next}`);
  }
}
