/* A change of a seat: held against the record, written to the registry, done in the seat, told. In that order. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "retrain/retrain_internal.h"

/* ---- record ---- */

const struct model_changed *retrain_recorded(const struct close *c) {
    return c->out->count < c->in->recorded_count ? &c->in->recorded[c->out->count] : NULL;
}

static void text_set(char out[TEXT_FIELD_SIZE], const char *text) {
    memset(out, 0, TEXT_FIELD_SIZE);
    memcpy(out, text, strnlen(text, TEXT_FIELD_SIZE - 1));
}

struct model_changed retrain_change(const struct close *c, enum model_kind kind, const char *change,
                                    const char *reason, uint64_t hash) {
    struct model_changed m;
    memset(&m, 0, sizeof m);
    m.ts = c->in->close_ns;
    m.model = (uint32_t)kind;
    m.hash = hash;
    m.serving = c->r->state->seat[kind].served;
    m.mape_old = m.mape_new = m.sharpe_old = m.sharpe_new = m.wealth = NAN;
    text_set(m.change, change);
    text_set(m.reason, reason);
    return m;
}

static enum status differs(struct close *c, const struct model_changed *have,
                           const struct model_changed *want) {
    if (!want)
        return err_set(c->err, ST_CORRUPT,
                       "the record has no more changes at this close, the execution made one: "
                       "%s %s %016" PRIx64 " (%s)",
                       model_kind_text((enum model_kind)have->model), have->change, have->hash,
                       have->reason);
    return err_set(c->err, ST_CORRUPT,
                   "change %u of the close: on record %s %s %016" PRIx64 " (%s, wealth %.17g), "
                   "executed %s %s %016" PRIx64 " (%s, wealth %.17g)",
                   c->out->count, model_kind_text((enum model_kind)want->model), want->change,
                   want->hash, want->reason, want->wealth,
                   model_kind_text((enum model_kind)have->model), have->change, have->hash,
                   have->reason, have->wealth);
}

enum status retrain_change_check(struct close *c, const struct model_changed *change) {
    if (c->out->count == RETRAIN_CHANGES_MAX)
        return err_set(c->err, ST_FULL, "more than %d changes at one close", RETRAIN_CHANGES_MAX);
    const struct model_changed *want = retrain_recorded(c);
    if (!want) return c->in->recovering ? differs(c, change, NULL) : ST_OK;
    return memcmp(want, change, sizeof *want) == 0 ? ST_OK : differs(c, change, want);
}

void retrain_change_put(struct close *c, const struct model_changed *change) {
    ASSERT(c->out->count < RETRAIN_CHANGES_MAX);
    c->out->items[c->out->count++] = *change;
    log_info("retrain", change->change,
             "kind=%s model=%016" PRIx64 " serving=%016" PRIx64 " reason=%s wealth=%.4g",
             model_kind_text((enum model_kind)change->model), change->hash, change->serving,
             change->reason, change->wealth);
}

static double finite_or_nan(double x) {
    return isfinite(x) ? x : (double)NAN;
}

static struct model_changed measured(const struct close *c, enum model_kind kind,
                                     const char *change, uint64_t hash,
                                     const struct promotion_verdict *v) {
    struct model_changed m = retrain_change(
        c, kind, change, promotion_reason_text((enum promotion_reason)v->reason), hash);
    m.mape_old = finite_or_nan(v->mape_old);
    m.mape_new = finite_or_nan(v->mape_new);
    m.sharpe_old = finite_or_nan(v->sharpe_old);
    m.sharpe_new = finite_or_nan(v->sharpe_new);
    m.wealth = finite_or_nan(v->wealth);
    m.pairs = v->pairs;
    return m;
}

/* ---- registry ---- */

struct lookup {
    const char *event;
    int64_t ts_ns;
    enum model_kind kind;
    uint64_t hash; /* of the row found, 0 none */
};

static bool look(void *context, const struct registry_audit_row *row) {
    struct lookup *l = context;
    if (row->ts_ns == l->ts_ns && row->kind == l->kind && strcmp(row->event, l->event) == 0)
        l->hash = row->hash;
    return l->hash == 0;
}

