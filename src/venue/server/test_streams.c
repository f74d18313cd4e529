/* Connections: paths, control messages, routes, listen keys, user data, faults. */
#include "venue/server/test_streams.h"

static const struct streams_options SEEDED = {.seed = 42};

/* ---- paths and control messages ---- */

/* What LIST_SUBSCRIPTIONS says, joined by blanks. */
static void list_of(struct sock *k, char *out, size_t size) {
    size_t used = 0, i;
    const json_t *name;
    sock_drain(k);
    sock_say(k, "{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":3}");
    const json_t *answer = sock_take(k), *list = json_object_get(answer, "result");
    assert_int_equal(int_at(answer, "id"), 3);
    assert_true(json_is_array(list));
    out[0] = '\0';
    json_array_foreach((json_t *)list, i, name) {
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " " : "",
                                 json_string_value(name));
    }
}

static void path_case(struct stage *t, const char *path, const char *query, const char *list,
                      bool combined) {
    struct sock k;
    char got[2048];
    bool open = sock_open(&k, t, path, query);
    if (open != (list != NULL)) print_error("%s ? %s\n", path, query);
    assert_int_equal(open, list != NULL);
    if (open) {
        list_of(&k, got, sizeof got);
        assert_string_equal(got, list);
        sock_say(&k, "{\"method\":\"GET_PROPERTY\",\"params\":[\"combined\"],\"id\":2}");
        assert_int_equal(bool_at(sock_take(&k), "result"), combined);
    }
    sock_close(&k);
}

static void test_paths(void **state) {
    (void)state;
    struct stage t;
    char key[LISTEN_KEY_SIZE], text[400];
    stage_open(&t, true, SEEDED);
    streams_key_start(t.s, 1, t.now_ns, key);

    path_case(&t, "/public/ws/btcusdt@bookTicker", "", "btcusdt@bookTicker", false);
    path_case(&t, "/market/ws/btcusdt@aggTrade/ethusdt@kline_1m", "",
              "btcusdt@aggTrade ethusdt@kline_1m", false);
    path_case(&t, "/market/stream", "streams=btcusdt@aggTrade/ethusdt@aggTrade",
              "btcusdt@aggTrade ethusdt@aggTrade", true);
    path_case(&t, "/market/stream", "streams=btcusdt%40aggTrade%2F!ticker%40arr",
              "btcusdt@aggTrade !ticker@arr", true);
    path_case(&t, "/public/stream", "streams=", "", true);
    path_case(&t, "/public/ws", "", "", false);
    path_case(&t, "/stream", "", "", true);
    path_case(&t, "/ws", "", "", false);
    path_case(&t, "/ws/", "", "", false);
    path_case(&t, "/ws/btcusdt@depth@100ms", "", "btcusdt@depth@100ms", false);
    path_case(&t, "/public/ws/1", "", "", false); /* tails that clients add */
    path_case(&t, "/market/ws/0", "", "", false);
    path_case(&t, "/private/ws/7", "", "", false);
    path_case(&t, "/stream", "streams=btcusdt@trade&timeUnit=MILLISECOND", "btcusdt@trade", true);
    path_case(&t, "/ws/nosuch@trade", "", "nosuch@trade", false);

    snprintf(text, sizeof text, "/private/ws/%s", key);
    path_case(&t, text, "", key, false);
    snprintf(text, sizeof text, "/ws/%s", key);
    path_case(&t, text, "", key, false);
    snprintf(text, sizeof text, "listenKey=%s&events=ORDER_TRADE_UPDATE/ACCOUNT_UPDATE", key);
    path_case(&t, "/private/ws", text, key, false);
    path_case(&t, "/private/stream", text, key, true);
    snprintf(text, sizeof text, "streams=%s", key);
    path_case(&t, "/private/stream", text, key, true);
    path_case(&t, "/private/stream", "streams=", "", true);

    path_case(&t,
              "/private/ws/"
              "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
              "", NULL, false);
    path_case(&t, "/ws/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "", NULL,
              false);
    path_case(&t, "/private/ws", "listenKey=nonsense", NULL, false);
    path_case(&t, "/private/ws", "listenKey=", NULL, false);
    path_case(&t, "/", "", NULL, false);
    path_case(&t, "", "", NULL, false);
    path_case(&t, "/fapi/v1/time", "", NULL, false);
    path_case(&t, "/ws-fapi/v1", "", NULL, false);
    path_case(&t, "/public", "", NULL, false);
    path_case(&t, "/public/wsx", "", NULL, false);
    path_case(&t, "/ws/btcusdt%4", "", NULL, false);
    stage_close(&t);
}

