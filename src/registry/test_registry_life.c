/* A seat's month under a virtual clock: schedule, candidates, shadow, both verdicts, swap, failure, degradation, return;
 * engine and registry together as a retrainer would hold them. The market is made up and its truth is known: only the
 * figures of forecasts decide, no model is asked how good it is. */
#include <math.h>

#include "brain/promotion/schedule.h"
#include "brain/promotion/seat.h"
#include "registry/test_registry_fixture.h"

int fdatasync(int fd) {
    return fd < 0;
}

int fsync(int fd) {
    return fd < 0;
}

enum { SYMBOLS = 10, MODELS_MAX = 256, HELD_OUT = 60, DAYS = 30 };

struct knowledge {
    uint64_t hash;
    double share, error; /* of the signal; deviation of its own error */
    bool knows;
};

struct life {
    struct rng rng;
    struct promotion_config config;
    struct promotion_schedule_config clock;
    struct promotion_schedule schedule;
    struct promotion_seat seat;
    struct knowledge models[MODELS_MAX];
    size_t count;
    size_t shadows, promotions, rejections, demotions;
    int64_t degraded_ns, demoted_ns, returned_ns;
};

static struct knowledge *knowledge_of(struct life *l, uint64_t hash) {
    for (size_t i = 0; i < l->count; i++)
        if (l->models[i].hash == hash) return &l->models[i];
    return NULL;
}

static double forecast(struct life *l, const struct knowledge *k, double signal) {
    return k ? k->share * signal + k->error * rng_normal(&l->rng) : NAN;
}

/* One decision time of all symbols: into the trial, and, if it is live, into the service. */
static void decision(struct life *l, int64_t ts_ns, bool live) {
    const struct knowledge *served = knowledge_of(l, l->seat.served),
                           *challenger = knowledge_of(l, l->seat.challenger),
                           *predecessor = knowledge_of(l, l->seat.predecessor);
    double net_old = 0, net_new = 0;
    for (int i = 0; i < SYMBOLS; i++) {
        double signal = 0.015 * rng_normal(&l->rng), outcome = signal + 0.02 * rng_normal(&l->rng);
        double a = forecast(l, served, signal), b = forecast(l, challenger, signal);
        struct promotion_position pa = {0}, pb = {0};
        promotion_seat_trial(&l->seat, &l->config, ts_ns, a, b, outcome);
        if (live)
            promotion_seat_service(&l->seat, &l->config, ts_ns, a, forecast(l, predecessor, signal),
                                   outcome);
        net_old += promotion_position_step(&pa, &l->config, a, outcome) / SYMBOLS;
        net_new += promotion_position_step(&pb, &l->config, b, outcome) / SYMBOLS;
    }
    promotion_seat_bar(&l->seat, net_old, net_new);
}

static struct registry_entry of_hash(uint64_t hash) {
    struct registry_entry entry;
    assert_ok(registry_get_hash(reg, &entry, hash, &err));
    return entry;
}

static void reject(struct life *l, uint64_t hash, struct registry_change change) {
    int64_t id = of_hash(hash).id;
    assert_ok(registry_event(reg, id, PROMOTION_REJECT, &change, &err));
    change.verdict = NULL;
    assert_ok(registry_remove(reg, id, &change, &err));
    l->rejections++;
}

/* What the seat asks for is done outside, then told. */
static void settle(struct life *l) {
    for (;;) {
        struct promotion_step step;
        struct registry_entry out;
        promotion_seat_next(&step, &l->seat, &l->config, now);
        if (!step.has_event) return;
        const char *why = promotion_reason_text((enum promotion_reason)step.verdict.reason);
        struct registry_change change = {"retrainer", why, &step.verdict, now};
        if (step.event == PROMOTION_REJECT) {
            reject(l, step.model, change);
        } else if (step.event == PROMOTION_PROMOTE) {
            assert_ok(registry_promote(reg, of_hash(step.model).id, step.event, &change, &err));
            l->promotions++;
            if (l->demoted_ns && !l->returned_ns) l->returned_ns = now;
        } else if (step.event == PROMOTION_DEMOTE) {
            assert_ok(registry_retreat(reg, &out, MODEL_NHITS, step.event, &change, &err));
            assert_int_equal(out.hash, step.next);
            l->demotions++;
            l->demoted_ns = now;
        } else {
            assert_ok(registry_event(reg, of_hash(step.model).id, step.event, &change, &err));
            l->shadows += step.event == PROMOTION_SHADOW_BEGIN;
        }
        assert_true(promotion_seat_apply(&l->seat, step.event, step.model, now));
        /* The hot swap: a reader of the pointer has the seat's model at once. */
        assert_int_equal(pointed(MODEL_NHITS), l->seat.served);
    }
}

/* Every third candidate knows all of the signal, the others next to nothing; none does in the days after the served one
 * was turned. */
