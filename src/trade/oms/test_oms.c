/* Orders of one symbol: identities, evidence, and the ledger of intents.
 *
 * TEST_SEED=n repeats the random streams. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "trade/oms/oms.h"

static const int64_t T0 = INT64_C(1727740800000000000);
static const int64_t S = INT64_C(1000000000);

static uint64_t test_seed(void) {
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20241001;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

static struct trade_intent intent_of(uint64_t id, int64_t expires) {
    struct trade_intent t = {.intent_id = id, .created = expires - 60 * S, .expires = expires};
    return t;
}

static struct oms_order *order(struct oms_book *book, enum oms_leg leg, uint32_t attempt,
                               int64_t qty) {
    struct venue_command command;
    const struct oms_request request = {.leg = leg,
                                        .side = SIDE_BUY,
                                        .order_type = qty ? ORDER_MARKET : ORDER_STOP_MARKET,
                                        .intent_id = 77,
                                        .attempt = attempt,
                                        .close_position = qty == 0,
                                        .order_qty = {qty}};
    return oms_submit(&command, book, &request, 3, T0);
}

static struct venue_event event_of(const struct oms_order *o, enum venue_event_kind kind) {
    struct venue_event e = {.kind = (uint8_t)kind, .ts_event_ns = T0 + S};
    if (o) memcpy(e.client_order_id, o->client_order_id, CLIENT_ORDER_ID_SIZE);
    return e;
}

static struct oms_update apply(struct oms_book *book, const struct oms_order *o,
                               enum venue_event_kind kind) {
    struct venue_event e = event_of(o, kind);
    struct oms_update u;
    oms_apply(&u, book, &e);
    return u;
}

static struct oms_update fill(struct oms_book *book, const struct oms_order *o, uint64_t trade_id,
                              int64_t px, int64_t qty, int64_t leaves) {
    struct venue_event e = event_of(o, VENUE_ORDER_TRADE);
    e.trade_id = trade_id;
    e.last_px.e8 = px;
    e.last_qty.e8 = qty;
    e.leaves_qty.e8 = leaves;
    struct oms_update u;
    oms_apply(&u, book, &e);
    return u;
}

/* --- ledger ------------------------------------------------------------------------------------- */

static void an_intent_is_taken_once(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct trade_intent t = intent_of(1, T0 + 60 * S);
    assert_int_equal(oms_intake(&book, &t, T0), OMS_TAKEN);
    for (int64_t at = 0; at < 60; at++)
        assert_int_equal(oms_intake(&book, &t, T0 + at * S), OMS_DUPLICATE);
}

static void an_expired_intent_is_refused_whether_seen_or_not(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct trade_intent seen = intent_of(1, T0 + 60 * S), unseen = intent_of(2, T0 + 60 * S);
    assert_int_equal(oms_intake(&book, &seen, T0), OMS_TAKEN);
    assert_int_equal(oms_intake(&book, &unseen, T0 + 60 * S - 1), OMS_TAKEN);
    struct trade_intent late = intent_of(3, T0 + 60 * S);
    assert_int_equal(oms_intake(&book, &late, T0 + 60 * S), OMS_STALE);
    assert_int_equal(oms_intake(&book, &seen, T0 + 60 * S), OMS_STALE);
    assert_int_equal(oms_intake(&book, &late, T0 + 3600 * S), OMS_STALE);
}

static void a_full_ledger_refuses_instead_of_forgetting(void **state) {
    (void)state;
    struct oms_book book = {0};
    for (uint64_t id = 1; id <= OMS_LEDGER_MAX; id++) {
        struct trade_intent t = intent_of(id, T0 + (int64_t)(60 + id) * S);
        assert_int_equal(oms_intake(&book, &t, T0), OMS_TAKEN);
    }
    struct trade_intent more = intent_of(100, T0 + 3600 * S);
    assert_int_equal(oms_intake(&book, &more, T0), OMS_LEDGER_FULL);
    /* The oldest expires, and its place is free. */
    assert_int_equal(oms_intake(&book, &more, T0 + 61 * S), OMS_TAKEN);
    assert_int_equal(oms_intake(&book, &more, T0 + 61 * S), OMS_DUPLICATE);
}

