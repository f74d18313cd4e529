/* The circuits: every pair of state and event, from the table and through what the kernel tells; what opens which
 * circuit, what closes it, and what never may. TEST_SEED=n repeats the random lives. */
#include "trade/breaker/test_breaker.h"

enum { SYMBOLS = 4, ID = 77 };

static struct breaker_config config(void) {
    return breaker_config_defaults(HOUR);
}

/* ---- every pair ---- */

static void every_pair_of_state_and_event(void **state) {
    (void)state;
    /* By name, row by row: "-" cannot come up. */
    static const char *const want[BREAKER_STATE_COUNT][BREAKER_EVENT_COUNT] = {
        {"closed", "closed", "open", "-", "closed", "-", "-", "-", "closed", "halted", "closed"},
        {"open", "open", "open", "half_open", "-", "-", "-", "-", "closed", "halted", "open"},
        {"open", "half_open", "open", "-", "probing", "-", "-", "-", "closed", "halted",
         "half_open"},
        {"open", "probing", "open", "-", "-", "closed", "open", "half_open", "closed", "halted",
         "probing"},
        {"halted", "halted", "halted", "-", "-", "-", "-", "-", "halted", "halted", "closed"},
    };
    for (int s = 0; s < BREAKER_STATE_COUNT; s++)
        for (int e = 0; e < BREAKER_EVENT_COUNT; e++) {
            enum breaker_state next = breaker_next((enum breaker_state)s, (enum breaker_event)e);
            const char *got = next == BREAKER_IMPOSSIBLE ? "-" : breaker_state_text(next);
            if (strcmp(got, want[s][e]) != 0)
                fail_msg("state %d, event %d: %s instead of %s", s, e, got, want[s][e]);
        }
}

/* Symbol 0's circuit in a state, with ID its probe; the common one closed. */
static struct breaker *symbol_in(enum breaker_state wanted) {
    struct breaker_config c = config();
    struct breaker *b = breaker_new(&c, SYMBOLS);
    struct breaker_changes out = {0};
    if (wanted == BREAKER_HALTED) breaker_contract(&out, b, 0, false, T0);
    if (wanted == BREAKER_OPEN || wanted == BREAKER_HALF_OPEN || wanted == BREAKER_PROBING)
        for (int i = 0; i < 3; i++) breaker_failed(&out, b, 0, BREAKER_OF_SYMBOL, 0, T0);
    if (wanted == BREAKER_HALF_OPEN || wanted == BREAKER_PROBING)
        breaker_time(&out, b, T0 + 300 * S);
    if (wanted == BREAKER_PROBING) breaker_entered(&out, b, 0, ID, T0 + 300 * S);
    assert_int_equal(b->symbols[0].state, wanted);
    assert_int_equal(b->all.state, BREAKER_CLOSED);
    return b;
}

enum evidence {
    FAILS = 0,
    WORKS,
    GONE,
    TIME,
    LOST,
    WON,
    RESET,
    HALT,
    RESUME,
    OTHER_TRADE,
    EXPECTED,
    EVIDENCE_COUNT
};

static void tell(struct breaker_changes *out, struct breaker *b, enum evidence e, int64_t now) {
    switch (e) {
    case FAILS:
        breaker_failed(out, b, 0, BREAKER_OF_SYMBOL, ID, now);
        break;
    case WORKS:
        breaker_worked(out, b, 0, ID, now);
        break;
    case GONE:
        breaker_failed(out, b, 0, BREAKER_CONTRACT_GONE, 0, now);
        break;
    case TIME:
        breaker_time(out, b, now);
        break;
    case LOST:
        breaker_entry_lost(out, b, 0, ID, now);
        break;
    case WON:
        breaker_trade(out, b, 0, ID, usdt(1), false, now);
        break;
    case RESET:
        breaker_reset(out, b, 0, now);
        break;
    case HALT:
        breaker_contract(out, b, 0, false, now);
        break;
    case RESUME:
        breaker_contract(out, b, 0, true, now);
        break;
    case OTHER_TRADE:
        breaker_trade(out, b, 0, ID + 1, usdt(-1), true, now);
        break;
    case EXPECTED:
        breaker_failed(out, b, 0, BREAKER_EXPECTED, ID, now);
        break;
    case EVIDENCE_COUNT:
        break;
    }
}

