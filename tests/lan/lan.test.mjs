// A household's only server: https and wss with a CA of its own, over a non-loopback address.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CALLBOX, openPhone, received, scratch, startBrowser, toneFile, until } from '../lib.mjs';

const SERVER = process.env.CALLBOX_TEST_SERVER_NS, PHONE = process.env.CALLBOX_TEST_PHONE_NS;
const URL = 'https://10.77.0.1:8443';

/** A sandbox in the server's namespace, with two accounts. Returns the folder of its certificates. */
async function startServer(t, folder, args = []) {
  const accounts = path.join(folder, 'accounts.toml');
  writeFileSync(accounts, ['201', 'door'].map((number) => `[[account]]\nnumber = "${number}"\nname = "Phone ${number}"\npassword = "a long one"\n`).join('\n'));
  const data = path.join(folder, 'data');
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CALLBOX_')));
  const child = spawn('ip', ['netns', 'exec', SERVER, CALLBOX, 'sandbox', '--listen', '10.77.0.1:8443', '--accounts', accounts, '--data', data, '--no-sound-card', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  let out = '', err = '';
  child.stdout.on('data', (chunk) => { out += chunk; });
  child.stderr.on('data', (chunk) => { err += chunk; });
  t.after(() => stop(child));
  await until(`the server to listen; ${err}`, () => out.includes('SHA-256'));
  assert.match(out, /ca_file = ".*ca\.pem"/);
  assert.doesNotMatch(out, /a long one/);
  return data;
}

/** Ends a process, so that its port is free. */
const stop = (child) => new Promise((resolve) => {
  child.on('exit', resolve);
  child.kill('SIGTERM');
});

/** A browser in the phone's namespace, whose owner has installed these certificates (docs/workarounds.md, "tests:
 * chromium trusts a ca by its own database"). */
async function startPhoneBrowser(t, folder, certificates) {
  const home = path.join(folder, 'home');
  const store = path.join(home, '.pki/nssdb');
  mkdirSync(store, { recursive: true });
  execFileSync('certutil', ['-d', `sql:${store}`, '-N', '--empty-password']);
  certificates.forEach((file, index) => execFileSync('certutil', ['-d', `sql:${store}`, '-A', '-t', 'C,,', '-n', `callbox-${index}`, '-i', file]));
  assert.ok(existsSync(path.join(store, 'cert9.db')));
  const wrapper = path.join(folder, 'chromium');
  writeFileSync(wrapper, `#!/bin/sh\nexec env HOME=${home} ip netns exec ${PHONE} /usr/bin/chromium "$@"\n`);
  chmodSync(wrapper, 0o755);
  process.env.CHROMIUM = wrapper;
  return startBrowser(t, { toneWav: toneFile(path.join(folder, 'tone.wav'), 1000, 0.25) });
}

/** Dials the station and waits until its built-in microphone is heard, which plays A4, C#5, E5 and a rest. */
async function callTheStation(phone) {
  await phone.fill('#target', 'door');
  await phone.click('#dial');
  await until('the call to be up', () => phone.locator('.call[data-state="talking"]').count());
  await until('the melody of the station', async () => (await received(phone, 440)) > 0.02, 15000);
}

test('a phone on the LAN calls the station, with the CA installed, and the panel asks for its login', async (t) => {
  const folder = scratch(t);
  const data = await startServer(t, folder);
  const browser = await startPhoneBrowser(t, folder, [path.join(data, 'ca.pem')]);
  const phone = await openPhone(browser, URL, '201', { password: 'a long one' });
  await callTheStation(phone);

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

test('where no UDP gets through, a browser and the station hear each other through the relay over TLS', async (t) => {
  const folder = scratch(t);
  const inServer = (command, args, options = {}) => spawn('ip', ['netns', 'exec', SERVER, command, ...args], { stdio: ['pipe', 'ignore', 'ignore'], cwd: folder, ...options });
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '9', '-subj', '/CN=relay', '-addext', 'subjectAltName=IP:10.77.0.1', '-keyout', 'relay.key', '-out', 'relay.pem'], { cwd: folder, stdio: 'ignore' });
  writeFileSync(path.join(folder, 'turn-secret'), 'north wind\n');
  const relay = inServer('turnserver', ['-n', '--no-cli', '--no-udp', '--no-dtls', '--realm', 'test', '--use-auth-secret', '--static-auth-secret=north wind', '--listening-ip', '10.77.0.1', '--relay-ip', '10.77.0.1', '--tls-listening-port', '5349', '--cert', 'relay.pem', '--pkey', 'relay.key', '--pidfile', '/dev/null', '--log-file', 'stdout', '--db', 'turn.db']);
  t.after(() => stop(relay));
  const rules = (text) => execFileSync('ip', ['netns', 'exec', SERVER, 'nft', '-f', '-'], { input: text });
  // The station is beside the relay: only what crosses the cable is dropped.
  rules('table inet lan {\n chain input {\n type filter hook input priority 0\n iifname != lo meta l4proto udp drop\n }\n chain output {\n type filter hook output priority 0\n oifname != lo meta l4proto udp drop\n }\n}\n');
  t.after(() => rules('flush ruleset\n'));
  const data = await startServer(t, folder, ['--ice-server', 'turns:10.77.0.1:5349', '--turn-secret-file', path.join(folder, 'turn-secret')]);
  const browser = await startPhoneBrowser(t, folder, [path.join(data, 'ca.pem'), path.join(folder, 'relay.pem')]);
  const phone = await openPhone(browser, URL, '201', { password: 'a long one' });
  await callTheStation(phone);
  const relayed = await phone.evaluate(async () => {
    const stats = [...(await [...window.phone.calls.values()][0].connection.getStats()).values()];
    const transport = stats.find((entry) => entry.type === 'transport');
    const pair = stats.find((entry) => entry.id === transport.selectedCandidatePairId);
    const local = stats.find((entry) => entry.id === pair.localCandidateId);
    return [local.candidateType, local.relayProtocol];
  });
  assert.deepEqual(relayed, ['relay', 'tls']);
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
