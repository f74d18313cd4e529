// The error classes ccxt raises for the venue's codes. ccxt has a table of its own for them, used only when the address is
// https://fapi.<hostname>/: hence TLS, and a name that leads to this machine. Environment: TLS_PORT, API_KEY, API_SECRET.
import dns from 'node:dns';
import ccxt from 'ccxt';
import { assert, check, env, fails, run } from './lib.mjs';

const host = `quantum.test:${env('TLS_PORT')}`;
const lookup = dns.lookup;
dns.lookup = (name, options, done) => {
  const call = typeof options === 'function' ? options : done;
  const all = typeof options === 'object' && options?.all;
  if (!name.endsWith('quantum.test')) return lookup(name, options, done);
  return all ? call(null, [{ address: '127.0.0.1', family: 4 }]) : call(null, '127.0.0.1', 4);
};
const base = `https://fapi.${host}/fapi`;
const ex = new ccxt.binanceusdm({
  apiKey: env('API_KEY'), secret: env('API_SECRET'), hostname: host, enableRateLimit: false,
  options: { fetchCurrencies: false, fetchMargins: false, fetchMarkets: { types: ['linear'] } },
  urls: { api: { fapiPublic: `${base}/v1`, fapiPublicV2: `${base}/v2`, fapiPublicV3: `${base}/v3`, fapiPrivate: `${base}/v1`, fapiPrivateV2: `${base}/v2`, fapiPrivateV3: `${base}/v3` } },
});
const S = 'BTC/USDT:USDT';
const order = (p) => ex.fapiPrivatePostOrder({ symbol: 'BTCUSDT', ...p });
let last;
const raises = (code, name, call) =>
  check(`${code} ${name}`, async () => {
    const e = await fails(call(), (x) => x.message.includes(`"code":${code}`), name);
    assert.equal(e.constructor.name, name);
  });

check('loadMarkets over TLS', async () => {
  await ex.loadMarkets();
  last = (await ex.fetchTicker(S)).last;
});
const px = (f) => ex.priceToPrecision(S, last * f);
raises(-2019, 'InsufficientFunds', () => order({ side: 'BUY', type: 'MARKET', quantity: '100' }));
raises(-2021, 'OrderImmediatelyFillable', () => ex.fapiPrivatePostAlgoOrder({ algoType: 'CONDITIONAL', symbol: 'BTCUSDT', side: 'SELL', type: 'STOP_MARKET', quantity: '0.01', triggerPrice: px(1.02) }));
raises(-2022, 'InvalidOrder', () => order({ side: 'SELL', type: 'MARKET', quantity: '0.01', reduceOnly: 'true' }));
raises(-4164, 'InvalidOrder', () => ex.fapiPrivatePostOrder({ symbol: 'XRPUSDT', side: 'BUY', type: 'MARKET', quantity: '1' }));
raises(-1111, 'BadRequest', () => order({ side: 'BUY', type: 'MARKET', quantity: '0.0101' }));
raises(-4120, 'ExchangeError', () => order({ side: 'SELL', type: 'STOP_MARKET', quantity: '0.01', stopPrice: px(0.95) }));
raises(-5022, 'OrderNotFillable', () => order({ side: 'BUY', type: 'LIMIT', timeInForce: 'GTX', quantity: '0.01', price: px(1.02) }));
raises(-2011, 'OrderNotFound', () => ex.cancelOrder('12345678', S));
raises(-1121, 'BadSymbol', () => ex.fapiPublicGetTickerPrice({ symbol: 'NOSUCHUSDT' }));
raises(-1022, 'AuthenticationError', () => new ccxt.binanceusdm({ apiKey: ex.apiKey, secret: 'wrong', hostname: host, urls: ex.urls }).fapiPrivateV3GetAccount());

await run('ccxt over TLS');
