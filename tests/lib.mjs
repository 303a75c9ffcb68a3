// What the tests with real peers share: the sandbox as a process, the sound card in user space,
// tones, and a browser.
import { spawn } from 'node:child_process';
import net from 'node:net';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, readdirSync, rmSync, writeFileSync, writeSync, ftruncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
export const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target');
export const CALLBOX = process.env.TEST_CALLBOX ?? path.join(TARGET, 'debug', 'callbox');
export const ARTIFACTS = path.join(TARGET, 'artifacts');
const VIRTCARD = path.resolve(TARGET, 'virtcard', 'libasound_module_pcm_virtcard.so');
export const RATE = 48000;
const AIR_FRAMES = 60 * RATE;

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Waits until `check` returns something true, and returns that. The error says what it waited for. */
export async function until(what, check, limitMs = 10000) {
  const end = Date.now() + limitMs;
  let last;
  for (;;) {
    try {
      const value = await check();
      if (value) return value;
    } catch (error) { last = error; }
    if (Date.now() > end) throw new Error(`waited ${limitMs} ms for: ${what}${last ? ` (${last.message})` : ''}`);
    await sleep(50);
  }
}

/** A folder that is removed when the test ends. */
export function scratch(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'callbox-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// ---- sound ----

/** What a card carries: index k of the ring is frame k of the absolute clock, counted at the card's own rate. */
export class Air {
  constructor(file, ppm = 0) {
    this.file = file;
    this.ppm = ppm;
    this.rate = RATE * (1 + ppm * 1e-6);
    this.fd = openSync(file, 'w+');
    ftruncateSync(this.fd, AIR_FRAMES * 2);
  }

  /** Fills the whole minute with whole periods of a tone, so that the ring has no seam. */
  fillTone(hertz, level) {
    this.write(0, tone(hertz, level, AIR_FRAMES));
  }

  /** What the air carried during the last milliseconds, up to 10 ms ago. */
  last(ms) {
    const count = Math.floor(ms * RATE / 1000);
    const start = (this.ahead(-10) - count + AIR_FRAMES) % AIR_FRAMES;
    const samples = new Int16Array(count);
    const bytes = Buffer.from(samples.buffer);
    const first = Math.min(count, AIR_FRAMES - start);
    readSync(this.fd, bytes, 0, first * 2, start * 2);
    if (first < count) readSync(this.fd, bytes, first * 2, (count - first) * 2, 0);
    return samples;
  }

  /** The index of a moment of the absolute clock, in seconds. */
  index(seconds) { return Math.floor(seconds * this.rate); }

  /** The index of the moment that is this many milliseconds from now. */
  ahead(ms) { return this.index(Number(process.hrtime.bigint()) / 1e9 + ms / 1000); }

  clear() { writeSync(this.fd, Buffer.alloc(AIR_FRAMES * 2), 0, AIR_FRAMES * 2, 0); }

  write(at, samples) {
    const bytes = Buffer.from(samples.buffer);
    const start = at % AIR_FRAMES, first = Math.min(samples.length, AIR_FRAMES - start);
    writeSync(this.fd, bytes, 0, first * 2, start * 2);
    if (first < samples.length) writeSync(this.fd, bytes, first * 2, (samples.length - first) * 2, 0);
  }

  /** A burst of a tone, with a sharp beginning. */
  burst(at, hertz, ms) {
    this.write(at, Int16Array.from({ length: ms * RATE / 1000 }, (_, index) => Math.sin(2 * Math.PI * hertz * index / RATE) * 16000));
  }

  silence(at, ms) { this.write(at, new Int16Array(ms * RATE / 1000)); }

  read(at, count) {
    const samples = new Int16Array(count);
    const bytes = Buffer.from(samples.buffer);
    const start = at % AIR_FRAMES, first = Math.min(count, AIR_FRAMES - start);
    readSync(this.fd, bytes, 0, first * 2, start * 2);
    if (first < count) readSync(this.fd, bytes, first * 2, (count - first) * 2, 0);
    return samples;
  }

  /** Where sound begins within some milliseconds after an index; null if it does not. */
  onset(at, ms) {
    const samples = this.read(at, Math.floor(ms * RATE / 1000));
    const index = samples.findIndex((sample) => Math.abs(sample) > 1500);
    return index < 0 ? null : at + index;
  }

  /** Where a tone begins, to 5 ms. Windows of 40 ms tell it apart from the chime that sounds at the same time. */
  onsetOfTone(at, ms, hertz) {
    const step = RATE / 200, window = step * 8;
    for (let index = 0; index < ms / 5; index++) {
      // A tone in a tenth of the window is enough to be detected.
      if (amplitude(this.read(at + index * step, window), hertz) > 0.03) return at + index * step + Math.floor(window * 0.9);
    }
    return null;
  }

  close() { closeSync(this.fd); }
}

/** Writes bursts into one air and finds them in the other. Returns the delay in ms of each burst that was heard. */
export async function mouthToEar(microphone, loudspeaker, rounds = 10) {
  const delays = [];
  for (let round = 0; round < rounds; round++) {
    const at = microphone.ahead(300), said = at / microphone.rate;
    microphone.burst(at, 1000, 40);
    await sleep(900);
    const heard = loudspeaker.onset(loudspeaker.index(said), 600);
    if (heard !== null) delays.push((heard / loudspeaker.rate - said) * 1000);
    microphone.silence(at, 60);
  }
  return delays;
}

/** Amplitude of a frequency, 0 to 1 (Goertzel). */
export function amplitude(samples, hertz, rate = RATE) {
  const coefficient = 2 * Math.cos(2 * Math.PI * hertz / rate);
  let previous = 0, before = 0;
  for (const sample of samples) {
    const now = sample / 32768 + coefficient * previous - before;
    before = previous;
    previous = now;
  }
  const power = previous * previous + before * before - coefficient * previous * before;
  return 2 * Math.sqrt(Math.max(power, 0)) / samples.length;
}

export const rms = (samples) => Math.sqrt(samples.reduce((sum, sample) => sum + (sample / 32768) ** 2, 0) / samples.length);

/** A sound card in user space with two airs, and the ALSA configuration that names it. */
export function soundCard(folder, ppm = {}) {
  if (!existsSync(VIRTCARD)) throw new Error(`${VIRTCARD} is missing: run make tools`);
  const microphone = new Air(path.join(folder, 'mic.air'));
  const loudspeaker = new Air(path.join(folder, 'spk.air'));
  const configuration = path.join(folder, 'asound.conf');
  writeFileSync(configuration, `</usr/share/alsa/alsa.conf>
pcm_type.virtcard { lib "${VIRTCARD}" }
pcm.mic { type virtcard path "${microphone.file}" rate ${RATE} ppm ${ppm.mic ?? 0} }
pcm.spk { type virtcard path "${loudspeaker.file}" rate ${RATE} }
`);
  return { microphone, loudspeaker, configuration };
}

/** A mono WAV file of 16-bit samples. */
export function wav(samples) {
  const data = Buffer.alloc(44 + samples.length * 2);
  data.write('RIFF', 0); data.writeUInt32LE(data.length - 8, 4); data.write('WAVEfmt ', 8);
  data.writeUInt32LE(16, 16); data.writeUInt16LE(1, 20); data.writeUInt16LE(1, 22);
  data.writeUInt32LE(RATE, 24); data.writeUInt32LE(RATE * 2, 28); data.writeUInt16LE(2, 32); data.writeUInt16LE(16, 34);
  data.write('data', 36); data.writeUInt32LE(samples.length * 2, 40);
  Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).copy(data, 44);
  return data;
}

