// The same speech through the same bad network, between two stations of each kind: callbox, Chromium and baresip.
// Prints a table, and writes it as JSON. README.md describes the namespaces, the relay and the cards in user space.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { ARTIFACTS, Bench, CALLBOX, RATE, ROOT, amplitude, ask, cpuMs, memoryMb, openPhone, processTree, sleep, until, wav } from '../lib.mjs';

const PYTHON = path.join(ROOT, 'tests/echo/venv/bin/python');
const HERE = path.join(ROOT, 'tests/sound');
const SECONDS = Number(process.env.SPEECH_SECONDS ?? 24);
const SEED = Number(process.env.SEED ?? 1);
const WEATHERS = [
  ['no loss', {}],
  ['5 % loss', { loss: 0.05 }],
  ['10 % loss', { loss: 0.1 }],
  ['20 % loss', { loss: 0.2 }],
  ['200 ms outages', { outage_ms: 200 }],
  ['40 ms jitter', { jitter_ms: 40 }],
];
const MINUTES = Number(process.env.MINUTES ?? 30);
const ONLY = process.env.WEATHER;
/** `audio.echo` of callbox; "full" is what a station at a door has. */
const ECHO = process.env.ECHO ?? 'off';
const A = '10.78.0.1', B = '10.78.0.2';

const bench = new Bench('sound');
const names = { a: `cbsa${process.pid}`, b: `cbsb${process.pid}` };

const within = (side, command, args, env) => bench.start('ip', ['netns', 'exec', names[side], command, ...args], env);
const run = (command, ...args) => execFileSync(command, args, { stdio: ['ignore', 'pipe', 'inherit'] }).toString();

/** Returns a function that writes a line to a process and returns the next line of its output. */
function asked(child) {
  const waiting = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line));
  return (line) => new Promise((resolve) => {
    waiting.push(resolve);
    child.stdin.write(`${line}\n`);
  });
}

/** Two namespaces whose only way to each other is the relay. */
function network() {
  for (const [side, address] of [['a', A], ['b', B]]) {
    run('ip', 'netns', 'add', names[side]);
    run('ip', 'link', 'add', `${side}r${process.pid}`, 'type', 'veth', 'peer', 'name', 'e0', 'netns', names[side]);
    run('ip', 'link', 'set', `${side}r${process.pid}`, 'up');
    run('ip', '-n', names[side], 'address', 'add', `${address}/24`, 'dev', 'e0');
    run('ip', '-n', names[side], 'link', 'set', 'e0', 'up');
    run('ip', '-n', names[side], 'link', 'set', 'lo', 'up');
    // The relay reads frames as they are, so they must have checksums.
    run('ip', 'netns', 'exec', names[side], 'ethtool', '-K', 'e0', 'tx', 'off');
  }
  const relay = asked(bench.start('python3', [path.join(HERE, 'relay.py'), `ar${process.pid}`, `br${process.pid}`]));
  return (weather) => relay(JSON.stringify({ seed: SEED, ...weather }));
}

/** Returns a function that says for how long the machine itself stood still since its last call, in ms. */
function witness() {
  const ask = asked(bench.start('python3', [path.join(HERE, 'witness.py')]));
  return () => ask('');
}

const speechFile = bench.file('speech.wav');

/** From the call command to the first sound at the far end, in ms. */
async function setUp(card, order) {
  card.amic.fillTone(700, 0.3);
  card.bspk.clear();
  const from = card.bspk.ahead(0);
  await order();
  const first = await until('the first sound', () => card.bspk.onsetOfTone(from, 8000, 700), 10000);
  card.amic.clear();
  return (first - from) / RATE * 1000;
}

/** What a process and its descendants use. */
const used = (pid) => processTree(pid).reduce((sum, one) => {
  try { return { cpu_ms: sum.cpu_ms + cpuMs(one), memory_mb: sum.memory_mb + memoryMb(one).proportional }; } catch { return sum; }
}, { cpu_ms: 0, memory_mb: 0 });

