#include "registry/test_registry_fixture.h"

#include "base/json.h"

/* Nothing here need outlive a power cut; test_registry_crash.c looks at the order of syncs. */
int fdatasync(int fd) {
    return fd < 0;
}

int fsync(int fd) {
    return fd < 0;
}

/* ---- adding and finding ---- */

static void what_is_added_is_found(void **state) {
    (void)state;
    reopen(false);
    struct registry_entry a = add(MODEL_XGBOOST, 1), b = add(MODEL_PATCHTST, 2), got;
    assert_int_equal(a.id, 1);
    assert_int_equal(b.id, 2);
    char text[32], path[REGISTRY_PATH_SIZE];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)b.hash);
    static const size_t lengths[] = {16, 9, 4};
    for (size_t i = 0; i < 3; i++) {
        text[lengths[i]] = '\0';
        assert_ok(registry_find(reg, &got, text, &err));
        assert_int_equal(got.id, 2);
    }
    assert_ok(registry_find(reg, &got, "2", &err));
    assert_memory_equal(&got, &b, sizeof got);
    assert_ok(registry_find(reg, &got, "#1", &err));
    assert_int_equal(got.hash, a.hash);
    assert_int_equal(got.state, PROMOTION_CANDIDATE);
    assert_int_equal(got.served_ns, 0);
    assert_true(got.has_skill);
    assert_ok(registry_path(reg, path, &got, &err));
    assert_string_equal(strrchr(path, '.'), learn_file_suffix(MODEL_XGBOOST));
    assert_ok(registry_verify(reg, &got, &err));
    static const char *const nobody[] = {
        "3",    "#3", "",  "#", "abc", "xyz1", "00112233445566778", "#abcd", "999999999999999",
        "ABCD", "-1", "1 "};
    for (size_t i = 0; i < sizeof nobody / sizeof nobody[0]; i++) {
        assert_status(registry_find(reg, &got, nobody[i], &err), ST_NOT_FOUND);
        assert_true(strlen(err.text) > 10);
    }
}

/* Two texts whose hashes begin alike, the second time with decimal digits alone. */
static void twins(char a[32], char b[32], int decimal) {
    static uint32_t seen[1 << 16];
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 1;; i++) {
        snprintf(a, 32, "twin %d %u", decimal, i);
        uint32_t prefix = (uint32_t)(hash64(a, strlen(a)) >> 48);
        bool digits = true;
        for (int k = 0; k < 16; k += 4) digits = digits && (prefix >> k & 15) < 10;
        if (decimal && !digits) continue;
        if (seen[prefix]) {
            snprintf(b, 32, "twin %d %u", decimal, seen[prefix]);
            return;
        }
        seen[prefix] = i;
    }
}

static void a_prefix_of_two_is_refused(void **state) {
    (void)state;
    reopen(false);
    for (int decimal = 0; decimal < 2; decimal++) {
        struct registry_entry a, b, got;
        char one[32], two[32], prefix[8];
        twins(one, two, decimal);
        assert_ok(add_text(&a, MODEL_XGBOOST, one, 0));
        assert_ok(add_text(&b, MODEL_XGBOOST, two, 0));
        snprintf(prefix, 5, "%04llx", (unsigned long long)(a.hash >> 48));
        assert_status(registry_find(reg, &got, prefix, &err), ST_MISMATCH);
        assert_non_null(strstr(err.text, "more digits"));
        char whole[32];
        snprintf(whole, sizeof whole, "%016llx", (unsigned long long)b.hash);
        assert_ok(registry_find(reg, &got, whole, &err));
        assert_int_equal(got.id, b.id);
    }
}

