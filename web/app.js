'use strict';
/* Draws /api/state once a second. One document, one snapshot: no two figures can be of different
 * moments. Text goes in as text nodes only. Decimals arrive as exact texts and become floating
 * numbers for display alone. */

const POLL_MS = 1000;
const STALE_MS = 3000;
const SIGNALS_SHORT = 12;
const VOTERS = ['xgboost', 'lightgbm', 'nhits', 'patchtst'];

const $ = (id) => document.getElementById(id);
let last = null;        // newest state
let lastAt = 0;         // performance.now() when it came
let problem = '';       // why the newest request failed
let showAll = false;    // all signals, or the first few
let token = sessionStorage.getItem('token') || '';

/* ---- formatting ---- */

function money(text, digits = 2) {
  if (text === null || text === undefined) return '–';
  return Number(text).toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
function signed(text, digits = 2) {
  const n = Number(text);
  return (n > 0 ? '+' : n < 0 ? '−' : '') + money(Math.abs(n), digits);
}
/* Cents are too coarse for the costs of a small position. */
function small(text) { return Math.abs(Number(text)) < 1 ? (Number(text) < 0 ? '−' : '') + money(Math.abs(Number(text)), 4) : signed(text).replace('+', ''); }
function px(text) {
  if (text === null || text === undefined) return '–';
  const n = Number(text);
  const digits = n >= 1000 ? 2 : n >= 1 ? 4 : 6;
  return n.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: digits });
}
function plain(text) { return text === null ? '–' : Number(text).toLocaleString('en-US', { maximumFractionDigits: 8 }); }
function percent(x, digits = 0) { return (100 * x).toFixed(digits) + ' %'; }
function time(ms, seconds) {
  if (ms === null || ms === undefined) return '–';
  const iso = new Date(ms).toISOString();
  return iso.slice(0, 10) + ' ' + iso.slice(11, seconds ? 19 : 16);
}
function span(ms) {
  if (ms === null || ms === undefined) return 'never';
  if (ms < 1000) return ms + ' ms';
  if (ms < 120000) return (ms / 1000).toFixed(1) + ' s';
  if (ms < 7200000) return Math.round(ms / 60000) + ' min';
  return (ms / 3600000).toFixed(ms < 36000000 ? 1 : 0) + ' h';
}
function tone(text) { const n = Number(text); return n > 0 ? 'up' : n < 0 ? 'down' : ''; }

/* ---- building ---- */

function make(name, className, content) {
  const node = document.createElement(name);
  if (className) node.className = className;
  for (const part of Array.isArray(content) ? content : [content]) {
    if (part instanceof Node) node.append(part);
    else if (part !== undefined && part !== null && part !== '') node.append(String(part));
  }
  return node;
}
function mark(kind, text) { return make('span', 'mark ' + kind, text); }
function shape(name, attributes, content) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (content !== undefined) node.textContent = content;
  return node;
}
/* columns: [heading, class]; rows: arrays of text, Node or [class, text or Node]. */
function table(id, columns, rows, empty) {
  const target = $(id);
  if (!rows.length) {
    target.replaceChildren(make('tbody', '', make('tr', '', make('td', 'empty', empty))));
    return;
  }
  const head = make('tr', '', columns.map(([name, cls]) => make('th', cls || '', name)));
  const body = rows.map((row) => make('tr', '', row.map((cell, i) => {
    const cls = (columns[i][1] || '') + ' ' + (Array.isArray(cell) ? cell[0] : '');
    return make('td', cls.trim(), Array.isArray(cell) ? cell[1] : cell);
  })));
  const named = columns.some(([name]) => name);
  target.replaceChildren(...(named ? [make('thead', '', head)] : []), make('tbody', '', body));
}
function side(text) { return [text === 'BUY' ? 'up strong' : text === 'SELL' ? 'down strong' : 'soft', text]; }

/* ---- reports the run wrote by itself ---- */

