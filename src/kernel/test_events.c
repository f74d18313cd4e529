/* The event catalogue: every row through the codec and back, and loud refusals.
 *
 * TEST_SEED=n repeats the random events. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "brain/ensemble/ensemble.h"
#include "brain/strategy/strategy.h"
#include "kernel/events.h"

enum { JSON_MAX = 4096, TS = 5 };

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20241001;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* --- random objects, written here and not by the codec ------------------------------------------- */

struct object {
    struct rng rng;
    char text[JSON_MAX];
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void put(struct object *o, const char *format, ...) {
    va_list args;
    va_start(args, format);
    o->size += (size_t)vsnprintf(o->text + o->size, sizeof o->text - o->size, format, args);
    va_end(args);
}

static uint64_t wide(struct object *o) {
    return rng_u64(&o->rng) >> rng_below(&o->rng, 64);
}

static void put_one_of(struct object *o, const char *const *texts, size_t count) {
    put(o, "\"%s\"", texts[rng_below(&o->rng, count)]);
}
#define ONE_OF(...)                                                                                \
    static const char *const texts[] = {__VA_ARGS__};                                              \
    put_one_of(o, texts, sizeof texts / sizeof *texts)

static void put_U8(struct object *o) {
    put(o, "%" PRIu64, rng_below(&o->rng, 256));
}
static void put_SIDE8(struct object *o) {
    ONE_OF("NONE", "BUY", "SELL");
}
static void put_TYPE8(struct object *o) {
    ONE_OF("MARKET", "LIMIT", "STOP_MARKET", "TAKE_PROFIT_MARKET", "STOP", "TAKE_PROFIT");
}
static void put_TIF8(struct object *o) {
    ONE_OF("GTC", "IOC", "FOK", "GTX");
}
static void put_COMMAND8(struct object *o) {
    ONE_OF("submit", "cancel", "leverage");
}
static void put_VENUE8(struct object *o) {
    ONE_OF("accepted", "rejected", "triggered", "trade", "canceled", "expired", "cancel_rejected",
           "leverage_set", "funding", "liquidation", "position", "balance", "order_found");
}
static void put_EXIT8(struct object *o) {
    put(o, "\"%s\"", exit_reason_text((enum exit_reason)rng_below(&o->rng, EXIT_REASON_COUNT)));
}
static void put_STRATEGY8(struct object *o) {
    ONE_OF("ensemble", "momentum", "random", "sma_cross");
}
static void put_U32(struct object *o) {
    put(o, "%" PRIu64, wide(o) & UINT32_MAX);
}
static void put_I32(struct object *o) {
    put(o, "%" PRId32, (int32_t)(uint32_t)wide(o));
}
static void put_SIDE(struct object *o) {
    put_SIDE8(o);
}
static void put_ACTION(struct object *o) {
    ONE_OF("SELL", "HOLD", "BUY");
}
static void put_STRATEGY(struct object *o) {
    put_STRATEGY8(o);
}
static void put_MODE(struct object *o) {
    ONE_OF("replay", "paper", "testnet", "live");
}
static void put_VOTE(struct object *o) {
    put(o, "\"%s\"", vote_state_text((enum vote_state)rng_below(&o->rng, VOTE_EXCLUDED + 1)));
}
static void put_MODEL(struct object *o) {
    ONE_OF("xgboost", "lightgbm", "nhits", "patchtst");
}
static void put_ARM(struct object *o) {
    ONE_OF("defensive", "moderate", "moderate_aggressive", "balanced_aggressive",
           "ultra_aggressive", "scalp", "trend_rider", "none");
}
static void put_U64(struct object *o) {
    put(o, "%" PRIu64, wide(o) >> 1);
}
static void put_HEX(struct object *o) {
    put(o, "\"%016" PRIx64 "\"", wide(o));
}
static void put_I64(struct object *o) {
    put(o, "%" PRId64, (int64_t)wide(o));
}
static void put_TS(struct object *o) {
    put_I64(o);
}
static void put_decimal(struct object *o, int64_t e8) {
    char text[FX_TEXT_SIZE];
    fx_format(text, e8);
    put(o, "\"%s\"", text);
}
static void put_PX(struct object *o) {
    put_decimal(o, (int64_t)(wide(o) >> 1));
}
static void put_QTY(struct object *o) {
    put_decimal(o, -INT64_MAX + (int64_t)(wide(o) >> 1));
}
static void put_MONEY(struct object *o) {
    put_QTY(o);
}
static void put_RATE(struct object *o) {
    put_QTY(o);
}
static void put_F64(struct object *o) {
    if (rng_below(&o->rng, 8) == 0)
        put(o, "null");
    else
        put(o, "%.17g", (rng_f64(&o->rng) - 0.5) * pow(10, (double)rng_below(&o->rng, 40) - 20));
}
static void put_PROB(struct object *o) {
    static const char *const ends[] = {"0", "1", "0.5"};
    if (rng_below(&o->rng, 8) == 0)
        put(o, "%s", ends[rng_below(&o->rng, 3)]);
    else
        put(o, "%.17g", rng_f64(&o->rng));
}
static void put_text(struct object *o, const char *alphabet, uint64_t low, uint64_t high) {
    uint64_t n = low + rng_below(&o->rng, high - low + 1);
    put(o, "\"");
    while (n-- > 0) put(o, "%c", alphabet[rng_below(&o->rng, strlen(alphabet))]);
    put(o, "\"");
}
static void put_SYMBOL(struct object *o) {
    put_text(o, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", 1, SYMBOL_SIZE - 1);
}
static void put_ORDER_ID(struct object *o) {
    put_text(o, "abcXYZ019.:/_-", 0, CLIENT_ORDER_ID_SIZE - 1);
}
static void put_TEXT(struct object *o) {
    put_text(o, "abc XYZ019.:/_-#{}[],~", 0, TEXT_FIELD_SIZE - 1);
}

/* One object of row `id`; field number `skip` left out (-1 none), `twice` repeated, and the fields in
 * the catalogue's order turned by `turn`. */
struct plan {
    int skip, twice, turn, count, at;
};
#define PUT_FIELD(kind, name, about)                                                               \
    if (p->at % p->count == (k + p->turn) % p->count && p->at % p->count != p->skip) {             \
        put(o, o->size > 1 ? ",\"%s\":" : "\"%s\":", #name);                                       \
        put_##kind(o);                                                                             \
        if (p->at % p->count == p->twice) {                                                        \
            put(o, ",\"%s\":", #name);                                                             \
            put_##kind(o);                                                                         \
        }                                                                                          \
    }                                                                                              \
    p->at++;
#define COUNT_FIELD(kind, name, about) +1
#define MAKE_ROW(id, constant, tag, type, version, published, fields, about)                       \
    static void make_##tag(struct object *o, struct plan *p) {                                     \
        p->count = 0 fields(COUNT_FIELD);                                                          \
        for (int k = 0; k < p->count; k++) {                                                       \
            p->at = 0;                                                                             \
            fields(PUT_FIELD)                                                                      \
        }                                                                                          \
    }
EVENT_CATALOGUE(MAKE_ROW)

struct row {
    const char *type;
    void (*make)(struct object *o, struct plan *p);
    const char *names[32], *kinds[32];
    uint32_t version, size;
    int field_count;
    uint16_t id;
    bool published;
};
#define FIELD_NAME(kind, name, about) #name,
#define FIELD_KIND(kind, name, about) #kind,
#define TEST_ROW(id, constant, tag, type, version, published, fields, about)                       \
    {type,     make_##tag,         {fields(FIELD_NAME)},  {fields(FIELD_KIND)},                    \
     version,  sizeof(struct tag), 0 fields(COUNT_FIELD), id,                                      \
     published},
static const struct row rows[] = {EVENT_CATALOGUE(TEST_ROW)};
enum { ROWS = sizeof rows / sizeof *rows };

static void make(struct object *o, const struct row *row, int skip, int twice, int turn) {
    struct plan plan = {.skip = skip, .twice = twice, .turn = turn};
    o->size = 0;
    put(o, "{");
    row->make(o, &plan);
    put(o, "}");
    assert_true(o->size < sizeof o->text - 1);
}

static enum status decode(struct event *e, const struct row *row, const char *json,
                          struct err *err) {
    memset(e, 0xAA, sizeof *e);
    *err = (struct err){0};
    return event_decode(e, row->type, row->version, TS, json, strlen(json), err);
}

/* --- round trips --------------------------------------------------------------------------------- */

static void every_event_comes_back_the_same(void **state) {
    (void)state;
    struct object o = {.rng = rng_init(test_seed())};
    for (int r = 0; r < ROWS; r++) {
        for (int n = 0; n < 2000; n++) {
            struct event a, b;
            struct err err;
            char text[JSON_MAX], again[JSON_MAX];
            size_t size, size_again;
            make(&o, &rows[r], -1, -1, (int)rng_below(&o.rng, 32));
            if (decode(&a, &rows[r], o.text, &err) != ST_OK) fail_msg("%s\n%s", err.text, o.text);
            assert_int_equal(a.type, rows[r].id);
            assert_int_equal(a.size, rows[r].size);
            assert_int_equal(a.ts_ns, TS);
            assert_int_equal(event_validate(&a, &err), ST_OK);
            assert_int_equal(event_encode(text, sizeof text, &size, &a), ST_OK);
            assert_int_equal(size, strlen(text));
            assert_int_equal(decode(&b, &rows[r], text, &err), ST_OK);
            assert_int_equal(event_encode(again, sizeof again, &size_again, &b), ST_OK);
            assert_string_equal(text, again);
            /* In the journal an event is its bytes: they too must be the same. */
            assert_memory_equal(&a.u, &b.u, a.size);
        }
    }
}

static void the_wire_form_of_an_intent_by_hand(void **state) {
    (void)state;
    static const char json[] =
        "{\"intent_id\":\"00000000000000ff\",\"signal_id\":\"0123456789abcdef\",\"symbol\":"
        "\"BTCUSDT\","
        "\"instrument_index\":3,\"side\":\"SELL\",\"position_size_usd\":\"1000\",\"leverage\":3,"
        "\"strategy\":\"momentum\",\"entry_price\":\"60000.1\",\"stop_loss\":\"61200.2\","
        "\"take_profit\":\"57600\",\"stop_distance\":0.02,\"take_distance\":0.04,"
        "\"take_distance_2\":0.0625,\"take_distance_3\":0.125,\"take_part_1\":0.5,"
        "\"take_part_2\":0.25,\"break_even_distance\":0.03125,\"trail_from_distance\":0.0625,"
        "\"trail_distance\":0.015625,\"confidence\":0.52,"
        "\"edge\":null,\"horizon_bars\":0,\"arm\":\"scalp\",\"created\":1727740800000000000,"
        "\"expires\":1727744400000000000}";
    struct event e;
    event_init(&e, EVENT_TRADE_INTENT, TS);
    struct trade_intent *t = &e.u.trade_intent;
    *t = (struct trade_intent){.intent_id = 255,
                               .signal_id = 0x0123456789abcdef,
                               .symbol = "BTCUSDT",
                               .instrument_index = 3,
                               .side = SIDE_SELL,
                               .position_size_usd = {1000 * FX_ONE},
                               .leverage = 3,
                               .strategy = STRATEGY_MOMENTUM,
                               .entry_price = {6000010000000},
                               .stop_loss = {6120020000000},
                               .take_profit = {5760000000000},
                               .stop_distance = 0.02,
                               .take_distance = 0.04,
                               .take_distance_2 = 0.0625,
                               .take_distance_3 = 0.125,
                               .take_part_1 = 0.5,
                               .take_part_2 = 0.25,
                               .break_even_distance = 0.03125,
                               .trail_from_distance = 0.0625,
                               .trail_distance = 0.015625,
                               .confidence = 0.52,
                               .edge = (double)NAN,
                               .arm = STRATEGY_SCALP,
                               .created = INT64_C(1727740800000000000),
                               .expires = INT64_C(1727744400000000000)};
    char text[JSON_MAX];
    size_t size;
    assert_int_equal(event_encode(text, sizeof text, &size, &e), ST_OK);
    assert_string_equal(text, json);
    struct event back;
    struct err err;
    assert_int_equal(event_decode(&back, "trade.intent", 2, TS, json, strlen(json), &err), ST_OK);
    assert_memory_equal(&back.u, &e.u, sizeof *t);
    assert_int_equal(event_encode(text, size, &size, &e), ST_FULL); /* no room for the end */
}

/* --- refusals ------------------------------------------------------------------------------------ */

static void refused_naming(const struct row *row, const char *json, const char *name) {
    struct event e;
    struct err err;
    assert_int_equal(decode(&e, row, json, &err), ST_INVALID);
    if (!strstr(err.text, name)) fail_msg("'%s' does not name %s", err.text, name);
    assert_non_null(strstr(err.text, row->type));
}

/* Lesson L25: one mistyped field turned every signal of the original into a 404, silently. */
static void a_missing_field_is_refused_by_name(void **state) {
    (void)state;
    struct object o = {.rng = rng_init(test_seed())};
    for (int r = 0; r < ROWS; r++)
        for (int f = 0; f < rows[r].field_count; f++) {
            make(&o, &rows[r], f, -1, 0);
            refused_naming(&rows[r], o.text, rows[r].names[f]);
        }
}

static void a_doubled_field_is_refused_by_name(void **state) {
    (void)state;
    struct object o = {.rng = rng_init(test_seed())};
    for (int r = 0; r < ROWS; r++)
        for (int f = 0; f < rows[r].field_count; f++) {
            make(&o, &rows[r], -1, f, 0);
            refused_naming(&rows[r], o.text, rows[r].names[f]);
        }
}

static void an_unknown_field_is_refused_by_name(void **state) {
    (void)state;
    struct object o = {.rng = rng_init(test_seed())};
    static const char *const extras[] = {",\"action_\":1}", ",\"payload\":{\"a\":[]}}", ",\"\":0}"};
    static const char *const names[] = {"action_", "payload", "''"};
    for (int r = 0; r < ROWS; r++)
        for (int x = 0; x < 3; x++) {
            make(&o, &rows[r], -1, -1, 0);
            o.size--;
            put(&o, "%s", extras[x]);
            refused_naming(&rows[r], o.text, names[x]);
        }
}

/* Values no field of the kind may have. */
static const struct {
    const char *kind;
    const char *values[12];
} wrong[] = {
    {"U8", {"-1", "256", "\"1\"", "1.5", "null", "true", "[]"}},
    {"SIDE8", {"\"buy\"", "\"?\"", "1", "\"\"", "null", "\"BUY\\u0000X\"", "\"BUYS\""}},
    {"TYPE8", {"\"market\"", "0", "\"?\""}},
    {"TIF8", {"\"DAY\"", "0", "\"?\""}},
    {"COMMAND8", {"\"?\"", "\"amend\"", "1"}},
    {"VENUE8", {"\"?\"", "\"filled\"", "4"}},
    {"EXIT8", {"\"?\"", "\"stop\"", "1"}},
    {"STRATEGY8", {"\"?\"", "\"fallback\"", "0"}},
    {"U32", {"-1", "4294967296", "\"7\"", "1e3", "null"}},
    {"I32", {"2147483648", "-2147483649", "\"7\"", "null"}},
    {"SIDE", {"\"LONG\"", "2", "null"}},
    {"ACTION", {"\"NONE\"", "\"buy\"", "2"}},
    {"STRATEGY", {"\"sma\"", "2"}},
    {"MODE", {"\"LIVE\"", "\"mainnet\"", "3"}},
    {"VOTE", {"\"?\"", "1"}},
    {"MODEL", {"\"XGBoost\"", "0"}},
    {"ARM", {"\"?\"", "\"Scalp\"", "7", "null"}},
    {"U64", {"-1", "9223372036854775808", "\"7\"", "0.5", "null"}},
    {"HEX",
     {"\"ff\"", "\"00000000000000FF\"", "\"0x000000000000ff\"", "255", "\"00000000000000fg\""}},
    {"I64", {"9223372036854775808", "\"7\"", "1.5", "null"}},
    {"TS", {"9223372036854775808", "\"2024-10-01\"", "1.7e18", "null"}},
    {"PX", {"\"-0.1\"", "60000.1", "\"1.000000001\"", "\"\"", "\"abc\"", "null", "\"NaN\""}},
    {"QTY", {"1", "\"1.000000001\"", "\"1,5\"", "null", "\"99999999999999\""}},
    {"MONEY", {"1.5", "\"\"", "null"}},
    {"RATE", {"0.0001", "\"1 %\"", "null"}},
    {"F64", {"\"1\"", "true", "1e999", "NaN", "[1]"}},
    {"PROB", {"null", "-0.01", "1.01", "\"0.5\"", "68"}},
    {"SYMBOL",
     {"\"\"", "\"btcusdt\"", "\"BTC/USDT\"", "7", "null", "\"ABCDEFGHIJKLMNOPQRSTUVWX\""}},
    {"ORDER_ID",
     {"7", "\"a\\u0007b\"", "\"q\\u0000z\"", "null",
      "\"0123456789012345678901234567890123456789\""}},
    {"TEXT", {"7", "\"\\u00e9\"", "\"a\\nb\"", "null", "\"01234567890123456789012345678901\""}},
};

/* Replaces the value of field `name` in a flat object. */
static void replace(char *out, size_t capacity, const char *json, const char *name,
                    const char *value) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key), *end = at + strlen(key);
    bool quoted = *end == '"';
    for (end += quoted; quoted ? *end != '"' : *end != ',' && *end != '}'; end++) {}
    end += quoted;
    snprintf(out, capacity, "%.*s%s%s%s", (int)(at - json), json, key, value, end);
}

static void a_value_of_the_wrong_kind_is_refused_by_name(void **state) {
    (void)state;
    struct object o = {.rng = rng_init(test_seed())};
    uint32_t tried = 0;
    for (int r = 0; r < ROWS; r++)
        for (int f = 0; f < rows[r].field_count; f++) {
            size_t w = 0;
            while (w < sizeof wrong / sizeof *wrong && strcmp(wrong[w].kind, rows[r].kinds[f]) != 0)
                w++;
            assert_true(w < sizeof wrong / sizeof *wrong); /* a new kind needs its wrong values */
            for (size_t v = 0; v < 12 && wrong[w].values[v]; v++, tried++) {
                char json[JSON_MAX];
                make(&o, &rows[r], -1, -1, 0);
                replace(json, sizeof json, o.text, rows[r].names[f], wrong[w].values[v]);
                refused_naming(&rows[r], json, rows[r].names[f]);
            }
        }
    assert_true(tried > 500);
}

static void broken_json_is_refused(void **state) {
    (void)state;
    struct object o = {.rng = rng_init(test_seed())};
    for (int r = 0; r < ROWS; r++) {
        make(&o, &rows[r], -1, -1, 0);
        struct event e;
        struct err err;
        for (size_t n = 0; n < o.size; n++) /* cut anywhere */
            assert_int_not_equal(
                event_decode(&e, rows[r].type, rows[r].version, TS, o.text, n, &err), ST_OK);
        put(&o, " {}");
        assert_int_equal(decode(&e, &rows[r], o.text, &err), ST_INVALID);
        assert_int_equal(decode(&e, &rows[r], "[]", &err), ST_INVALID);
        assert_int_equal(decode(&e, &rows[r], "null", &err), ST_INVALID);
    }
}

static void another_version_and_another_name_are_refused(void **state) {
    (void)state;
    struct object o = {.rng = rng_init(test_seed())};
    for (int r = 0; r < ROWS; r++) {
        make(&o, &rows[r], -1, -1, 0);
        struct event e;
        struct err err = {0};
        assert_int_equal(
            event_decode(&e, rows[r].type, rows[r].version + 1, TS, o.text, o.size, &err),
            ST_VERSION);
        assert_non_null(strstr(err.text, rows[r].type));
        assert_int_equal(event_decode(&e, rows[r].type, 0, TS, o.text, o.size, &err), ST_VERSION);
    }
    struct event e;
    struct err err = {0};
    assert_int_equal(event_decode(&e, "trade.wish", 1, TS, "{}", 2, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "trade.wish"));
}

static void validation_finds_what_a_struct_may_not_hold(void **state) {
    (void)state;
    struct event e;
    struct err err = {0};
    struct object o = {.rng = rng_init(1)};
    const struct row *row = &rows[EVENT_TRADE_INTENT - 1];
    make(&o, row, -1, -1, 0);
    assert_int_equal(decode(&e, row, o.text, &err), ST_OK);
    struct event broken = e;
    broken.u.trade_intent.side = 3;
    assert_int_equal(event_validate(&broken, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "side"));
    broken = e;
    broken.u.trade_intent.confidence = (double)NAN;
    assert_int_equal(event_validate(&broken, &err), ST_INVALID);
    broken = e;
    broken.u.trade_intent.stop_distance = (double)INFINITY;
    assert_int_equal(event_validate(&broken, &err), ST_INVALID);
    broken = e;
    memset(broken.u.trade_intent.symbol, 'A', SYMBOL_SIZE); /* not ended */
    assert_int_equal(event_validate(&broken, &err), ST_INVALID);
    broken = e;
    broken.u.trade_intent.entry_price.e8 = -1;
    assert_int_equal(event_validate(&broken, &err), ST_INVALID);
    broken = e;
    broken.type = ROWS + 1;
    assert_int_equal(event_validate(&broken, &err), ST_INVALID);
}

/* --- the table itself ---------------------------------------------------------------------------- */

static void ids_are_consecutive_and_names_unique(void **state) {
    (void)state;
    for (int r = 0; r < ROWS; r++) {
        assert_int_equal(rows[r].id, r + 1);
        const struct event_info *info = event_info((uint16_t)(r + 1));
        assert_non_null(info);
        assert_int_equal(info->type, r + 1);
        assert_int_equal(info->size, rows[r].size);
        assert_int_equal(info->version, rows[r].version);
        assert_int_equal(info->published, rows[r].published);
        assert_ptr_equal(event_info_by_name(info->name), info);
        for (int q = 0; q < r; q++) assert_string_not_equal(rows[q].type, rows[r].type);
        for (int f = 0; f < rows[r].field_count; f++)
            for (int g = 0; g < f; g++) assert_string_not_equal(rows[r].names[g], rows[r].names[f]);
    }
    assert_null(event_info(0));
    assert_null(event_info(ROWS + 1));
    assert_null(event_info_by_name("trade"));
}

/* An id is for good: journals and other programs have it. Adding a row adds a line here. */
static void published_ids_and_sizes_never_change(void **state) {
    (void)state;
    static const struct {
        const char *type;
        uint32_t version, size;
    } frozen[] = {
        {"run.started", 1, 88},         {"tape.advanced", 1, 16},
        {"model.answered", 1, 64},      {"ai.signal_generated", 1, 128},
        {"trade.intent", 2, 200},       {"intent.delivered", 1, 8},
        {"intent.denied", 1, 88},       {"order.placed", 1, 88},
        {"execution.result", 2, 184},   {"trade.opened", 1, 80},
        {"position.protected", 1, 56},  {"risk.alert", 1, 80},
        {"trade.closed", 2, 168},       {"policy.updated", 1, 88},
        {"state.hash", 1, 16},          {"market.klines", 1, 104},
        {"market.tick", 1, 56},         {"clock.advanced", 1, 8},
        {"instrument.changed", 1, 128}, {"model.updated", 1, 144},
        {"governance.updated", 1, 168}, {"risk.changed", 1, 192},
        {"operator.command", 2, 128},   {"venue.link", 1, 8},
        {"strategy.changed", 1, 192},   {"position.reduced", 1, 104},
        {"report.written", 1, 88},      {"exit.chosen", 1, 200},
        {"exit.advised", 1, 144},       {"executor.started", 1, 8},
    };
    assert_int_equal(sizeof frozen / sizeof *frozen, ROWS);
    for (int r = 0; r < ROWS; r++) {
        assert_string_equal(rows[r].type, frozen[r].type);
        assert_int_equal(rows[r].version, frozen[r].version);
        assert_int_equal(rows[r].size, frozen[r].size);
    }
}

/* --- the document -------------------------------------------------------------------------------- */

struct text {
    char *data;
    size_t size, capacity;
};

static void append(void *context, const char *text) {
    struct text *t = context;
    size_t n = strlen(text);
    assert_true(t->size + n < t->capacity);
    memcpy(t->data + t->size, text, n + 1);
    t->size += n;
}

static void the_document_is_the_catalogues(void **state) {
    (void)state;
    enum { CAPACITY = 1 << 18 };
    struct text made = {calloc(1, CAPACITY), 0, CAPACITY};
    char *kept = calloc(1, CAPACITY);
    assert_non_null(made.data);
    assert_non_null(kept);
    event_document(append, &made);
    for (int r = 0; r < ROWS; r++)
        for (int f = 0; f < rows[r].field_count; f++)
            assert_non_null(strstr(made.data, rows[r].names[f]));
    char path[1024];
    snprintf(path, sizeof path, "%s", __FILE__);
    char *cut = strstr(path, "src/kernel/");
    assert_non_null(cut);
    snprintf(cut, sizeof path - (size_t)(cut - path), "docs/EVENTS.md");
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("%s is missing: quantum events > docs/EVENTS.md", path);
    size_t n = fread(kept, 1, CAPACITY - 1, f);
    fclose(f);
    if (n != made.size || memcmp(kept, made.data, n) != 0)
        fail_msg("%s is not what the catalogue says: quantum events > docs/EVENTS.md", path);
    free(made.data);
    free(kept);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_comes_back_the_same),
        cmocka_unit_test(the_wire_form_of_an_intent_by_hand),
        cmocka_unit_test(a_missing_field_is_refused_by_name),
        cmocka_unit_test(a_doubled_field_is_refused_by_name),
        cmocka_unit_test(an_unknown_field_is_refused_by_name),
        cmocka_unit_test(a_value_of_the_wrong_kind_is_refused_by_name),
        cmocka_unit_test(broken_json_is_refused),
        cmocka_unit_test(another_version_and_another_name_are_refused),
        cmocka_unit_test(validation_finds_what_a_struct_may_not_hold),
        cmocka_unit_test(ids_are_consecutive_and_names_unique),
        cmocka_unit_test(published_ids_and_sizes_never_change),
        cmocka_unit_test(the_document_is_the_catalogues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