static void the_same_bytes_are_one_model(void **state) {
    (void)state;
    reopen(false);
    struct registry_entry a, b;
    assert_ok(add_text(&a, MODEL_XGBOOST, "weights", 0));
    assert_status(add_text(&b, MODEL_XGBOOST, "weights", 0), ST_EXISTS);
    assert_memory_equal(&a, &b, sizeof a);
    assert_non_null(strstr(err.text, "new.model: is model #1 already"));
    /* A damaged object is healed by the true bytes. */
    char path[REGISTRY_PATH_SIZE];
    assert_ok(registry_path(reg, path, &a, &err));
    file_write(path, "wEights", 7);
    assert_status(registry_verify(reg, &a, &err), ST_CORRUPT);
    assert_status(add_text(&b, MODEL_XGBOOST, "weights", 0), ST_EXISTS);
    assert_ok(registry_verify(reg, &a, &err));
    /* Nothing, and nothing there. */
    struct learn_report report = report_make(1);
    struct label_spec labels = label_spec_defaults();
    struct registry_card card = {MODEL_XGBOOST, NS_PER_HOUR, 1, &report, &labels, 0, "hand"};
    struct registry_change change = change_make("x");
    file_write(in_scratch("empty"), "", 0);
    assert_status(registry_add(reg, &b, in_scratch("empty"), &card, &change, &err), ST_INVALID);
    assert_status(registry_add(reg, &b, in_scratch("nowhere"), &card, &change, &err), ST_NOT_FOUND);
    assert_int_equal(problems(tell, NULL), 0);
}

static struct json_text member(const char *json, const char *a, const char *b) {
    struct json_reader r;
    struct json_text key, found = {NULL, 0, false};
    json_reader_init(&r, json, strlen(json));
    json_object_begin(&r);
    while (json_object_next(&r, &key)) {
        if (!json_text_is(&key, a) || json_peek(&r) != JSON_OBJECT) {
            struct json_text raw = json_raw(&r);
            if (json_text_is(&key, a) && !b) found = raw;
            continue;
        }
        json_object_begin(&r);
        while (json_object_next(&r, &key)) {
            struct json_text raw = json_raw(&r);
            if (b && json_text_is(&key, b)) found = raw;
        }
    }
    assert_int_equal(json_finish(&r), ST_OK);
    assert_non_null(found.data);
    return found;
}

static void assert_member(const char *json, const char *a, const char *b, const char *value) {
    struct json_text text = member(json, a, b);
    bool same =
        text.data && text.size == strlen(value) && strncmp(text.data, value, text.size) == 0;
    if (!same)
        print_error("%s.%s is %.*s, not %s\n", a, b ? b : "", (int)text.size, text.data, value);
    assert_true(same);
}

static void a_card_says_where_a_model_comes_from(void **state) {
    (void)state;
    reopen(false);
    struct registry_entry a = add(MODEL_NHITS, 1), b;
    assert_ok(add_text(&b, MODEL_NHITS, "warm", a.hash));
    char card[REGISTRY_CARD_SIZE], parent[32];
    assert_ok(registry_card_read(reg, card, b.id, &err));
    snprintf(parent, sizeof parent, "\"%016llx\"", (unsigned long long)a.hash);
    assert_member(card, "model", "kind", "\"nhits\"");
    assert_member(card, "model", "parent", parent);
    assert_member(card, "model", "interval", "\"1h\"");
    assert_member(card, "model", "trigger", "\"period\"");
    assert_member(card, "training", "rows_train", "1004");
    assert_member(card, "training", "params", "\"max_depth=4,seed=4\"");
    assert_member(card, "test", "verdict", "\"skill \\\"4\\\"\"");
    assert_member(card, "labels", "horizon_bars", "12");
    assert_member(card, "validator", NULL, "null");
    assert_int_equal(b.parent, a.hash);
    /* The verdict comes later, and the last one counts. */
    struct promotion_verdict v = {.outcome = PROMOTION_ACCEPTS,
                                  .mape_old = 1,
                                  .mape_new = 0.875,
                                  .sharpe_old = 0.1,
                                  .sharpe_new = 0.2,
                                  .wealth = 2000,
                                  .p = 0.0005,
                                  .pairs = 600,
                                  .samples = 60};
    struct registry_change change = change_make("rule holds");
    change.verdict = &v;
    assert_ok(registry_event(reg, b.id, PROMOTION_SHADOW_BEGIN, &change, &err));
    assert_ok(event(b.id, PROMOTION_REJECT)); /* without figures: the old ones stay */
    assert_ok(registry_card_read(reg, card, b.id, &err));
    assert_member(card, "validator", "outcome", "\"accept\"");
    assert_member(card, "validator", "mape_new", "0.875");
    assert_member(card, "validator", "reason", "\"pass\"");
    assert_status(registry_card_read(reg, card, 77, &err), ST_NOT_FOUND);
}

/* ---- seats ---- */