let reportsAt = 0;      // performance.now() when they were asked for
async function drawReports() {
  if (reportsAt && performance.now() - reportsAt < 15000) return;
  reportsAt = performance.now();
  const answer = await fetch('/api/reports', { headers: token ? { Authorization: 'Bearer ' + token } : {} });
  if (!answer.ok) return;
  const list = (await answer.json()).data;
  const link = (path, text) => { const a = make('a', '', text); a.href = path; a.target = '_blank'; a.rel = 'noopener'; return a; };
  const node = $('reports');
  node.hidden = list.length === 0;
  node.replaceChildren('Reports of every fiftieth trade: ', ...list.slice(0, 10).flatMap((r) => [
    link(r.report, r.trades + ' trades'), ...(r.status ? [' (', link(r.status, 'status'), ')'] : []), ' · ' + time(r.written) + '  ']));
}

/* ---- panels ---- */

function drawBanner(s) {
  const banner = $('banner');
  const mode = String(s.mode || '').toUpperCase();
  let text, cls;
  if (!s.published) { text = 'STARTING · nothing published yet'; cls = 'broken'; }
  else if (s.mode === 'live') { text = 'LIVE · real orders, real money'; cls = 'live'; }
  else if (s.synthetic) { text = 'SYNTHETIC MARKET · ' + mode + ' · prices are generated, no figure here says anything about a real market'; cls = 'synthetic'; }
  else if (s.mode === 'testnet') { text = 'TESTNET · orders go to a test exchange, without money'; cls = 'recorded'; }
  else if (s.mode === 'replay') { text = 'REPLAY · recorded market, simulated orders'; cls = 'recorded'; }
  else { text = mode + ' · simulated orders, no money at risk'; cls = 'recorded'; }
  if (s.published && !s.running) text += ' · RUN HAS ENDED';
  banner.textContent = text;
  banner.className = 'banner ' + cls;
}

function drawHead(s) {
  $('market-time').textContent = s.published ? time(s.market_time, true) + ' UTC' : '–';
  $('speed').textContent = !s.published ? '–' : s.speed === 0 ? 'as fast as possible' : s.speed === 1 ? 'real time' : '×' + s.speed;
  $('strategy').textContent = s.strategy || '–';
  $('health').replaceChildren(mark(s.health.status === 'OK' ? 'good' : 'warn', s.health.status));
  const reasons = $('reasons');
  reasons.hidden = s.health.reasons.length === 0;
  reasons.replaceChildren(...s.health.reasons.map((r) => make('li', '', r)));
}

function tile(name, value, note, cls) {
  return make('div', 'tile', [make('div', 'name', name), make('div', 'value ' + (cls || ''), value), make('div', 'note', note)]);
}
function drawTiles(s) {
  const a = s.account, r = s.recent_summary, p = s.protection, m = s.health.metrics;
  const gain = Number(a.equity) - Number(a.wallet_start);
  const gainRate = Number(a.wallet_start) > 0 ? gain / Number(a.wallet_start) : 0;
  const rate = r.n ? percent(r.win_rate) : '–';
  const rateNote = r.n ? `last ${r.n} closed; 95 % interval ${percent(r.win_rate_low)} to ${percent(r.win_rate_high)}` : 'no closed trade yet';
  $('tiles').replaceChildren(
    tile('Equity, USDT', money(a.equity), 'wallet ' + money(a.wallet)),
    tile('Gain since start, net', signed(gain), (gain < 0 ? '−' : '+') + percent(Math.abs(gainRate), 2) + ' of ' + money(a.wallet_start), tone(gain)),
    tile('Costs so far', money(a.fees), 'fees; funding ' + signed(a.funding)),
    tile('Deepest drawdown', money(a.drawdown_max), 'from the highest equity'),
    tile('Wins, net of costs', rate, rateNote),
    tile('Trades closed', plain(m.trades_total), `${plain(m.fills_total)} fills, ${plain(m.venue_rejects_total)} venue rejects`),
    tile('Unprotected now', plain(p.positions_unprotected_now), `stop confirmed p99 ${span(p.time_to_protected_ms_p99)}, worst ${span(p.time_to_protected_ms_max)}`,
      p.positions_unprotected_now ? 'down' : 'up'));
}

