#include <stddef.h>
#include <string.h>

#include "base/tstamp.h"
#include "venue/binance/codec_internal.h"

static enum stream_kind kind_of(const struct json_text *e) {
    static const struct {
        const char *text;
        enum stream_kind kind;
    } table[] = {{"aggTrade", STREAM_TRADE},
                 {"kline", STREAM_KLINE},
                 {"markPriceUpdate", STREAM_MARK},
                 {"depthUpdate", STREAM_DEPTH},
                 {"bookTicker", STREAM_BOOK_TICKER},
                 {"trade", STREAM_TRADE},
                 {"ORDER_TRADE_UPDATE", STREAM_ORDER},
                 {"ACCOUNT_UPDATE", STREAM_ACCOUNT},
                 {"ALGO_UPDATE", STREAM_ALGO},
                 {"TRADE_LITE", STREAM_TRADE_LITE},
                 {"ACCOUNT_CONFIG_UPDATE", STREAM_CONFIG},
                 {"MARGIN_CALL", STREAM_MARGIN_CALL},
                 {"listenKeyExpired", STREAM_KEY_EXPIRED},
                 {"contractInfo", STREAM_CONTRACT}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (json_text_is(e, table[i].text)) return table[i].kind;
    return STREAM_OTHER;
}

static void read_trade(struct decode *d, const struct json_text *key) {
    switch (binance_letter(key)) {
    case 'a': /* aggTrade */
    case 't': /* trade */
        d->out->u.trade.id = binance_read_id(d->r);
        d->has |= HAS_ID;
        break;
    case 'p':
        d->out->u.trade.px.e8 = json_e8(d->r);
        d->has |= HAS_PX;
        break;
    case 'q':
        d->out->u.trade.qty.e8 = json_e8(d->r);
        d->has |= HAS_QTY;
        break;
    case 'm':
        d->out->u.trade.buyer_is_maker = json_bool(d->r);
        break;
    default:
        json_skip(d->r);
    }
}

struct kline_extra {
    double taker;
    int64_t count;
    uint32_t has;
};

static void read_kline_field(struct decode *d, char c, struct kline_extra *x) {
    struct bar *bar = &d->out->u.kline.bar;
    switch (c) {
    case 't':
        bar->open_ts_ns = binance_read_ms(d->r);
        x->has |= 1;
        break;
    case 'o':
        bar->open.e8 = json_e8(d->r);
        x->has |= 2;
        break;
    case 'h':
        bar->high.e8 = json_e8(d->r);
        x->has |= 4;
        break;
    case 'l':
        bar->low.e8 = json_e8(d->r);
        x->has |= 8;
        break;
    case 'c':
        bar->close.e8 = json_e8(d->r);
        x->has |= 16;
        break;
    case 'v':
        bar->volume = json_f64(d->r);
        x->has |= 32;
        break;
    case 'q':
        bar->quote_volume = json_f64(d->r);
        break;
    case 'V':
        x->taker = json_f64(d->r);
        break;
    case 'n':
        x->count = json_i64(d->r);
        break;
    case 'x':
        d->out->u.kline.closed = json_bool(d->r);
        x->has |= 64;
        break;
    case 'i':
        binance_read_text(d->r, d->out->u.kline.interval, sizeof d->out->u.kline.interval);
        x->has |= 128;
        break;
    default:
        json_skip(d->r);
    }
}

static void read_kline(struct decode *d, const struct json_text *key) {
    struct json_text inner;
    struct bar *bar = &d->out->u.kline.bar;
    struct kline_extra x = {NAN, -1, 0};
    if (binance_letter(key) != 'k') {
        json_skip(d->r);
        return;
    }
    *bar = (struct bar){.quote_volume = NAN};
    json_object_begin(d->r);
    while (json_object_next(d->r, &inner)) read_kline_field(d, binance_letter(&inner), &x);
    bar->taker_buy_ratio = bar->volume > 0 ? (float)(x.taker / bar->volume) : NAN;
    bar->trade_count =
        x.count >= 0 && x.count < (int64_t)UINT32_MAX ? (uint32_t)x.count : BAR_COUNT_UNKNOWN;
    if (x.has != 255 || !bar_is_possible(bar)) binance_reader_fail(d->r, "not a candle");
    d->has |= HAS_BODY;
}

static void read_mark(struct decode *d, const struct json_text *key) {
    switch (binance_letter(key)) {
    case 'p':
        d->out->u.mark.mark.e8 = binance_read_decimal(d->r);
        d->has |= HAS_PX;
        break;
    case 'i':
        d->out->u.mark.index.e8 = binance_read_decimal(d->r);
        break;
    case 'r':
        d->out->u.mark.funding.e8 = binance_read_decimal(d->r);
        break;
    default:
        json_skip(d->r);
    }
}

static void read_book_ticker(struct decode *d, const struct json_text *key) {
    switch (binance_letter(key)) {
    case 'u':
        d->out->u.book.update_id = binance_read_id(d->r);
        d->has |= HAS_ID;
        break;
    case 'b':
        d->out->u.book.bid.px.e8 = json_e8(d->r);
        d->has |= HAS_PX;
        break;
    case 'B':
        d->out->u.book.bid.qty.e8 = json_e8(d->r);
        break;
    case 'a':
        d->out->u.book.ask.px.e8 = json_e8(d->r);
        d->has |= HAS_QTY;
        break;
    case 'A':
        d->out->u.book.ask.qty.e8 = json_e8(d->r);
        break;
    default:
        json_skip(d->r);
    }
}

/* digits[.digits] before a quote: at most 18 of them, 8 behind the point. NULL: the reader must look at it. */
static inline const char *plain_decimal(const char *p, const char *end, int64_t *out) {
    static const int64_t powers[] = {100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};
    const char *begin = p;
    uint64_t mantissa = 0;
    ptrdiff_t digits, decimals = 0;
    for (; p < end && (unsigned char)(*p - '0') < 10; p++)
        mantissa = mantissa * 10 + (uint64_t)(*p - '0');
    digits = p - begin;
    if (p < end && *p == '.' && digits > 0) {
        const char *fraction = ++p;
        for (; p < end && (unsigned char)(*p - '0') < 10; p++)
            mantissa = mantissa * 10 + (uint64_t)(*p - '0');
        decimals = p - fraction;
        digits += decimals;
        if (decimals == 0) return NULL;
    }
    if (digits == 0 || digits > 18 || decimals > 8 || p == end || *p != '"' ||
        __builtin_mul_overflow((int64_t)mantissa, powers[decimals], out))
        return NULL;
    return p + 1;
}

/* ["1.5","2"] without a blank, as the venue writes: a depth frame is forty of these, and the general way costs twice as
 * much. False, and nothing consumed: let the reader do it. */
static inline bool plain_level(struct json_reader *r, struct stream_level *out) {
    const char *p = r->cursor, *end = r->end;
    if (end - p < 9 || p[0] != '[' || p[1] != '"') return false;
    p = plain_decimal(p + 2, end, &out->px.e8);
    if (!p || end - p < 4 || p[0] != ',' || p[1] != '"') return false;
    p = plain_decimal(p + 2, end, &out->qty.e8);
    if (!p || p == end || *p != ']') return false;
    r->cursor = p + 1;
    return true;
}

/* Any other spelling of a level. */
static void read_level(struct json_reader *r, struct stream_level *out) {
    uint32_t column = 0;
    json_array_begin(r);
    for (; json_array_next(r); column++) {
        if (column == 0)
            out->px.e8 = json_e8(r);
        else if (column == 1)
            out->qty.e8 = json_e8(r);
        else
            json_skip(r);
    }
    if (column != 2) binance_reader_fail(r, "a level is a price and a quantity");
}

static uint32_t read_levels(struct decode *d, struct stream_level *levels) {
    uint32_t count = 0;
    json_array_begin(d->r);
    while (json_array_next(d->r)) {
        struct stream_level level = {{0}, {0}};
        if (!plain_level(d->r, &level)) read_level(d->r, &level);
        if (level.px.e8 <= 0 || level.qty.e8 < 0) binance_reader_fail(d->r, "not a level");
        if (count == STREAM_LEVELS_MAX)
            d->out->u.depth.cut = true;
        else
            levels[count++] = level;
    }
    return count;
}

static void read_depth(struct decode *d, const struct json_text *key) {
    switch (binance_letter(key)) {
    case 'U':
        d->out->u.depth.first_id = binance_read_id(d->r);
        break;
    case 'u':
        d->out->u.depth.last_id = binance_read_id(d->r);
        d->has |= HAS_ID;
        break;
    case 'b':
        d->out->u.depth.bid_count = read_levels(d, d->out->u.depth.bids);
        d->has |= HAS_PX;
        break;
    case 'a':
        d->out->u.depth.ask_count = read_levels(d, d->out->u.depth.asks);
        d->has |= HAS_QTY;
        break;
    default:
        if (json_text_is(key, "pu"))
            d->out->u.depth.previous_id = binance_read_id(d->r);
        else
            json_skip(d->r);
    }
}

static void read_contract(struct decode *d, const struct json_text *key) {
    if (json_text_is(key, "cs")) {
        struct json_text t = json_string(d->r);
        d->out->u.contract.status = json_text_is(&t, "TRADING") ? INSTRUMENT_TRADING
                                    : json_text_is(&t, "CLOSE") || json_text_is(&t, "DELIVERED") ||
                                            json_text_is(&t, "PENDING_TRADING")
                                        ? INSTRUMENT_CLOSED
                                        : INSTRUMENT_SETTLING;
        d->has |= HAS_BODY;
    } else if (json_text_is(key, "dt")) {
        d->out->u.contract.delivery_ns = binance_read_ms(d->r);
    } else {
        json_skip(d->r);
    }
}

static void read_lite(struct decode *d, const struct json_text *key) {
    switch (binance_letter(key)) {
    case 't':
        d->out->u.lite.trade_id = binance_read_id(d->r);
        d->has |= HAS_ID;
        break;
    case 'i':
        d->out->u.lite.order_id = binance_read_id(d->r);
        break;
    case 'L':
        d->out->u.lite.last_px.e8 = json_e8(d->r);
        d->has |= HAS_PX;
        break;
    case 'l':
        d->out->u.lite.last_qty.e8 = json_e8(d->r);
        d->has |= HAS_QTY;
        break;
    case 'c':
        binance_read_text(d->r, d->out->u.lite.client_id, CLIENT_ORDER_ID_SIZE);
        break;
    default:
        json_skip(d->r);
    }
}

static void read_config(struct decode *d, const struct json_text *key) {
    struct json_text inner;
    if (!json_text_is(key, "ac")) {
        json_skip(d->r);
        return;
    }
    json_object_begin(d->r);
    while (json_object_next(d->r, &inner)) {
        if (binance_letter(&inner) == 's') {
            binance_read_symbol(d->r, d->out->symbol);
        } else if (binance_letter(&inner) == 'l') {
            int64_t leverage = json_i64(d->r);
            d->out->u.config.leverage = leverage > 0 && leverage <= 1000 ? (uint32_t)leverage : 0;
        } else {
            json_skip(d->r);
        }
    }
}

static void read_nothing(struct decode *d, const struct json_text *key) {
    (void)key;
    json_skip(d->r);
}

static void read_reply(struct decode *d, const struct json_text *key) {
    if (json_text_is(key, "code")) {
        d->out->u.reply.failed = true;
        d->out->u.reply.code = json_i64(d->r);
    } else if (json_text_is(key, "id") && json_peek(d->r) == JSON_NUMBER) {
        d->out->u.reply.id = json_i64(d->r);
    } else {
        if (json_text_is(key, "error")) d->out->u.reply.failed = true;
        json_skip(d->r);
    }
}

/* By enum stream_kind. `zero`: how much of the union a kind starts with as zeros. */
static const struct {
    void (*read)(struct decode *d, const struct json_text *key);
    uint32_t must, zero;
} kinds[] = {
    [STREAM_OTHER] = {read_nothing, 0, 0},
    [STREAM_TRADE] = {read_trade, HAS_ID | HAS_PX | HAS_QTY | HAS_SYMBOL, 32},
    [STREAM_KLINE] = {read_kline, HAS_BODY | HAS_SYMBOL, 96},
    [STREAM_MARK] = {read_mark, HAS_PX | HAS_SYMBOL, 32},
    [STREAM_BOOK_TICKER] = {read_book_ticker, HAS_ID | HAS_PX | HAS_QTY | HAS_SYMBOL, 48},
    [STREAM_DEPTH] = {read_depth, HAS_ID | HAS_PX | HAS_QTY | HAS_SYMBOL, 40},
    [STREAM_CONTRACT] = {read_contract, HAS_BODY | HAS_SYMBOL, 16},
    [STREAM_ORDER] = {binance_decode_order, HAS_BODY | HAS_ID | HAS_QTY | HAS_SIDE | HAS_SYMBOL, 0},
    [STREAM_ALGO] = {binance_decode_algo, HAS_BODY | HAS_ID | HAS_SIDE | HAS_SYMBOL, 0},
    [STREAM_ACCOUNT] = {binance_decode_account, HAS_BODY, 0},
    [STREAM_TRADE_LITE] = {read_lite, HAS_ID | HAS_PX | HAS_QTY | HAS_SYMBOL, 80},
    [STREAM_CONFIG] = {read_config, 0, 8},
    [STREAM_MARGIN_CALL] = {read_nothing, 0, 0},
    [STREAM_KEY_EXPIRED] = {read_nothing, 0, 0},
    [STREAM_REPLY] = {read_reply, 0, 24},
};

/* "E", "s" and "T" mean the same in all; in a mark price T is the next funding. */
static bool read_common(struct decode *d, const struct json_text *key) {
    switch (binance_letter(key)) {
    case 'e':
        json_skip(d->r);
        return true;
    case 'E':
        d->out->event_ns = binance_read_ms(d->r);
        return true;
    case 's':
        binance_read_symbol(d->r, d->out->symbol);
        d->has |= HAS_SYMBOL;
        return true;
    case 'T':
        if (d->out->kind == STREAM_MARK)
            d->out->u.mark.next_funding_ns = binance_read_ms(d->r);
        else
            d->out->ts_ns = binance_read_ms(d->r);
        return true;
    default:
        return false;
    }
}

/* The fields of an object whose kind is known; *first is a key already taken, or has no data. */
static void read_fields(struct decode *d) {
    struct json_text key;
    if (kinds[d->out->kind].zero) memset(&d->out->u, 0, kinds[d->out->kind].zero);
    if (d->out->kind == STREAM_DEPTH) d->out->u.depth.cut = false;
    while (json_object_next(d->r, &key))
        if (d->out->kind == STREAM_REPLY || !read_common(d, &key))
            kinds[d->out->kind].read(d, &key);
    if ((d->has & kinds[d->out->kind].must) != kinds[d->out->kind].must)
        binance_reader_fail(d->r, "a field is missing");
}

/* An object that does not begin with "e": looked through for it first. */
static void read_unordered(struct decode *d, const struct json_reader *at_begin) {
    struct json_text key;
    struct json_reader scan = *at_begin;
    d->out->kind = STREAM_REPLY;
    while (json_object_next(&scan, &key)) {
        if (json_text_is(&key, "e") && json_peek(&scan) == JSON_STRING) {
            struct json_text e = json_string(&scan);
            d->out->kind = kind_of(&e);
        } else {
            json_skip(&scan);
        }
    }
    *d->r = *at_begin;
    read_fields(d);
}

static void read_event(struct decode *d) {
    struct json_text key;
    if (!json_object_begin(d->r)) return;
    struct json_reader at_begin = *d->r;
    if (!json_object_next(d->r, &key)) {
        d->out->kind = STREAM_REPLY;
        memset(&d->out->u.reply, 0, sizeof d->out->u.reply);
        return;
    }
    if (json_text_is(&key, "e") && json_peek(d->r) == JSON_STRING) {
        struct json_text e = json_string(d->r);
        d->out->kind = kind_of(&e);
        read_fields(d);
        return;
    }
    read_unordered(d, &at_begin);
}

/* {"stream":"…","data":{…}}. The rest of the frame after data is looked at only for being JSON. */
static bool read_combined(struct decode *d) {
    struct json_text key;
    struct json_reader saved = *d->r;
    bool found = false;
    json_object_begin(d->r);
    if (!json_object_next(d->r, &key) || !json_text_is(&key, "stream")) {
        *d->r = saved;
        return false;
    }
    json_skip(d->r);
    while (json_object_next(d->r, &key)) {
        if (json_text_is(&key, "data") && !found && json_peek(d->r) == JSON_OBJECT) {
            found = true;
            read_event(d);
        } else {
            json_skip(d->r);
        }
    }
    return true;
}

enum status binance_stream_decode(struct stream_event *out, const char *text, size_t size) {
    struct json_reader r;
    struct decode d = {&r, out, 0};
    out->kind = STREAM_OTHER;
    out->event_ns = out->ts_ns = 0;
    memset(out->symbol, 0, sizeof out->symbol);
    json_reader_init(&r, text, size);
    if (json_peek(&r) != JSON_OBJECT)
        json_skip(&r); /* arrays of events: we subscribe to none */
    else if (!read_combined(&d))
        read_event(&d);
    return json_finish(&r);
}