static void the_seat_goes_round_and_back(void **state) {
    (void)state;
    reopen(false);
    struct registry_entry a = add(MODEL_XGBOOST, 1), b = add(MODEL_XGBOOST, 2),
                          c = add(MODEL_XGBOOST, 3), other = add(MODEL_LIGHTGBM, 1), out;
    assert_int_equal(served(MODEL_XGBOOST), 0);
    assert_int_equal(pointed(MODEL_XGBOOST), 0);
    assert_ok(promote(a.id, PROMOTION_INSTALL));
    assert_int_equal(pointed(MODEL_XGBOOST), a.hash);
    assert_ok(promote(other.id, PROMOTION_INSTALL)); /* another seat */
    assert_ok(event(b.id, PROMOTION_SHADOW_BEGIN));
    assert_status(promote(b.id, PROMOTION_PROMOTE), ST_REFUSED); /* not accepted yet */
    assert_ok(event(b.id, PROMOTION_ACCEPT));
    assert_ok(promote(b.id, PROMOTION_PROMOTE));
    assert_status(promote(b.id, PROMOTION_RESTORE), ST_EXISTS);
    assert_int_equal(served(MODEL_XGBOOST), b.id);
    assert_int_equal(pointed(MODEL_XGBOOST), b.hash);
    assert_int_equal(get(a.id).state, PROMOTION_RETIRED);
    assert_int_equal(get(b.id).predecessor, a.id);
    assert_ok(promote(c.id, PROMOTION_INSTALL));

    struct registry_change change = change_make("worse");
    assert_ok(registry_retreat(reg, &out, MODEL_XGBOOST, PROMOTION_DEMOTE, &change, &err));
    assert_int_equal(out.id, b.id);
    assert_int_equal(get(c.id).state, PROMOTION_DEMOTED);
    assert_int_equal(pointed(MODEL_XGBOOST), b.hash);
    assert_ok(registry_retreat(reg, &out, MODEL_XGBOOST, PROMOTION_ROLL_BACK, &change, &err));
    assert_int_equal(out.id, a.id);
    assert_int_equal(get(b.id).state, PROMOTION_ROLLED_BACK);
    assert_status(registry_retreat(reg, &out, MODEL_XGBOOST, PROMOTION_ROLL_BACK, &change, &err),
                  ST_NOT_FOUND);
    assert_int_equal(served(MODEL_XGBOOST), a.id);
    /* Without anybody before it, a demotion leaves the seat empty. */
    assert_ok(registry_retreat(reg, &out, MODEL_XGBOOST, PROMOTION_DEMOTE, &change, &err));
    assert_int_equal(out.id, 0);
    assert_int_equal(served(MODEL_XGBOOST), 0);
    assert_int_equal(pointed(MODEL_XGBOOST), 0);
    assert_status(registry_retreat(reg, &out, MODEL_XGBOOST, PROMOTION_DEMOTE, &change, &err),
                  ST_NOT_FOUND);
    /* Each that was served can be served again, in any order. */
    int64_t ids[] = {c.id, a.id, b.id, a.id};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(promote(ids[i], PROMOTION_RESTORE));
        assert_int_equal(served(MODEL_XGBOOST), ids[i]);
        assert_int_equal(pointed(MODEL_XGBOOST), get(ids[i]).hash);
    }
    assert_int_equal(served(MODEL_LIGHTGBM), other.id);
    assert_int_equal(problems(tell, NULL), 0);
}

static void what_the_table_does_not_have_is_refused(void **state) {
    (void)state;
    reopen(false);
    struct registry_entry a = add(MODEL_XGBOOST, 1), out;
    int64_t before, after;
    assert_ok(registry_generation(reg, &before, &err));
    for (int e = 0; e < PROMOTION_EVENT_COUNT; e++) {
        enum promotion_state to;
        enum promotion_event ev = (enum promotion_event)e;
        if (promotion_transition(&to, PROMOTION_CANDIDATE, ev)) continue;
        enum status st = event(a.id, ev);
        assert_true(st == ST_REFUSED || st == ST_INVALID);
        st = promote(a.id, ev);
        assert_true(st == ST_REFUSED || st == ST_INVALID);
    }
    struct registry_change change = change_make("x");
    assert_status(registry_retreat(reg, &out, MODEL_XGBOOST, PROMOTION_REJECT, &change, &err),
                  ST_INVALID);
    assert_status(event(9, PROMOTION_REJECT), ST_NOT_FOUND);
    assert_status(promote(9, PROMOTION_INSTALL), ST_NOT_FOUND);
    char reason[REGISTRY_REASON_SIZE + 1], actor[REGISTRY_ACTOR_SIZE + 1];
    memset(reason, 'r', sizeof reason - 1);
    memset(actor, 'a', sizeof actor - 1);
    reason[sizeof reason - 1] = actor[sizeof actor - 1] = '\0';
    struct registry_change bad[] = {{"test", reason, NULL, now},
                                    {actor, "x", NULL, now},
                                    {"", "x", NULL, now},
                                    {"test", "x", NULL, 0}};
    for (size_t i = 0; i < 4; i++)
        assert_status(registry_event(reg, a.id, PROMOTION_REJECT, &bad[i], &err), ST_RANGE);
    assert_ok(registry_generation(reg, &after, &err));
    assert_int_equal(before, after);
    assert_int_equal(get(a.id).state, PROMOTION_CANDIDATE);
}