/* Random intents, repeated at random: whatever is taken is never taken again. */
static void the_ledger_never_forgets_an_id_that_has_not_expired(void **state) {
    (void)state;
    enum { IDS = 4000, WINDOW = 40 };
    static uint8_t taken[IDS];
    memset(taken, 0, sizeof taken);
    struct rng rng = rng_init(test_seed());
    struct oms_book book = {0};
    int64_t expires[IDS], now = T0;
    uint32_t newest = 0, count = 0, refused = 0;
    for (int n = 0; n < 200000; n++) {
        now += (int64_t)rng_below(&rng, (uint64_t)(2 * S));
        if (newest < IDS && rng_below(&rng, 4) == 0)
            expires[newest++] = now + (int64_t)rng_below(&rng, (uint64_t)(60 * S)) + 1;
        if (newest == 0) continue;
        uint32_t back = newest < WINDOW ? newest : WINDOW;
        uint32_t id = newest - 1 - (uint32_t)rng_below(&rng, back);
        struct trade_intent t = intent_of(id + 1, expires[id]);
        enum oms_intake answer = oms_intake(&book, &t, now);
        if (now >= expires[id]) {
            assert_int_equal(answer, OMS_STALE);
        } else if (taken[id]) {
            assert_int_equal(answer, OMS_DUPLICATE);
            refused++;
        } else if (answer == OMS_TAKEN) {
            taken[id] = 1;
            count++;
        } else {
            assert_int_equal(answer, OMS_LEDGER_FULL);
        }
    }
    assert_true(count > 1000 && refused > 1000); /* both happened often */
}

/* --- identities --------------------------------------------------------------------------------- */

/* Binance newClientOrderId: ^[\.A-Z\:/a-z0-9_-]{1,36}$ */
static bool venue_takes(const char *id) {
    size_t n = strnlen(id, CLIENT_ORDER_ID_SIZE);
    for (size_t i = 0; i < n; i++)
        if (!strchr(".:/_-", id[i]) &&
            !((id[i] >= 'A' && id[i] <= 'Z') || (id[i] >= 'a' && id[i] <= 'z') ||
              (id[i] >= '0' && id[i] <= '9')))
            return false;
    return n >= 1 && n <= 36;
}

static void order_ids_fit_the_venues_pattern(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    for (int n = 0; n < 20000; n++) {
        uint64_t intent = n == 0 ? 0 : n == 1 ? UINT64_MAX : rng_u64(&rng);
        for (enum oms_leg leg = LEG_ENTRY; leg < LEG_COUNT; leg++) {
            char id[CLIENT_ORDER_ID_SIZE];
            memset(id, 'x', sizeof id);
            uint32_t attempt = (uint32_t)(rng_u64(&rng) >> (32 + rng_below(&rng, 32)));
            oms_client_order_id(id, intent, leg, attempt);
            size_t size = strnlen(id, sizeof id);
            assert_true(attempt < 32 ? size == 17 : size > 17 && size <= 23);
            assert_true(venue_takes(id));
            for (size_t i = size; i < sizeof id; i++) assert_int_equal(id[i], 0);
        }
    }
    char id[CLIENT_ORDER_ID_SIZE];
    oms_client_order_id(id, 0x0123456789ABCDEF, LEG_STOP, 2); /* python: repeated division by 32 */
    assert_string_equal(id, "q028T5CY4TQKFF-s2");
    oms_client_order_id(id, 0x0123456789ABCDEF, LEG_TAKE_PROFIT_3, 32 * 32 + 31);
    assert_string_equal(id, "q028T5CY4TQKFF-v10Z");
    oms_client_order_id(id, UINT64_MAX, LEG_TAKE_PROFIT_2, UINT32_MAX);
    assert_string_equal(id, "qFZZZZZZZZZZZZ-u3ZZZZZZ");
}

static int by_text(const void *a, const void *b) {
    return memcmp(a, b, CLIENT_ORDER_ID_SIZE);
}

