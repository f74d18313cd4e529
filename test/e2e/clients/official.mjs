// @binance/derivatives-trading-usds-futures: REST, WebSocket API and streams. Environment: URL, WS_URL, API_KEY, API_SECRET.
import { DerivativesTradingUsdsFutures } from '@binance/derivatives-trading-usds-futures';
import { assert, await_, check, env, fails, near, number, run, snap } from './lib.mjs';

const keys = { apiKey: env('API_KEY'), apiSecret: env('API_SECRET') };
const client = new DerivativesTradingUsdsFutures({
  configurationRestAPI: { ...keys, basePath: env('URL'), timeout: 10000 },
  configurationWebsocketAPI: { ...keys, wsURL: `${env('WS_URL')}/ws-fapi/v1` },
  configurationWebsocketStreams: { wsURL: env('WS_URL') },
});
const rest = client.restAPI;
const symbol = 'ETHUSDT';
const data = async (call) => (await call).data();
let last, tick, step, ws;
const price = (factor) => snap(last * factor, tick);
const amt = async () => number((await data(rest.positionInformationV3({ symbol }))).find((p) => p.symbol === symbol)?.positionAmt ?? 0);

check('checkServerTime, exchangeInformation', async () => {
  near((await data(rest.checkServerTime())).serverTime, Date.now(), 1000, 'time');
  const info = await data(rest.exchangeInformation());
  const s = info.symbols.find((x) => x.symbol === symbol);
  tick = s.filters.find((f) => f.filterType === 'PRICE_FILTER').tickSize;
  step = s.filters.find((f) => f.filterType === 'LOT_SIZE').stepSize;
  assert.equal(s.status, 'TRADING');
  assert.equal(s.orderTypes.length, 7);
  assert.ok(number(tick) > 0 && number(step) > 0);
});
check('symbolPriceTicker, klineCandlestickData, orderBook, markPrice', async () => {
  last = number((await data(rest.symbolPriceTicker({ symbol }))).price);
  const rows = await data(rest.klineCandlestickData({ symbol, interval: '5m', limit: 10 }));
  assert.equal(rows.length, 10);
  assert.equal(number(rows[1][0]) - number(rows[0][0]), 300000);
  const book = await data(rest.orderBook({ symbol, limit: 5 }));
  assert.ok(number(book.bids[0][0]) < number(book.asks[0][0]));
  near((await data(rest.markPrice({ symbol }))).markPrice, last, last * 0.02, 'mark');
});
check('futuresAccountBalanceV3, accountInformationV2/V3, futuresAccountConfiguration', async () => {
  const usdt = (await data(rest.futuresAccountBalanceV3())).find((b) => b.asset === 'USDT');
  const v3 = await data(rest.accountInformationV3());
  const v2 = await data(rest.accountInformationV2());
  near(usdt.balance, v3.totalWalletBalance, 1e-6, 'v3 wallet');
  near(v2.totalWalletBalance, v3.totalWalletBalance, 1e-6, 'v2 wallet');
  assert.ok(v2.positions.length >= 10);
  assert.equal((await data(rest.futuresAccountConfiguration())).canTrade, true);
});
check('notionalAndLeverageBrackets, userCommissionRate', async () => {
  const b = await data(rest.notionalAndLeverageBrackets({ symbol }));
  assert.ok((Array.isArray(b) ? b[0] : b).brackets[0].initialLeverage >= 20);
  assert.equal(number((await data(rest.userCommissionRate({ symbol }))).takerCommissionRate), 0.0005);
});
check('changeInitialLeverage, changeMarginType, changePositionMode, symbolConfiguration', async () => {
  assert.equal(number((await data(rest.changeInitialLeverage({ symbol, leverage: 5 }))).leverage), 5);
  assert.equal(number((await data(rest.changeMarginType({ symbol, marginType: 'ISOLATED' }))).code), 200);
  await fails(rest.changeMarginType({ symbol, marginType: 'ISOLATED' }), (e) => /No need to change margin type/.test(e.message), 'same margin type');
  const c = (await data(rest.symbolConfiguration({ symbol })))[0];
  assert.equal(c.marginType, 'ISOLATED');
  assert.equal(number(c.leverage), 5);
  assert.equal((await data(rest.getCurrentPositionMode())).dualSidePosition, false);
});
check('newOrder MARKET, positionInformationV3, accountTradeList', async () => {
  const o = await data(rest.newOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: 0.5, newOrderRespType: 'RESULT' }));
  assert.equal(o.status, 'FILLED');
  assert.equal(number(o.executedQty), 0.5);
  assert.equal(await amt(), 0.5);
  const fills = (await data(rest.accountTradeList({ symbol }))).filter((t) => number(t.orderId) === number(o.orderId));
  near(fills.reduce((s, t) => s + number(t.qty), 0), 0.5, 1e-12, 'fills');
  const cost = fills.reduce((s, t) => s + number(t.quoteQty), 0);
  const p = (await data(rest.positionInformationV3({ symbol })))[0];
  near(p.entryPrice, cost / 0.5, 0.01, 'entry');
  near(p.isolatedWallet, cost / 5, cost * 0.002, 'isolated wallet');
});
check('modifyIsolatedPositionMargin', async () => {
  const before = number((await data(rest.positionInformationV3({ symbol })))[0].isolatedWallet);
  assert.equal(number((await data(rest.modifyIsolatedPositionMargin({ symbol, amount: 10, type: '1' }))).code), 200);
  near((await data(rest.positionInformationV3({ symbol })))[0].isolatedWallet, before + 10, 1e-6, 'after adding');
});
check('newAlgoOrder STOP_MARKET, TAKE_PROFIT_MARKET, TRAILING_STOP_MARKET; query, list, cancel', async () => {
  last = number((await data(rest.symbolPriceTicker({ symbol }))).price);
  const stop = await data(rest.newAlgoOrder({ algoType: 'CONDITIONAL', symbol, side: 'SELL', type: 'STOP_MARKET', quantity: 0.5, triggerPrice: price(0.96), workingType: 'MARK_PRICE', reduceOnly: 'true' }));
  assert.equal(stop.algoStatus, 'NEW');
  assert.equal(number(stop.triggerPrice), price(0.96));
  const take = await data(rest.newAlgoOrder({ algoType: 'CONDITIONAL', symbol, side: 'SELL', type: 'TAKE_PROFIT_MARKET', triggerPrice: price(1.04), closePosition: 'true' }));
  assert.equal(take.closePosition, true);
  const trail = await data(rest.newAlgoOrder({ algoType: 'CONDITIONAL', symbol, side: 'SELL', type: 'TRAILING_STOP_MARKET', quantity: 0.5, callbackRate: 1.5, reduceOnly: 'true' }));
  assert.equal((await data(rest.currentAllAlgoOpenOrders({ symbol }))).length, 3);
  assert.equal((await data(rest.queryAlgoOrder({ algoId: stop.algoId }))).algoStatus, 'NEW');
  assert.equal(String((await data(rest.cancelAlgoOrder({ algoId: trail.algoId }))).code), '200');
  await data(rest.cancelAllAlgoOpenOrders({ symbol }));
  assert.equal((await data(rest.currentAllAlgoOpenOrders({ symbol }))).length, 0);
});
check('newOrder LIMIT, GTX, modifyOrder, queryOrder, cancelOrder, currentAllOpenOrders, allOrders', async () => {
  const o = await data(rest.newOrder({ symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.5, price: price(0.97) }));
  assert.equal(o.status, 'NEW');
  const m = await data(rest.modifyOrder({ symbol, side: 'BUY', orderId: o.orderId, quantity: 0.6, price: price(0.965) }));
  assert.equal(number(m.origQty), 0.6);
  const q = await data(rest.queryOrder({ symbol, orderId: o.orderId }));
  assert.equal(number(q.price), price(0.965));
  assert.equal((await data(rest.currentAllOpenOrders({ symbol }))).length, 1);
  assert.equal((await data(rest.cancelOrder({ symbol, orderId: o.orderId }))).status, 'CANCELED');
  await fails(rest.cancelOrder({ symbol, orderId: o.orderId }), (e) => e.name === 'BadRequestError' || /Unknown order sent/.test(e.message), 'cancelled twice');
  await fails(rest.newOrder({ symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTX', quantity: 0.5, price: price(1.02) }), (e) => /Post Only/.test(e.message), 'post-only that takes');
  assert.ok((await data(rest.allOrders({ symbol }))).length >= 2);
  await data(rest.testOrder({ symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.5, price: price(0.97) }));
  assert.equal((await data(rest.currentAllOpenOrders({ symbol }))).length, 0);
});
check('placeMultipleOrders, cancelMultipleOrders, cancelAllOpenOrders, autoCancelAllOpenOrders', async () => {
  const one = { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '0.5' };
  const both = await data(rest.placeMultipleOrders({ batchOrders: [{ ...one, price: String(price(0.97)) }, { ...one, price: String(price(0.96)) }, { ...one, type: 'STOP_MARKET', stopPrice: '1' }] }));
  assert.equal(both.length, 3);
  assert.equal(both[2].code, -4120);
  const gone = await data(rest.cancelMultipleOrders({ symbol, orderIdList: [both[0].orderId, both[1].orderId] }));
  assert.ok(gone.every((o) => o.status === 'CANCELED'));
  await data(rest.newOrder({ ...one, quantity: 0.5, price: price(0.97) }));
  assert.equal(number((await data(rest.cancelAllOpenOrders({ symbol }))).code), 200);
  await data(rest.newOrder({ ...one, quantity: 0.5, price: price(0.97) }));
  assert.equal((await data(rest.autoCancelAllOpenOrders({ symbol, countdownTime: 300 }))).countdownTime, '300');
  await await_('the countdown cancelled it', async () => (await data(rest.currentAllOpenOrders({ symbol }))).length === 0);
});
check('newOrder reduce-only, refusals', async () => {
  await fails(rest.newOrder({ symbol, side: 'SELL', type: 'STOP_MARKET', quantity: 0.5, stopPrice: price(0.9) }), (e) => /Algo Order API/.test(e.message), '-4120');
  const o = await data(rest.newOrder({ symbol, side: 'SELL', type: 'MARKET', quantity: 0.5, reduceOnly: 'true', newOrderRespType: 'RESULT' }));
  assert.equal(o.status, 'FILLED');
  assert.equal(await amt(), 0);
  await fails(rest.newOrder({ symbol, side: 'SELL', type: 'MARKET', quantity: 0.5, reduceOnly: 'true' }), (e) => /ReduceOnly/.test(e.message), '-2022');
});
check('getIncomeHistory', async () => {
  const rows = await data(rest.getIncomeHistory({ symbol, limit: 1000 }));
  assert.ok(rows.some((r) => r.incomeType === 'REALIZED_PNL') && rows.filter((r) => r.incomeType === 'COMMISSION').length >= 2);
});
check('WebSocket API: newOrder, queryOrder, modifyOrder, cancelOrder, newAlgoOrder, accountInformationV2, positions, balance', async () => {
  ws = await client.websocketAPI.connect();
  const got = async (call) => (await call).data;
  const o = await got(ws.newOrder({ symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.5, price: price(0.97) }));
  assert.equal(o.status, 'NEW');
  assert.equal(number((await got(ws.queryOrder({ symbol, orderId: o.orderId }))).price), price(0.97));
  assert.equal(number((await got(ws.modifyOrder({ symbol, side: 'BUY', orderId: o.orderId, quantity: 0.5, price: price(0.96) }))).price), price(0.96));
  assert.equal((await got(ws.cancelOrder({ symbol, orderId: o.orderId }))).status, 'CANCELED');
  const a = await got(ws.newAlgoOrder({ algoType: 'CONDITIONAL', symbol, side: 'SELL', type: 'STOP_MARKET', quantity: 0.5, triggerPrice: price(0.96) }));
  assert.equal(a.algoStatus, 'NEW');
  await got(ws.cancelAlgoOrder({ algoId: a.algoId }));
  const wallet = (await data(rest.accountInformationV3())).totalWalletBalance;
  near((await got(ws.accountInformationV2())).totalWalletBalance, wallet, 1e-6, 'wallet');
  assert.ok(Array.isArray(await got(ws.positionInformationV2({ symbol }))));
  near((await got(ws.futuresAccountBalanceV2())).find((b) => b.asset === 'USDT').balance, wallet, 1e-6, 'balance');
  assert.ok((await got(ws.symbolPriceTicker({ symbol }))).price);
  await ws.disconnect();
});
check('streams: aggregate trades, klines, mark price, book ticker, depth; user data', async () => {
  const streams = await client.websocketStreams.connect();
  const seen = {};
  const follow = (name, stream) => stream.on('message', (m) => (seen[name] ??= []).push(m));
  follow('aggTrade', streams.aggregateTradeStreams({ symbol: symbol.toLowerCase() }));
  follow('kline', streams.klineCandlestickStreams({ symbol: symbol.toLowerCase(), interval: '1m' }));
  follow('mark', streams.markPriceStream({ symbol: symbol.toLowerCase(), updateSpeed: '1s' }));
  follow('book', streams.individualSymbolBookTickerStreams({ symbol: symbol.toLowerCase() }));
  follow('depth', streams.diffBookDepthStreams({ symbol: symbol.toLowerCase(), updateSpeed: '100ms' }));
  for (const name of ['aggTrade', 'kline', 'mark', 'book', 'depth']) await await_(`a ${name} message`, async () => seen[name]?.length > 2, 30000);
  for (let i = 1; i < seen.depth.length; i++) assert.equal(number(seen.depth[i].pu), number(seen.depth[i - 1].u), 'pu chain');
  assert.equal(seen.kline[0].k.i, '1m');
  assert.ok(number(seen.book[0].b) < number(seen.book[0].a));
  const { listenKey } = await data(rest.startUserDataStream());
  assert.equal(listenKey.length, 64);
  const user = streams.userData(listenKey);
  const events = [];
  user.on('message', (m) => events.push(m));
  await await_('subscribed', async () => streams.isConnected());
  await new Promise((d) => setTimeout(d, 300));
  const o = await data(rest.newOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: 0.5 }));
  const fill = await await_('its fill', async () => events.find((e) => e.e === 'ORDER_TRADE_UPDATE' && number(e.o.i) === number(o.orderId) && e.o.X === 'FILLED'));
  assert.equal(number(fill.o.z), 0.5);
  const account = await await_('ACCOUNT_UPDATE', async () => events.findLast((e) => e.e === 'ACCOUNT_UPDATE'));
  assert.equal(number(account.a.P[0].pa), 0.5);
  assert.ok(events.some((e) => e.e === 'TRADE_LITE'));
  await data(rest.newOrder({ symbol, side: 'SELL', type: 'MARKET', quantity: 0.5, reduceOnly: 'true' }));
  await rest.keepaliveUserDataStream();
  await rest.closeUserDataStream();
  await streams.disconnect();
});

await run('@binance/derivatives-trading-usds-futures');
