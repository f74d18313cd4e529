/* What a drill of a restart calls lost, doubled and changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/drill.h"

static struct drill_state a, b;

static void hold(struct drill_state *s, const char *symbol, int64_t qty_e8, int64_t entry_ms) {
    struct drill_position *p = &s->positions[s->position_count++];
    *p = (struct drill_position){.qty_e8 = qty_e8, .entry_ms = entry_ms, .is_protected = true};
    snprintf(p->symbol, sizeof p->symbol, "%s", symbol);
    snprintf(p->side, sizeof p->side, "BUY");
}

static void trade(struct drill_state *s, const char *symbol, int64_t entry_ms, uint64_t id) {
    struct drill_trade *t = &s->trades[s->trade_count++];
    *t = (struct drill_trade){.trade_id = id, .row_hash = id * 31, .entry_ms = entry_ms};
    snprintf(t->symbol, sizeof t->symbol, "%s", symbol);
}

static int setup(void **state) {
    (void)state;
    memset(&a, 0, sizeof a);
    hold(&a, "AUSDT", 500, 1000);
    hold(&a, "BUSDT", 700, 1100);
    trade(&a, "CUSDT", 900, 1);
    trade(&a, "CUSDT", 950, 2);
    b = a;
    return 0;
}

static void expect(uint32_t lost, uint32_t doubled, uint32_t changed, uint32_t closed,
                   uint32_t opened) {
    struct drill_difference d;
    drill_compare(&d, &a, &b);
    assert_int_equal(d.lost, lost);
    assert_int_equal(d.doubled, doubled);
    assert_int_equal(d.changed, changed);
    assert_int_equal(d.closed, closed);
    assert_int_equal(d.opened, opened);
}

static void what_went_on_is_no_fault(void **state) {
    (void)state;
    expect(0, 0, 0, 0, 0);
    b.positions[0] = b.positions[1]; /* one closed, one partly sold, one new */
    b.position_count = 1;
    b.positions[0].qty_e8 = 300;
    trade(&b, "AUSDT", 1000, 3);
    hold(&b, "AUSDT", 400, 2000);
    expect(0, 0, 0, 1, 1);
}

static void what_is_gone_is_lost(void **state) {
    (void)state;
    b.position_count = 1;
    expect(1, 0, 0, 0, 0);
    b.trade_count = 1;
    expect(2, 0, 0, 0, 0);
}

static void what_is_there_twice_is_doubled(void **state) {
    (void)state;
    hold(&b, "AUSDT", 500, 3000); /* two of a contract */
    expect(0, 1, 0, 0, 1);
    setup(NULL);
    trade(&b, "AUSDT", 1000, 3); /* held, and a trade already */
    expect(0, 1, 0, 0, 0);
    setup(NULL);
    hold(&b, "CUSDT", 100, 950); /* a trade before, held again */
    expect(0, 1, 0, 0, 1);
}

static void what_is_larger_turned_or_rewritten_has_changed(void **state) {
    (void)state;
    b.positions[0].qty_e8 = 501;
    expect(0, 0, 1, 0, 0);
    snprintf(b.positions[1].side, sizeof b.positions[1].side, "SELL");
    expect(0, 0, 2, 0, 0);
    b.trades[1].row_hash++;
    expect(0, 0, 3, 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_went_on_is_no_fault, setup),
        cmocka_unit_test_setup(what_is_gone_is_lost, setup),
        cmocka_unit_test_setup(what_is_there_twice_is_doubled, setup),
        cmocka_unit_test_setup(what_is_larger_turned_or_rewritten_has_changed, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
