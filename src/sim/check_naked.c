/* Naked positions: the clock from the moment that made one so to the stop the venue confirmed. */
#include "sim/check_internal.h"

/* When the limit of a clock that runs from there is passed. What a hand did is found out by questions; one that was struck
 * is asked again. */
static int64_t limit_passed(const struct check *c, int64_t from_ns, bool foreign) {
    int64_t at = from_ns + (foreign ? c->config.foreign_ns_max : c->config.protect_ns_max);
    if (!foreign || c->call_fault_ns <= from_ns) return at + 1;
    int64_t asked_again = c->call_fault_ns + c->config.struck_ns;
    return (asked_again > at ? asked_again : at) + 1;
}

static int64_t passed_ns(const struct check *c, const struct check_span *p) {
    return limit_passed(c, p->from_ns, p->cause == CAUSE_FOREIGN);
}

/* When a close that is wanted has to have left: of what a hand did, once a cycle has found it out. */
static int64_t close_due_ns(const struct check *c, const struct check_symbol *s) {
    return limit_passed(c, s->close_from_ns, s->close_foreign) + c->config.close_ask_ns;
}

/* The first ns at which something of the symbol is overdue; INT64_MAX nothing. */
static int64_t due_of(const struct check *c, const struct check_symbol *s) {
    const struct check_span *p = &s->span;
    int64_t due = INT64_MAX;
    if (p->naked && p->from_ns) {
        int64_t limit = passed_ns(c, p);
        if (!p->close_asked && !p->told_ask) due = limit + c->config.close_ask_ns;
        if (!p->told_end && limit + c->config.close_ns_max < due)
            due = limit + c->config.close_ns_max;
    }
    if (s->close_wanted && s->close_from_ns) {
        int64_t limit = close_due_ns(c, s);
        if (limit < due) due = limit;
    }
    return due;
}

void check_deadline_find(struct check *c) {
    c->deadline_ns = INT64_MAX;
    for (uint32_t i = 0; i < c->config.instrument_count; i++) {
        const struct check_symbol *s = &c->symbols[i];
        if (!s->span.naked && !s->close_wanted) continue;
        int64_t due = due_of(c, s);
        if (due < c->deadline_ns) c->deadline_ns = due;
    }
}

static double seconds(int64_t ns) {
    return (double)ns * 1e-9;
}

static void overdue(struct check *c, uint32_t i) {
    struct check_symbol *s = &c->symbols[i];
    struct check_span *p = &s->span;
    if (p->naked && p->from_ns) {
        int64_t limit = passed_ns(c, p);
        if (!p->close_asked && !p->told_ask && c->now_ns >= limit + c->config.close_ask_ns) {
            p->told_ask = true;
            check_fail(
                c, CHECK_PROTECTED, i,
                "%.8f held naked for %.3f s and no order to close it (%s; %u stops asked for)",
                (double)s->qty * 1e-8, seconds(c->now_ns - p->from_ns),
                p->cause == CAUSE_FILL   ? "filled"
                : p->cause == CAUSE_LOST ? "stop lost"
                                         : "foreign",
                p->stops_asked);
        }
        if (!p->told_end && c->now_ns >= limit + c->config.close_ns_max) {
            p->told_end = true;
            check_fail(c, CHECK_PROTECTED, i, "%.8f held naked for %.3f s and still not closed",
                       (double)s->qty * 1e-8, seconds(c->now_ns - p->from_ns));
        }
    }
    if (s->close_wanted && s->close_from_ns && c->now_ns >= close_due_ns(c, s)) {
        s->close_wanted = false;
        check_fail(c, CHECK_REASONS, i, "a close was asked for and nothing left within %.3f s",
                   seconds(c->now_ns - s->close_from_ns));
    }
}

void check_deadlines(struct check *c) {
    for (uint32_t i = 0; i < c->config.instrument_count; i++)
        if (c->now_ns >= due_of(c, &c->symbols[i])) overdue(c, i);
    check_deadline_find(c);
}

