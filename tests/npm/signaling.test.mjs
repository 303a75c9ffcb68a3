// The sandbox, used through the unmodified npm client @webtrit/webtrit-signaling 0.5.5.
//
//   node --test tests/npm/       (starts a sandbox of its own)
//
// SANDBOX_URL  base URL of another sandbox (accounts 100..109, password "callbox", station "door")
// DEBUG=1      show the client's console output
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { startSandbox } from '../lib.mjs';

const BASE = (process.env.SANDBOX_URL ?? (await startSandbox({ after }, { args: ['--no-sound-card'] })).url).replace(/\/+$/, '');
const SIGNALING = `${BASE.replace(/^http/, 'ws')}/signaling/v1`;
const LIMIT_MS = 5000;
const CLEANUP_MS = 2000;

const load = createRequire(import.meta.url);
const Ws = load('ws');
const WebtritSignaling = load('@webtrit/webtrit-signaling'); // UMD: module.exports is the class
if (!process.env.DEBUG) for (const m of ['log', 'info', 'warn', 'error']) console[m] = () => {};

// ---------------------------------------------------------------- the global WebSocket, as in a browser
// The client throws an exception in `onmessage` if it does not know a message. A browser reports the exception and
// continues, but bare `ws` would end the process (docs/workarounds.md, "tests: the npm client throws at unknown
// messages"). So this class catches and keeps the exception. It keeps all frames of both directions, in their order.
const sockets = new Set();
class TapWebSocket extends Ws {
  constructor(url, protocols) {
    super(url, protocols);
    this.frames = []; // { dir: 'in' | 'out', msg, thrown? }
    this.onThrown = () => {};
    sockets.add(this);
    this.on('close', () => sockets.delete(this));
  }

  send(data, ...rest) {
    this.frames.push({ dir: 'out', msg: JSON.parse(data) });
    super.send(data, ...rest);
  }

  get onmessage() { return super.onmessage; }

  set onmessage(handler) {
    super.onmessage = handler && ((event) => {
      const frame = { dir: 'in', msg: undefined };
      try { frame.msg = JSON.parse(event.data); } catch { frame.msg = { garbage: String(event.data) }; }
      this.frames.push(frame);
      try { handler(event); } catch (error) {
        frame.thrown = error;
        this.onThrown(frame.msg, error);
      }
    });
  }
}
globalThis.WebSocket = TapWebSocket;

// ---------------------------------------------------------------- time limits
let deadline = Infinity; // of the running test; tests run one after another
const left = () => Math.max(1, deadline - Date.now());

