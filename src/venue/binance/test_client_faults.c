/* The client against the real exchange core over a network that loses, delays, doubles and reorders, killed now and then.
 * Afterwards both sides must tell the same story, and every order exactly one. */
#include "venue/binance/test_venue.h"

#include "venue/exchange/history.h"

enum { MODEL_MAX = 4096, OPEN_ALGOS_MAX = 256 };

/* What a kernel would know: commands asked, events told. */
struct model_order {
    char id[CLIENT_ORDER_ID_SIZE];
    uint32_t instrument;
    uint8_t type, side, state;
    bool cancel_asked, ended, known; /* known: handed over at a start */
    uint32_t answers, cancels, cancel_answers, ends;
    qty_t order_qty, cum;
    uint64_t trades[64];
    uint32_t trade_count;
};
struct model {
    struct test_venue *v;
    struct model_order orders[MODEL_MAX];
    uint32_t count, seen; /* seen: events of told[] applied */
    qty_t position[VENUE_CONTRACTS];
    uint64_t last_trade_id[VENUE_CONTRACTS];
    int64_t last_funding_ns[VENUE_CONTRACTS];
    uint64_t seed;
    struct rng rng;
    uint32_t illegal;
};

static struct model_order *model_find(struct model *m, const char *id) {
    for (uint32_t i = m->count; i > 0; i--)
        if (strcmp(m->orders[i - 1].id, id) == 0) return &m->orders[i - 1];
    return NULL;
}

static enum order_event event_of(const struct venue_event *e) {
    switch ((enum venue_event_kind)e->kind) {
    case VENUE_ORDER_ACCEPTED:
    case VENUE_ORDER_TRIGGERED:
        return OE_ACCEPTED;
    case VENUE_ORDER_REJECTED:
        return OE_REJECTED;
    case VENUE_ORDER_TRADE:
        return e->leaves_qty.e8 > 0 ? OE_FILL_PARTIAL : OE_FILL_LAST;
    case VENUE_ORDER_CANCELED:
        return OE_CANCELED;
    case VENUE_ORDER_EXPIRED:
        return OE_EXPIRED;
    case VENUE_CANCEL_REJECTED:
        return OE_CANCEL_REJECTED;
    case VENUE_LEVERAGE_SET:
    case VENUE_FUNDING:
    case VENUE_LIQUIDATION:
    case VENUE_POSITION:
    case VENUE_BALANCE:
    case VENUE_ORDER_FOUND:
        break;
    }
    return ORDER_EVENT_COUNT;
}

static void apply_trade(struct model *m, struct model_order *o, const struct venue_event *e) {
    for (uint32_t i = 0; i < o->trade_count; i++) assert_true(o->trades[i] != e->trade_id);
    assert_true(o->trade_count < 64);
    o->trades[o->trade_count++] = e->trade_id;
    o->cum.e8 += e->last_qty.e8;
    if (o->cum.e8 != e->cum_qty.e8)
        fail_msg("seed %llu: %s: fills add up to %lld, cum_qty is %lld",
                 (unsigned long long)m->seed, o->id, (long long)o->cum.e8,
                 (long long)e->cum_qty.e8);
    if (o->order_qty.e8) assert_true(o->cum.e8 <= o->order_qty.e8);
}

static void apply(struct model *m, const struct venue_event *e) {
    uint32_t i = e->instrument_index;
    if (e->kind == VENUE_ORDER_TRADE || e->kind == VENUE_LIQUIDATION) {
        m->position[i].e8 += side_sign((enum side)e->side) * e->last_qty.e8;
        if (e->trade_id > m->last_trade_id[i]) m->last_trade_id[i] = e->trade_id;
    }
    if (e->kind == VENUE_FUNDING) m->last_funding_ns[i] = e->ts_event_ns;
    if (!e->client_order_id[0] || e->kind == VENUE_LEVERAGE_SET) return;
    struct model_order *o = model_find(m, e->client_order_id);
    assert_non_null(o);
    if (e->kind == VENUE_ORDER_TRADE) apply_trade(m, o, e);
    enum order_event what = event_of(e);
    int next = order_state_next((enum order_state)o->state, what);
    /* Acknowledged again after a restart, or fired: what the table does not know of a partly filled one. */
    bool again = what == OE_ACCEPTED && (o->known || e->kind == VENUE_ORDER_TRIGGERED);
    if (next < 0 && !again) {
        fail_msg("seed %llu: %s: %s in state %s", (unsigned long long)m->seed, o->id,
                 order_event_text(what), order_state_text((enum order_state)o->state));
    }
    if (next >= 0) o->state = (uint8_t)next;
    if (e->kind == VENUE_ORDER_ACCEPTED || e->kind == VENUE_ORDER_REJECTED) o->answers++;
    if (e->kind == VENUE_ORDER_CANCELED || e->kind == VENUE_CANCEL_REJECTED) o->cancel_answers++;
    if (e->kind == VENUE_ORDER_CANCELED || e->kind == VENUE_ORDER_EXPIRED ||
        e->kind == VENUE_ORDER_REJECTED)
        o->ends++;
    o->ended = order_state_is_terminal((enum order_state)o->state);
}