function drawChart(s) {
  const box = $('chart'), points = s.equity_curve || [];
  $('equity-note').textContent = points.length ? `${points.length} points, market time; grey is the wallet, dashes the start` : '';
  if (points.length < 2) { box.replaceChildren(make('p', 'soft', 'Not enough points yet.')); return; }
  const width = Math.max(box.clientWidth, 200), height = Math.max(box.clientHeight, 120);
  const left = 74, right = 8, top = 8, bottom = 22;
  const start = Number(s.account.wallet_start);
  const xs = points.map((p) => p.time), es = points.map((p) => Number(p.equity)), ws = points.map((p) => Number(p.wallet));
  let low = Math.min(...es, ...ws, start), high = Math.max(...es, ...ws, start);
  if (high - low < 1e-9) { low -= 1; high += 1; }
  const pad = (high - low) * 0.06; low -= pad; high += pad;
  const t0 = xs[0], t1 = xs[xs.length - 1];
  const x = (t) => left + (t1 > t0 ? (t - t0) / (t1 - t0) : 0) * (width - left - right);
  const y = (v) => top + (1 - (v - low) / (high - low)) * (height - top - bottom);
  const path = (vs) => vs.map((v, i) => (i ? 'L' : 'M') + x(xs[i]).toFixed(1) + ' ' + y(v).toFixed(1)).join('');
  const svg = shape('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': 'Equity over market time' });
  for (let i = 0; i <= 4; i++) {
    const v = low + (high - low) * i / 4;
    svg.append(shape('line', { class: 'grid', x1: left, x2: width - right, y1: y(v), y2: y(v) }));
    svg.append(shape('text', { x: left - 8, y: y(v) + 4, 'text-anchor': 'end' }, money(v, high - low < 10 ? 2 : 0)));
  }
  svg.append(shape('text', { x: left, y: height - 5 }, time(t0)));
  svg.append(shape('text', { x: width - right, y: height - 5, 'text-anchor': 'end' }, time(t1)));
  svg.append(shape('path', { class: 'area', d: path(es) + `L${x(t1)} ${height - bottom}L${x(t0)} ${height - bottom}Z` }));
  svg.append(shape('line', { class: 'start', x1: left, x2: width - right, y1: y(start), y2: y(start) }));
  svg.append(shape('path', { class: 'wallet', d: path(ws) }));
  svg.append(shape('path', { class: 'curve', d: path(es) }));
  const hair = shape('line', { class: 'hair', y1: top, y2: height - bottom, visibility: 'hidden' });
  const tip = make('div', 'tip', '');
  tip.hidden = true;
  svg.append(hair);
  svg.addEventListener('pointermove', (event) => {
    const at = (event.clientX - svg.getBoundingClientRect().left - left) / (width - left - right) * (t1 - t0) + t0;
    let best = 0;
    for (let i = 1; i < xs.length; i++) if (Math.abs(xs[i] - at) < Math.abs(xs[best] - at)) best = i;
    hair.setAttribute('x1', x(xs[best])); hair.setAttribute('x2', x(xs[best])); hair.setAttribute('visibility', 'visible');
    tip.textContent = time(xs[best]) + '  ' + money(es[best]);
    tip.style.left = Math.min(Math.max(x(xs[best]), 90), width - 90) + 'px';
    tip.style.top = Math.max(y(es[best]), 34) + 'px';
    tip.hidden = false;
  });
  svg.addEventListener('pointerleave', () => { tip.hidden = true; hair.setAttribute('visibility', 'hidden'); });
  box.replaceChildren(svg, tip);
}

/* The profile, and what the Exit Brain made of the last close. */
function ending(x) {
  if (!x) return 'its plan';
  const said = x.p_side === null ? '' : ` (${percent(x.p_side)} for, ${percent(x.p_other)} against)`;
  return `${x.profile}: ${x.word.replace('_', ' ')}${said}`;
}

