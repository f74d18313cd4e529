// Golden values for src/feature/test_golden.c, from two libraries that share no code with us:
//   technicalindicators 3.1.0 (plain JavaScript), whose averages begin as ours do
//   talib-web 0.1.3 (TA-Lib's C compiled to WebAssembly), for what the first rounds or lacks
//
//   npm install technicalindicators@3.1.0 talib-web@0.1.3 && node features.mjs > golden_indicators.h
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
const require = createRequire(join(process.cwd(), 'package.json'));
const ti = require('technicalindicators');
const talib = require('talib-web');
const version = name => JSON.parse(readFileSync(join(process.cwd(), 'node_modules', name, 'package.json'))).version;
const wasm = readFileSync(join(dirname(require.resolve('talib-web')), 'talib.wasm'));
await talib.init('data:application/wasm;base64,' + wasm.toString('base64'));

const N = 400, EVERY = 7;
let seed = 20240101;
const random = () => { // xorshift32
    seed ^= seed << 13; seed ^= seed >>> 17; seed ^= seed << 5;
    return (seed >>> 0) / 4294967296;
};
const bars = [];
let price = 6_420_000; // cents: 64,200.00
for (let i = 0; i < N; i++) {
    const drift = 0.0015 * Math.sin(i / 23);
    const open = i % 11 === 5 ? Math.round(price * (1 + 0.002 * (random() - 0.5))) : price;
    const close = Math.round(open * (1 + drift + 0.012 * (random() + random() - 1)));
    const high = Math.round(Math.max(open, close) * (1 + 0.004 * random()));
    const low = Math.round(Math.min(open, close) * (1 - 0.004 * random()));
    bars.push({ open, high, low, close, volume: 1 + Math.floor(5000 * random() * (i % 17 ? 1 : 6)) });
    price = close;
}
const column = (rows, name) => rows.map(b => b[name]);
const [open, high, low, close, volume] = ['open', 'high', 'low', 'close', 'volume'].map(n => column(bars, n));

// The first library leaves out the bars before the first value; the second puts values first and what
// lies behind the last one is not a value: `lookback` says how many there are.
const pad = (values, n = N) => Array(n - values.length).fill(NaN).concat(Array.from(values));
const pick = (values, name) => pad(values.map(v => v[name]));
const ta = (name, params, lookback) => {
    const n = (params.inReal ?? params.inReal0 ?? params.close).length;
    return pad(talib[name](params).output.slice(0, n - lookback), n);
};

const out = {};
for (const p of [10, 20, 50, 200]) out['ema_' + p] = pad(ti.EMA.calculate({ period: p, values: close }));
for (const p of [20, 50]) out['sma_' + p] = pad(ti.SMA.calculate({ period: p, values: close }));
const macd = ti.MACD.calculate({ values: close, fastPeriod: 12, slowPeriod: 26, signalPeriod: 9,
    SimpleMAOscillator: false, SimpleMASignal: false });
out.macd = pick(macd, 'MACD'); out.macd_signal = pick(macd, 'signal'); out.macd_hist = pick(macd, 'histogram');
const adx = ti.ADX.calculate({ period: 14, high, low, close });
out.adx_14 = pick(adx, 'adx'); out.plus_di_14 = pick(adx, 'pdi'); out.minus_di_14 = pick(adx, 'mdi');
out.atr_14 = pad(ti.ATR.calculate({ period: 14, high, low, close }));
const bands = ti.BollingerBands.calculate({ period: 20, values: close, stdDev: 2 });
out.bb_upper = pick(bands, 'upper'); out.bb_lower = pick(bands, 'lower');
const stochastic = ti.Stochastic.calculate({ period: 14, signalPeriod: 3, high, low, close });
out.stochastic_k = pick(stochastic, 'k'); out.stochastic_d = pick(stochastic, 'd');
out.obv = pad(ti.OBV.calculate({ close, volume }));
out.rsi_14_rounded = pad(ti.RSI.calculate({ period: 14, values: close })); // two decimals