static void every_evidence_in_every_state(void **state) {
    (void)state;
    enum { C = BREAKER_CLOSED, O, H, P, X };
    static const int want[EVIDENCE_COUNT][BREAKER_STATE_COUNT] = {
        [FAILS] = {C, O, O, O, X},       [WORKS] = {C, O, H, C, X},    [GONE] = {O, O, O, O, X},
        [TIME] = {C, H, H, P, X},        [LOST] = {C, O, H, H, X},     [WON] = {C, O, H, C, X},
        [RESET] = {C, C, C, C, X},       [HALT] = {X, X, X, X, X},     [RESUME] = {C, O, H, P, C},
        [OTHER_TRADE] = {C, O, H, P, X}, [EXPECTED] = {C, O, H, P, X},
    };
    for (int e = 0; e < EVIDENCE_COUNT; e++)
        for (int s = 0; s < BREAKER_STATE_COUNT; s++) {
            struct breaker *b = symbol_in((enum breaker_state)s);
            struct breaker_changes out = {0};
            tell(&out, b, (enum evidence)e, T0 + 300 * S);
            if ((int)b->symbols[0].state != want[e][s])
                fail_msg("evidence %d in %s: %s", e, breaker_state_text((enum breaker_state)s),
                         breaker_state_text((enum breaker_state)b->symbols[0].state));
            if (want[e][s] == s)
                assert_int_equal(out.count, 0);
            else
                assert_change(&out, BREAKER_PART_CIRCUIT, 0,
                              breaker_state_text((enum breaker_state)s),
                              breaker_state_text((enum breaker_state)want[e][s]));
            for (uint32_t i = 1; i < SYMBOLS; i++) /* nobody else is touched */
                assert_int_equal(breaker_word(b, i), RISK_ALLOW);
            bool shut = want[e][s] == O || want[e][s] == P;
            assert_int_equal(breaker_word(b, 0), shut ? RISK_BREAKER_SYMBOL : RISK_ALLOW);
            free(b);
        }
}

/* ---- what opens ---- */

static void only_failures_in_a_row_open(void **state) {
    (void)state;
    struct breaker_config c = config();
    struct breaker *b = breaker_new(&c, SYMBOLS);
    struct breaker_changes out = {0};
    for (int round = 0; round < 10; round++) {
        breaker_failed(&out, b, 1, BREAKER_OF_SYMBOL, 0, T0);
        breaker_failed(&out, b, 1, BREAKER_OF_VENUE, 0, T0);
        breaker_worked(&out, b, 1, 0, T0);
    }
    assert_int_equal(out.count, 0);
    breaker_failed(&out, b, 1, BREAKER_OF_SYMBOL, 0, T0);
    breaker_failed(&out, b, 1, BREAKER_OF_SYMBOL, 0, T0);
    breaker_worked(&out, b, 2, 0, T0);   /* another symbol's: says nothing of this one */
    breaker_entered(&out, b, 1, ID, T0); /* that we try again is no success */
    assert_int_equal(out.count, 0);
    breaker_failed(&out, b, 1, BREAKER_OF_SYMBOL, 0, T0);
    assert_change(&out, BREAKER_PART_CIRCUIT, 1, "closed", "open");
    assert_true(out.items[0].figure == 3 && out.items[0].limit == 3);
    assert_true(out.items[0].until_ns == T0 + 300 * S);
    assert_string_equal(out.items[0].cause, "failures");
    free(b);
}