const tone = (hertz, level, count) => Int16Array.from({ length: count }, (_, index) => Math.round(Math.sin(2 * Math.PI * hertz * index / RATE) * level * 32767));

/** A WAV file of a tone. */
export function toneFile(file, hertz, level, seconds = 10) {
  writeFileSync(file, wav(tone(hertz, level, seconds * RATE)));
  return file;
}

// ---- processes ----

/** Sends one line to a control socket and returns the line that comes back. */
export function ask(socket, request) {
  return new Promise((resolve, reject) => {
    const connection = net.connect(socket, () => connection.write(JSON.stringify(request) + '\n'));
    connection.on('data', (data) => { connection.destroy(); resolve(JSON.parse(data)); });
    connection.on('error', reject);
  });
}

/** A process and all its descendants. */
export function processTree(pid) {
  const parents = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try { return [[Number(name), Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').pop().split(' ')[1])]]; } catch { return []; }
  });
  const tree = [pid];
  for (const parent of tree) tree.push(...parents.filter(([, of]) => of === parent).map(([child]) => child));
  return tree;
}

/** CPU time of a process since its start, in milliseconds. */
export const cpuMs = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
};

/**
 * Memory of a process in MB: resident, proportional (what it shares with others counts in part) and anonymous (its heap
 * and stacks). The airs of the test card, which it maps, do not belong to it.
 */
export const memoryMb = (pid) => {
  const sum = { resident: 0, proportional: 0, anonymous: 0 };
  let own = true;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) own = !line.endsWith('.air');
    const [, field, kb] = line.match(/^(Rss|Pss|Anonymous):\s+(\d+)/) ?? [];
    if (own && field) sum[{ Rss: 'resident', Pss: 'proportional', Anonymous: 'anonymous' }[field]] += Number(kb) / 1024;
  }
  return sum;
};

/** What a bench starts and writes; `end` stops and removes all of it. */
export class Bench {
  constructor(name) {
    this.folder = mkdtempSync(path.join(tmpdir(), `callbox-${name}-`));
    this.children = [];
  }

  file(...names) { return path.join(this.folder, ...names); }