static void a_damaged_file_is_not_served(void **state) {
    (void)state;
    reopen(false);
    struct registry_entry a = add(MODEL_XGBOOST, 1), b = add(MODEL_XGBOOST, 2), out;
    char path[REGISTRY_PATH_SIZE];
    assert_ok(promote(a.id, PROMOTION_INSTALL));
    assert_ok(registry_path(reg, path, &b, &err));
    file_write(path, "model 2 of kind 1", 17); /* one byte is another */
    assert_status(promote(b.id, PROMOTION_INSTALL), ST_CORRUPT);
    assert_non_null(strstr(err.text, "#2"));
    assert_int_equal(unlink(path), 0);
    assert_status(promote(b.id, PROMOTION_INSTALL), ST_NOT_FOUND);
    assert_int_equal(served(MODEL_XGBOOST), a.id);
    assert_int_equal(get(b.id).state, PROMOTION_CANDIDATE);
    assert_int_equal(problems(NULL, NULL), 1);
    /* The way back to a damaged one: by hand it is refused, the watch does not wait. */
    struct registry_entry c = add(MODEL_XGBOOST, 3);
    assert_ok(promote(c.id, PROMOTION_INSTALL));
    assert_ok(registry_path(reg, path, &a, &err));
    file_write(path, "m", 1);
    struct registry_change change = change_make("worse");
    assert_status(registry_retreat(reg, &out, MODEL_XGBOOST, PROMOTION_ROLL_BACK, &change, &err),
                  ST_CORRUPT);
    assert_int_equal(served(MODEL_XGBOOST), c.id);
    assert_ok(registry_retreat(reg, &out, MODEL_XGBOOST, PROMOTION_DEMOTE, &change, &err));
    assert_int_equal(served(MODEL_XGBOOST), 0);
    assert_int_equal(get(a.id).state, PROMOTION_RETIRED);
}

/* ---- what is kept ---- */

static enum status sql(const char *text) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in_scratch("models/registry.sqlite"), &db), SQLITE_OK);
    int code = sqlite3_exec(db, text, NULL, NULL, NULL);
    sqlite3_close(db);
    return code == SQLITE_OK ? ST_OK : ST_REFUSED;
}

static void what_was_served_is_kept(void **state) {
    (void)state;
    reopen(false);
    struct registry_entry a = add(MODEL_XGBOOST, 1), b = add(MODEL_XGBOOST, 2), out;
    struct registry_change change = change_make("tidy");
    assert_status(registry_remove(reg, b.id, &change, &err), ST_REFUSED); /* not rejected */
    assert_ok(promote(a.id, PROMOTION_INSTALL));
    assert_ok(promote(b.id, PROMOTION_INSTALL));
    for (int64_t id = 1; id <= 2; id++)
        assert_status(registry_remove(reg, id, &change, &err), ST_REFUSED);
    assert_ok(registry_retreat(reg, &out, MODEL_XGBOOST, PROMOTION_DEMOTE, &change, &err));
    assert_status(registry_remove(reg, b.id, &change, &err), ST_REFUSED);
    /* Nor by anybody who writes to the database. */
    assert_int_equal(sql("UPDATE models SET removed_ns = 5 WHERE id = 2"), ST_REFUSED);
    assert_int_equal(sql("UPDATE models SET served_ns = NULL WHERE id = 2"), ST_REFUSED);
    assert_int_equal(sql("DELETE FROM models WHERE id = 2"), ST_REFUSED);
    assert_int_equal(sql("DELETE FROM audit"), ST_REFUSED);
    assert_int_equal(sql("UPDATE audit SET reason = 'other'"), ST_REFUSED);
    /* A rejected one that never was: the file goes, what is known of it stays. */
    struct registry_entry c = add(MODEL_XGBOOST, 3);
    char path[REGISTRY_PATH_SIZE], card[REGISTRY_CARD_SIZE];
    assert_ok(registry_path(reg, path, &c, &err));
    assert_ok(event(c.id, PROMOTION_REJECT));
    assert_int_equal(access(path, F_OK), 0);
    assert_ok(registry_remove(reg, c.id, &change, &err));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_status(registry_remove(reg, c.id, &change, &err), ST_EXISTS);
    assert_ok(registry_card_read(reg, card, c.id, &err));
    assert_true(get(c.id).removed_ns > 0);
    assert_int_equal(problems(tell, NULL), 0);
}

