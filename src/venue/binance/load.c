/* Start: clock, contracts, limits, modes, what the key may do; then streams and the first reconciliation. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/tstamp.h"
#include "store/contracts.h"
#include "venue/binance/binance_internal.h"

/* ---- asking and waiting ---- */

static void done_ask(void *context, const struct request *r, const struct answer *a) {
    struct ask *k = context;
    (void)r;
    k->done = true;
    k->outcome = a->outcome;
    k->http = a->http;
    k->code = a->code;
    memcpy(k->message, a->message, sizeof k->message);
    k->body = malloc(a->size + 1);
    if (!k->body) return;
    memcpy(k->body, a->body, a->size);
    k->body[a->size] = '\0';
    k->size = a->size;
}

void binance_ask_free(struct ask *a) {
    free(a->body);
    a->body = NULL;
}

static enum status ask_error(const struct ask *a, const char *path, struct err *err) {
    if (a->code)
        return err_set(err, a->http == 401 ? ST_REFUSED : ST_EXTERNAL, "%s: %d %s", path, a->code,
                       a->message);
    if (a->http) return err_set(err, ST_EXTERNAL, "%s: HTTP %d", path, a->http);
    return err_set(err, ST_DISCONNECTED, "%s: no answer from the venue", path);
}

/* The slot stays ours until the answer came: its patience ends before the caller's does. */
enum status binance_ask(struct binance *b, struct request *r, struct ask *out, int64_t until_ns,
                        struct err *err) {
    const char *path = r->path;
    memset(out, 0, sizeof *out);
    r->done = done_ask;
    r->context = out;
    r->repeatable = true;
    r->patience_ns = until_ns;
    while (!out->done) {
        int64_t deadline = binance_step(b);
        if (out->done) break;
        b->ports.wait(b->ports.context, b, deadline);
    }
    if (!out->body) return err_set(err, ST_NO_MEMORY, "%s: reply", path);
    if (out->outcome == OUTCOME_DONE) return ST_OK;
    enum status st = ask_error(out, path, err);
    binance_ask_free(out);
    return st;
}

struct loading {
    struct binance *b;
    int64_t until_ns;
    struct rules_list rules;
    struct rest_listing *listings;
    size_t listing_count, listing_capacity;
    bool no_memory;
};

static struct request *get(struct loading *l, const char *path, enum request_auth auth,
                           uint32_t weight) {
    return binance_request(l->b, LANE_DATA, HTTP_GET, auth, path, weight, done_ask, 0);
}

static enum status ask(struct loading *l, struct request *r, struct ask *out, struct err *err) {
    if (!r) {
        memset(out, 0, sizeof *out);
        return err_set(err, ST_FULL, "too many requests are waiting");
    }
    return binance_ask(l->b, r, out, l->until_ns, err);
}

/* ---- steps ---- */

static enum status told_to_end(const struct binance *b, struct err *err) {
    if (!b->options.stop || !*b->options.stop) return ST_OK;
    return err_set(err, ST_INTERRUPTED, "told to end while the venue was asked");
}

static enum status load_clock(struct loading *l, struct err *err) {
    while (!l->b->clock.known || l->b->clock.samples < 4) {
        int64_t now = binance_monotonic(l->b);
        if (told_to_end(l->b, err) != ST_OK) return ST_INTERRUPTED;
        if (now >= l->until_ns)
            return err_set(err, ST_DISCONNECTED, "%s: the venue does not tell the time",
                           l->b->options.rest_url);
        int64_t deadline = binance_step(l->b);
        l->b->ports.wait(l->b->ports.context, l->b,
                         deadline < l->until_ns ? deadline : l->until_ns);
    }
    return ST_OK;
}

static void take_listing(void *context, const struct rest_listing *listing) {
    struct loading *l = context;
    if (l->listing_count == l->listing_capacity) {
        size_t capacity = l->listing_capacity ? 2 * l->listing_capacity : 1024;
        struct rest_listing *grown = realloc(l->listings, capacity * sizeof *grown);
        if (!grown) {
            l->no_memory = true;
            return;
        }
        l->listings = grown;
        l->listing_capacity = capacity;
    }
    l->listings[l->listing_count++] = *listing;
}

static void left_out(void *context, uint64_t line, const char *text) {
    (void)context;
    (void)line;
    log_warn("venue", "contract left out", "why=\"%s\"", text);
}

