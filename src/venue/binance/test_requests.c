/* Lanes, limits, and what replies mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tstamp.h"
#include "venue/binance/requests.h"

static const struct binance_limits limits = {2400, 300, 1200};

struct bench {
    struct requests q;
    struct binance_clock clock;
    int64_t now;
    uint32_t done[4]; /* by outcome */
    struct answer last;
};

static void on_done(void *context, const struct request *r, const struct answer *a) {
    struct bench *t = context;
    (void)r;
    t->done[a->outcome]++;
    t->last = *a;
}

static struct bench *open_bench(void) {
    struct bench *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->now = 1000 * NS_PER_SECOND;
    binance_clock_sample(&t->clock, t->now, t->now, 5000 * NS_PER_SECOND, NS_PER_MS);
    binance_requests_init(&t->q, &limits, &t->clock, 1, 5 * NS_PER_SECOND);
    return t;
}

static struct request *add(struct bench *t, enum binance_lane lane, uint32_t weight,
                           uint8_t orders) {
    struct request *r = binance_requests_add(&t->q, lane, t->now);
    assert_non_null(r);
    r->weight = weight;
    r->orders = orders;
    r->auth = AUTH_SIGNED;
    r->path = "/x";
    r->done = on_done;
    r->context = t;
    return r;
}

static const struct reply ok = {.kind = REPLY_HTTP,
                                .http = 200,
                                .body = "{}",
                                .size = 2,
                                .weight_1m = -1,
                                .orders_10s = -1,
                                .orders_1m = -1,
                                .retry_after_s = -1};

static struct reply http(int status, const char *body) {
    struct reply r = ok;
    r.http = status;
    r.body = body;
    r.size = strlen(body);
    return r;
}

/* ---- the table of binance-usdm §7, every cell ---- */

static void test_verdicts(void **state) {
    static const struct {
        int http;
        enum reply_verdict verdict;
        const char *body;
    } table[] = {
        {200, VERDICT_DONE, "{}"},
        {503, VERDICT_UNKNOWN,
         "{\"code\":-1000,\"msg\":\"Unknown error, please check your request or try again "
         "later.\"}"},
        {503, VERDICT_UNKNOWN,
         "{\"msg\":\"Unknown error, please check your request or try again later.\"}"},
        {503, VERDICT_UNKNOWN, "Unknown error, please check your request or try again later."},
        {503, VERDICT_NOT_EXECUTED, "Service Unavailable."},
        {503, VERDICT_NOT_EXECUTED, "{\"code\":0,\"msg\":\"Service Unavailable.\"}"},
        {503, VERDICT_NOT_EXECUTED,
         "{\"code\":-1001,\"msg\":\"Internal error; unable to process your request. Please try "
         "again.\"}"},
        {503, VERDICT_NOT_EXECUTED,
         "{\"code\":-1008,\"msg\":\"Request throttled by system-level protection.\"}"},
        {400, VERDICT_UNKNOWN, "{\"code\":-1006,\"msg\":\"Execution status unknown.\"}"},
        {408, VERDICT_UNKNOWN, "{\"code\":-1007,\"msg\":\"Timeout\"}"},
        {503, VERDICT_UNKNOWN, "{\"code\":-1007,\"msg\":\"Timeout\"}"},
        {408, VERDICT_UNKNOWN, ""},
        {500, VERDICT_UNKNOWN, ""},
        {502, VERDICT_UNKNOWN, "<html>Bad Gateway</html>"},
        {504, VERDICT_UNKNOWN, ""},
        {429, VERDICT_LIMITED, "{\"code\":-1003,\"msg\":\"Too many requests\"}"},
        {429, VERDICT_LIMITED, "{\"code\":-1015,\"msg\":\"Too many new orders\"}"},
        {418, VERDICT_LIMITED, "{\"code\":-1003,\"msg\":\"Way too many\"}"},
        {429, VERDICT_LIMITED, ""},
        {403, VERDICT_LIMITED, "<html>"},
        {400, VERDICT_CLOCK, "{\"code\":-1021,\"msg\":\"Timestamp\"}"},
        {400, VERDICT_CLOCK, "{\"code\":-5028,\"msg\":\"Timestamp\"}"},
        {400, VERDICT_REFUSED, "{\"code\":-2019,\"msg\":\"Margin is insufficient.\"}"},
        {401, VERDICT_REFUSED, "{\"code\":-2015,\"msg\":\"Invalid API-key\"}"},
        {404, VERDICT_REFUSED, "<html>"},
    };
    (void)state;
    int32_t code;
    char message[ANSWER_MESSAGE_SIZE];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct reply r = http(table[i].http, table[i].body);
        enum reply_verdict v = binance_reply_verdict(&r, &code, message);
        if (v != table[i].verdict) fail_msg("%d %s: %d", table[i].http, table[i].body, v);
    }
    struct reply r = {.kind = REPLY_NOT_SENT};
    assert_int_equal(binance_reply_verdict(&r, &code, message), VERDICT_NOT_EXECUTED);
    r.kind = REPLY_LOST;
    assert_int_equal(binance_reply_verdict(&r, &code, message), VERDICT_UNKNOWN);
    r = http(404, "<html>");
    (void)binance_reply_verdict(&r, &code, message);
    assert_int_equal(code, -5000);
}