function within(promise, what, ms = left()) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out: ${typeof what === 'function' ? what() : what}`)), ms);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// ---------------------------------------------------------------- SDP
const iceOf = (who) => ({
  ufrag: `uF${who}`,
  pwd: createHash('sha256').update(`pwd ${who}`).digest('hex').slice(0, 24),
  fingerprint: createHash('sha256').update(`cert ${who}`).digest('hex').toUpperCase().match(/../g).join(':'),
});

function sdp(type, who, { direction = 'sendrecv', version = 2 } = {}) {
  const { ufrag, pwd, fingerprint } = iceOf(who);
  const offer = type === 'offer';
  return {
    type,
    sdp: `${[
      'v=0',
      `o=- 46117314004300${who} ${version} IN IP4 127.0.0.1`,
      's=-',
      't=0 0',
      'a=group:BUNDLE 0',
      'a=extmap-allow-mixed',
      'a=msid-semantic: WMS stream',
      `m=audio 9 UDP/TLS/RTP/SAVPF ${offer ? '111 63 9 0 8 13 110 126' : '111 0 8 110 126'}`,
      'c=IN IP4 0.0.0.0',
      'a=rtcp:9 IN IP4 0.0.0.0',
      `a=candidate:1467250027 1 udp 2122260223 127.0.0.1 40${who} typ host generation 0 network-id 1`,
      `a=ice-ufrag:${ufrag}`,
      `a=ice-pwd:${pwd}`,
      'a=ice-options:trickle',
      `a=fingerprint:sha-256 ${fingerprint}`,
      `a=setup:${offer ? 'actpass' : 'active'}`,
      'a=mid:0',
      'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
      `a=${direction}`,
      'a=msid:stream track',
      'a=rtcp-mux',
      'a=rtcp-rsize',
      'a=rtpmap:111 opus/48000/2',
      'a=rtcp-fb:111 transport-cc',
      'a=fmtp:111 minptime=10;useinbandfec=1',
      ...(offer ? ['a=rtpmap:63 red/48000/2', 'a=fmtp:63 111/111', 'a=rtpmap:9 G722/8000'] : []),
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:8 PCMA/8000',
      ...(offer ? ['a=rtpmap:13 CN/8000'] : []),
      'a=rtpmap:110 telephone-event/48000',
      'a=rtpmap:126 telephone-event/8000',
      `a=ssrc:2718${who} cname:callbox${who}`,
      `a=ssrc:2718${who} msid:stream track`,
    ].join('\r\n')}\r\n`,
  };
}

const candidateOf = (who, n) => ({
  candidate: `candidate:${n} 1 udp 1677729535 198.51.100.${n} 40${who} typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag ${iceOf(who).ufrag}`,
  sdpMid: '0',
  sdpMLineIndex: 0,
});

function parseSdp(text) {
  const one = (re) => text.match(re)?.[1];
  const directions = text.match(/^a=(sendrecv|sendonly|recvonly|inactive)\r?$/gm) ?? [];
  return {
    ufrag: one(/^a=ice-ufrag:(\S+)/m),
    pwd: one(/^a=ice-pwd:(\S+)/m),
    fingerprint: one(/^a=fingerprint:sha-256 ([0-9A-Fa-f:]{95})\r?$/m)?.toUpperCase(),
    setup: one(/^a=setup:(\S+)/m),
    direction: directions.length ? directions.at(-1).trim().slice(2) : 'sendrecv',
    version: one(/^o=\S+ \d+ (\d+) /m),
    audio: text.match(/^m=audio (\d+) (\S+) ([\d ]+)\r?$/m),
    candidates: text.match(/^a=candidate:.*$/gm) ?? [],
  };
}

/** Asserts a usable audio description; `from`: the phone whose ICE and DTLS data it must carry (relay). */
function assertJsep(jsep, type, { from, direction } = {}) {
  assert.ok(jsep && typeof jsep === 'object', `jsep is missing or not an object: ${JSON.stringify(jsep)}`);
  assert.equal(jsep.type, type, 'jsep.type');
  assert.equal(typeof jsep.sdp, 'string', 'jsep.sdp');
  assert.match(jsep.sdp, /^v=0\r\n/, 'an SDP starts with v=0 CRLF');
  assert.match(jsep.sdp, /\r\n$/, 'an SDP ends with CRLF');
  const s = parseSdp(jsep.sdp);
  assert.ok(s.version, 'o= line');
  assert.ok(s.audio, 'm=audio');
  assert.notEqual(s.audio[1], '0', 'audio is not refused');
  assert.equal(s.audio[2], 'UDP/TLS/RTP/SAVPF', 'transport of m=audio');
  assert.ok(s.fingerprint, 'a=fingerprint:sha-256');
  assert.ok(s.ufrag?.length >= 4, 'a=ice-ufrag');
  assert.ok(s.pwd?.length >= 22, 'a=ice-pwd');
  assert.match(jsep.sdp, /^a=rtcp-mux\r$/m, 'a=rtcp-mux');
  assert.match(s.setup ?? '', type === 'offer' ? /^(actpass|active|passive)$/ : /^(active|passive)$/, 'a=setup');
  if (direction) assert.equal(s.direction, direction, 'direction');
  if (from) {
    const want = iceOf(from);
    assert.deepEqual(
      { ufrag: s.ufrag, pwd: s.pwd, fingerprint: s.fingerprint },
      want,
      `the ICE and DTLS data of ${from} pass unchanged`,
    );
  }
  return s;
}

// ---------------------------------------------------------------- a phone
const tokens = new Map();
async function post(pathname, body, headers = {}) {
  const res = await within(fetch(`${BASE}${pathname}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  }), `POST ${pathname}`);
  const text = await within(res.text(), `body of POST ${pathname}`);
  return { status: res.status, body: text ? JSON.parse(text) : undefined };
}

async function login(login_, { password = 'callbox', identifier = `npm-${login_}` } = {}) {
  return post('/api/v1/session', { bundle_id: null, type: 'web', identifier, login: login_, password });
}

async function tokenOf(number) {
  if (!tokens.has(number)) {
    const res = await login(number);
    assert.ok(res.status === 200 || res.status === 201, `login of ${number}: HTTP ${res.status} ${JSON.stringify(res.body)}`);
    assert.equal(typeof res.body.token, 'string');
    tokens.set(number, res.body.token);
  }
  return tokens.get(number);
}

const isNumber = (n) => new RegExp(`^(?:[^<]*<)?(?:sips?:)?${n}(?:@.*)?$`); // "101", "sip:101@host"