static void catch_up(struct model *m) {
    for (; m->seen < m->v->told_count; m->seen++) apply(m, &m->v->told[m->seen]);
}

static uint32_t venue_number(const struct test_venue *v, uint32_t of_client) {
    for (uint32_t i = 0; i < VENUE_CONTRACTS; i++)
        if (tv_instrument(v, i) == of_client) return i;
    fail();
    return 0;
}

static void model_submit(struct model *m) {
    struct test_venue *v = m->v;
    uint32_t of_venue = (uint32_t)rng_below(&m->rng, VENUE_CONTRACTS);
    uint32_t i = tv_instrument(v, of_venue);
    const struct instrument *in = &v->contracts[of_venue];
    struct exchange_prices p;
    exchange_prices_get(v->world->exchange, of_venue, &p);
    enum side side = rng_below(&m->rng, 2) ? SIDE_BUY : SIDE_SELL;
    static const enum order_type types[] = {ORDER_MARKET, ORDER_LIMIT, ORDER_STOP_MARKET,
                                            ORDER_TAKE_PROFIT_MARKET};
    enum order_type type = types[rng_below(&m->rng, 4)];
    int64_t away = p.mark.e8 / 100000 * (int64_t)rng_below(&m->rng, 200);
    bool above = (type == ORDER_STOP_MARKET) == (side == SIDE_BUY);
    if (type == ORDER_LIMIT) above = side == SIDE_SELL;
    int64_t px = fx_snap_nearest(p.mark.e8 + (above ? away : -away), in->tick_size.e8);
    int64_t qty = fx_snap_up(fx_muldiv_ceil(300 * FX_ONE, FX_ONE, p.mark.e8), in->step_size.e8);
    assert_true(m->count < MODEL_MAX);
    struct model_order *o = &m->orders[m->count];
    char id[CLIENT_ORDER_ID_SIZE];
    snprintf(id, sizeof id, "q%u-%u", (unsigned)(m->seed % 100000), m->count);
    struct venue_command c = tv_order(id, side, type, i, qty, px);
    if (type != ORDER_MARKET && type != ORDER_LIMIT && rng_below(&m->rng, 2)) {
        c.close_position = 1;
        c.order_qty.e8 = 0;
    }
    if (binance_submit(v->b, &c, type > ORDER_LIMIT ? LANE_PROTECTION : LANE_ENTRY) != ST_OK)
        return;
    m->count++;
    snprintf(o->id, sizeof o->id, "%s", id);
    o->instrument = i;
    o->type = (uint8_t)type;
    o->side = (uint8_t)side;
    o->state = ORDER_PENDING_NEW;
    o->order_qty = c.order_qty;
}

static void model_cancel(struct model *m) {
    if (!m->count) return;
    uint32_t recent = m->count < 40 ? m->count : 40;
    struct model_order *o = &m->orders[m->count - 1 - rng_below(&m->rng, recent)];
    if (o->ended || o->cancel_asked) return;
    int next = order_state_next((enum order_state)o->state, OE_CANCEL_REQUEST);
    if (next < 0) return;
    o->cancel_asked = true;
    o->cancels++;
    tv_cancel(m->v, o->id, o->instrument, (enum order_type)o->type);
    o->state = (uint8_t)next;
}