function drawPositions(s) {
  $('positions-note').textContent = s.positions.length ? `${s.positions.length} open` : '';
  table('positions', [['symbol', 'l'], ['side', 'l'], ['protected', 'l'], ['unrealised'], ['quantity'], ['entry'], ['mark'], ['stop'], ['take profit'], ['fees'], ['funding'], ['lev.'], ['since', 'l'], ['ended by', 'l']],
    s.positions.map((p) => [['strong', p.symbol], side(p.side), p.protected ? mark('good', '✓ stop confirmed') : mark('bad', '✗ no stop yet'),
      [tone(p.unrealized_pnl), signed(p.unrealized_pnl)], plain(p.qty), px(p.entry_px), px(p.mark_px), px(p.stop_px), px(p.take_profit_px),
      small(p.fees), small(p.funding), p.leverage + '×', ['soft', time(p.entry_time)], ['soft', ending(p.exit_brain)]]), 'Flat: no open position.');
}

function voteCell(vote) {
  if (!vote || vote.state !== 'present') return make('span', 'soft', vote ? vote.state.replace('_', ' ') : '–');
  const svg = shape('svg', { class: 'votes', viewBox: '0 0 100 10', preserveAspectRatio: 'none' });
  let at = 0;
  for (const [label, cls] of [['SELL', 'sell'], ['HOLD', 'hold'], ['BUY', 'buy']]) {
    const w = 100 * vote.p[label];
    svg.append(shape('rect', { class: cls, x: at, y: 0, width: Math.max(w - 1, 0), height: 10 }));
    at += w;
  }
  const best = Object.keys(vote.p).reduce((a, b) => (vote.p[b] > vote.p[a] ? b : a));
  svg.append(shape('title', {}, Object.entries(vote.p).map(([k, v]) => `${k} ${v.toFixed(3)}`).join(', ') + `; weight ${vote.weight.toFixed(2)}`));
  return make('span', '', [svg, `${best} ${percent(vote.p[best])}`]);
}
function drawSignals(s) {
  /* What asks for a trade first, then the surest. */
  const rank = (x) => (x.action && x.action !== 'HOLD' && !x.expired ? 2 : x.action ? 1 : 0);
  const all = [...s.signals].sort((a, b) => rank(b) - rank(a) || (b.confidence || 0) - (a.confidence || 0) || (a.symbol < b.symbol ? -1 : 1));
  const shown = showAll ? all : all.slice(0, SIGNALS_SHORT);
  const warming = all.filter((x) => !x.warm).length;
  $('signals-note').textContent = `${all.length} symbols` + (warming ? `, ${warming} warming up` : '') + '; bars show SELL, HOLD, BUY probability';
  const button = $('signals-all');
  button.hidden = all.length <= SIGNALS_SHORT;
  button.textContent = showAll ? `first ${SIGNALS_SHORT} only` : `all ${all.length}`;
  table('signals', [['symbol', 'l'], ['last'], ['signal', 'l'], ['confidence'], ['edge, gross'], ...VOTERS.map((v) => [v, 'l']), ['stop'], ['target'], ['size'], ['bar', 'l']],
    shown.map((x) => {
      if (!x.action) return [['strong', x.symbol], px(x.last_px), ['soft', x.bars_missing ? `warming: ${x.bars_missing} bars to go` : x.warm ? 'no bar yet' : 'warming'],
        '', '', ...VOTERS.map(() => ''), '', '', '', ['soft', time(x.bar_time)]];
      return [['strong', x.symbol], px(x.last_px),
        x.expired ? ['soft', x.action + ' (expired)'] : x.voters_action !== x.action ? ['soft', `${x.voters_action}: ${words(x.reason)}`] : side(x.action), percent(x.confidence, 1),
        x.action === 'HOLD' ? '' : (x.edge >= 0 ? '+' : '−') + percent(Math.abs(x.edge), 3), ...VOTERS.map((v) => voteCell(x.votes[v])),
        px(x.stop_loss), px(x.take_profit), x.action === 'HOLD' ? '' : money(x.position_size_usd), ['soft', time(x.bar_time)]];
    }), 'No symbol yet.');
}