/* Whose audit has this event at this close: a process that was killed behind its write made it. model 0: any. */
static enum status shown(uint64_t *out, const struct close *c, enum model_kind kind, int64_t model,
                         const char *event) {
    struct lookup l = {event, c->in->close_ns, kind, 0};
    enum status st = registry_audit(c->r->registry, model, 0, look, &l, c->err);
    *out = l.hash;
    return st;
}

/* One event into the registry, unless it is there. */
static enum status registry_say(const struct close *c, enum model_kind kind, uint64_t hash,
                                enum promotion_event event, const struct registry_change *change) {
    struct registry *registry = c->r->registry;
    struct registry_entry entry;
    uint64_t before;
    enum status st = registry_get_hash(registry, &entry, hash, c->err);
    if (st == ST_OK) st = shown(&before, c, kind, entry.id, promotion_event_text(event));
    if (st != ST_OK || before != 0) return st;
    if (event == PROMOTION_PROMOTE)
        return registry_promote(registry, entry.id, event, change, c->err);
    return registry_event(registry, entry.id, event, change, c->err);
}

/* Takes the file of a rejected model, which may be gone already. */
static enum status file_remove(const struct close *c, uint64_t hash, const char *why) {
    struct registry_entry entry;
    const struct registry_change change = {RETRAIN_ACTOR, why, NULL, c->in->close_ns};
    enum status st = registry_get_hash(c->r->registry, &entry, hash, c->err);
    if (st != ST_OK) return st;
    if (entry.state != PROMOTION_REJECTED || entry.removed_ns != 0) return ST_OK;
    return registry_remove(c->r->registry, entry.id, &change, c->err);
}

/* Files of rejected models, oldest first; only the first few can go at one close. */
enum { SPARE_MAX = 16 };
struct spare {
    const struct retrain_state *state;
    int64_t now_ns;
    uint64_t bytes; /* of all of them */
    uint64_t hashes[SPARE_MAX], sizes[SPARE_MAX];
    uint32_t count;
};

static bool is_needed(const struct retrain_state *s, uint64_t hash) {
    for (uint32_t k = 0; k < MODEL_COUNT; k++) {
        if (s->seat[k].challenger == hash) return true;
        for (uint32_t i = 0; i < RETRAIN_LEAVING_MAX; i++)
            if (s->leaving[k][i] == hash) return true;
    }
    return false;
}

static bool note_spare(void *context, const struct registry_entry *entry) {
    struct spare *s = context;
    if (entry->state != PROMOTION_REJECTED || entry->removed_ns != 0) return true;
    s->bytes += entry->size;
    /* A registry that is ahead of the record knows what becomes of models that are still to be tried here. */
    if (entry->added_ns >= s->now_ns || is_needed(s->state, entry->hash)) return true;
    if (s->count == SPARE_MAX) return true;
    s->hashes[s->count] = entry->hash;
    s->sizes[s->count++] = entry->size;
    return true;
}

/* A model whose trial is over. A restart from an older state tries it again, so its file and figures stay until as
 * many others have come behind it, and for as long as there is room; those of a model that was ever served stay for
 * good. */
static enum status leave(const struct close *c, enum model_kind kind, uint64_t hash) {
    struct retrain_state *s = c->r->state;
    s->leaving[kind][s->left[kind]++ % RETRAIN_LEAVING_MAX] = hash;
    uint64_t room = c->r->config.keep_rejected_bytes;
    if (room == UINT64_MAX) return ST_OK;
    struct spare spare = {.state = s, .now_ns = c->in->close_ns};
    enum status st = registry_list(c->r->registry, note_spare, &spare, c->err);
    for (uint32_t i = 0; i < spare.count && spare.bytes > room && st == ST_OK; i++) {
        trial_file_remove(c->r, spare.hashes[i]);
        st = file_remove(c, spare.hashes[i], "rejected");
        spare.bytes -= spare.sizes[i];
    }
    return st;
}

/* ---- what a seat's rule asks for ---- */

static void challenger_drop(struct retrain *r, enum model_kind kind) {
    static const enum retrain_role from[ROLE_COUNT] = {ROLE_SERVED, ROLE_PREDECESSOR, ROLE_COUNT};
    retrain_slot_clear(r, kind, ROLE_CHALLENGER);
    retrain_roles_move(r, kind, from);
    retrain_positions_clear(r, kind);
}