struct audit_seen {
    size_t count;
    struct registry_audit_row rows[64];
};

static bool audit_collect(void *context, const struct registry_audit_row *row) {
    struct audit_seen *seen = context;
    assert_true(seen->count < 64);
    seen->rows[seen->count++] = *row;
    return true;
}

static void every_change_is_a_row_and_a_line(void **state) {
    (void)state;
    static struct audit_seen seen;
    reopen(false);
    struct registry_entry a = add(MODEL_XGBOOST, 1), b = add(MODEL_XGBOOST, 2);
    assert_ok(promote(a.id, PROMOTION_INSTALL));
    struct promotion_verdict v = {.outcome = PROMOTION_REJECTS,
                                  .reason = PROMOTION_ERROR_NOT_LOWER,
                                  .mape_old = 0.02,
                                  .mape_new = 0.0194};
    struct registry_change change = change_make("two\nlines and \"quotes\"");
    change.verdict = &v;
    assert_ok(registry_event(reg, b.id, PROMOTION_REJECT, &change, &err));
    memset(&seen, 0, sizeof seen);
    assert_ok(registry_audit(reg, 0, 0, audit_collect, &seen, &err));
    assert_int_equal(seen.count, 4);
    assert_string_equal(seen.rows[0].event, "add");
    assert_string_equal(seen.rows[2].event, "install");
    assert_string_equal(seen.rows[2].from, "candidate");
    assert_string_equal(seen.rows[2].to, "serving");
    assert_string_equal(seen.rows[3].reason, change.reason);
    assert_non_null(strstr(seen.rows[3].figures, "why=error_not_3_percent_lower mape_old=0.02 "
                                                 "mape_new=0.0194"));
    assert_int_equal(seen.rows[3].hash, b.hash);
    assert_int_equal(seen.rows[3].ts_ns, now);
    assert_int_equal(log_lines(), 4);
    memset(&seen, 0, sizeof seen);
    assert_ok(registry_audit(reg, a.id, 1, audit_collect, &seen, &err));
    assert_int_equal(seen.count, 1);
    FILE *f = fopen(in_scratch("models/audit.log"), "r");
    char line[2048] = "";
    while (fgets(line, sizeof line, f)) {}
    fclose(f);
    assert_non_null(strstr(line, " audit=4 model=2 kind=xgboost hash="));
    assert_non_null(strstr(line, " event=reject from=candidate to=rejected actor=\"test\" "
                                 "reason=\"two\\nlines and \\\"quotes\\\"\" outcome=reject "));
}

/* Whatever of it is gone, pointer and log are made again from the database. */
static void the_outside_is_made_from_the_database(void **state) {
    (void)state;
    reopen(false);
    struct registry_entry a = add(MODEL_XGBOOST, 1);
    assert_ok(promote(a.id, PROMOTION_INSTALL));
    assert_int_equal(log_lines(), 2);
    unlink(in_scratch("models/audit.log"));
    unlink(in_scratch("models/serving/xgboost"));
    assert_int_equal(problems(NULL, NULL), 1);
    reopen(false);
    assert_int_equal(log_lines(), 2);
    assert_int_equal(pointed(MODEL_XGBOOST), a.hash);
    assert_int_equal(truncate(in_scratch("models/audit.log"), 200), 0); /* half a line */
    reopen(false);
    assert_int_equal(log_lines(), 2);
    file_write(in_scratch("models/audit.log"), "somebody wrote here\n", 20);
    registry_close(reg);
    reg = NULL;
    assert_status(registry_open(&reg, in_scratch("models"), false, &err), ST_CORRUPT);
    assert_non_null(strstr(err.text, "audit.log"));
    unlink(in_scratch("models/audit.log"));
    reopen(false);
    file_write(in_scratch("models/serving/xgboost"), "../../x\n", 8);
    char path[REGISTRY_PATH_SIZE];
    uint64_t hash;
    assert_status(registry_pointer(path, &hash, in_scratch("models"), MODEL_XGBOOST, &err),
                  ST_CORRUPT);
    file_write(in_scratch("models/objects/stranger"), "x", 1);
    assert_int_equal(problems(NULL, NULL), 2);
}

