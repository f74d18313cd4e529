// binance 3.6.5: USDMClient, WebsocketClient, WebsocketAPIClient. Environment: URL, WS_URL, API_KEY, API_SECRET.
import pkg from 'binance';
import { assert, await_, check, env, fails, near, number, run, snap } from './lib.mjs';

const { USDMClient, WebsocketClient, WebsocketAPIClient } = pkg;
const keys = { api_key: env('API_KEY'), api_secret: env('API_SECRET') };
const c = new USDMClient({ ...keys, baseUrl: env('URL') });
const symbol = 'SOLUSDT';
const quiet = Object.fromEntries(['trace', 'info', 'error', 'silly', 'debug', 'notice', 'warning'].map((k) => [k, () => {}]));
let last, tick;
const price = (factor) => snap(last * factor, tick);
const position = async () => number((await c.getPositions({ symbol })).find((p) => p.symbol === symbol)?.positionAmt ?? 0);

check('testConnectivity, getServerTime, getExchangeInfo', async () => {
  await c.testConnectivity();
  const t = await c.getServerTime();
  near(t.serverTime ?? t, Date.now(), 1000, 'time');
  tick = (await c.getExchangeInfo()).symbols.find((s) => s.symbol === symbol).filters.find((f) => f.filterType === 'PRICE_FILTER').tickSize;
});
check('getKlines, getOrderBook, getMarkPrice, get24hrChangeStatistics, getSymbolPriceTicker, getOpenInterest', async () => {
  last = number((await c.getSymbolPriceTicker({ symbol })).price);
  assert.equal((await c.getKlines({ symbol, interval: '15m', limit: 3 })).length, 3);
  const book = await c.getOrderBook({ symbol, limit: 10 });
  assert.ok(number(book.bids[0][0]) < number(book.asks[0][0]));
  near((await c.getMarkPrice({ symbol })).markPrice, last, last * 0.02, 'mark');
  near((await c.get24hrChangeStatistics({ symbol })).lastPrice, last, last * 0.02, 'last');
  assert.ok(number((await c.getOpenInterest({ symbol })).openInterest) >= 0);
});
check('getBalance, getAccountInformation, getNotionalAndLeverageBrackets', async () => {
  const b = (await c.getBalance()).find((x) => x.asset === 'USDT');
  near(b.balance, (await c.getAccountInformation()).totalWalletBalance, 1e-6, 'wallet');
  assert.ok((await c.getNotionalAndLeverageBrackets({ symbol })).length === 1);
});
check('setLeverage, setMarginType, setPositionMode, getCurrentPositionMode', async () => {
  assert.equal(number((await c.setLeverage({ symbol, leverage: 7 })).leverage), 7);
  await fails(c.setMarginType({ symbol, marginType: 'CROSSED' }), (e) => e.code === -4046, 'the same margin type');
  await c.setMarginType({ symbol, marginType: 'ISOLATED' });
  await c.setMarginType({ symbol, marginType: 'CROSSED' });
  assert.equal((await c.getCurrentPositionMode()).dualSidePosition, false);
});
check('submitNewOrder MARKET, getPositions, getAccountTrades, reduce-only', async () => {
  const o = await c.submitNewOrder({ symbol, side: 'SELL', type: 'MARKET', quantity: 10, newOrderRespType: 'RESULT' });
  assert.equal(o.status, 'FILLED');
  assert.equal(await position(), -10);
  const fills = (await c.getAccountTrades({ symbol })).filter((t) => t.orderId === o.orderId);
  near(fills.reduce((s, t) => s + number(t.qty), 0), 10, 1e-12, 'fills');
  near((await c.getOrder({ symbol, orderId: o.orderId })).avgPrice, fills.reduce((s, t) => s + number(t.quoteQty), 0) / 10, 0.001, 'average');
  await c.submitNewOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: 10, reduceOnly: 'true' });
  assert.equal(await position(), 0);
});
check('submitNewOrder LIMIT, modifyOrder, getAllOpenOrders, getCurrentOpenOrder, cancelOrder, getAllOrders', async () => {
  const o = await c.submitNewOrder({ symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 10, price: price(0.97) });
  assert.equal(number((await c.modifyOrder({ symbol, side: 'BUY', orderId: o.orderId, quantity: 11, price: price(0.96) })).origQty), 11);
  assert.equal((await c.getAllOpenOrders({ symbol })).length, 1);
  assert.equal((await c.getCurrentOpenOrder({ symbol, orderId: o.orderId })).status, 'NEW');
  assert.equal((await c.cancelOrder({ symbol, orderId: o.orderId })).status, 'CANCELED');
  await fails(c.cancelOrder({ symbol, orderId: o.orderId }), (e) => e.code === -2011, 'cancelled twice');
  assert.ok((await c.getAllOrders({ symbol })).length >= 3);
});
check('submitMultipleOrders, cancelMultipleOrders, cancelAllOpenOrders, setCancelOrdersOnTimeout', async () => {
  const one = { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '10' };
  const both = await c.submitMultipleOrders([{ ...one, price: String(price(0.97)) }, { ...one, price: String(price(0.96)) }]);
  assert.ok(both.every((o) => o.status === 'NEW'));
  const gone = await c.cancelMultipleOrders({ symbol, orderIdList: both.map((o) => o.orderId) });
  assert.ok(gone.every((o) => o.status === 'CANCELED'));
  await c.submitNewOrder({ ...one, quantity: 10, price: price(0.97) });
  await c.cancelAllOpenOrders({ symbol });
  assert.equal((await c.getAllOpenOrders({ symbol })).length, 0);
  await c.setCancelOrdersOnTimeout({ symbol, countdownTime: 100000 });
  await c.setCancelOrdersOnTimeout({ symbol, countdownTime: 0 });
});
check('submitNewAlgoOrder (five types), getAlgoOrder, getOpenAlgoOrders, cancelAlgoOrder, cancelAllAlgoOpenOrders, getAllAlgoOrders', async () => {
  last = number((await c.getSymbolPriceTicker({ symbol })).price);
  const base = { algoType: 'CONDITIONAL', symbol, side: 'BUY', quantity: 10 };
  const a = [
    await c.submitNewAlgoOrder({ ...base, type: 'STOP_MARKET', triggerPrice: price(1.04) }),
    await c.submitNewAlgoOrder({ ...base, type: 'STOP', triggerPrice: price(1.04), price: price(1.045) }),
    await c.submitNewAlgoOrder({ ...base, type: 'TAKE_PROFIT_MARKET', triggerPrice: price(0.96) }),
    await c.submitNewAlgoOrder({ ...base, type: 'TAKE_PROFIT', triggerPrice: price(0.96), price: price(0.96) }),
    await c.submitNewAlgoOrder({ ...base, type: 'TRAILING_STOP_MARKET', callbackRate: 2 }),
  ];
  assert.deepEqual((await c.getOpenAlgoOrders({ symbol })).map((x) => x.algoId).sort(), a.map((x) => x.algoId).sort());
  assert.equal((await c.getAlgoOrder({ algoId: a[1].algoId })).orderType, 'STOP');
  await c.cancelAlgoOrder({ algoId: a[0].algoId });
  await c.cancelAllAlgoOpenOrders({ symbol });
  assert.ok((await c.getAllAlgoOrders({ symbol })).every((x) => x.algoStatus === 'CANCELED'));
  await fails(c.submitNewOrder({ symbol, side: 'SELL', type: 'STOP_MARKET', quantity: 10, stopPrice: price(0.9) }), (e) => e.code === -4120, 'a stop on the ordinary endpoint');
});
check('getIncomeHistory, getAccountCommissionRate', async () => {
  assert.ok((await c.getIncomeHistory({ symbol })).length >= 2);
  assert.equal(number((await c.getAccountCommissionRate({ symbol })).makerCommissionRate), 0.0002);
});
check('WebsocketClient: trades, klines, book ticker, depth, user data', async () => {
  const ws = new WebsocketClient({ ...keys, wsUrl: env('WS_URL'), restOptions: { baseUrl: env('URL') } }, quiet);
  const seen = [];
  ws.on('message', (m) => seen.push(m));
  ws.on('exception', () => {});
  ws.subscribe([`${symbol.toLowerCase()}@aggTrade`, `${symbol.toLowerCase()}@kline_1m`, `${symbol.toLowerCase()}@markPrice@1s`], 'usdmMarket');
  ws.subscribe([`${symbol.toLowerCase()}@bookTicker`, `${symbol.toLowerCase()}@depth@100ms`], 'usdmPublic');
  await ws.subscribeUsdFuturesUserDataStream();
  const of = (type) => seen.map((m) => m.data ?? m).filter((m) => m.e === type);
  for (const type of ['aggTrade', 'kline', 'markPriceUpdate', 'bookTicker', 'depthUpdate']) await await_(`a ${type}`, async () => of(type).length > 1, 30000);
  const depth = of('depthUpdate');
  for (let i = 1; i < depth.length; i++) assert.equal(depth[i].pu, depth[i - 1].u);
  await new Promise((d) => setTimeout(d, 500));
  const o = await c.submitNewOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: 10 });
  await await_('its fill', async () => of('ORDER_TRADE_UPDATE').find((e) => e.o.i === o.orderId && e.o.X === 'FILLED'));
  await c.submitNewOrder({ symbol, side: 'SELL', type: 'MARKET', quantity: 10, reduceOnly: 'true' });
  ws.closeAll(true);
});
check('WebsocketAPIClient: submitNewFuturesOrder, getFuturesOrderStatus, cancelFuturesOrder, getFuturesAccountBalance', async () => {
  const api = new WebsocketAPIClient({ ...keys, wsUrl: env('WS_URL'), attachEventListeners: false }, quiet);
  const o = (await api.submitNewFuturesOrder('usdm', { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 10, price: price(0.97), timestamp: Date.now() })).result;
  assert.equal(o.status, 'NEW');
  assert.equal((await api.getFuturesOrderStatus('usdm', { symbol, orderId: o.orderId, timestamp: Date.now() })).result.orderId, o.orderId);
  assert.equal((await api.cancelFuturesOrder('usdm', { symbol, orderId: o.orderId, timestamp: Date.now() })).result.status, 'CANCELED');
  assert.ok((await api.getFuturesAccountBalance('usdm', { timestamp: Date.now() })).result.find((b) => b.asset === 'USDT'));
  api.getWSClient().closeAll(true);
});

await run('binance');
