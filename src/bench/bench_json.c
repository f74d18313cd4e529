/* json_frame: market and order frames to typed structs, by base/json.h and by jansson.
 *
 * The frames have the shape of Binance USD-M's streams (kline, aggTrade, depthUpdate, markPriceUpdate,
 * bookTicker, ORDER_TRADE_UPDATE). Each side takes the same fields, decimals to e8; that both fill the
 * same struct is checked before anything is timed. Rounds of the two take turns, so that a slow phase of
 * the machine meets both. */
#include <string.h>

#include "base/fx.h"
#include "base/json_peer.h"
#include "base/tstamp.h"
#include "bench/bench.h"

enum {
    SYMBOL_BYTES = 16,
    ID_BYTES = 40,
    LEVELS = 20,
    ROUNDS = 9,
    PASSES_OURS = 4000,
    PASSES_PEER = 600
};

enum frame_kind {
    FRAME_KLINE,
    FRAME_AGG_TRADE,
    FRAME_DEPTH,
    FRAME_MARK,
    FRAME_BOOK_TICKER,
    FRAME_ORDER,
    FRAME_KINDS
};

static const char *const kind_events[FRAME_KINDS] = {
    "kline", "aggTrade", "depthUpdate", "markPriceUpdate", "bookTicker", "ORDER_TRADE_UPDATE"};

static const char *const kind_figures[FRAME_KINDS] = {
    "json_frame.kline",      "json_frame.agg_trade",   "json_frame.depth_update",
    "json_frame.mark_price", "json_frame.book_ticker", "json_frame.order_update"};

static const char *const frames[FRAME_KINDS] = {
    "{\"e\":\"kline\",\"E\":1772359200047,\"s\":\"BTCUSDT\",\"k\":{\"t\":1772355600000,\"T\":"
    "1772359199999,"
    "\"s\":\"BTCUSDT\",\"i\":\"1h\",\"f\":7312904411,\"L\":7313051207,\"o\":\"67412.30\",\"c\":"
    "\"67588.90\","
    "\"h\":\"67640.00\",\"l\":\"67301.10\",\"v\":\"8213.417\",\"n\":146797,\"x\":true,\"q\":"
    "\"554406127.61270\","
    "\"V\":\"4187.902\",\"Q\":\"282679410.31840\",\"B\":\"0\"},\"st\":1}",
    "{\"e\":\"aggTrade\",\"E\":1772359200123,\"s\":\"ETHUSDT\",\"a\":2310774512,\"p\":\"3588.27\","
    "\"q\":\"1.284\","
    "\"nq\":\"1.284\",\"f\":5412207781,\"l\":5412207784,\"T\":1772359200101,\"m\":true,\"st\":1}",
    "{\"e\":\"depthUpdate\",\"E\":1772359200219,\"T\":1772359200211,\"s\":\"SOLUSDT\",\"ps\":"
    "\"SOLUSDT\","
    "\"U\":9120445510021,\"u\":9120445513340,\"pu\":9120445509987,\"b\":[[\"171.2300\",\"412\"],["
    "\"171.2200\",\"0\"],"
    "[\"171.2100\",\"1287\"],[\"171.1900\",\"633\"],[\"171.1700\",\"90\"],[\"171.1500\",\"2145\"],["
    "\"171.1000\",\"5210\"],"
    "[\"171.0500\",\"0\"],[\"170.9800\",\"377\"],[\"170.9000\",\"8101\"]],\"a\":[[\"171.2400\","
    "\"255\"],"
    "[\"171.2500\",\"1020\"],[\"171.2700\",\"0\"],[\"171.2900\",\"744\"],[\"171.3100\",\"1904\"],["
    "\"171.3500\",\"60\"],"
    "[\"171.4000\",\"4410\"],[\"171.4400\",\"0\"],[\"171.5000\",\"9023\"],[\"171.6200\",\"318\"]],"
    "\"st\":1}",
    "{\"e\":\"markPriceUpdate\",\"E\":1772359201000,\"s\":\"BTCUSDT\",\"p\":\"67589.41210145\","
    "\"ap\":\"67590.02771304\","
    "\"i\":\"67611.87934783\",\"P\":\"67498.11640021\",\"r\":\"-0.00003817\",\"T\":1772380800000,"
    "\"st\":1}",
    "{\"e\":\"bookTicker\",\"u\":9120445513377,\"E\":1772359200232,\"T\":1772359200226,\"s\":"
    "\"1000PEPEUSDT\","
    "\"ps\":\"1000PEPEUSDT\",\"b\":\"0.0123470\",\"B\":\"418827\",\"a\":\"0.0123480\",\"A\":"
    "\"96012\",\"st\":1}",
    "{\"e\":\"ORDER_TRADE_UPDATE\",\"E\":1772359200345,\"T\":1772359200341,\"o\":{\"s\":"
    "\"BTCUSDT\","
    "\"c\":\"qt-000000000012-entry-1\",\"S\":\"BUY\",\"o\":\"LIMIT\",\"f\":\"GTC\",\"q\":\"0.250\","
    "\"p\":\"67590.00\","
    "\"ap\":\"67589.80\",\"sp\":\"0\",\"x\":\"TRADE\",\"X\":\"PARTIALLY_FILLED\",\"i\":"
    "881204477120,\"l\":\"0.100\","
    "\"z\":\"0.175\",\"L\":\"67589.70\",\"N\":\"USDT\",\"n\":\"3.37948500\",\"T\":1772359200341,"
    "\"t\":7313051299,"
    "\"b\":\"5069.25000\",\"a\":\"0\",\"m\":false,\"R\":false,\"wt\":\"CONTRACT_PRICE\",\"ot\":"
    "\"LIMIT\",\"ps\":\"BOTH\","
    "\"cp\":false,\"rp\":\"0\",\"pP\":false,\"si\":0,\"ss\":0,\"V\":\"EXPIRE_MAKER\",\"pm\":"
    "\"NONE\",\"gtd\":0,\"er\":\"0\"}}"};