function speechSamples() {
  const bytes = readFileSync(speechFile).subarray(44);
  return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** Writes the speech into one air and judges what is heard in the other. Also says what the speaking process uses. */
async function measure(card, setWeather, weather, name, pid, [says, hears] = ['amic', 'bspk']) {
  const speech = speechSamples();
  await setWeather({});
  // A second of the network without weather, and two of the weather before the speech begins.
  await sleep(1000);
  await setWeather(weather);
  await sleep(2000);
  card[hears].clear();
  const [begin, before] = [Date.now(), used(pid)];
  const at = card[says].ahead(200);
  card[says].write(at, speech);
  await sleep(200 + SECONDS * 1000 + 1000);
  const after = used(pid);
  const cpu_percent = (after.cpu_ms - before.cpu_ms) / (Date.now() - begin) * 100;
  const heard = card[hears].read(at, speech.length + RATE * 0.7);
  card[says].clear();
  const [, seen, lost, uneven_ms] = (await setWeather({})).split(' ').map(Number);
  const file = path.join(process.env.SOUND_OUT ?? bench.folder, `${name}.wav`);
  writeFileSync(file, wav(heard));
  const judged = JSON.parse(run(PYTHON, path.join(HERE, 'score.py'), 'score', speechFile, file));
  return { ...judged, packets: seen, lost, uneven_ms, cpu_percent, memory_mb: after.memory_mb };
}

// ---- callbox ----

const WEATHERS_ASKED = WEATHERS.filter(([name]) => !ONLY || name === ONLY);
const fileName = (who, weather) => `${who}-${weather}`.replaceAll(/[ %]+/g, '-');
const NUMBERS = { a: '100', b: '101' };

/** The server at B, and stations. */
async function house(card, sides) {
  const accounts = bench.file('accounts.toml'), password = bench.file('password');
  writeFileSync(password, 'callbox');
  writeFileSync(accounts, Object.values(NUMBERS).map((number) => `[[account]]\nnumber = "${number}"\nname = "${number}"\npassword = "callbox"\n`).join(''));
  const sandbox = within('b', CALLBOX, ['sandbox', '--listen', `${B}:8443`, '--no-station', '--accounts', accounts, '--data', bench.file('data')]);
  const ca = await until('the sandbox', () => sandbox.out.match(/ca_file = "([^"]+)"/)?.[1], 20000);
  const stations = {};
  for (const side of sides) {
    const control = bench.file(`${side}.sock`), config = bench.file(`${side}.toml`);
    writeFileSync(config, `[core]\nurl = "https://${B}:8443"\nca_file = "${ca}"\nlogin = "${NUMBERS[side]}"\npassword_file = "${password}"\n[audio]\ncapture = "${side}mic"\nplayback = "${side}spk"\necho = "${ECHO}"\nnoise_suppression = false\ngain_control = false\nvolume = 100\n[calls]\nmax_talk_s = 7200\n[gpio]\nbackend = "simulated"\n[control]\nsocket = "${control}"\n[[answer]]\naction = "answer"\n`);
    const child = within(side, CALLBOX, ['run', '--config', config], card.env);
    const status = async () => (await ask(control, { request: 'status' })).status;
    stations[side] = {
      child, status,
      ask: (request) => ask(control, request),
      talking: () => until('the call', async () => (await status()).lines.some((line) => line.state === 'established' && line.call.media_connected)),
      idle: () => until('its end', async () => (await status()).lines.every((line) => line.state === 'idle')),
    };
    await until(`registration of ${side}`, async () => (await status()).session.state === 'registered').catch((error) => { throw new Error(`${error.message}\n${child.out}`); });
  }
  const end = async () => { for (const child of [...Object.values(stations).map((station) => station.child), sandbox]) await bench.stop(child); };
  return { stations, end };
}

async function callbox(setWeather, note) {
  const card = bench.cards('callbox');
  const { stations: { a }, end } = await house(card, ['a', 'b']);
  for (const [name, weather] of WEATHERS_ASKED) {
    const set_up_ms = await setUp(card, () => a.ask({ request: 'call', number: NUMBERS.b }));
    await a.talking();
    note('callbox', name, { ...await measure(card, setWeather, weather, fileName('callbox', name), a.child.pid), set_up_ms });
    await a.ask({ request: 'hangup' });
    await a.idle();
  }
  await end();
}

/** Between a station and the web phone, both ways. */
async function mixed(setWeather, note) {
  const card = bench.cards('mixed');
  const { stations: { a }, end } = await house(card, ['a']);
  const { browser: phones, pid } = await browser('b', card, ['--ignore-certificate-errors']);
  const phone = await openPhone(phones, `https://${B}:8443`, NUMBERS.b);
  await a.ask({ request: 'call', number: NUMBERS.b });
  await phone.click('text=Answer');
  await a.talking();
  for (const [name, weather] of WEATHERS_ASKED) {
    note('callbox to Chromium', name, await measure(card, setWeather, weather, fileName('callbox-to-chromium', name), a.child.pid));
  }
  note('Chromium to callbox', 'no loss', await measure(card, setWeather, {}, 'chromium-to-callbox', pid, ['bmic', 'aspk']));
  await phones.close();
  await end();
}

/** The strongest line more than 10 Hz beside a tone, relative to it, in dB: Goertzel with a Hann window, every 5 Hz. */
function spurDb(samples, hertz) {
  const windowed = Float32Array.from(samples, (sample, index) => sample * (1 - Math.cos(2 * Math.PI * index / samples.length)));
  const around = Array.from({ length: 41 }, (_, index) => hertz - 2 + index / 10);
  const others = Array.from({ length: 1590 }, (_, index) => 50 + index * 5).filter((other) => Math.abs(other - hertz) > 10);
  const strongest = (frequencies) => Math.max(...frequencies.map((one) => amplitude(windowed, one)));
  return 20 * Math.log10(strongest(others) / strongest(around));
}

/** The delay of the heard sound behind the spoken sound, in ms, by correlation at 8 kHz. */
function lagMs(said, heard) {
  const STEP = RATE / 8000;
  const coarse = (samples) => Float32Array.from({ length: Math.floor(samples.length / STEP) }, (_, index) => samples.subarray(index * STEP, (index + 1) * STEP).reduce((sum, sample) => sum + sample, 0));
  const [one, other] = [coarse(said), coarse(heard)];
  let [best, most] = [0, -Infinity];
  for (let lag = 0; lag < other.length - one.length; lag++) {
    let product = 0;
    for (let index = 0; index < one.length; index++) product += one[index] * other[index + lag];
    if (product > most) [best, most] = [lag, product];
  }
  return best / 8;
}

/** Cards whose clocks are 200 ppm apart: the delay must stay the same, and a tone must stay one line. It is not among
 * the usual peers, because it takes long. */
async function drift() {
  const card = bench.cards('drift', { a: 100, b: -100 });
  const { stations, end } = await house(card, ['a', 'b']);
  const speech = speechSamples();
  const speak = () => { for (let at = 0; at < RATE * 60; at += speech.length) card.amic.write(at, speech); };
  const TONE_HZ = 997, WINDOW_S = 3;
  await stations.a.ask({ request: 'call', number: NUMBERS.b });
  await stations.a.talking();
  const stood = witness();
  const begin = Date.now();
  for (let minute = 0; minute <= MINUTES; minute++) {
    card.amic.fillTone(TONE_HZ, 0.3);
    await sleep(4000);
    const spur = spurDb(card.bspk.last(2000), TONE_HZ);
    speak();
    await sleep(20_000);
    const now = Number(process.hrtime.bigint()) / 1e9;
    const lags = [16, 13, 10, 7, 4].map((before) => {
      const from = now - before;
      return lagMs(card.amic.read(card.amic.index(from), RATE * WINDOW_S), card.bspk.read(card.bspk.index(from), RATE * (WINDOW_S + 0.3)));
    });
    const xruns = await Promise.all(Object.values(stations).map(async (station) => (await station.status()).sound.xruns));
    console.log(`minute ${minute}: mouth to ear ${lags.map((lag) => lag.toFixed(1)).join(' ')} ms, strongest line beside a tone ${spur.toFixed(0)} dB, ${xruns.join(' and ')} xruns; the machine stood still for ${await stood()} ms`);
    await sleep(Math.max(0, begin + (minute + 1) * 60_000 - Date.now()));
  }
  await end();
}

/** Other work keeps every core busy: how long the audio thread takes for a frame, and whether it comes late. */
async function busy(setWeather) {
  const card = bench.cards('busy');
  const { stations: { a, b }, end } = await house(card, ['a', 'b']);
  await a.ask({ request: 'call', number: NUMBERS.b });
  await a.talking();
  const others = cpus().map(() => bench.start('sh', ['-c', 'while :; do :; done']));
  const { plcmos } = await measure(card, setWeather, {}, 'busy', a.child.pid);
  for (const station of [a, b]) {
    const { longest_frame_us, longest_frame_wall_us, realtime, xruns } = (await station.status()).sound;
    console.log(`every core busy: longest frame ${longest_frame_us} µs of CPU, ${longest_frame_wall_us} by the clock, ${xruns} xruns, real-time priority ${realtime ? 'yes' : 'no'}, PLCMOS ${plcmos.toFixed(2)}`);
  }
  for (const other of others) await bench.stop(other);
  await end();
}

// ---- Chromium ----

// The flags: docs/workarounds.md, "tests: chromium needs a set of flags", "tests: chromium hides local addresses" and
// "tests: chromium does not reach a card in user space".
async function browser(side, card, more = []) {
  const wrapper = bench.file(`chromium-${side}`);
  writeFileSync(wrapper, `#!/bin/sh\necho $$ > ${wrapper}.pid\nexec ip netns exec ${names[side]} ${process.env.CHROMIUM ?? '/usr/bin/chromium'} "$@"\n`, { mode: 0o755 });
  const launched = await chromium.launch({
    executablePath: wrapper,
    ignoreDefaultArgs: ['--mute-audio'],
    env: { ...process.env, ...card.env },
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-quic',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--autoplay-policy=no-user-gesture-required', '--use-fake-ui-for-media-stream',
      `--alsa-input-device=${side}mic`, `--alsa-output-device=${side}spk`,
      '--disable-features=WebRtcHideLocalIpsWithMdns,AudioServiceSandbox', ...more,
    ],
  });
  return { browser: launched, pid: Number(readFileSync(`${wrapper}.pid`, 'utf8')) };
}