static void slot_move(struct retrain *r, enum model_kind kind, enum retrain_role to,
                      enum retrain_role from) {
    retrain_slot_clear(r, kind, to);
    r->slot[kind][to] = r->slot[kind][from];
    memset(&r->slot[kind][from], 0, sizeof r->slot[kind][from]);
}

/* The swap: the challenger is loaded and warm, so it is one of pointers. Forecasts under way stay their makers'. */
static void models_promote(struct retrain *r, enum model_kind kind) {
    static const enum retrain_role from[ROLE_COUNT] = {ROLE_CHALLENGER, ROLE_SERVED, ROLE_COUNT};
    slot_move(r, kind, ROLE_PREDECESSOR, ROLE_SERVED);
    slot_move(r, kind, ROLE_SERVED, ROLE_CHALLENGER);
    retrain_roles_move(r, kind, from);
    retrain_positions_clear(r, kind);
}

static void models_retreat(struct retrain *r, enum model_kind kind) {
    static const enum retrain_role from[ROLE_COUNT] = {ROLE_PREDECESSOR, ROLE_COUNT,
                                                       ROLE_CHALLENGER};
    slot_move(r, kind, ROLE_SERVED, ROLE_PREDECESSOR);
    retrain_roles_move(r, kind, from);
    retrain_positions_clear(r, kind);
}

/* Who serves when the served one is demoted: the registry's word, as it is or as it was when the change was made. */
static enum status successor(uint64_t *out, bool *was_made, const struct close *c,
                             enum model_kind kind) {
    struct registry *registry = c->r->registry;
    struct registry_entry served, next;
    uint64_t demoted;
    *out = 0;
    enum status st = registry_get_hash(registry, &served, c->r->state->seat[kind].served, c->err);
    if (st == ST_OK) st = shown(&demoted, c, kind, served.id, "demote");
    if (st != ST_OK) return st;
    *was_made = demoted != 0;
    if (*was_made) return shown(out, c, kind, 0, "restore");
    if (served.predecessor == 0) return ST_OK;
    st = registry_get(registry, &next, served.predecessor, c->err);
    if (st == ST_OK && registry_verify(registry, &next, NULL) == ST_OK) *out = next.hash;
    return st;
}

static enum status demote(struct close *c, enum model_kind kind, struct promotion_step *step) {
    struct retrain *r = c->r;
    struct promotion_seat *seat = &r->state->seat[kind];
    struct registry_entry entry;
    bool was_made;
    enum status st = successor(&step->next, &was_made, c, kind);
    if (st != ST_OK) return st;
    if (step->next == 0 || step->next != seat->predecessor) {
        static const enum retrain_role from[ROLE_COUNT] = {ROLE_SERVED, ROLE_COUNT,
                                                           ROLE_CHALLENGER};
        struct err err = {0};
        char text[ERR_TEXT_SIZE];
        if (retrain_slot_load(r, kind, ROLE_PREDECESSOR, step->next, &err) != ST_OK) {
            log_error("retrain", "nobody can take over", "kind=%s error=%s", model_kind_text(kind),
                      log_quote(text, sizeof text, err.text));
            step->next = 0;
        }
        seat->predecessor = step->next;
        retrain_roles_move(r, kind, from);
    }
    struct model_changed change = measured(c, kind, "demoted", step->model, &step->verdict);
    change.serving = step->next;
    st = retrain_change_check(c, &change);
    const struct registry_change say = {RETRAIN_ACTOR, change.reason, &step->verdict,
                                        c->in->close_ns};
    if (st == ST_OK && !was_made)
        st = registry_retreat(r->registry, &entry, kind, PROMOTION_DEMOTE, &say, c->err);
    if (st != ST_OK) return st;
    bool ok = promotion_seat_apply(seat, PROMOTION_DEMOTE, step->model, c->in->close_ns);
    ASSERT(ok && seat->served == step->next);
    /* What it was trained for is over: no period is waited for. */
    promotion_schedule_drift(&r->state->schedule[kind]);
    models_retreat(r, kind);
    retrain_change_put(c, &change);
    return ST_OK;
}