static void other_files_are_told_apart(void **state) {
    (void)state;
    assert_status(registry_open(&reg, in_scratch("models"), true, &err), ST_NOT_FOUND);
    assert_int_equal(mkdir(in_scratch("models"), 0700), 0);
    file_write(in_scratch("models/registry.sqlite"), "this is no database, but long enough to look",
               44);
    assert_status(registry_open(&reg, in_scratch("models"), false, &err), ST_CORRUPT);
    unlink(in_scratch("models/registry.sqlite"));
    assert_int_equal(sql("CREATE TABLE trades (id INTEGER)"), ST_OK);
    assert_status(registry_open(&reg, in_scratch("models"), false, &err), ST_MISMATCH);
    unlink(in_scratch("models/registry.sqlite"));
    reopen(false);
    assert_int_equal(sql("PRAGMA user_version = 99"), ST_OK);
    registry_close(reg);
    reg = NULL;
    assert_status(registry_open(&reg, in_scratch("models"), false, &err), ST_VERSION);
    assert_null(reg);
}

static void a_reader_sees_but_does_not_write(void **state) {
    (void)state;
    reopen(false);
    struct registry_entry a = add(MODEL_XGBOOST, 1);
    struct registry *writer = reg;
    reg = NULL;
    reopen(true);
    int64_t before, after;
    assert_ok(registry_generation(reg, &before, &err));
    assert_int_equal(promote(a.id, PROMOTION_INSTALL), ST_REFUSED);
    struct registry_change change = change_make("by the writer");
    assert_ok(registry_promote(writer, a.id, PROMOTION_INSTALL, &change, &err));
    assert_ok(registry_generation(reg, &after, &err));
    assert_true(after > before);
    assert_int_equal(served(MODEL_XGBOOST), a.id);
    registry_close(writer);
}

/* ---- many at once, and a twin ---- */

