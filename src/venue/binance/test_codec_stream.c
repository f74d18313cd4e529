/* Frames of the documented shapes, written by hand; every field that is acted on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "venue/binance/codec.h"

static enum status decode(struct stream_event *e, const char *text) {
    memset(e, 0xa5, sizeof *e); /* nothing is to be taken from what was there */
    return binance_stream_decode(e, text, strlen(text));
}

static const char agg[] =
    "{\"e\":\"aggTrade\",\"E\":1772359200123,\"s\":\"ETHUSDT\",\"a\":2310774512,\"p\":\"3588.27\","
    "\"q\":\"1.284\",\"nq\":\"1.284\",\"f\":5412207781,\"l\":5412207784,\"T\":1772359200101,"
    "\"m\":true,\"st\":1}";

static void check_agg(const struct stream_event *e) {
    assert_int_equal(e->kind, STREAM_TRADE);
    assert_string_equal(e->symbol, "ETHUSDT");
    assert_int_equal(e->event_ns, 1772359200123000000);
    assert_int_equal(e->ts_ns, 1772359200101000000);
    assert_int_equal(e->u.trade.id, 2310774512);
    assert_int_equal(e->u.trade.px.e8, 358827000000);
    assert_int_equal(e->u.trade.qty.e8, 128400000);
    assert_true(e->u.trade.buyer_is_maker);
}

static void test_trade(void **state) {
    struct stream_event e;
    char combined[512];
    (void)state;
    assert_int_equal(decode(&e, agg), ST_OK);
    check_agg(&e);
    snprintf(combined, sizeof combined, "{\"stream\":\"ethusdt@aggTrade\",\"data\":%s}", agg);
    assert_int_equal(decode(&e, combined), ST_OK);
    check_agg(&e);
    /* Another order of keys. */
    assert_int_equal(decode(&e,
                            "{\"s\":\"ETHUSDT\",\"p\":\"3588.27\",\"q\":\"1.284\",\"m\":true,\"a\":"
                            "2310774512,\"T\":1772359200101,\"E\":1772359200123,\"e\":"
                            "\"aggTrade\"}"),
                     ST_OK);
    check_agg(&e);
    assert_int_equal(decode(&e, "{\"e\":\"aggTrade\",\"E\":1,\"s\":\"X\",\"a\":1,\"p\":\"1\"}"),
                     ST_INVALID);
    assert_int_equal(
        decode(&e, "{\"e\":\"aggTrade\",\"E\":-1,\"s\":\"X\",\"a\":1,\"p\":\"1\",\"q\":\"1\"}"),
        ST_INVALID);
}

static void test_kline(void **state) {
    struct stream_event e;
    (void)state;
    assert_int_equal(
        decode(
            &e,
            "{\"e\":\"kline\",\"E\":1772359200047,\"s\":\"BTCUSDT\",\"k\":{\"t\":1772355600000,"
            "\"T\":1772359199999,\"s\":\"BTCUSDT\",\"i\":\"1h\",\"f\":1,\"L\":2,\"o\":\"67412.30\","
            "\"c\":\"67588.90\",\"h\":\"67640.00\",\"l\":\"67301.10\",\"v\":\"8000\",\"n\":146797,"
            "\"x\":true,\"q\":\"554406127.5\",\"V\":\"2000\",\"Q\":\"1\",\"B\":\"0\"},\"st\":1}"),
        ST_OK);
    assert_int_equal(e.kind, STREAM_KLINE);
    assert_true(e.u.kline.closed);
    assert_string_equal(e.u.kline.interval, "1h");
    assert_int_equal(e.u.kline.bar.open_ts_ns, 1772355600000000000);
    assert_int_equal(e.u.kline.bar.open.e8, 6741230000000);
    assert_int_equal(e.u.kline.bar.high.e8, 6764000000000);
    assert_int_equal(e.u.kline.bar.low.e8, 6730110000000);
    assert_int_equal(e.u.kline.bar.close.e8, 6758890000000);
    assert_true(e.u.kline.bar.volume == 8000 && e.u.kline.bar.quote_volume == 554406127.5);
    assert_true(e.u.kline.bar.taker_buy_ratio == 0.25F);
    assert_int_equal(e.u.kline.bar.trade_count, 146797);
    /* high below low */
    assert_int_equal(
        decode(&e,
               "{\"e\":\"kline\",\"s\":\"X\",\"k\":{\"t\":1,\"i\":\"1h\",\"o\":\"1\",\"c\":\"1\","
               "\"h\":\"1\",\"l\":\"2\",\"v\":\"1\",\"x\":true}}"),
        ST_INVALID);
}

