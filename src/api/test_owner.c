/* What is told of a run that is not there yet, or is another process's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/test_http.h"
#include "kernel/inbox.h"
#include "kernel/lease.h"

static const char *const STATE[] = {
    "/api/state",     "/api/positions", "/api/orders",  "/api/risk",
    "/api/trades",    "/api/equity",    "/api/signals", "/api/ai/metrics/ensemble",
    "/api/ai/signals"};
enum { STATE_COUNT = sizeof STATE / sizeof *STATE };

static char dir[64];

static void folder_make(void) {
    snprintf(dir, sizeof dir, "/tmp/quantum-owner-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static void folder_remove(void) {
    char path[sizeof dir + 16];
    snprintf(path, sizeof path, "%s/lease", dir);
    unlink(path);
    rmdir(dir);
}

static void publish_recovery(struct world *w, uint32_t recovery) {
    struct view *v = view_begin(w->box);
    fixture_fill(v, tstamp_wall_ns());
    v->recovery = recovery;
    view_publish(w->box);
}

static void state_is_refused(const struct world *w, const char *why) {
    for (int i = 0; i < STATE_COUNT; i++) {
        struct reply r = get(w->port, STATE[i]);
        assert_non_null(strcasestr(r.head, "\r\nretry-after:"));
        expect_error(r, 503, why);
    }
    expect_error(post(w->port, "{\"symbol\":\"BTCUSDT\"}"), 503, why);
    json_t *ready = get_json(w->port, "/health/ready", 503);
    if (!strstr(text_at(ready, "reason"), why)) fail_msg("%s", text_at(ready, "reason"));
    json_decref(ready);
    json_decref(get_json(w->port, "/health/live", 200));
    struct reply page = get(w->port, "/");
    assert_int_equal(page.code, 200);
    reply_free(&page);
}

static bool metrics_say(const struct world *w, const char *text) {
    struct reply r = get(w->port, "/metrics");
    assert_int_equal(r.code, 200);
    bool says = strstr(r.body, text) != NULL;
    reply_free(&r);
    return says;
}

static struct reply stop_post(const struct world *w) {
    const char *body = "{\"value\":1,\"by\":\"test\",\"id\":\"1\"}";
    return post_to(w->port, "/api/emergency_stop", "Content-Type: application/json\r\n", body,
                   strlen(body));
}

static void a_run_that_recovers_shows_nothing_older_than_itself(void **state) {
    (void)state;
    struct world w;
    struct api_config c = {.inbox = inbox_create()};
    world_open(&w, &c);
    publish_recovery(&w, VIEW_GOING_OVER);
    state_is_refused(&w, "recovering: the journal");
    assert_false(metrics_say(&w, "quantum_wallet_usd"));
    publish_recovery(&w, VIEW_ASKING);
    state_is_refused(&w, "recovering: the venue");
    /* A command waits in the queue until the run is there. */
    struct reply r = stop_post(&w);
    assert_int_equal(r.code, 202);
    reply_free(&r);
    publish_recovery(&w, VIEW_RECOVERED);
    json_t *s = get_json(w.port, "/api/state", 200);
    assert_int_equal(json_array_size(at(s, "positions")), 2);
    json_decref(s);
    assert_true(metrics_say(&w, "quantum_wallet_usd"));
    world_close(&w);
    inbox_destroy(c.inbox);
}

struct pair {
    struct lease *owner, *standby;
};

/* The owner runs; the other has only opened the lease. */
static void pair_open(struct pair *p) {
    struct err err = {0};
    folder_make();
    assert_int_equal(lease_open(&p->owner, dir, &err), ST_OK);
    assert_int_equal(lease_open(&p->standby, dir, &err), ST_OK);
    assert_int_equal(lease_take(p->owner, &err), ST_OK);
    lease_renew(p->owner, LEASE_RUNNING);
}

static void pair_close(struct pair *p) {
    lease_close(p->standby);
    lease_close(p->owner);
    folder_remove();
}

static void a_standby_says_that_it_is_one_and_answers_nothing_else(void **state) {
    (void)state;
    struct pair of;
    struct world w;
    pair_open(&of);
    struct api_config c = {.lease = of.standby, .inbox = inbox_create()};
    world_open(&w, &c);
    state_is_refused(&w, "standby: process");
    publish_recovery(&w, VIEW_RECOVERED); /* nothing of it is shown, were there anything */
    state_is_refused(&w, "standby: process");
    expect_error(stop_post(&w), 503, "standby: process");
    json_t *h = get_json(w.port, "/health", 200);
    assert_string_equal(text_at(h, "status"), "STANDBY");
    json_t *l = at(h, "lease");
    assert_string_equal(text_at(l, "role"), "standby");
    assert_string_equal(text_at(l, "state"), "running");
    assert_int_equal((int)number_at(l, "owner_pid"), getpid());
    assert_int_equal((int)number_at(l, "epoch"), 1);
    assert_true(number_at(l, "age_ms") >= 0);
    json_decref(h);
    assert_true(metrics_say(&w, "quantum_lease_owned 0\n"));
    assert_true(metrics_say(&w, "quantum_lease_epoch 1\n"));
    world_close(&w);
    inbox_destroy(c.inbox);
    pair_close(&of);
}

static void an_owner_says_so_and_who_stands_by(void **state) {
    (void)state;
    struct pair of;
    struct err err = {0};
    struct world w;
    pair_open(&of);
    struct api_config c = {.lease = of.owner};
    world_open(&w, &c);
    publish(&w);
    json_decref(get_json(w.port, "/api/state", 200));
    assert_true(metrics_say(&w, "quantum_lease_owned 1\n"));
    assert_true(metrics_say(&w, "quantum_lease_standby 0\n"));
    assert_true(metrics_say(&w, "quantum_lease_age_seconds "));
    assert_int_equal(lease_stand_by(of.standby, NS_PER_SECOND, NS_PER_HOUR, &err), ST_AGAIN);
    assert_true(metrics_say(&w, "quantum_lease_standby 1\n"));
    json_t *h = get_json(w.port, "/health", 200);
    assert_string_equal(text_at(at(h, "lease"), "role"), "owner");
    assert_int_equal((int)number_at(at(h, "lease"), "standby_pid"), getpid());
    json_decref(h);
    world_close(&w);
    pair_close(&of);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_that_recovers_shows_nothing_older_than_itself),
        cmocka_unit_test(a_standby_says_that_it_is_one_and_answers_nothing_else),
        cmocka_unit_test(an_owner_says_so_and_who_stands_by),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