class Phone {
  constructor(number) {
    this.number = number;
    this.inbox = []; // { name, ev, raw }: ev is what the package made of it, null if it threw
    this.waiters = [];
    this.live = new Map(); // call_id -> { line, ringing }
    this.states = [];
    this.errors = [];
    this.closed = null; // { code, reason }
    this.client = new WebtritSignaling({
      eventCallback: (ev) => this.#event(ev.event, ev, this.sock.frames.at(-1).msg),
      handshakeCallback: (hs) => { this.states.push({ hs, raw: this.sock.frames.at(-1).msg }); this.#wake(); },
      errorCallback: (error) => { this.errors.push(error); },
      disconnectedCallback: (reason, code) => { this.closed = { code, reason }; this.#wake(); },
    });
  }

  /** Opens the socket; does not wait for the state handshake. */
  async open({ token, force = true } = {}) {
    const connected = this.client.connect({ url: SIGNALING, token: token ?? await tokenOf(this.number), force });
    this.sock = this.client.ws;
    this.sock.onThrown = (msg, error) => {
      if (msg.event) this.#event(msg.event, null, msg);
      else this.errors.push(error);
    };
    await within(
      connected.catch(() => { throw new Error(`phone ${this.number}: WebSocket not opened`); }),
      `phone ${this.number}: WebSocket open`,
    );
    return this;
  }

  /** Opens the socket, and waits for the state handshake and the registration. */
  async register(options) {
    await this.open(options);
    await this.until(() => this.states.length || this.closed, 'state handshake');
    assert.equal(this.closed, null, `phone ${this.number} was closed: ${JSON.stringify(this.closed)}`);
    const { hs } = this.states[0];
    if (hs.registration.status !== 'registered') {
      assert.equal(hs.registration.status, 'registering', 'registration.status');
      await this.wait('registered');
    }
    return this;
  }

  get lines() { return this.states[0].raw.lines.length; }

  #event(name, ev, raw) {
    if (name === 'incoming_call') this.live.set(raw.call_id, { line: raw.line, ringing: true });
    if (name === 'accepted' && this.live.has(raw.call_id)) this.live.get(raw.call_id).ringing = false;
    if (name === 'hangup') this.live.delete(raw.call_id);
    this.inbox.push({ name, ev, raw });
    this.#wake();
  }

  #wake() { for (const w of [...this.waiters]) w(); }

  seen() {
    const line = ({ dir, msg }) => `${dir === 'in' ? '<' : '>'} ${JSON.stringify(msg).replace(/"sdp":"[^"]*"/, '"sdp":"…"').slice(0, 220)}`;
    return `phone ${this.number}, frames:\n  ${(this.sock?.frames ?? []).map(line).join('\n  ')}`
      + `${this.closed ? `\n  closed ${JSON.stringify(this.closed)}` : ''}`;
  }

  /** Resolves with the first truthy value of `probe`, tried at every message. */
  until(probe, what, ms = left()) {
    let attempt;
    const stop = () => { this.waiters = this.waiters.filter((w) => w !== attempt); };
    const found = new Promise((resolve, reject) => {
      attempt = () => { // not called again once it has its value: the next message may come in the same turn
        try {
          const value = probe();
          if (!value) return;
          stop();
          resolve(value);
        } catch (e) {
          stop();
          reject(e);
        }
      };
      this.waiters.push(attempt);
      attempt();
    });
    return within(found, () => `phone ${this.number}: ${what}; ${this.seen()}`, ms).finally(stop);
  }

  /** Takes the first unread event of that name; others may come before it. */
  wait(name, match = {}, ms = left()) {
    return this.until(() => {
      const i = this.inbox.findIndex((e) => e.name === name
        && Object.entries(match).every(([k, v]) => e.raw[k] === v));
      if (i >= 0) return this.inbox.splice(i, 1)[0];
      assert.equal(this.closed, null, `phone ${this.number} was closed while it waited for ${name}; ${this.seen()}`);
      return undefined;
    }, `event ${name} ${JSON.stringify(match)}`, ms);
  }

  unread(name, match = {}) {
    return this.inbox.filter((e) => e.name === name && Object.entries(match).every(([k, v]) => e.raw[k] === v));
  }

  /** Sends; `done` is the client's promise (ack or rejection). */
  start(type, params) {
    const before = this.sock.frames.length;
    if (type === 'outgoing_call') this.live.set(params.call_id, { line: params.line, ringing: false });
    const done = this.client.execute(type, params);
    done.catch(() => {});
    const sent = this.sock.frames.slice(before).find((f) => f.dir === 'out' && f.msg.request === type)?.msg;
    assert.ok(sent, `${type} was sent at once`);
    assert.match(sent.transaction, /^transaction-\d+$/);
    return { sent, done };
  }

  /** Sends a request and waits for its ack. Returns the request as it was on the wire. */
  async req(type, params) {
    const { sent, done } = this.start(type, params);
    await within(
      done.catch((e) => { throw new Error(`${type} was answered with ${e.code} ${e.message}; ${this.seen()}`); }),
      () => `phone ${this.number}: ack of ${type}; ${this.seen()}`,
    );
    const ack = this.sock.frames.find((f) => f.dir === 'in' && f.msg.transaction === sent.transaction && f.msg.response);
    assert.equal(ack.msg.response, 'ack');
    return sent;
  }

  /** Asserts that the ack of `sent` came before the event. Otherwise the web dialer's screen does not change any more. */
  assertAckFirst(sent, event) {
    const { frames } = this.sock;
    const ack = frames.findIndex((f) => f.dir === 'in' && f.msg.response && f.msg.transaction === sent.transaction);
    const then = frames.findIndex((f) => f.dir === 'in' && f.msg === event.raw);
    assert.ok(ack >= 0 && then >= 0 && ack < then, `ack before ${event.name}; ${this.seen()}`);
  }

  /** Ends the calls that are left, and closes the socket. */
  async finish() {
    if (!this.sock) return;
    if (!this.closed) {
      for (const [call_id, { line, ringing }] of [...this.live]) {
        try {
          this.start(ringing ? 'decline' : 'hangup', { line, call_id });
          await this.until(() => !this.live.has(call_id) || this.closed, 'end of the call', 700);
        } catch { /* the test has its verdict already */ }
      }
      this.sock.close(1000); // client.disconnect() would leave the timers of its transactions running
      await this.until(() => this.closed, 'close', 700).catch(() => this.sock.terminate());
    }
  }

  assertAllRead() {
    const bad = (this.sock?.frames ?? []).filter((f) => f.thrown && f.msg.event !== 'ice_trickle');
    assert.deepEqual(
      bad.map((f) => `${f.thrown.message}: ${JSON.stringify(f.msg).slice(0, 200)}`),
      [],
      `messages that the npm client ${this.number} throws away`,
    );
  }
}

function assertHangup(event, { line, call_id, code }) {
  assert.ok(event.ev, 'the client could read the hangup');
  assert.equal(event.ev.call_id, call_id, 'hangup.call_id');
  assert.equal(event.ev.code, code, `hangup.code (reason "${event.ev.reason}")`);
  assert.equal(typeof event.ev.code, 'number');
  assert.equal(typeof event.ev.reason, 'string', 'hangup.reason');
  if (line !== undefined) assert.equal(event.ev.line, line, 'hangup.line');
}

/** A test with phones: each is registered first, ended afterwards. */
function phoneTest(name, numbers, fn) {
  test(name, { timeout: LIMIT_MS + CLEANUP_MS + 1000 }, async () => {
    deadline = Date.now() + LIMIT_MS;
    const phones = numbers.map((n) => new Phone(n));
    const spare = []; // phones that the test makes itself
    let ok = false;
    try {
      for (const p of phones) await p.register();
      for (const p of phones) {
        assert.ok(p.states[0].raw.lines.every((l) => l === null || l.call_id === null), `lines of ${p.number} are idle: ${JSON.stringify(p.states[0].raw.lines).slice(0, 300)}`);
      }
      await fn(phones, spare);
      ok = true;
    } finally {
      deadline = Date.now() + CLEANUP_MS;
      for (const p of [...phones, ...spare]) await p.finish();
      deadline = Infinity;
    }
    if (ok) for (const p of [...phones, ...spare]) p.assertAllRead();
  });
}

/** `a` calls `number`; returns { id, line, sent }. */
async function dial(a, number, { line = 0, ...more } = {}) {
  const call_id = a.client.generateCallId();
  assert.match(call_id, /^[A-Za-z0-9]{24}$/);
  const sent = await a.req('outgoing_call', { line, call_id, number, jsep: sdp('offer', a.number), ...more });
  return { id: call_id, line, sent };
}

/** `b` gets the call of `a`; returns { id, line, event }. */
async function ring(b, a, match = {}) {
  const event = await b.wait('incoming_call', match);
  const { ev, raw } = event;
  assert.ok(ev, `the client could read ${JSON.stringify(raw)}`);
  assert.equal(typeof ev.call_id, 'string');
  assert.ok(ev.call_id.length > 0);
  assert.ok(Number.isInteger(ev.line) && ev.line >= 0 && ev.line < b.lines, `line ${ev.line}`);
  assert.match(ev.caller, isNumber(a.number), 'caller');
  assert.match(ev.callee, isNumber(b.number), 'callee');
  assertJsep(ev.jsep, 'offer', { from: a.number, direction: 'sendrecv' });
  return { id: ev.call_id, line: ev.line, event };
}

async function answer(b, there) {
  const sent = await b.req('accept', { line: there.line, call_id: there.id, jsep: sdp('answer', b.number) });
  const accepted = await b.wait('accepted', { call_id: there.id });
  assert.equal(accepted.ev.line, there.line, 'accepted.line at the callee');
  assert.equal(accepted.ev.jsep, null, 'to an accept with an answer, accepted is a plain confirmation');
  b.assertAckFirst(sent, accepted);
}

async function answered(a, here, b) {
  const accepted = await a.wait('accepted', { call_id: here.id });
  const { ev, raw } = accepted;
  assert.equal(ev.line, here.line, 'accepted.line');
  assert.equal(raw.transaction, here.sent.transaction, 'accepted carries the transaction of outgoing_call');
  a.assertAckFirst(here.sent, accepted);
  assertJsep(ev.jsep, 'answer', { from: b?.number });
  return accepted;
}

/** A call between two phones, up. */
async function connectCall(a, b, options) {
  const here = await dial(a, b.number, options);
  const there = await ring(b, a);
  await answer(b, there);
  await answered(a, here, b);
  return { here, there };
}

/** `x` hangs up; both see the end. */
async function endCall(x, mine, y, theirs, code = 200) {
  const sent = await x.req('hangup', { line: mine.line, call_id: mine.id });
  const own = await x.wait('hangup', { call_id: mine.id });
  assertHangup(own, { line: mine.line, call_id: mine.id, code });
  x.assertAckFirst(sent, own);
  assertHangup(await y.wait('hangup', { call_id: theirs.id }), { line: theirs.line, call_id: theirs.id, code });
}

// ================================================================ session and connection
test('login: POST /api/v1/session returns a URL-safe token', { timeout: LIMIT_MS + 1000 }, async () => {
  deadline = Date.now() + LIMIT_MS;
  const res = await login('100');
  assert.ok(res.status === 200 || res.status === 201, `HTTP ${res.status} ${JSON.stringify(res.body)}`);
  assert.match(res.body.token, /^[A-Za-z0-9._~-]{16,}$/, 'the client puts it into the URL unescaped');
  tokens.set('100', res.body.token);
  const user = await within(fetch(`${BASE}/api/v1/user`, { headers: { authorization: `Bearer ${res.body.token}` } }), 'GET /user');
  assert.equal(user.status, 200);
  assert.equal((await user.json()).numbers.main, '100');
});

test('login: a wrong password is 401 incorrect_credentials', { timeout: LIMIT_MS + 1000 }, async () => {
  deadline = Date.now() + LIMIT_MS;
  const res = await login('109', { password: 'wrong', identifier: 'npm-wrong' });
  assert.equal(res.status, 401);
  assert.equal(res.body.code, 'incorrect_credentials');
});

phoneTest('register: the server speaks first, with a complete state handshake', ['100'], async ([a]) => {
  assert.equal(a.sock.protocol, 'webtrit-protocol');
  const first = a.sock.frames[0];
  assert.equal(first.dir, 'in');
  assert.equal(first.msg.handshake, 'state');
  const { hs, raw } = a.states[0];
  assert.ok(Number.isInteger(hs.keepalive_interval) && hs.keepalive_interval >= 1000, `keepalive_interval ${hs.keepalive_interval} ms`);
  assert.ok(Math.abs(hs.timestamp - Date.now()) < 60_000, `timestamp ${hs.timestamp} is now, in ms`);
  assert.equal(hs.registration.status, 'registered');
  assert.ok(Array.isArray(hs.lines) && hs.lines.length >= 2, 'lines');
  assert.ok(hs.lines.every((l) => l === null), 'idle lines are null');
  assert.ok(!('event' in raw) && !('response' in raw) && !('request' in raw), 'one discriminator');
});

phoneTest('keepalive: is echoed with its transaction', ['100'], async ([a]) => {
  await within(a.client._onKeepalive(), () => `keepalive; ${a.seen()}`);
  const sent = a.sock.frames.find((f) => f.dir === 'out').msg;
  assert.equal(sent.handshake, 'keepalive');
  const echo = a.sock.frames.find((f) => f.dir === 'in' && f.msg.handshake === 'keepalive').msg;
  assert.equal(echo.transaction, sent.transaction);
  assert.deepEqual(a.errors, []);
});

test('connect: a wrong token is closed with 4201', { timeout: LIMIT_MS + 1000 }, async () => {
  deadline = Date.now() + LIMIT_MS;
  const p = new Phone('100');
  await p.open({ token: 'no-such-token-0123456789abcdef' });
  await p.until(() => p.closed, 'close');
  assert.equal(p.closed.code, 4201);
  assert.equal(p.states.length, 0, 'no state handshake for a wrong token');
});

test('connect: a token is dead after DELETE /api/v1/session', { timeout: LIMIT_MS + 1000 }, async () => {
  deadline = Date.now() + LIMIT_MS;
  const { token } = (await login('108', { identifier: 'npm-logout' })).body;
  const res = await within(fetch(`${BASE}/api/v1/session`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } }), 'DELETE');
  assert.equal(res.status, 204);
  const p = new Phone('108');
  await p.open({ token });
  await p.until(() => p.closed, 'close');
  assert.equal(p.closed.code, 4201);
});

