// Whole calls with a real browser: headless Chromium is the web phone, and the station uses the sound card in user
// space.
import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT, RATE, amplitude, callbox, openPhone, received, rms, scratch, screenshot, sleep, soundCard, startBrowser, startSandbox, toneFile, until } from '../lib.mjs';

const STATION_HZ = 600, BROWSER_HZ = 1000, LEVEL = 0.25;

/** A sandbox with its station on the card, a browser, and the front panel. */
async function house(t, env = {}) {
  const folder = scratch(t);
  const card = soundCard(folder);
  card.microphone.fillTone(STATION_HZ, LEVEL);
  const socket = path.join(folder, 'control.sock');
  const sandbox = await startSandbox(t, {
    args: ['--config', path.join(ROOT, 'tests/browser/station.toml'), '--socket', socket],
    env: { ALSA_CONFIG_PATH: card.configuration, ...env },
  });
  const browser = await startBrowser(t, { toneWav: toneFile(path.join(folder, 'tone.wav'), BROWSER_HZ, LEVEL) });
  const command = async (...args) => {
    const done = await callbox([...args, '--socket', socket]);
    assert.equal(done.code, 0, `${args.join(' ')}: ${done.err}`);
    return done.out;
  };
  const status = async () => JSON.parse(await command('status', '--json'));
  await until('the station to be ready', async () => {
    const now = await status();
    return now.session.state === 'registered' && now.audio.ready;
  });
  const lines = async (state) => (await status()).lines.filter((line) => line.state === state).length;
  return { folder, card, sandbox, browser, command, status, lines };
}

/** Waits until the loudspeaker carries a tone at this level. */
const loudspeakerCarries = (card, hertz, level, tolerance) => until(
  `${hertz} Hz at ${level} from the loudspeaker`,
  () => Math.abs(amplitude(card.loudspeaker.last(200), hertz) - level) < level * tolerance);

const browserReceives = (page, hertz, level, tolerance) => until(
  `${hertz} Hz at ${level} in the browser`,
  async () => Math.abs(await received(page, hertz) - level) < level * tolerance);

const calls = (page, state) => page.locator(`.call[data-state="${state}"]`).count();

for (const codec of ['opus', 'PCMU', 'PCMA']) {
  test(`a press rings the phone, both talk (${codec}), and the phone hangs up`, async (t) => {
    const { folder, card, sandbox, browser, command, lines } = await house(t);
    const phone = await openPhone(browser, sandbox.url, '100', { codec });
    await command('press', 'bell');
    await until('the phone to ring', () => calls(phone, 'ringing'));
    await until('ringback at the door', () => amplitude(card.loudspeaker.last(200), 425) > 0.1);
    await phone.click('text=Answer');
    await until('the call to be up', () => lines('established'));
    await loudspeakerCarries(card, BROWSER_HZ, LEVEL, 0.3);
    await browserReceives(phone, STATION_HZ, LEVEL, 0.3);
    assert.ok(amplitude(card.loudspeaker.last(200), 425) < 0.01, 'the ringback has stopped');
    const [trace, recording] = ['call.rtpdump', 'call.wav'].map((name) => path.join(folder, name));
    assert.match(await command('dump', trace, '--packets', '2'), /(8|9|10)\d packets of one call/);
    assert.equal((await callbox(['dsp', 'receive', '--trace', trace, '--out', recording])).code, 0);
    const bytes = readFileSync(recording).subarray(44);
    const second = new Int16Array(bytes.buffer.slice(bytes.byteOffset + RATE, bytes.byteOffset + 3 * RATE));
    assert.ok(amplitude(second, BROWSER_HZ) > LEVEL * 0.7, 'the recording sounds like the phone');
    if (codec === 'opus') await screenshot(phone, 'web-phone');
    await phone.click('text=Hang up');
    await until('both lines to be idle', async () => (await lines('idle')) === 2);
    await until('silence at the door', () => rms(card.loudspeaker.last(200)) < 0.001);
    assert.deepEqual(phone.problems, []);
  });
}

test('a second press of the same button hangs up at the door', async (t) => {
  const { sandbox, browser, command, lines } = await house(t);
  const phone = await openPhone(browser, sandbox.url, '100');
  await command('press', 'bell');
  await until('the phone to ring', () => calls(phone, 'ringing'));
  await phone.click('text=Answer');
  await until('the call to be up', () => lines('established'));
  await command('press', 'bell');
  await until('both lines to be idle', async () => (await lines('idle')) === 2);
  await until('the phone to be idle', () => phone.isVisible('#idle'));
});