static void test_mark_and_book(void **state) {
    struct stream_event e;
    (void)state;
    assert_int_equal(
        decode(&e, "{\"e\":\"markPriceUpdate\",\"E\":1772359201000,\"s\":\"BTCUSDT\",\"p\":"
                   "\"67589.41210145\",\"ap\":\"1\",\"i\":\"67611.87934783\",\"P\":\"2\",\"r\":"
                   "\"-0.00003817\",\"T\":1772380800000,\"st\":1}"),
        ST_OK);
    assert_int_equal(e.kind, STREAM_MARK);
    assert_int_equal(e.u.mark.mark.e8, 6758941210145);
    assert_int_equal(e.u.mark.index.e8, 6761187934783);
    assert_int_equal(e.u.mark.funding.e8, -3817);
    assert_int_equal(e.u.mark.next_funding_ns, 1772380800000000000);
    assert_int_equal(e.ts_ns, 0);
    assert_int_equal(
        decode(
            &e,
            "{\"e\":\"depthUpdate\",\"E\":2,\"T\":1,\"s\":\"SOLUSDT\",\"ps\":\"SOLUSDT\",\"U\":5,"
            "\"u\":9,\"pu\":4,\"b\":[[\"171.23\",\"412\"],[\"171.22\",\"0\"]],\"a\":[[\"171.24\","
            "\"255\"]],\"st\":1}"),
        ST_OK);
    assert_int_equal(e.u.depth.first_id, 5);
    assert_int_equal(e.u.depth.last_id, 9);
    assert_int_equal(e.u.depth.previous_id, 4);
    assert_int_equal(e.u.depth.bid_count, 2);
    assert_int_equal(e.u.depth.ask_count, 1);
    assert_int_equal(e.u.depth.bids[0].px.e8, 17123000000);
    assert_int_equal(e.u.depth.asks[0].qty.e8, 25500000000);
    assert_false(e.u.depth.cut);
    assert_int_equal(
        decode(&e,
               "{\"e\":\"depthUpdate\",\"s\":\"X\",\"u\":9,\"b\":[[\"1\",\"2\",\"3\"]],\"a\":[]}"),
        ST_INVALID);
    /* A level of one, followed by another: found by the fuzzer. */
    assert_int_equal(
        decode(
            &e,
            "{\"e\":\"depthUpdate\",\"s\":\"X\",\"u\":9,\"b\":[[\"17\",\"4\"],[\"15\"]],\"a\":[]}"),
        ST_INVALID);
    assert_int_equal(decode(&e, "{\"e\":\"bookTicker\",\"u\":7,\"E\":1,\"T\":1,\"s\":\"X\",\"b\":"
                                "\"1\",\"B\":\"2\",\"a\":"
                                "\"3\",\"A\":\"4\"}"),
                     ST_OK);
    assert_int_equal(e.u.book.ask.px.e8, 300000000);
    assert_int_equal(
        decode(&e, "{\"e\":\"contractInfo\",\"E\":1,\"s\":\"X\",\"cs\":\"SETTLING\",\"dt\":1000}"),
        ST_OK);
    assert_int_equal(e.u.contract.status, INSTRUMENT_SETTLING);
}