struct level {
    int64_t px_e8, qty_e8;
};

struct frame {
    enum frame_kind kind;
    bool flag; /* kline closed, buyer is maker, order is maker */
    bool reduce_only;
    int64_t event_ms, ts_ms, end_ms;
    char symbol[SYMBOL_BYTES];
    union {
        struct {
            int64_t open_e8, high_e8, low_e8, close_e8, volume_e8, quote_e8, taker_e8, trade_count;
        } kline;
        struct {
            int64_t trade_id, px_e8, qty_e8;
        } agg;
        struct {
            int64_t first_id, last_id, previous_id;
            uint32_t bid_count, ask_count;
            struct level bids[LEVELS], asks[LEVELS];
        } depth;
        struct {
            int64_t mark_e8, index_e8, funding_rate_e8;
        } mark;
        struct {
            int64_t update_id, bid_e8, bid_qty_e8, ask_e8, ask_qty_e8;
        } ticker;
        struct {
            char client_order_id[ID_BYTES], side[8], order_type[24], exec_type[16], status[24];
            int64_t venue_order_id, trade_id, qty_e8, limit_e8, avg_e8, stop_e8;
            int64_t last_qty_e8, cum_qty_e8, last_px_e8, commission_e8, realized_e8;
        } order;
    };
};

/* ---- ours ---- */

static void text_into(char *out, size_t size, struct json_reader *r) {
    struct json_text text = json_string(r);
    if (json_text_copy(out, size, NULL, &text) != ST_OK && !r->error) r->error = "text too long";
}

/* The one letter of a key, 0 for a longer one. */
static char letter_of(const struct json_text *key) {
    return key->size == 1 ? key->data[0] : '\0';
}

static void candle_read(struct frame *f, struct json_reader *r) {
    struct json_text key;
    json_object_begin(r);
    while (json_object_next(r, &key)) switch (letter_of(&key)) {
        case 't':
            f->ts_ms = json_i64(r);
            break;
        case 'T':
            f->end_ms = json_i64(r);
            break;
        case 'o':
            f->kline.open_e8 = json_e8(r);
            break;
        case 'h':
            f->kline.high_e8 = json_e8(r);
            break;
        case 'l':
            f->kline.low_e8 = json_e8(r);
            break;
        case 'c':
            f->kline.close_e8 = json_e8(r);
            break;
        case 'v':
            f->kline.volume_e8 = json_e8(r);
            break;
        case 'q':
            f->kline.quote_e8 = json_e8(r);
            break;
        case 'V':
            f->kline.taker_e8 = json_e8(r);
            break;
        case 'n':
            f->kline.trade_count = json_i64(r);
            break;
        case 'x':
            f->flag = json_bool(r);
            break;
        default:
            json_skip(r);
            break;
        }
}