/* Lesson L17: a delisted contract that fails for ever. */
static void one_symbol_never_opens_the_common_circuit(void **state) {
    (void)state;
    struct breaker_config c = config();
    struct breaker *b = breaker_new(&c, SYMBOLS);
    int64_t now = T0;
    for (int i = 0; i < 1000; i++, now += 60 * S) {
        struct breaker_changes out = {0};
        breaker_failed(&out, b, 0, i % 3 ? BREAKER_OF_VENUE : BREAKER_CONTRACT_GONE, 0, now);
        breaker_time(&out, b, now);
        if (i % 50 == 0) breaker_reset(&out, b, 0, now); /* somebody who does not give up */
        assert_int_equal(b->all.state, BREAKER_CLOSED);
        assert_int_equal(breaker_word(b, 1), RISK_ALLOW);
    }
    assert_true(b->symbols[0].opened > 20);
    free(b);
}

static void failures_of_the_venue_on_two_symbols_open_it_for_all(void **state) {
    (void)state;
    struct breaker_config c = config();
    struct breaker *b = breaker_new(&c, SYMBOLS);
    struct breaker_changes out = {0};
    for (int i = 0; i < 2; i++) breaker_failed(&out, b, 0, BREAKER_OF_VENUE, 0, T0);
    for (int i = 0; i < 2; i++) breaker_failed(&out, b, 1, BREAKER_OF_VENUE, 0, T0);
    breaker_failed(&out, b, 2, BREAKER_OF_SYMBOL, 0, T0);
    assert_int_equal(out.count, 0);
    breaker_failed(&out, b, 2, BREAKER_OF_VENUE, 0, T0);
    assert_change(&out, BREAKER_PART_CIRCUIT, BREAKER_ALL, "closed", "open");
    assert_true(out.items[0].figure == 5);
    for (uint32_t i = 0; i < SYMBOLS; i++) assert_int_equal(breaker_word(b, i), RISK_BREAKER_OPEN);
    free(b);
}

static void a_lost_link_bars_entries_and_counts(void **state) {
    (void)state;
    struct breaker_config c = config();
    struct breaker *b = breaker_new(&c, SYMBOLS);
    for (int i = 1; i <= 5; i++) {
        struct breaker_changes out = {0};
        breaker_link(&out, b, false, T0);
        assert_int_equal(breaker_word(b, 3), RISK_VENUE_DOWN);
        assert_int_equal(out.count, i == 5 ? 2 : 1);
        breaker_link(&out, b, false, T0); /* told twice */
        breaker_link(&out, b, true, T0);
        assert_int_equal(breaker_word(b, 3), i == 5 ? RISK_BREAKER_OPEN : RISK_ALLOW);
    }
    assert_int_equal(b->downs, 5);
    free(b);
}