static void test_order(void **state) {
    struct stream_event e;
    (void)state;
    assert_int_equal(
        decode(
            &e,
            "{\"e\":\"ORDER_TRADE_UPDATE\",\"E\":1772359200345,\"T\":1772359200341,\"o\":{\"s\":"
            "\"BTCUSDT\",\"c\":\"q1-e0\",\"S\":\"BUY\",\"o\":\"LIMIT\",\"f\":\"GTC\",\"q\":\"0."
            "250\",\"p\":"
            "\"67590.00\",\"ap\":\"67589.80\",\"sp\":\"0\",\"x\":\"TRADE\",\"X\":\"PARTIALLY_"
            "FILLED\",\"i\":"
            "881204477120,\"l\":\"0.100\",\"z\":\"0.175\",\"L\":\"67589.70\",\"N\":\"USDT\",\"n\":"
            "\"3.37948500\",\"T\":1772359200341,\"t\":7313051299,\"b\":\"5069.25\",\"a\":\"0\","
            "\"m\":false,"
            "\"R\":true,\"wt\":\"CONTRACT_PRICE\",\"ot\":\"STOP\",\"ps\":\"BOTH\",\"cp\":false,"
            "\"rp\":"
            "\"-1.5\",\"pP\":false,\"si\":0,\"ss\":0,\"V\":\"EXPIRE_MAKER\",\"pm\":\"NONE\","
            "\"gtd\":0,\"er\":"
            "\"9\"}}"),
        ST_OK);
    const struct stream_order *o = &e.u.order;
    assert_int_equal(e.kind, STREAM_ORDER);
    assert_string_equal(e.symbol, "BTCUSDT");
    assert_string_equal(o->client_id, "q1-e0");
    assert_int_equal(o->side, SIDE_BUY);
    assert_int_equal(o->type, ORDER_LIMIT);
    assert_int_equal(o->orig_type, ORDER_STOP);
    assert_int_equal(o->exec, EXEC_TYPE_TRADE);
    assert_int_equal(o->status, STATUS_PARTIALLY_FILLED);
    assert_int_equal(o->order_id, 881204477120);
    assert_int_equal(o->trade_id, 7313051299);
    assert_int_equal(o->order_qty.e8, 25000000);
    assert_int_equal(o->last_qty.e8, 10000000);
    assert_int_equal(o->cum_qty.e8, 17500000);
    assert_int_equal(o->last_px.e8, 6758970000000);
    assert_int_equal(o->commission.e8, 337948500);
    assert_int_equal(o->realized_pnl.e8, -150000000);
    assert_int_equal(o->expiry, 9);
    assert_true(o->reduce_only);
    assert_int_equal(o->trade_ns, 1772359200341000000);
    /* A fill of nothing, and one of more than was filled. */
    assert_int_equal(
        decode(&e,
               "{\"e\":\"ORDER_TRADE_UPDATE\",\"o\":{\"s\":\"X\",\"c\":\"a\",\"S\":\"BUY\",\"o\":"
               "\"LIMIT\",\"x\":\"TRADE\",\"X\":\"FILLED\",\"i\":1,\"l\":\"0\",\"z\":\"1\",\"L\":"
               "\"1\","
               "\"t\":1}}"),
        ST_INVALID);
    assert_int_equal(
        decode(&e,
               "{\"e\":\"ORDER_TRADE_UPDATE\",\"o\":{\"s\":\"X\",\"c\":\"a\",\"S\":\"BUY\",\"o\":"
               "\"LIMIT\",\"x\":\"TRADE\",\"X\":\"FILLED\",\"i\":1,\"l\":\"2\",\"z\":\"1\",\"L\":"
               "\"1\","
               "\"t\":1}}"),
        ST_INVALID);
}

