/* What may be opened and why not, as JSON and for Prometheus. */
#include "api/api_internal.h"
#include "api/put.h"
#include "trade/breaker/breaker.h"

static const char *state_text(uint32_t state) {
    return breaker_state_text((enum breaker_state)state);
}

static void put_circuits(struct json_writer *w, const struct view *v) {
    const struct view_risk *r = &v->risk;
    put_object(w, "breaker");
    put_text(w, "state", state_text(r->circuit));
    put_text(w, "cause", breaker_cause_text((enum breaker_cause)r->cause));
    put_u64(w, "failures", r->failures);
    put_ms(w, "until", r->until_ns);
    put_u64(w, "opened", r->opened);
    json_write_object_end(w);
    put_u64(w, "symbols_open", r->symbols_open);
    put_u64(w, "symbols_halted", r->symbols_halted);
    put_u64(w, "symbols_opened", r->symbols_opened);
    put_array(w, "symbols"); /* those whose circuit is not closed */
    for (uint32_t i = 0; i < v->symbol_count; i++) {
        const struct view_symbol *s = &v->symbols[i];
        if (s->circuit == BREAKER_CLOSED) continue;
        json_write_object_begin(w);
        put_text(w, "symbol", s->symbol);
        put_text(w, "state", state_text(s->circuit));
        put_text(w, "cause", breaker_cause_text((enum breaker_cause)s->circuit_cause));
        put_ms(w, "until", s->circuit_until_ns);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void put_limits(struct json_writer *w, const struct view_risk *r) {
    put_object(w, "limits");
    put_u64(w, "positions_max", r->positions_max);
    put_u64(w, "leverage_max", r->leverage_max);
    put_f64(w, "confidence_min", r->confidence_min);
    put_f64(w, "risk_per_trade", r->risk_per_trade);
    put_f64(w, "exposure_total_max", r->exposure_total_max);
    put_e8(w, "notional_symbol_max", r->notional_symbol_max.e8);
    json_write_object_end(w);
}

void api_render_risk(struct json_writer *w, const struct api_shot *shot) {
    const struct view *v = shot->view;
    const struct view_risk *r = &v->risk;
    json_write_object_begin(w);
    api_put_stamp(w, shot);
    if (shot->published) {
        put_bool(w, "emergency_stop", r->emergency_stop != 0);
        put_bool(w, "closing", r->closing != 0);
        put_text(w, "ess_mode", breaker_mode_text((enum breaker_mode)r->mode));
        put_array(w, "tripped");
        for (int t = 0; t < BREAKER_TRIGGER_COUNT; t++)
            if (r->tripped >> t & 1)
                json_write_string(w, breaker_trigger_text((enum breaker_trigger)t));
        json_write_array_end(w);
        put_object(w, "trips");
        for (int t = 0; t < BREAKER_TRIGGER_COUNT; t++)
            put_u64(w, breaker_trigger_text((enum breaker_trigger)t), r->trips[t]);
        json_write_object_end(w);
        put_f64(w, "day_result", r->day_result);
        put_f64(w, "drawdown", r->fall);
        put_circuits(w, v);
        put_text(w, "venue_link", r->is_down ? "down" : "up");
        put_u64(w, "link_losses", r->downs);
        put_limits(w, r);
        put_u64(w, "positions", v->position_count);
        put_u64(w, "live_orders", r->live_orders);
        put_u64(w, "commands_taken", r->commands_taken);
        put_ms(w, "started", v->started_wall_ns);
    }
    json_write_object_end(w);
}

void api_prom_risk(struct api_page *p, const struct view *v) {
    const struct view_risk *r = &v->risk;
    uint32_t states[BREAKER_STATE_COUNT] = {0};
    for (uint32_t i = 0; i < v->symbol_count; i++)
        if (v->symbols[i].circuit < BREAKER_STATE_COUNT) states[v->symbols[i].circuit]++;
    api_prom_gauge(p, "quantum_emergency_stop", "1 while entries are off by hand.",
                   r->emergency_stop);
    api_prom_head(p, "gauge", "quantum_breaker_state",
                  "1 for the state the common circuit is in, 0 for the others.");
    for (int s = 0; s < BREAKER_HALTED; s++) /* it is a contract that is halted */
        api_prom_line(p, "quantum_breaker_state{state=\"%s\"} %d\n", state_text((uint32_t)s),
                      r->circuit == (uint32_t)s);
    api_prom_head(p, "gauge", "quantum_breaker_symbols",
                  "Contracts by the state of their circuit.");
    for (int s = 0; s < BREAKER_STATE_COUNT; s++)
        api_prom_line(p, "quantum_breaker_symbols{state=\"%s\"} %u\n", state_text((uint32_t)s),
                      states[s]);
    api_prom_head(p, "counter", "quantum_breaker_opened_total", "Times a circuit has opened.");
    api_prom_line(p, "quantum_breaker_opened_total{scope=\"all\"} %llu\n",
                  (unsigned long long)r->opened);
    api_prom_line(p, "quantum_breaker_opened_total{scope=\"symbol\"} %llu\n",
                  (unsigned long long)r->symbols_opened);
    api_prom_head(p, "gauge", "quantum_ess_mode", "1 for the recovery mode in force, else 0.");
    for (int m = 0; m < BREAKER_MODE_COUNT; m++)
        api_prom_line(p, "quantum_ess_mode{mode=\"%s\"} %d\n",
                      breaker_mode_text((enum breaker_mode)m), r->mode == (uint32_t)m);
    api_prom_head(p, "gauge", "quantum_ess_tripped", "1 while the trigger stops all entries.");
    for (int t = 0; t < BREAKER_TRIGGER_COUNT; t++)
        api_prom_line(p, "quantum_ess_tripped{trigger=\"%s\"} %d\n",
                      breaker_trigger_text((enum breaker_trigger)t), r->tripped >> t & 1);
    api_prom_head(p, "counter", "quantum_ess_trips_total", "Times the trigger has tripped.");
    for (int t = 0; t < BREAKER_TRIGGER_COUNT; t++)
        api_prom_line(p, "quantum_ess_trips_total{trigger=\"%s\"} %llu\n",
                      breaker_trigger_text((enum breaker_trigger)t),
                      (unsigned long long)r->trips[t]);
    api_prom_gauge(p, "quantum_venue_link_up", "1 while the venue can be asked.", !r->is_down);
    api_prom_counter(p, "quantum_venue_link_losses_total", "Times the link was lost.", r->downs);
    api_prom_gauge(p, "quantum_day_result_ratio",
                   "Result since 00:00 UTC, of that day's first equity.", r->day_result);
    api_prom_gauge(p, "quantum_drawdown_ratio", "Fall of equity from its peak.", r->fall);
}