/* kill -9 and a new life that knows what the old one was told. */
static void model_restart(struct model *m) {
    struct test_venue *v = m->v;
    static struct binance_known known[MODEL_MAX];
    struct binance_held held[VENUE_CONTRACTS];
    size_t known_count = 0, held_count = 0;
    struct err err = {0};
    catch_up(m);
    tv_kill(v);
    for (uint32_t s = 0; s < SOCKETS_MAX; s++) {
        v->sockets[s].serial++;
        v->sockets[s].client = NULL;
    }
    v->now_ns += (int64_t)rng_below(&m->rng, (uint64_t)(20 * NS_PER_SECOND));
    memset(v->last_bar, 0, sizeof v->last_bar);
    tv_client(v);
    tv_load(v);
    for (uint32_t i = 0; i < m->count; i++) {
        struct model_order *o = &m->orders[i];
        if (o->ended) continue;
        o->known = true;
        if (o->cancel_asked) o->cancel_asked = false, o->cancels = o->cancel_answers;
        if (o->state == ORDER_PENDING_CANCEL) o->state = ORDER_UNKNOWN;
        struct binance_known *k = &known[known_count++];
        *k = (struct binance_known){.instrument = o->instrument,
                                    .order_type = o->type,
                                    .cum_qty = o->cum,
                                    .last_trade_id = m->last_trade_id[o->instrument]};
        snprintf(k->client_order_id, sizeof k->client_order_id, "%s", o->id);
    }
    for (uint32_t i = 0; i < VENUE_CONTRACTS; i++)
        if (m->position[i].e8)
            held[held_count++] = (struct binance_held){.instrument = i,
                                                       .qty = m->position[i],
                                                       .last_trade_id = m->last_trade_id[i],
                                                       .last_funding_ns = m->last_funding_ns[i]};
    /* What is handed over is what is told so far. */
    if (binance_start(v->b, known, known_count, held, held_count, 300 * NS_PER_SECOND, &err) !=
        ST_OK)
        fail_msg("seed %llu: restart: %s", (unsigned long long)m->seed, err.text);
    catch_up(m);
}

/* The venue's row of a client id, however it came to be known there. */
static uint32_t placed(const struct test_venue *v, const char *id, qty_t *cum) {
    static struct history_trade trades[4096];
    uint32_t count = 0;
    cum->e8 = 0;
    for (uint32_t i = 0; i < v->call_count; i++) {
        char key[64];
        if (v->calls[i].method != HTTP_POST || v->calls[i].status != 200) continue;
        snprintf(key, sizeof key, "ClientOrderId=%s&", id);
        bool hit = strstr(v->calls[i].text, key) != NULL;
        snprintf(key, sizeof key, "clientAlgoId=%s&", id);
        hit = hit || strstr(v->calls[i].text, key) != NULL;
        count += hit;
    }
    (void)trades;
    return count;
}

static void compare(struct model *m) {
    struct test_venue *v = m->v;
    static struct exchange_order open[1024];
    static struct exchange_algo algos[OPEN_ALGOS_MAX];
    struct exchange_account account;
    qty_t cum;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct model_order *o = &m->orders[i];
        if (placed(v, o->id, &cum) > 1)
            fail_msg("seed %llu: %s was placed twice", (unsigned long long)m->seed, o->id);
        /* A life that was killed may have been answered in the next one once more. */
        if (!o->known && o->answers != 1)
            fail_msg("seed %llu: %s had %u answers", (unsigned long long)m->seed, o->id,
                     o->answers);
        assert_true(o->ends <= 1);
        if (o->cancels && o->cancel_answers != o->cancels)
            fail_msg("seed %llu: %s: %u cancels, %u answers", (unsigned long long)m->seed, o->id,
                     o->cancels, o->cancel_answers);
    }
    uint32_t n = exchange_open_orders(v->world->exchange, 1, UINT32_MAX, open, 1024);
    uint32_t k = exchange_open_algos(v->world->exchange, 1, UINT32_MAX, algos, OPEN_ALGOS_MAX);
    uint32_t live = 0;
    for (uint32_t i = 0; i < m->count; i++) live += !m->orders[i].ended;
    for (uint32_t i = 0; i < n; i++) {
        const struct model_order *o = model_find(m, open[i].client_order_id);
        if (!o || o->ended) {
            fail_msg("seed %llu: %s is open at the venue", (unsigned long long)m->seed,
                     open[i].client_order_id);
            return;
        }
        assert_int_equal(o->cum.e8, open[i].cum_qty.e8);
    }
    for (uint32_t i = 0; i < k; i++) {
        const struct model_order *o = model_find(m, algos[i].client_algo_id);
        if (!o || o->ended)
            fail_msg("seed %llu: %s is open at the venue", (unsigned long long)m->seed,
                     algos[i].client_algo_id);
    }
    if (live != n + k)
        for (uint32_t i = 0; i < m->count; i++)
            if (!m->orders[i].ended)
                print_message("live here: %s %s\n", m->orders[i].id,
                              order_state_text((enum order_state)m->orders[i].state));
    if (live != n + k)
        fail_msg("seed %llu: %u live here, %u + %u there", (unsigned long long)m->seed, live, n, k);
    for (uint32_t i = 0; i < VENUE_CONTRACTS; i++) {
        struct exchange_position p;
        exchange_position_get(v->world->exchange, 1, venue_number(v, i), POSITION_BOTH, &p);
        if (p.qty.e8 != m->position[i].e8)
            fail_msg("seed %llu: position %s: %lld here, %lld there", (unsigned long long)m->seed,
                     binance_instruments(v->b)[i].symbol, (long long)m->position[i].e8,
                     (long long)p.qty.e8);
    }
    exchange_account_get(v->world->exchange, 1, &account);
    assert_int_equal(binance_wallet(v->b).e8, account.wallet.e8);
}