async function chromiums(setWeather, note) {
  const card = bench.cards('chromium');
  const pages = {}, browsers = [], pids = {};
  for (const side of ['a', 'b']) {
    const { browser: one, pid } = await browser(side, card);
    browsers.push(one);
    pids[side] = pid;
    const context = await one.newContext({ permissions: ['microphone'] });
    pages[side] = await context.newPage();
    // Chromium lets local pages use the microphone.
    await pages[side].route('http://localhost/', (route) => route.fulfill({ contentType: 'text/html', body: '<title>peer</title>' }));
    await pages[side].goto('http://localhost/');
    await pages[side].evaluate(() => {
      window.open1 = async () => {
        window.peer = new RTCPeerConnection();
        // docs/workarounds.md, "tests: chromium processes its microphone".
        const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
        const stream = await navigator.mediaDevices.getUserMedia({ audio: raw });
        for (const track of stream.getTracks()) window.peer.addTrack(track, stream);
        window.peer.ontrack = (event) => { window.sound = new Audio(); window.sound.srcObject = event.streams[0]; window.sound.play(); };
      };
      window.gathered = () => new Promise((resolve) => {
        const done = () => { if (window.peer.iceGatheringState === 'complete') resolve(window.peer.localDescription.sdp); };
        window.peer.onicegatheringstatechange = done;
        done();
      });
    });
  }
  const { a, b } = pages;
  const call = async () => {
    await a.evaluate(() => window.open1());
    await b.evaluate(() => window.open1());
    const offer = await a.evaluate(async () => { await window.peer.setLocalDescription(); return window.gathered(); });
    const answer = await b.evaluate(async (sdp) => {
      await window.peer.setRemoteDescription({ type: 'offer', sdp });
      await window.peer.setLocalDescription();
      return window.gathered();
    }, offer);
    await a.evaluate((sdp) => window.peer.setRemoteDescription({ type: 'answer', sdp }), answer);
  };
  for (const [name, weather] of WEATHERS_ASKED) {
    const set_up_ms = await setUp(card, call);
    note('Chromium', name, { ...await measure(card, setWeather, weather, fileName('chromium', name), pids.a), set_up_ms });
    for (const page of [a, b]) await page.evaluate(() => { window.sound?.pause(); window.peer.getSenders().forEach((sender) => sender.track?.stop()); window.peer.close(); });
  }
  for (const one of browsers) await one.close();
}