static void train(struct life *l) {
    static const struct knowledge good = {0, 1.0, 0.003, true}, bad = {0, 0.05, 0.008, false};
    bool bad_days = l->degraded_ns && now < l->degraded_ns + 4 * NS_PER_DAY;
    struct registry_entry entry;
    uint64_t displaced;
    char text[32];
    assert_true(l->count < MODELS_MAX);
    snprintf(text, sizeof text, "weights %zu", l->count);
    assert_ok(add_text(&entry, MODEL_NHITS, text, l->seat.served));
    l->models[l->count] = l->count % 3 == 2 && !bad_days ? good : bad;
    l->models[l->count++].hash = entry.hash;
    enum promotion_reason r =
        promotion_seat_admit(&l->seat, &displaced, entry.hash, entry.has_skill, now);
    struct registry_change change = {"retrainer", promotion_reason_text(r), NULL, now};
    if (r != PROMOTION_PASS) {
        reject(l, entry.hash, change);
        return;
    }
    change.reason = promotion_reason_text(PROMOTION_DISPLACED);
    if (displaced) reject(l, displaced, change);
    for (int k = HELD_OUT; k > 0; k--) decision(l, now - k * l->config.horizon_ns, false);
    settle(l);
}

static void a_month_of_a_seat(void **state) {
    (void)state;
    static struct life l;
    memset(&l, 0, sizeof l);
    l.rng = rng_init(test_seed());
    l.config = promotion_config_defaults();
    l.config.horizon_ns = NS_PER_HOUR;
    l.config.horizon_bars = 1;
    l.config.bars_min = 20;
    l.clock = promotion_schedule_config_defaults();
    reopen(false);
    const int64_t start = now;
    promotion_schedule_init(&l.schedule, &l.clock, start);
    promotion_seat_init(&l.seat, 0, 0, start);
    int64_t failing_from = start + 5 * NS_PER_DAY, failing_to = failing_from + NS_PER_DAY;
    size_t attempts = 0, failures = 0;
    for (int64_t t = start; t <= start + DAYS * NS_PER_DAY; t += NS_PER_HOUR) {
        now = t;
        decision(&l, t, true);
        settle(&l);
        if (!l.degraded_ns && t >= start + 20 * NS_PER_DAY) { /* the market has turned on it */
            struct knowledge *k = knowledge_of(&l, l.seat.served);
            assert_non_null(k);
            k->share = -0.5;
            l.degraded_ns = t;
        }
        if (promotion_schedule_due(&l.schedule, &l.clock, t) == PROMOTION_NOT_DUE) continue;
        assert_int_equal((t - start) % l.clock.period_ns, 0);
        promotion_schedule_begin(&l.schedule, &l.clock, t);
        bool fails = t >= failing_from && t < failing_to;
        if (!fails) train(&l);
        promotion_schedule_end(&l.schedule, &l.clock, now, !fails);
        now = t;
        attempts++;
        failures += fails;
        if (t % (7 * NS_PER_DAY) < l.clock.period_ns) reopen(false); /* a restart now and then */
    }
    print_message("%zu attempts, %zu failed; %zu candidates: %zu shadows, %zu rejected, %zu "
                  "promoted; demoted after %lld h, a new one %lld h later\n",
                  attempts, failures, l.count, l.shadows, l.rejections, l.promotions,
                  (long long)((l.demoted_ns - l.degraded_ns) / NS_PER_HOUR),
                  (long long)((l.returned_ns - l.demoted_ns) / NS_PER_HOUR));
    assert_int_equal(attempts + 4, DAYS * 6); /* waits of 1, 2 and 4 periods skip 0, 1, 3 */
    assert_int_equal(failures, 3);
    assert_int_equal(attempts - failures, l.count);
    assert_true(l.promotions >= 2 && l.rejections >= 100 && l.demotions == 1);
    assert_true(l.demoted_ns > l.degraded_ns && l.demoted_ns < l.degraded_ns + 4 * NS_PER_DAY);
    assert_true(l.returned_ns > l.demoted_ns && l.returned_ns < l.degraded_ns + 6 * NS_PER_DAY);
    /* Who serves is one who knows; nobody else ever did, but for the one that was turned. */
    for (size_t i = 0; i < l.count; i++) {
        struct registry_entry entry = of_hash(l.models[i].hash);
        if (entry.served_ns) assert_true(l.models[i].knows);
        if (entry.state == PROMOTION_REJECTED) assert_true(entry.removed_ns != 0);
    }
    assert_int_equal(of_hash(l.seat.served).id, served(MODEL_NHITS));
    assert_int_equal(problems(tell, NULL), 0);
    int64_t rows;
    assert_ok(registry_generation(reg, &rows, &err));
    assert_int_equal(log_lines(), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_month_of_a_seat, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