phoneTest('connect: a second connection without force is refused with 4431', ['100'], async ([first], spare) => {
  const second = new Phone('100');
  spare.push(second);
  await second.open({ force: false });
  await second.until(() => second.closed, 'close');
  assert.equal(second.closed.code, 4431);
  assert.equal(second.states.length, 0, 'no state handshake for the refused one');
  await within(first.client._onKeepalive(), 'keepalive of the first');
  assert.equal(first.closed, null, 'the first connection stays');
  assert.deepEqual(first.errors, []);
});

phoneTest('connect: force=true takes over, the first connection gets 4441', ['100'], async ([first], spare) => {
  const second = new Phone('100');
  spare.push(second);
  await second.register({ force: true });
  await first.until(() => first.closed, 'close');
  assert.equal(first.closed.code, 4441);
  await sleep(50);
  assert.equal(second.closed, null, 'the second connection stays');
});

// ================================================================ calls
phoneTest('call: 100 calls 101, ringing, accepted with the answer; 101 hangs up, 200 at both', ['100', '101'], async ([a, b]) => {
  const here = await dial(a, '101');
  const calling = await a.wait('calling', { call_id: here.id });
  assert.equal(calling.ev.line, 0);
  const there = await ring(b, a);
  const ringing = await a.wait('ringing', { call_id: here.id });
  assert.equal(ringing.ev.line, 0);
  assert.equal(ringing.raw.transaction, here.sent.transaction, 'ringing carries the transaction of outgoing_call');
  assert.equal(a.unread('accepted').length, 0, 'not accepted before 101 accepts');
  await answer(b, there);
  await answered(a, here, b);
  for (const e of a.unread('proceeding')) assert.equal(typeof e.ev.code, 'number');
  await endCall(b, there, a, here, 200);
  await sleep(100);
  assert.equal(a.unread('hangup').length + b.unread('hangup').length, 0, 'one hangup event each');
  assert.equal(a.unread('error').length + b.unread('error').length, 0, 'no error event');
});