// ---- baresip ----

async function baresip(setWeather, note) {
  const card = bench.cards('baresip');
  const children = {};
  for (const [side, address] of [['a', A], ['b', B]]) {
    const home = bench.file(`baresip-${side}`);
    mkdirSync(home);
    writeFileSync(path.join(home, 'config'), `sip_listen ${address}:5060\nsip_certificate\naudio_player alsa,${side}spk\naudio_source alsa,${side}mic\naudio_alert alsa,${side}spk\nausrc_srate 48000\nauplay_srate 48000\nausrc_channels 1\nauplay_channels 1\nausrc_format s16\nauplay_format s16\naudio_buffer 20-160\njitter_buffer_type adaptive\njitter_buffer_delay 1-10\nopus_inbandfec yes\nopus_packet_loss 10\nopus_bitrate 28000\nopus_stereo no\nopus_sprop_stereo no\nmodule_path /usr/lib/baresip/modules\nmodule alsa.so\nmodule opus.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen ${address}:4444\nring_aufile none\nringback_aufile none\n`);
    writeFileSync(path.join(home, 'accounts'), `<sip:${side}@${address}>;regint=0;audio_codecs=opus/48000/2;answermode=auto\n`);
    writeFileSync(path.join(home, 'contacts'), '');
    children[side] = within(side, 'baresip', ['-f', home], card.env);
  }
  await sleep(2000);
  const command = (command, params = '') => {
    const text = JSON.stringify({ command, params });
    // The commands are netstrings over TCP, sent from within the namespace.
    return run('ip', 'netns', 'exec', names.a, 'python3', '-c',
      `import socket,time\ns=socket.create_connection(("${A}",4444))\nt=${JSON.stringify(text)}\ns.send(f"{len(t)}:{t},".encode())\ntime.sleep(0.5)`);
  };
  for (const [name, weather] of WEATHERS_ASKED) {
    const set_up_ms = await setUp(card, () => command('dial', `sip:b@${B}`)).catch((error) => { throw new Error(`${error.message}\n${children.a.out}\n${children.b.out}`); });
    note('baresip', name, { ...await measure(card, setWeather, weather, fileName('baresip', name), children.a.pid), set_up_ms });
    command('hangup');
    await sleep(1000);
  }
  for (const child of Object.values(children)) await bench.stop(child);
}

