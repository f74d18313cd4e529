/* Replies: any bytes through every reader. The first byte chooses nothing: all of them read all of it. */
#include <stdlib.h>
#include <string.h>

#include "venue/binance/codec.h"
#include "venue/binance/requests.h"

static void each(void *context, const struct rest_listing *l) {
    (void)context;
    if (memchr(l->symbol, '\0', sizeof l->symbol) == NULL) abort();
}

static void rows(const char *text, size_t size) {
    struct json_reader r;
    struct rest_order order;
    struct rest_algo algo;
    struct rest_trade trade;
    struct rest_position position;
    struct rest_income income;
    struct rest_symbol_config config;
    struct bar bar;
    for (int kind = 0; kind < 7; kind++) {
        json_reader_init(&r, text, size);
        json_array_begin(&r);
        while (json_array_next(&r)) {
            bool ok = kind == 0   ? binance_read_order(&r, &order)
                      : kind == 1 ? binance_read_algo(&r, &algo)
                      : kind == 2 ? binance_read_trade(&r, &trade)
                      : kind == 3 ? binance_read_position(&r, &position)
                      : kind == 4 ? binance_read_income(&r, &income)
                      : kind == 5 ? binance_read_symbol_config(&r, &config)
                                  : binance_read_kline(&r, &bar);
            if (!ok) break;
            if (kind == 2 && (trade.px.e8 <= 0 || trade.qty.e8 <= 0)) abort();
            if (kind == 6 && !bar_is_possible(&bar)) abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    struct rest_error error;
    struct rest_order order;
    struct rest_algo algo;
    struct rest_limits limits;
    int64_t ns;
    uint32_t leverage;
    char key[LISTEN_KEY_TEXT_SIZE], message[ANSWER_MESSAGE_SIZE];
    struct rest_wallet wallet;
    rate_t maker, taker;
    bool flag;
    int32_t code;
    (void)binance_rest_error(&error, text, size);
    (void)binance_rest_order(&order, text, size);
    (void)binance_rest_algo(&algo, text, size);
    (void)binance_rest_time(&ns, text, size);
    (void)binance_rest_leverage(&leverage, text, size);
    if (binance_rest_listen_key(key, text, size) == ST_OK && strpbrk(key, "/?#% ")) abort();
    (void)binance_rest_wallet(&wallet, text, size);
    (void)binance_rest_fees(&maker, &taker, text, size);
    (void)binance_rest_flag(&flag, "canTrade", text, size);
    (void)binance_rest_listings(&limits, text, size, each, NULL);
    rows(text, size);
    static const int statuses[] = {400, 404, 408, 418, 429, 500, 503};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        const struct reply r = {
            .kind = REPLY_HTTP, .http = statuses[i], .body = text, .size = size};
        if (binance_reply_verdict(&r, &code, message) == VERDICT_DONE) abort();
    }
    return 0;
}