function drawOrders(s) {
  $('orders-note').textContent = s.orders.length ? `${s.orders.length} working at the venue` : '';
  table('orders', [['symbol', 'l'], ['side', 'l'], ['type', 'l'], ['status', 'l'], ['price'], ['trigger'], ['filled / quantity'], ['id', 'l']],
    s.orders.map((o) => [['strong', o.symbol], side(o.side), o.order_type + (o.reduce_only ? ' · reduce' : ''), o.order_status, px(o.limit_px), px(o.stop_px),
      Number(o.order_qty) === 0 ? ['soft', 'whole position'] : plain(o.cum_qty) + ' / ' + plain(o.order_qty), ['soft', o.client_order_id]]), 'No open order.');
}

function drawTrades(s) {
  const trades = s.trades || [], r = s.recent_summary;
  $('trades-note').textContent = r && r.n ? `last ${r.n}: ${signed(r.net_pnl)} net of fees and funding` : '';
  table('trades', [['symbol', 'l'], ['side', 'l'], ['net'], ['in R'], ['why it ended', 'l'], ['quantity'], ['entry'], ['exit'], ['fees'], ['funding'], ['held'], ['closed', 'l']],
    [...trades].reverse().map((t) => [['strong', t.symbol], side(t.side), [tone(t.net_pnl), signed(t.net_pnl)],
      Number(t.risk) > 0 ? signed(Number(t.net_pnl) / Number(t.risk)) : '–', t.exit_reason.replace(/_/g, ' '), plain(t.qty), px(t.entry_px), px(t.exit_px),
      small(t.fees), small(t.funding), span(t.exit_time - t.entry_time), ['soft', time(t.exit_time)]]), 'No closed trade yet.');
}

function drawRoles(s) {
  const kind = { OK: 'good', STALE: 'bad', ON_DEMAND: 'none' };
  table('roles', [['role', 'l'], ['state', 'l'], ['last work'], ['allowed'], ['pieces']],
    s.health.roles.map((r) => [['strong', r.name], mark(kind[r.state] || 'none', r.state.replace('_', ' ').toLowerCase()),
      r.age_ms === null ? 'never' : span(r.age_ms) + ' ago', r.max_age_ms === null ? '' : span(r.max_age_ms), r.name === 'api' ? '' : plain(r.work_count)]), '');
}

/* What a model is and how it fared on rows it had never seen. A cell without a figure has a dash. */
function modelCells(m) {
  const figure = (x, digits) => (x === null ? '–' : x.toFixed(digits));
  const quick = (ns) => (ns === null ? '–' : ns < 1e6 ? (ns / 1e3).toFixed(ns < 1e4 ? 2 : 0) + ' µs' : (ns / 1e6).toFixed(1) + ' ms');
  return [figure(m.logloss_test, 4), figure(m.logloss_prior, 4), figure(m.skill_t, 1), figure(m.side_t, 1), figure(m.balanced_accuracy, 4), figure(m.ece, 4),
    figure(m.mse_path, 4), figure(m.mse_persistence, 4), figure(m.mse_dlinear, 4), plain(m.weights), plain(m.rounds),
    ['soft', time(m.train_from).slice(0, 10) + ' to ' + time(m.data_end).slice(0, 10)], plain(m.votes), quick(m.predict_ns_p50), quick(m.predict_ns_p99)];
}
function drawModels(s) {
  const kind = { loaded: 'good', no_skill: 'warn', absent: 'none' };
  const d = s.health.disagreement, models = Object.entries(s.health.models);
  const columns = [['model', 'l'], ['state', 'l'], ['log-loss'], ['base rate'], ['t'], ['direction t'], ['bal. acc.'], ['ECE'], ['path MSE'], ['standing still'], ['linear'],
    ['weights'], ['rounds'], ['learned from'], ['votes'], ['row p50'], ['row p99']];
  $('models-note').textContent = `${s.health.voters_loaded} of ${models.length} seats taken; all figures from held-out bars: log-loss against the base rate, the forecast path against one that stands still and a linear one`;
  $('models-apart').textContent = !d.decisions ? '' :
    `Voters disagree on the best label in ${(100 * d.differ_share).toFixed(1)} % of ${plain(d.decisions)} decisions, by ${d.p_distance.toFixed(3)} in probability.`;
  table('models', columns, models.map(([name, m]) => [['strong', name], mark(kind[m.state] || 'none', m.state.replace('_', ' ')),
    ...(m.state === 'absent' ? columns.slice(2).map(() => '') : modelCells(m))]), '');
  $('models-params').textContent = models.filter(([, m]) => m.params).map(([name, m]) => `${name}, trained ${time(m.trained)} UTC: ${m.params}`).join('\n');
}

