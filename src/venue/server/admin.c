/* The operator's port: faults at run time, metrics, health. On the loopback only, without keys. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "venue/server/server_internal.h"

enum { BODY_SIZE = 16 << 10, VALUE_SIZE = 1024, METRICS_SIZE = 64 << 10 };

static bool is(struct net_text t, const char *word) {
    return t.size == strlen(word) && memcmp(t.data, word, t.size) == 0;
}

/* A parameter of the query, as it is: kinds and numbers need no encoding. False: absent or too long. */
static bool parameter(char out[VALUE_SIZE], struct net_text query, const char *name) {
    size_t size = strlen(name);
    const char *p = query.data, *end = p + query.size;
    while (p < end) {
        const char *and = memchr(p, '&', (size_t)(end - p)), *stop = and? and : end;
        if ((size_t)(stop - p) > size && memcmp(p, name, size) == 0 && p[size] == '=') {
            size_t n = (size_t)(stop - p) - size - 1;
            if (n == 0 || n >= VALUE_SIZE) return false;
            memcpy(out, p + size + 1, n);
            out[n] = '\0';
            return true;
        }
        p = stop + 1;
    }
    return false;
}

static void row_write(struct json_writer *w, const struct server *s, enum fault kind) {
    static const char *const scopes[] = {"trade", "algo", "signed", "call", "message", "second"};
    const struct fault_row *row = &s->act.faults.rows[kind];
    json_write_object_begin(w);
    json_write_key(w, "kind");
    json_write_string(w, fault_name(kind));
    json_write_key(w, "per");
    json_write_string(w, scopes[fault_scope_of(kind)]);
    json_write_key(w, "about");
    json_write_string(w, fault_about(kind));
    json_write_key(w, "rate");
    json_write_f64(w, row->rate);
    json_write_key(w, "asked");
    json_write_u64(w, row->asked);
    json_write_key(w, "fired");
    json_write_u64(w, row->fired);
    json_write_object_end(w);
}

static void answer(struct net_conn *c, int status, struct json_writer *w) {
    json_write_object_end(w);
    if (json_writer_finish(w) == ST_OK)
        net_respond(c, status, "application/json", NULL, w->out, w->size);
    else
        net_respond(c, 500, "text/plain", NULL, "too long\n", 9);
}

static void refuse(struct net_conn *c, int status, const char *why) {
    char body[256];
    struct json_writer w;
    json_writer_init(&w, body, sizeof body);
    json_write_object_begin(&w);
    json_write_key(&w, "error");
    json_write_string(&w, why);
    answer(c, status, &w);
}

static void faults_list(struct server *s, struct net_conn *c) {
    char body[BODY_SIZE];
    struct json_writer w;
    json_writer_init(&w, body, sizeof body);
    json_write_object_begin(&w);
    json_write_key(&w, "seed");
    json_write_u64(&w, s->act.faults.seed);
    json_write_key(&w, "disobeyed");
    json_write_u64(&w, s->act.state.disobeyed);
    json_write_key(&w, "faults");
    json_write_array_begin(&w);
    for (int k = 0; k < FAULT_COUNT; k++) row_write(&w, s, (enum fault)k);
    json_write_array_end(&w);
    answer(c, 200, &w);
}

static void row_answer(struct server *s, struct net_conn *c, enum fault kind) {
    char body[1024];
    struct json_writer w;
    json_writer_init(&w, body, sizeof body);
    json_write_object_begin(&w);
    json_write_key(&w, "fault");
    row_write(&w, s, kind);
    answer(c, 200, &w);
}

/* The kind named; -1 after it was refused. */
static int kind_of(struct net_conn *c, struct net_text query) {
    char kind[VALUE_SIZE];
    int k = parameter(kind, query, "kind") ? fault_find(kind) : -1;
    if (k < 0) refuse(c, 400, "kind is missing or not known: GET /faults lists them");
    return k;
}

