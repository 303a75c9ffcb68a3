// The front panel: simulated pins, lamps, lines, levels and events of the station.
"use strict";

const $ = (id) => document.getElementById(id);
const RETRY_MS = 1000, LOG_LINES = 200;

const STATES = {
  idle: "idle", dialing: "dialing", alerting: "far end rings", incoming: "incoming call", answering: "answering",
  established: "talking", held: "held", ending: "ending",
};

// All requests use this one socket, which keeps their order: the release of a button must not arrive before its press.
let socket = null;
function ask(request) {
  if (socket && socket.readyState === WebSocket.OPEN) return socket.send(JSON.stringify(request));
  log("the server cannot be reached");
}

function replied(reply) {
  if (reply.error) log(reply.error.message);
  if (reply.note) log(reply.note);
}

function log(text, at) {
  const entry = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = (at ? new Date(at) : new Date()).toTimeString().slice(0, 8);
  entry.append(time, text);
  $("log").prepend(entry);
  while ($("log").children.length > LOG_LINES) $("log").lastChild.remove();
}

function describe(event) {
  const because = event.reason ? ": " + event.reason : "";
  switch (event.event) {
    case "session": return `session ${event.state}${because}`;
    case "press": return `button ${event.button} (${event.gesture})`;
    case "sensor": return `sensor ${event.sensor} ${event.opened ? "opened" : "closed"}`;
    case "press_refused": return `button ${event.button}: no call${because}`;
    case "sensor_refused": return `sensor ${event.sensor}: no call${because}`;
    case "no_telephone_events": return "the far end has no telephone events: no code can be typed in this call";
    case "call": {
      const way = event.direction === "outgoing" ? "to" : "from";
      return event.cause ? `line ${event.line}: call ${way} ${event.number} ended: ${event.cause.unanswered ? event.cause.unanswered.replaceAll("_", " ") + ", " : ""}${event.cause.code} ${event.cause.text}`
        : `line ${event.line}: ${STATES[event.state]} ${way} ${event.number}`;
    }
    case "media": return event.connected ? "media connected" : "media lost";
    case "core_hears": return event.receiving ? "the server hears us" : "the server does not hear us";
    case "missed_call": return `missed call from ${event.caller}`;
    case "dtmf": return event.matched ? "code accepted" : event.locked ? "wrong code: codes are off for this call" : "wrong code";
    case "output": return `${event.output} ${event.drive}`;
    case "audio": return event.ready ? "sound ready" : `sound fault${because}`;
    case "protocol": return event.problem;
    default: return event.event;
  }
}

// A button: active from the press until the release, wherever the pointer is released.
function bell(name) {
  const made = document.createElement("button");
  made.className = "bell";
  made.textContent = name;
  made.dataset.button = name;
  let down = false;
  const set = (active) => {
    if (down === active) return;
    down = active;
    made.classList.toggle("down", active);
    ask({ request: "input", name, active });
  };
  made.addEventListener("pointerdown", (event) => { made.setPointerCapture(event.pointerId); set(true); });
  for (const type of ["pointerup", "pointercancel"]) made.addEventListener(type, () => set(false));
  made.addEventListener("keydown", (event) => { if (event.key === " " || event.key === "Enter") { event.preventDefault(); set(true); } });
  made.addEventListener("keyup", () => set(false));
  made.addEventListener("blur", () => set(false));
  // A page without the focus, or a hidden one, may not get the release.
  window.addEventListener("blur", () => set(false));
  document.addEventListener("visibilitychange", () => { if (document.hidden) set(false); });
  return made;
}

function sensor(name) {
  const made = document.createElement("button");
  made.className = "plain";
  made.textContent = `${name}: closed`;
  made.dataset.sensor = name;
  made.addEventListener("click", () => ask({ request: "input", name, active: made.getAttribute("aria-pressed") !== "true" }));
  return made;
}

function lamp(output) {
  const box = document.createElement("div");
  box.dataset.output = output.name;
  box.append(document.createElement("i"), output.name);
  return box;
}

