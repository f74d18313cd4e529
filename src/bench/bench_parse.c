/* parse_trade, parse_depth20: stream frame to the client's event, by the client's codec and by jansson.
 *
 * Each side takes the same fields, decimals to e8; that both fill the same is checked before anything is timed. Rounds of
 * the two take turns, so that a slow phase of the machine meets both. The frames differ from pass to pass in their
 * digits, as those of a stream do. */
#include <stdio.h>
#include <string.h>

#include "base/json_peer.h"
#include "base/rng.h"
#include "base/tstamp.h"
#include "bench/bench.h"
#include "venue/binance/codec.h"

enum { FRAMES = 64, FRAME_SIZE = 2048, ROUNDS = 9, PASSES = 3000, PASSES_PEER = 400 };

struct frames {
    char text[FRAMES][FRAME_SIZE];
    size_t size[FRAMES];
};

static void make_trade(char *out, size_t *size, struct rng *rng) {
    *size = (size_t)snprintf(
        out, FRAME_SIZE,
        "{\"e\":\"aggTrade\",\"E\":1772359200%03u,\"s\":\"ETHUSDT\",\"a\":23107%05u,\"p\":\"35%02u."
        "%02u\",\"q\":\"%u.%03u\",\"nq\":\"1.284\",\"f\":5412207781,\"l\":5412207784,\"T\":"
        "1772359200101,\"m\":%s,\"st\":1}",
        (unsigned)rng_below(rng, 1000), (unsigned)rng_below(rng, 100000),
        (unsigned)rng_below(rng, 100), (unsigned)rng_below(rng, 100), (unsigned)rng_below(rng, 90),
        (unsigned)rng_below(rng, 1000), rng_below(rng, 2) ? "true" : "false");
}

static size_t put_levels(char *out, size_t at, struct rng *rng, int step) {
    for (int i = 0; i < STREAM_LEVELS_MAX; i++)
        at += (size_t)snprintf(out + at, FRAME_SIZE - at, "%s[\"%d.%d0\",\"%u.%03u\"]",
                               i ? "," : "", 67412 + step * (i / 10), i % 10,
                               (unsigned)rng_below(rng, 40), (unsigned)rng_below(rng, 1000));
    return at;
}

static void make_depth(char *out, size_t *size, struct rng *rng) {
    size_t at = (size_t)snprintf(
        out, FRAME_SIZE,
        "{\"e\":\"depthUpdate\",\"E\":1772359200%03u,\"T\":1772359200211,\"s\":\"BTCUSDT\",\"ps\":"
        "\"BTCUSDT\",\"U\":9120445510021,\"u\":91204455%05u,\"pu\":9120445509987,\"b\":[",
        (unsigned)rng_below(rng, 1000), (unsigned)rng_below(rng, 100000));
    at = put_levels(out, at, rng, -1);
    at += (size_t)snprintf(out + at, FRAME_SIZE - at, "],\"a\":[");
    at = put_levels(out, at, rng, 1);
    *size = at + (size_t)snprintf(out + at, FRAME_SIZE - at, "],\"st\":1}");
}

/* ---- jansson ---- */

static bool peer_e8(const json_t *value, int64_t *out) {
    const char *text = json_string_value(value);
    return text && fx_parse(out, text, json_string_length(value)) == ST_OK;
}

static bool peer_ms(const json_t *object, const char *key, int64_t *out) {
    const json_t *value = json_object_get(object, key);
    *out = json_integer_value(value) * NS_PER_MS;
    return value && json_typeof(value) == JANSSON_INTEGER;
}

static bool peer_common(struct stream_event *e, const json_t *root) {
    const json_t *symbol = json_object_get(root, "s");
    const char *text = json_string_value(symbol);
    if (!text || json_string_length(symbol) >= SYMBOL_SIZE) return false;
    memset(e->symbol, 0, sizeof e->symbol);
    memcpy(e->symbol, text, json_string_length(symbol));
    return peer_ms(root, "E", &e->event_ns) && peer_ms(root, "T", &e->ts_ns);
}

static bool peer_trade(struct stream_event *e, const json_t *root) {
    const json_t *maker = json_object_get(root, "m");
    e->kind = STREAM_TRADE;
    e->u.trade.id = (uint64_t)json_integer_value(json_object_get(root, "a"));
    e->u.trade.buyer_is_maker = maker && json_typeof(maker) == JANSSON_TRUE;
    return peer_common(e, root) && peer_e8(json_object_get(root, "p"), &e->u.trade.px.e8) &&
           peer_e8(json_object_get(root, "q"), &e->u.trade.qty.e8);
}

static bool peer_levels(struct stream_level *out, uint32_t *count, const json_t *rows) {
    size_t n = json_array_size(rows);
    *count = (uint32_t)n;
    if (n > STREAM_LEVELS_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(rows, i);
        if (!peer_e8(json_array_get(row, 0), &out[i].px.e8) ||
            !peer_e8(json_array_get(row, 1), &out[i].qty.e8))
            return false;
    }
    return true;
}

