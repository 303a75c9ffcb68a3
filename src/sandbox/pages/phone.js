// The web phone: the client side of the signaling protocol, with the browser's WebRTC.
"use strict";

const $ = (id) => document.getElementById(id);
const FIRST_RETRY_MS = 500, LAST_RETRY_MS = 15000, REQUEST_TIMEOUT_MS = 10000, LOG_LINES = 200;

// The state that tests, and people with the browser's console, can inspect.
const phone = { number: null, calls: new Map(), received: null };
window.phone = phone;

let socket = null, token = null, retryMs = FIRST_RETRY_MS, retryTimer = null, keepalive = null;
let lines = 2, transactionCounter = Date.now() * 1000;
// STUN and TURN servers, which each new call takes as they are at that moment.
let iceServers = [], iceServersTimer = null;
const pending = new Map();

function log(text) {
  const entry = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toTimeString().slice(0, 8);
  entry.append(time, text);
  $("log").prepend(entry);
  while ($("log").children.length > LOG_LINES) $("log").lastChild.remove();
}

function showRegistration(text, kind) {
  $("registration").textContent = text;
  $("registration").className = "badge" + (kind ? " " + kind : "");
}

// ---- session ----

async function logIn(number, password) {
  const answer = await fetch("/api/v1/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ bundle_id: null, type: "web", identifier: "web-phone", login: number, password }),
  });
  if (answer.status === 401) throw new Error("Number or password is wrong.");
  if (answer.status === 429) throw new Error("Too many wrong passwords. Try again in a minute.");
  if (!answer.ok) throw new Error("The server answered " + answer.status + ".");
  return (await answer.json()).token;
}

function connect(force) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const url = `${scheme}://${location.host}/signaling/v1?token=${encodeURIComponent(token)}&force=${force}`;
  socket = new WebSocket(url, "webtrit-protocol");
  socket.onmessage = (message) => receive(JSON.parse(message.data));
  socket.onclose = (event) => disconnected(event.code);
  showRegistration("connecting");
}

async function loadIceServers() {
  clearTimeout(iceServersTimer);
  let wait_s = 60;
  try {
    const answer = await fetch("/api/v1/user/ice-servers", { headers: { authorization: `Bearer ${token}` } });
    const list = await answer.json();
    iceServers = list.ice_servers;
    wait_s = list.ttl - 900;
  } catch (error) {
    log("STUN and TURN servers: " + error.message);
  }
  iceServersTimer = setTimeout(loadIceServers, wait_s * 1000);
}

function disconnected(code) {
  clearTimeout(iceServersTimer);
  clearInterval(keepalive);
  pending.forEach((waiter) => waiter.reject(new Error("connection lost")));
  pending.clear();
  socket = null;
  if (token === null) return showRegistration("not connected");
  if (code === 4441 || code === 4431 || code === 4201) {
    forgetToken();
    // The calls belong to the client that has the session now.
    for (const call of [...phone.calls.values()]) end(call, code, "this page has lost the session");
  }
  if (code === 4441 || code === 4431) {
    showLogin("This account is used somewhere else.");
  } else if (code === 4201) {
    showLogin("The session has ended. Log in again.");
  } else {
    showRegistration("connection lost, trying again", "bad");
    retryTimer = setTimeout(() => connect(true), Math.random() * retryMs);
    retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    log(`connection lost (${code})`);
  }
}

function send(message) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function request(name, fields) {
  if (!socket || socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error("There is no connection to the server."));
  const transaction = `transaction-${++transactionCounter}`;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { pending.delete(transaction); reject(new Error(name + ": no answer")); }, REQUEST_TIMEOUT_MS);
    pending.set(transaction, {
      resolve: () => { clearTimeout(timer); resolve(transaction); },
      reject: (error) => { clearTimeout(timer); reject(error); },
    });
    send({ request: name, transaction, ...fields });
  });
}

function receive(message) {
  if (message.handshake === "state") return stateHandshake(message);
  if (message.response) {
    const waiter = pending.get(message.transaction);
    pending.delete(message.transaction);
    if (!waiter) return;
    if (message.response === "ack") waiter.resolve();
    else waiter.reject(new Error(`${message.code} ${message.reason}`));
  } else if (message.event) {
    onEvent(message).catch((error) => log(message.event + ": " + error.message));
  }
}