function showStatus(status) {
  const session = status.session.state === "registered" ? "good" : "bad";
  $("session").textContent = status.session.state + (status.session.reason ? ": " + status.session.reason : "");
  $("session").className = "badge " + session;
  if ($("outputs").children.length !== status.outputs.length) $("outputs").replaceChildren(...status.outputs.map(lamp));
  status.outputs.forEach((output, index) => { $("outputs").children[index].className = `lamp ${output.kind} ${output.drive}`; });
  status.sensors.forEach((sensorStatus, index) => {
    const made = $("sensors").children[index];
    if (!made) return;
    made.setAttribute("aria-pressed", sensorStatus.active);
    made.textContent = `${sensorStatus.name}: ${sensorStatus.active ? "open" : "closed"}`;
  });
  $("microphone").value = status.sound.microphone_dbfs;
  $("loudspeaker").value = status.sound.loudspeaker_dbfs;
  $("sound").textContent = status.audio.fault ? "Fault: " + status.audio.fault
    : status.sound.synthetic ? "Built-in microphone (a melody): this machine has no sound card." : "The sound card works.";
  showLines(status.lines);
}

let shownLines = "";
function showLines(lines) {
  const key = JSON.stringify(lines);
  if (key === shownLines) return;
  shownLines = key;
  $("lines").replaceChildren(...lines.map((line) => {
    const box = document.createElement("div");
    box.className = "call" + (line.state === "incoming" ? " ringing" : "");
    box.dataset.state = line.state;
    const text = document.createElement("p");
    const who = document.createElement("strong");
    who.textContent = line.call ? line.call.name || line.call.number : "—";
    text.append(`Line ${line.line}: `, who, ` ${STATES[line.state]}`, line.call && line.call.talk_s !== undefined ? `, ${line.call.talk_s} s` : "");
    box.append(text);
    const row = document.createElement("div");
    row.className = "row";
    const act = (label, className, request) => {
      const made = document.createElement("button");
      made.textContent = label;
      made.className = className;
      made.addEventListener("click", () => ask(request));
      row.append(made);
    };
    if (line.state === "incoming") act("Answer", "go", { request: "answer", line: line.line });
    if (line.call) act("Hang up", "stop", { request: "hangup", line: line.line });
    box.append(row);
    return box;
  }));
}

function showLogin(error) {
  $("login").classList.remove("hidden");
  document.querySelectorAll(".panel").forEach((section) => section.classList.add("hidden"));
  $("login-error").textContent = error || "";
  $("session").textContent = "locked";
}

async function start() {
  let answer;
  try {
    answer = await fetch("/station/layout");
  } catch {
    return setTimeout(start, RETRY_MS);
  }
  if (answer.status === 401) return showLogin();
  if (answer.status === 404) {
    $("session").textContent = "this sandbox has no station";
    return;
  }
  const layout = await answer.json();
  $("login").classList.add("hidden");
  document.querySelectorAll(".panel").forEach((section) => section.classList.remove("hidden"));
  $("buttons").replaceChildren(...layout.buttons.map(bell));
  $("sensors").replaceChildren(...layout.sensors.map(sensor));
  follow();
}

function follow() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/station/live`);
  socket.onmessage = (message) => {
    const data = JSON.parse(message.data);
    if (data.status) showStatus(data.status);
    if (data.event) log(describe(data.event), data.event.at_ms);
    if (data.reply) replied(data.reply);
  };
  socket.onclose = () => {
    $("session").textContent = "connection lost, trying again";
    $("session").className = "badge bad";
    // The state that was shown is out of date.
    $("lines").replaceChildren();
    $("outputs").replaceChildren();
    $("buttons").querySelectorAll("button").forEach((button) => { button.disabled = true; });
    shownLines = "";
    setTimeout(start, RETRY_MS);
  };
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/station/login", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ password: $("password").value }),
  });
  if (answer.ok) start();
  else showLogin(answer.status === 429 ? "Too many wrong passwords. Try again in a minute." : "The password is wrong.");
});

start();
