/* The trader's process dies: at once, at a journal append or at a call of its port, before or after it. What the disk
 * holds at that instant is kept as an image; what the dead process still does goes nowhere; the next one starts there. */
#include <stdio.h>

#include "base/log.h"
#include "sim/sim_internal.h"

/* An armed crash that finds no place to happen happens anyway. */
#define ARMED_NS_MAX (120 * NS_PER_SECOND)
enum { POINTS_MAX = 12 };

void sim_crash_arm(struct sim *s, enum sim_fault kind) {
    static const enum crash_point classes[] = {POINT_POLL, POINT_APPEND, POINT_APPEND, POINT_PORT};
    if (s->armed || s->dead || !s->link) return;
    s->armed = true;
    s->armed_kind = kind;
    s->armed_class = classes[sim_fault_draw(&s->faults, kind, 0, 3)];
    s->armed_left = (uint32_t)sim_fault_draw(&s->faults, kind, 1, POINTS_MAX);
    s->armed_until_ns = s->clock.now_ns + ARMED_NS_MAX;
}

static void die(struct sim *s, enum crash_point where) {
    struct err err = {0};
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
    s->image_st = sim_folder_copy(s->run_dir, s->image_dir, &err);
    if (s->image_st != ST_OK) log_error("sim", "no image of the disk", "why=\"%s\"", err.text);
}

void sim_crash_point(struct sim *s, enum crash_point where) {
    if (!s->armed || s->dead) return;
    bool late = s->clock.now_ns >= s->armed_until_ns;
    if (!late && where != s->armed_class) return;
    if (!late && where != POINT_POLL && --s->armed_left > 0) return;
    die(s, where);
}

static void on_append(void *context, bool after, uint16_t type, uint64_t seq) {
    (void)after, (void)type, (void)seq;
    sim_crash_point(context, POINT_APPEND);
}

void sim_crash_probe(struct sim *s) {
    s->probe = (struct journal_probe){.context = s, .append = on_append};
}

enum status sim_crash_over(struct sim *s, struct err *err) {
    char old[SIM_WORK_SIZE + 64];
    snprintf(old, sizeof old, "%s/gone", s->root);
    sim_net_mute(s->net, false);
    s->clock.ghost_ns = 0;
    if (s->image_st != ST_OK) return err_set(err, s->image_st, "no image of %s", s->run_dir);
    sim_folder_remove(s->run_dir);
    if (rename(s->image_dir, s->run_dir) != 0) return err_errno(err, ST_IO, "%s", s->image_dir);
    return ST_OK;
}
