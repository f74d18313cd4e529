#include "store/contracts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/tstamp.h"
#include "store/fs.h"

static const int64_t NO_LIMIT_E8 = INT64_MAX / 100;

struct rules *rules_list_add(struct rules_list *list, const char *symbol) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct rules *grown = realloc(list->rows, capacity * sizeof *grown);
        if (!grown) return NULL;
        list->rows = grown;
        list->capacity = capacity;
    }
    struct rules *row = &list->rows[list->count++];
    memset(row, 0, sizeof *row);
    instrument_defaults(&row->instrument, symbol);
    return row;
}

void rules_list_free(struct rules_list *list) {
    free(list->rows);
    *list = (struct rules_list){0};
}

const char *contracts_brackets_fault(const struct instrument *in) {
    if (in->bracket_count == 0) return "no brackets";
    for (uint32_t i = 0; i < in->bracket_count; i++) {
        const struct bracket *b = &in->brackets[i];
        if (b->notional_floor.e8 != (i ? b[-1].notional_cap.e8 : 0))
            return "brackets do not begin at 0 or do not join";
        /* The venue has published brackets of no width (BEAMXUSDT, late 2025): none falls in one. */
        if (b->notional_cap.e8 < b->notional_floor.e8) return "a bracket ends before it begins";
        if (b->leverage_max < 1 || b->maint_margin_rate.e8 <= 0 ||
            b->maint_margin_rate.e8 > FX_ONE || b->maint_amount.e8 < 0)
            return "leverage, rate or amount of a bracket makes no sense";
        if (i && (b->leverage_max > b[-1].leverage_max ||
                  b->maint_margin_rate.e8 < b[-1].maint_margin_rate.e8))
            return "a larger bracket is looser than a smaller one";
    }
    if (in->brackets[in->bracket_count - 1].notional_cap.e8 == 0) return "brackets of no width";
    return NULL;
}

/* One object on its way to a row. */
struct contract {
    struct rules row;
    bool symbol_bad, is_perpetual_market, has_price, has_lot, has_market_lot;
    const char *fault;
};

struct parse {
    struct json_reader r;
    struct rules_list *list;
    contracts_problem *problem;
    void *context;
    bool known, no_memory; /* anything of the three kinds was seen */
};

/* A number or a string of one. The venue writes limits beyond e8's range for contracts that count
 * cheap coins; no order comes near, so they become "no limit". */
static int64_t read_e8(struct json_reader *r) {
    struct json_text t = json_peek(r) == JSON_STRING ? json_string(r) : json_number(r);
    int64_t value = 0;
    if (r->error) return 0;
    enum status st = fx_parse_truncate(&value, t.data, t.size);
    if (st == ST_RANGE) return NO_LIMIT_E8;
    return st == ST_OK ? value : -1; /* no field read here may be negative: caught as such */
}

struct filter {
    char type[24];
    int64_t px_min, px_max, tick, qty_min, qty_max, step, notional, up, down, limit;
};

static void read_filter(struct json_reader *r, struct filter *f) {
    struct json_text key;
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "filterType")) {
            struct json_text type = json_string(r);
            if (json_text_copy(f->type, sizeof f->type, NULL, &type) != ST_OK) f->type[0] = '\0';
        } else if (json_text_is(&key, "minPrice"))
            f->px_min = read_e8(r);
        else if (json_text_is(&key, "maxPrice"))
            f->px_max = read_e8(r);
        else if (json_text_is(&key, "tickSize"))
            f->tick = read_e8(r);
        else if (json_text_is(&key, "minQty"))
            f->qty_min = read_e8(r);
        else if (json_text_is(&key, "maxQty"))
            f->qty_max = read_e8(r);
        else if (json_text_is(&key, "stepSize"))
            f->step = read_e8(r);
        else if (json_text_is(&key, "notional"))
            f->notional = read_e8(r);
        else if (json_text_is(&key, "multiplierUp"))
            f->up = read_e8(r);
        else if (json_text_is(&key, "multiplierDown"))
            f->down = read_e8(r);
        else if (json_text_is(&key, "limit"))
            f->limit = json_i64(r);
        else
            json_skip(r);
    }
}

