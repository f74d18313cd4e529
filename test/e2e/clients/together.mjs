// Two accounts, two different clients, one book that holds nothing but their orders. Environment: URL, WS_URL, ALICE and
// BOB (api_key:api_secret). Every figure is computed here and looked for on both sides.
import ccxt from 'ccxt';
import pkg from 'binance';
import { make } from './ccxt.mjs';
import { assert, await_, check, env, near, number, run } from './lib.mjs';

const S = 'BTC/USDT:USDT';
const symbol = 'BTCUSDT';
const [aliceKey, aliceSecret] = env('ALICE').split(':');
const [bobKey, bobSecret] = env('BOB').split(':');
const alice = make(ccxt.binanceusdm, { apiKey: aliceKey, secret: aliceSecret });
const bob = new pkg.USDMClient({ api_key: bobKey, api_secret: bobSecret, baseUrl: env('URL') });
const wallets = async () => [
  number((await alice.fetchBalance()).info.assets.find((a) => a.asset === 'USDT').walletBalance),
  number((await bob.getBalance()).find((b) => b.asset === 'USDT').balance),
];
const positions = async () => [
  (await alice.fetchPositions([S])).reduce((sum, p) => sum + (p.side === 'long' ? 1 : -1) * p.contracts, 0),
  (await bob.getPositions({ symbol })).reduce((sum, p) => sum + number(p.positionAmt), 0),
];
let start, base;
// A price near mark, on the tick: the book is empty, so mark says where one may quote.
const at = (percent) => Number((Math.round(base * (1 + percent / 100) * 10) / 10).toFixed(1));

check('an empty book', async () => {
  await alice.loadMarkets();
  start = await wallets();
  base = number((await bob.getMarkPrice({ symbol })).markPrice);
  const book = await alice.fetchOrderBook(S);
  assert.equal(book.bids.length + book.asks.length, 0);
  assert.deepEqual(await positions(), [0, 0]);
});
check('both see the resting orders of both', async () => {
  await alice.createOrder(S, 'limit', 'sell', 0.3, at(0.2));
  await alice.createOrder(S, 'limit', 'sell', 0.2, at(0.1));
  await bob.submitNewOrder({ symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.4, price: at(-0.1) });
  const seen = await bob.getOrderBook({ symbol, limit: 5 });
  assert.deepEqual(seen.asks.map(([p, q]) => [number(p), number(q)]), [[at(0.1), 0.2], [at(0.2), 0.3]]);
  const book = await alice.fetchOrderBook(S, 5);
  assert.deepEqual(book.bids, [[at(-0.1), 0.4]]);
});
check('a market order takes two levels: books, fills and balances agree', async () => {
  const o = await bob.submitNewOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: 0.35, newOrderRespType: 'RESULT' });
  assert.equal(o.status, 'FILLED');
  const theirs = (await bob.getAccountTrades({ symbol })).map((t) => [number(t.price), number(t.qty), t.maker]);
  assert.deepEqual(theirs, [[at(0.1), 0.2, false], [at(0.2), 0.15, false]]);
  const ours = (await alice.fetchMyTrades(S)).map((t) => [t.price, t.amount, t.takerOrMaker]);
  assert.deepEqual(ours, [[at(0.1), 0.2, 'maker'], [at(0.2), 0.15, 'maker']]);
  assert.deepEqual(await positions(), [-0.35, 0.35]);
  const cost = at(0.1) * 0.2 + at(0.2) * 0.15;
  const [a, b] = await wallets();
  near(a, start[0] - cost * 0.0002, 1e-6, 'maker fee');
  near(b, start[1] - cost * 0.0005, 1e-6, 'taker fee');
  const book = await alice.fetchOrderBook(S, 5);
  assert.equal(book.asks.length, 1);
  near(book.asks[0][1], 0.15, 1e-9, 'what is left');
  const tape = await alice.fetchTrades(S);
  assert.deepEqual(tape.slice(-2).map((t) => [t.price, t.amount, t.side]), [[at(0.1), 0.2, 'buy'], [at(0.2), 0.15, 'buy']]);
});
check('closing against each other: what one wins the other loses, to the cent', async () => {
  await alice.cancelAllOrders(S);
  const before = await wallets();
  const entry = (at(0.1) * 0.2 + at(0.2) * 0.15) / 0.35;
  const o = await alice.createOrder(S, 'limit', 'buy', 0.35, at(-0.1));
  const filled = await bob.submitNewOrder({ symbol, side: 'SELL', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.75, price: at(-0.1) });
  assert.ok(filled.orderId);
  // Bob's own resting bid of 0.4 was first in line: expired by self-trade prevention, then Alice's bid is taken.
  assert.equal((await alice.fetchOrder(o.id, S)).status, 'closed');
  const [a, b] = await wallets();
  const pnl = (entry - at(-0.1)) * 0.35;
  const fee = at(-0.1) * 0.35;
  near(a, before[0] + pnl - fee * 0.0002, 1e-6, "Alice's profit");
  near(b, before[1] - pnl - fee * 0.0005, 1e-6, "Bob's loss");
  assert.deepEqual(await positions(), [0, 0]);
  await bob.cancelAllOpenOrders({ symbol });
});
check('a stop of one fires on a trade of the other', async () => {
  await alice.createOrder(S, 'limit', 'sell', 0.1, at(0.1));
  await bob.submitNewOrder({ symbol, side: 'BUY', type: 'MARKET', quantity: 0.1 });
  await alice.createOrder(S, 'limit', 'buy', 0.5, at(-0.5));
  const stop = await bob.submitNewAlgoOrder({ algoType: 'CONDITIONAL', symbol, side: 'SELL', type: 'STOP_MARKET', triggerPrice: at(-0.3), closePosition: 'true' });
  await alice.createOrder(S, 'limit', 'sell', 0.05, at(-0.4));
  const last = await alice.createOrder(S, 'limit', 'buy', 0.01, at(-0.4), { selfTradePreventionMode: 'NONE' });
  assert.equal(last.status, 'closed');
  const fired = await await_('the stop finished', async () => {
    const x = await bob.getAlgoOrder({ algoId: stop.algoId });
    return x.algoStatus === 'FINISHED' && x;
  });
  assert.equal(number(fired.actualQty), 0.1);
  near(fired.actualPrice, at(-0.5), 0.01, 'filled at the bid that was there');
  assert.equal((await positions())[1], 0);
  await alice.cancelAllOrders(S);
});

await run('together');