static void test_unknown_is_not_sent_again(void **state) {
    (void)state;
    struct bench *t = open_bench();
    add(t, LANE_ENTRY, 0, 1);
    struct request *r = binance_requests_next(&t->q, t->now);
    const struct reply lost = {.kind = REPLY_LOST};
    binance_requests_reply(&t->q, r->id, &lost, t->now);
    assert_int_equal(t->done[OUTCOME_UNKNOWN], 1);
    assert_null(binance_requests_next(&t->q, t->now + NS_PER_HOUR));
    /* What may be repeated is, a few times, later and later. */
    r = add(t, LANE_DATA, 1, 0);
    r->repeatable = true;
    r->tries_max = 3;
    for (int i = 0; i < 3; i++) {
        r = binance_requests_next(&t->q, t->now);
        assert_non_null(r);
        binance_requests_reply(&t->q, r->id, &lost, t->now);
        if (i < 2) assert_null(binance_requests_next(&t->q, t->now));
        t->now = binance_requests_deadline(&t->q, t->now) == INT64_MAX
                     ? t->now
                     : binance_requests_deadline(&t->q, t->now);
    }
    assert_int_equal(t->done[OUTCOME_UNKNOWN], 2);
    free(t);
}

static void ignore(void *context, uint32_t id) {
    (void)context;
    (void)id;
}

static void test_no_answer_in_time(void **state) {
    (void)state;
    struct bench *t = open_bench();
    (void)add(t, LANE_ENTRY, 0, 1);
    uint32_t id = binance_requests_next(&t->q, t->now)->id;
    t->now += 5 * NS_PER_SECOND;
    binance_requests_time(&t->q, t->now, ignore, NULL);
    assert_int_equal(t->done[OUTCOME_UNKNOWN], 1);
    binance_requests_reply(&t->q, id, &ok, t->now); /* too late to count */
    assert_int_equal(t->done[OUTCOME_DONE], 0);
    free(t);
}

static void test_clock_refusal_once(void **state) {
    (void)state;
    struct bench *t = open_bench();
    (void)add(t, LANE_EXIT, 0, 1);
    struct request *r = binance_requests_next(&t->q, t->now);
    const struct reply refused = http(400, "{\"code\":-1021,\"msg\":\"Timestamp\"}");
    binance_requests_reply(&t->q, r->id, &refused, t->now);
    assert_null(binance_requests_next(&t->q, t->now)); /* not signed with a clock that is wrong */
    binance_clock_sample(&t->clock, t->now, t->now, 9000 * NS_PER_SECOND, NS_PER_MS);
    r = binance_requests_next(&t->q, t->now);
    assert_non_null(r);
    assert_int_equal(r->timestamp_ms, 9000 * 1000);
    binance_requests_reply(&t->q, r->id, &refused, t->now);
    assert_int_equal(t->done[OUTCOME_REFUSED], 1);
    free(t);
}