function stateHandshake(state) {
  retryMs = FIRST_RETRY_MS;
  lines = state.lines.length;
  clearInterval(keepalive);
  keepalive = setInterval(
    () => send({ handshake: "keepalive", transaction: `transaction-${++transactionCounter}` }),
    state.keepalive_interval);
  loadIceServers();
  showRegistration(`${phone.number} is ${state.registration.status}`, state.registration.status === "registered" ? "good" : "bad");
  const live = new Set(state.lines.filter(Boolean).map((line) => line.call_id));
  // Calls that ended while the page was offline.
  for (const call of [...phone.calls.values()]) if (!live.has(call.id)) end(call, 481, "ended while offline");
  state.lines.forEach((line, index) => {
    if (!line || !line.call_id || phone.calls.has(line.call_id)) return;
    const events = line.call_logs.map(([, message]) => message);
    const invitation = events.find((message) => message.event === "incoming_call");
    const over = events.some((message) => ["accepted", "hangup"].includes(message.event));
    // A call that came while the page was offline rings now. A call that a reload interrupted is ended.
    if (invitation && !over) incoming({ ...invitation, line: index, call_id: line.call_id });
    else request("hangup", { line: index, call_id: line.call_id }).catch(() => {});
  });
}

// ---- calls ----

function newCallId() {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  return Array.from(crypto.getRandomValues(new Uint8Array(24)), (byte) => letters[byte % 62]).join("");
}

function newCall(id, line, number, state) {
  const call = { id, line, number, state, muted: false, held: false, early: [], candidates: [], known: false };
  phone.calls.set(id, call);
  render();
  return call;
}

async function newConnection(call) {
  if (!navigator.mediaDevices) throw new Error("The browser allows the microphone only on https pages.");
  const microphone = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: window.rawAudio !== true, noiseSuppression: window.rawAudio !== true, autoGainControl: window.rawAudio !== true },
  }).catch((error) => {
    throw new Error(error.name === "NotAllowedError" ? "The microphone is not allowed: allow it in the browser, then try again."
      : "There is no microphone: plug one in, then try again.");
  });
  const connection = new RTCPeerConnection({ iceServers });
  call.connection = connection;
  call.microphone = microphone;
  microphone.getTracks().forEach((track) => connection.addTrack(track, microphone));
  if (window.onlyCodec) {
    const wanted = new RegExp(`/(${window.onlyCodec}|telephone-event)$`, "i");
    const codecs = RTCRtpReceiver.getCapabilities("audio").codecs.filter((codec) => wanted.test(codec.mimeType));
    connection.getTransceivers().forEach((transceiver) => transceiver.setCodecPreferences(codecs));
  }
  connection.onicecandidate = ({ candidate }) => trickle(call, candidate && candidate.candidate ? candidate.toJSON() : null);
  connection.ontrack = ({ streams }) => {
    phone.received = streams[0];
    if (!call.audio) call.audio = new Audio();
    call.audio.srcObject = streams[0];
    call.audio.play().catch(() => log("Click anywhere to hear the call."));
  };
  connection.onconnectionstatechange = () => log(`media ${connection.connectionState}`);
  return connection;
}

// Candidates are kept until the server knows the call.
function trickle(call, candidate) {
  if (!call.known) return void call.candidates.push(candidate);
  request("ice_trickle", { line: call.line, candidate: candidate || { completed: true } }).catch(() => {});
}

function openTrickle(call) {
  call.known = true;
  call.candidates.splice(0).forEach((candidate) => trickle(call, candidate));
}

async function applyRemote(call, jsep) {
  await call.connection.setRemoteDescription(jsep);
  for (const candidate of call.early.splice(0)) await call.connection.addIceCandidate(candidate).catch(() => {});
}

async function dial(number) {
  const used = new Set([...phone.calls.values()].map((call) => call.line));
  const line = [...Array(lines).keys()].find((index) => !used.has(index));
  if (line === undefined) throw new Error("Both lines are in use.");
  const call = newCall(newCallId(), line, number, "calling");
  call.outgoing = true;
  try {
    const connection = await newConnection(call);
    const offer = await connection.createOffer();
    await connection.setLocalDescription(offer);
    await request("outgoing_call", { line, call_id: call.id, number, jsep: { type: offer.type, sdp: offer.sdp } });
    openTrickle(call);
  } catch (error) {
    end(call, 0, error.message);
    throw error;
  }
}