static enum status add_rules(struct loading *l, const char *path, enum request_auth auth,
                             uint32_t weight, bool listings, struct err *err) {
    struct ask a;
    enum status st = ask(l, get(l, path, auth, weight), &a, err);
    if (st != ST_OK) return st;
    if (listings) {
        st = binance_rest_listings(&l->b->limits, a.body, a.size, take_listing, l);
        if (st != ST_OK) err_set(err, st, "%s: not a list of contracts", path);
        if (l->no_memory) st = err_set(err, ST_NO_MEMORY, "%s", path);
    }
    if (st == ST_OK) st = contracts_parse(&l->rules, a.body, a.size, left_out, NULL, err);
    binance_ask_free(&a);
    return st;
}

static bool symbol_is_listed(const char *list, const char *symbol) {
    size_t n = strlen(symbol);
    for (const char *p = list; *p;) {
        size_t size = strcspn(p, ",");
        if (size == n && memcmp(p, symbol, n) == 0) return true;
        p += size;
        if (*p == ',') p++;
    }
    return false;
}

static int compare_symbols(const void *a, const void *b) {
    return strcmp(((const struct instrument *)a)->symbol, ((const struct instrument *)b)->symbol);
}

static bool is_of_run(const struct binance_options *o, const char *symbol) {
    for (uint32_t i = 0; i < o->contract_count; i++)
        if (strncmp(o->contracts[i].symbol, symbol, SYMBOL_SIZE) == 0) return true;
    return false;
}

static bool is_wanted(const struct loading *l, const char *symbol) {
    if (l->b->options.contracts) return is_of_run(&l->b->options, symbol);
    for (size_t i = 0; i < l->listing_count; i++) {
        const struct rest_listing *x = &l->listings[i];
        if (strcmp(x->symbol, symbol) != 0) continue;
        /* Asked for by name: whatever its state, as there may be a position in it. */
        if (l->b->options.symbols) return symbol_is_listed(l->b->options.symbols, symbol);
        return x->perpetual && x->quoted_usdt && x->trading;
    }
    return false;
}

/* Filters, brackets and funding intervals are rows of their own. */
static void add_row(struct instrument *to, const struct rules *row) {
    if (row->sources & RULES_BRACKETS) {
        to->bracket_count = row->instrument.bracket_count;
        memcpy(to->brackets, row->instrument.brackets, sizeof to->brackets);
    }
    if (row->sources & RULES_FUNDING) to->funding_interval_ns = row->instrument.funding_interval_ns;
}

/* What the run has and the venue does not list any more. */
static size_t add_gone(const struct binance_options *o, struct instrument *chosen, size_t count) {
    size_t listed = count;
    for (uint32_t i = 0; i < o->contract_count; i++) {
        size_t j = 0;
        while (j < listed && strncmp(chosen[j].symbol, o->contracts[i].symbol, SYMBOL_SIZE) != 0)
            j++;
        if (j < listed) continue;
        chosen[count] = o->contracts[i];
        chosen[count++].status = INSTRUMENT_CLOSED;
    }
    return count;
}

/* One that requests about a contract can be made with. */
static const char *listed_symbol(const struct binance *b) {
    for (uint32_t i = 0; i < b->instrument_count; i++)
        if (b->instruments[i].status != INSTRUMENT_CLOSED) return b->instruments[i].symbol;
    return b->instruments[0].symbol;
}

static enum status check_asked_for(const struct binance *b, struct err *err) {
    if (b->options.contracts) return ST_OK;
    for (const char *p = b->options.symbols; p && *p;) {
        size_t size = strcspn(p, ",");
        char symbol[SYMBOL_SIZE] = "";
        if (size > 0 && size < sizeof symbol) memcpy(symbol, p, size);
        if (binance_symbol_find(b, symbol) < 0)
            return err_set(err, ST_NOT_FOUND, "%.*s is not a contract of the venue", (int)size, p);
        p += size;
        if (*p == ',') p++;
    }
    return ST_OK;
}

static enum status choose(struct loading *l, struct err *err) {
    struct binance *b = l->b;
    size_t count = 0;
    const struct binance_options *o = &b->options;
    struct instrument *chosen = calloc(l->rules.count + o->contract_count + 1, sizeof *chosen);
    if (!chosen) return err_set(err, ST_NO_MEMORY, "contracts");
    for (size_t i = 0; i < l->rules.count; i++)
        if ((l->rules.rows[i].sources & RULES_FILTERS) &&
            is_wanted(l, l->rules.rows[i].instrument.symbol))
            chosen[count++] = l->rules.rows[i].instrument;
    count = add_gone(o, chosen, count);
    qsort(chosen, count, sizeof *chosen, compare_symbols);
    if (!o->contracts && count > o->symbols_max) count = o->symbols_max;
    b->instruments = chosen;
    b->instrument_count = (uint32_t)count;
    binance_symbols_index(b);
    for (size_t i = 0; i < l->rules.count; i++) {
        int at = binance_symbol_find(b, l->rules.rows[i].instrument.symbol);
        if (at >= 0) add_row(&chosen[at], &l->rules.rows[i]);
    }
    if (count == 0) return err_set(err, ST_NOT_FOUND, "the venue trades none of the contracts");
    return check_asked_for(b, err);
}