test('a call to the station is answered by itself, and a code opens the strike', async (t) => {
  const { card, sandbox, browser, status, lines } = await house(t);
  const phone = await openPhone(browser, sandbox.url, '100');
  const panel = await (await browser.newContext()).newPage();
  await panel.goto(`${sandbox.url}/station`);
  await panel.waitForSelector('#session.good');
  await phone.fill('#target', 'door');
  await phone.click('#dial');
  await until('the call to be up', () => lines('established'));
  await loudspeakerCarries(card, BROWSER_HZ, LEVEL, 0.3);
  await browserReceives(phone, STATION_HZ, LEVEL, 0.3);
  const strike = async () => (await status()).outputs.find((output) => output.name === 'strike').drive;
  assert.equal(await strike(), 'off');
  for (const digit of '7391') {
    await phone.click(`.keypad >> text="${digit}"`);
    await sleep(300);
  }
  await until('the strike to open', async () => (await strike()) === 'on');
  await panel.waitForSelector('[data-output="strike"].on');
  await screenshot(panel, 'station');
  await until('the strike to close', async () => (await strike()) === 'off', 4000);
  await phone.click('text=Hang up');
  await until('both lines to be idle', async () => (await lines('idle')) === 2);
  assert.deepEqual(phone.problems, []);
});

test('a declined call tries the next number of the list, and its refusal is heard', async (t) => {
  const { card, sandbox, browser, command, lines } = await house(t);
  const first = await openPhone(browser, sandbox.url, '100');
  const second = await openPhone(browser, sandbox.url, '101');
  await command('press', 'house');
  await until('the first phone to ring', () => calls(first, 'ringing'));
  assert.equal(await calls(second, 'ringing'), 0);
  await first.click('text=Decline');
  await until('the second phone to ring', () => calls(second, 'ringing'));
  await second.click('text=Decline');
  await until('the busy tone at the door', () => amplitude(card.loudspeaker.last(100), 425) > 0.1);
  await until('both lines to be idle', async () => (await lines('idle')) === 2);
});

test('while one phone talks to the station, another one is told that it is busy', async (t) => {
  const { sandbox, browser, lines } = await house(t);
  const first = await openPhone(browser, sandbox.url, '100');
  const second = await openPhone(browser, sandbox.url, '101');
  for (const phone of [first, second]) await phone.fill('#target', 'door');
  await first.click('#dial');
  await until('the call to be up', () => lines('established'));
  await second.click('#dial');
  await until('the second phone to hear busy', () => second.locator('#log >> text=/ended: 486/').count());
  assert.equal(await lines('established'), 1);
  await browserReceives(first, STATION_HZ, LEVEL, 0.3);
});

test('two phones that call are mixed: both hear the door and each other', async (t) => {
  const { sandbox, browser, lines } = await house(t, { CALLBOX_CALLS__SECOND_CALL: 'mix' });
  const first = await openPhone(browser, sandbox.url, '100');
  const second = await openPhone(browser, sandbox.url, '101');
  for (const [index, phone] of [first, second].entries()) {
    await phone.fill('#target', 'door');
    await phone.click('#dial');
    await until(`call ${index + 1} to be up`, async () => (await lines('established')) === index + 1);
  }
  for (const phone of [first, second]) {
    await until('the door', async () => (await received(phone, STATION_HZ)) > LEVEL * 0.5);
    await until('the other phone', async () => (await received(phone, BROWSER_HZ)) > LEVEL * 0.5);
  }
  await second.click('text=Hang up');
  await until('one call to be left', async () => (await lines('established')) === 1);
  await browserReceives(first, STATION_HZ, LEVEL, 0.3);
  await until('the other phone to be gone', async () => (await received(first, BROWSER_HZ)) < 0.01);
});

test('the phone holds the call and takes it up again', async (t) => {
  const { card, sandbox, browser, command, lines } = await house(t);
  const phone = await openPhone(browser, sandbox.url, '100');
  await command('press', 'bell');
  await until('the phone to ring', () => calls(phone, 'ringing'));
  await phone.click('text=Answer');
  await until('the call to be up', () => lines('established'));
  await browserReceives(phone, STATION_HZ, LEVEL, 0.3);
  await phone.click('text=Hold');
  await until('the station to know', () => lines('held'));
  await until('silence at the phone', async () => (await received(phone, STATION_HZ)) < 0.01);
  await phone.click('text=Hold');
  await until('the call to be up again', () => lines('established'));
  await browserReceives(phone, STATION_HZ, LEVEL, 0.3);
  await loudspeakerCarries(card, BROWSER_HZ, LEVEL, 0.3);
});

test('the bell of the front panel rings the phone as a finger would', async (t) => {
  const { sandbox, browser } = await house(t);
  const phone = await openPhone(browser, sandbox.url, '100');
  const panel = await (await browser.newContext()).newPage();
  await panel.goto(`${sandbox.url}/station`);
  const bell = await panel.waitForSelector('[data-button="bell"]');
  await bell.click({ delay: 100 });
  await until('the phone to ring', () => calls(phone, 'ringing'));
  await panel.waitForSelector('[data-output="lamp"].blink');
});