async function answer(call) {
  call.state = "answering";
  render();
  let connection;
  try {
    connection = await newConnection(call);
  } catch (error) {
    // The call continues to ring: the user may still connect or allow a microphone.
    call.state = "ringing";
    render();
    throw error;
  }
  await applyRemote(call, call.offer);
  const description = await connection.createAnswer();
  await connection.setLocalDescription(description);
  await request("accept", { line: call.line, call_id: call.id, jsep: { type: description.type, sdp: description.sdp } });
  openTrickle(call);
}

async function hangUp(call) {
  const name = call.state === "ringing" ? "decline" : "hangup";
  call.state = "ending";
  render();
  await request(name, { line: call.line, call_id: call.id }).catch(() => {});
  // The connection closes only now: if it closed before the hangup, a media server would hang up by itself
  // (docs/workarounds.md, "janus: a connection that closes first ends the call").
  if (call.connection) call.connection.close();
}

function end(call, code, reason) {
  phone.calls.delete(call.id);
  if (call.connection) call.connection.close();
  if (call.microphone) call.microphone.getTracks().forEach((track) => track.stop());
  if (call.audio) call.audio.srcObject = null;
  log(`call with ${call.number} ended: ${code} ${reason}`);
  render();
}

async function hold(call) {
  call.held = !call.held;
  call.microphone.getAudioTracks().forEach((track) => { track.enabled = !call.held && !call.muted; });
  render();
  await request(call.held ? "hold" : "unhold", { line: call.line, call_id: call.id });
}

function mute(call) {
  call.muted = !call.muted;
  call.microphone.getAudioTracks().forEach((track) => { track.enabled = !call.muted && !call.held; });
  render();
}

function sendDigit(call, digit) {
  const sender = call.connection.getSenders().find((candidate) => candidate.dtmf);
  if (!sender || !sender.dtmf.canInsertDTMF) return log("The far end accepts no digits.");
  sender.dtmf.insertDTMF(sender.dtmf.toneBuffer + digit, 120, 80);
  log("sent " + digit);
}

async function onEvent(event) {
  if (event.event === "incoming_call") return incoming(event);
  if (event.event === "missed_call") return log(`missed call from ${event.caller}`);
  const call = event.call_id ? phone.calls.get(event.call_id) : [...phone.calls.values()].find((one) => one.line === event.line);
  if (!call) return;
  if (call.outgoing && !call.known && event.call_id) openTrickle(call);
  switch (event.event) {
    case "ringing": call.state = "far end rings"; break;
    case "progress": if (event.jsep) await applyRemote(call, event.jsep); break;
    case "accepted":
      if (event.jsep && call.connection.signalingState === "have-local-offer") await applyRemote(call, event.jsep);
      if (call.state !== "talking") log(`talking with ${call.number}`);
      call.state = "talking";
      break;
    case "updating_call": await updated(call, event); break;
    case "ice_trickle": await candidate(call, event.candidate); break;
    case "transfer": await request("decline", { line: call.line, call_id: call.id, refer_id: event.refer_id }); break;
    case "hangup": return end(call, event.code, event.reason);
    default: break;
  }
  render();
}

async function candidate(call, value) {
  if (!value || value.completed || !value.candidate) return;
  const init = { sdpMid: null, sdpMLineIndex: 0, ...value };
  if (call.connection && call.connection.remoteDescription) await call.connection.addIceCandidate(init).catch(() => {});
  else call.early.push(init);
}

async function updated(call, event) {
  if (!event.jsep) return;
  await applyRemote(call, event.jsep);
  const description = await call.connection.createAnswer();
  await call.connection.setLocalDescription(description);
  const held = /a=(sendonly|inactive)/.test(event.jsep.sdp);
  log(held ? "held by the far end" : "the far end has resumed the call");
  await request("update", { line: call.line, call_id: call.id, jsep: { type: description.type, sdp: description.sdp } });
}

function incoming(event) {
  const known = phone.calls.get(event.call_id);
  if (known) {
    if (known.line !== event.line) request("decline", { line: event.line, call_id: event.call_id }).catch(() => {});
    return;
  }
  const call = newCall(event.call_id, event.line, event.caller, "ringing");
  call.name = event.caller_display_name;
  call.offer = event.jsep;
  log(`${event.caller_display_name || event.caller} calls`);
  ringTone.start();
  render();
}

// ---- the ring tone of an incoming call, synthesized, so that there is no file to load ----

