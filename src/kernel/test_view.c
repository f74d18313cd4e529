/* One writer, two readers: no reader ever sees half of one publication and half of another. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/view.h"

enum { PUBLICATIONS = 40000, READERS = 2 };

/* Every table's every used entry carries the number of the publication. */
static void fill(struct view *v, uint64_t n) {
    v->bars = v->events = v->journal_seq = n;
    v->symbol_count = (uint32_t)(1 + n % 37);
    v->position_count = (uint32_t)(n % (VIEW_POSITIONS_MAX + 1));
    v->order_count = (uint32_t)(n % (VIEW_ORDERS_MAX + 1));
    v->trade_count = (uint32_t)(n % (VIEW_TRADES_MAX + 1));
    v->equity_count = (uint32_t)(n % (VIEW_EQUITY_MAX + 1));
    v->role_count = (uint32_t)(n % (VIEW_ROLES_MAX + 1));
    v->reason_count = (uint32_t)(n % (VIEW_REASONS_MAX + 1));
    for (uint32_t i = 0; i < v->symbol_count; i++) v->symbols[i].signal_id = n + i;
    for (uint32_t i = 0; i < v->position_count; i++) v->positions[i].entry_ts_ns = (int64_t)(n + i);
    for (uint32_t i = 0; i < v->order_count; i++) v->open_orders[i].ts_ns = (int64_t)(n + i);
    for (uint32_t i = 0; i < v->trade_count; i++) v->recent[i].trade_id = n + i;
    for (uint32_t i = 0; i < v->equity_count; i++) v->equity_curve[i].ts_ns = (int64_t)(n + i);
    for (uint32_t i = 0; i < v->role_count; i++) v->roles[i].work_count = n + i;
    for (uint32_t i = 0; i < v->reason_count; i++) v->reasons[i].count = n + i;
    for (uint32_t i = 0; i < MODEL_COUNT; i++) v->models[i].votes = n + i;
}

/* Number of entries that do not belong to publication v->bars. */
static uint64_t torn(const struct view *v) {
    uint64_t n = v->bars, bad = v->events != n || v->journal_seq != n;
    bad += v->symbol_count != 1 + n % 37;
    bad += v->version != n;
    for (uint32_t i = 0; i < v->symbol_count; i++) bad += v->symbols[i].signal_id != n + i;
    for (uint32_t i = 0; i < v->position_count; i++)
        bad += v->positions[i].entry_ts_ns != (int64_t)(n + i);
    for (uint32_t i = 0; i < v->order_count; i++)
        bad += v->open_orders[i].ts_ns != (int64_t)(n + i);
    for (uint32_t i = 0; i < v->trade_count; i++) bad += v->recent[i].trade_id != n + i;
    for (uint32_t i = 0; i < v->equity_count; i++)
        bad += v->equity_curve[i].ts_ns != (int64_t)(n + i);
    for (uint32_t i = 0; i < v->role_count; i++) bad += v->roles[i].work_count != n + i;
    for (uint32_t i = 0; i < v->reason_count; i++) bad += v->reasons[i].count != n + i;
    for (uint32_t i = 0; i < MODEL_COUNT; i++) bad += v->models[i].votes != n + i;
    return bad;
}

struct reader {
    struct view_box *box;
    uint64_t reads, torn, backwards, last;
};

static void *reader_main(void *argument) {
    struct reader *r = argument;
    struct view *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    while (r->last < PUBLICATIONS) {
        if (!view_read(r->box, v)) continue;
        r->reads++;
        r->torn += torn(v);
        r->backwards += v->version < r->last;
        r->last = v->version;
    }
    free(v);
    return NULL;
}

static void readers_never_see_a_torn_view(void **state) {
    (void)state;
    struct view_box *box = view_box_create();
    assert_non_null(box);
    struct reader readers[READERS] = {0};
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++) {
        readers[i].box = box;
        assert_int_equal(pthread_create(&threads[i], NULL, reader_main, &readers[i]), 0);
    }
    for (uint64_t n = 1; n <= PUBLICATIONS; n++) {
        fill(view_begin(box), n);
        view_publish(box);
    }
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(readers[i].reads > 0);
        assert_int_equal(readers[i].torn, 0);
        assert_int_equal(readers[i].backwards, 0);
        assert_int_equal(readers[i].last, PUBLICATIONS);
    }
    view_box_destroy(box);
}

/* Many more readers than may be inside at once: the writer still always finds a buffer (it would
 * ASSERT) and all of them reach the last publication. */
static void more_readers_than_buffers(void **state) {
    (void)state;
    enum { MANY = 12 };
    struct view_box *box = view_box_create();
    assert_non_null(box);
    struct reader readers[MANY] = {0};
    pthread_t threads[MANY];
    for (int i = 0; i < MANY; i++) {
        readers[i].box = box;
        assert_int_equal(pthread_create(&threads[i], NULL, reader_main, &readers[i]), 0);
    }
    for (uint64_t n = 1; n <= PUBLICATIONS; n++) {
        fill(view_begin(box), n);
        view_publish(box);
    }
    for (int i = 0; i < MANY; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].torn, 0);
        assert_int_equal(readers[i].last, PUBLICATIONS);
    }
    view_box_destroy(box);
}

static void nothing_published_reads_as_false(void **state) {
    (void)state;
    struct view_box *box = view_box_create();
    struct view *v = calloc(1, sizeof *v);
    assert_non_null(box);
    assert_non_null(v);
    v->bars = 77;
    assert_false(view_read(box, v));
    assert_int_equal(v->bars, 77);
    fill(view_begin(box), 1);
    assert_false(view_read(box, v)); /* begun is not published */
    view_publish(box);
    assert_true(view_read(box, v));
    assert_int_equal(v->version, 1);
    assert_int_equal(v->bars, 1);
    free(v);
    view_box_destroy(box);
}

static void the_newest_is_read_and_versions_rise(void **state) {
    (void)state;
    struct view_box *box = view_box_create();
    struct view *v = calloc(1, sizeof *v);
    assert_non_null(box);
    assert_non_null(v);
    assert_int_equal(view_version(box), 0);
    for (uint64_t n = 1; n <= 50; n++) {
        fill(view_begin(box), n);
        view_publish(box);
        assert_true(view_read(box, v));
        assert_int_equal(view_version(box), v->version);
        assert_int_equal(v->version, n);
        assert_int_equal(torn(v), 0);
    }
    free(v);
    view_box_destroy(box);
}

static void modes_have_names(void **state) {
    (void)state;
    assert_string_equal(run_mode_text(MODE_REPLAY), "replay");
    assert_string_equal(run_mode_text(MODE_PAPER), "paper");
    assert_string_equal(run_mode_text(MODE_TESTNET), "testnet");
    assert_string_equal(run_mode_text(MODE_LIVE), "live");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_never_see_a_torn_view),
        cmocka_unit_test(more_readers_than_buffers),
        cmocka_unit_test(nothing_published_reads_as_false),
        cmocka_unit_test(the_newest_is_read_and_versions_rise),
        cmocka_unit_test(modes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
