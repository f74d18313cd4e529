/* The trader's process dies: at once, at a journal append or at a call of its port, before or after it. What the disk
 * holds at that instant is kept as an image; what the dead process still does goes nowhere; the next one starts there. */
#include <stdio.h>

#include "base/log.h"
#include "kernel/events.h"
#include "sim/sim_internal.h"

/* An armed crash that finds no place to happen happens anyway. */
#define ARMED_NS_MAX (120 * NS_PER_SECOND)
enum { POINTS_MAX = 12, ROT_RECORDS_MAX = 20 };

void sim_crash_arm(struct sim *s, enum sim_fault kind) {
    static const enum crash_point classes[] = {POINT_POLL, POINT_APPEND, POINT_APPEND, POINT_PORT};
    if (s->armed || s->dead || !s->link) return;
    s->armed = true;
    s->armed_kind = kind;
    s->armed_class = classes[sim_fault_draw(&s->faults, kind, 0, 3)];
    s->armed_left = (uint32_t)sim_fault_draw(&s->faults, kind, 1, POINTS_MAX);
    s->armed_until_ns = s->clock.now_ns + ARMED_NS_MAX;
}

/* One of the last records, as far back as a page goes. */
static enum status rot(struct sim *s, struct err *err) {
    char path[SIM_WORK_SIZE + 64];
    uint64_t back = sim_fault_draw(&s->faults, SIM_ROT, 0, ROT_RECORDS_MAX);
    snprintf(path, sizeof path, "%s/journal", s->image_dir);
    if (s->disk.appended <= back) return ST_OK;
    enum status st = sim_disk_rot(path, s->disk.appended - back, &s->disk.rng, err);
    if (st == ST_NOT_FOUND) return ST_OK; /* it is in the buffer, or was never written */
    s->disk.appended -= back + 1;         /* the journal ends there now */
    if (s->disk.durable > s->disk.appended) s->disk.durable = s->disk.appended;
    return st;
}

static enum status spoil(struct sim *s, struct err *err) {
    struct sim_disk_loss loss;
    if (s->died_of == SIM_POWER) return sim_disk_power_loss(&s->disk, s->image_dir, &loss, err);
    return s->died_of == SIM_ROT ? rot(s, err) : ST_OK;
}

static void die(struct sim *s, enum crash_point where) {
    snprintf(s->image_dir, sizeof s->image_dir, "%s/image-%u", s->root, s->out->kills);
    sim_injected(s, s->armed_kind, CHECK_ALL);
    s->died_of = s->armed_kind;
    s->armed = false;
    s->dead = true;
    s->stop = 1;
    s->out->kills++;
    log_info("sim", "trader killed", "where=%d", (int)where);
    sim_alive(s, false);
    sim_net_mute(s->net, true);
    s->image_st = sim_disk_image(s->run_dir, s->image_dir, &s->image_err);
    if (s->image_st == ST_OK) s->image_st = spoil(s, &s->image_err);
    s->image_appended = s->disk.appended;
    s->image_durable = s->disk.durable;
}

/* Whether the crash matrix wants it here. */
static bool is_chosen(struct sim *s, enum crash_point where) {
    if (!s->has_intent || where == POINT_POLL) return false;
    return ++s->out->crash_points == s->o.crash_at;
}

void sim_crash_point(struct sim *s, enum crash_point where) {
    if (s->dead) return;
    if (is_chosen(s, where)) {
        s->armed_kind = s->o.crash_power ? SIM_POWER : SIM_KILL;
        die(s, where);
        return;
    }
    if (!s->armed) return;
    bool late = s->clock.now_ns >= s->armed_until_ns;
    if (!late && where != s->armed_class) return;
    if (!late && where != POINT_POLL && --s->armed_left > 0) return;
    die(s, where);
}

static void on_append(void *context, bool after, uint16_t type, uint64_t seq) {
    struct sim *s = context;
    if (type == EVENT_TRADE_INTENT) s->has_intent = true;
    if (after && type == EVENT_ORDER_PLACED) s->placed_seq = seq;
    sim_crash_point(s, POINT_APPEND);
}

void sim_crash_command(struct sim *s) {
    if (s->disk.durable < s->placed_seq)
        sim_violation(s, "a command left before its record %llu was synced",
                      (unsigned long long)s->placed_seq);
}

void sim_crash_probe(struct sim *s, uint64_t seed) {
    s->probe = (struct journal_probe){.context = s, .append = on_append};
    sim_disk_init(&s->disk, seed, &s->probe);
}

void sim_crash_disk(struct sim *s) {
    static const struct sim_disk_faults bad = {
        .no_space = 0.02, .short_write = 0.1, .sync_error = 0.02};
    static const struct sim_disk_faults good = {0};
    s->disk.faults = s->disk_bad_ns > s->clock.now_ns ? bad : good;
}

enum status sim_crash_over(struct sim *s, struct err *err) {
    sim_net_mute(s->net, false);
    s->clock.ghost_ns = 0;
    s->disk.appended = s->image_appended; /* the dead one wrote on, elsewhere */
    s->disk.durable = s->image_durable;
    if (s->image_st != ST_OK) {
        *err = s->image_err;
        return s->image_st;
    }
    sim_disk_remove(s->run_dir);
    if (rename(s->image_dir, s->run_dir) != 0) return err_errno(err, ST_IO, "%s", s->image_dir);
    return ST_OK;
}