static void levels_read(struct level *levels, uint32_t *count, struct json_reader *r) {
    json_array_begin(r);
    while (json_array_next(r)) {
        if (*count == LEVELS) {
            r->error = "too many levels";
            return;
        }
        struct level *level = &levels[(*count)++];
        json_array_begin(r);
        if (json_array_next(r)) level->px_e8 = json_e8(r);
        if (json_array_next(r)) level->qty_e8 = json_e8(r);
        if (json_array_next(r)) r->error = "a level has two numbers";
    }
}

static void order_read(struct frame *f, struct json_reader *r) {
    struct json_text key;
    json_object_begin(r);
    while (json_object_next(r, &key)) switch (letter_of(&key)) {
        case 's':
            text_into(f->symbol, SYMBOL_BYTES, r);
            break;
        case 'c':
            text_into(f->order.client_order_id, ID_BYTES, r);
            break;
        case 'S':
            text_into(f->order.side, sizeof f->order.side, r);
            break;
        case 'o':
            text_into(f->order.order_type, sizeof f->order.order_type, r);
            break;
        case 'x':
            text_into(f->order.exec_type, sizeof f->order.exec_type, r);
            break;
        case 'X':
            text_into(f->order.status, sizeof f->order.status, r);
            break;
        case 'q':
            f->order.qty_e8 = json_e8(r);
            break;
        case 'p':
            f->order.limit_e8 = json_e8(r);
            break;
        case 'i':
            f->order.venue_order_id = json_i64(r);
            break;
        case 't':
            f->order.trade_id = json_i64(r);
            break;
        case 'l':
            f->order.last_qty_e8 = json_e8(r);
            break;
        case 'z':
            f->order.cum_qty_e8 = json_e8(r);
            break;
        case 'L':
            f->order.last_px_e8 = json_e8(r);
            break;
        case 'n':
            f->order.commission_e8 = json_e8(r);
            break;
        case 'm':
            f->flag = json_bool(r);
            break;
        case 'R':
            f->reduce_only = json_bool(r);
            break;
        default:
            if (json_text_is(&key, "ap"))
                f->order.avg_e8 = json_e8(r);
            else if (json_text_is(&key, "sp"))
                f->order.stop_e8 = json_e8(r);
            else if (json_text_is(&key, "rp"))
                f->order.realized_e8 = json_e8(r);
            else
                json_skip(r);
            break;
        }
}

/* A field of the flat frames beside E, T and s; false if the kind has no such field. */
static bool flat_read(struct frame *f, char letter, struct json_reader *r) {
    int64_t *e8 = NULL, *integer = NULL;
    switch (f->kind) {
    case FRAME_KLINE:
        break;
    case FRAME_AGG_TRADE:
        if (letter == 'a')
            integer = &f->agg.trade_id;
        else if (letter == 'p')
            e8 = &f->agg.px_e8;
        else if (letter == 'q')
            e8 = &f->agg.qty_e8;
        break;
    case FRAME_DEPTH:
        if (letter == 'U')
            integer = &f->depth.first_id;
        else if (letter == 'u')
            integer = &f->depth.last_id;
        break;
    case FRAME_MARK:
        if (letter == 'p')
            e8 = &f->mark.mark_e8;
        else if (letter == 'i')
            e8 = &f->mark.index_e8;
        else if (letter == 'r')
            e8 = &f->mark.funding_rate_e8;
        break;
    case FRAME_BOOK_TICKER:
        if (letter == 'u')
            integer = &f->ticker.update_id;
        else if (letter == 'b')
            e8 = &f->ticker.bid_e8;
        else if (letter == 'B')
            e8 = &f->ticker.bid_qty_e8;
        else if (letter == 'a')
            e8 = &f->ticker.ask_e8;
        else if (letter == 'A')
            e8 = &f->ticker.ask_qty_e8;
        break;
    case FRAME_ORDER:
    case FRAME_KINDS:
        break;
    }
    if (e8)
        *e8 = json_e8(r);
    else if (integer)
        *integer = json_i64(r);
    return e8 || integer;
}

