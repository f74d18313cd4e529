// binance-api-node: futures REST and streams. Environment: URL, WS_URL, API_KEY, API_SECRET.
import binanceApi from 'binance-api-node';
import { assert, await_, check, env, fails, near, number, run, snap } from './lib.mjs';

const Binance = binanceApi.default ?? binanceApi;
const c = Binance({
  apiKey: env('API_KEY'), apiSecret: env('API_SECRET'), httpFutures: env('URL'), httpBase: env('URL'),
  wsFuturesPublic: `${env('WS_URL')}/public/ws`, wsFuturesMarket: `${env('WS_URL')}/market/ws`, wsFuturesPrivate: `${env('WS_URL')}/private/ws`,
});
const symbol = 'XRPUSDT';
let last, tick;
const price = (factor) => String(snap(last * factor, tick));
const position = async () => number((await c.futuresPositionRisk({ symbol })).find((p) => p.symbol === symbol).positionAmt);

check('futuresPing, futuresTime, futuresExchangeInfo', async () => {
  await c.futuresPing();
  near(await c.futuresTime(), Date.now(), 1000, 'time');
  tick = (await c.futuresExchangeInfo()).symbols.find((s) => s.symbol === symbol).filters.find((f) => f.filterType === 'PRICE_FILTER').tickSize;
});
check('futuresPrices, futuresCandles, futuresBook, futuresMarkPrice, futuresTrades, futuresDailyStats, futuresAllBookTickers, futuresFundingRate', async () => {
  last = number((await c.futuresPrices({ symbol }))[symbol] ?? (await c.futuresPrices())[symbol]);
  const candles = await c.futuresCandles({ symbol, interval: '1m', limit: 5 });
  assert.equal(candles.length, 5);
  assert.equal(candles[1].openTime - candles[0].openTime, 60000);
  const book = await c.futuresBook({ symbol, limit: 5 });
  assert.ok(number(book.bids[0].price) < number(book.asks[0].price));
  assert.ok((await c.futuresMarkPrice()).find((m) => m.symbol === symbol).markPrice > 0);
  assert.ok(Array.isArray(await c.futuresTrades({ symbol })));
  near((await c.futuresDailyStats({ symbol })).lastPrice, last, last * 0.02, 'last');
  assert.ok((await c.futuresAllBookTickers())[symbol]);
  assert.ok(Array.isArray(await c.futuresFundingRate({ symbol })));
});
check('futuresAccountBalance, futuresAccountInfo, futuresLeverageBracket', async () => {
  const b = (await c.futuresAccountBalance()).find((x) => x.asset === 'USDT');
  near(b.balance, (await c.futuresAccountInfo()).totalWalletBalance, 1e-6, 'wallet');
  assert.ok((await c.futuresLeverageBracket({ symbol }))[0].brackets.length > 0);
});
check('futuresLeverage, futuresMarginType, futuresPositionMode', async () => {
  assert.equal(number((await c.futuresLeverage({ symbol, leverage: 4 })).leverage), 4);
  await c.futuresMarginType({ symbol, marginType: 'ISOLATED' });
  await fails(c.futuresMarginType({ symbol, marginType: 'ISOLATED' }), (e) => e.code === -4046, 'the same margin type');
  assert.equal((await c.futuresPositionMode()).dualSidePosition, false);
});
check('futuresOrder MARKET, futuresPositionRisk, futuresUserTrades, futuresPositionMargin, reduce-only', async () => {
  const o = await c.futuresOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: '500', newOrderRespType: 'RESULT' });
  assert.equal(o.status, 'FILLED');
  assert.equal(await position(), 500);
  const risk = (await c.futuresPositionRisk({ symbol }))[0];
  assert.equal(risk.marginType, 'isolated');
  assert.equal(number(risk.leverage), 4);
  const fills = (await c.futuresUserTrades({ symbol })).filter((t) => t.orderId === o.orderId);
  near(fills.reduce((s, t) => s + number(t.qty), 0), 500, 1e-9, 'fills');
  assert.equal(number((await c.futuresPositionMargin({ symbol, type: 1, amount: 5 })).code), 200);
  await c.futuresOrder({ symbol, side: 'SELL', type: 'MARKET', quantity: '500', reduceOnly: 'true' });
  assert.equal(await position(), 0);
});
check('futuresOrder LIMIT, futuresUpdateOrder, futuresGetOrder, futuresOpenOrders, futuresCancelOrder, futuresAllOrders', async () => {
  const o = await c.futuresOrder({ symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '500', price: price(0.97) });
  const m = await c.futuresUpdateOrder({ symbol, side: 'BUY', orderId: o.orderId, quantity: '510', price: price(0.96) });
  assert.equal(number(m.origQty), 510);
  assert.equal((await c.futuresGetOrder({ symbol, orderId: o.orderId })).status, 'NEW');
  assert.equal((await c.futuresOpenOrders({ symbol })).length, 1);
  assert.equal((await c.futuresCancelOrder({ symbol, orderId: o.orderId })).status, 'CANCELED');
  await fails(c.futuresCancelOrder({ symbol, orderId: o.orderId }), (e) => e.code === -2011, 'cancelled twice');
  assert.ok((await c.futuresAllOrders({ symbol })).length >= 3);
});
check('futuresOrder stop and take-profit (rerouted), conditional get, cancel; futuresGetOpenAlgoOrders, futuresCancelAllAlgoOpenOrders', async () => {
  last = number((await c.futuresPrices())[symbol]);
  const stop = await c.futuresOrder({ symbol, side: 'SELL', type: 'STOP_MARKET', quantity: '500', stopPrice: price(0.95), reduceOnly: 'true' });
  const take = await c.futuresOrder({ symbol, side: 'SELL', type: 'TAKE_PROFIT_MARKET', stopPrice: price(1.05), closePosition: 'true' });
  const trail = await c.futuresOrder({ symbol, side: 'SELL', type: 'TRAILING_STOP_MARKET', quantity: '500', callbackRate: '1' });
  assert.equal((await c.futuresGetOpenAlgoOrders({ symbol })).length, 3);
  assert.equal((await c.futuresGetOrder({ symbol, algoId: stop.algoId, conditional: true })).algoStatus, 'NEW');
  assert.equal(String((await c.futuresCancelOrder({ symbol, algoId: take.algoId, conditional: true })).code), '200');
  await c.futuresCancelAlgoOrder({ algoId: trail.algoId });
  await c.futuresCancelAllAlgoOpenOrders({ symbol });
  assert.equal((await c.futuresGetOpenAlgoOrders({ symbol })).length, 0);
});
check('futuresBatchOrders, futuresCancelBatchOrders, futuresCancelAllOpenOrders', async () => {
  const one = { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '500' };
  const both = await c.futuresBatchOrders({ batchOrders: JSON.stringify([{ ...one, price: price(0.97) }, { ...one, price: price(0.96) }]) });
  assert.ok(both.every((o) => o.status === 'NEW'));
  const gone = await c.futuresCancelBatchOrders({ symbol, orderIdList: JSON.stringify(both.map((o) => o.orderId)) });
  assert.ok(gone.every((o) => o.status === 'CANCELED'));
  await c.futuresOrder({ ...one, price: price(0.97) });
  await c.futuresCancelAllOpenOrders({ symbol });
  assert.equal((await c.futuresOpenOrders({ symbol })).length, 0);
});
check('futuresIncome, futuresCommissionRate', async () => {
  assert.ok((await c.futuresIncome({ symbol })).length >= 2);
  assert.equal(number((await c.futuresCommissionRate({ symbol })).takerCommissionRate), 0.0005);
});
check('ws.futuresAggTrades, futuresCandles, futuresDepth, futuresBookTicker, futuresMarkPrice, futuresUser', async () => {
  const seen = {};
  const push = (name) => (m) => (seen[name] ??= []).push(m);
  const closers = [
    c.ws.futuresAggTrades(symbol, push('trade')),
    c.ws.futuresCandles(symbol, '1m', push('candle')),
    c.ws.futuresDepth(symbol, push('depth')),
    c.ws.futuresBookTicker(symbol, push('book')),
    c.ws.futuresMarkPrice(symbol, push('mark')),
    await c.ws.futuresUser(push('user')),
  ];
  for (const name of ['trade', 'candle', 'depth', 'book', 'mark']) await await_(`a ${name}`, async () => seen[name]?.length > 0, 30000);
  assert.equal(seen.candle[0].interval, '1m');
  await new Promise((d) => setTimeout(d, 300));
  const o = await c.futuresOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: '500' });
  await await_('its fill on the user stream', async () => seen.user?.find((e) => e.orderId === o.orderId && e.orderStatus === 'FILLED'));
  await c.futuresOrder({ symbol, side: 'SELL', type: 'MARKET', quantity: '500', reduceOnly: 'true' });
  for (const close of closers) close({ keepClosed: true, fastClose: true });
});

await run('binance-api-node');