static void order_ids_differ_by_intent_leg_and_attempt(void **state) {
    (void)state;
    enum { INTENTS = 500, ATTEMPTS = 40, IDS = INTENTS * LEG_COUNT * ATTEMPTS };
    char(*ids)[CLIENT_ORDER_ID_SIZE] = calloc(IDS, sizeof *ids);
    assert_non_null(ids);
    size_t n = 0;
    for (uint64_t i = 0; i < INTENTS; i++)
        for (enum oms_leg leg = LEG_ENTRY; leg < LEG_COUNT; leg++)
            for (uint32_t attempt = 0; attempt < ATTEMPTS; attempt++)
                oms_client_order_id(ids[n++], i < 64 ? UINT64_C(1) << i : i, leg, attempt);
    qsort(ids, IDS, sizeof *ids, by_text);
    /* 1, 2, 4 … 256 are named twice above */
    size_t same = 0;
    for (size_t i = 1; i < IDS; i++) same += memcmp(ids[i - 1], ids[i], sizeof *ids) == 0;
    size_t named_twice = 3; /* 64, 128, 256 of 64..499 */
    assert_int_equal(same, named_twice * LEG_COUNT * ATTEMPTS);
    free(ids);
}

static void the_same_intent_leg_and_attempt_give_the_same_id(void **state) {
    (void)state;
    char a[CLIENT_ORDER_ID_SIZE], b[CLIENT_ORDER_ID_SIZE];
    oms_client_order_id(a, 987654321, LEG_CLOSE, 31);
    oms_client_order_id(b, 987654321, LEG_CLOSE, 31);
    assert_memory_equal(a, b, sizeof a);
}

static void names_are_ids_with_the_marks_of_run_and_life(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    char id[CLIENT_ORDER_ID_SIZE], plain[CLIENT_ORDER_ID_SIZE];
    for (int n = 0; n < 20000; n++) {
        const struct oms_request r = {.leg = (enum oms_leg)rng_below(&rng, LEG_COUNT),
                                      .intent_id = rng_u64(&rng),
                                      .attempt = (uint32_t)(rng_u64(&rng) >> (32 + n % 32)),
                                      .run = 1 + (uint32_t)rng_below(&rng, OMS_RUN_MAX),
                                      .life = (uint32_t)rng_below(&rng, OMS_LIFE_MAX + 1)};
        memset(id, 'x', sizeof id);
        oms_order_name(id, &r);
        oms_client_order_id(plain, r.intent_id, r.leg, r.attempt);
        assert_int_equal(strlen(id), strlen(plain) + 8);
        assert_true(strlen(id) <= 31 && venue_takes(id));
        assert_memory_equal(id, plain, strlen(plain));
        assert_true(oms_is_ours(id));
        assert_int_equal(oms_run_of(id), r.run);
        assert_int_equal(oms_run_of(plain), 0);
        assert_int_equal(oms_leg_of(id), r.leg);
        id[strlen(id) - 1] = '~';
        assert_int_equal(oms_run_of(id), 0);
    }
    oms_order_name(id, &(struct oms_request){.leg = LEG_STOP,
                                             .intent_id = 0x0123456789ABCDEF,
                                             .attempt = 2,
                                             .run = 1 << 10 | 31,
                                             .life = 1 << 15 | 10});
    assert_string_equal(id, "q028T5CY4TQKFF-s2-10Z100A");
    oms_order_name(id, &(struct oms_request){.leg = LEG_STOP, .attempt = 2});
    oms_client_order_id(plain, 0, LEG_STOP, 2);
    assert_memory_equal(id, plain, sizeof id);
}

/* It has the very name of a trade's order, but for the life: nothing of that trade's is taken for it. */
static void a_found_order_is_of_no_trade(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *own = order(&book, LEG_STOP, 0, 10);
    struct venue_event e = {.kind = VENUE_ORDER_FOUND,
                            .side = SIDE_SELL,
                            .order_type = ORDER_STOP_MARKET,
                            .leaves_qty = {7},
                            .cum_qty = {3},
                            .stop_px = {95}};
    oms_order_name(
        e.client_order_id,
        &(struct oms_request){.leg = LEG_STOP, .intent_id = own->intent_id, .run = 5, .life = 6});
    assert_false(oms_is_live(&book, e.client_order_id));
    struct oms_order *o = oms_found(&book, &e);
    assert_non_null(o);
    assert_true(oms_is_found(o) && !oms_is_found(own));
    assert_true(oms_is_live(&book, e.client_order_id));
    assert_ptr_equal(oms_live_attempt(&book, own->intent_id, LEG_STOP, 0), own);
    assert_int_equal(o->leg, LEG_STOP);
    assert_int_equal(o->order_qty.e8, 10);
    assert_int_equal(o->stop_px.e8, 95);
    struct oms_update u;
    e.kind = VENUE_ORDER_CANCELED;
    oms_apply(&u, &book, &e);
    assert_ptr_equal(u.order, o);
    assert_int_equal(o->state, ORDER_CANCELED);
    assert_false(oms_is_found(o));
    /* Taken for ended, and there again. */
    e.kind = VENUE_ORDER_FOUND;
    assert_ptr_equal(oms_found(&book, &e), o);
    assert_int_equal(o->state, ORDER_NEW);
    while (oms_has_live(&book)) { /* no slot, no order */
        e.client_order_id[20]++;
        if (!oms_found(&book, &e)) return;
    }
    fail();
}