static void field_read(struct frame *f, const struct json_text *key, struct json_reader *r) {
    char letter = letter_of(key);
    if (letter == 'E')
        f->event_ms = json_i64(r);
    else if (letter == 'T')
        f->ts_ms = json_i64(r);
    else if (letter == 's')
        text_into(f->symbol, SYMBOL_BYTES, r);
    else if (letter == 'k' && f->kind == FRAME_KLINE)
        candle_read(f, r);
    else if (letter == 'o' && f->kind == FRAME_ORDER)
        order_read(f, r);
    else if (letter == 'm' && f->kind == FRAME_AGG_TRADE)
        f->flag = json_bool(r);
    else if (letter == 'b' && f->kind == FRAME_DEPTH)
        levels_read(f->depth.bids, &f->depth.bid_count, r);
    else if (letter == 'a' && f->kind == FRAME_DEPTH)
        levels_read(f->depth.asks, &f->depth.ask_count, r);
    else if (f->kind == FRAME_DEPTH && json_text_is(key, "pu"))
        f->depth.previous_id = json_i64(r);
    else if (!flat_read(f, letter, r))
        json_skip(r);
}

static enum status ours_decode(struct frame *f, const char *text, size_t size) {
    struct json_reader r;
    struct json_text key;
    json_reader_init(&r, text, size);
    json_object_begin(&r);
    if (!json_object_next(&r, &key) || !json_text_is(&key, "e")) return ST_INVALID;
    struct json_text event = json_string(&r);
    int kind = 0;
    while (kind < FRAME_KINDS && !json_text_is(&event, kind_events[kind])) kind++;
    if (kind == FRAME_KINDS) return ST_UNSUPPORTED;
    f->kind = (enum frame_kind)kind;
    while (json_object_next(&r, &key)) field_read(f, &key, &r);
    return json_finish(&r);
}

/* ---- jansson ---- */

static int64_t peer_e8(const json_t *object, const char *key, bool *ok) {
    const json_t *value = json_object_get(object, key);
    int64_t e8 = 0;
    const char *text = json_string_value(value);
    if (!text || fx_parse(&e8, text, json_string_length(value)) != ST_OK) *ok = false;
    return e8;
}

static int64_t peer_i64(const json_t *object, const char *key, bool *ok) {
    const json_t *value = json_object_get(object, key);
    if (!value || json_typeof(value) != JANSSON_INTEGER) *ok = false;
    return json_integer_value(value);
}

static bool peer_bool(const json_t *object, const char *key, bool *ok) {
    const json_t *value = json_object_get(object, key);
    if (!value || (json_typeof(value) != JANSSON_TRUE && json_typeof(value) != JANSSON_FALSE))
        *ok = false;
    return value && json_typeof(value) == JANSSON_TRUE;
}

static void peer_text(char *out, size_t size, const json_t *object, const char *key, bool *ok) {
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    if (text && json_string_length(value) < size)
        memcpy(out, text, json_string_length(value) + 1);
    else
        *ok = false;
}

static void peer_levels(struct level *levels, uint32_t *count, const json_t *rows, bool *ok) {
    for (size_t i = 0; i < json_array_size(rows) && i < LEVELS; i++) {
        const json_t *row = json_array_get(rows, i), *px = json_array_get(row, 0),
                     *qty = json_array_get(row, 1);
        struct level *level = &levels[(*count)++];
        if (!px || !qty ||
            fx_parse(&level->px_e8, json_string_value(px), json_string_length(px)) != ST_OK ||
            fx_parse(&level->qty_e8, json_string_value(qty), json_string_length(qty)) != ST_OK)
            *ok = false;
    }
}