static bool peer_depth(struct stream_event *e, const json_t *root) {
    e->kind = STREAM_DEPTH;
    e->u.depth.first_id = (uint64_t)json_integer_value(json_object_get(root, "U"));
    e->u.depth.last_id = (uint64_t)json_integer_value(json_object_get(root, "u"));
    e->u.depth.previous_id = (uint64_t)json_integer_value(json_object_get(root, "pu"));
    return peer_common(e, root) &&
           peer_levels(e->u.depth.bids, &e->u.depth.bid_count, json_object_get(root, "b")) &&
           peer_levels(e->u.depth.asks, &e->u.depth.ask_count, json_object_get(root, "a"));
}

typedef bool peer_read(struct stream_event *e, const json_t *root);

static bool peer_decode(struct stream_event *e, const char *text, size_t size, peer_read *read) {
    json_error_t error;
    json_t *root = json_loadb(text, size, 0, &error);
    bool ok = root && read(e, root);
    json_decref(root);
    return ok;
}

/* ---- both ---- */

static bool same_levels(const struct stream_level *a, const struct stream_level *b, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (a[i].px.e8 != b[i].px.e8 || a[i].qty.e8 != b[i].qty.e8) return false;
    return true;
}

static bool same(const struct stream_event *a, const struct stream_event *b) {
    if (a->kind != b->kind || a->event_ns != b->event_ns || a->ts_ns != b->ts_ns ||
        strcmp(a->symbol, b->symbol) != 0)
        return false;
    if (a->kind == STREAM_TRADE)
        return a->u.trade.id == b->u.trade.id && a->u.trade.px.e8 == b->u.trade.px.e8 &&
               a->u.trade.qty.e8 == b->u.trade.qty.e8 &&
               a->u.trade.buyer_is_maker == b->u.trade.buyer_is_maker;
    return a->u.depth.first_id == b->u.depth.first_id && a->u.depth.last_id == b->u.depth.last_id &&
           a->u.depth.previous_id == b->u.depth.previous_id &&
           a->u.depth.bid_count == b->u.depth.bid_count &&
           a->u.depth.ask_count == b->u.depth.ask_count &&
           same_levels(a->u.depth.bids, b->u.depth.bids, a->u.depth.bid_count) &&
           same_levels(a->u.depth.asks, b->u.depth.asks, a->u.depth.ask_count);
}

static enum status check(const struct frames *f, peer_read *read, const char *name,
                         struct err *err) {
    struct stream_event ours, peer;
    for (int i = 0; i < FRAMES; i++)
        if (binance_stream_decode(&ours, f->text[i], f->size[i]) != ST_OK ||
            !peer_decode(&peer, f->text[i], f->size[i], read) || !same(&ours, &peer))
            return err_set(err, ST_MISMATCH, "%s: the two do not agree on %.80s", name, f->text[i]);
    return ST_OK;
}

static double time_ours(const struct frames *f) {
    struct stream_event e;
    uint64_t bad = 0;
    int64_t from = tstamp_monotonic_ns();
    for (int pass = 0; pass < PASSES; pass++)
        for (int i = 0; i < FRAMES; i++)
            bad += binance_stream_decode(&e, f->text[i], f->size[i]) != ST_OK;
    int64_t ns = tstamp_monotonic_ns() - from;
    return bad ? -1 : (double)ns / (double)(PASSES * FRAMES);
}

static double time_peer(const struct frames *f, peer_read *read) {
    struct stream_event e;
    uint64_t bad = 0;
    int64_t from = tstamp_monotonic_ns();
    for (int pass = 0; pass < PASSES_PEER; pass++)
        for (int i = 0; i < FRAMES; i++) bad += !peer_decode(&e, f->text[i], f->size[i], read);
    int64_t ns = tstamp_monotonic_ns() - from;
    return bad ? -1 : (double)ns / (double)(PASSES_PEER * FRAMES);
}

static enum status run(const char *name, void (*make)(char *, size_t *, struct rng *),
                       peer_read *read, struct err *err) {
    static struct frames f;
    double ours[ROUNDS], peer[ROUNDS];
    struct rng rng = rng_init(1);
    for (int i = 0; i < FRAMES; i++) make(f.text[i], &f.size[i], &rng);
    enum status st = check(&f, read, name, err);
    if (st != ST_OK) return st;
    for (int round = 0; round < ROUNDS; round++) {
        ours[round] = time_ours(&f);
        peer[round] = time_peer(&f, read);
    }
    bench_emit(&(struct bench_figure){name, bench_median(ours, ROUNDS), "ns",
                                      (uint64_t)ROUNDS * PASSES * FRAMES, "jansson",
                                      bench_median(peer, ROUNDS)});
    return ST_OK;
}

enum status bench_parse_trade(struct err *err) {
    return run("parse_trade", make_trade, peer_trade, err);
}

enum status bench_parse_depth20(struct err *err) {
    return run("parse_depth20", make_depth, peer_depth, err);
}