static void many_processes_leave_one_truth(void **state) {
    (void)state;
    enum { WRITERS = 4, CHANGES = 25, MODELS = 6 };
    uint64_t seed = test_seed();
    reopen(false);
    for (uint64_t i = 0; i < MODELS; i++) {
        struct registry_entry entry = add(MODEL_XGBOOST, i);
        assert_ok(promote(entry.id, PROMOTION_INSTALL));
    }
    registry_close(reg);
    reg = NULL;
    pid_t children[WRITERS];
    for (uint64_t w = 0; w < WRITERS; w++) {
        children[w] = fork();
        assert_true(children[w] >= 0);
        if (children[w] != 0) continue;
        struct rng r = rng_init(seed + w);
        if (registry_open(&reg, in_scratch("models"), false, &err) != ST_OK) _exit(1);
        for (int i = 0; i < CHANGES; i++) {
            struct registry_entry out;
            struct registry_change change = change_make("crowd");
            enum status st = rng_below(&r, 3)
                                 ? registry_promote(reg, 1 + (int64_t)rng_below(&r, MODELS),
                                                    PROMOTION_RESTORE, &change, &err)
                                 : registry_retreat(reg, &out, MODEL_XGBOOST, PROMOTION_ROLL_BACK,
                                                    &change, &err);
            if (st != ST_OK && st != ST_EXISTS && st != ST_NOT_FOUND) _exit(2);
        }
        registry_close(reg);
        _exit(0);
    }
    for (int w = 0; w < WRITERS; w++) {
        int status;
        assert_int_equal(waitpid(children[w], &status, 0), children[w]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    reopen(true);
    assert_int_equal(problems(tell, NULL), 0);
    int64_t rows;
    assert_ok(registry_generation(reg, &rows, &err));
    assert_true(rows > 2 * MODELS + MODELS - 1 + WRITERS * CHANGES / 2);
    assert_int_equal(log_lines(), rows);
}

/* Random changes against what a list in memory says should come of them. */
static void random_changes_equal_a_twin(void **state) {
    (void)state;
    enum { MODELS = 12, CHANGES = 400 };
    struct rng r = rng_init(test_seed());
    struct {
        int64_t predecessor;
        enum promotion_state state;
        bool was_served;
    } twin[MODELS + 1];
    int64_t holder = 0;
    reopen(false);
    for (int64_t i = 1; i <= MODELS; i++) {
        assert_int_equal(add(MODEL_LIGHTGBM, (uint64_t)i).id, i);
        twin[i].state = PROMOTION_CANDIDATE;
        twin[i].predecessor = 0;
        twin[i].was_served = false;
    }
    for (int n = 0; n < CHANGES; n++) {
        int64_t id = 1 + (int64_t)rng_below(&r, MODELS);
        enum promotion_event e = (enum promotion_event)rng_below(&r, PROMOTION_EVENT_COUNT);
        enum promotion_state to;
        struct registry_entry out;
        if (e == PROMOTION_DEMOTE || e == PROMOTION_ROLL_BACK) {
            struct registry_change change = change_make("random");
            enum status st = registry_retreat(reg, &out, MODEL_LIGHTGBM, e, &change, &err);
            int64_t next = holder ? twin[holder].predecessor : 0;
            bool legal = holder && (next || e == PROMOTION_DEMOTE);
            assert_status(st, legal ? ST_OK : ST_NOT_FOUND);
            if (!legal) continue;
            twin[holder].state = e == PROMOTION_DEMOTE ? PROMOTION_DEMOTED : PROMOTION_ROLLED_BACK;
            if (next) twin[next].state = PROMOTION_SERVING;
            holder = next;
        } else if (e == PROMOTION_PROMOTE || e == PROMOTION_INSTALL || e == PROMOTION_RESTORE) {
            bool legal = promotion_transition(&to, twin[id].state, e);
            enum status st = promote(id, e);
            assert_status(st, legal ? ST_OK : id == holder ? ST_EXISTS : ST_REFUSED);
            if (!legal) continue;
            if (holder) twin[holder].state = PROMOTION_RETIRED;
            twin[id].predecessor = holder;
            twin[id].state = PROMOTION_SERVING;
            twin[id].was_served = true;
            holder = id;
        } else if (e != PROMOTION_RETIRE && (e != PROMOTION_REJECT || rng_below(&r, 4) == 0)) {
            bool legal = promotion_transition(&to, twin[id].state, e);
            assert_status(event(id, e), legal ? ST_OK : ST_REFUSED);
            if (legal) twin[id].state = to;
        }
        if (rng_below(&r, 50) == 0) reopen(false);
        assert_int_equal(served(MODEL_LIGHTGBM), holder);
        assert_int_equal(pointed(MODEL_LIGHTGBM), holder ? get(holder).hash : 0);
        for (int64_t i = 1; i <= MODELS; i++) {
            struct registry_entry entry = get(i);
            assert_int_equal(entry.state, twin[i].state);
            assert_int_equal(entry.predecessor, twin[i].predecessor);
            assert_int_equal(entry.served_ns != 0, twin[i].was_served);
        }
    }
    assert_int_equal(problems(tell, NULL), 0);
}

int main(void) {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(what_is_added_is_found),
        IN_SCRATCH(a_prefix_of_two_is_refused),
        IN_SCRATCH(the_same_bytes_are_one_model),
        IN_SCRATCH(a_card_says_where_a_model_comes_from),
        IN_SCRATCH(the_seat_goes_round_and_back),
        IN_SCRATCH(what_the_table_does_not_have_is_refused),
        IN_SCRATCH(a_damaged_file_is_not_served),
        IN_SCRATCH(what_was_served_is_kept),
        IN_SCRATCH(every_change_is_a_row_and_a_line),
        IN_SCRATCH(the_outside_is_made_from_the_database),
        IN_SCRATCH(other_files_are_told_apart),
        IN_SCRATCH(a_reader_sees_but_does_not_write),
        IN_SCRATCH(many_processes_leave_one_truth),
        IN_SCRATCH(random_changes_equal_a_twin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
