// What the client tests share: a list of checks run in order, each named after the call it is about, and waiting.
import assert from 'node:assert/strict';

export { assert };

const checks = [];
export const check = (name, run) => checks.push({ name, run });

export const env = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
};
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// The first value `look` gives that is not undefined; fails after ms.
export async function await_(what, look, ms = 10000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false && value !== null) return value;
    if (Date.now() > end) throw new Error(`nothing came of: ${what}`);
    await sleep(20);
  }
}

export const near = (a, b, tolerance, what) =>
  assert.ok(Math.abs(Number(a) - Number(b)) <= tolerance, `${what}: ${a} is not ${b} (+-${tolerance})`);
export const number = (x) => {
  const n = Number(x);
  assert.ok(Number.isFinite(n), `${x} is not a number`);
  return n;
};
// Snaps to a step given as text ("0.10"), down.
export const snap = (x, step) => {
  const s = Number(step);
  const decimals = Math.max(0, (step.replace(/0+$/, '').split('.')[1] ?? '').length);
  return Number((Math.floor(x / s + 1e-9) * s).toFixed(decimals));
};

// A promise that a call fails, and with what.
export async function fails(promise, matches, what) {
  let error;
  try {
    await promise;
  } catch (e) {
    error = e;
  }
  assert.ok(error, `${what}: was accepted`);
  assert.ok(matches(error), `${what}: unexpected error ${error?.constructor?.name}: ${error?.message}`);
  return error;
}

// Runs what was listed; exit code 1 if anything failed. A check that hangs fails after a minute.
export async function run(client, end = async () => {}) {
  let failed = 0;
  for (const { name, run: body } of checks) {
    const began = Date.now();
    try {
      await Promise.race([
        body(),
        sleep(60000).then(() => {
          throw new Error('took more than a minute');
        }),
      ]);
      console.log(`ok   ${client} ${name} (${Date.now() - began} ms)`);
    } catch (e) {
      failed++;
      console.log(`FAIL ${client} ${name}: ${e.stack ?? JSON.stringify(e)}`);
    }
  }
  try {
    await end();
  } catch (e) {
    console.log(`note ${client}: closing: ${e.message}`);
  }
  console.log(`${client}: ${checks.length - failed} of ${checks.length} passed`);
  process.exit(failed ? 1 : 0);
}
