/* GET /metrics: the registry's own lines, then what the view says. The names of the original that are
 * true here keep their spelling; nothing is declared that is never counted. */
#include "api/api_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/metrics.h"

void api_prom_line(struct api_page *p, const char *format, ...) {
    if (p->overflow) return;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(p->out + p->size, p->capacity - p->size, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= p->capacity - p->size)
        p->overflow = true;
    else
        p->size += (size_t)n;
}

void api_prom_head(struct api_page *p, const char *type, const char *name, const char *help) {
    api_prom_line(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}
void api_prom_counter(struct api_page *p, const char *name, const char *help, uint64_t value) {
    api_prom_head(p, "counter", name, help);
    api_prom_line(p, "%s %llu\n", name, (unsigned long long)value);
}
void api_prom_gauge(struct api_page *p, const char *name, const char *help, double value) {
    api_prom_head(p, "gauge", name, help);
    api_prom_line(p, "%s %.17g\n", name, value);
}

/* Reason codes are ours, but a label must not be able to break the page. */
static const char *label_safe(char *out, size_t size, const char *text) {
    size_t n = 0;
    for (; text[n] && n + 1 < size; n++) {
        char c = text[n];
        out[n] = c == '"' || c == '\\' || c < ' ' ? '_' : c;
    }
    out[n] = '\0';
    return out;
}

static void trading(struct api_page *p, const struct view *v) {
    api_prom_counter(p, "eventbus_messages_published_total", "Entries published on the event bus.",
                     v->bus_published);
    api_prom_counter(p, "eventbus_messages_consumed_total", "Entries handed to consumer groups.",
                     v->bus_delivered);
    api_prom_gauge(p, "eventbus_queue_lag", "Entries published and not yet handled.",
                   (double)v->bus_lag);
    api_prom_gauge(p, "eventbus_oldest_pending_seconds",
                   "Age of the oldest entry not yet acknowledged.",
                   (double)v->bus_oldest_pending_ns / 1e9);
    api_prom_head(p, "counter", "signals_generated_total", "Signals made, by what made them.");
    api_prom_line(p, "signals_generated_total{model=\"%s\"} %llu\n",
                  strategy_text((enum strategy_kind)v->strategy), (unsigned long long)v->signals);
    api_prom_counter(p, "trade_intents_total", "Intents published.", v->intents);
    api_prom_counter(p, "orders_submitted_total", "Orders sent to the venue.", v->orders);
    api_prom_counter(p, "order_fills_total", "Fills received from the venue.", v->fills);
    api_prom_counter(p, "trades_executed_total", "Trades closed, from flat to flat.", v->trades);
    api_prom_counter(p, "positions_reduced_total",
                     "Reductions of positions asked for, to obey the portfolio's caps.",
                     v->reductions);
    api_prom_counter(p, "venue_rejects_total", "Orders the venue refused.", v->venue_rejects);
    api_prom_gauge(p, "positions_open", "Open positions.", v->position_count);
    api_prom_gauge(p, "portfolio_value_usd", "Equity: wallet plus unrealised profit and loss.",
                   money_to_f64(v->equity));
    api_prom_gauge(p, "quantum_wallet_usd", "Wallet balance at the venue.",
                   money_to_f64(v->wallet));
    api_prom_gauge(p, "quantum_drawdown_max_usd", "Deepest fall of equity from its high.",
                   money_to_f64(v->drawdown_max));
}

static void venue_rejects(struct api_page *p, const struct view *v) {
    api_prom_head(p, "counter", "quantum_venue_rejects_total",
                  "Orders the venue refused, by its code.");
    for (uint32_t i = 0; i < v->reject_count; i++)
        api_prom_line(p, "quantum_venue_rejects_total{code=\"%d\"} %llu\n", v->rejects[i].code,
                      (unsigned long long)v->rejects[i].count);
    api_prom_head(p, "counter", "quantum_position_incidents_total",
                  "What has befallen positions besides trades.");
#define INCIDENT_LINE(member, name)                                                                \
    api_prom_line(p, "quantum_position_incidents_total{what=\"%s\"} %llu\n", name,                 \
                  (unsigned long long)v->incidents.member);
    VIEW_INCIDENT_TABLE(INCIDENT_LINE)
#undef INCIDENT_LINE
}

static void exits(struct api_page *p, const struct view_exit_brain *x) {
    if (!x->is_on) return;
    api_prom_head(p, "counter", "quantum_exit_profiles_total",
                  "Intents put out, by the profile that is to end their trade.");
    for (int i = 0; i < PROFILE_COUNT; i++)
        api_prom_line(p, "quantum_exit_profiles_total{profile=\"%s\"} %llu\n",
                      exitbrain_profile_text((enum exit_profile)i),
                      (unsigned long long)x->chosen[i]);
    static const enum exit_reason words[] = {EXIT_EDGE_GONE, EXIT_REGIME, EXIT_LOSS_GUARD,
                                             EXIT_STALE};
    api_prom_head(
        p, "counter", "quantum_exit_advice_total",
        "Positions ended, or their stop brought nearer, for what they showed at a close.");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        api_prom_line(p, "quantum_exit_advice_total{advice=\"%s\"} %llu\n",
                      exit_reason_text(words[i]), (unsigned long long)x->advice[words[i]]);
    api_prom_line(p, "quantum_exit_advice_total{advice=\"stop_nearer\"} %llu\n",
                  (unsigned long long)x->stops_nearer);
}

static void refusals(struct api_page *p, const struct view *v) {
    char reason[VIEW_REASON_SIZE];
    api_prom_head(
        p, "counter", "risk_gate_decisions_total",
        "Intents allowed, and refusals by reason (an intent is refused for its first reason).");
    if (v->intents >= v->intents_denied)
        api_prom_line(p, "risk_gate_decisions_total{decision=\"allow\",reason=\"none\"} %llu\n",
                      (unsigned long long)(v->intents - v->intents_denied));
    for (uint32_t i = 0; i < v->reason_count; i++)
        api_prom_line(p, "risk_gate_decisions_total{decision=\"deny\",reason=\"%s\"} %llu\n",
                      label_safe(reason, sizeof reason, v->reasons[i].reason),
                      (unsigned long long)v->reasons[i].count);
}

static void seconds(struct api_page *p, const char *name, const char *help, int64_t ns) {
    api_prom_head(p, "gauge", name, help);
    api_prom_line(p, "%s %.9g\n", name, (double)ns / 1e9);
}

/* What an outage or a kill interrupted says nothing of how fast we are: apart, with its longest. */
static void protection(struct api_page *p, const struct view *v) {
    uint64_t count = 0;
    api_prom_head(
        p, "histogram", "quantum_time_to_protected_seconds",
        "First entry fill to the stop the venue confirmed, where nothing interrupted it.");
    for (uint32_t i = 0; i < VIEW_PROTECTED_EDGES; i++) {
        count += v->protected_counts[i];
        api_prom_line(p, "quantum_time_to_protected_seconds_bucket{le=\"%.9g\"} %llu\n",
                      (double)view_protected_edges_ns[i] / 1e9, (unsigned long long)count);
    }
    count += v->protected_counts[VIEW_PROTECTED_EDGES];
    api_prom_line(p, "quantum_time_to_protected_seconds_bucket{le=\"+Inf\"} %llu\n",
                  (unsigned long long)count);
    api_prom_line(p, "quantum_time_to_protected_seconds_sum %.9g\n",
                  (double)v->protected_ns_sum / 1e9);
    api_prom_line(p, "quantum_time_to_protected_seconds_count %llu\n", (unsigned long long)count);
    seconds(p, "quantum_time_to_protected_p99_seconds",
            "99 % of these spans are no longer (within 1/16).", v->time_to_protected_ns_p99);
    seconds(p, "quantum_time_to_protected_max_seconds", "The longest of these spans.",
            v->time_to_protected_ns_max);
    api_prom_counter(p, "quantum_protection_interrupted_total",
                     "Spans from fill to confirmed stop in which the venue was out of reach or "
                     "the process dead.",
                     v->protected_interrupted);
    seconds(p, "quantum_protection_interrupted_max_seconds",
            "The longest of those, the outage included.", v->protected_interrupted_ns_max);
}

static void kernel_own(struct api_page *p, const struct view *v) {
    api_prom_counter(p, "quantum_bars_total", "Closed candles folded in.", v->bars);
    api_prom_counter(p, "quantum_events_total", "Events the kernel has stepped through.",
                     v->events);
    api_prom_gauge(p, "quantum_journal_sequence", "Sequence of the last journaled event.",
                   (double)v->journal_seq);
    api_prom_gauge(p, "quantum_journal_durable_sequence",
                   "Sequence up to which the journal is on disk.", (double)v->journal_durable_seq);
    api_prom_gauge(p, "quantum_market_timestamp_seconds",
                   "Time of the market, seconds since 1970 UTC.", (double)v->market_ts_ns / 1e9);
    api_prom_gauge(p, "quantum_view_timestamp_seconds",
                   "Wall time of the kernel's last publication.",
                   (double)v->published_wall_ns / 1e9);
    api_prom_gauge(p, "quantum_symbols_warming", "Symbols whose features are not complete yet.",
                   v->warming);
    api_prom_gauge(p, "quantum_positions_unprotected",
                   "Open positions without a confirmed full stop, now.",
                   (double)v->positions_unprotected_now);
    protection(p, v);
}

/* A seat that is empty has no state and no time. */
static void models(struct api_page *p, const struct view *v) {
    bool asked = false;
    api_prom_head(p, "counter", "quantum_model_votes_total", "Votes cast, by model.");
    for (int i = 0; i < MODEL_COUNT; i++) {
        api_prom_line(p, "quantum_model_votes_total{model=\"%s\"} %llu\n",
                      model_kind_text((enum model_kind)i), (unsigned long long)v->models[i].votes);
        asked = asked || v->models[i].predict_ns_p50 > 0;
    }
    api_prom_head(p, "gauge", "quantum_model_loaded",
                  "1 if the model's seat is taken, 0 if it is empty.");
    for (int i = 0; i < MODEL_COUNT; i++)
        api_prom_line(p, "quantum_model_loaded{model=\"%s\"} %d\n",
                      model_kind_text((enum model_kind)i), v->models[i].loaded != 0);
    api_prom_head(
        p, "gauge", "quantum_model_skilled",
        "1 if a seated model has shown skill on held-out data, so that it may vote; else 0.");
    for (int i = 0; i < MODEL_COUNT; i++)
        api_prom_line(p, "quantum_model_skilled{model=\"%s\"} %d\n",
                      model_kind_text((enum model_kind)i),
                      v->models[i].loaded && v->models[i].has_skill);
    if (!asked) return;
    api_prom_head(p, "summary", "quantum_model_predict_seconds",
                  "Time of one row's vote, in a batch.");
    for (int i = 0; i < MODEL_COUNT; i++) {
        const struct view_model *m = &v->models[i];
        const char *name = model_kind_text((enum model_kind)i);
        if (m->predict_ns_p50 == 0) continue;
        api_prom_line(p, "quantum_model_predict_seconds{model=\"%s\",quantile=\"0.5\"} %.9g\n",
                      name, (double)m->predict_ns_p50 / 1e9);
        api_prom_line(p, "quantum_model_predict_seconds{model=\"%s\",quantile=\"0.99\"} %.9g\n",
                      name, (double)m->predict_ns_p99 / 1e9);
    }
}

static void disagreement(struct api_page *p, const struct view *v) {
    const struct view_disagreement *d = &v->disagreement;
    api_prom_head(
        p, "counter", "quantum_ensemble_decisions_total",
        "Decisions that two or more models answered, by whether their best labels agreed.");
    api_prom_line(p, "quantum_ensemble_decisions_total{agreed=\"yes\"} %llu\n",
                  (unsigned long long)(d->decisions - d->differ));
    api_prom_line(p, "quantum_ensemble_decisions_total{agreed=\"no\"} %llu\n",
                  (unsigned long long)d->differ);
    if (d->decisions > 0)
        api_prom_gauge(p, "quantum_ensemble_distance",
                       "Mean absolute difference of the models' probabilities.", d->distance);
}

static void health(struct api_page *p, const struct api_shot *shot) {
    struct api_health h;
    api_health_judge(&h, shot);
    api_prom_head(p, "gauge", "service_health_status",
                  "1 if the role worked within its time (or works on demand), 0 if it is stale.");
    for (uint32_t i = 0; i < h.role_count; i++) {
        char name[16];
        api_prom_line(p, "service_health_status{role=\"%s\"} %d\n",
                      label_safe(name, sizeof name, h.roles[i].name),
                      h.roles[i].state != API_ROLE_STALE);
    }
    api_prom_gauge(p, "quantum_models_loaded", "Parts of the engine that work, of twelve.",
                   h.components_loaded);
    api_prom_head(p, "gauge", "quantum_component_up", "1 if the part works in this run.");
    for (int i = 0; i < API_COMPONENTS; i++)
        api_prom_line(p, "quantum_component_up{component=\"%s\"} %d\n", h.components[i].name,
                      h.components[i].state == API_COMPONENT_LOADED);
    api_prom_head(p, "gauge", "dependency_health_status",
                  "1 if the dependency can be used, 0 if not.");
    api_prom_line(p, "dependency_health_status{dependency=\"kernel\"} %d\n",
                  shot->published &&
                      shot->now_wall_ns - shot->view->published_wall_ns <= API_SILENCE_NS_MAX);
    api_prom_line(p, "dependency_health_status{dependency=\"trade_journal\"} %d\n",
                  shot->trades_path && access(shot->trades_path, R_OK) == 0);
}

static void process(struct api_page *p, const struct api_shot *shot) {
    char version[64], commit[64];
    api_prom_head(p, "gauge", "quantum_build_info", "Always 1; the labels say what runs.");
    api_prom_line(p, "quantum_build_info{version=\"%s\",commit=\"%s\"} 1\n",
                  label_safe(version, sizeof version, shot->version),
                  label_safe(commit, sizeof commit, shot->commit));
    api_prom_gauge(p, "quantum_uptime_seconds", "Since the service started.", shot->uptime_seconds);
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (f) {
        if (fscanf(f, "%*u %lu", &pages) != 1) pages = 0;
        fclose(f);
    }
    if (pages)
        api_prom_gauge(p, "process_resident_memory_bytes", "Resident memory.",
                       (double)pages * (double)sysconf(_SC_PAGESIZE));
}

enum status api_render_metrics(char *out, size_t capacity, size_t *out_size,
                               const struct metrics *metrics, const struct api_shot *shot) {
    size_t size = 0;
    enum status st = metrics_render(metrics, out, capacity, &size);
    if (st != ST_OK) return st;
    struct api_page p = {.out = out, .capacity = capacity, .size = size};
    process(&p, shot);
    health(&p, shot);
    api_prom_lease(&p, shot);
    if (shot->published) {
        trading(&p, shot->view);
        refusals(&p, shot->view);
        venue_rejects(&p, shot->view);
        kernel_own(&p, shot->view);
        models(&p, shot->view);
        disagreement(&p, shot->view);
        api_prom_engine(&p, shot->view);
        api_prom_risk(&p, shot->view);
        exits(&p, &shot->view->exit_brain);
    }
    *out_size = p.size;
    return p.overflow ? ST_FULL : ST_OK;
}