static void take_filter(struct contract *c, const struct filter *f) {
    struct instrument *in = &c->row.instrument;
    if (strcmp(f->type, "PRICE_FILTER") == 0) {
        in->px_min.e8 = f->px_min;
        in->px_max.e8 = f->px_max;
        in->tick_size.e8 = f->tick;
        c->has_price = true;
    } else if (strcmp(f->type, "LOT_SIZE") == 0) {
        in->qty_min.e8 = f->qty_min;
        in->qty_max.e8 = f->qty_max;
        in->step_size.e8 = f->step;
        c->has_lot = true;
    } else if (strcmp(f->type, "MARKET_LOT_SIZE") == 0) {
        in->market_qty_min.e8 = f->qty_min;
        in->market_qty_max.e8 = f->qty_max;
        in->market_step_size.e8 = f->step;
        c->has_market_lot = true;
    } else if (strcmp(f->type, "MIN_NOTIONAL") == 0) {
        in->notional_min.e8 = f->notional;
    } else if (strcmp(f->type, "PERCENT_PRICE") == 0) {
        in->multiplier_up.e8 = f->up;
        in->multiplier_down.e8 = f->down;
    } else if (strcmp(f->type, "MAX_NUM_ORDERS") == 0) {
        if (f->limit > 0 && f->limit <= 100000) in->orders_max = (uint32_t)f->limit;
    }
}

static void read_filters(struct json_reader *r, struct contract *c) {
    json_array_begin(r);
    while (json_array_next(r)) {
        struct filter f = {0};
        read_filter(r, &f);
        take_filter(c, &f);
    }
    c->row.sources |= RULES_FILTERS;
}

static void read_bracket(struct json_reader *r, struct bracket *b) {
    struct json_text key;
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        if (json_text_is(&key, "notionalFloor"))
            b->notional_floor.e8 = read_e8(r);
        else if (json_text_is(&key, "notionalCap"))
            b->notional_cap.e8 = read_e8(r);
        else if (json_text_is(&key, "maintMarginRatio"))
            b->maint_margin_rate.e8 = read_e8(r);
        else if (json_text_is(&key, "cum"))
            b->maint_amount.e8 = read_e8(r);
        else if (json_text_is(&key, "initialLeverage")) {
            int64_t leverage = json_i64(r);
            b->leverage_max = leverage > 0 && leverage <= 1000 ? (uint32_t)leverage : 0;
        } else
            json_skip(r);
    }
}

static void read_brackets(struct json_reader *r, struct contract *c) {
    struct instrument *in = &c->row.instrument;
    in->bracket_count = 0;
    json_array_begin(r);
    while (json_array_next(r)) {
        struct bracket b = {0};
        read_bracket(r, &b);
        if (in->bracket_count < BRACKETS_MAX)
            in->brackets[in->bracket_count++] = b;
        else
            c->fault = "more brackets than this program holds (16)";
    }
    c->row.sources |= RULES_BRACKETS;
}

/* Orders that open are refused from the moment a contract is on its way out. */
static uint32_t status_of(const struct json_text *t) {
    if (json_text_is(t, "TRADING")) return INSTRUMENT_TRADING;
    if (json_text_is(t, "CLOSE") || json_text_is(t, "DELIVERED") ||
        json_text_is(t, "PENDING_TRADING"))
        return INSTRUMENT_CLOSED;
    return INSTRUMENT_SETTLING;
}

static int64_t read_ms(struct json_reader *r) {
    int64_t ms = json_i64(r);
    return ms > 0 && ms < INT64_MAX / NS_PER_MS ? ms * NS_PER_MS : 0;
}

static void read_contract_field(struct json_reader *r, struct contract *c,
                                const struct json_text *key) {
    struct instrument *in = &c->row.instrument;
    if (json_text_is(key, "symbol")) {
        struct json_text t = json_string(r);
        memset(in->symbol, 0, sizeof in->symbol);
        c->symbol_bad = json_text_copy(in->symbol, sizeof in->symbol, NULL, &t) != ST_OK ||
                        !fs_is_plain_name(in->symbol);
    } else if (json_text_is(key, "filters")) {
        read_filters(r, c);
    } else if (json_text_is(key, "brackets")) {
        read_brackets(r, c);
    } else if (json_text_is(key, "fundingIntervalHours")) {
        int64_t hours = json_i64(r);
        if (hours < 1 || hours > 24)
            c->fault = "funding interval is not 1 to 24 hours";
        else
            in->funding_interval_ns = hours * NS_PER_HOUR;
        c->row.sources |= RULES_FUNDING;
    } else if (json_text_is(key, "contractType")) {
        json_skip(r);
        c->is_perpetual_market = true;
    } else if (json_text_is(key, "status")) {
        struct json_text t = json_string(r);
        in->status = status_of(&t);
    } else if (json_text_is(key, "liquidationFee")) {
        in->liquidation_fee.e8 = read_e8(r);
    } else if (json_text_is(key, "marketTakeBound")) {
        in->market_take_bound.e8 = read_e8(r);
    } else if (json_text_is(key, "onboardDate")) {
        in->onboard_ts_ns = read_ms(r);
    } else if (json_text_is(key, "deliveryDate")) {
        in->delivery_ts_ns = read_ms(r);
    } else {
        json_skip(r);
    }
}