static void test_retry_after_is_obeyed(void **state) {
    (void)state;
    struct bench *t = open_bench();
    (void)add(t, LANE_PROTECTION, 0, 1);
    struct request *r = binance_requests_next(&t->q, t->now);
    struct reply many = http(429, "{\"code\":-1003,\"msg\":\"Too many requests\"}");
    many.retry_after_s = 7;
    binance_requests_reply(&t->q, r->id, &many, t->now);
    assert_null(binance_requests_next(&t->q, t->now + 7 * NS_PER_SECOND));
    t->now += 8 * NS_PER_SECOND;
    r = binance_requests_next(&t->q, t->now);
    assert_non_null(r); /* the same one: nothing had been done */
    /* A ban: its end is in the text, by the venue's clock. */
    int64_t end_ms = binance_clock_now(&t->clock, t->now) / NS_PER_MS + 600000;
    char body[160];
    snprintf(body, sizeof body,
             "{\"code\":-1003,\"msg\":\"Way too many requests; IP banned until %lld. Please\"}",
             (long long)end_ms);
    const struct reply banned = http(418, body);
    binance_requests_reply(&t->q, r->id, &banned, t->now);
    assert_null(binance_requests_next(&t->q, t->now + 599 * NS_PER_SECOND));
    assert_non_null(binance_requests_next(&t->q, t->now + 601 * NS_PER_SECOND));
    free(t);
}

static void test_entry_patience(void **state) {
    (void)state;
    struct bench *t = open_bench();
    binance_budget_block(&t->q.budget, false, t->now + NS_PER_MINUTE);
    struct request *r = add(t, LANE_ENTRY, 0, 1);
    r->patience_ns = t->now + 5 * NS_PER_SECOND;
    (void)add(t, LANE_PROTECTION, 0, 1);
    assert_null(binance_requests_next(&t->q, t->now));
    t->now += 5 * NS_PER_SECOND;
    binance_requests_time(&t->q, t->now, ignore, NULL);
    assert_int_equal(t->done[OUTCOME_NOT_EXECUTED], 1);
    t->now += NS_PER_MINUTE;
    r = binance_requests_next(&t->q, t->now);
    assert_non_null(r);
    assert_int_equal(r->lane, LANE_PROTECTION);
    free(t);
}

/* ---- random load ---- */

struct arrival {
    int64_t ts;
    uint32_t weight, orders;
};
enum { ARRIVALS_MAX = 1 << 17 };

/* The most that fell into any window of that length: each arrival taken as a window's begin. */
static uint32_t worst(const struct arrival *a, uint32_t n, int64_t window, bool orders) {
    uint64_t sum = 0, most = 0;
    uint32_t last = 0;
    for (uint32_t first = 0; first < n; first++) {
        while (last < n && a[last].ts < a[first].ts + window) {
            sum += orders ? a[last].orders : a[last].weight;
            last++;
        }
        if (sum > most) most = sum;
        sum -= orders ? a[first].orders : a[first].weight;
    }
    return (uint32_t)most;
}

static int by_time(const void *a, const void *b) {
    int64_t x = ((const struct arrival *)a)->ts, y = ((const struct arrival *)b)->ts;
    return (x > y) - (x < y);
}

/* More is always wanted than the limits allow, in all lanes. No window at the venue, sliding or standing, is exceeded
 * although requests are late by up to a second; and no request of a later lane leaves while an earlier lane has one that
 * could have left. A stop always leaves at once: the reserve is there. */