phoneTest('call: 100 hangs up, 200 at both; the line is free for the next call at once', ['100', '101'], async ([a, b]) => {
  const first = await connectCall(a, b);
  await endCall(a, first.here, b, first.there, 200);
  const second = await connectCall(a, b);
  assert.notEqual(second.here.id, first.here.id);
  await endCall(a, second.here, b, second.there, 200);
});

phoneTest('call: the state handshake names a live call, and the call outlives the WebSocket', ['100', '101'], async ([a, b], spare) => {
  const { here, there } = await connectCall(a, b);
  const again = new Phone('100');
  spare.push(again);
  await again.register({ force: true });
  const line = again.states[0].raw.lines[0];
  assert.equal(line?.call_id, here.id, `line 0: ${JSON.stringify(again.states[0].raw.lines).slice(0, 300)}`);
  assert.ok(Array.isArray(line.call_logs) && line.call_logs.length > 0, 'call_logs');
  const names = line.call_logs.map(([at, m]) => {
    assert.ok(Number.isInteger(at), 'time stamp of a log entry');
    assert.ok(!('line' in m) && !('call_id' in m), 'log entries have neither line nor call_id');
    return m.request ?? m.event ?? m.response;
  });
  assert.ok(names.includes('outgoing_call') && names.includes('accepted'), `log: ${names}`);
  assert.ok(names.indexOf('accepted') < names.indexOf('outgoing_call'), 'newest first');
  assert.equal(b.unread('hangup').length, 0);
  again.live.set(here.id, { line: 0, ringing: false });
  await endCall(again, here, b, there, 200);
});

