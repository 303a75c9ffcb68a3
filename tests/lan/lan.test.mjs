// A household's only server: https and wss with a CA of its own, over a non-loopback address.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CALLBOX, openPhone, received, scratch, startBrowser, toneFile, until } from '../lib.mjs';

const SERVER = process.env.CALLBOX_TEST_SERVER_NS, PHONE = process.env.CALLBOX_TEST_PHONE_NS;
const URL = 'https://10.77.0.1:8443';

test('a phone on the LAN calls the station, with the CA installed, and the panel asks for its login', async (t) => {
  const folder = scratch(t);
  const accounts = path.join(folder, 'accounts.toml');
  writeFileSync(accounts, ['201', 'door'].map((number) => `[[account]]\nnumber = "${number}"\nname = "Phone ${number}"\npassword = "a long one"\n`).join('\n'));
  const data = path.join(folder, 'data');
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CALLBOX_')));
  const child = spawn('ip', ['netns', 'exec', SERVER, CALLBOX, 'sandbox', '--listen', '10.77.0.1:8443', '--accounts', accounts, '--data', data, '--no-sound-card'], { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  let out = '', err = '';
  child.stdout.on('data', (chunk) => { out += chunk; });
  child.stderr.on('data', (chunk) => { err += chunk; });
  t.after(() => child.kill('SIGTERM'));
  await until(`the server to listen; ${err}`, () => out.includes('SHA-256'));
  assert.match(out, /ca_file = ".*ca\.pem"/);
  assert.doesNotMatch(out, /a long one/);

  // The phone's owner installs the CA (docs/workarounds.md, "tests: chromium trusts a ca by its own database").
  const home = path.join(folder, 'home');
  const store = path.join(home, '.pki/nssdb');
  mkdirSync(store, { recursive: true });
  execFileSync('certutil', ['-d', `sql:${store}`, '-N', '--empty-password']);
  execFileSync('certutil', ['-d', `sql:${store}`, '-A', '-t', 'C,,', '-n', 'callbox', '-i', path.join(data, 'ca.pem')]);
  assert.ok(existsSync(path.join(store, 'cert9.db')));

  // The browser runs in the phone's namespace.
  const wrapper = path.join(folder, 'chromium');
  writeFileSync(wrapper, `#!/bin/sh\nexec env HOME=${home} ip netns exec ${PHONE} /usr/bin/chromium "$@"\n`);
  chmodSync(wrapper, 0o755);
  process.env.CHROMIUM = wrapper;
  const browser = await startBrowser(t, { toneWav: toneFile(path.join(folder, 'tone.wav'), 1000, 0.25) });
  const phone = await openPhone(browser, URL, '201', { password: 'a long one' });
  await phone.fill('#target', 'door');
  await phone.click('#dial');
  await until('the call to be up', () => phone.locator('.call[data-state="talking"]').count());
  // The built-in microphone plays A4, C#5, E5 and a rest.
  await until('the melody of the station', async () => (await received(phone, 440)) > 0.02, 15000);

  const panel = await (await browser.newContext()).newPage();
  await panel.goto(`${URL}/station`);
  await panel.waitForSelector('#login:not(.hidden)');
  assert.equal(await panel.isVisible('#buttons'), false);
  const refused = await panel.evaluate(async () => (await fetch('/station/request', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"request":"output","name":"strike","change":"on"}' })).status);
  assert.equal(refused, 401);
  await panel.fill('#password', 'wrong');
  await panel.click('#login-form button');
  await panel.waitForSelector('#login-error:has-text("wrong")');
  await panel.fill('#password', 'a long one');
  await panel.click('#login-form button');
  await panel.waitForSelector('[data-button="bell"]');
  await panel.waitForSelector('#session.good');
  assert.deepEqual(phone.problems, []);
});

test('off loopback the well-known accounts are not served, and plain http is not answered', async () => {
  const run = (args) => new Promise((resolve) => {
    const child = spawn('ip', ['netns', 'exec', SERVER, CALLBOX, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let err = '';
    child.stderr.on('data', (chunk) => { err += chunk; });
    child.on('close', (code) => resolve({ code, err }));
  });
  const refused = await run(['sandbox', '--listen', '10.77.0.1:8444']);
  assert.equal(refused.code, 2);
  assert.match(refused.err, /--accounts/);
});
