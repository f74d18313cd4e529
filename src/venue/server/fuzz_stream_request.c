/* What anyone may send to a stream connection: a path with its query (first byte even), or messages, each behind a
 * 16-bit length (odd). Whatever is answered must be JSON that our own reader takes, and no subscription is left when
 * the connection is closed. LIVE in the input stands for a listen key that is alive. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/tstamp.h"
#include "venue/server/streams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONTRACTS = 2, INPUT_MAX = 8192 };

static struct world *world;
static struct streams *streams;
static char live_key[LISTEN_KEY_SIZE];

static void must(int condition) {
    if (!condition) abort();
}

static void is_json(const char *text, size_t size) {
    struct json_reader r;
    json_reader_init(&r, text, size);
    must(json_peek(&r) == JSON_OBJECT);
    json_skip(&r);
    must(json_finish(&r) == ST_OK);
}

static bool take(void *context, const char *text, size_t size) {
    (void)context;
    is_json(text, size);
    return true;
}

static bool take_framed(void *context, const void *frame, size_t size) {
    const uint8_t *p = frame;
    must(size >= 2 && p[0] == 0x81);
    size_t head = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;
    must(size >= head);
    return take(context, (const char *)frame + head, size - head);
}

static void shut(void *context, int code) {
    (void)context;
    (void)code;
}

static void make(void) {
    static struct instrument instruments[CONTRACTS];
    static px_t start_px[CONTRACTS];
    struct world_options o = {.start_ns = 1700000000 * NS_PER_SECOND};
    market_symbols_default(instruments, start_px, CONTRACTS);
    o.exchange = exchange_config_defaults();
    o.exchange.instrument_count = o.market.instrument_count = CONTRACTS;
    o.exchange.instruments = o.market.instruments = instruments;
    o.exchange.accounts_max = 4;
    o.exchange.orders_max = o.exchange.algos_max = 16;
    o.exchange.book_orders_max = o.exchange.book_levels_max = 64;
    o.exchange.events_max = 1024;
    o.market = market_config_defaults();
    o.market.source = MARKET_PURE;
    o.market.instrument_count = CONTRACTS;
    o.market.instruments = instruments;
    o.market.start_px = start_px;
    o.market.start_ns = o.start_ns;
    o.history = history_limits_defaults();
    o.history.orders_max = o.history.algos_max = 64;
    o.history.trades_max = o.history.incomes_max = o.history.amendments_max = 16;
    o.ticks = (struct ticks_limits){
        .instrument_count = CONTRACTS, .bars = 120, .trades = 10, .fundings = 2};
    must(world_open(&world, &o, NULL) == ST_OK);
    must(streams_create(&streams, world, &(struct streams_options){.seed = 7}, NULL) == ST_OK);
    streams_key_start(streams, 1, world->now_ns, live_key);
}

/* The input with LIVE replaced by the key. */
static size_t with_key(char *out, const uint8_t *data, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < size && n + LISTEN_KEY_SIZE < INPUT_MAX; i++) {
        if (size - i >= 4 && memcmp(data + i, "LIVE", 4) == 0) {
            memcpy(out + n, live_key, LISTEN_KEY_SIZE - 1);
            n += LISTEN_KEY_SIZE - 1;
            i += 3;
        } else {
            out[n++] = (char)data[i];
        }
    }
    return n;
}

static void path(const char *text, size_t size, const struct streams_sink *sink) {
    const char *mark = memchr(text, '?', size);
    size_t n = mark ? (size_t)(mark - text) : size;
    struct net_text p = {text, n}, q = {mark ? mark + 1 : text + size, size - n - (mark != NULL)};
    struct stream_client *c = streams_open(streams, p, q, sink, world->now_ns);
    static const char list[] = "{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":1}";
    if (!c) return;
    streams_message(streams, c, (struct net_text){list, sizeof list - 1}, world->now_ns);
    streams_close(streams, c);
}

static void messages(const char *text, size_t size, const struct streams_sink *sink) {
    struct stream_client *c = streams_open(streams, (struct net_text){"/ws", 3},
                                           (struct net_text){"", 0}, sink, world->now_ns);
    must(c != NULL);
    while (size >= 2) {
        size_t n = (size_t)(uint8_t)text[0] | (size_t)(uint8_t)text[1] << 8;
        text += 2;
        size -= 2;
        if (n > size) n = size;
        streams_message(streams, c, (struct net_text){text, n}, world->now_ns);
        text += n;
        size -= n;
    }
    /* Somebody trades: what was subscribed speaks. */
    struct exchange_event e = {.kind = EXE_TRADE,
                               .side = SIDE_BUY,
                               .ts_ns = world->now_ns,
                               .trade_id = 1,
                               .px = {FX_ONE},
                               .qty = {FX_ONE}};
    streams_event(streams, &e);
    streams_close(streams, c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[INPUT_MAX];
    struct streams_sink sink = {NULL, take_framed, take, shut};
    struct streams_stats stats;
    if (!world) make();
    if (size == 0 || size > INPUT_MAX / 2) return 0;
    size_t n = with_key(text, data + 1, size - 1);
    if (data[0] % 2 == 0)
        path(text, n, &sink);
    else
        messages(text, n, &sink);
    streams_stats_get(streams, &stats);
    must(stats.clients == 0 && stats.subscriptions == 0);
    must(streams_deadline(streams) > world->now_ns);
    return 0;
}
