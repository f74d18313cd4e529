/* Who owns the run, and whether somebody stands by: in /health and for Prometheus. */
#include "api/api_internal.h"
#include "api/put.h"

/* A standby that has not looked for so long is none. */
#define STANDBY_NS_MAX (5 * NS_PER_SECOND)

static bool has_standby(const struct lease_look *l) {
    return l->standby_pid != 0 && l->standby_age_ns <= STANDBY_NS_MAX;
}

void api_put_lease(struct json_writer *w, const struct api_shot *shot) {
    const struct lease_look *l = &shot->lease;
    if (!shot->has_lease) {
        put_null(w, "lease");
        return;
    }
    put_object(w, "lease");
    put_text(w, "role", shot->stands_by ? "standby" : "owner");
    put_u64(w, "epoch", l->epoch);
    put_count(w, "owner_pid", (uint64_t)l->owner_pid);
    put_text(w, "state", lease_state_text(l->state));
    put_span_ms(w, "age_ms", l->age_ns);
    put_span_ms(w, "longest_ms", l->longest_ns);
    put_count(w, "standby_pid", has_standby(l) ? (uint64_t)l->standby_pid : 0);
    json_write_object_end(w);
}

void api_prom_lease(struct api_page *p, const struct api_shot *shot) {
    const struct lease_look *l = &shot->lease;
    if (!shot->has_lease) return;
    api_prom_gauge(p, "quantum_lease_owned", "1 if this process owns the run, 0 if it stands by.",
                   !shot->stands_by);
    api_prom_gauge(p, "quantum_lease_epoch", "How often the run has got an owner.",
                   (double)l->epoch);
    api_prom_gauge(p, "quantum_lease_age_seconds", "Since the owner's loop has gone round.",
                   (double)l->age_ns / 1e9);
    api_prom_gauge(p, "quantum_lease_longest_seconds",
                   "The longest that the owner's loop took to go round.",
                   (double)l->longest_ns / 1e9);
    api_prom_gauge(p, "quantum_lease_standby", "1 if a process stands by to take over.",
                   has_standby(l));
}