static enum status load_contracts(struct loading *l, struct err *err) {
    struct binance *b = l->b;
    enum status st = add_rules(l, "/fapi/v1/exchangeInfo", AUTH_NONE, 1, true, err);
    if (st != ST_OK) return st;
    struct binance_limits *limits = &b->requests.budget.limits;
    if (b->limits.weight_1m) limits->weight_1m = b->limits.weight_1m;
    if (b->limits.orders_10s) limits->orders_10s = b->limits.orders_10s;
    if (b->limits.orders_1m) limits->orders_1m = b->limits.orders_1m;
    st = add_rules(l, "/fapi/v1/leverageBracket", AUTH_SIGNED, 1, false, err);
    if (st != ST_OK) return st;
    struct err ignored;
    /* An exchange without the table settles at the usual interval. */
    if (add_rules(l, "/fapi/v1/fundingInfo", AUTH_NONE, 0, false, &ignored) != ST_OK)
        log_warn("venue", "funding intervals are not told, 8 h assumed", "error=\"%s\"",
                 ignored.text);
    return choose(l, err);
}

static enum status load_flag(struct loading *l, const struct ask *a, const char *field, bool *out,
                             struct err *err) {
    (void)l;
    enum status st = binance_rest_flag(out, field, a->body, a->size);
    if (st == ST_OK) return ST_OK;
    return err_set(err, st, "/fapi/v1/accountConfig does not tell %s", field);
}

static enum status leave_hedge_mode(struct loading *l, struct err *err) {
    struct ask a;
    struct request *r = binance_request(l->b, LANE_DATA, HTTP_POST, AUTH_SIGNED,
                                        "/fapi/v1/positionSide/dual", 1, done_ask, 0);
    if (r) binance_param(r, "dualSidePosition", "false");
    enum status st = ask(l, r, &a, err);
    if (st != ST_OK)
        return err_wrap(err, ST_REFUSED, "the account is in hedge mode and cannot leave it");
    binance_ask_free(&a);
    log_warn("venue", "the account was in hedge mode: one-way now");
    return ST_OK;
}

static enum status load_modes(struct loading *l, struct err *err) {
    struct ask a;
    bool hedge = false, multi = false, can_trade = false;
    enum status st = ask(l, get(l, "/fapi/v1/accountConfig", AUTH_SIGNED, 5), &a, err);
    if (st != ST_OK) return st;
    st = load_flag(l, &a, "dualSidePosition", &hedge, err);
    if (st == ST_OK) st = load_flag(l, &a, "multiAssetsMargin", &multi, err);
    if (st == ST_OK) st = load_flag(l, &a, "canTrade", &can_trade, err);
    binance_ask_free(&a);
    if (st != ST_OK) return st;
    if (!can_trade) return err_set(err, ST_REFUSED, "the account may not trade");
    if (multi)
        return err_set(err, ST_REFUSED,
                       "the account is in multi-assets mode, which has no isolated margin: switch "
                       "it to single-asset mode");
    return hedge ? leave_hedge_mode(l, err) : ST_OK;
}

static enum status load_restrictions(struct loading *l, struct err *err) {
    struct binance *b = l->b;
    struct ask a;
    if (!b->options.restrictions_url) return ST_OK;
    struct request *r = get(l, "/sapi/v1/account/apiRestrictions", AUTH_SIGNED, 1);
    if (r) r->host = HOST_RESTRICTIONS;
    enum status st = ask(l, r, &a, err);
    if (st == ST_OK) {
        st = binance_rest_flag(&b->may_withdraw, "enableWithdrawals", a.body, a.size);
        binance_ask_free(&a);
    }
    if (st != ST_OK) {
        (void)err_set(err, ST_REFUSED, "it cannot be told whether the key may withdraw");
        return ST_REFUSED;
    }
    b->may_withdraw_known = true;
    if (!b->may_withdraw) return ST_OK;
    return err_set(err, ST_REFUSED,
                   "the key may withdraw: make one that may only read and trade futures");
}