static void test_random_load(void **state) {
    (void)state;
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 1;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    struct arrival *arrivals = calloc(ARRIVALS_MAX, sizeof *arrivals);
    assert_non_null(arrivals);
    for (uint64_t run = 0; run < 3; run++) {
        struct bench *t = open_bench();
        struct rng rng = rng_init(seed + run);
        uint32_t n = 0;
        int64_t worst_stop = 0;
        for (int step = 0; step < 6000; step++) { /* five minutes of 50 ms */
            t->now += 50 * NS_PER_MS;
            uint32_t entries = (uint32_t)rng_below(&rng, 5);
            for (uint32_t i = 0; i < entries && t->q.waiting_count < 2000; i++)
                (void)add(t, LANE_ENTRY, (uint32_t)rng_below(&rng, 2), 1);
            for (uint32_t i = 0; i < 6 && t->q.waiting_count < 2000; i++)
                (void)add(t, LANE_DATA, 1 + (uint32_t)rng_below(&rng, 40), 0);
            if (rng_below(&rng, 20) == 0) (void)add(t, LANE_EXIT, 1, 1);
            if (rng_below(&rng, 40) == 0) (void)add(t, LANE_PROTECTION, 0, 1);
            struct request *r;
            uint32_t before = 0;
            while ((r = binance_requests_next(&t->q, t->now)) != NULL) {
                assert_true(r->lane >= before || t->q.head1[before] == 0);
                before = r->lane;
                if (r->lane == LANE_PROTECTION && t->now - r->queued_ns > worst_stop)
                    worst_stop = t->now - r->queued_ns;
                assert_true(n < ARRIVALS_MAX);
                arrivals[n].ts = t->now + (int64_t)rng_below(&rng, (uint64_t)NS_PER_SECOND);
                arrivals[n].weight = r->weight;
                arrivals[n++].orders = r->orders;
                binance_requests_reply(&t->q, r->id, &ok, t->now);
            }
            if (t->q.head1[LANE_PROTECTION]) assert_true(t->q.throttling);
        }
        qsort(arrivals, n, sizeof *arrivals, by_time);
        assert_true(worst(arrivals, n, NS_PER_MINUTE, false) <= limits.weight_1m);
        assert_true(worst(arrivals, n, 10 * NS_PER_SECOND, true) <= limits.orders_10s);
        assert_true(worst(arrivals, n, NS_PER_MINUTE, true) <= limits.orders_1m);
        assert_true(worst(arrivals, n, NS_PER_MINUTE, false) > limits.weight_1m / 3);
        assert_int_equal(worst_stop, 0);
        free(t);
    }
    free(arrivals);
}

/* Others on the same address use most of the weight: the headers tell, and we stay within what is left. */
static void test_headers_of_others(void **state) {
    (void)state;
    struct bench *t = open_bench();
    (void)add(t, LANE_DATA, 10, 0);
    struct request *r = binance_requests_next(&t->q, t->now);
    struct reply busy = ok;
    busy.weight_1m = 2300;
    binance_requests_reply(&t->q, r->id, &busy, t->now);
    (void)add(t, LANE_DATA, 10, 0);
    assert_null(binance_requests_next(&t->q, t->now));
    (void)add(t, LANE_PROTECTION, 1, 1);
    assert_non_null(binance_requests_next(&t->q, t->now));
    /* The venue's minute ends. */
    t->now += 66 * NS_PER_SECOND;
    assert_non_null(binance_requests_next(&t->q, t->now));
    free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_verdicts),
                                       cmocka_unit_test(test_unknown_is_not_sent_again),
                                       cmocka_unit_test(test_no_answer_in_time),
                                       cmocka_unit_test(test_clock_refusal_once),
                                       cmocka_unit_test(test_retry_after_is_obeyed),
                                       cmocka_unit_test(test_entry_patience),
                                       cmocka_unit_test(test_random_load),
                                       cmocka_unit_test(test_headers_of_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
