// Disturbances of the station and of its sound card in user space. No browser is needed.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CALLBOX, RATE, ROOT, amplitude, ask, callbox, rms, scratch, sleep, soundCard, startSandbox, toneFile, until } from '../lib.mjs';

async function station(t, env = {}, ppm = {}) {
  const folder = scratch(t);
  const card = soundCard(folder, ppm);
  const socket = path.join(folder, 'control.sock');
  const sandbox = await startSandbox(t, {
    args: ['--config', path.join(ROOT, 'tests/browser/station.toml'), '--socket', socket],
    env: { ALSA_CONFIG_PATH: card.configuration, ...env },
  });
  const status = async () => JSON.parse((await callbox(['status', '--json', '--socket', socket])).out);
  await until('the card', async () => (await status()).audio.ready);
  const press = () => callbox(['press', 'bell', '--socket', socket]);
  return { card, sandbox, status, press };
}

/** Nobody is logged in, so a press is answered with the falling tones for somebody who is away. */
const hearsNobody = async ({ card, press }) => {
  await press();
  await until('the tone of somebody away', () => amplitude(card.loudspeaker.last(100), 390) > 0.1, 3000);
  await until('the end of the tone', () => rms(card.loudspeaker.last(500)) < 0.001, 5000);
};

test('a process that stood still for any time finds both directions of its card again', async (t) => {
  const door = await station(t);
  for (const ms of [25, 35, 45, 55, 65, 80, 120, 300]) {
    for (let round = 0; round < 3; round++) {
      door.sandbox.child.kill('SIGSTOP');
      await sleep(ms);
      door.sandbox.child.kill('SIGCONT');
      await sleep(40);
    }
    await hearsNobody(door);
  }
  assert.ok((await door.status()).sound.xruns > 0, 'the card was disturbed');
});

test('a card that is pulled out is a fault, and sounds again when it is back', async (t) => {
  const door = await station(t);
  const markers = [door.card.microphone.file, door.card.loudspeaker.file].map((file) => `${file}.unplugged`);
  for (const marker of markers) closeSync(openSync(marker, 'w'));
  const fault = await until('the fault', async () => (await door.status()).audio.fault);
  assert.match(fault, /mic|spk/);
  for (const marker of markers) unlinkSync(marker);
  await until('the card', async () => (await door.status()).audio.ready, 3000);
  await hearsNobody(door);
  assert.equal(rms(door.card.loudspeaker.last(50)) < 0.5, true);
});

/** A station that rings somebody, so that there is a tone all the time. */
async function ringingStation(t, ppm) {
  const folder = scratch(t);
  const ringback = path.join(folder, 'ringback.wav');
  toneFile(ringback, 1000, 0.3);
  const door = await station(t, { CALLBOX_SOUNDS__RINGBACK: ringback }, ppm);
  const phone = path.join(folder, 'phone.toml');
  writeFileSync(phone, `[core]\nurl = "${door.sandbox.url}"\nallow_insecure = true\nlogin = "100"\npassword_file = "password"\n[audio]\ncapture = "mic"\nplayback = "spk"\n[gpio]\nbackend = "simulated"\n[control]\nsocket = "${folder}/phone.sock"\n[[answer]]\naction = "ring"\n`);
  writeFileSync(path.join(folder, 'password'), 'callbox');
  const rung = spawn(CALLBOX, ['run', '--config', phone], { stdio: 'ignore', env: { ...process.env, ALSA_CONFIG_PATH: soundCard(folder).configuration } });
  t.after(() => rung.kill('SIGTERM'));
  await until('the phone', async () => (await ask(path.join(folder, 'phone.sock'), { request: 'status' })).status.session.state === 'registered');
  await door.press();
  await until('the ringing', () => amplitude(door.card.loudspeaker.last(100), 1000) > 0.1, 5000);
  return door;
}

test('a card that is back, and one that stood still, sound within a tenth of a second', async (t) => {
  const door = await ringingStation(t);
  const { loudspeaker } = door.card;
  const markers = [door.card.microphone.file, loudspeaker.file].map((file) => `${file}.unplugged`);
  const afterLoss = async (round) => {
    for (const marker of markers) closeSync(openSync(marker, 'w'));
    // It comes back at another moment in each round.
    await sleep(700 + round * 60);
    loudspeaker.clear();
    for (const marker of markers) unlinkSync(marker);
  };
  const afterStandstill = async () => {
    door.sandbox.child.kill('SIGSTOP');
    await sleep(150);
    loudspeaker.clear();
    door.sandbox.child.kill('SIGCONT');
  };
  for (const disturb of [afterLoss, afterStandstill]) {
    const times = [];
    for (let round = 0; round < 5; round++) {
      await disturb(round);
      const from = loudspeaker.ahead(0);
      await sleep(500);
      const first = loudspeaker.onset(from, 400);
      assert.ok(first !== null, `${disturb.name}: it never sounded`);
      times.push((first - from) / RATE * 1000);
    }
    times.sort((one, other) => one - other);
    // The machine of the test may stand still as well, so the median counts.
    assert.ok(times[2] < 100, `${disturb.name}: ${times.map((ms) => ms.toFixed(0))} ms`);
  }
});

