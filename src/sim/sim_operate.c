/* Whoever is in charge: stops entries, has everything closed, sets limits, some of them nonsense. Asks again until it is done:
 * the queue is the operator's, and outlives the trader's process. */
#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "sim/sim_internal.h"

#define STOPPED_S_MAX 600
enum { POSITIONS_MAX = 10, LEVERAGE_MAX = 10 };

static void command(struct sim *s, const char *key, double value) {
    struct operator_command c = {.value = value, .command_id = ++s->commands_given};
    uint64_t number;
    snprintf(c.key, sizeof c.key, "%s", key);
    snprintf(c.target, sizeof c.target, "all");
    snprintf(c.given_by, sizeof c.given_by, "operator");
    if (!inbox_put(s->inbox, &number, &c)) log_warn("sim", "operator waits", "key=%s", key);
}

static uint64_t draw(struct sim *s, enum sim_fault kind, uint64_t low, uint64_t high) {
    return sim_fault_draw(&s->faults, kind, low, high);
}

static void stopped_until(struct sim *s, enum sim_fault kind) {
    check_stopped(s->check, true, s->clock.now_ns);
    s->resume_ns = s->clock.now_ns + (int64_t)draw(s, kind, 1, STOPPED_S_MAX) * NS_PER_SECOND;
}

static void policy(struct sim *s) {
    static const char *const keys[] = {"positions_max", "leverage_max"};
    static const double nonsense[] = {-1, 0, 1e9, NAN, -0.5};
    uint64_t which = draw(s, SIM_POLICY, 0, 1);
    if (draw(s, SIM_POLICY, 0, 1)) {
        command(s, draw(s, SIM_POLICY, 0, 4) ? keys[which] : "no_such_limit",
                nonsense[draw(s, SIM_POLICY, 0, 4)]);
        return;
    }
    command(s, keys[which], (double)draw(s, SIM_POLICY, 1, which ? LEVERAGE_MAX : POSITIONS_MAX));
}

void sim_operate(struct sim *s, enum sim_fault kind) {
    if (!s->alive) return; /* nobody to ask */
    sim_injected(s, kind, CHECK_ALL);
    if (kind == SIM_POLICY) {
        policy(s);
        return;
    }
    if (s->resume_ns != 0) return; /* stopped already */
    stopped_until(s, kind);
    if (kind == SIM_PANIC) {
        check_close_wanted(s->check, CHECK_ALL, s->clock.now_ns);
        command(s, KERNEL_CLOSE_ALL, 1);
    } else {
        command(s, KERNEL_EMERGENCY_STOP, 1);
    }
}

static void resume(struct sim *s) {
    if (s->resume_ns == 0) return;
    s->resume_ns = 0;
    command(s, KERNEL_EMERGENCY_STOP, 0);
    check_stopped(s->check, false, s->clock.now_ns);
}

void sim_operate_second(struct sim *s) {
    if (s->resume_ns != 0 && s->clock.now_ns >= s->resume_ns) resume(s);
}

void sim_operate_end(struct sim *s) {
    resume(s);
    command(s, "positions_max", POSITIONS_MAX);
    command(s, "leverage_max", LEVERAGE_MAX);
}
