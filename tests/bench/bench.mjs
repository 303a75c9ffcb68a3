// Prints figures, and nothing passes or fails by them: callbox and baresip on the same sound card in user space, in the
// same run.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { WebSocketServer } from 'ws';
import { Bench, CALLBOX, RATE, ask, cpuMs, memoryMb, mouthToEar, sleep, until } from '../lib.mjs';

const bench = new Bench('bench');
const figures = [];
/** How long an idle station is watched. */
const IDLE_S = 60;

const now = () => Number(process.hrtime.bigint()) / 1e6;
const say = (who, what, value, aim = '') => { figures.push([who, what, value, aim]); console.log(`${who.padEnd(8)} ${what.padEnd(44)} ${value.padStart(12)}  ${aim}`); };
const percentile = (values, share) => [...values].sort((one, other) => one - other)[Math.min(values.length - 1, Math.floor(values.length * share))];

/** Each of the three measures has its row. */
const sayMemory = (who, when, pid, aim = '') => {
  const { resident, proportional, anonymous } = memoryMb(pid);
  say(who, `resident memory, ${when}`, `${resident.toFixed(1)} MB`, aim);
  say(who, `of it proportional (PSS), ${when}`, `${proportional.toFixed(1)} MB`);
  say(who, `of it anonymous, ${when}`, `${anonymous.toFixed(1)} MB`);
};

/** Context switches of all threads, voluntary and involuntary. */
const switches = (pid) => readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
  const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
  return sum + [...status.matchAll(/ctxt_switches:\s+(\d+)/g)].reduce((count, match) => count + Number(match[1]), 0);
}, 0);

// ---- one station and a scripted server ----

async function press() {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'webtrit-protocol' });
  await new Promise((resolve) => { server.on('listening', resolve); });
  const port = server.address().port;
  let onCall = () => {}, connectedAt = 0, connection;
  server.on('connection', (socket) => {
    connection = socket;
    connectedAt = now();
    socket.send(JSON.stringify({ handshake: 'state', keepalive_interval: 30000, timestamp: Date.now(), registration: { status: 'registered' }, lines: [null, null] }));
    socket.on('message', (data) => {
      const message = JSON.parse(data);
      if (message.handshake === 'keepalive') socket.send(String(data));
      if (message.request === 'outgoing_call') onCall(message);
      if (message.request) socket.send(JSON.stringify({ response: 'ack', transaction: message.transaction }));
      if (message.request === 'hangup') {
        socket.send(JSON.stringify({ event: 'hangup', line: message.line, call_id: message.call_id, code: 487, reason: 'cancelled' }));
        socket.send(JSON.stringify({ event: 'ice_hangup', line: message.line }));
      }
    });
  });
  const control = bench.file('press.sock'), config = bench.file('press.toml');
  const card = bench.cards('press');
  writeFileSync(config, `[core]\nurl = "http://127.0.0.1:${port}"\nallow_insecure = true\ntoken = "t"\n[audio]\ncapture = "amic"\nplayback = "aspk"\necho = "off"\n[gpio]\nbackend = "simulated"\n[control]\nsocket = "${control}"\n[[button]]\nname = "bell"\npin = 17\npress = { call = "100" }\n`);
  const starts = [];
  let child;
  for (let round = 0; round < 10; round++) {
    if (child) await bench.stop(child);
    connectedAt = 0;
    const begin = now();
    // The watchdog is fed, as under systemd/callbox.service.
    child = bench.start(CALLBOX, ['run', '--config', config], { ...card.env, WATCHDOG_USEC: '5000000' });
    await until('the connection', () => connectedAt > 0);
    starts.push(connectedAt - begin);
  }
  await until('the control socket', () => ask(control, { request: 'status' }));
  say('callbox', 'cold start to registered, median', `${percentile(starts, 0.5).toFixed(0)} ms`, 'aim 150 ms');
  // Until the card is at rest and a peer connection is warm.
  await sleep(5000);
  const [before, cpuBefore] = [switches(child.pid), cpuMs(child.pid)];
  await sleep(IDLE_S * 1000);
  say('callbox', `idle: context switches a second, over ${IDLE_S} s`, ((switches(child.pid) - before) / IDLE_S).toFixed(2), 'aim 1');
  say('callbox', 'idle: CPU of one core', `${((cpuMs(child.pid) - cpuBefore) / IDLE_S / 10).toFixed(2)} %`, 'aim 0.1 %');
  sayMemory('callbox', 'idle', child.pid, 'aim 10 MB');
  const times = [];
  for (let round = 0; round < 200; round++) {
    const called = new Promise((resolve) => { onCall = () => resolve(now()); });
    const begin = now();
    ask(control, { request: 'press', name: 'bell', gesture: 'press' });
    times.push(await called - begin);
    await ask(control, { request: 'hangup' });
    // A new peer connection becomes warm in the meantime, as between two visitors.
    await sleep(60);
  }
  say('callbox', 'press to outgoing_call on the wire, median', `${percentile(times, 0.5).toFixed(2)} ms`);
  say('callbox', 'press to outgoing_call on the wire, p99', `${percentile(times, 0.99).toFixed(2)} ms`, 'aim 5 ms');
  await bench.stop(child);
  connection.terminate();
  server.close();
}