out.rsi_14 = ta('RSI', { inReal: close, timePeriod: 14 }, 14);
for (const p of [10, 20, 24]) out['rocp_' + p] = ta('ROCP', { inReal: close, timePeriod: p }, p);
const returns = close.slice(1).map((c, i) => Math.log(c / close[i]));
out.return_variance_20 = pad(ta('VAR', { inReal: returns, timePeriod: 20, nbDev: 1 }, 19));
out.return_correlation_20 = pad(
    ta('CORREL', { inReal0: returns.slice(1), inReal1: returns.slice(0, -1), timePeriod: 20 }, 19));
out.volume_sma_20 = ta('SMA', { inReal: volume, timePeriod: 20 }, 19);
out.high_96 = ta('MAX', { inReal: high, timePeriod: 96 }, 95);
out.low_96 = ta('MIN', { inReal: low, timePeriod: 96 }, 95);
const weighted = bars.map(b => (b.high + b.low + b.close) / 3 * b.volume);
const sumOf = values => ta('SUM', { inReal: values, timePeriod: 20 }, 19);
const [value20, volume20] = [sumOf(weighted), sumOf(volume)];
out.vwap_20 = value20.map((v, i) => v / volume20[i]);

for (const k of [4, 16]) { // bar 0 begins a fold
    const folds = [];
    for (let i = 0; i + k <= N; i += k) {
        const part = bars.slice(i, i + k);
        folds.push({ high: Math.max(...column(part, 'high')), low: Math.min(...column(part, 'low')),
            close: part[k - 1].close });
    }
    const n = folds.length, c = column(folds, 'close');
    const r = c.slice(1).map((x, i) => Math.log(x / c[i]));
    const parts = {
        close: c,
        rsi_14: ta('RSI', { inReal: c, timePeriod: 14 }, 14),
        ema_10: ta('EMA', { inReal: c, timePeriod: 10 }, 9),
        atr_14: ta('ATR', { high: column(folds, 'high'), low: column(folds, 'low'), close: c, timePeriod: 14 },
            14),
        variance_10: pad(ta('VAR', { inReal: r, timePeriod: 10, nbDev: 1 }, 9), n),
    };
    for (const [name, values] of Object.entries(parts))
        out[`x${k}_${name}`] = bars.map((_, i) => i + 1 >= k ? values[Math.floor((i + 1) / k) - 1] : NaN);
}

const names = Object.keys(out);
const number = x => Number.isNaN(x) || x === undefined ? 'NAN' : Number.isInteger(x) ? x + '.0' : String(x);
const wrap = items => {
    const lines = [];
    let line = '    ';
    for (const item of items) {
        if (line.length + item.length + 2 > 99) { lines.push(line.trimEnd()); line = '    '; }
        line += item + ', ';
    }
    return lines.concat(line.trimEnd().replace(/,$/, '')).join('\n');
};
console.log(`/* Generated by tools/golden/features.mjs: technicalindicators ${version('technicalindicators')},`);
console.log(` * talib-web ${version('talib-web')} (TA-Lib), node ${process.version}. Not edited by hand.`);
console.log(' *');
console.log(' * bars: open, high, low, close in hundredths, volume in units. values: one row for every');
console.log(` * ${EVERY}th bar from bar ${EVERY - 1} on, prices in hundredths, NAN where the library has no value yet. */`);
console.log('#ifndef FEATURE_GOLDEN_INDICATORS_H\n#define FEATURE_GOLDEN_INDICATORS_H\n');
console.log('#include <math.h>\n');
console.log('/* clang-format off */');
console.log(`enum { GOLDEN_BARS = ${N}, GOLDEN_EVERY = ${EVERY}, GOLDEN_ROWS = ${Math.floor(N / EVERY)} };`);
console.log('enum golden_column {\n' + wrap(names.map(n => 'GOLDEN_' + n.toUpperCase())) + ',\n    GOLDEN_COLUMNS\n};');
console.log('static const int golden_bars[GOLDEN_BARS][5] = {');
for (const b of bars) console.log(`    {${b.open}, ${b.high}, ${b.low}, ${b.close}, ${b.volume}},`);
console.log('};\nstatic const double golden_values[GOLDEN_ROWS][GOLDEN_COLUMNS] = {');
for (let i = EVERY - 1; i < N; i += EVERY)
    console.log(`    { /* bar ${i} */\n` + wrap(names.map(n => number(out[n][i]))) + '},');
console.log('};\n/* clang-format on */\n\n#endif');