phoneTest('decline: declining 486, then hangup 486 at both', ['100', '101'], async ([a, b]) => {
  const here = await dial(a, '101');
  const there = await ring(b, a);
  await b.req('decline', { line: there.line, call_id: there.id });
  const declining = await b.wait('declining', { call_id: there.id });
  assert.equal(declining.ev.code, 486);
  assertHangup(await b.wait('hangup', { call_id: there.id }), { line: there.line, call_id: there.id, code: 486 });
  const own = await a.wait('hangup', { call_id: here.id });
  assertHangup(own, { line: 0, call_id: here.id, code: 486 });
  a.assertAckFirst(here.sent, own);
  assert.equal(a.unread('accepted').length, 0);
});

phoneTest('decline: a hangup of a ringing call is a decline too (the client refuses second calls in this way)', ['100', '101'], async ([a, b]) => {
  const here = await dial(a, '101');
  const there = await ring(b, a);
  await b.req('hangup', { line: there.line, call_id: there.id });
  assertHangup(await a.wait('hangup', { call_id: here.id }), { line: 0, call_id: here.id, code: 486 });
  await b.wait('hangup', { call_id: there.id });
});

phoneTest('cancel: the caller gives up, 487 at the callee', ['100', '101'], async ([a, b]) => {
  const here = await dial(a, '101');
  const there = await ring(b, a);
  await a.wait('ringing', { call_id: here.id });
  await endCall(a, here, b, there, 487);
  assert.equal(b.unread('missed_call').length, 0, 'missed_call is for busy lines only');
});

phoneTest('unknown number: ack, then hangup 404', ['100'], async ([a]) => {
  const here = await dial(a, '999999');
  const end = await a.wait('hangup', { call_id: here.id });
  assertHangup(end, { line: 0, call_id: here.id, code: 404 });
  a.assertAckFirst(here.sent, end);
  for (const name of ['ringing', 'progress', 'accepted']) assert.equal(a.unread(name).length, 0, name);
});

phoneTest('busy: if all lines of 101 are taken, hangup 486, and missed_call at 101', ['100', '101', '102'], async ([a, b, c]) => {
  const used = new Set();
  for (let line = 0; line < b.lines; line += 1) {
    const { there } = await connectCall(c, b, { line });
    used.add(there.line);
  }
  assert.deepEqual([...used].sort(), [...Array(b.lines).keys()], 'lines are handed out from 0');
  const here = await dial(a, '101');
  const end = await a.wait('hangup', { call_id: here.id });
  assertHangup(end, { line: 0, call_id: here.id, code: 486 });
  a.assertAckFirst(here.sent, end);
  const missed = await b.wait('missed_call');
  assert.ok(missed.ev, `the client could read ${JSON.stringify(missed.raw)}`);
  assert.equal(typeof missed.ev.call_id, 'string');
  assert.match(missed.ev.caller, isNumber('100'));
  assert.match(missed.ev.callee, isNumber('101'));
  assert.equal(missed.ev.line, null, 'missed_call has no line');
  assert.equal(b.unread('incoming_call').length, 0);
});

phoneTest('station: a call of door is accepted with an answer, and ends with 200', ['100'], async ([a]) => {
  const here = await dial(a, 'door');
  const accepted = await a.wait('accepted', { call_id: here.id });
  assert.equal(accepted.ev.line, 0);
  a.assertAckFirst(here.sent, accepted);
  const early = a.unread('progress', { call_id: here.id })[0];
  const jsep = early?.ev.jsep ?? accepted.ev.jsep;
  const s = assertJsep(jsep, 'answer');
  assert.match(jsep.sdp, /^m=audio [1-9]\d* UDP\/TLS\/RTP\/SAVPF [\d ]*\b(111|0|8)\b/m, 'a codec that we offered');
  assert.match(jsep.sdp, /^a=mid:0\r$/m);
  assert.notEqual(s.fingerprint, iceOf('100').fingerprint, 'the fingerprint is the station\'s');
  assert.ok(['sendrecv', 'sendonly', 'recvonly'].includes(s.direction));
  const sent = await a.req('hangup', { line: 0, call_id: here.id });
  const end = await a.wait('hangup', { call_id: here.id });
  assertHangup(end, { line: 0, call_id: here.id, code: 200 });
  a.assertAckFirst(sent, end);
});

