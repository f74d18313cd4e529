// ccxt (binanceusdm, REST and pro streams) against the exchange. Environment: URL, WS_URL, API_KEY, API_SECRET.
import ccxt from 'ccxt';
import { assert, await_, check, env, fails, near, number, run, sleep } from './lib.mjs';

const S = 'BTC/USDT:USDT';

export function make(Class, keys = {}) {
  const base = env('URL');
  const ws = env('WS_URL');
  const api = {};
  for (const [name, path] of Object.entries({
    fapiPublic: '/fapi/v1', fapiPublicV2: '/fapi/v2', fapiPublicV3: '/fapi/v3', fapiPrivate: '/fapi/v1',
    fapiPrivateV2: '/fapi/v2', fapiPrivateV3: '/fapi/v3', fapiData: '/futures/data', public: '/api/v3',
    private: '/api/v3', v1: '/api/v1', sapi: '/sapi/v1', sapiV2: '/sapi/v2', sapiV3: '/sapi/v3', sapiV4: '/sapi/v4',
    dapiPublic: '/dapi/v1', dapiPrivate: '/dapi/v1', dapiPrivateV2: '/dapi/v2', eapiPublic: '/eapi/v1',
    eapiPrivate: '/eapi/v1', papi: '/papi/v1',
  })) api[name] = base + path;
  return new Class({
    apiKey: keys.apiKey ?? env('API_KEY'),
    secret: keys.secret ?? env('API_SECRET'),
    enableRateLimit: false,
    urls: { api: { ...api, ws: { future: `${ws}/ws`, 'ws-api': { future: `${ws}/ws-fapi/v1` } } } },
    ...keys.options,
  });
}