static void peer_order(struct frame *f, const json_t *o, bool *ok) {
    peer_text(f->symbol, SYMBOL_BYTES, o, "s", ok);
    peer_text(f->order.client_order_id, ID_BYTES, o, "c", ok);
    peer_text(f->order.side, sizeof f->order.side, o, "S", ok);
    peer_text(f->order.order_type, sizeof f->order.order_type, o, "o", ok);
    peer_text(f->order.exec_type, sizeof f->order.exec_type, o, "x", ok);
    peer_text(f->order.status, sizeof f->order.status, o, "X", ok);
    f->order.qty_e8 = peer_e8(o, "q", ok);
    f->order.limit_e8 = peer_e8(o, "p", ok);
    f->order.venue_order_id = peer_i64(o, "i", ok);
    f->order.trade_id = peer_i64(o, "t", ok);
    f->order.last_qty_e8 = peer_e8(o, "l", ok);
    f->order.cum_qty_e8 = peer_e8(o, "z", ok);
    f->order.last_px_e8 = peer_e8(o, "L", ok);
    f->order.commission_e8 = peer_e8(o, "n", ok);
    f->order.avg_e8 = peer_e8(o, "ap", ok);
    f->order.stop_e8 = peer_e8(o, "sp", ok);
    f->order.realized_e8 = peer_e8(o, "rp", ok);
    f->flag = peer_bool(o, "m", ok);
    f->reduce_only = peer_bool(o, "R", ok);
}

static void peer_candle(struct frame *f, const json_t *k, bool *ok) {
    f->ts_ms = peer_i64(k, "t", ok);
    f->end_ms = peer_i64(k, "T", ok);
    f->kline.open_e8 = peer_e8(k, "o", ok);
    f->kline.high_e8 = peer_e8(k, "h", ok);
    f->kline.low_e8 = peer_e8(k, "l", ok);
    f->kline.close_e8 = peer_e8(k, "c", ok);
    f->kline.volume_e8 = peer_e8(k, "v", ok);
    f->kline.quote_e8 = peer_e8(k, "q", ok);
    f->kline.taker_e8 = peer_e8(k, "V", ok);
    f->kline.trade_count = peer_i64(k, "n", ok);
    f->flag = peer_bool(k, "x", ok);
}

static void peer_fields(struct frame *f, const json_t *o, bool *ok) {
    f->event_ms = peer_i64(o, "E", ok);
    if (f->kind != FRAME_KLINE) f->ts_ms = peer_i64(o, "T", ok);
    if (f->kind != FRAME_ORDER) peer_text(f->symbol, SYMBOL_BYTES, o, "s", ok);
    switch (f->kind) {
    case FRAME_KLINE:
        peer_candle(f, json_object_get(o, "k"), ok);
        break;
    case FRAME_AGG_TRADE:
        f->agg.trade_id = peer_i64(o, "a", ok);
        f->agg.px_e8 = peer_e8(o, "p", ok);
        f->agg.qty_e8 = peer_e8(o, "q", ok);
        f->flag = peer_bool(o, "m", ok);
        break;
    case FRAME_DEPTH:
        f->depth.first_id = peer_i64(o, "U", ok);
        f->depth.last_id = peer_i64(o, "u", ok);
        f->depth.previous_id = peer_i64(o, "pu", ok);
        peer_levels(f->depth.bids, &f->depth.bid_count, json_object_get(o, "b"), ok);
        peer_levels(f->depth.asks, &f->depth.ask_count, json_object_get(o, "a"), ok);
        break;
    case FRAME_MARK:
        f->mark.mark_e8 = peer_e8(o, "p", ok);
        f->mark.index_e8 = peer_e8(o, "i", ok);
        f->mark.funding_rate_e8 = peer_e8(o, "r", ok);
        break;
    case FRAME_BOOK_TICKER:
        f->ticker.update_id = peer_i64(o, "u", ok);
        f->ticker.bid_e8 = peer_e8(o, "b", ok);
        f->ticker.bid_qty_e8 = peer_e8(o, "B", ok);
        f->ticker.ask_e8 = peer_e8(o, "a", ok);
        f->ticker.ask_qty_e8 = peer_e8(o, "A", ok);
        break;
    case FRAME_ORDER:
        peer_order(f, json_object_get(o, "o"), ok);
        break;
    case FRAME_KINDS:
        break;
    }
}