/* --- evidence ----------------------------------------------------------------------------------- */

static void a_command_carries_what_was_asked(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct venue_command c;
    const struct oms_request request = {.leg = LEG_STOP,
                                        .side = SIDE_SELL,
                                        .order_type = ORDER_STOP_MARKET,
                                        .intent_id = 5,
                                        .attempt = 1,
                                        .close_position = true,
                                        .stop_px = {99}};
    struct oms_order *o = oms_submit(&c, &book, &request, 7, T0);
    assert_int_equal(o->state, ORDER_PENDING_NEW);
    assert_int_equal(c.kind, COMMAND_ORDER_SUBMIT);
    assert_int_equal(c.side, SIDE_SELL);
    assert_int_equal(c.order_type, ORDER_STOP_MARKET);
    assert_int_equal(c.close_position, 1);
    assert_int_equal(c.instrument_index, 7);
    assert_int_equal(c.stop_px.e8, 99);
    assert_int_equal(c.order_qty.e8, 0);
    assert_int_equal(c.ts_ns, T0);
    assert_string_equal(c.client_order_id, o->client_order_id);
}

static void an_acknowledgement_is_not_a_fill(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *o = order(&book, LEG_ENTRY, 0, 100);
    struct venue_event ack = event_of(o, VENUE_ORDER_ACCEPTED);
    /* avgPrice and executedQty of an acknowledgement, whatever it says there, are not evidence. */
    ack.last_px.e8 = 5;
    ack.last_qty.e8 = 100;
    ack.cum_qty.e8 = 100;
    struct oms_update u;
    oms_apply(&u, &book, &ack);
    assert_true(u.applied);
    assert_int_equal(u.before, ORDER_PENDING_NEW);
    assert_int_equal(u.after, ORDER_NEW);
    assert_int_equal(o->cum_qty.e8, 0);
    assert_int_equal(o->cum_cost.e8, 0);
    assert_true(oms_has_live(&book));
}

static void partial_fills_add_up(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *o = order(&book, LEG_ENTRY, 0, 10 * FX_ONE);
    apply(&book, o, VENUE_ORDER_ACCEPTED);
    assert_int_equal(fill(&book, o, 1, 100 * FX_ONE, 3 * FX_ONE, 7 * FX_ONE).after,
                     ORDER_PARTIALLY_FILLED);
    assert_int_equal(fill(&book, o, 2, 101 * FX_ONE, 5 * FX_ONE, 2 * FX_ONE).after,
                     ORDER_PARTIALLY_FILLED);
    assert_int_equal(fill(&book, o, 3, 102 * FX_ONE, 2 * FX_ONE, 0).after, ORDER_FILLED);
    assert_int_equal(o->cum_qty.e8, 10 * FX_ONE);
    assert_int_equal(o->cum_cost.e8, (300 + 505 + 204) * FX_ONE);
    assert_false(oms_has_live(&book));
}

static void a_fill_told_twice_counts_once(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *o = order(&book, LEG_ENTRY, 0, 10);
    assert_true(fill(&book, o, 41, 100, 4, 6).applied);
    struct oms_update again = fill(&book, o, 41, 100, 4, 6);
    assert_false(again.applied);
    assert_ptr_equal(again.order, o);
    assert_int_equal(o->cum_qty.e8, 4);
    assert_int_equal(book.duplicate_fills, 1);
    assert_true(oms_foreign_fill(&book, 42));
    assert_false(oms_foreign_fill(&book, 42));
    assert_int_equal(book.duplicate_fills, 2);
    assert_false(fill(&book, o, 42, 100, 4, 6).applied);
}