if (process.argv[1].endsWith('ccxt.mjs')) {
  const ex = make(ccxt.binanceusdm);
  const pro = make(ccxt.pro.binanceusdm);
  await pro.loadHttpProxyAgent(); // ccxt needs this once for ws:// addresses
  let market, last, start;
  const amount = 0.01;
  const price = (factor) => Number(ex.priceToPrecision(S, last * factor));
  const wallet = async () => number((await ex.fetchBalance()).info.assets.find((a) => a.asset === 'USDT').walletBalance);
  const position = async () => (await ex.fetchPositions([S])).find((p) => p.contracts > 0);
  const flat = async () => {
    await ex.cancelAllOrders(S);
    await ex.cancelAllOrders(S, { trigger: true });
    const p = await position();
    if (p) await ex.createOrder(S, 'market', p.side === 'long' ? 'sell' : 'buy', p.contracts, undefined, { reduceOnly: true });
    await await_('flat', async () => !(await position()));
  };

  check('fetchTime', async () => near(await ex.fetchTime(), Date.now(), 1000, 'server time'));
  check('loadMarkets', async () => {
    await ex.loadMarkets();
    await pro.loadMarkets();
    market = ex.market(S);
    assert.equal(market.id, 'BTCUSDT');
    assert.equal(market.type, 'swap');
    assert.equal(market.active, true);
    assert.equal(market.precision.price, 0.1);
    assert.equal(market.precision.amount, 0.001);
    assert.equal(market.limits.cost.min, 50);
    assert.equal(market.limits.amount.max, 1000);
    assert.equal(market.limits.market.max, 120);
  });
  check('fetchTicker', async () => {
    const t = await ex.fetchTicker(S);
    last = t.last;
    assert.ok(last > 0 && t.high >= last && t.low <= last && t.baseVolume >= 0);
  });
  check('fetchTickers, fetchBidsAsks, fetchLastPrices', async () => {
    const [all, tops, prices] = [await ex.fetchTickers(), await ex.fetchBidsAsks([S]), await ex.fetchLastPrices([S])];
    assert.ok(Object.keys(all).length >= 10);
    assert.ok(tops[S].bid < tops[S].ask);
    near(prices[S].price, last, last * 0.01, 'last price');
  });
  check('fetchOHLCV', async () => {
    const rows = await ex.fetchOHLCV(S, '1m', undefined, 100);
    assert.equal(rows.length, 100);
    for (let i = 1; i < rows.length; i++) assert.equal(rows[i][0] - rows[i - 1][0], 60000);
    for (const [, o, h, l, c, v] of rows) assert.ok(l <= Math.min(o, c) && h >= Math.max(o, c) && v >= 0);
    const hour = await ex.fetchOHLCV(S, '1h', undefined, 3);
    assert.equal(hour[1][0] - hour[0][0], 3600000);
  });
  check('fetchMarkOHLCV, fetchIndexOHLCV', async () => {
    for (const rows of [await ex.fetchMarkOHLCV(S, '1m', undefined, 2), await ex.fetchIndexOHLCV(S, '1m', undefined, 2)])
      near(rows.at(-1)[4], last, last * 0.02, 'close');
  });
  check('fetchOrderBook', async () => {
    const book = await ex.fetchOrderBook(S, 20);
    assert.ok(book.bids.length > 0 && book.asks.length > 0 && book.bids[0][0] < book.asks[0][0]);
    for (let i = 1; i < book.bids.length; i++) assert.ok(book.bids[i][0] < book.bids[i - 1][0]);
    for (let i = 1; i < book.asks.length; i++) assert.ok(book.asks[i][0] > book.asks[i - 1][0]);
  });
  check('fetchTrades', async () => {
    const trades = await await_('a trade', async () => {
      const t = await ex.fetchTrades(S, undefined, 50);
      return t.length > 1 && t;
    }, 30000);
    for (let i = 1; i < trades.length; i++) assert.ok(number(trades[i].id) > number(trades[i - 1].id));
  });
  check('fetchFundingRate, fetchFundingRates, fetchFundingRateHistory, fetchFundingIntervals', async () => {
    const f = await ex.fetchFundingRate(S);
    assert.ok(Math.abs(f.fundingRate) < 0.05 && f.fundingTimestamp > Date.now() && f.markPrice > 0 && f.indexPrice > 0);
    assert.ok(Object.keys(await ex.fetchFundingRates()).length >= 10);
    assert.ok(Array.isArray(await ex.fetchFundingRateHistory(S)));
    await ex.fetchFundingIntervals();
  });
  check('fetchOpenInterest', async () => assert.ok((await ex.fetchOpenInterest(S)).openInterestAmount >= 0));
  check('fetchLeverageTiers', async () => {
    const tiers = (await ex.fetchLeverageTiers([S]))[S];
    assert.equal(tiers[0].maxLeverage, 150);
    assert.equal(tiers[0].maintenanceMarginRate, 0.004);
    assert.equal(tiers[1].minNotional, 300000);
  });
  check('fetchTradingFee', async () => {
    const fee = await ex.fetchTradingFee(S);
    assert.equal(fee.taker, 0.0005);
    assert.equal(fee.maker, 0.0002);
  });
  check('fetchBalance (v3 and v2)', async () => {
    start = (await ex.fetchBalance()).USDT;
    assert.ok(start.total > 0);
    near((await ex.fetchBalance({ useV2: true })).USDT.total, start.total, 1e-6, 'v2 balance');
  });
  check('fetchPositionMode, setPositionMode', async () => {
    assert.equal((await ex.fetchPositionMode(S)).hedged, false);
    await fails(ex.setPositionMode(false, S), (e) => /-4059/.test(e.message), 'the same mode again');
    await ex.setPositionMode(true, S);
    assert.equal((await ex.fetchPositionMode(S)).hedged, true);
    await ex.setPositionMode(false, S);
  });
  check('setMarginMode', async () => {
    await ex.setMarginMode('isolated', S);
    await fails(ex.setMarginMode('isolated', S), (e) => e instanceof ccxt.MarginModeAlreadySet, 'the same margin mode again');
    assert.equal((await ex.fetchMarginMode(S)).marginMode, 'isolated');
    await ex.setMarginMode('cross', S);
    assert.equal((await ex.fetchMarginMode(S)).marginMode, 'cross');
  });
  check('setLeverage, fetchLeverage', async () => {
    const r = await ex.setLeverage(10, S);
    assert.equal(number(r.leverage), 10);
    assert.equal((await ex.fetchLeverage(S)).longLeverage, 10);
    await fails(ex.setLeverage(126 * 2, S), (e) => /-4028|leverage/.test(e.message), 'leverage 252');
  });
  check('createOrder market, fetchPositions, fetchMyTrades', async () => {
    const o = await ex.createOrder(S, 'market', 'buy', amount);
    assert.equal(o.status, 'closed');
    assert.equal(o.filled, amount);
    const p = await position();
    assert.equal(p.contracts, amount);
    assert.equal(p.side, 'long');
    const trades = (await ex.fetchMyTrades(S)).filter((t) => t.order === o.id);
    near(trades.reduce((sum, t) => sum + t.amount, 0), amount, 1e-12, 'sum of fills');
    const cost = trades.reduce((sum, t) => sum + t.cost, 0);
    near(p.entryPrice, cost / amount, 0.01, 'entry price');
    near(trades.reduce((sum, t) => sum + t.fee.cost, 0), cost * 0.0005, 1e-6, 'taker fee');
    near(p.initialMargin, p.notional / 10, 0.5, 'initial margin');
    const again = await ex.fetchOrder(o.id, S);
    near(again.average, cost / amount, 0.01, 'average price');
    near(await wallet(), start.total - cost * 0.0005, 1e-6, 'wallet after the fee');
  });
  check('addMargin, reduceMargin', async () => {
    await fails(ex.addMargin(S, 1), (e) => /-4049/.test(e.message), 'margin of a cross position');
  });
  check('createOrder reduce-only market, realised profit', async () => {
    const p = await position();
    const o = await ex.createOrder(S, 'market', 'sell', amount, undefined, { reduceOnly: true });
    assert.equal(o.status, 'closed');
    assert.equal(o.reduceOnly, true);
    assert.equal(await position(), undefined);
    const fills = (await ex.fetchMyTrades(S)).filter((t) => t.order === o.id);
    const proceeds = fills.reduce((sum, t) => sum + t.cost, 0);
    const pnl = fills.reduce((sum, t) => sum + Number(t.info.realizedPnl), 0);
    near(pnl, proceeds - p.entryPrice * amount, 0.01, 'realised profit');
    await fails(ex.createOrder(S, 'market', 'sell', amount, undefined, { reduceOnly: true }), (e) => /-2022/.test(e.message), 'reduce-only without a position');
  });
  check('fetchLedger / income', async () => {
    const rows = await ex.fapiPrivateGetIncome({ symbol: 'BTCUSDT', limit: 1000 });
    const sum = rows.reduce((total, row) => total + Number(row.income), 0);
    near(await wallet(), start.total + sum, 1e-6, 'income is the change of the wallet');
    assert.ok(rows.some((row) => row.incomeType === 'COMMISSION'));
    // A trade that ends exactly where it began has no profit to book.
    const earned = (await ex.fetchMyTrades(S)).some((t) => Number(t.info.realizedPnl) !== 0);
    assert.equal(rows.some((row) => row.incomeType === 'REALIZED_PNL'), earned);
    await ex.fetchFundingHistory(S);
  });
  check('createOrder limit, fetchOpenOrders, editOrder, cancelOrder', async () => {
    last = (await ex.fetchTicker(S)).last;
    const o = await ex.createOrder(S, 'limit', 'buy', amount, price(0.97));
    assert.equal(o.status, 'open');
    assert.deepEqual((await ex.fetchOpenOrders(S)).map((x) => x.id), [o.id]);
    const changed = await ex.editOrder(o.id, S, 'limit', 'buy', 0.02, price(0.965));
    assert.equal(changed.amount, 0.02);
    assert.equal(changed.price, price(0.965));
    const seen = await ex.fetchOrder(o.id, S);
    assert.equal(seen.price, price(0.965));
    assert.equal((await ex.fetchOpenOrder?.(o.id, S))?.id ?? o.id, o.id);
    const gone = await ex.cancelOrder(o.id, S);
    assert.equal(gone.status, 'canceled');
    assert.equal((await ex.fetchOpenOrders(S)).length, 0);
    await fails(ex.cancelOrder(o.id, S), (e) => e instanceof ccxt.OrderNotFound, 'cancelled twice');
    await fails(ex.fetchOrder('999999999999', S), (e) => e instanceof ccxt.OrderNotFound, 'unknown order');
  });
  check('createOrder post-only, IOC, FOK, GTD', async () => {
    const resting = await ex.createOrder(S, 'limit', 'buy', amount, price(0.97), { postOnly: true });
    assert.equal(resting.timeInForce, 'PO');
    assert.equal(resting.status, 'open');
    await fails(ex.createOrder(S, 'limit', 'buy', amount, price(1.02), { postOnly: true }), (e) => /-5022/.test(e.message), 'post-only that takes');
    const ioc = await ex.createOrder(S, 'limit', 'buy', amount, price(0.97), { timeInForce: 'IOC' });
    assert.equal(ioc.status, 'expired');
    await fails(ex.createOrder(S, 'limit', 'buy', amount, price(0.97), { timeInForce: 'FOK' }), (e) => /-5021/.test(e.message), 'FOK that cannot fill');
    const gtd = await ex.createOrder(S, 'limit', 'buy', amount, price(0.97), { timeInForce: 'GTD', goodTillDate: (Math.floor(Date.now() / 1000) + 700) * 1000 });
    assert.equal(gtd.status, 'open');
    await ex.cancelAllOrders(S);
    assert.equal((await ex.fetchOpenOrders(S)).length, 0);
  });
  check('createOrders (batch), cancelOrders', async () => {
    const both = await ex.createOrders([
      { symbol: S, type: 'limit', side: 'buy', amount, price: price(0.97) },
      { symbol: S, type: 'limit', side: 'buy', amount, price: price(0.96) },
    ]);
    assert.equal(both.length, 2);
    assert.ok(both.every((o) => o.id));
    await ex.cancelOrders(both.map((o) => o.id), S);
    assert.equal((await ex.fetchOpenOrders(S)).length, 0);
    assert.ok((await ex.fetchOrders(S)).length >= 4);
    assert.ok((await ex.fetchCanceledOrders(S)).length >= 2);
    assert.ok((await ex.fetchClosedOrders(S)).length >= 2);
  });
  check('stop, take-profit, trailing, closePosition (algo)', async () => {
    await ex.createOrder(S, 'market', 'buy', amount);
    last = (await ex.fetchTicker(S)).last;
    const stop = await ex.createOrder(S, 'market', 'sell', amount, undefined, { stopLossPrice: price(0.95), reduceOnly: true });
    const take = await ex.createOrder(S, 'market', 'sell', amount, undefined, { takeProfitPrice: price(1.04), reduceOnly: true });
    const limit = await ex.createOrder(S, 'limit', 'sell', amount, price(0.949), { triggerPrice: price(0.95), reduceOnly: true });
    const all = await ex.createOrder(S, 'STOP_MARKET', 'sell', undefined, undefined, { stopLossPrice: price(0.94), closePosition: true, workingType: 'MARK_PRICE' });
    const trail = await ex.createOrder(S, 'market', 'sell', amount, undefined, { trailingPercent: 2, reduceOnly: true });
    const open = await ex.fetchOpenOrders(S, undefined, undefined, { trigger: true });
    assert.deepEqual(new Set(open.map((o) => o.id)), new Set([stop, take, limit, all, trail].map((o) => o.id)));
    const one = await ex.fetchOrder(stop.id, S, { trigger: true });
    assert.equal(one.triggerPrice ?? one.stopPrice, price(0.95));
    assert.equal(one.status, 'open');
    await ex.cancelOrder(trail.id, S, { trigger: true });
    assert.equal((await ex.fetchOpenOrders(S, undefined, undefined, { trigger: true })).length, 4);
    await ex.cancelAllOrders(S, { trigger: true });
    assert.equal((await ex.fetchOpenOrders(S, undefined, undefined, { trigger: true })).length, 0);
    await flat();
  });
  check('refusals: -2019 -2021 -4164 -1111 -4120 -2013', async () => {
    last = (await ex.fetchTicker(S)).last;
    const raw = (p) => ex.fapiPrivatePostOrder({ symbol: 'BTCUSDT', ...p });
    await fails(raw({ side: 'BUY', type: 'MARKET', quantity: '100' }), (e) => /-2019/.test(e.message), 'more than the margin');
    await fails(ex.createOrder(S, 'market', 'sell', amount, undefined, { stopLossPrice: price(1.05) }), (e) => /-2021/.test(e.message), 'a stop already crossed');
    await fails(raw({ side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '0.001', price: '30000' }), (e) => /-4164|-4024/.test(e.message), 'too small');
    await fails(raw({ side: 'BUY', type: 'MARKET', quantity: '0.0101' }), (e) => /-1111/.test(e.message), 'too many decimals');
    await fails(raw({ side: 'SELL', type: 'STOP_MARKET', quantity: '0.01', stopPrice: String(price(0.95)) }), (e) => /-4120/.test(e.message), 'a stop on the ordinary endpoint');
  });
  check('watchTicker, watchBidsAsks, watchTrades, watchOHLCV, watchMarkPrice', async () => {
    const t = await pro.watchTicker(S);
    near(t.last, last, last * 0.05, 'streamed last');
    const b = (await pro.watchBidsAsks([S]))[S];
    assert.ok(b.bid < b.ask);
    const trades = await pro.watchTrades(S);
    assert.ok(trades[0].amount > 0);
    const candles = await pro.watchOHLCV(S, '1m');
    assert.ok(candles.at(-1)[4] > 0);
    assert.ok((await pro.watchMarkPrice(S)).markPrice > 0);
  });
  check('watchOrderBook', async () => {
    let book;
    for (let i = 0; i < 10; i++) {
      book = await pro.watchOrderBook(S);
      assert.ok(book.bids[0][0] < book.asks[0][0], 'crossed book');
    }
    assert.ok(book.nonce > 0);
  });
  check('watchOrders, watchMyTrades, watchPositions, watchBalance', async () => {
    const orders = [];
    const fills = [];
    let stop = false;
    const follow = async (watch, into) => {
      while (!stop) for (const x of await watch()) into.push(x);
    };
    const loops = [follow(() => pro.watchOrders(S), orders), follow(() => pro.watchMyTrades(S), fills)];
    for (const l of loops) l.catch(() => {});
    await sleep(500);
    const o = await ex.createOrder(S, 'market', 'buy', amount);
    await await_('the order closed on the stream', async () => orders.find((x) => x.id === o.id && x.status === 'closed'));
    await await_('its fills on the stream', async () => Math.abs(fills.filter((x) => x.order === o.id).reduce((s, x) => s + x.amount, 0) - amount) < 1e-12);
    await flat();
    stop = true;
  });
  check('createOrderWs, fetchOrderWs, editOrderWs, cancelOrderWs, fetchBalanceWs, fetchPositionsWs', async () => {
    last = (await ex.fetchTicker(S)).last;
    const o = await pro.createOrderWs(S, 'limit', 'buy', amount, price(0.97));
    assert.equal(o.status, 'open');
    assert.equal((await pro.fetchOrderWs(o.id, S)).price, price(0.97));
    const edited = await pro.editOrderWs(o.id, S, 'limit', 'buy', amount, price(0.96));
    assert.equal(edited.price, price(0.96));
    assert.equal((await pro.cancelOrderWs(o.id, S)).status, 'canceled');
    near((await pro.fetchBalanceWs()).USDT.total, (await ex.fetchBalance()).USDT.total, 1e-6, 'balance');
    assert.ok(Array.isArray(await pro.fetchPositionsWs([S])));
    const stop = await pro.createOrderWs(S, 'market', 'sell', amount, undefined, { stopLossPrice: price(0.95) });
    assert.ok(stop.id);
    await ex.cancelAllOrders(S, { trigger: true });
  });
  await run('ccxt', async () => {
    await pro.close();
  });
}