// ================================================================ within a call
/** `y` gets a re-offer of `x`, answers it, and sees `updated`. */
async function renegotiated(y, theirs, x, { direction, reply, after: before }) {
  const event = await y.wait('updating_call', { call_id: theirs.id });
  assert.ok(event.ev, `the client could read ${JSON.stringify(event.raw)}`);
  assert.equal(event.ev.line, theirs.line);
  assert.equal(typeof event.ev.caller, 'string');
  assert.equal(typeof event.ev.callee, 'string');
  const s = assertJsep(event.ev.jsep, 'offer', { from: x.number, direction });
  if (before !== undefined) assert.ok(BigInt(s.version) > BigInt(before), `o= version ${s.version} after ${before}`);
  const sent = await y.req('update', {
    line: theirs.line, call_id: theirs.id, jsep: sdp('answer', y.number, { direction: reply, version: 3 }),
  });
  const updated = await y.wait('updated', { call_id: theirs.id });
  assert.equal(updated.ev.line, theirs.line);
  assert.equal(updated.raw.transaction ?? sent.transaction, sent.transaction);
  return s.version;
}

phoneTest('hold and unhold by 100: updating_call at 101, answered with update', ['100', '101'], async ([a, b]) => {
  const { here, there } = await connectCall(a, b);
  let version = parseSdp(there.event.ev.jsep.sdp).version;
  const call = { line: here.line, call_id: here.id };

  await a.req('hold', call);
  await a.wait('holding', { call_id: here.id });
  version = await renegotiated(b, there, a, { direction: 'sendonly', reply: 'recvonly', after: version });

  await a.req('unhold', call);
  await a.wait('resuming', { call_id: here.id });
  version = await renegotiated(b, there, a, { direction: 'sendrecv', reply: 'sendrecv', after: version });

  await a.req('hold', { ...call, direction: 'inactive' });
  await a.wait('holding', { call_id: here.id });
  version = await renegotiated(b, there, a, { direction: 'inactive', reply: 'inactive', after: version });

  await a.req('unhold', call);
  await a.wait('resuming', { call_id: here.id });
  await renegotiated(b, there, a, { direction: 'sendrecv', reply: 'sendrecv', after: version });

  assert.equal(a.unread('hangup').length + b.unread('hangup').length, 0);
  assert.equal(a.unread('error').length + b.unread('error').length, 0);
  await endCall(b, there, a, here, 200);
});

phoneTest('hold by the callee: updating_call with an offer at 100', ['100', '101'], async ([a, b]) => {
  const { here, there } = await connectCall(a, b);
  await b.req('hold', { line: there.line, call_id: there.id });
  await b.wait('holding', { call_id: there.id });
  await renegotiated(a, here, b, { direction: 'sendonly', reply: 'recvonly' });
  await endCall(b, there, a, here, 200);
});

phoneTest('update by 100: 101 answers, 100 gets the answer', ['100', '101'], async ([a, b]) => {
  const { here, there } = await connectCall(a, b);
  const sent = await a.req('update', { line: 0, call_id: here.id, jsep: sdp('offer', '100', { version: 3 }) });
  await renegotiated(b, there, a, { direction: 'sendrecv', reply: 'sendrecv' });
  const done = await a.until(() => {
    const i = a.inbox.findIndex((e) => ['accepted', 'updated'].includes(e.name) && e.raw.call_id === here.id && e.raw.jsep);
    return i >= 0 && a.inbox.splice(i, 1)[0];
  }, 'accepted or updated with the answer');
  assertJsep(done.raw.jsep, 'answer', { from: '101', direction: 'sendrecv' });
  assert.equal(done.raw.transaction, sent.transaction, 'it carries the transaction of update');
  await endCall(a, here, b, there, 200);
});

// The client throws at every ice_trickle event, because it has no case for it. So they are checked on the wire.
function assertTrickle(event, line, candidate) {
  assert.equal(event.raw.line, line, 'ice_trickle.line');
  assert.ok(!('call_id' in event.raw), 'ice_trickle is line level');
  assert.equal(event.raw.candidate.candidate, candidate.candidate);
  assert.equal(event.raw.candidate.sdpMLineIndex, 0);
  assert.ok([undefined, '0'].includes(event.raw.candidate.sdpMid), 'sdpMid');
}
const isEnd = (event) => event.raw.candidate == null || event.raw.candidate.completed === true;

phoneTest('ice_trickle: relayed both ways in a call, the end of candidates too', ['100', '101'], async ([a, b]) => {
  const { here, there } = await connectCall(a, b);
  for (const [x, mine, y, theirs, n] of [[a, here, b, there, 11], [b, there, a, here, 12]]) {
    const candidate = candidateOf(x.number, n);
    const sent = await x.req('ice_trickle', { line: mine.line, candidate });
    assert.deepEqual(Object.keys(sent).sort(), ['candidate', 'line', 'request', 'transaction']);
    assertTrickle(await y.wait('ice_trickle'), theirs.line, candidate);
    await x.req('ice_trickle', { line: mine.line, candidate: null });
    const end = await y.wait('ice_trickle');
    assert.ok(isEnd(end), `end of candidates: ${JSON.stringify(end.raw)}`);
    assert.equal(end.raw.line, theirs.line);
  }
  await endCall(a, here, b, there, 200);
});

