// The status page of a station (`[control] http`) in a real browser: live, by token, by keyboard, light and dark.
import test from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { readFileSync, writeFileSync } from 'node:fs';
import { ROOT, callbox, openPhone, scratch, screenshot, soundCard, startBrowser, startSandbox, toneFile, until } from '../lib.mjs';

const TOKEN = '0123456789abcdef0123456789abcdef';

const freePort = () => new Promise((resolve) => {
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

/** A station with a status page that needs a token, and a page that knows it. */
async function house(t, context = {}) {
  const folder = scratch(t), card = soundCard(folder), port = await freePort();
  const socket = path.join(folder, 'control.sock'), config = path.join(folder, 'station.toml');
  writeFileSync(path.join(folder, 'token'), `home ${TOKEN}\n`, { mode: 0o600 });
  writeFileSync(config, `${readFileSync(path.join(ROOT, 'tests/browser/station.toml'), 'utf8')}
[[sensor]]
name = "leaf"
pin = 6
[[door]]
name = "front"
contact = "leaf"
opened_by = ["strike"]
[modes]
away = {}
[control]
http = "127.0.0.1:${port}"
http_token_file = "token"
`);
  const sandbox = await startSandbox(t, { args: ['--config', config, '--socket', socket], env: { ALSA_CONFIG_PATH: card.configuration } });
  const browser = await startBrowser(t, { toneWav: toneFile(path.join(folder, 'tone.wav'), 1000, 0.25) });
  const page = await (await browser.newContext(context)).newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error' && !message.text().includes('401')) page.problems.push(message.text()); });
  const command = async (...args) => {
    const done = await callbox([...args, '--socket', socket]);
    assert.equal(done.code, 0, `${args.join(' ')}: ${done.err}`);
  };
  await page.goto(`http://127.0.0.1:${port}/`);
  // By keyboard alone: the field has the focus.
  await page.waitForSelector('#login:not([hidden])');
  await page.keyboard.type(TOKEN);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#connection:text("live")');
  await page.waitForSelector('#session >> text=registered');
  return { browser, page, command, sandbox };
}

test('the page shows what happens at the door while it happens', async (t) => {
  const { browser, page, command, sandbox } = await house(t);
  await openPhone(browser, sandbox.url, '100');
  await command('press', 'bell');
  await page.waitForSelector('#lines >> text=to 100');
  await page.waitForSelector('#events >> text=press');
  await page.waitForFunction(() => document.getElementById('microphone').value > -60 || document.getElementById('loudspeaker').value > -60);
  await command('input', 'leaf', 'on');
  await page.waitForSelector('#doors >> text=forced');
  await page.waitForSelector('#faults >> text=was opened without a right');
  await command('mode', 'away', 'on');
  await page.waitForSelector('#doors >> text=Mode away');
  await screenshot(page, 'status');
  await command('hangup');
  await page.waitForSelector('#calls >> text=abandoned');
  assert.deepEqual(page.problems, [], 'the content security policy allows all that the page needs');
});

test('a phone in the dark can read it, and a screen reader has its headings', async (t) => {
  const { page } = await house(t, { colorScheme: 'dark', viewport: { width: 360, height: 740 } });
  await page.waitForSelector('#pins >> text=Button bell');
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing is cut off');
  const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(dark, 'rgb(16, 18, 22)');
  const unnamed = await page.evaluate(() => [...document.querySelectorAll('section')].filter((section) => !document.getElementById(section.getAttribute('aria-labelledby'))?.textContent).length);
  assert.equal(unnamed, 0);
  await screenshot(page, 'status-phone');
});

test('a wrong token is told, and a station that is gone is told', async (t) => {
  const { page, sandbox } = await house(t);
  await page.evaluate(() => sessionStorage.setItem('callbox-token', 'another'));
  await page.reload();
  await page.waitForSelector('#login-problem >> text=the token is wrong');
  await page.keyboard.type(TOKEN);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#connection:text("live")');
  await sandbox.stop();
  await page.waitForSelector('#connection.lost');
  await until('the words', async () => await page.textContent('#connection') === 'the station does not answer');
});