static enum status load_fees(struct loading *l, struct err *err) {
    struct ask a;
    struct binance *b = l->b;
    struct request *r = get(l, "/fapi/v1/commissionRate", AUTH_SIGNED, 20);
    if (r) binance_param(r, "symbol", listed_symbol(b));
    enum status st = ask(l, r, &a, err);
    if (st != ST_OK) return st;
    rate_t maker, taker;
    st = binance_rest_fees(&maker, &taker, a.body, a.size);
    binance_ask_free(&a);
    if (st != ST_OK) return err_set(err, st, "/fapi/v1/commissionRate: no rates in it");
    /* One tier holds for all contracts of an account. */
    for (uint32_t i = 0; i < b->instrument_count; i++) {
        b->instruments[i].fee_maker = maker;
        b->instruments[i].fee_taker = taker;
    }
    return ST_OK;
}

static enum status load_symbols(struct loading *l, struct err *err) {
    struct ask a;
    struct binance *b = l->b;
    enum status st = ask(l, get(l, "/fapi/v1/symbolConfig", AUTH_SIGNED, 5), &a, err);
    if (st != ST_OK) return st;
    struct json_reader reader;
    struct rest_symbol_config row;
    json_reader_init(&reader, a.body, a.size);
    json_array_begin(&reader);
    while (json_array_next(&reader) && binance_read_symbol_config(&reader, &row)) {
        int at = binance_symbol_find(b, row.symbol);
        if (at < 0) continue;
        b->isolated[at] = row.isolated;
        b->positions[at].leverage = row.leverage;
    }
    st = reader.error ? err_set(err, ST_INVALID, "/fapi/v1/symbolConfig: %s", reader.error) : ST_OK;
    binance_ask_free(&a);
    return st;
}

/* Whether conditional orders have a service of their own. Which endpoint takes them is seen again at every order. */
static enum status probe_service(struct loading *l, struct err *err) {
    struct ask a;
    enum { CODE_NO_PATH = -5000 };
    struct binance *b = l->b;
    struct request *r = get(l, "/fapi/v1/openAlgoOrders", AUTH_SIGNED, 1);
    if (r) binance_param(r, "symbol", listed_symbol(b));
    enum status st = ask(l, r, &a, err);
    b->algo_service = st == ST_OK;
    if (st == ST_OK) binance_ask_free(&a);
    return st == ST_OK || a.code == CODE_NO_PATH ? ST_OK : st;
}

static enum status load_wallet(struct loading *l, struct err *err) {
    struct ask a;
    struct binance *b = l->b;
    int64_t asked_ns = binance_now_ns(b);
    int64_t least_ns = binance_clock_least(&b->clock, binance_monotonic(b));
    enum status st = ask(l, get(l, "/fapi/v3/balance", AUTH_SIGNED, 5), &a, err);
    if (st != ST_OK) return st;
    b->wallet_ns = asked_ns;
    b->orders.wallet_ns = least_ns;
    struct rest_wallet wallet;
    st = binance_rest_wallet(&wallet, a.body, a.size);
    b->orders.wallet = wallet.balance;
    if (wallet.update_ns > least_ns)
        b->orders.wallet_ns = wallet.update_ns; /* it changed while it was asked for */
    binance_ask_free(&a);
    if (st == ST_INVALID) return err_set(err, st, "/fapi/v3/balance: not a list of balances");
    return ST_OK; /* without a row for USDT there is none */
}

static enum status load_all(struct loading *l, struct err *err) {
    static enum status (*const steps[])(struct loading *, struct err *) = {
        load_clock,   load_contracts, load_restrictions, load_modes,
        load_symbols, load_fees,      probe_service,     load_wallet};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        enum status st = steps[i](l, err);
        if (st != ST_OK) return st;
    }
    return ST_OK;
}

enum status binance_load(struct binance *b, int64_t within_ns, struct err *err) {
    if (b->loaded) return err_set(err, ST_EXISTS, "loaded already");
    free(b->instruments);
    b->instruments = NULL;
    b->instrument_count = 0;
    struct loading l = {.b = b, .until_ns = binance_monotonic(b) + within_ns};
    enum status st = load_all(&l, err);
    rules_list_free(&l.rules);
    free(l.listings);
    b->loaded = st == ST_OK;
    return st;
}

/* ---- start ---- */