const figures = {};
function note(who, weather, judged) {
  (figures[weather] ??= {})[who] = judged;
  const { plcmos, pesq, delay_ms, packets, lost, uneven_ms, cpu_percent, memory_mb } = judged;
  console.log(`${weather.padEnd(14)} ${who.padEnd(19)} PLCMOS ${plcmos.toFixed(2)}  PESQ ${pesq.toFixed(2)}  delay ${delay_ms.toFixed(0).padStart(4)} ms  (${lost} of ${packets} packets lost, 99 % sent within ${uneven_ms.toFixed(1)} ms of 20; ${cpu_percent.toFixed(1)} % of a core, ${memory_mb.toFixed(0)} MB)`);
}

const PEERS = { callbox, chromium: chromiums, baresip, mixed, drift, busy };
let failed = false;
try {
  run(PYTHON, path.join(HERE, 'score.py'), 'speech', speechFile, '--seconds', String(SECONDS), '--seed', String(SEED));
  const setWeather = network();
  for (const name of (process.env.PEERS ?? 'callbox chromium baresip mixed').split(' ')) {
    try { await PEERS[name](setWeather, note); } catch (error) { failed = true; console.log(`${name}: not measured: ${error.message}`); }
  }
} finally {
  await bench.end();
  for (const name of Object.values(names)) try { run('ip', 'netns', 'delete', name); } catch { /* it does not exist */ }
}
if (Object.keys(figures).length) {
  mkdirSync(ARTIFACTS, { recursive: true });
  writeFileSync(path.join(ARTIFACTS, 'sound.json'), JSON.stringify(figures, null, 1));
}
process.exit(failed ? 1 : 0);
