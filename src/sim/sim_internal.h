/* Of sim*.c alone. */
#ifndef SIM_SIM_INTERNAL_H
#define SIM_SIM_INTERNAL_H

#include "kernel/journal.h"
#include "sim/disk.h"
#include "sim/net.h"
#include "sim/sim.h"
#include "sim/sim_faults.h"
#include "sim/sim_models.h"
#include "sim/venue.h"
#include "venue/link/link.h"

/* Where the trader's process may die. */
enum crash_point { POINT_POLL = 0, POINT_APPEND, POINT_PORT };
enum { SIM_SYMBOLS_MAX = 64 };

struct sim {
    struct sim_options o;
    struct sim_result *out;
    struct sim_clock clock;
    struct rng rng; /* of what sim itself draws */
    struct sim_net *net;
    struct sim_venue venue;
    int64_t begin_ns, end_ns;
    /* What goes wrong: drawn each second; INT64_MAX never. */
    struct sim_faults faults;
    bool faulty; /* anything at all */
    int64_t second_ns, outage_ns;
    /* Kinds that wait for a contract in a phase, and that contract while they happen. */
    struct {
        int64_t until_ns; /* 0: does not wait */
        uint8_t phase;
    } aimed[SIM_FAULT_COUNT];
    uint32_t aimed_count, aimed_at; /* CHECK_ALL: any */
    uint64_t aimed_event;
    int64_t halt_ns[SIM_SYMBOLS_MAX]; /* until when; 0 not halted */
    uint64_t by_hand;
    /* A crash that waits for its place; the last one. */
    bool armed;
    enum sim_fault armed_kind, died_of;
    enum crash_point armed_class;
    uint32_t armed_left;
    int64_t armed_until_ns;
    enum status image_st;
    struct err image_err;
    uint64_t image_appended, image_durable; /* records of the journal in it */
    char image_dir[SIM_WORK_SIZE + 32];
    struct journal_probe probe;
    struct sim_disk disk;
    int64_t disk_bad_ns; /* until then */
    uint64_t placed_seq; /* record of the last order of this life */
    bool has_intent;     /* of any life: crash points count */
    struct journal_options journal_options;
    /* The operator: NULL where nobody gives commands. */
    struct inbox *inbox;
    uint64_t commands_given;
    int64_t resume_ns; /* entries are stopped until then; 0 not */
    /* Another run on the account: until_ns 0 is not there; by which mark the trader's own orders are known, 0 not yet. */
    struct {
        int64_t until_ns;
        uint64_t number;
        uint32_t instrument;
    } other;
    uint32_t own_run;
    /* What the checker is told. */
    struct check *check;
    struct session_observer observer;
    uint32_t of_venue[INSTRUMENTS_MAX]; /* the exchange's number of a contract of the run */
    uint64_t venue_fired[FAULT_COUNT], own_violations;
    int64_t seen_ns[3][SIM_SYMBOLS_MAX]; /* of filters, delistings, books that stand */
    int64_t belief_ns, calm_ns;
    bool venue_open, alive, calm, explained;
    struct canary canary;
    struct venue_port canary_port;
    struct venue_sink sink; /* the run's, or the canary's */
    /* The trader: what its first start found out and every later one keeps. */
    struct instrument *contracts;
    uint32_t contract_count;
    int64_t from_ns;
    money_t wallet_start;
    char root[SIM_WORK_SIZE], run_dir[SIM_WORK_SIZE + 32];
    /* Ensemble: the first voters' files, and the learner; NULL without. */
    char (*model_paths)[SIM_MODEL_PATH];
    struct sim_learner *learner;
    /* The life that is running. */
    struct venue_link *link; /* NULL: down */
    const struct venue_port *inner;
    struct venue_port port;
    volatile sig_atomic_t stop;
    bool dead;
    uint64_t state_hash; /* of the last clean end */
    bool ended_clean;
};

static inline bool sim_is_over(const struct sim *s) {
    return s->clock.now_ns >= s->end_ns || (s->o.stop && *s->o.stop) || s->explained;
}

/* sim_life.c: processes of the trader, one after another, until the time is over. */
enum status sim_live(struct sim *s, struct err *err);
/* Somebody starts the program again while it runs: it must refuse. */
void sim_second_executor(struct sim *s);
/* The journal that is left is executed again and must lead where the run ended. */
enum status sim_verify(struct sim *s, struct err *err);

/* sim.c */
/* Time goes on until then; for the client: until something reached it. */
void sim_pass(struct sim *s, int64_t until_ns, bool for_client);
void sim_trace(struct sim *s, const uint64_t *words, uint32_t count);
void sim_violation(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sim_check.c */
enum status sim_check_make(struct sim *s, struct err *err);
void sim_check_over(struct sim *s);
/* The last facts, behind the first violation. */
void sim_check_explain(struct sim *s);
void sim_check_numbers(struct sim *s);
void sim_check_observer(struct sim *s);
void sim_check_request(struct sim *s, const struct sim_request *r, const struct sim_done *done,
                       int64_t told_ns);
void sim_check_command(struct sim *s, const struct venue_command *c);
void sim_check_told(struct sim *s, const struct venue_event *e);
/* What the exchange's faults did since the last look. */
void sim_check_venue(struct sim *s);
/* A fault of ours is about to happen; CHECK_ALL: to no contract in particular. */
void sim_injected(struct sim *s, enum sim_fault kind, uint32_t instrument);
/* The trader's process is there and can act from now on, or is not. */
void sim_alive(struct sim *s, bool alive);

/* sim_act.c */
enum sim_fate sim_act_fate(void *context, enum sim_way way);
void sim_act_second(struct sim *s);
/* Something has happened: what waited for it. */
void sim_act_moment(struct sim *s);
/* No more faults: rates fall to nothing, what lasts ends by itself. */
void sim_act_end(struct sim *s);

/* sim_operate.c */
void sim_operate(struct sim *s, enum sim_fault kind);
void sim_operate_second(struct sim *s);
void sim_operate_end(struct sim *s);

/* sim_other.c */
void sim_other_run(struct sim *s);
void sim_other_run_second(struct sim *s);
void sim_other_run_end(struct sim *s);

/* sim_crash.c */
void sim_crash_arm(struct sim *s, enum sim_fault kind);
/* The process is at such a place: it may die here. */
void sim_crash_point(struct sim *s, enum crash_point where);
void sim_crash_probe(struct sim *s, uint64_t seed);
/* A command is about to leave: it is on record, and synced. */
void sim_crash_command(struct sim *s);
/* The disk as it is now: good, or bad for a while. */
void sim_crash_disk(struct sim *s);
/* The dead process has ended: the next one starts in the image. */
enum status sim_crash_over(struct sim *s, struct err *err);

#endif