static void error_case(struct sock *k, const char *say, int code, const char *id) {
    sock_drain(k);
    sock_say(k, say);
    const json_t *answer = sock_take(k);
    if (!answer || !json_object_get(answer, "code")) print_error("%s\n", say);
    assert_int_equal(int_at(answer, "code"), code);
    assert_true(text_at(answer, "msg")[0] != '\0');
    char *got = json_dumps(json_object_get(answer, "id"), JSON_ENCODE_ANY);
    assert_string_equal(got, id);
    free(got);
    assert_int_equal(sock_waiting(k), 0);
}

static void result_case(struct sock *k, const char *say, const char *answer_text) {
    sock_drain(k);
    sock_say(k, say);
    char *got = json_dumps(sock_take(k), JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(got, answer_text);
    free(got);
    assert_int_equal(sock_waiting(k), 0);
}

static void test_control(void **state) {
    (void)state;
    struct stage t;
    struct sock k;
    char got[2048];
    stage_open(&t, true, (struct streams_options){.seed = 1, .streams_max = 4});
    assert_true(sock_open(&k, &t, "/ws", ""));
    result_case(&k, "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\"],\"id\":1}",
                "{\"result\":null,\"id\":1}");
    result_case(&k,
                "{\"id\":\"0f3a\",\"params\":[\"ethusdt@trade\",\"nosuch@trade\"],\"method\":"
                "\"SUBSCRIBE\"}",
                "{\"result\":null,\"id\":\"0f3a\"}");
    result_case(&k, "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\"],\"id\":null}",
                "{\"result\":null,\"id\":null}");
    list_of(&k, got, sizeof got);
    assert_string_equal(got, "btcusdt@trade ethusdt@trade nosuch@trade");
    /* The limit: all of a request or nothing. */
    error_case(&k, "{\"method\":\"SUBSCRIBE\",\"params\":[\"a@trade\",\"b@trade\"],\"id\":9}", 2,
               "9");
    result_case(&k,
                "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"ethusdt@trade\",\"x@y\"],\"id\":312}",
                "{\"result\":null,\"id\":312}");
    result_case(&k, "{\"method\":\"SUBSCRIBE\",\"params\":[\"a@trade\",\"b@trade\"],\"id\":9}",
                "{\"result\":null,\"id\":9}");
    list_of(&k, got, sizeof got);
    assert_string_equal(got, "btcusdt@trade nosuch@trade a@trade b@trade");

    result_case(&k, "{\"method\":\"GET_PROPERTY\",\"params\":[\"combined\"],\"id\":2}",
                "{\"result\":false,\"id\":2}");
    result_case(&k, "{\"method\":\"SET_PROPERTY\",\"params\":[\"combined\",true],\"id\":5}",
                "{\"result\":null,\"id\":5}");
    result_case(&k, "{\"method\":\"GET_PROPERTY\",\"params\":[\"combined\"],\"id\":2}",
                "{\"result\":true,\"id\":2}");

    error_case(&k, "{\"method\":\"SET_PROPERTY\",\"params\":[\"colour\",true],\"id\":5}", 0, "5");
    error_case(&k, "{\"method\":\"SET_PROPERTY\",\"params\":[\"combined\",1],\"id\":5}", 1, "5");
    error_case(&k, "{\"method\":\"SET_PROPERTY\",\"params\":[\"combined\"],\"id\":5}", 1, "5");
    error_case(&k, "{\"method\":\"SET_PROPERTY\",\"params\":[\"combined\",true,1],\"id\":5}", 2,
               "5");
    error_case(&k, "{\"method\":\"SET_PROPERTY\",\"params\":[7],\"id\":5}", 2, "5");
    error_case(&k, "{\"method\":\"GET_PROPERTY\",\"id\":5}", 2, "5");
    error_case(&k, "{\"method\":\"SUBSCRIBE\",\"id\":6}", 2, "6");
    error_case(&k, "{\"method\":\"SUBSCRIBE\",\"params\":\"btcusdt@trade\",\"id\":6}", 2, "6");
    error_case(&k, "{\"method\":\"SUBSCRIBE\",\"params\":[1],\"id\":6}", 2, "6");
    error_case(&k, "{\"method\":\"SUBSCRIBE\",\"params\":[\"a\\\"b@trade\"],\"id\":6}", 2, "6");
    error_case(&k, "{\"method\":\"SUBSCRIBE\",\"params\":[\"\"],\"id\":6}", 2, "6");
    error_case(&k, "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\"],\"id\":{}}", 2,
               "null");
    error_case(&k, "{\"method\":\"DANCE\",\"id\":6}", 2, "6");
    error_case(&k, "{\"id\":6}", 2, "6");
    error_case(&k, "[]", 2, "null");
    error_case(&k, "{\"method\":", 3, "null");
    error_case(&k, "", 3, "null");
    error_case(&k, "\xff\xfe", 3, "null");
    list_of(&k, got, sizeof got);
    assert_string_equal(got, "btcusdt@trade nosuch@trade a@trade b@trade");
    sock_close(&k);
    stage_close(&t);
}

/* ---- trading by hand ---- */

static struct exchange_input limit(uint32_t account, enum side side, int64_t px, int64_t qty_e3) {
    return (struct exchange_input){.kind = EXI_ORDER_PLACE,
                                   .account = account,
                                   .side = (uint8_t)side,
                                   .type = ORDER_LIMIT,
                                   .stp = STP_EXPIRE_MAKER,
                                   .price = {px * FX_ONE},
                                   .qty = {qty_e3 * (FX_ONE / 1000)}};
}

static struct exchange_input market(uint32_t account, enum side side, int64_t qty_e3) {
    struct exchange_input in = limit(account, side, 0, qty_e3);
    in.type = ORDER_MARKET;
    return in;
}

/* A pure market needs a mark before anybody may trade. */
static void mark_set(struct stage *t, int64_t px) {
    struct exchange_reply r = stage_do(
        t,
        (struct exchange_input){.kind = EXI_MARK, .price = {px * FX_ONE}, .price2 = {px * FX_ONE}});
    assert_int_equal(r.code, 0);
}

/* ---- routes, framing ---- */

static void test_routes(void **state) {
    (void)state;
    for (int lenient = 0; lenient < 2; lenient++) {
        struct stage t;
        struct sock public, market_route, all, raw, private;
        stage_open(&t, true,
                   (struct streams_options){.seed = 1, .wrong_route_delivers = lenient != 0});
        const char *both = "streams=btcusdt@trade/btcusdt@aggTrade/!bookTicker/!miniTicker@arr";
        assert_true(sock_open(&public, &t, "/public/stream", both));
        assert_true(sock_open(&market_route, &t, "/market/stream", both));
        assert_true(sock_open(&private, &t, "/private/stream", both));
        assert_true(sock_open(&all, &t, "/stream", both));
        assert_true(sock_open(&raw, &t, "/ws/btcusdt@trade", ""));
        mark_set(&t, 68000);
        assert_int_equal(stage_do(&t, limit(1, SIDE_SELL, 68000, 5)).code, 0);
        assert_int_equal(stage_do(&t, market(2, SIDE_BUY, 3)).code, 0);
        stage_run(&t, 1100 * NS_PER_MS);

        /* Two changes of the best price, a trade, an aggregate, a ticker. */
        assert_int_equal(sock_waiting(&all), 5);
        assert_int_equal(sock_waiting(&public), lenient ? 5 : 3);
        assert_int_equal(sock_waiting(&market_route), lenient ? 5 : 2);
        assert_int_equal(sock_waiting(&private), lenient ? 5 : 0);
        assert_int_equal(sock_waiting(&raw), 1);
        const json_t *bare = sock_take(&raw), *m;
        event_is(bare, "trade");
        size_t seen = 0;
        while ((m = sock_take(&all)) != NULL) {
            keys_are(m, "stream data");
            if (strcmp(text_at(m, "stream"), "btcusdt@trade") != 0) continue;
            assert_true(json_equal(json_object_get(m, "data"), bare));
            seen++;
        }
        assert_int_equal(seen, 1);
        sock_close(&public);
        sock_close(&market_route);
        sock_close(&private);
        sock_close(&all);
        sock_close(&raw);
        stage_close(&t);
    }
}

/* Nothing is rendered for nobody. */
static void test_no_subscriber(void **state) {
    (void)state;
    struct stage t;
    struct sock k;
    struct streams_stats before, after;
    stage_open(&t, false, SEEDED);
    assert_true(sock_open(&k, &t, "/ws/btcusdt@trade/btcusdt@depth@100ms/!bookTicker", ""));
    stage_run(&t, 2 * NS_PER_SECOND);
    streams_stats_get(t.s, &before);
    assert_true(before.rendered > 0 && before.clients == 1 && before.subscriptions == 3);
    sock_say(&k,
             "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"btcusdt@trade\",\"btcusdt@depth@100ms\","
             "\"!bookTicker\"],\"id\":1}");
    stage_run(&t, 2 * NS_PER_SECOND);
    streams_stats_get(t.s, &after);
    assert_true(after.rendered == before.rendered && after.subscriptions == 0);
    assert_true(streams_deadline(t.s) == INT64_MAX);
    sock_close(&k);
    streams_stats_get(t.s, &after);
    assert_int_equal(after.clients, 0);
    stage_close(&t);
}

/* ---- user data ---- */

static void user_open(struct sock *k, struct stage *t, uint32_t account, const char *events) {
    char key[LISTEN_KEY_SIZE], query[300];
    streams_key_start(t->s, account, t->now_ns, key);
    snprintf(query, sizeof query, "listenKey=%s%s%s", key, events ? "&events=" : "",
             events ? events : "");
    assert_true(sock_open(k, t, "/private/ws", query));
}

static const char ORDER_KEYS[] = "s c S o f q p ap sp x X i l z L T t b a m R wt ot ps cp pP si ss "
                                 "rp V pm gtd er";
static const char FILL_KEYS[] = "s c S o f q p ap sp x X i l z L N n T t b a m R wt ot ps cp pP si "
                                "ss rp V pm gtd er";

static const json_t *order_event(const json_t *m, const char *exec, const char *status) {
    event_is(m, "ORDER_TRADE_UPDATE");
    keys_are(m, "e E T o");
    const json_t *o = json_object_get(m, "o");
    assert_string_equal(text_at(o, "x"), exec);
    assert_string_equal(text_at(o, "X"), status);
    keys_are(o, strcmp(exec, "TRADE") == 0 || strcmp(exec, "CALCULATED") == 0 ? FILL_KEYS
                                                                              : ORDER_KEYS);
    return o;
}

/* A buy of 0.002 at 68010 that left the account like this. */
static void taker_is_told(struct sock *taker, const struct exchange_account *a) {
    const json_t *lite = sock_take(taker), *update = sock_take(taker), *last = sock_take(taker);
    event_is(lite, "TRADE_LITE");
    keys_are(lite, "e E T s q p m c S L l t i");
    assert_string_equal(text_at(lite, "L"), "68010.0");
    assert_string_equal(text_at(lite, "l"), "0.002");
    assert_false(bool_at(lite, "m"));
    event_is(update, "ACCOUNT_UPDATE");
    keys_are(update, "e E T a");
    const json_t *body = json_object_get(update, "a");
    assert_string_equal(text_at(body, "m"), "ORDER");
    const json_t *b = json_array_get(json_object_get(body, "B"), 0);
    keys_are(b, "a wb cw bc");
    assert_int_equal(e8_at(b, "wb"), a->wallet.e8);
    assert_int_equal(e8_at(b, "cw"), a->cross_wallet.e8);
    assert_string_equal(text_at(b, "bc"), "0");
    const json_t *p = json_array_get(json_object_get(body, "P"), 0);
    keys_are(p, "s pa ep bep cr up mt iw ps");
    assert_string_equal(text_at(p, "pa"), "0.002");
    assert_string_equal(text_at(p, "ep"), "68010.0");
    assert_string_equal(text_at(p, "mt"), "cross");
    assert_string_equal(text_at(p, "ps"), "BOTH");
    const json_t *o = order_event(last, "TRADE", "FILLED");
    assert_string_equal(text_at(o, "N"), "USDT");
    /* 68010 * 0.002 at the regular 0.05 % */
    assert_int_equal(e8_at(o, "n"), fx_mul_ceil(68010 * FX_ONE / 500, 50000));
    assert_int_equal(e8_at(o, "ap"), 68010 * FX_ONE);
    assert_int_equal(int_at(o, "t"), int_at(lite, "t"));
    assert_int_equal(sock_waiting(taker), 0);
}

static void test_execution(void **state) {
    (void)state;
    struct stage t;
    struct sock maker, taker;
    stage_open(&t, true, SEEDED);
    mark_set(&t, 68000);
    user_open(&maker, &t, 1, NULL);
    user_open(&taker, &t, 2, NULL);
    struct exchange_input sell = limit(1, SIDE_SELL, 68010, 5);
    strcpy(sell.client_id, "maker-1");
    struct exchange_reply placed = stage_do(&t, sell);
    assert_int_equal(placed.code, 0);
    const json_t *o = order_event(sock_take(&maker), "NEW", "NEW");
    assert_string_equal(text_at(o, "s"), "BTCUSDT");
    assert_string_equal(text_at(o, "c"), "maker-1");
    assert_string_equal(text_at(o, "S"), "SELL");
    assert_string_equal(text_at(o, "o"), "LIMIT");
    assert_string_equal(text_at(o, "f"), "GTC");
    assert_string_equal(text_at(o, "q"), "0.005");
    assert_string_equal(text_at(o, "p"), "68010.0");
    assert_string_equal(text_at(o, "ap"), "0");
    assert_string_equal(text_at(o, "V"), "EXPIRE_MAKER");
    assert_string_equal(text_at(o, "er"), "0");
    assert_int_equal(int_at(o, "t"), 0);
    assert_int_equal(int_at(o, "i"), (int64_t)placed.order.order_id);
    assert_int_equal(sock_waiting(&maker), 0); /* a resting order changes no balance */

    assert_int_equal(stage_do(&t, market(2, SIDE_BUY, 2)).code, 0);
    streams_time(t.s, t.now_ns);
    struct exchange_account a;
    exchange_account_get(t.w->exchange, 2, &a);
    order_event(sock_take(&taker), "NEW", "NEW");
    taker_is_told(&taker, &a);

    event_is(sock_take(&maker), "TRADE_LITE");
    event_is(sock_take(&maker), "ACCOUNT_UPDATE");
    o = order_event(sock_take(&maker), "TRADE", "PARTIALLY_FILLED");
    assert_true(bool_at(o, "m"));
    assert_int_equal(e8_at(o, "n"), fx_mul_ceil(68010 * FX_ONE / 500, 20000));
    assert_string_equal(text_at(o, "z"), "0.002");
    assert_int_equal(sock_waiting(&maker), 0);

    struct exchange_input cancel = {
        .kind = EXI_ORDER_CANCEL, .account = 1, .order_id = placed.order.order_id};
    assert_int_equal(stage_do(&t, cancel).code, 0);
    order_event(sock_take(&maker), "CANCELED", "CANCELED");
    assert_int_equal(sock_waiting(&maker), 0);
    sock_close(&maker);
    sock_close(&taker);
    stage_close(&t);
}

/* Until nothing waits: "stop-1" of 0.004 has become a market order and is filled at 68050. */
static void stop_is_told(struct sock *k) {
    const json_t *m, *o;
    const char *seen_last = "";
    bool filled = false;
    while ((m = sock_take(k)) != NULL) {
        if (strcmp(text_at(m, "e"), "ALGO_UPDATE") == 0) {
            o = json_object_get(m, "o");
            seen_last = text_at(o, "X");
            if (strcmp(seen_last, "FINISHED") == 0) {
                assert_string_equal(text_at(o, "aq"), "0.004");
                assert_string_equal(text_at(o, "act"), "MARKET");
                assert_int_equal(e8_at(o, "ap"), 68050 * FX_ONE);
            }
        }
        if (strcmp(text_at(m, "e"), "ORDER_TRADE_UPDATE") == 0) {
            o = json_object_get(m, "o");
            assert_string_equal(text_at(o, "ot"), "STOP_MARKET");
            assert_string_equal(text_at(o, "c"), "stop-1");
            filled = filled || strcmp(text_at(o, "X"), "FILLED") == 0;
        }
    }
    assert_true(filled);
    assert_string_equal(seen_last, "FINISHED");
}

static void test_account_events(void **state) {
    (void)state;
    struct stage t;
    struct sock k, filtered;
    stage_open(&t, true, SEEDED);
    mark_set(&t, 68000);
    user_open(&k, &t, 1, NULL);
    user_open(&filtered, &t, 1, "ORDER_TRADE_UPDATE/ALGO_UPDATE");

    stage_do(&t, (struct exchange_input){.kind = EXI_LEVERAGE, .account = 1, .leverage = 7});
    const json_t *m = sock_take(&k);
    event_is(m, "ACCOUNT_CONFIG_UPDATE");
    keys_are(m, "e E T ac");
    assert_string_equal(text_at(json_object_get(m, "ac"), "s"), "BTCUSDT");
    assert_int_equal(int_at(json_object_get(m, "ac"), "l"), 7);

    stage_do(&t, (struct exchange_input){
                     .kind = EXI_DEPOSIT, .account = 1, .amount = {12 * FX_ONE + 5}});
    streams_time(t.s, t.now_ns);
    m = json_object_get(sock_take(&k), "a");
    assert_string_equal(text_at(m, "m"), "DEPOSIT");
    const json_t *b = json_array_get(json_object_get(m, "B"), 0);
    assert_int_equal(e8_at(b, "bc"), 12 * FX_ONE + 5);
    assert_int_equal(e8_at(b, "wb"), 10000012 * FX_ONE + 5);
    assert_int_equal(json_array_size(json_object_get(m, "P")), 0);

    struct exchange_input stop = market(1, SIDE_BUY, 4);
    stop.kind = EXI_ALGO_PLACE;
    stop.type = ORDER_STOP_MARKET;
    stop.working_type = WORKING_MARK_PRICE;
    stop.price2 = px_e8(68100 * FX_ONE);
    strcpy(stop.client_id, "stop-1");
    struct exchange_reply r = stage_do(&t, stop);
    assert_int_equal(r.code, 0);
    m = sock_take(&k);
    event_is(m, "ALGO_UPDATE");
    const json_t *o = json_object_get(m, "o");
    keys_are(o, "caid aid at o s S ps f q X ai tp p V wt pm cp pP R tt gtd rm ia");
    assert_string_equal(text_at(o, "caid"), "stop-1");
    assert_string_equal(text_at(o, "X"), "NEW");
    assert_string_equal(text_at(o, "ai"), "");
    assert_string_equal(text_at(o, "tp"), "68100.0");
    assert_string_equal(text_at(o, "wt"), "MARK_PRICE");
    assert_int_equal(int_at(o, "aid"), (int64_t)r.algo.algo_id);

    /* It fires: the child takes what another account offers. */
    assert_int_equal(stage_do(&t, limit(2, SIDE_SELL, 68050, 10)).code, 0);
    mark_set(&t, 68100);
    stage_run(&t, 100 * NS_PER_MS);
    stop_is_told(&k);
    while ((m = sock_take(&filtered)) != NULL)
        assert_true(strcmp(text_at(m, "e"), "ALGO_UPDATE") == 0 ||
                    strcmp(text_at(m, "e"), "ORDER_TRADE_UPDATE") == 0);
    sock_close(&k);
    sock_close(&filtered);
    stage_close(&t);
}

/* ---- listen keys ---- */

static void test_listen_keys(void **state) {
    (void)state;
    struct stage t;
    struct sock one, two, other;
    char key[LISTEN_KEY_SIZE], again[LISTEN_KEY_SIZE], text[200];
    stage_open(&t, true, (struct streams_options){0}); /* keys of real randomness */
    const int64_t minute = NS_PER_MINUTE;
    int64_t start = t.now_ns;
    assert_int_equal(streams_key_ping(t.s, 1, start, again), -1125);
    assert_int_equal(streams_key_stop(t.s, 1), -1125);
    streams_key_start(t.s, 1, start, key);
    assert_int_equal(strlen(key), 64);
    assert_int_equal(strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
                     64);
    streams_key_start(t.s, 1, start, again);
    assert_string_equal(key, again);
    streams_key_start(t.s, 2, start, again);
    assert_string_not_equal(key, again);

    assert_true(sock_open(&one, &t, "/private/ws", ""));
    snprintf(text, sizeof text, "{\"method\":\"SUBSCRIBE\",\"params\":[\"%s\"],\"id\":1}", key);
    sock_say(&one, text);
    const json_t *m = json_object_get(sock_take(&one), "result");
    assert_true(json_is_null(m));
    snprintf(text, sizeof text, "streams=%s", key);
    assert_true(sock_open(&two, &t, "/private/stream", text));
    assert_true(sock_open(&other, &t, "/public/stream", text)); /* not its route */
    struct exchange_input leverage = {.kind = EXI_LEVERAGE, .account = 1, .leverage = 3};
    stage_do(&t, leverage);
    event_is(sock_take(&one), "ACCOUNT_CONFIG_UPDATE");
    m = sock_take(&two);
    assert_string_equal(text_at(m, "stream"), key);
    event_is(json_object_get(m, "data"), "ACCOUNT_CONFIG_UPDATE");
    assert_int_equal(sock_waiting(&other), 0);

    /* A renewal at 50 min carries it beyond 60; it ends 60 min behind the last one. */
    assert_true(streams_deadline(t.s) == start + 60 * minute);
    stage_until(&t, start + 50 * minute);
    assert_int_equal(streams_key_ping(t.s, 1, start + 50 * minute, again), 0);
    assert_string_equal(key, again);
    stage_until(&t, start + 61 * minute);
    assert_int_equal(sock_waiting(&one), 0);
    assert_int_equal(streams_key_ping(t.s, 2, start + 61 * minute, again), -1125);
    stage_until(&t, start + 110 * minute);
    m = sock_take(&one);
    event_is(m, "listenKeyExpired");
    assert_string_equal(text_at(m, "listenKey"), key);
    event_is(json_object_get(sock_take(&two), "data"), "listenKeyExpired");
    assert_int_equal(streams_key_ping(t.s, 1, t.now_ns, again), -1125);
    leverage.leverage = 4;
    stage_do(&t, leverage);
    assert_int_equal(sock_waiting(&one) + sock_waiting(&two), 0);

    /* Another key: the sockets of the old one stay silent. */
    streams_key_start(t.s, 1, t.now_ns, again);
    assert_string_not_equal(key, again);
    leverage.leverage = 5;
    stage_do(&t, leverage);
    assert_int_equal(sock_waiting(&one) + sock_waiting(&two), 0);
    assert_int_equal(streams_key_stop(t.s, 1), 0);
    assert_int_equal(streams_key_stop(t.s, 1), -1125);
    sock_close(&one);
    sock_close(&two);
    sock_close(&other);
    stage_close(&t);
}

/* ---- faults ---- */

static enum stream_fault next_fault;
static int asked_user, asked_market;
static enum stream_fault ask(void *context, bool user_data) {
    (void)context;
    asked_user += user_data;
    asked_market += !user_data;
    enum stream_fault f = next_fault;
    next_fault = STREAM_DELIVER;
    return f;
}

static void lever(struct stage *t, uint32_t leverage) {
    stage_do(t, (struct exchange_input){.kind = EXI_LEVERAGE, .account = 1, .leverage = leverage});
}

static int64_t levered(struct sock *k) {
    const json_t *m = sock_take(k);
    return m ? int_at(json_object_get(m, "ac"), "l") : -1;
}

static void test_faults(void **state) {
    (void)state;
    struct stage t;
    struct sock k, trades;
    stage_open(&t, true, SEEDED);
    user_open(&k, &t, 1, NULL);
    assert_true(sock_open(&trades, &t, "/ws/btcusdt@trade", ""));
    streams_fault_set(t.s, ask, NULL);
    next_fault = STREAM_DROP;
    lever(&t, 2);
    lever(&t, 3);
    assert_int_equal(levered(&k), 3);
    next_fault = STREAM_TWICE;
    lever(&t, 4);
    assert_int_equal(levered(&k), 4);
    assert_int_equal(levered(&k), 4);
    next_fault = STREAM_SWAP;
    lever(&t, 5);
    assert_int_equal(levered(&k), -1);
    lever(&t, 6);
    assert_int_equal(levered(&k), 6);
    assert_int_equal(levered(&k), 5);
    next_fault = STREAM_SWAP; /* nothing follows: it is late, not lost */
    lever(&t, 7);
    assert_true(streams_deadline(t.s) <= t.now_ns + NS_PER_SECOND);
    stage_run(&t, 1100 * NS_PER_MS);
    assert_int_equal(levered(&k), 7);
    assert_true(asked_user == 6 && asked_market == 0);
    next_fault = STREAM_SWAP; /* two in a row: the second overtakes the first, none is lost */
    lever(&t, 11);
    next_fault = STREAM_SWAP;
    lever(&t, 12);
    assert_int_equal(levered(&k), 12);
    assert_int_equal(levered(&k), 11);
    stage_do(&t,
             (struct exchange_input){
                 .kind = EXI_PRINT, .side = SIDE_BUY, .price = {68000 * FX_ONE}, .qty = {FX_ONE}});
    assert_int_equal(asked_market, 1);
    streams_fault_set(t.s, NULL, NULL);

    streams_user_silent(t.s, true);
    lever(&t, 8);
    assert_int_equal(levered(&k), -1);
    streams_user_silent(t.s, false);
    lever(&t, 9);
    assert_int_equal(levered(&k), 9);
    streams_keys_expire(t.s, t.now_ns);
    event_is(sock_take(&k), "listenKeyExpired");
    lever(&t, 10);
    assert_int_equal(sock_waiting(&k), 0);
    sock_close(&k);
    sock_close(&trades);
    stage_close(&t);
}

/* A client whose connection ends while it is being written to, in the midst of others. */
static void test_close_inside(void **state) {
    (void)state;
    struct stage t;
    struct sock k[3];
    struct streams_stats stats;
    stage_open(&t, true, SEEDED);
    for (int i = 0; i < 3; i++) assert_true(sock_open(&k[i], &t, "/ws/btcusdt@trade", ""));
    struct exchange_input print = {
        .kind = EXI_PRINT, .side = SIDE_BUY, .price = {68000 * FX_ONE}, .qty = {FX_ONE}};
    k[1].closes = true;
    stage_do(&t, print);
    streams_stats_get(t.s, &stats);
    assert_int_equal(stats.clients, 2);
    k[0].full = true;
    stage_do(&t, print);
    stage_do(&t, print);
    assert_int_equal(sock_waiting(&k[0]), 1);
    assert_int_equal(sock_waiting(&k[1]), 1);
    assert_int_equal(sock_waiting(&k[2]), 3);
    for (int i = 0; i < 3; i++) sock_close(&k[i]);
    stage_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),        cmocka_unit_test(test_control),
        cmocka_unit_test(test_routes),       cmocka_unit_test(test_no_subscriber),
        cmocka_unit_test(test_execution),    cmocka_unit_test(test_account_events),
        cmocka_unit_test(test_listen_keys),  cmocka_unit_test(test_faults),
        cmocka_unit_test(test_close_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
