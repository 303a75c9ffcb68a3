// The station's address disappears and another one comes: the session follows within half a second.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { CALLBOX, scratch, sleep, until } from '../lib.mjs';

const SERVER = process.env.CALLBOX_TEST_SERVER_NS, PHONE = process.env.CALLBOX_TEST_PHONE_NS;
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CALLBOX_')));

function start(t, namespace, args) {
  const child = spawn('ip', ['netns', 'exec', namespace, CALLBOX, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  const output = { out: '', err: '' };
  child.stdout.on('data', (chunk) => { output.out += chunk; });
  child.stderr.on('data', (chunk) => { output.err += chunk; });
  t.after(() => child.kill('SIGTERM'));
  return output;
}

const address = (verb, which) => execFileSync('ip', ['-n', PHONE, 'address', verb, which, 'dev', device()]);
const device = () => JSON.parse(execFileSync('ip', ['-n', PHONE, '-j', 'link'], { encoding: 'utf8' })).find((link) => link.ifname.startsWith('cbp')).ifname;

test('another address: a new session within half a second; one address more: the same session', async (t) => {
  const folder = scratch(t);
  writeFileSync(path.join(folder, 'accounts.toml'), '[[account]]\nnumber = "201"\nname = "Door"\npassword = "a long one"\n');
  writeFileSync(path.join(folder, 'password'), 'a long one');
  const data = path.join(folder, 'data'), socket = path.join(folder, 'control.sock');
  const server = start(t, SERVER, ['sandbox', '--listen', '10.77.0.1:8445', '--accounts', path.join(folder, 'accounts.toml'), '--data', data, '--no-station']);
  await until('the server', () => server.out.includes('SHA-256'));
  writeFileSync(path.join(folder, 'station.toml'), `[core]\nurl = "https://10.77.0.1:8445"\nca_file = "${data}/ca.pem"\nlogin = "201"\npassword_file = "${folder}/password"\n[control]\nsocket = "${socket}"\n[audio]\ncapture = "null"\nplayback = "null"\n`);
  start(t, PHONE, ['run', '--config', path.join(folder, 'station.toml')]);
  const session = () => JSON.parse(execFileSync(CALLBOX, ['status', '--json', '--socket', socket], { encoding: 'utf8', env: environment, stdio: ['ignore', 'pipe', 'ignore'] })).session;
  await until('registration', () => session().state === 'registered');
  t.after(() => { try { address('del', '10.77.0.22/24'); } catch { /* it is gone */ } try { address('add', '10.77.0.2/24'); } catch { /* it is there */ } });

  address('add', '10.77.0.33/24');
  await sleep(1500);
  address('del', '10.77.0.33/24');
  await sleep(1500);
  assert.equal(session().counters.sessions, 1, 'a socket that still routes is kept');

  const events = start(t, PHONE, ['events', '--json', '--socket', socket]);
  await sleep(300);
  address('del', '10.77.0.2/24');
  await until('the loss to be noticed', () => events.out.includes('"offline"'), 3000);
  // Long enough for the back-off to grow.
  await sleep(6000);
  const added = Date.now();
  address('add', '10.77.0.22/24');
  await until('registration under the new address', () => session().state === 'registered', 5000);
  const newest = () => events.out.trim().split('\n').map((line) => JSON.parse(line)).filter((event) => event.event === 'session').at(-1);
  const registered = await until('the event', () => newest().state === 'registered' && newest());
  const took = registered.at_ms - added;
  console.log(`new address to registered: ${took} ms`);
  assert.ok(took < 1500, `${took} ms: the attempt comes within 500 ms, the handshakes follow`);
  assert.equal(session().counters.sessions, 2);
});

test('an IPv6 address that is silent costs a quarter of a second', async (t) => {
  // In the phone's namespace `localhost` is fd77::1, which nobody has, and 127.0.0.1 (scripts/lan-test).
  const folder = scratch(t);
  const server = start(t, PHONE, ['sandbox', '--listen', '127.0.0.1:8647', '--no-station']);
  await until('the server', () => server.out.includes('8647'));
  const resolved = execFileSync('ip', ['netns', 'exec', PHONE, 'getent', 'ahosts', 'localhost'], { encoding: 'utf8' });
  assert.match(resolved, /^fd77::1/, 'IPv6 comes first');
  const socket = path.join(folder, 'control.sock');
  writeFileSync(path.join(folder, 'password'), 'callbox');
  writeFileSync(path.join(folder, 'station.toml'), `[core]\nurl = "http://localhost:8647"\nallow_insecure = true\nlogin = "100"\npassword_file = "${folder}/password"\n[control]\nsocket = "${socket}"\n[audio]\ncapture = "null"\nplayback = "null"\n`);
  const begin = Date.now();
  start(t, PHONE, ['run', '--config', path.join(folder, 'station.toml')]);
  const session = () => JSON.parse(execFileSync(CALLBOX, ['status', '--json', '--socket', socket], { encoding: 'utf8', env: environment, stdio: ['ignore', 'pipe', 'ignore'] })).session;
  await until('registration', () => session().state === 'registered', 3000);
  console.log(`start to registered past a silent address, login included: ${Date.now() - begin} ms`);
});