/* The stream tells them as it likes: it is the id that counts, not a higher one seen before. */
static void fills_are_booked_in_any_order(void **state) {
    (void)state;
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static const int64_t qty[3] = {3, 5, 2}, leaves[3] = {7, 2, 0};
    for (int n = 0; n < 6; n++) {
        struct oms_book book = {0};
        struct oms_order *o = order(&book, LEG_ENTRY, 0, 10);
        for (int j = 0; j < 3; j++) {
            int f = orders[n][j];
            assert_true(fill(&book, o, 41 + (uint64_t)f, 100, qty[f], leaves[f]).applied);
            assert_false(fill(&book, o, 41 + (uint64_t)f, 100, qty[f], leaves[f]).applied);
        }
        assert_int_equal(o->state, ORDER_FILLED);
        assert_int_equal(o->cum_qty.e8, 10);
        assert_int_equal(book.duplicate_fills, 3);
        assert_int_equal(book.illegal_events, 0);
        assert_false(fill(&book, o, 50, 100, 1, 0).applied); /* more than was ordered */
        assert_int_equal(book.illegal_events, 1);
    }
}

/* Twice "nothing to cancel" is a conclusion; the fill behind it is a fact. */
static void a_fill_of_an_ended_order_is_booked(void **state) {
    (void)state;
    static const enum order_state ends[] = {ORDER_CANCELED, ORDER_REJECTED, ORDER_EXPIRED};
    for (size_t n = 0; n < 3; n++) {
        struct oms_book book = {0};
        struct oms_order *o = order(&book, LEG_ENTRY, 0, 10);
        o->state = (uint8_t)ends[n];
        struct oms_update u = fill(&book, o, 41, 100, 4, 6);
        assert_true(u.applied);
        assert_int_equal(u.before, ends[n]);
        assert_int_equal(u.after, ends[n]);
        assert_int_equal(o->cum_qty.e8, 4);
        assert_true(fill(&book, o, 42, 100, 6, 0).applied);
        assert_int_equal(o->state, ends[n]);
        assert_int_equal(o->cum_qty.e8, 10);
        assert_int_equal(book.illegal_events, 0);
    }
}