static const char *filters_fault(struct contract *c) {
    struct instrument *in = &c->row.instrument;
    if (!c->is_perpetual_market) return "no contractType: this is not a futures exchangeInfo";
    if (!c->has_price || in->tick_size.e8 <= 0) return "no PRICE_FILTER with a tickSize";
    if (!c->has_lot || in->step_size.e8 <= 0) return "no LOT_SIZE with a stepSize";
    if (!c->has_market_lot) {
        in->market_step_size = in->step_size;
        in->market_qty_min = in->qty_min;
        in->market_qty_max = in->qty_max;
    }
    if (in->px_min.e8 < 0 || in->px_max.e8 < 0 || in->notional_min.e8 < 0 ||
        in->market_step_size.e8 <= 0 || in->qty_min.e8 < 0 || in->qty_max.e8 < in->qty_min.e8 ||
        in->market_qty_min.e8 < 0 || in->market_qty_max.e8 < in->market_qty_min.e8)
        return "limits of price or quantity make no sense";
    if (in->multiplier_up.e8 < FX_ONE || in->multiplier_down.e8 < 0 ||
        in->multiplier_down.e8 > FX_ONE || in->market_take_bound.e8 < 0 ||
        in->liquidation_fee.e8 < 0 || in->liquidation_fee.e8 > FX_ONE)
        return "multipliers, take bound or liquidation fee make no sense";
    return NULL;
}

static uint64_t line_of(const struct json_reader *r) {
    uint64_t line = 1;
    for (const char *p = r->begin; p < r->cursor; p++) line += *p == '\n';
    return line;
}

/* Takes what an object said, if it said anything about a contract. */
static void finish_contract(struct parse *p, struct contract *c) {
    if (c->row.sources == 0 || p->r.error) return;
    p->known = true;
    struct instrument *in = &c->row.instrument;
    const char *fault = c->fault;
    if (in->symbol[0] == '\0' || c->symbol_bad) fault = "no symbol of letters and digits";
    if (!fault && (c->row.sources & RULES_FILTERS)) fault = filters_fault(c);
    if (!fault && (c->row.sources & RULES_BRACKETS)) fault = contracts_brackets_fault(in);
    if (fault) {
        char text[160];
        snprintf(text, sizeof text, "%.23s left out: %s", c->symbol_bad ? "?" : in->symbol, fault);
        if (p->problem) p->problem(p->context, line_of(&p->r), text);
        return;
    }
    in->flags &= ~(uint32_t)INSTRUMENT_INFERRED;
    struct rules *row = rules_list_add(p->list, in->symbol);
    if (row)
        *row = c->row;
    else
        p->no_memory = true;
}

static void read_contract(struct parse *p) {
    struct contract c = {0};
    struct json_text key;
    instrument_defaults(&c.row.instrument, "");
    json_object_begin(&p->r);
    while (json_object_next(&p->r, &key)) read_contract_field(&p->r, &c, &key);
    finish_contract(p, &c);
}

static void read_contracts(struct parse *p) {
    json_array_begin(&p->r);
    while (json_array_next(&p->r)) {
        if (json_peek(&p->r) == JSON_OBJECT)
            read_contract(p);
        else
            json_skip(&p->r);
    }
}

/* exchangeInfo is an object around the array; leverageBracket with a symbol= may be one object. */
static void read_top_object(struct parse *p) {
    struct contract c = {0};
    struct json_text key;
    instrument_defaults(&c.row.instrument, "");
    json_object_begin(&p->r);
    while (json_object_next(&p->r, &key)) {
        if (json_text_is(&key, "symbols")) {
            p->known = true;
            read_contracts(p);
        } else {
            read_contract_field(&p->r, &c, &key);
        }
    }
    finish_contract(p, &c);
}

enum status contracts_parse(struct rules_list *inout, const char *text, size_t size,
                            contracts_problem *problem, void *context, struct err *err) {
    struct parse p = {.list = inout, .problem = problem, .context = context};
    size_t before = inout->count;
    json_reader_init(&p.r, text, size);
    if (json_peek(&p.r) == JSON_OBJECT)
        read_top_object(&p);
    else if (json_peek(&p.r) == JSON_ARRAY)
        read_contracts(&p);
    else
        json_skip(&p.r);
    enum status st = json_finish(&p.r);
    if (st != ST_OK)
        st = err_set(err, ST_INVALID, "line %u: %s", json_error_line(&p.r), p.r.error);
    else if (p.no_memory)
        st = err_set(err, ST_NO_MEMORY, "%zu contracts", inout->count);
    else if (!p.known)
        st = err_set(err, ST_INVALID,
                     "line 1: neither exchangeInfo nor fundingInfo nor leverage brackets");
    if (st != ST_OK) inout->count = before; /* a file counts whole or not at all */
    return st;
}
