/* Orders of our form that nobody here has named. Those of this run are of a life that the journal forgot (a bit that turned
 * over, an older backup): they are taken into the book, and cancelled as soon as nothing hangs on them. Those of another run
 * say that another executor trades the account: they are left alone, and nothing is entered beside it.
 *
 * What a forgotten order filled is told as fills under its name, and is a stray position's (kernel_stray.c). */
#include <string.h>

#include "base/hash.h"
#include "kernel/kernel_internal.h"

/* Its open orders are told with each reconciliation, every 30 s. */
#define OTHER_RUN_GONE_NS INT64_C(600000000000)

/* By what makes it another run: whoever begins anew on the same account has another. */
void kernel_found_init(struct kernel *k) {
    const struct kernel_config *c = &k->config;
    const uint64_t words[] = {c->seed, (uint64_t)c->trade_from_ns, (uint64_t)c->interval_ns,
                              c->bot.strategy};
    k->run = 1 + (uint32_t)(hash64(words, sizeof words) % OMS_RUN_MAX);
}

/* Never the same for two lives that follow each other within twelve days: by the second it began in. The kernel's own time
 * stays where it is: closes that were missed are decided on as of their time, so that a wish is the same wish. */
void kernel_executor_started(struct kernel *k, int64_t now_ns) {
    uint32_t life = 1 + (uint32_t)(now_ns / INT64_C(1000000000) % OMS_LIFE_MAX);
    k->life = life != k->life ? life : 1 + life % OMS_LIFE_MAX;
    k->trace_hash = hash_chain(k->trace_hash, &k->life, sizeof k->life);
}

enum kernel_owner kernel_order_owner(const struct kernel *k, const char *client_order_id) {
    if (!oms_is_ours(client_order_id)) return KERNEL_OWNER_NOBODY;
    uint32_t run = oms_run_of(client_order_id);
    return run == 0 || run == k->run ? KERNEL_OWNER_RUN : KERNEL_OWNER_OTHER_RUN;
}

/* ---- ours ---- */

/* Whether the position would be worse off without it: a stop, of a position whose own one does not stand, or stands farther
 * from the market. */
static bool is_needed(const struct kernel *k, uint32_t i, const struct oms_order *o) {
    const struct exits_state *x = &cold_of(k, i)->exits;
    int64_t held = kernel_position_qty(k, i).e8;
    bool covers = o->order_type == ORDER_STOP_MARKET && held != 0 &&
                  o->side == (held > 0 ? SIDE_SELL : SIDE_BUY);
    if (!covers) return false;
    if (x->phase != EXITS_PROTECTED) return true;
    return o->stop_px.e8 > 0 && side_sign((enum side)x->side) * (o->stop_px.e8 - x->stop_px.e8) > 0;
}

void kernel_found_settle(struct kernel *k, struct kernel_out *out, uint32_t i) {
    struct cold *c = cold_of(k, i);
    c->has_found = 0;
    for (uint32_t n = 0; n < OMS_ORDERS_MAX; n++) {
        struct oms_order *o = &c->book.orders[n];
        struct venue_command command;
        if (!oms_is_found(o)) continue;
        c->has_found = 1;
        if (is_needed(k, i, o)) continue;
        if (oms_cancel(&command, o, i, k->now_ns)) kernel_command_out(k, out, &command);
    }
}

bool kernel_order_found(struct kernel *k, struct kernel_out *out, uint32_t i,
                        const struct venue_event *event) {
    switch (kernel_order_owner(k, event->client_order_id)) {
    case KERNEL_OWNER_NOBODY:
        k->totals.illegal_events++;
        return true;
    case KERNEL_OWNER_OTHER_RUN:
        kernel_other_run(k, out, i, event->client_order_id);
        return true;
    case KERNEL_OWNER_RUN:
        break;
    }
    if (oms_is_live(&cold_of(k, i)->book, event->client_order_id)) return false;
    if (!oms_found(&cold_of(k, i)->book, event)) {
        k->totals.orders_not_sent++;
        return true;
    }
    cold_of(k, i)->has_found = 1;
    k->totals.orders_found++;
    kernel_tell_alarm(k, out, i, "forgotten order", 0);
    return true;
}

/* ---- another run's ---- */

void kernel_other_run(struct kernel *k, struct kernel_out *out, uint32_t i,
                      const char *client_order_id) {
    static const char before[] = "another executor: ";
    char reason[TEXT_FIELD_SIZE] = {0};
    k->other_run_ns = k->now_ns;
    if (!kernel_risk_other_run(k, out, true)) return;
    /* Named as its orders are: what is behind their last dash. */
    const char *mark = strrchr(client_order_id, '-');
    memcpy(reason, before, sizeof before);
    if (mark) memcpy(reason + sizeof before - 1, mark + 1, strnlen(mark + 1, 7));
    kernel_tell_alarm(k, out, i, reason, 0);
}

bool kernel_other_run_is_gone(const struct kernel *k) {
    return k->now_ns - k->other_run_ns > OTHER_RUN_GONE_NS;
}

/* ---- margin ---- */

/* What the venue has less of than we make of it: bound by orders and positions of others, or told wrongly by us. */
void kernel_balance_told(struct kernel *k, const struct venue_event *event) {
    money_t equity, exposure, margin;
    kernel_sum_up(k, &equity, &exposure, &margin);
    int64_t bound = k->totals.wallet.e8 - margin.e8 - event->available.e8;
    k->bound_elsewhere.e8 = bound > 0 ? bound : 0;
}