  /** Starts a process; what it prints is in `out`. */
  start(command, args, env = {}) {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    child.out = '';
    child.stdout.on('data', (data) => { child.out += data; });
    child.stderr.on('data', (data) => { child.out += data; });
    this.children.push(child);
    return child;
  }

  async stop(child) {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => { child.on('close', resolve); });
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
    await ended;
    clearTimeout(timer);
  }

  /** A sound card for each of two stations, a and b; their clocks may differ. */
  cards(name, ppm = { a: 0, b: 0 }) {
    const airs = {};
    let text = `</usr/share/alsa/alsa.conf>\npcm_type.virtcard { lib "${VIRTCARD}" }\n`;
    for (const side of ['a', 'b']) for (const kind of ['mic', 'spk']) {
      const air = new Air(this.file(`${name}-${side}-${kind}.air`), ppm[side]);
      airs[`${side}${kind}`] = air;
      text += `pcm.${side}${kind} { type virtcard path "${air.file}" rate ${RATE} ppm ${air.ppm} }\n`;
    }
    writeFileSync(this.file(`${name}.conf`), text);
    return { ...airs, env: { ALSA_CONFIG_PATH: this.file(`${name}.conf`) } };
  }

  async end() {
    for (const child of this.children) await this.stop(child);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Runs callbox until it exits. */
export function callbox(args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(CALLBOX, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let out = '', err = '';
    child.stdout.on('data', (data) => { out += data; });
    child.stderr.on('data', (data) => { err += data; });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

/** Starts `callbox sandbox` on a free port of loopback and waits until it listens. */
export async function startSandbox(t, { args = [], env = {} } = {}) {
  const child = spawn(CALLBOX, ['sandbox', '--listen', '127.0.0.1:0', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const sandbox = { child, out: '', err: '', code: null };
  child.stdout.on('data', (data) => { sandbox.out += data; });
  child.stderr.on('data', (data) => { sandbox.err += data; });
  const ended = new Promise((resolve) => { child.on('close', (code) => { sandbox.code = code; resolve(code); }); });
  sandbox.stop = async () => { child.kill('SIGTERM'); return ended; };
  t.after(() => sandbox.stop());
  sandbox.url = await until('the sandbox to listen', () => {
    if (sandbox.code !== null) throw new Error(`it ended with ${sandbox.code}: ${sandbox.err}`);
    return sandbox.out.match(/Web phone {2}(\S+)\//)?.[1];
  }, 15000);
  return sandbox;
}

// ---- browser ----

/**
 * Headless Chromium with a tone as its microphone (docs/workarounds.md, "tests: chromium needs a set of flags"). The
 * last two flags show local addresses (docs/workarounds.md, "tests: chromium hides local addresses").
 */
export async function startBrowser(t, { toneWav, args = [] }) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-quic',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--autoplay-policy=no-user-gesture-required', '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${toneWav}`,
      '--allow-loopback-in-peer-connection', '--disable-features=WebRtcHideLocalIpsWithMdns',
      ...args,
    ],
  });
  t.after(() => browser.close());
  return browser;
}

/** The web phone, logged in. */
export async function openPhone(browser, url, number, { codec, password = 'callbox', context } = {}) {
  const page = await (context ?? await browser.newContext({ permissions: ['microphone'] })).newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') page.problems.push(message.text()); });
  // docs/workarounds.md, "tests: chromium processes its microphone".
  await page.addInitScript((only) => { window.rawAudio = true; window.onlyCodec = only; }, codec ?? null);
  await page.goto(`${url}/`);
  await page.fill('#number', number);
  await page.fill('#password', password);
  await page.click('#register');
  await page.waitForSelector('#registration.good', { timeout: 10000 });
  return page;
}

/** Amplitude of a frequency in what the phone receives, measured by the browser itself. */
export async function received(page, hertz) {
  return page.evaluate(async (frequency) => {
    if (!window.phone.received) return 0;
    if (!window.meter || window.meter.stream !== window.phone.received) {
      const context = new AudioContext();
      await context.resume();
      const analyser = context.createAnalyser();
      analyser.fftSize = 16384;
      context.createMediaStreamSource(window.phone.received).connect(analyser);
      window.meter = { stream: window.phone.received, context, analyser };
    }
    const { context, analyser } = window.meter;
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    const coefficient = 2 * Math.cos(2 * Math.PI * frequency / context.sampleRate);
    let previous = 0, before = 0;
    for (const sample of samples) { const now = sample + coefficient * previous - before; before = previous; previous = now; }
    return 2 * Math.sqrt(Math.max(previous * previous + before * before - coefficient * previous * before, 0)) / samples.length;
  }, hertz);
}

/** Keeps a picture of a page as an artefact of the run. */
export async function screenshot(page, name) {
  mkdirSync(ARTIFACTS, { recursive: true });
  await page.screenshot({ path: path.join(ARTIFACTS, `${name}.png`), fullPage: true });
}
