// One table of what the benches have measured: echo, concealment, delay, set-up, CPU, memory, size.
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ARTIFACTS, CALLBOX } from '../lib.mjs';

const PEERS = ['callbox', 'Chromium', 'baresip'];
/** Packages that hold the program. Libraries of the system are not counted. */
const PACKAGES = { Chromium: ['chromium', 'chromium-common'], baresip: ['baresip-core', 'libre0', 'librem0'] };

const read = (name) => { try { return readFileSync(path.join(ARTIFACTS, name), 'utf8'); } catch { return ''; } };
const sound = JSON.parse(read('sound.json') || '{}');
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const median = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];

const rows = [];
function row(what, value) {
  const cells = PEERS.map((peer) => { try { return value(peer) ?? '–'; } catch { return '–'; } });
  if (cells.some((cell) => cell !== '–')) rows.push(`| ${what} | ${cells.join(' | ')} |`);
}

/** Means over the sets that echo_rig.py has scored; Chromium's canceller is AEC3. */
function echo(column) {
  const lines = read('echo.txt').split('\n').map((line) => line.trim().split(/\s+/));
  return (peer) => {
    const name = { callbox: 'callbox', Chromium: 'aec3' }[peer];
    // Each mean is followed by its error.
    const values = lines.filter(([first]) => first === name).map((words) => Number(words.slice(1).filter((word) => !word.startsWith('±'))[column]));
    return values.length ? mean(values).toFixed(2) : undefined;
  };
}

row('echo MOS, far end alone', echo(0));
row('echo MOS, both talk', echo(2));
row('degradation MOS, both talk', echo(3));
row('STOI, both talk', echo(4));
for (const weather of Object.keys(sound)) row(`PLCMOS, ${weather}`, (peer) => sound[weather][peer].plcmos.toFixed(2));
for (const weather of Object.keys(sound)) row(`PESQ, ${weather}`, (peer) => sound[weather][peer].pesq.toFixed(2));
for (const weather of Object.keys(sound)) row(`mouth to ear, ${weather}`, (peer) => `${sound[weather][peer].delay_ms.toFixed(0)} ms`);
row('mouth to ear, to and from Chromium', (peer) => {
  const calm = sound['no loss'];
  if (peer === 'callbox') return `${calm['callbox to Chromium'].delay_ms.toFixed(0)} and ${calm['Chromium to callbox'].delay_ms.toFixed(0)} ms`;
});
row('from the call command to the first sound, median', (peer) => `${median(Object.values(sound).map((weather) => weather[peer].set_up_ms)).toFixed(0)} ms`);
row('99 % of the packets leave within this of 20 ms', (peer) => `${sound['no loss'][peer].uneven_ms.toFixed(1)} ms`);
row('CPU of one core, in a call', (peer) => `${sound['no loss'][peer].cpu_percent.toFixed(1)} %`);
row('memory in a call', (peer) => `${sound['no loss'][peer].memory_mb.toFixed(0)} MB`);
row('program', (peer) => {
  if (peer === 'callbox') return `${(statSync(CALLBOX).size / 1e6).toFixed(1)} MB`;
  const sizes = execFileSync('dpkg-query', ['-W', '-f', '${Installed-Size}\n', ...PACKAGES[peer]]).toString().trim().split('\n');
  return `${(sizes.reduce((sum, size) => sum + Number(size), 0) * 1024 / 1e6).toFixed(1)} MB`;
});

const table = `| | ${PEERS.join(' | ')} |\n|---|${PEERS.map(() => '---|').join('')}\n${rows.join('\n')}\n`;
writeFileSync(path.join(ARTIFACTS, 'table.md'), table);
console.log(table);