static void fault_change(struct server *s, struct net_conn *c, const struct net_request *r) {
    char spec[VALUE_SIZE], text[VALUE_SIZE], *end;
    struct err err;
    if (parameter(spec, r->query, "spec")) { /* all of them anew, as --faults has it */
        if (faults_parse(&s->act.faults, spec, &err) != ST_OK) {
            refuse(c, 400, err.text);
            return;
        }
        fault_rates_changed(&s->act);
        faults_list(s, c);
        return;
    }
    int kind = kind_of(c, r->query);
    if (kind < 0) return;
    uint64_t seed = 0;
    bool has_seed = parameter(text, r->query, "seed");
    if (has_seed) {
        seed = strtoull(text, &end, 10);
        if (*end || *text < '0' || *text > '9') {
            refuse(c, 400, "seed is a number");
            return;
        }
    }
    double rate = -1;
    if (parameter(text, r->query, "rate") && *text >= '0' && *text <= '9') {
        rate = strtod(text, &end);
        if (*end) rate = -1;
    }
    if (!(rate >= 0 && rate <= 1)) {
        refuse(c, 400, "rate is a number from 0 to 1");
        return;
    }
    fault_set(&s->act.faults, (enum fault)kind, rate, has_seed ? &seed : NULL);
    fault_rates_changed(&s->act);
    row_answer(s, c, (enum fault)kind);
}

static void health(struct server *s, struct net_conn *c) {
    char body[512];
    struct json_writer w;
    struct world_stats world;
    struct err err = {0};
    world_stats_get(s->world, &world);
    enum status st = world_failed(s->world, &err);
    json_writer_init(&w, body, sizeof body);
    json_write_object_begin(&w);
    json_write_key(&w, "status");
    json_write_string(&w, st == ST_OK ? "ok" : "failed");
    json_write_key(&w, "why");
    json_write_string(&w, st == ST_OK ? "" : err.text);
    json_write_key(&w, "server_time_ms");
    json_write_i64(&w, server_now(s) / NS_PER_MS);
    json_write_key(&w, "journal_seq");
    json_write_u64(&w, world.journal_seq);
    json_write_key(&w, "recovered_records");
    json_write_u64(&w, world.recovered_records);
    /* 0, always: what is missing from the sum of all money. */
    struct exchange_totals totals;
    exchange_totals_get(s->world->exchange, &totals);
    json_write_key(&w, "money_error");
    json_write_e8(&w, totals.error.e8);
    answer(c, st == ST_OK ? 200 : 503, &w);
}

static void metrics_give(struct server *s, struct net_conn *c) {
    size_t size = 0;
    server_metrics_update(s);
    if (metrics_render(s->metrics, s->metrics_text, METRICS_SIZE, &size) != ST_OK) {
        net_respond(c, 500, "text/plain", NULL, "too long\n", 9);
        return;
    }
    net_respond(c, 200, "text/plain; version=0.0.4", NULL, s->metrics_text, size);
}

void admin_on_request(void *context, struct net_conn *c, const struct net_request *r) {
    struct server *s = context;
    bool get = r->method == NET_GET, post = r->method == NET_POST;
    if (get && is(r->path, "/faults")) {
        faults_list(s, c);
    } else if (post && is(r->path, "/faults")) {
        fault_change(s, c, r);
    } else if (post && is(r->path, "/faults/fire")) {
        int kind = kind_of(c, r->query);
        if (kind < 0) return;
        (void)server_now(s);
        fault_fire(&s->act, (enum fault)kind);
        server_settle(s);
        row_answer(s, c, (enum fault)kind);
    } else if (get && is(r->path, "/metrics")) {
        metrics_give(s, c);
    } else if (get && is(r->path, "/health")) {
        health(s, c);
    } else {
        refuse(c, 404,
               "GET /faults, POST /faults?kind=K&rate=R[&seed=N] or ?spec=SPEC, POST "
               "/faults/fire?kind=K, GET /metrics, GET /health");
    }
}