static void our_ids_are_known_by_their_form(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    for (int n = 0; n < 1000; n++) {
        char id[CLIENT_ORDER_ID_SIZE];
        oms_client_order_id(id, rng_u64(&rng), (enum oms_leg)rng_below(&rng, LEG_COUNT),
                            (uint32_t)rng_u64(&rng));
        assert_true(oms_is_ours(id));
        id[rng_below(&rng, 17)] = '~';
        assert_false(oms_is_ours(id));
    }
    static const char others[][CLIENT_ORDER_ID_SIZE] = {
        "", "q", "web_by_hand", "autoclose-1234", "q028T5CY4TQKFF-", "q028T5CY4TQKFF-s"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(oms_is_ours(others[i]));
}

static void a_fill_may_still_come_while_a_cancel_is_on_its_way(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *o = order(&book, LEG_CLOSE, 0, 10);
    apply(&book, o, VENUE_ORDER_ACCEPTED);
    struct venue_command c;
    assert_true(oms_cancel(&c, o, 3, T0));
    assert_int_equal(c.kind, COMMAND_ORDER_CANCEL);
    assert_string_equal(c.client_order_id, o->client_order_id);
    assert_int_equal(o->state, ORDER_PENDING_CANCEL);
    assert_false(oms_cancel(&c, o, 3, T0)); /* one is on its way */
    assert_true(fill(&book, o, 1, 100, 4, 6).applied);
    assert_int_equal(o->state, ORDER_PENDING_CANCEL);
    assert_int_equal(fill(&book, o, 2, 100, 6, 0).after, ORDER_FILLED);
    assert_int_equal(o->cum_qty.e8, 10);
    /* The cancel lost the race; its refusal changes nothing. */
    struct oms_update u = apply(&book, o, VENUE_CANCEL_REJECTED);
    assert_int_equal(u.after, ORDER_FILLED);
    assert_int_equal(book.illegal_events, 0);
}

static void a_fill_may_come_before_the_acknowledgement(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *o = order(&book, LEG_ENTRY, 0, 10);
    assert_int_equal(fill(&book, o, 1, 100, 10, 0).after, ORDER_FILLED);
    assert_false(apply(&book, o, VENUE_ORDER_ACCEPTED).applied);
    assert_int_equal(o->state, ORDER_FILLED);
}

static void no_answer_in_time_is_neither_yes_nor_no(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *o = order(&book, LEG_STOP, 0, 0);
    assert_true(oms_timeout(o));
    assert_int_equal(o->state, ORDER_UNKNOWN);
    assert_ptr_equal(oms_live(&book, 77, LEG_STOP), o); /* it may well stand */
    assert_int_equal(apply(&book, o, VENUE_ORDER_ACCEPTED).after, ORDER_NEW);
    assert_false(oms_timeout(o));
}

static void a_cancel_refused_twice_means_the_order_is_gone(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *o = order(&book, LEG_TAKE_PROFIT, 0, 0);
    struct venue_command c;
    assert_true(oms_cancel(&c, o, 3, T0));
    assert_int_equal(apply(&book, o, VENUE_CANCEL_REJECTED).after, ORDER_UNKNOWN);
    assert_true(oms_cancel(&c, o, 3, T0));
    assert_int_equal(apply(&book, o, VENUE_CANCEL_REJECTED).after, ORDER_REJECTED);
    assert_false(oms_cancel(&c, o, 3, T0));
}

static void an_order_not_answered_is_asked_after_again_and_again(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *o = order(&book, LEG_ENTRY, 0, 10);
    for (int n = 0; n < 3; n++) {
        struct venue_command c;
        assert_true(oms_ask(&c, o, 3, T0 + n));
        assert_int_equal(c.kind, COMMAND_ORDER_CANCEL);
        assert_int_equal(c.ts_ns, T0 + n);
        assert_int_equal(c.instrument_index, 3);
        assert_string_equal(c.client_order_id, o->client_order_id);
        assert_int_equal(o->state, ORDER_PENDING_CANCEL);
    }
    apply(&book, o, VENUE_ORDER_CANCELED);
    struct venue_command c;
    assert_false(oms_ask(&c, o, 3, T0));
}

static void illegal_pairs_change_nothing_and_are_counted(void **state) {
    (void)state;
    static const enum venue_event_kind kinds[] = {VENUE_ORDER_ACCEPTED, VENUE_ORDER_REJECTED,
                                                  VENUE_ORDER_TRADE,    VENUE_ORDER_CANCELED,
                                                  VENUE_ORDER_EXPIRED,  VENUE_CANCEL_REJECTED};
    for (int from = ORDER_PENDING_NEW; from < ORDER_STATE_COUNT; from++) {
        for (size_t j = 0; j < sizeof kinds / sizeof *kinds; j++) {
            struct oms_book book = {0};
            struct oms_order *o = order(&book, LEG_ENTRY, 0, 10);
            o->state = (uint8_t)from;
            static const enum order_event means[] = {OE_ACCEPTED, OE_REJECTED, OE_FILL_LAST,
                                                     OE_CANCELED, OE_EXPIRED,  OE_CANCEL_REJECTED};
            int next = order_state_next((enum order_state)from, means[j]);
            struct oms_order before = *o;
            struct oms_update u = kinds[j] == VENUE_ORDER_TRADE ? fill(&book, o, 1, 100, 10, 0)
                                                                : apply(&book, o, kinds[j]);
            assert_int_equal(u.applied, next >= 0);
            assert_int_equal(book.illegal_events, next < 0);
            if (next < 0)
                assert_memory_equal(&before, o, sizeof before);
            else
                assert_int_equal(o->state, next);
        }
    }
}

static void fills_of_nothing_or_of_too_much_are_refused(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *o = order(&book, LEG_ENTRY, 0, 10);
    assert_false(fill(&book, o, 1, 100, 11, 0).applied);
    assert_false(fill(&book, o, 2, 100, 0, 10).applied);
    assert_false(fill(&book, o, 3, 0, 5, 5).applied);
    assert_false(fill(&book, o, 4, 100, -5, 15).applied);
    assert_int_equal(o->cum_qty.e8, 0);
    assert_int_equal(o->state, ORDER_PENDING_NEW);
    assert_int_equal(book.illegal_events, 4);
    assert_true(fill(&book, o, 1, 100, 10, 0).applied); /* a refused number was not used up */
    struct oms_order *stop = order(&book, LEG_STOP, 0, 0);
    assert_true(fill(&book, stop, 5, 100, 999, 0).applied); /* closePosition: whatever there is */
}

static void evidence_about_strangers_is_counted(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct venue_event e = event_of(NULL, VENUE_ORDER_CANCELED);
    memcpy(e.client_order_id, "web_hand", 9);
    struct oms_update u;
    oms_apply(&u, &book, &e);
    assert_null(u.order);
    assert_false(u.applied);
    assert_int_equal(book.unknown_orders, 1);
    e.kind = VENUE_FUNDING; /* not about an order at all */
    oms_apply(&u, &book, &e);
    assert_int_equal(book.unknown_orders, 1);
}

static void slots_of_ended_orders_are_used_again_and_live_ones_never(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *all[OMS_ORDERS_MAX];
    for (uint32_t i = 0; i < OMS_ORDERS_MAX; i++) {
        all[i] = order(&book, LEG_CLOSE, i, 10);
        assert_non_null(all[i]);
    }
    assert_null(order(&book, LEG_CLOSE, 98, 10));
    apply(&book, all[5], VENUE_ORDER_REJECTED);
    struct oms_order *o = order(&book, LEG_CLOSE, 98, 10);
    assert_ptr_equal(o, all[5]);
    assert_int_equal(o->state, ORDER_PENDING_NEW);
    assert_int_equal(o->code, 0);
    assert_null(order(&book, LEG_CLOSE, 99, 10));
}

/* While a stop is replaced two stand: word of one is not word of the other. */
static void two_stops_of_one_trade_are_told_apart(void **state) {
    (void)state;
    struct oms_book book = {0};
    struct oms_order *old = order(&book, LEG_STOP, 1, 0), *new = order(&book, LEG_STOP, 33, 10);
    assert_string_not_equal(old->client_order_id, new->client_order_id);
    assert_ptr_equal(oms_live_attempt(&book, 77, LEG_STOP, 1), old);
    assert_ptr_equal(oms_live_attempt(&book, 77, LEG_STOP, 33), new);
    assert_null(oms_live_attempt(&book, 78, LEG_STOP, 33)); /* of another trade */
    assert_null(oms_live_attempt(&book, 77, LEG_STOP, 2));
    assert_null(oms_live_attempt(&book, 77, LEG_CLOSE, 1));
    apply(&book, new, VENUE_ORDER_ACCEPTED);
    assert_int_equal(old->state, ORDER_PENDING_NEW);
    apply(&book, old, VENUE_ORDER_REJECTED);
    assert_null(oms_live_attempt(&book, 77, LEG_STOP, 1));
    assert_ptr_equal(oms_live(&book, 77, LEG_STOP), new);
}

static void targets_have_legs_of_their_own(void **state) {
    (void)state;
    for (uint32_t j = 0; j < OMS_TARGETS; j++)
        for (uint32_t other = 0; other < j; other++)
            assert_true(oms_target_leg(j) != oms_target_leg(other));
    uint32_t none = 0;
    for (enum oms_leg leg = LEG_ENTRY; leg < LEG_COUNT; leg++) {
        uint32_t target = oms_leg_target(leg);
        if (target < OMS_TARGETS) assert_int_equal(oms_target_leg(target), leg);
        none += target == OMS_TARGETS;
        assert_string_not_equal(oms_leg_text(leg), "?");
    }
    assert_int_equal(none, LEG_COUNT - OMS_TARGETS);
    assert_int_equal(oms_leg_target(LEG_STOP), OMS_TARGETS);
}

/* Whatever the venue says, in whatever order: never more filled than ordered, an end is an end, and
 * what is refused leaves no trace but its count. */
static void random_evidence_keeps_the_books(void **state) {
    (void)state;
    struct rng rng = rng_init(test_seed());
    uint64_t applied = 0, refused = 0;
    for (int n = 0; n < 20000; n++) {
        struct oms_book book = {0};
        int64_t qty = 1 + (int64_t)rng_below(&rng, 1000);
        struct oms_order *o = order(&book, LEG_ENTRY, 0, qty);
        uint64_t trade_id = 0;
        for (int k = 0; k < 24; k++) {
            enum order_state before = (enum order_state)o->state;
            struct oms_order copy = *o;
            uint32_t counted = book.illegal_events + book.duplicate_fills;
            struct venue_command c;
            struct oms_update u;
            uint64_t what = rng_below(&rng, 12);
            if (what < 6) {
                trade_id += rng_below(&rng, 3);
                int64_t last = (int64_t)rng_below(&rng, (uint64_t)qty + 2);
                int64_t left = qty - copy.cum_qty.e8 - last;
                if (rng_below(&rng, 8) == 0) left = (int64_t)rng_below(&rng, 3);
                u = fill(&book, o, trade_id, 100, last, left);
            } else if (what == 6) {
                oms_cancel(&c, o, 3, T0);
                continue;
            } else if (what == 7) {
                oms_timeout(o);
                continue;
            } else {
                static const enum venue_event_kind kinds[] = {
                    VENUE_ORDER_ACCEPTED, VENUE_ORDER_REJECTED, VENUE_ORDER_EXPIRED,
                    VENUE_CANCEL_REJECTED};
                u = apply(&book, o, kinds[what - 8]);
            }
            assert_int_equal(u.before, before);
            assert_int_equal(u.after, o->state);
            assert_true(o->cum_qty.e8 >= 0 && o->cum_qty.e8 <= qty);
            if (order_state_is_terminal(before)) assert_int_equal(o->state, before);
            if (u.applied) {
                applied++;
                assert_true(o->cum_qty.e8 >= copy.cum_qty.e8);
            } else {
                refused++;
                assert_memory_equal(&copy, o, sizeof copy);
                assert_int_equal(book.illegal_events + book.duplicate_fills, counted + 1);
            }
        }
    }
    assert_true(applied > 10000 && refused > 10000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_intent_is_taken_once),
        cmocka_unit_test(an_expired_intent_is_refused_whether_seen_or_not),
        cmocka_unit_test(a_full_ledger_refuses_instead_of_forgetting),
        cmocka_unit_test(the_ledger_never_forgets_an_id_that_has_not_expired),
        cmocka_unit_test(order_ids_fit_the_venues_pattern),
        cmocka_unit_test(order_ids_differ_by_intent_leg_and_attempt),
        cmocka_unit_test(names_are_ids_with_the_marks_of_run_and_life),
        cmocka_unit_test(a_found_order_is_of_no_trade),
        cmocka_unit_test(the_same_intent_leg_and_attempt_give_the_same_id),
        cmocka_unit_test(a_command_carries_what_was_asked),
        cmocka_unit_test(an_acknowledgement_is_not_a_fill),
        cmocka_unit_test(partial_fills_add_up),
        cmocka_unit_test(a_fill_told_twice_counts_once),
        cmocka_unit_test(fills_are_booked_in_any_order),
        cmocka_unit_test(a_fill_of_an_ended_order_is_booked),
        cmocka_unit_test(our_ids_are_known_by_their_form),
        cmocka_unit_test(a_fill_may_still_come_while_a_cancel_is_on_its_way),
        cmocka_unit_test(a_fill_may_come_before_the_acknowledgement),
        cmocka_unit_test(no_answer_in_time_is_neither_yes_nor_no),
        cmocka_unit_test(a_cancel_refused_twice_means_the_order_is_gone),
        cmocka_unit_test(an_order_not_answered_is_asked_after_again_and_again),
        cmocka_unit_test(illegal_pairs_change_nothing_and_are_counted),
        cmocka_unit_test(fills_of_nothing_or_of_too_much_are_refused),
        cmocka_unit_test(evidence_about_strangers_is_counted),
        cmocka_unit_test(slots_of_ended_orders_are_used_again_and_live_ones_never),
        cmocka_unit_test(two_stops_of_one_trade_are_told_apart),
        cmocka_unit_test(targets_have_legs_of_their_own),
        cmocka_unit_test(random_evidence_keeps_the_books),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