static void test_algo_and_account(void **state) {
    struct stream_event e;
    (void)state;
    assert_int_equal(
        decode(
            &e,
            "{\"e\":\"ALGO_UPDATE\",\"T\":5,\"E\":6,\"o\":{\"caid\":\"s-1\",\"aid\":"
            "1000000033225453,\"at\":\"CONDITIONAL\",\"o\":\"STOP_MARKET\",\"s\":\"DOGEUSDT\","
            "\"S\":\"SELL\",\"ps\":\"BOTH\",\"f\":\"GTC\",\"q\":\"38\",\"X\":\"FINISHED\",\"ai\":"
            "\"88937381063\",\"ap\":\"0.13856\",\"aq\":\"38\",\"act\":\"MARKET\",\"tp\":\"0.138\","
            "\"p\":\"0\",\"V\":\"NONE\",\"wt\":\"MARK_PRICE\",\"pm\":\"NONE\",\"cp\":true,\"pP\":"
            "false,\"R\":false,\"tt\":4,\"gtd\":0,\"rm\":\"Reduce only reject\"}}"),
        ST_OK);
    assert_int_equal(e.kind, STREAM_ALGO);
    assert_string_equal(e.u.algo.client_id, "s-1");
    assert_int_equal(e.u.algo.algo_id, 1000000033225453);
    assert_int_equal(e.u.algo.child_id, 88937381063);
    assert_int_equal(e.u.algo.status, ALGO_FINISHED);
    assert_int_equal(e.u.algo.filled_qty.e8, 3800000000);
    assert_true(e.u.algo.close_position);
    assert_string_equal(e.u.algo.reason, "Reduce only reject");
    assert_int_equal(decode(&e, "{\"e\":\"ALGO_UPDATE\",\"T\":5,\"E\":6,\"o\":{\"caid\":\"s\","
                                "\"aid\":1,\"s\":\"X\",\"S\":"
                                "\"SELL\",\"o\":\"STOP_MARKET\",\"X\":\"NEW\",\"ai\":\"\"}}"),
                     ST_OK);
    assert_int_equal(e.u.algo.child_id, 0);
    assert_int_equal(decode(&e, "{\"e\":\"ACCOUNT_UPDATE\",\"E\":6,\"T\":5,\"a\":{\"m\":\"FUNDING_"
                                "FEE\",\"B\":[{\"a\":\"BNB\",\"wb\":"
                                "\"9\",\"cw\":\"9\",\"bc\":\"9\"},{\"a\":\"USDT\",\"wb\":\"1000."
                                "5\",\"cw\":\"900\",\"bc\":\"-0.25\"}],"
                                "\"P\":[{\"s\":\"BTCUSDT\",\"pa\":\"-0.5\",\"ep\":\"60000\","
                                "\"bep\":\"1\",\"cr\":\"0\",\"up\":\"1\","
                                "\"mt\":\"isolated\",\"iw\":\"100\",\"ps\":\"BOTH\"}]}}"),
                     ST_OK);
    assert_int_equal(e.kind, STREAM_ACCOUNT);
    assert_string_equal(e.u.account.reason, "FUNDING_FEE");
    assert_true(e.u.account.has_wallet);
    assert_int_equal(e.u.account.wallet.e8, 100050000000);
    assert_int_equal(e.u.account.change.e8, -25000000);
    assert_int_equal(e.u.account.count, 1);
    assert_int_equal(e.u.account.positions[0].qty.e8, -50000000);
    assert_true(e.u.account.positions[0].one_way);
}

static void test_the_rest(void **state) {
    struct stream_event e;
    (void)state;
    assert_int_equal(decode(&e, "{\"e\":\"listenKeyExpired\",\"E\":5,\"listenKey\":\"abc\"}"),
                     ST_OK);
    assert_int_equal(e.kind, STREAM_KEY_EXPIRED);
    assert_int_equal(decode(&e, "{\"e\":\"TRADE_LITE\",\"E\":1,\"T\":1,\"s\":\"X\",\"q\":\"1\","
                                "\"p\":\"0\",\"m\":false,\"c\":"
                                "\"id\",\"S\":\"BUY\",\"L\":\"2\",\"l\":\"3\",\"t\":4,\"i\":5}"),
                     ST_OK);
    assert_int_equal(e.u.lite.order_id, 5);
    assert_int_equal(
        decode(&e,
               "{\"e\":\"ACCOUNT_CONFIG_UPDATE\",\"E\":1,\"T\":1,\"ac\":{\"s\":\"X\",\"l\":7}}"),
        ST_OK);
    assert_string_equal(e.symbol, "X");
    assert_int_equal(e.u.config.leverage, 7);
    assert_int_equal(decode(&e, "{\"e\":\"MARGIN_CALL\",\"E\":1,\"cw\":\"3\",\"p\":[]}"), ST_OK);
    assert_int_equal(e.kind, STREAM_MARGIN_CALL);
    assert_int_equal(decode(&e, "{\"result\":null,\"id\":12}"), ST_OK);
    assert_int_equal(e.kind, STREAM_REPLY);
    assert_false(e.u.reply.failed);
    assert_int_equal(e.u.reply.id, 12);
    assert_int_equal(decode(&e, "{\"code\":2,\"msg\":\"Invalid request\"}"), ST_OK);
    assert_true(e.u.reply.failed);
    assert_int_equal(decode(&e, "{\"e\":\"24hrTicker\",\"E\":1,\"s\":\"X\",\"p\":[1,{\"a\":2}]}"),
                     ST_OK);
    assert_int_equal(e.kind, STREAM_OTHER);
    assert_int_equal(decode(&e, "[{\"e\":\"aggTrade\"}]"), ST_OK);
    assert_int_equal(e.kind, STREAM_OTHER);
    assert_int_equal(decode(&e, "{}"), ST_OK);
    assert_int_equal(decode(&e, "{\"e\":\"aggTrade\""), ST_INVALID);
    assert_int_equal(decode(&e, ""), ST_INVALID);
    assert_int_equal(decode(&e, "{\"stream\":\"a\",\"data\":{\"e\":\"aggTrade\"}}"), ST_INVALID);
}

