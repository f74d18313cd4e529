/* OK means evidence: each role has done a piece of work within its own time, and there is a model to
 * decide with. A flag in a configuration file is not evidence. */
#include "api/api_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char API_OWN_ROLE[] = "api";

const char *api_role_state_text(enum api_role_state state) {
    switch (state) {
    case API_ROLE_OK:
        return "OK";
    case API_ROLE_STALE:
        return "STALE";
    case API_ROLE_ON_DEMAND:
        return "ON_DEMAND";
    }
    return "STALE";
}

__attribute__((format(printf, 2, 3))) static void reason_add(struct api_health *h,
                                                             const char *format, ...) {
    if (h->reason_count == API_REASONS_MAX) return;
    va_list args;
    va_start(args, format);
    vsnprintf(h->reasons[h->reason_count++], API_MESSAGE_SIZE, format, args);
    va_end(args);
}

static void judge_role(struct api_role *out, const struct view_role *in, int64_t now_ns) {
    snprintf(out->name, sizeof out->name, "%.*s", (int)sizeof in->name - 1, in->name);
    out->work_count = in->work_count;
    out->max_age_ns = in->max_age_ns;
    out->age_ns = in->last_work_wall_ns == 0 ? -1 : now_ns - in->last_work_wall_ns;
    if (out->age_ns < 0 && in->last_work_wall_ns != 0) out->age_ns = 0; /* worked after we looked */
    if (in->max_age_ns == 0)
        out->state = API_ROLE_ON_DEMAND;
    else if (out->age_ns < 0 || out->age_ns > in->max_age_ns)
        out->state = API_ROLE_STALE;
    else
        out->state = API_ROLE_OK;
}

static void judge_roles(struct api_health *h, const struct api_shot *shot) {
    if (shot->published)
        for (uint32_t i = 0; i < shot->view->role_count; i++) {
            if (strcmp(shot->view->roles[i].name, API_OWN_ROLE) == 0) continue;
            judge_role(&h->roles[h->role_count++], &shot->view->roles[i], shot->now_wall_ns);
        }
    for (uint32_t i = 0; i < h->role_count; i++) {
        const struct api_role *r = &h->roles[i];
        if (r->state != API_ROLE_STALE) continue;
        if (r->age_ns < 0)
            reason_add(h, "%s has not worked yet", r->name);
        else
            reason_add(h, "%s last worked %.1f s ago, allowed are %.1f s", r->name,
                       (double)r->age_ns / 1e9, (double)r->max_age_ns / 1e9);
    }
    /* This answer is the api's own last piece of work. */
    struct api_role *own = &h->roles[h->role_count++];
    *own = (struct api_role){.state = API_ROLE_OK};
    memcpy(own->name, API_OWN_ROLE, sizeof API_OWN_ROLE);
}

static void judge_models(struct api_health *h, const struct view *v) {
    for (uint32_t i = 0; i < MODEL_COUNT; i++) {
        h->voters_loaded += v->models[i].loaded != 0;
        h->voters_with_skill += v->models[i].loaded && v->models[i].has_skill;
    }
    if (h->voters_loaded == 0)
        reason_add(h, "no model is loaded");
    else if (h->voters_with_skill == 0 && v->strategy == STRATEGY_ENSEMBLE)
        reason_add(h, "no loaded model has shown skill on held-out data: the ensemble abstains");
}

/* What is not built into this run is no fault; what is there and does not do its work is one. */
static void judge_components(struct api_health *h, const struct api_shot *shot) {
    api_components_judge(h->components, shot);
    for (int i = 0; i < API_COMPONENTS; i++) {
        const struct api_component *c = &h->components[i];
        h->components_loaded += c->state == API_COMPONENT_LOADED;
        if (c->state == API_COMPONENT_FAULTY)
            reason_add(h, "%s does not do its work: %s", c->name, c->evidence);
    }
}

static void judge_ready(struct api_health *h, const struct api_shot *shot, bool current) {
    const struct view *v = shot->view;
    uint32_t warm = 0, stale = 0;
    if (shot->published)
        for (uint32_t i = 0; i < v->symbol_count; i++) warm += v->symbols[i].warm != 0;
    for (uint32_t i = 0; i < h->role_count; i++) stale += h->roles[i].state == API_ROLE_STALE;
    if (!shot->published)
        api_waiting_text(h->not_ready, shot);
    else if (!current)
        snprintf(h->not_ready, sizeof h->not_ready, "the kernel is silent or has ended");
    else if (stale)
        snprintf(h->not_ready, sizeof h->not_ready, "%u role(s) stale", stale);
    else if (warm == 0)
        snprintf(h->not_ready, sizeof h->not_ready, "warming up: 0 of %u symbols have features",
                 v->symbol_count);
    h->ready = h->not_ready[0] == '\0';
}

const char *api_waiting_text(char out[API_MESSAGE_SIZE], const struct api_shot *shot) {
    const struct lease_look *l = &shot->lease;
    if (shot->stands_by && l->owner_pid != 0)
        snprintf(out, API_MESSAGE_SIZE, "standby: process %d owns the run, renewed %.1f s ago",
                 (int)l->owner_pid, (double)l->age_ns / 1e9);
    else if (shot->stands_by)
        snprintf(out, API_MESSAGE_SIZE, "standby: the run is being taken over");
    else if (shot->recovering && shot->view->recovery == VIEW_GOING_OVER)
        snprintf(out, API_MESSAGE_SIZE, "recovering: the journal is being gone over");
    else if (shot->recovering)
        snprintf(out, API_MESSAGE_SIZE,
                 "recovering: the venue is asked for candles, orders and positions");
    else
        snprintf(out, API_MESSAGE_SIZE, "starting: nothing published yet");
    return out;
}

void api_health_judge(struct api_health *out, const struct api_shot *shot) {
    memset(out, 0, sizeof *out);
    bool current = false;
    if (!shot->published) {
        char waiting[API_MESSAGE_SIZE];
        reason_add(out, "%s", api_waiting_text(waiting, shot));
    } else {
        int64_t silence_ns = shot->now_wall_ns - shot->view->published_wall_ns;
        current = shot->view->running && silence_ns <= API_SILENCE_NS_MAX;
        if (!shot->view->running) reason_add(out, "the run has ended");
        if (silence_ns > API_SILENCE_NS_MAX)
            reason_add(out, "the kernel has published nothing for %.1f s",
                       (double)silence_ns / 1e9);
        judge_models(out, shot->view);
    }
    judge_components(out, shot);
    judge_roles(out, shot);
    judge_ready(out, shot, current);
    out->ok = out->reason_count == 0;
}
