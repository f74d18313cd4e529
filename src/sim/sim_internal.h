/* Of sim*.c alone. */
#ifndef SIM_SIM_INTERNAL_H
#define SIM_SIM_INTERNAL_H

#include "sim/net.h"
#include "sim/sim.h"
#include "sim/venue.h"
#include "venue/link/link.h"

struct sim {
    struct sim_options o;
    struct sim_result *out;
    struct sim_clock clock;
    struct rng rng; /* of what sim itself draws */
    struct sim_net *net;
    struct sim_venue venue;
    int64_t begin_ns, end_ns;
    /* The trader: what its first start found out and every later one keeps. */
    struct instrument *contracts;
    uint32_t contract_count;
    int64_t from_ns;
    money_t wallet_start;
    char root[SIM_WORK_SIZE], run_dir[SIM_WORK_SIZE + 32];
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
    return s->clock.now_ns >= s->end_ns || (s->o.stop && *s->o.stop);
}

/* sim_life.c: processes of the trader, one after another, until the time is over. */
enum status sim_live(struct sim *s, struct err *err);
/* The journal that is left is executed again and must lead where the run ended. */
enum status sim_verify(struct sim *s, struct err *err);

/* sim.c */
/* Time goes on until then; for the client: until something reached it. */
void sim_pass(struct sim *s, int64_t until_ns, bool for_client);
void sim_trace(struct sim *s, const uint64_t *words, uint32_t count);
void sim_violation(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sim_folder.c */
enum status sim_folder_make(char *out, size_t size, const char *work, uint64_t seed,
                            struct err *err);
enum status sim_folder_copy(const char *from, const char *to, struct err *err);
/* With all that is in it; what is not there is gone already. */
void sim_folder_remove(const char *dir);

#endif