static const char *change_of(enum promotion_event event) {
    switch (event) {
    case PROMOTION_SHADOW_BEGIN:
        return "shadow";
    case PROMOTION_ACCEPT:
        return "accepted";
    case PROMOTION_REJECT:
        return "rejected";
    case PROMOTION_PROMOTE:
        return "promoted";
    case PROMOTION_INSTALL:
    case PROMOTION_RETIRE:
    case PROMOTION_DEMOTE:
    case PROMOTION_ROLL_BACK:
    case PROMOTION_RESTORE:
    case PROMOTION_EVENT_COUNT:
        break;
    }
    return "?";
}

/* Of the challenger. */
static enum status challenge(struct close *c, enum model_kind kind,
                             const struct promotion_step *step) {
    struct retrain *r = c->r;
    struct model_changed change =
        measured(c, kind, change_of(step->event), step->model, &step->verdict);
    if (step->event == PROMOTION_PROMOTE) change.serving = step->model;
    enum status st = retrain_change_check(c, &change);
    const struct registry_change say = {RETRAIN_ACTOR, change.reason, &step->verdict,
                                        c->in->close_ns};
    if (st == ST_OK) st = registry_say(c, kind, step->model, step->event, &say);
    if (st != ST_OK) return st;
    bool ok =
        promotion_seat_apply(&r->state->seat[kind], step->event, step->model, c->in->close_ns);
    ASSERT(ok);
    retrain_change_put(c, &change);
    if (step->event == PROMOTION_SHADOW_BEGIN) retrain_positions_clear(r, kind);
    if (step->event == PROMOTION_PROMOTE) models_promote(r, kind);
    if (step->event == PROMOTION_REJECT) challenger_drop(r, kind);
    bool over = step->event == PROMOTION_PROMOTE || step->event == PROMOTION_REJECT;
    return over ? leave(c, kind, step->model) : ST_OK;
}

enum status retrain_settle(struct close *c, enum model_kind kind) {
    struct retrain_state *s = c->r->state;
    for (;;) {
        struct promotion_step step;
        promotion_seat_next(&step, &s->seat[kind], &c->r->config.promotion, c->in->close_ns);
        if (step.has_event || s->seat[kind].challenger) s->verdict[kind] = step.verdict;
        if (!step.has_event) return ST_OK;
        enum status st =
            step.event == PROMOTION_DEMOTE ? demote(c, kind, &step) : challenge(c, kind, &step);
        if (st != ST_OK) return st;
    }
}

/* ---- a new one ---- */

/* Not even tried, or not any more: no figures. */
static enum status reject(struct close *c, enum model_kind kind, uint64_t hash,
                          enum promotion_reason reason) {
    struct model_changed change =
        retrain_change(c, kind, "rejected", promotion_reason_text(reason), hash);
    const struct registry_change say = {RETRAIN_ACTOR, change.reason, NULL, c->in->close_ns};
    enum status st = retrain_change_check(c, &change);
    /* The same bytes as a model that has its own history: that stays as it is. */
    if (st == ST_OK && reason != PROMOTION_SAME_MODEL)
        st = registry_say(c, kind, hash, PROMOTION_REJECT, &say);
    if (st == ST_OK) retrain_change_put(c, &change);
    return st;
}

static enum status turn_away(struct close *c, enum model_kind kind, uint64_t hash,
                             enum promotion_reason reason, struct served_model *model) {
    if (model) c->r->hooks->destroy(model);
    enum status st = reject(c, kind, hash, reason);
    if (st != ST_OK || reason == PROMOTION_SAME_MODEL) return st;
    trial_file_remove(c->r, hash);
    return file_remove(c, hash, promotion_reason_text(reason));
}

enum status retrain_admit(struct close *c, enum model_kind kind, const struct registry_entry *entry,
                          struct served_model *model, const struct promotion_trial *trial) {
    struct retrain *r = c->r;
    struct promotion_seat *seat = &r->state->seat[kind];
    struct retrain_model_slot slot = {.model = model};
    uint64_t displaced = 0;
    enum promotion_reason reason = PROMOTION_SAME_MODEL;
    enum status st = registry_path(r->registry, slot.path, entry, c->err);
    if (st != ST_OK) return st;
    if (entry->added_ns == c->in->close_ns)
        reason =
            promotion_seat_admit(seat, &displaced, entry->hash, entry->has_skill, c->in->close_ns);
    if (reason != PROMOTION_PASS) return turn_away(c, kind, entry->hash, reason, model);
    if (displaced) {
        st = reject(c, kind, displaced, PROMOTION_DISPLACED);
        if (st == ST_OK) st = leave(c, kind, displaced);
    }
    challenger_drop(r, kind);
    r->slot[kind][ROLE_CHALLENGER] = slot;
    if (trial) seat->trial = *trial;
    return st;
}

