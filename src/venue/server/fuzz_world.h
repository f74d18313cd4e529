/* An exchange for the fuzz programs of the requests: made once, on first use, in memory. */
#ifndef VENUE_SERVER_FUZZ_WORLD_H
#define VENUE_SERVER_FUZZ_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/tstamp.h"
#include "venue/server/limits.h"
#include "venue/server/rest.h"
#include "venue/server/streams.h"

/* Of RFC 8032, test 1. */
#define FUZZ_ED_PRIVATE                                                                            \
    "-----BEGIN PRIV"                                                                              \
    "ATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"             \
    "-----END PRIV"                                                                                \
    "ATE KEY-----\n"
#define FUZZ_KEYS                                                                                  \
    "[{\"name\":\"a\",\"balance\":\"100000\",\"api_key\":\"hmac-key\",\"api_secret\":\"s\"},"      \
    "{\"name\":\"b\",\"balance\":\"1000\",\"api_key\":\"ed-key\",\"ed25519_public_key\":"          \
    "\"-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/"                                \
    "7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n-----END PUBLIC KEY-----\\n\"},"                             \
    "{\"name\":\"a\",\"api_key\":\"reader-key\",\"api_secret\":\"s\",\"permissions\":[\"read\"]}]"

enum { FUZZ_TEXT = 1 << 16, FUZZ_CONTRACTS = 3 };

struct fuzz_world {
    struct world *world;
    struct keys keys;
    struct wire_key *ed, *hmac;
    struct rest rest;
    int64_t now_ns;
};

static inline void fuzz_prepare(void *context, struct world *w) {
    struct fuzz_world *f = context;
    for (uint32_t i = 0; i < f->keys.count; i++) {
        struct exchange_input in = {.kind = EXI_ACCOUNT_OPEN, .amount = f->keys.rows[i].balance};
        struct exchange_reply reply;
        if (f->keys.rows[i].opens) world_do(w, &in, f->now_ns, &reply);
    }
}

static inline void fuzz_world_open(struct fuzz_world *f) {
    static struct instrument contracts[FUZZ_CONTRACTS];
    static px_t start_px[FUZZ_CONTRACTS];
    struct limiter_config limits = limiter_config_defaults();
    struct streams_options streams = {.seed = 1};
    struct world_options o = {.exchange = exchange_config_defaults(),
                              .market = market_config_defaults(),
                              .history = history_limits_defaults(),
                              .ticks = {.instrument_count = FUZZ_CONTRACTS,
                                        .bars = 1500,
                                        .trades = 1000,
                                        .fundings = 1000},
                              .prepare = fuzz_prepare,
                              .context = f};
    market_symbols_default(contracts, start_px, FUZZ_CONTRACTS);
    f->now_ns = INT64_C(1700000000000) * NS_PER_MS;
    o.start_ns = o.market.start_ns = f->now_ns;
    o.exchange.instrument_count = o.market.instrument_count = FUZZ_CONTRACTS;
    o.exchange.instruments = o.market.instruments = contracts;
    o.exchange.accounts_max = 4;
    o.exchange.classic_conditional = true;
    o.market.start_px = start_px;
    ASSERT(keys_parse(&f->keys, FUZZ_KEYS, strlen(FUZZ_KEYS), "fuzz", NULL) == ST_OK);
    ASSERT(wire_key_ed25519(&f->ed, FUZZ_ED_PRIVATE, strlen(FUZZ_ED_PRIVATE), NULL) == ST_OK);
    ASSERT(wire_key_hmac(&f->hmac, "s", 1, NULL) == ST_OK);
    ASSERT(world_open(&f->world, &o, NULL) == ST_OK);
    f->rest =
        (struct rest){.world = f->world, .keys = &f->keys, .options = rest_options_defaults()};
    f->rest.options.classic_conditional = true;
    ASSERT(limiter_create(&f->rest.limiter, &limits, NULL) == ST_OK);
    ASSERT(streams_create(&f->rest.streams, f->world, &streams, NULL) == ST_OK);
    ASSERT(rest_init(&f->rest, NULL) == ST_OK);
}

static inline struct fuzz_world *fuzz_world(void) {
    static struct fuzz_world *f;
    if (!f) {
        f = calloc(1, sizeof *f);
        ASSERT(f);
        fuzz_world_open(f);
    }
    return f;
}

/* A little later, the market moved. */
static inline int64_t fuzz_tick(struct fuzz_world *f) {
    f->now_ns += 10 * NS_PER_MS;
    return f->now_ns;
}

/* Parameters with timestamp and signature; returns their length in text (FUZZ_TEXT). */
static inline size_t fuzz_sign(struct fuzz_world *f, char *text, struct net_text params,
                               bool ed25519) {
    char signature[WIRE_ED25519_TEXT_SIZE];
    size_t n = params.size;
    memcpy(text, params.data, n);
    n += (size_t)snprintf(text + n, FUZZ_TEXT - n, "%stimestamp=%lld", n ? "&" : "",
                          (long long)(f->now_ns / NS_PER_MS));
    size_t size = wire_sign(ed25519 ? f->ed : f->hmac, signature, text, n, NULL, 0);
    n += (size_t)snprintf(text + n, FUZZ_TEXT - n, "&signature=");
    return n + wire_percent_encode(text + n, FUZZ_TEXT - n, signature, size);
}

/* One JSON value, and no money lost. */
static inline void fuzz_check(const struct fuzz_world *f, const char *body, size_t size) {
    struct exchange_totals totals;
    struct json_reader r;
    json_reader_init(&r, body, size);
    json_skip(&r);
    if (json_finish(&r) != ST_OK) abort();
    exchange_totals_get(f->world->exchange, &totals);
    if (totals.error.e8 != 0) abort();
}
#endif