static void codes_are_sorted_by_whom_they_concern(void **state) {
    (void)state;
    static const struct {
        int32_t code;
        enum breaker_fault fault;
    } rows[] = {{0, BREAKER_EXPECTED},          {-2011, BREAKER_EXPECTED},
                {-2013, BREAKER_OF_VENUE},      {-2021, BREAKER_EXPECTED},
                {-2022, BREAKER_EXPECTED},      {-4130, BREAKER_EXPECTED},
                {-1000, BREAKER_OF_VENUE},      {-1001, BREAKER_OF_VENUE},
                {-1003, BREAKER_OF_VENUE},      {-1007, BREAKER_OF_VENUE},
                {-1015, BREAKER_OF_VENUE},      {-1021, BREAKER_OF_VENUE},
                {-1022, BREAKER_OF_VENUE},      {-2015, BREAKER_OF_VENUE},
                {-2019, BREAKER_OF_VENUE},      {-1099, BREAKER_OF_VENUE},
                {-1100, BREAKER_OF_SYMBOL},     {-1111, BREAKER_OF_SYMBOL},
                {-1121, BREAKER_CONTRACT_GONE}, {-4014, BREAKER_OF_SYMBOL},
                {-4164, BREAKER_OF_SYMBOL},     {-4140, BREAKER_CONTRACT_GONE},
                {-4141, BREAKER_CONTRACT_GONE}, {-9999, BREAKER_OF_SYMBOL},
                {-2010, BREAKER_OF_SYMBOL},     {BREAKER_NO_ANSWER, BREAKER_OF_VENUE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (breaker_fault_of(rows[i].code) != rows[i].fault) fail_msg("%d", rows[i].code);
}

/* ---- what closes ---- */

static void the_cooldown_is_300_seconds_and_one_entry_tries(void **state) {
    (void)state;
    struct breaker_config c = config();
    struct breaker *b = breaker_new(&c, SYMBOLS);
    struct breaker_changes out = {0};
    for (uint32_t i = 0; i < 5; i++) breaker_failed(&out, b, i % 2, BREAKER_OF_VENUE, 0, T0);
    assert_int_equal(b->all.state, BREAKER_OPEN);
    out.count = 0;
    breaker_time(&out, b, T0 + 300 * S - 1);
    assert_int_equal(out.count, 0);
    assert_int_equal(breaker_word(b, 3), RISK_BREAKER_OPEN);
    breaker_time(&out, b, T0 + 300 * S);
    assert_int_equal(b->all.state, BREAKER_HALF_OPEN);
    assert_int_equal(breaker_word(b, 3), RISK_ALLOW);
    assert_true(breaker_entries_max(b) == 1);
    breaker_entered(&out, b, 3, ID, T0 + 301 * S);
    assert_int_equal(breaker_word(b, 2), RISK_BREAKER_OPEN);    /* one is enough */
    assert_int_equal(breaker_word_still(b, 3, ID), RISK_ALLOW); /* and that one is on its way */
    assert_int_equal(breaker_word_still(b, 3, ID + 1), RISK_BREAKER_OPEN);
    breaker_worked(&out, b, 3, 0, T0 + 301 * S); /* a cancelled order is no probe */
    breaker_worked(&out, b, 3, ID + 1, T0 + 301 * S);
    assert_int_equal(b->all.state, BREAKER_PROBING);
    breaker_worked(&out, b, 3, ID, T0 + 302 * S);
    assert_int_equal(b->all.state, BREAKER_CLOSED);
    assert_true(breaker_entries_max(b) == UINT32_MAX);
    free(b);
}

static void a_failed_probe_opens_again_for_a_whole_cooldown(void **state) {
    (void)state;
    struct breaker *b = symbol_in(BREAKER_PROBING);
    struct breaker_changes out = {0};
    int64_t now = T0 + 400 * S;
    breaker_failed(&out, b, 0, BREAKER_OF_SYMBOL, ID, now);
    assert_change(&out, BREAKER_PART_CIRCUIT, 0, "probing", "open");
    assert_true(b->symbols[0].until_ns == now + 300 * S);
    breaker_time(&out, b, now + 300 * S - 1);
    assert_int_equal(b->symbols[0].state, BREAKER_OPEN);
    free(b);
}

/* The common circuit's probe met a contract of its own kind: the venue is as unknown as before. */
static void a_probe_on_a_bad_contract_is_given_to_another(void **state) {
    (void)state;
    struct breaker_config c = config();
    struct breaker *b = breaker_new(&c, SYMBOLS);
    struct breaker_changes out = {0};
    for (uint32_t i = 0; i < 5; i++) breaker_failed(&out, b, i % 2, BREAKER_OF_VENUE, 0, T0);
    breaker_time(&out, b, T0 + 300 * S);
    breaker_entered(&out, b, 2, ID, T0 + 300 * S);
    breaker_failed(&out, b, 2, BREAKER_CONTRACT_GONE, ID, T0 + 300 * S);
    assert_int_equal(b->all.state, BREAKER_HALF_OPEN);
    assert_int_equal(breaker_word(b, 2), RISK_BREAKER_SYMBOL);
    assert_int_equal(breaker_word(b, 3), RISK_ALLOW);
    free(b);
}

static void a_loss_is_probed_by_what_a_trade_earns(void **state) {
    (void)state;
    struct breaker_config c = config();
    struct breaker *b = breaker_new(&c, SYMBOLS);
    struct breaker_changes out = {0};
    breaker_equity(&out, b, usdt(10000), T0);
    breaker_equity(&out, b, usdt(9600), T0 + HOUR);
    assert_int_equal(b->all.state, BREAKER_OPEN);
    assert_int_equal(b->all.cause, BREAKER_LOSS);
    int64_t now = T0 + 2 * HOUR;
    for (int won = 0; won < 2; won++) {
        breaker_time(&out, b, now);
        breaker_entered(&out, b, 1, ID, now);
        breaker_worked(&out, b, 1, ID, now); /* that the venue takes it was never the question */
        assert_int_equal(b->all.state, BREAKER_PROBING);
        breaker_trade(&out, b, 1, ID + 5, usdt(-9), false, now); /* one from before */
        assert_int_equal(b->all.state, BREAKER_PROBING);
        breaker_trade(&out, b, 1, ID, usdt(won ? 0 : -0.01), false, now);
        assert_int_equal(b->all.state, won ? BREAKER_CLOSED : BREAKER_OPEN);
        now += 300 * S;
        out.count = 0;
    }
    free(b);
}

static void a_reset_closes_everything_but_a_halted_contract(void **state) {
    (void)state;
    struct breaker_config c = config();
    struct breaker *b = breaker_new(&c, SYMBOLS);
    struct breaker_changes out = {0};
    for (uint32_t i = 0; i < 6; i++) breaker_failed(&out, b, i % 2, BREAKER_OF_VENUE, 0, T0);
    breaker_contract(&out, b, 3, false, T0);
    out.count = 0;
    breaker_reset(&out, b, BREAKER_ALL, T0);
    assert_int_equal(b->all.state, BREAKER_CLOSED);
    assert_int_equal(out.count, 3);
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(b->symbols[i].state, BREAKER_CLOSED);
    assert_int_equal(b->symbols[3].state, BREAKER_HALTED);
    assert_int_equal(b->not_closed, 0);
    out.count = 0;
    for (int i = 0; i < 2; i++) breaker_failed(&out, b, 0, BREAKER_OF_SYMBOL, 0, T0);
    assert_int_equal(out.count, 0); /* counted anew */
    free(b);
}

static void a_configuration_of_zeros_refuses_nothing(void **state) {
    (void)state;
    struct breaker_config none = {0};
    struct breaker *b = breaker_new(&none, SYMBOLS);
    struct breaker_changes out = {0};
    for (int i = 0; i < 100; i++) {
        breaker_failed(&out, b, 0, (enum breaker_fault)(i % 4), 0, T0);
        breaker_equity(&out, b, usdt(100 - i), T0 + i * HOUR);
        breaker_trade(&out, b, 0, 1, usdt(-1), true, T0);
        breaker_market(&out, b, T0, T0 + i * DAY);
        breaker_time(&out, b, T0 + i * DAY);
        assert_int_equal(breaker_word(b, 0), RISK_ALLOW);
    }
    assert_int_equal(out.count, 0);
    struct risk_limits a = risk_limits_defaults(), l = a;
    breaker_limits(&l, b);
    assert_memory_equal(&a, &l, sizeof l);
    assert_true(breaker_deadline(b, T0) == INT64_MAX);
    free(b);
}

/* ---- random lives ---- */

static void random_step(struct breaker_changes *out, struct breaker *b, struct rng *rng,
                        uint64_t *next_id, int64_t now) {
    uint32_t i = (uint32_t)rng_below(rng, SYMBOLS);
    uint64_t id = 1 + rng_below(rng, *next_id);
    switch (rng_below(rng, 10)) {
    case 0:
    case 1:
    case 2:
        breaker_failed(out, b, i, (enum breaker_fault)rng_below(rng, 4), id, now);
        break;
    case 3:
        breaker_worked(out, b, i, id, now);
        break;
    case 4:
        if (breaker_word(b, i) == RISK_ALLOW) breaker_entered(out, b, i, ++*next_id, now);
        break;
    case 5:
        breaker_entry_lost(out, b, i, id, now);
        break;
    case 6:
        breaker_trade(out, b, i, id, usdt((double)rng_below(rng, 3) - 1), rng_below(rng, 2), now);
        break;
    case 7:
        breaker_contract(out, b, i, rng_below(rng, 4) > 0, now);
        break;
    case 8:
        breaker_link(out, b, rng_below(rng, 3) > 0, now);
        break;
    default:
        breaker_equity(out, b, usdt(9000 + (double)rng_below(rng, 2000)), now);
        break;
    }
}

static void random_lives_keep_the_rules(void **state) {
    (void)state;
    struct rng rng = test_rng();
    struct breaker_config c = config();
    c.drawdown_max = c.daily_loss_max = 0;
    c.modes[BREAKER_EMERGENCY].result_max = 0;
    uint64_t opened = 0, closed = 0;
    for (int life = 0; life < 200; life++) {
        struct breaker *b = breaker_new(&c, SYMBOLS);
        int64_t now = T0, until[SYMBOLS + 1] = {0};
        uint64_t next_id = 10;
        for (int step = 0; step < 500; step++) {
            struct breaker_changes out = {0};
            now += (int64_t)rng_below(&rng, 120) * S;
            random_step(&out, b, &rng, &next_id, now);
            breaker_time(&out, b, now);
            uint32_t not_closed = 0;
            for (uint32_t i = 0; i <= SYMBOLS; i++) {
                const struct breaker_circuit *k = i < SYMBOLS ? &b->symbols[i] : &b->all;
                /* Whoever is open stays so until its time; a probe has a name, nobody else has one. */
                if (k->state == BREAKER_OPEN) assert_true(k->until_ns > now);
                assert_int_equal(k->until_ns != 0, k->state == BREAKER_OPEN);
                assert_int_equal(k->probe_id != 0, k->state == BREAKER_PROBING);
                assert_int_equal(k->cause != 0,
                                 k->state != BREAKER_CLOSED && k->state != BREAKER_HALTED);
                if (k->state == BREAKER_CLOSED && i < SYMBOLS)
                    assert_true(k->failures < c.symbol_failures_max);
                bool again = k->state == BREAKER_HALF_OPEN && until[i] > 0;
                if (again) assert_true(now >= until[i]);
                until[i] = k->state == BREAKER_OPEN ? k->until_ns : 0;
                not_closed +=
                    i < SYMBOLS && k->state != BREAKER_CLOSED && k->state != BREAKER_HALTED;
            }
            assert_int_equal(not_closed, b->not_closed);
            for (uint32_t j = 0; j < out.count; j++) {
                opened += strcmp(out.items[j].after, "open") == 0;
                closed += strcmp(out.items[j].after, "closed") == 0;
            }
        }
        free(b);
    }
    assert_true(opened > 1000 && closed > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_state_and_event),
        cmocka_unit_test(every_evidence_in_every_state),
        cmocka_unit_test(only_failures_in_a_row_open),
        cmocka_unit_test(one_symbol_never_opens_the_common_circuit),
        cmocka_unit_test(failures_of_the_venue_on_two_symbols_open_it_for_all),
        cmocka_unit_test(a_lost_link_bars_entries_and_counts),
        cmocka_unit_test(codes_are_sorted_by_whom_they_concern),
        cmocka_unit_test(the_cooldown_is_300_seconds_and_one_entry_tries),
        cmocka_unit_test(a_failed_probe_opens_again_for_a_whole_cooldown),
        cmocka_unit_test(a_probe_on_a_bad_contract_is_given_to_another),
        cmocka_unit_test(a_loss_is_probed_by_what_a_trade_earns),
        cmocka_unit_test(a_reset_closes_everything_but_a_halted_contract),
        cmocka_unit_test(a_configuration_of_zeros_refuses_nothing),
        cmocka_unit_test(random_lives_keep_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