static void run_seed(uint64_t seed, const struct faults *faults, int64_t ns, uint32_t kills) {
    struct model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    struct test_venue *v = tv_ready(seed, MARKET_SYNTHETIC);
    m->v = v;
    m->seed = seed;
    m->rng = rng_init(seed ^ 0x5eed);
    v->faults = *faults;
    int64_t start = v->now_ns;
    uint32_t killed = 0;
    while (v->now_ns - start < ns) {
        tv_run(v, (int64_t)rng_below(&m->rng, (uint64_t)(600 * NS_PER_MS)));
        catch_up(m);
        if (rng_below(&m->rng, 3))
            model_submit(m);
        else
            model_cancel(m);
        if (killed < kills && v->now_ns - start > ns / (kills + 1) * (killed + 1)) {
            killed++;
            model_restart(m);
        }
    }
    memset(&v->faults, 0, sizeof v->faults);
    tv_run(v, 90 * NS_PER_SECOND);
    catch_up(m);
    compare(m);
    struct binance_stats s;
    binance_stats_get(v->b, &s);
    print_message("seed %llu: %u orders, %u kills, %llu unknown, %llu by query, %llu retries, %llu "
                  "reconnects, %llu duplicates, %llu late fills, %llu of 429\n",
                  (unsigned long long)seed, m->count, killed,
                  (unsigned long long)s.unknown_outcomes, (unsigned long long)s.resolved_by_query,
                  (unsigned long long)s.retries, (unsigned long long)s.reconnects,
                  (unsigned long long)s.duplicates_dropped, (unsigned long long)s.late_fills,
                  (unsigned long long)s.rejects_429);
    tv_close_venue(v);
    free(m);
}

static uint64_t first_seed(void) {
    const char *text = getenv("TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 100;
}

static uint32_t seeds(void) {
    const char *text = getenv("TEST_OPS");
    return text ? (uint32_t)strtoul(text, NULL, 10) : 4;
}

static void test_calm(void **state) {
    (void)state;
    const struct faults none = {0};
    for (uint32_t i = 0; i < seeds(); i++) run_seed(first_seed() + i, &none, 2 * NS_PER_MINUTE, 0);
}

static void test_bad_network(void **state) {
    (void)state;
    const struct faults faults = {.not_sent = 10,
                                  .lost_before = 15,
                                  .lost_after = 15,
                                  .unknown_503 = 20,
                                  .late = 20,
                                  .too_many = 3,
                                  .busy = 20,
                                  .frame_lost = 10,
                                  .frame_twice = 30,
                                  .frame_late = 50,
                                  .socket_cut = 1};
    for (uint32_t i = 0; i < seeds(); i++)
        run_seed(first_seed() + 1000 + i, &faults, 3 * NS_PER_MINUTE, 0);
}

static void test_killed(void **state) {
    (void)state;
    const struct faults faults = {.lost_after = 20, .unknown_503 = 20, .late = 10, .frame_lost = 5};
    for (uint32_t i = 0; i < seeds(); i++)
        run_seed(first_seed() + 2000 + i, &faults, 3 * NS_PER_MINUTE, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calm),
                                       cmocka_unit_test(test_bad_network),
                                       cmocka_unit_test(test_killed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