static enum status take_known(struct binance *b, const struct binance_known *k, struct err *err) {
    if (k->instrument >= b->instrument_count || !k->client_order_id[0] ||
        memchr(k->client_order_id, '\0', CLIENT_ORDER_ID_SIZE) == NULL)
        return err_set(err, ST_INVALID, "a known order has no id, or no contract");
    struct order *old = binance_orders_find(&b->orders, k->client_order_id);
    if (old && old->phase != PHASE_ENDED)
        return err_set(err, ST_EXISTS, "order %s is given twice", k->client_order_id);
    struct order *o = binance_orders_add(&b->orders, k->client_order_id, k->instrument);
    if (!o) return err_set(err, ST_FULL, "too many known orders");
    int64_t now = binance_monotonic(b);
    o->known_before = true;
    o->type = k->order_type;
    o->conditional = k->order_type != ORDER_MARKET && k->order_type != ORDER_LIMIT;
    o->on_algo = o->conditional && b->algo_service;
    o->cum_qty = k->cum_qty;
    /* Asked by every lane's leave: a position may hang on it. */
    o->lane = LANE_EXIT;
    o->told_accepted = o->told_triggered = k->cum_qty.e8 > 0;
    struct order_symbol *s = &b->orders.symbols[k->instrument];
    if (k->last_trade_id > s->from_trade_id) s->from_trade_id = k->last_trade_id;
    /* Whatever the last life sent is stamped before now. */
    binance_order_unknown(
        o, binance_now_ns(b) + b->options.recv_window_ms * NS_PER_MS + 500 * NS_PER_MS, now);
    return ST_OK;
}

static bool all_known_are_resolved(const struct binance *b) {
    for (uint32_t i = 0; i < b->orders.active_count; i++) {
        const struct order *o = &b->orders.slots[b->orders.active[i]];
        if (o->known_before && (o->phase == PHASE_UNKNOWN || o->query_at_ns || o->queries_flying ||
                                o->trades_at_ns || o->trades_flying))
            return false;
    }
    return true;
}

static bool feeds_are_up(const struct binance *b) {
    for (uint32_t f = 0; f < b->session.feed_count; f++)
        if (b->session.feeds[f].sockets[b->session.feeds[f].current].phase != SOCKET_OPEN)
            return false;
    return true;
}

enum status binance_start(struct binance *b, const struct binance_known *known, size_t known_count,
                          const struct binance_held *held, size_t held_count, int64_t within_ns,
                          struct err *err) {
    if (!b->loaded || b->started) return err_set(err, ST_INVALID, "load first, and start once");
    int64_t until_ns = binance_monotonic(b) + within_ns, funding_ns = 0;
    for (size_t i = 0; i < held_count; i++) {
        if (held[i].instrument >= b->instrument_count)
            return err_set(err, ST_INVALID, "a held position has no contract");
        struct order_symbol *s = &b->orders.symbols[held[i].instrument];
        s->booked = held[i].qty;
        s->from_trade_id = held[i].last_trade_id;
        s->counted_ns = s->whole_ns = held[i].told_ns;
        s->last_funding_ns = held[i].last_funding_ns;
        int64_t since_ns = held[i].last_funding_ns > held[i].opened_ns ? held[i].last_funding_ns
                                                                       : held[i].opened_ns;
        if (since_ns && (!funding_ns || since_ns < funding_ns)) funding_ns = since_ns;
    }
    b->reconcile.income_from_ns = funding_ns;
    for (size_t i = 0; i < known_count; i++) {
        enum status st = take_known(b, &known[i], err);
        if (st != ST_OK) return st;
    }
    /* Of a contract nothing is known of, what was done before the balance was read is part of it. */
    for (uint32_t i = 0; i < b->instrument_count; i++)
        if (b->orders.symbols[i].from_trade_id == 0 && b->orders.symbols[i].counted_ns == 0)
            b->orders.symbols[i].counted_ns = b->wallet_ns;
    /* Whoever goes on after a pause may remember another leverage: the first reconciliation tells them all. */
    for (uint32_t i = 0; i < b->instrument_count; i++) b->positions[i].leverage = 0;
    b->started = true;
    binance_found_start(b);
    binance_market_start(b);
    binance_session_start(b);
    binance_reconcile(b);
    while (!feeds_are_up(b) || b->stats.reconciliations == 0 || b->session.user_gap ||
           !all_known_are_resolved(b)) {
        int64_t now = binance_monotonic(b);
        if (told_to_end(b, err) != ST_OK) return ST_INTERRUPTED;
        if (now >= until_ns)
            return err_set(err, ST_TIMEOUT,
                           "streams, or what became of the known orders, did not "
                           "come in time");
        int64_t deadline = binance_step(b);
        b->ports.wait(b->ports.context, b, deadline < until_ns ? deadline : until_ns);
    }
    (void)binance_step(b); /* tells what is left */
    return ST_OK;
}