phoneTest('ice_trickle: candidates sent right after outgoing_call, before its ack, are kept', ['100', '101'], async ([a, b]) => {
  const call_id = a.client.generateCallId();
  const candidates = [candidateOf('100', 21), candidateOf('100', 22)];
  const call = a.start('outgoing_call', { line: 0, call_id, number: '101', jsep: sdp('offer', '100') });
  const trickles = candidates.map((candidate) => a.start('ice_trickle', { line: 0, candidate }));
  const here = { id: call_id, line: 0, sent: call.sent };
  for (const r of [call, ...trickles]) await within(r.done, () => `ack; ${a.seen()}`);
  const there = await ring(b, a);
  const inOffer = there.event.ev.jsep.sdp;
  for (const c of candidates) {
    if (inOffer.includes(c.candidate.replace(/ ufrag .*/, ''))) continue; // it is in the offer, which is enough
    assertTrickle(await b.wait('ice_trickle'), there.line, c); // in order
  }
  const frames = b.sock.frames.filter((f) => f.dir === 'in').map((f) => f.msg.event);
  const first = frames.indexOf('ice_trickle');
  assert.ok(first < 0 || first > frames.indexOf('incoming_call'), 'no candidate before its incoming_call');
  await answer(b, there);
  await answered(a, here, b);
  await endCall(a, here, b, there, 200);
});

// ================================================================ transfer
async function askTransfer(a, b, to) {
  const { here, there } = await connectCall(a, b);
  const sent = await a.req('transfer', { line: here.line, call_id: here.id, number: to });
  const transferring = await a.wait('transferring', { call_id: here.id });
  assert.equal(transferring.raw.transaction ?? sent.transaction, sent.transaction);
  const { ev, raw } = await b.wait('transfer');
  assert.ok(ev, `the client could read ${JSON.stringify(raw)}`);
  assert.ok(['number', 'string'].includes(typeof ev.refer_id), `refer_id ${JSON.stringify(ev.refer_id)}`);
  assert.match(ev.refer_to, isNumber(to), 'refer_to');
  assert.equal(ev.line, there.line, 'transfer.line');
  if (ev.referred_by !== null) assert.match(ev.referred_by, isNumber('100'), 'referred_by');
  assert.equal(ev.replace_call_id, null, 'blind');
  return { here, there, transfer: ev };
}

async function transferEnd(a, here) {
  const { ev } = await a.until(() => {
    const i = a.inbox.findIndex((e) => e.name === 'notify' && e.raw.subscription_state === 'terminated');
    return i >= 0 && a.inbox.splice(i, 1)[0];
  }, 'notify with subscription_state terminated');
  assert.equal(ev.call_id, here.id, 'notify.call_id');
  assert.equal(ev.line, here.line, 'notify.line');
  assert.match(ev.content_type, /^message\/sipfrag\b/);
  for (const e of a.unread('notify')) assert.match(e.ev.content, /^SIP\/2\.0 1\d\d /, 'notify before the last one');
  return ev.content;
}

phoneTest('transfer (blind): 101 is asked, calls 102 with refer_id; 100 is notified of 200 and ends its leg', ['100', '101', '102'], async ([a, b, c]) => {
  const { here, there, transfer } = await askTransfer(a, b, '102');
  const line = [...Array(b.lines).keys()].find((l) => l !== there.line);
  const next = await dial(b, '102', { line, refer_id: transfer.refer_id });
  assert.equal(next.sent.refer_id, transfer.refer_id);
  const at102 = await ring(c, b);
  if (at102.event.ev.referred_by !== null) assert.match(at102.event.ev.referred_by, isNumber('100'));
  await answer(c, at102);
  await answered(b, next, c);
  assert.match(await transferEnd(a, here), /^SIP\/2\.0 200 /);
  // After 2xx we end our leg, unless the server has done so already.
  if (a.live.has(here.id)) a.start('hangup', { line: here.line, call_id: here.id });
  assertHangup(await a.wait('hangup', { call_id: here.id }), { line: here.line, call_id: here.id, code: 200 });
  assertHangup(await b.wait('hangup', { call_id: there.id }), { line: there.line, call_id: there.id, code: 200 });
  assert.equal(b.unread('hangup', { call_id: next.id }).length, 0, 'the new call lives on');
  await endCall(c, at102, b, next, 200);
});

phoneTest('transfer (blind): to a number that does not exist, 100 is notified of 404 and keeps the call', ['100', '101'], async ([a, b]) => {
  const { here, there, transfer } = await askTransfer(a, b, '999999');
  const line = [...Array(b.lines).keys()].find((l) => l !== there.line);
  const next = await dial(b, '999999', { line, refer_id: transfer.refer_id });
  assertHangup(await b.wait('hangup', { call_id: next.id }), { line, call_id: next.id, code: 404 });
  assert.match(await transferEnd(a, here), /^SIP\/2\.0 404 /);
  assert.equal(a.unread('hangup').length, 0);
  await endCall(a, here, b, there, 200);
});

phoneTest('transfer (blind): declined by 101, 100 is notified and keeps the call', ['100', '101'], async ([a, b]) => {
  const { here, there, transfer } = await askTransfer(a, b, '102');
  await b.req('decline', { line: there.line, call_id: there.id, refer_id: transfer.refer_id });
  assert.match(await transferEnd(a, here), /^SIP\/2\.0 [3-6]\d\d /);
  assert.equal(a.unread('hangup').length + b.unread('hangup').length, 0, 'the call stays');
  await endCall(a, here, b, there, 200);
});

after(() => { for (const s of sockets) s.terminate(); });