/* ---- by hand ---- */

/* Puts hash (0: nobody) into the seat, as the registry did. */
static enum status seat_by_hand(struct close *c, enum model_kind kind, uint64_t hash,
                                bool rolled_back) {
    static const enum retrain_role displaces[ROLE_COUNT] = {ROLE_COUNT, ROLE_SERVED,
                                                            ROLE_CHALLENGER};
    struct retrain *r = c->r;
    struct promotion_seat *seat = &r->state->seat[kind];
    int64_t now = c->in->close_ns;
    if (hash == 0 || (rolled_back && hash == seat->predecessor)) {
        if (hash == 0) seat->predecessor = 0;
        if (hash == 0) retrain_slot_clear(r, kind, ROLE_PREDECESSOR);
        enum promotion_event event = hash ? PROMOTION_ROLL_BACK : PROMOTION_DEMOTE;
        bool ok = promotion_seat_apply(seat, event, seat->served, now);
        ASSERT(ok && seat->served == hash);
        models_retreat(r, kind);
        return ST_OK;
    }
    bool was_challenger = hash == seat->challenger;
    bool ok = promotion_seat_apply(seat, PROMOTION_INSTALL, hash, now);
    ASSERT(ok);
    if (was_challenger) {
        models_promote(r, kind);
        return leave(c, kind, hash);
    }
    slot_move(r, kind, ROLE_PREDECESSOR, ROLE_SERVED);
    retrain_roles_move(r, kind, displaces);
    retrain_positions_clear(r, kind);
    return retrain_slot_load(r, kind, ROLE_SERVED, hash, c->err);
}

static enum status install_recorded(struct close *c, const struct model_changed *want) {
    enum model_kind kind = (enum model_kind)want->model;
    if (want->model >= MODEL_COUNT || !(c->r->config.kinds >> want->model & 1) ||
        want->hash == c->r->state->seat[kind].served)
        return err_set(c->err, ST_CORRUPT, "on record: %016" PRIx64 " installed, which cannot be",
                       want->hash);
    enum status st = seat_by_hand(c, kind, want->hash, strcmp(want->reason, "rolled_back") == 0);
    if (st == ST_OK) retrain_change_put(c, want);
    return st;
}

struct seat_row {
    enum model_kind kind;
    int64_t ts_ns;
    bool ours;
};

/* The last row that gave or took the kind's seat. */
static bool note_seat_row(void *context, const struct registry_audit_row *row) {
    struct seat_row *last = context;
    static const enum promotion_event events[] = {PROMOTION_PROMOTE, PROMOTION_INSTALL,
                                                  PROMOTION_RESTORE, PROMOTION_DEMOTE,
                                                  PROMOTION_ROLL_BACK};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (row->kind == last->kind && strcmp(row->event, promotion_event_text(events[i])) == 0) {
            last->ts_ns = row->ts_ns;
            last->ours = strcmp(row->actor, RETRAIN_ACTOR) == 0;
        }
    return true;
}

static bool can_serve(const struct close *c, enum model_kind kind,
                      const struct registry_entry *entry) {
    struct served_model *probe = NULL;
    char path[REGISTRY_PATH_SIZE], text[ERR_TEXT_SIZE];
    struct err err = {0};
    enum status st = registry_path(c->r->registry, path, entry, &err);
    if (st == ST_OK) st = retrain_load(&probe, c->r, kind, path, &err);
    if (st == ST_OK)
        c->r->hooks->destroy(probe);
    else
        log_error("retrain", "a model put in by hand cannot serve", "kind=%s model=%lld error=%s",
                  model_kind_text(kind), (long long)entry->id,
                  log_quote(text, sizeof text, err.text));
    return st == ST_OK;
}

/* One seat against the registry. A model that cannot be served here does not get it. A change of our own making that
 * is not known here was lost with a record's tail: it is made again if its time is still to come (*later), else the
 * registry is followed. */