/* Levels in every spelling there is mean the same: the short way and the reader's. */
static void test_levels(void **state) {
    static const char *const same[] = {
        "[\"0.5\",\"12\"]",   " [ \"0.5\" , \"12\" ] ", "[\"0.50000000\",\"12.000\"]",
        "[0.5,12]",           "[\"5e-1\",\"12\"]",      "[\"0.500000000000\",\"12\"]",
        "[\"000.5\",\"012\"]"};
    static const char *const wrong[] = {"[\"0.5\"]",
                                        "[\"0.5\",\"\"]",
                                        "[\".5x\",\"12\"]",
                                        "[\"0.\",\"1\"]",
                                        "[\"-1\",\"1\"]",
                                        "[\"1\",\"-1\"]",
                                        "[\"1\",\"1\",\"1\"]",
                                        "[\"99999999999999999999\",\"1\"]",
                                        "\"1\"",
                                        "[]",
                                        "[\"0\",\"1\"]",
                                        "[\"1\",\"1\""};
    struct stream_event e;
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        snprintf(text, sizeof text,
                 "{\"e\":\"depthUpdate\",\"s\":\"X\",\"u\":9,\"b\":[%s,%s],\"a\":[]}", same[i],
                 same[0]);
        if (decode(&e, text) != ST_OK) fail_msg("%s", text);
        assert_int_equal(e.u.depth.bid_count, 2);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(e.u.depth.bids[k].px.e8, 50000000);
            assert_int_equal(e.u.depth.bids[k].qty.e8, 1200000000);
        }
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(text, sizeof text,
                 "{\"e\":\"depthUpdate\",\"s\":\"X\",\"u\":9,\"b\":[%s],\"a\":[]}", wrong[i]);
        if (decode(&e, text) == ST_OK) fail_msg("%s", text);
    }
}

/* One byte changed, removed or cut off at random: a verdict, never a fault (sanitizers watch). */
static void test_damaged(void **state) {
    (void)state;
    struct rng rng = rng_init(3);
    struct stream_event e;
    for (uint32_t i = 0; i < 20000; i++) {
        char text[sizeof agg];
        memcpy(text, agg, sizeof agg);
        text[rng_below(&rng, sizeof agg - 1)] = (char)rng_below(&rng, 256);
        size_t size = rng_below(&rng, sizeof agg);
        char *exact = malloc(size ? size : 1);
        assert_non_null(exact);
        memcpy(exact, text, size);
        (void)binance_stream_decode(&e, exact, size);
        free(exact);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_trade),
                                       cmocka_unit_test(test_kline),
                                       cmocka_unit_test(test_mark_and_book),
                                       cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_algo_and_account),
                                       cmocka_unit_test(test_the_rest),
                                       cmocka_unit_test(test_levels),
                                       cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