// ---- two stations ----

async function firstSample(loudspeaker, from, hertz) {
  await sleep(1500);
  const at = loudspeaker.onsetOfTone(from, 1400, hertz);
  return at === null ? NaN : (at - from) / RATE * 1000;
}

/** The processing of the microphone that a station has by default, and none. */
const PROCESSING = { defaults: '', 'echo off': 'echo = "off"\nnoise_suppression = false\ngain_control = false\n' };

/** CPU of a process in a call with sound both ways, and then in silence. */
async function sayCpu(who, how, pid, card, aim = '') {
  card.amic.fillTone(500, 0.3);
  card.bmic.fillTone(700, 0.3);
  for (const what of ['sound both ways', 'silence']) {
    await sleep(2000);
    const before = cpuMs(pid);
    await sleep(10000);
    say(who, `CPU of one core, ${how}, ${what}`, `${((cpuMs(pid) - before) / 100).toFixed(1)} %`, what === 'silence' ? '' : aim);
    card.amic.clear();
    card.bmic.clear();
  }
}

async function pair() {
  await calls('echo off', 'aim 1.5 %');
  await calls('defaults', 'aim 2.5 %');
}

async function calls(how, aim) {
  const card = bench.cards(how.replace(' ', '-'));
  const sandbox = bench.start(CALLBOX, ['sandbox', '--listen', '127.0.0.1:0', '--no-station']);
  const url = await until('the sandbox', () => sandbox.out.match(/Web phone {2}(\S+)\//)?.[1]);
  const stations = {};
  for (const [side, login] of [['a', '100'], ['b', '101']]) {
    const control = bench.file(`${how}-${side}.sock`), config = bench.file(`${how}-${side}.toml`), password = bench.file('password');
    writeFileSync(password, 'callbox');
    writeFileSync(config, `[core]\nurl = "${url}"\nallow_insecure = true\nlogin = "${login}"\npassword_file = "${password}"\n[media]\nbind = ["127.0.0.1"]\n[audio]\ncapture = "${side}mic"\nplayback = "${side}spk"\n${PROCESSING[how]}volume = 100\n[control]\nsocket = "${control}"\n[[answer]]\naction = "ring"\n`);
    const child = bench.start(CALLBOX, ['run', '--config', config], card.env);
    stations[side] = { control, child, status: async () => (await ask(control, { request: 'status' })).status };
    await until(`registration of ${side}`, async () => (await stations[side].status()).session.state === 'registered').catch((error) => { throw new Error(`${error.message}\n${child.out}`); });
  }
  const { a, b } = stations;
  const state = async (station, wanted) => (await station.status()).lines.some((line) => line.state === wanted);
  const answers = [];
  card.bmic.fillTone(700, 0.3);
  for (let round = 0; round < 5; round++) {
    await ask(a.control, { request: 'call', number: '101' });
    await until('it to ring', () => state(b, 'incoming'));
    card.aspk.clear();
    const from = card.aspk.ahead(0);
    await ask(b.control, { request: 'answer' });
    answers.push(await firstSample(card.aspk, from, 700));
    if (round < 4) { await ask(a.control, { request: 'hangup' }); await until('both to be idle', async () => !(await state(a, 'established')) && !(await state(b, 'established'))); await sleep(300); }
  }
  say('callbox', `answer to first audible sample, ${how}, median`, `${percentile(answers, 0.5).toFixed(0)} ms`, 'aim 120 ms');
  card.bmic.clear();
  card.amic.clear();
  await sleep(2500);
  card.bspk.clear();
  const delays = await mouthToEar(card.amic, card.bspk);
  say('callbox', `mouth to ear, ${how}, median of ${delays.length}`, `${percentile(delays, 0.5).toFixed(0)} ms`, 'aim 100 ms');
  await sayCpu('callbox', how, a.child.pid, card, aim);
  sayMemory('callbox', `in a call, ${how}`, a.child.pid, 'aim 11 MB');
  for (const station of [a, b]) await bench.stop(station.child);
  await bench.stop(sandbox);
}

// ---- baresip ----

/** Netstrings over TCP, which baresip's ctrl_tcp speaks. */
class Ctrl {
  constructor(port) { this.port = port; this.events = []; this.buffer = ''; }

  async connect() {
    await until('baresip', () => new Promise((resolve, reject) => {
      this.socket = net.connect(this.port, '127.0.0.1', () => resolve(true));
      this.socket.on('error', reject);
    }));
    this.socket.on('data', (data) => {
      this.buffer += data;
      for (;;) {
        const match = this.buffer.match(/^(\d+):/);
        if (!match) return;
        const length = Number(match[1]), from = match[0].length;
        if (this.buffer.length < from + length + 1) return;
        const message = JSON.parse(this.buffer.slice(from, from + length));
        message.at = now();
        this.events.push(message);
        this.buffer = this.buffer.slice(from + length + 1);
      }
    });
  }

  command(command, params = '') {
    const text = JSON.stringify({ command, params, token: String(Math.random()) });
    this.socket.write(`${text.length}:${text},`);
  }

  event(type) { return until(`baresip: ${type}`, () => this.events.find((event) => event.type === type)); }
}

async function baresip() {
  const card = bench.cards('baresip');
  const sides = {};
  const modules = '/usr/lib/baresip/modules';
  for (const [side, sip, control] of [['a', 15060, 14444], ['b', 15062, 14446]]) {
    const home = bench.file(`baresip-${side}`);
    mkdirSync(home);
    writeFileSync(path.join(home, 'config'), `sip_listen 127.0.0.1:${sip}\nsip_certificate\naudio_player alsa,${side}spk\naudio_source alsa,${side}mic\naudio_alert alsa,${side}spk\nausrc_srate 48000\nauplay_srate 48000\nausrc_channels 1\nauplay_channels 1\nausrc_format s16\nauplay_format s16\naudio_buffer 20-160\nrtp_ports ${sip + 1000}-${sip + 1100}\njitter_buffer_type fixed\njitter_buffer_delay 1-5\nmodule_path ${modules}\nmodule alsa.so\nmodule opus.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule dtls_srtp.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:${control}\nring_aufile none\nringback_aufile none\n`);
    writeFileSync(path.join(home, 'accounts'), `<sip:${side}@127.0.0.1:${sip}>;regint=0;mediaenc=dtls_srtp;audio_codecs=opus/48000/2;answermode=manual\n`);
    writeFileSync(path.join(home, 'contacts'), '');
    const begin = now();
    const child = bench.start('baresip', ['-f', home], card.env);
    const ctrl = new Ctrl(control);
    await ctrl.connect();
    sides[side] = { child, ctrl, started: now() - begin, sip };
  }
  const { a, b } = sides;
  await sleep(500);
  say('baresip', 'cold start to control port', `${a.started.toFixed(0)} ms`);
  sayMemory('baresip', 'idle', a.child.pid);
  const dials = [], answers = [];
  card.bmic.fillTone(700, 0.3);
  for (let round = 0; round < 5; round++) {
    b.ctrl.events.length = 0;
    a.ctrl.events.length = 0;
    const begin = now();
    a.ctrl.command('dial', `sip:b@127.0.0.1:${b.sip}`);
    dials.push((await b.ctrl.event('CALL_INCOMING')).at - begin);
    card.aspk.clear();
    const from = card.aspk.ahead(0);
    b.ctrl.command('accept');
    await a.ctrl.event('CALL_ESTABLISHED');
    answers.push(await firstSample(card.aspk, from, 700));
    if (round < 4) { a.ctrl.command('hangup'); await b.ctrl.event('CALL_CLOSED'); await sleep(500); }
  }
  say('baresip', 'dial to INVITE at the far end, median', `${percentile(dials, 0.5).toFixed(2)} ms`);
  say('baresip', 'answer to first audible sample, median', `${percentile(answers, 0.5).toFixed(0)} ms`);
  card.bmic.clear();
  card.amic.clear();
  await sleep(2500);
  card.bspk.clear();
  const delays = await mouthToEar(card.amic, card.bspk);
  say('baresip', `mouth to ear, median of ${delays.length}`, delays.length ? `${percentile(delays, 0.5).toFixed(0)} ms` : 'none heard');
  await sayCpu('baresip', 'its defaults', a.child.pid, card);
  sayMemory('baresip', 'in a call', a.child.pid);
  for (const side of [a, b]) await bench.stop(side.child);
}

let failed = false;
for (const part of [press, pair, baresip]) {
  try { await part(); } catch (error) { failed = true; console.log(`${part.name}: not measured: ${error.message}`); }
}
await bench.end();
process.exit(failed ? 1 : 0);