static void start_clock(const struct check *c, struct check_span *p) {
    p->waits_for_word = c->config.clock_from_told && c->running;
    p->from_ns = c->running && !p->waits_for_word ? c->now_ns : 0;
}

static void begin(struct check *c, struct check_symbol *s, enum check_cause cause) {
    s->span = (struct check_span){.naked = true,
                                  .cause = cause,
                                  .since_ns = c->now_ns,
                                  .interrupted = !c->running,
                                  .close_asked = check_is_closing(s)};
    start_clock(c, &s->span);
}

static void hidden(struct check *c, const struct check_span *p) {
    if (p->waits_for_word && c->now_ns - p->since_ns > c->report.longest_hidden_ns)
        c->report.longest_hidden_ns = c->now_ns - p->since_ns;
}

static void finish(struct check *c, uint32_t i, bool covered) {
    struct check_span *p = &c->symbols[i].span;
    int64_t whole = c->now_ns - p->since_ns, run = p->from_ns ? c->now_ns - p->from_ns : 0;
    p->naked = false;
    hidden(c, p);
    if (whole == 0 && !covered) return; /* of one step of the exchange: nobody could have acted */
    c->report.naked++;
    c->report.naked_closed += !covered;
    c->report.naked_interrupted += p->interrupted;
    if (p->interrupted && whole > c->report.longest_interrupted_ns)
        c->report.longest_interrupted_ns = whole;
    if (covered && p->interrupted && p->from_ns) hist_add(&c->report.resumed, run);
    if (covered && !p->interrupted) hist_add(&c->report.time_to_protected[p->cause], run);
    if (!p->from_ns || c->now_ns < passed_ns(c, p)) return;
    if (covered && !p->close_asked && !p->told_ask)
        check_fail(c, CHECK_PROTECTED, i, "covered only after %.3f s", seconds(run));
    if (!p->interrupted) c->late_closed++;
    if (c->alarms_are_told && !p->alarmed)
        check_fail(c, CHECK_PROTECTED, i, "naked for %.3f s and no alarm", seconds(run));
}

void check_reassess(struct check *c, uint32_t instrument, enum check_cause cause) {
    struct check_symbol *s = &c->symbols[instrument];
    struct check_span *p = &s->span;
    bool covered = check_is_covered(s, false); /* flat: nothing to cover */
    /* A hand has been at it, and what was done since may have been right for what was known. */
    if (cause == CAUSE_LOST && check_foreign_lately(c, s)) cause = CAUSE_FOREIGN;
    if (covered == !p->naked) {
        /* More of ours where somebody else had left it naked: the clock is ours from here. */
        if (!covered && p->cause == CAUSE_FOREIGN && cause == CAUSE_FILL) begin(c, s, cause);
        return;
    }
    if (covered)
        finish(c, instrument, s->qty != 0);
    else
        begin(c, s, cause);
    check_deadline_find(c);
}

/* The process lives and the venue answers again, or no longer. What was asked for while the venue did not answer is on
 * its way; what a process asked for that is dead is not. */
void check_clock_edge(struct check *c, bool of_venue) {
    for (uint32_t i = 0; i < c->config.instrument_count; i++) {
        struct check_symbol *s = &c->symbols[i];
        if (s->close_wanted) s->close_from_ns = c->running ? c->now_ns : 0;
        if (!s->span.naked) continue;
        s->span.interrupted = true;
        s->span.from_ns = c->running ? c->now_ns : 0;
        s->span.waits_for_word = false;
        if (!c->running) continue;
        s->span.close_asked = of_venue && check_is_closing(s);
        s->span.told_ask = s->span.told_end = false;
    }
    check_deadline_find(c);
}

/* Something of the symbol's fills or ends has been told to the process. */
void check_word(struct check *c, uint32_t instrument) {
    struct check_span *p = &c->symbols[instrument].span;
    if (!p->naked || !p->waits_for_word) return;
    hidden(c, p);
    p->waits_for_word = false;
    p->from_ns = c->running ? c->now_ns : 0;
    check_deadline_find(c);
}