function drawRefusals(s) {
  const list = [...(s.refusals || [])].sort((a, b) => b.count - a.count), m = s.health.metrics;
  $('refusals-note').textContent = m.intents_total !== undefined ? `${plain(m.intents_denied_total)} of ${plain(m.intents_total)} intents denied` : '';
  table('refusals', [['reason', 'l'], ['count']], list.map((r) => [r.reason.replace(/_/g, ' ').toLowerCase(), plain(r.count)]), 'Nothing refused so far.');
}

function drawFlow(s) {
  const m = s.health.metrics, d = s.health.dependencies, p = s.protection;
  table('flow', [['', 'l'], ['']], [
    ['bars', plain(m.bars_total)], ['signals', plain(m.signals_generated_total)], ['intents', plain(m.intents_total)], ['orders', plain(m.orders_total)], ['fills', plain(m.fills_total)],
    ['bus lag', plain(d.eventbus.lag) + ' entries, oldest ' + span(d.eventbus.oldest_pending_ms)],
    ['journal, written / on disk', plain(d.journal.sequence) + ' / ' + plain(d.journal.durable_sequence)],
    ['positions ever past the protection limit', plain(p.positions_unprotected_ever)],
    ['fill to confirmed stop, p50 / p99 / worst', [p.time_to_protected_ms_p50, p.time_to_protected_ms_p99, p.time_to_protected_ms_max].map(span).join(' / ')],
  ], '');
}

/* Weights and levels of the voters, and whose seat is tried for. */
const LEVELS = { ok: 'good', down_weight: 'warn', exclude: 'bad', retrain: 'bad' };
function words(text) { return text.replaceAll('_', ' '); }
function number(x, digits) { return x === null || x === undefined ? '–' : x.toFixed(digits); }
function seatCells(seat) {
  if (!seat) return ['–', '–', '–'];
  const v = seat.verdict;
  return [seat.served ? seat.served.slice(0, 8) : 'empty',
    seat.challenger ? `${seat.challenger.slice(0, 8)} ${words(seat.challenger_state)}` : '–',
    v.pairs || v.reason !== 'pass' ? `${v.outcome}: ${words(v.reason)}, wealth ${number(v.wealth, 2)}` : '–'];
}
function drawEngine(s) {
  const e = s.engine, r = s.retrain;
  $('engine-card').hidden = !e;
  if (!e) {
    table('decisions', [['', 'l'], ['']], [], 'A rule trades in this run: the engine is not asked.');
    $('decisions-note').textContent = '';
    return;
  }
  $('engine-note').textContent = `${s.health.models_loaded} of 12 components work; trust ${number(e.trust, 2)}; ECE ${number(e.ece, 3)}; ` +
    `interval coverage ${number(e.coverage, 3)} of ${number(e.coverage_wanted, 2)}` + (e.bias_block !== 'HOLD' ? `; ${e.bias_block} entries blocked` : '');
  table('engine', [['voter', 'l'], ['weight'], ['level', 'l'], ['against it', 'l'], ['loss'], ['limit'], ['serves', 'l'], ['challenger', 'l'], ['verdict', 'l']],
    Object.entries(e.models).map(([name, m]) => [['strong', name], percent(m.weight, 1), mark(LEVELS[m.level] || 'none', words(m.level)),
      m.reasons.map(words).join(', ') || '–', number(m.loss, 3), number(m.loss_limit, 3), ...seatCells(r.seats && r.seats[name])]), '');
  const regimes = Object.entries(e.regimes).map(([name, n]) => `${words(name)} ${n}`).join(', ');
  $('engine-regimes').textContent = 'Regimes, symbols: ' + (regimes || 'none read yet');
  $('engine-retrain').textContent = !r.enabled ? 'Models stay as they are: nothing retrains in this run.' :
    `Retraining every ${span(1000 * r.period_seconds)} of market time: ` +
    (r.training !== 'none' ? 'under way' : `next at ${time(r.next)} UTC`) + (r.requested ? ', asked for by hand' : '') +
    `; ${r.succeeded} succeeded, ${r.failed} failed, ${r.missed} missed.`;
  const reasons = Object.entries(e.by_reason).sort((a, b) => b[1] - a[1]);
  const inside = { portfolio: e.by_portfolio_reason, sizing: e.by_sizing_reason };
  $('decisions-note').textContent = `${plain(e.decisions)} asked; the first thing that spoke against an entry`;
  table('decisions', [['', 'l'], ['']], reasons.flatMap(([name, n]) => [[words(name), plain(n)],
    ...Object.entries(inside[name] || {}).map(([part, k]) => [['soft', '· ' + words(part)], ['soft', plain(k)]])]), 'Nothing was decided yet.');
}