static enum status peer_decode(struct frame *f, const char *text, size_t size) {
    json_t *root = json_loadb(text, size, 0, NULL);
    if (!root) return ST_INVALID;
    bool ok = true;
    const char *event = json_string_value(json_object_get(root, "e"));
    int kind = 0;
    while (event && kind < FRAME_KINDS && strcmp(event, kind_events[kind]) != 0) kind++;
    f->kind = (enum frame_kind)kind;
    if (event && kind < FRAME_KINDS)
        peer_fields(f, root, &ok);
    else
        ok = false;
    json_decref(root);
    return ok ? ST_OK : ST_INVALID;
}

/* ---- the two beside each other ---- */

typedef enum status (*decode_fn)(struct frame *f, const char *text, size_t size);

static enum status both_agree(struct err *err) {
    for (int kind = 0; kind < FRAME_KINDS; kind++) {
        struct frame a, b;
        memset(&a, 0, sizeof a);
        memset(&b, 0, sizeof b);
        size_t size = strlen(frames[kind]);
        if (ours_decode(&a, frames[kind], size) != ST_OK ||
            peer_decode(&b, frames[kind], size) != ST_OK)
            return err_set(err, ST_INVALID, "bench json_frame: %s frame does not parse",
                           kind_events[kind]);
        if (memcmp(&a, &b, sizeof a) != 0 || a.event_ms == 0)
            return err_set(err, ST_MISMATCH, "bench json_frame: %s differs from jansson",
                           kind_events[kind]);
    }
    return ST_OK;
}

/* Seconds for `passes` over one kind of frame; adds to *sink, so that no decode can be left out. */
static double passes_seconds(decode_fn decode, int kind, int passes, uint64_t *sink) {
    size_t size = strlen(frames[kind]);
    static struct frame f;
    memset(&f, 0, sizeof f);
    int64_t start = tstamp_monotonic_ns();
    for (int i = 0; i < passes; i++) {
        f.depth.bid_count = f.depth.ask_count = 0;
        *sink += (uint64_t)decode(&f, frames[kind], size) + (uint64_t)f.event_ms;
    }
    return (double)(tstamp_monotonic_ns() - start) / 1e9;
}

static double mean_rate(double seconds, int passes) {
    return (double)passes / seconds;
}

enum status bench_json_frame(struct err *err) {
    enum status st = both_agree(err);
    if (st != ST_OK) return st;
    double ours[FRAME_KINDS][ROUNDS], peer[FRAME_KINDS][ROUNDS], ours_all[ROUNDS], peer_all[ROUNDS];
    uint64_t sink = 0;
    for (int round = -1; round < ROUNDS; round++) { /* one round to warm up, not counted */
        double ours_seconds = 0, peer_seconds = 0;
        for (int kind = 0; kind < FRAME_KINDS; kind++) {
            double a = passes_seconds(ours_decode, kind, PASSES_OURS, &sink);
            double b = passes_seconds(peer_decode, kind, PASSES_PEER, &sink);
            ours_seconds += a;
            peer_seconds += b;
            if (round < 0) continue;
            ours[kind][round] = mean_rate(a, PASSES_OURS);
            peer[kind][round] = mean_rate(b, PASSES_PEER);
        }
        if (round < 0) continue;
        ours_all[round] = mean_rate(ours_seconds, PASSES_OURS * FRAME_KINDS);
        peer_all[round] = mean_rate(peer_seconds, PASSES_PEER * FRAME_KINDS);
    }
    if (sink == 0) return err_set(err, ST_CORRUPT, "bench json_frame: nothing was decoded");
    bench_emit(&(struct bench_figure){"json_frame", bench_median(ours_all, ROUNDS), "1/s",
                                      (uint64_t)ROUNDS * PASSES_OURS * FRAME_KINDS, "jansson",
                                      bench_median(peer_all, ROUNDS)});
    for (int kind = 0; kind < FRAME_KINDS; kind++)
        bench_emit(&(struct bench_figure){kind_figures[kind], bench_median(ours[kind], ROUNDS),
                                          "1/s", (uint64_t)ROUNDS * PASSES_OURS, "jansson",
                                          bench_median(peer[kind], ROUNDS)});
    return ST_OK;
}