static enum status install_found(struct close *c, enum model_kind kind, bool *later) {
    struct retrain *r = c->r;
    const struct promotion_seat *seat = &r->state->seat[kind];
    struct registry_entry entry = {0}, old = {0};
    struct seat_row last = {.kind = kind};
    enum status st = registry_serving(r->registry, &entry, kind, c->err);
    if (st != ST_OK && st != ST_NOT_FOUND) return st;
    if (entry.hash == seat->served) return ST_OK;
    st = registry_audit(r->registry, 0, 0, note_seat_row, &last, c->err);
    if (st != ST_OK) return st;
    if (last.ours && last.ts_ns >= c->in->close_ns) {
        *later = true;
        return ST_OK;
    }
    if (entry.hash != 0 && !can_serve(c, kind, &entry)) return ST_OK;
    if (seat->served) st = registry_get_hash(r->registry, &old, seat->served, c->err);
    if (st != ST_OK) return st;
    bool rolled_back = !last.ours && old.state == PROMOTION_ROLLED_BACK;
    const char *reason = last.ours ? "registry" : rolled_back ? "rolled_back" : "by_hand";
    struct model_changed change = retrain_change(c, kind, "installed", reason, entry.hash);
    change.serving = entry.hash;
    st = seat_by_hand(c, kind, entry.hash, rolled_back);
    if (st == ST_OK) retrain_change_put(c, &change);
    return st;
}

enum status retrain_installed(struct close *c) {
    struct retrain *r = c->r;
    const struct model_changed *want;
    int64_t generation;
    enum status st = ST_OK;
    while (st == ST_OK && (want = retrain_recorded(c)) != NULL &&
           strcmp(want->change, "installed") == 0)
        st = install_recorded(c, want);
    if (st != ST_OK || c->in->recovering || c->in->recorded_count > 0) return st;
    st = registry_generation(r->registry, &generation, c->err);
    if (st != ST_OK || generation == r->generation) return st;
    bool later = false;
    for (uint32_t k = 0; k < MODEL_COUNT && st == ST_OK; k++)
        if (r->config.kinds >> k & 1) st = install_found(c, (enum model_kind)k, &later);
    r->generation = later ? -1 : generation;
    return st;
}

/* ---- what a killed process left ---- */

enum { SWEEP_MAX = 256 };
struct sweep {
    struct close *c;
    int64_t ids[SWEEP_MAX];
    enum model_kind kinds[SWEEP_MAX];
    uint64_t hashes[SWEEP_MAX];
    uint32_t count;
};

static bool is_orphan(void *context, const struct registry_entry *entry) {
    struct sweep *s = context;
    const struct promotion_seat *seat = &s->c->r->state->seat[entry->kind];
    bool open = entry->state == PROMOTION_CANDIDATE || entry->state == PROMOTION_SHADOW ||
                entry->state == PROMOTION_ACCEPTED;
    /* One of a later time may be made again. */
    bool past = entry->added_ns <= s->c->in->close_ns;
    bool kept = s->c->r->config.kinds >> entry->kind & 1;
    if (open && past && kept && entry->hash != seat->challenger) {
        s->ids[s->count] = entry->id;
        s->kinds[s->count] = entry->kind;
        s->hashes[s->count++] = entry->hash;
    }
    return s->count < SWEEP_MAX;
}

static bool added_by_us(void *context, const struct registry_audit_row *row) {
    bool *ours = context;
    if (strcmp(row->event, "add") == 0) *ours = strcmp(row->actor, RETRAIN_ACTOR) == 0;
    return false; /* the first row of a model is its arrival */
}

enum status retrain_sweep(struct close *c) {
    struct retrain *r = c->r;
    if (r->swept || c->in->recovering || c->in->recorded_count > 0) return ST_OK;
    struct sweep s = {.c = c};
    const struct registry_change say = {RETRAIN_ACTOR, "restart", NULL, c->in->close_ns};
    r->swept = true;
    enum status st = registry_list(r->registry, is_orphan, &s, c->err);
    for (uint32_t i = 0; i < s.count && st == ST_OK; i++) {
        bool ours = false;
        st = registry_audit(r->registry, s.ids[i], 0, added_by_us, &ours, c->err);
        if (st != ST_OK || !ours) continue;
        st = registry_say(c, s.kinds[i], s.hashes[i], PROMOTION_REJECT, &say);
        if (st == ST_OK) st = file_remove(c, s.hashes[i], "restart");
    }
    return st;
}