const ringTone = {
  context: null, timer: null,
  start() {
    if (this.timer) return;
    try { this.context = this.context || new AudioContext(); } catch { return; }
    const beep = () => {
      const oscillator = this.context.createOscillator(), gain = this.context.createGain();
      oscillator.frequency.value = 700;
      gain.gain.value = 0.05;
      oscillator.connect(gain).connect(this.context.destination);
      oscillator.start();
      oscillator.stop(this.context.currentTime + 0.35);
    };
    beep();
    this.timer = setInterval(beep, 1200);
  },
  stop() { clearInterval(this.timer); this.timer = null; },
};

// ---- the page ----

function button(text, className, action) {
  const made = document.createElement("button");
  made.textContent = text;
  made.className = className;
  made.type = "button";
  made.addEventListener("click", () => Promise.resolve(action()).catch((error) => { $("call-error").textContent = error.message; }));
  return made;
}

function renderCall(call) {
  const box = document.createElement("div");
  box.className = "call " + (call.state === "ringing" ? "ringing" : "");
  box.dataset.state = call.state;
  const title = document.createElement("p");
  const who = document.createElement("strong");
  who.textContent = call.name ? `${call.name} (${call.number})` : call.number;
  title.append(who, ` ${call.held ? "held" : call.state}`);
  const row = document.createElement("div");
  row.className = "row";
  box.append(title, row);
  if (call.state === "ringing") row.append(button("Answer", "go", () => answer(call)));
  if (call.state === "talking") {
    const muteButton = button("Mute", "plain", () => mute(call));
    muteButton.setAttribute("aria-pressed", call.muted);
    const holdButton = button("Hold", "plain", () => hold(call));
    holdButton.setAttribute("aria-pressed", call.held);
    row.append(muteButton, holdButton);
  }
  const endButton = button(call.state === "ringing" ? "Decline" : "Hang up", "stop", () => hangUp(call));
  endButton.disabled = call.state === "ending";
  row.append(endButton);
  if (call.state === "talking") {
    const keypad = document.createElement("div");
    keypad.className = "keypad";
    for (const digit of "123456789*0#") keypad.append(button(digit, "", () => sendDigit(call, digit)));
    box.append(keypad);
  }
  return box;
}

function render() {
  const calls = [...phone.calls.values()];
  if (!calls.some((call) => call.state === "ringing")) ringTone.stop();
  $("calls").replaceChildren(...calls.map(renderCall));
  $("idle").classList.toggle("hidden", calls.length > 0);
  document.title = calls.some((call) => call.state === "ringing") ? "☎ callbox web phone" : "callbox web phone";
}

// The login survives a reload of the page, but not its end.
function keepToken(value) {
  token = value;
  sessionStorage.setItem("callbox", JSON.stringify({ number: phone.number, token }));
}

function forgetToken() {
  token = null;
  sessionStorage.removeItem("callbox");
}

function showPhone() {
  $("login").classList.add("hidden");
  $("phone").classList.remove("hidden");
  connect(true);
}

function showLogin(error) {
  clearTimeout(retryTimer);
  $("login").classList.remove("hidden");
  $("phone").classList.add("hidden");
  $("login-error").textContent = error || "";
  showRegistration("not connected");
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("login-error").textContent = "";
  try {
    phone.number = $("number").value.trim();
    keepToken(await logIn(phone.number, $("password").value));
    showPhone();
  } catch (error) {
    forgetToken();
    showLogin(error.message);
  }
});

$("dial-form").addEventListener("submit", (event) => {
  event.preventDefault();
  $("call-error").textContent = "";
  dial($("target").value.trim()).catch((error) => { $("call-error").textContent = error.message; });
});

$("logout").addEventListener("click", async () => {
  const old = token;
  forgetToken();
  await Promise.all([...phone.calls.values()].map(hangUp));
  if (old) await fetch("/api/v1/session", { method: "DELETE", headers: { authorization: "Bearer " + old } }).catch(() => {});
  if (socket) socket.close();
  showLogin();
});

window.addEventListener("pagehide", () => {
  const ended = [...phone.calls.values()].filter((call) => call.state !== "ringing");
  for (const call of ended) send({ request: "hangup", transaction: `transaction-${++transactionCounter}`, line: call.line, call_id: call.id });
});

const kept = sessionStorage.getItem("callbox");
if (kept) {
  ({ number: phone.number, token } = JSON.parse(kept));
  showPhone();
}