function draw(s) {
  drawBanner(s);
  drawReports().catch(() => {});
  drawHead(s);
  $('main').hidden = !s.published;
  drawRoles(s);
  drawModels(s);
  drawPositions(s);
  drawOrders(s);
  drawSignals(s);
  if (s.published) {
    drawTiles(s);
    drawChart(s);
    drawTrades(s);
    drawRefusals(s);
    drawFlow(s);
    drawEngine(s);
  }
  $('footer').textContent = `version ${s.health.version} (${s.health.commit}), process ${s.health.pid}, up ${span(1000 * s.health.uptime_seconds)}. ` +
    'Every figure on this page is computed from fills, funding events and logged votes; times are UTC.';
}

/* ---- age: what is shown must be current, or look as old as it is ---- */

function drawAge() {
  const age = last && last.published ? last.age_ms + performance.now() - lastAt : Infinity;
  const stale = age > STALE_MS;
  document.body.classList.toggle('stale', stale);
  $('age').textContent = age === Infinity ? '–' : (age / 1000).toFixed(1) + ' s' + (stale ? ' · STALE' : '');
  if (problem) {
    $('banner').textContent = problem + (age === Infinity ? '' : `. What is shown is ${span(Math.round(age))} old`);
    $('banner').className = 'banner broken';
  }
}

async function poll() {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), 5000);
  try {
    const headers = token ? { Authorization: 'Bearer ' + token } : {};
    const reply = await fetch('/api/state', { headers, signal: stop.signal });
    $('token-form').hidden = reply.status !== 401;
    const state = await reply.json();
    if (!reply.ok) throw new Error(reply.status === 401 ? 'A token is required' : state.error || 'The server answered ' + reply.status);
    last = state;
    lastAt = performance.now();
    problem = '';
    draw(state);
  } catch (error) {
    problem = error.name === 'TypeError' || error.name === 'AbortError' ? 'NO ANSWER from the server' : error.message;
  }
  clearTimeout(timer);
  drawAge();
  setTimeout(poll, POLL_MS);
}

$('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  token = $('token').value;
  sessionStorage.setItem('token', token);
  $('token').value = '';
});
$('signals-all').addEventListener('click', () => { showAll = !showAll; if (last) drawSignals(last); });
window.addEventListener('resize', () => { if (last && last.published) drawChart(last); });
setInterval(drawAge, 250);
poll();