test('a card that stands still, delivers nothing or too much, or has another rate is named until it works', async (t) => {
  const door = await ringingStation(t);
  const { microphone, loudspeaker } = door.card;
  const fault = async () => (await door.status()).audio.fault ?? '';
  for (const [air, words] of [[loudspeaker, /playback: the card accepts no sound/], [microphone, /capture: the card delivers no sound/]]) {
    const marker = `${air.file}.stalled`;
    closeSync(openSync(marker, 'w'));
    await until(`${words}`, async () => words.test(await fault()), 3000);
    // The card is opened again and again, and stays faulty.
    for (let look = 0; look < 10; look++) {
      await sleep(100);
      assert.match(await fault(), words);
    }
    unlinkSync(marker);
    await until('the card', async () => (await door.status()).audio.ready, 6000);
    await until('the ringing', () => amplitude(loudspeaker.last(100), 1000) > 0.1, 1000);
  }
  const microphoneFault = async () => (await door.status()).audio.microphone_fault ?? '';
  microphone.write(0, Int16Array.from({ length: 60 * RATE }, () => (Math.random() - 0.5) * 65535));
  await until('full-scale noise to be named', async () => /overdriven/.test(await microphoneFault()), 8000);
  microphone.clear();
  await until('zeros to be named', async () => /delivers nothing at all/.test(await microphoneFault()), 8000);
  microphone.fillTone(300, 0.1);
  await until('the microphone', async () => await microphoneFault() === '', 3000);
});

test('a microphone of 44.1 kHz that reports 48 kHz is named, however often playback runs dry', async (t) => {
  const door = await ringingStation(t, { mic: -81250 });
  door.card.microphone.fillTone(300, 0.1);
  await until('the rate to be named', async () => /another rate/.test((await door.status()).audio.microphone_fault ?? ''), 25000);
  assert.ok((await door.status()).sound.xruns > 10);
});

test('a station at 16 kHz sounds right on a card that has only 48 kHz', async (t) => {
  const door = await station(t, { CALLBOX_AUDIO__RATE: '16000' });
  await hearsNobody(door);
  door.card.microphone.fillTone(1000, 0.25);
  // -12 dBFS peak is -15 dBFS RMS. The card runs while there is something to hear.
  await door.press();
  await until('the level of the microphone', async () => Math.abs((await door.status()).sound.microphone_dbfs + 15) <= 1);
});

test('the acoustic test measures a place, and names what is wrong with it', async (t) => {
  const folder = scratch(t);
  const { microphone, loudspeaker, configuration } = soundCard(folder);
  const config = path.join(folder, 'station.toml');
  writeFileSync(config, '[core]\nurl = "https://core.example.com"\ntoken = "t"\n[audio]\ncapture = "mic"\nplayback = "spk"\nvolume = 100\n');
  // The air: what the loudspeaker plays is heard 60 ms later, at a quarter of its amplitude.
  const delay = 60 * RATE / 1000, step = RATE / 100;
  let gain = 0.25, at = loudspeaker.ahead(-50);
  const air = setInterval(() => {
    for (; at + step < loudspeaker.ahead(-20); at += step) microphone.write(at + delay, loudspeaker.read(at, step).map((sample) => Math.max(-32768, Math.min(32767, sample * gain))));
  }, 5);
  t.after(() => clearInterval(air));
  const measured = async () => {
    const { code, out, err } = await callbox(['audio', 'test', '--json', '--config', config], { env: { ...process.env, ALSA_CONFIG_PATH: configuration } });
    assert.ok(out, err);
    return { code, ...JSON.parse(out) };
  };
  const good = await measured();
  assert.equal(good.code, 0, JSON.stringify(good));
  // The periods of the card add to the delay of the air.
  assert.ok(good.delay_ms > 60 && good.delay_ms < 130, JSON.stringify(good));
  assert.ok(Math.abs(good.echo_return_loss_db - 12) < 1.5 && good.distortion_percent < 3, JSON.stringify(good));
  gain = 6;
  const loud = await measured();
  assert.ok(loud.clipped, JSON.stringify(loud));
  assert.match(loud.findings.join(), /^the microphone is overdriven; write audio.capture_gain_db = -\d+ and test again$/);
  gain = 0;
  const deaf = await measured();
  assert.equal(deaf.code, 1);
  assert.match(deaf.findings[0], /does not hear the loudspeaker/);
});
