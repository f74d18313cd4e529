/* Disks of a simulation: an image is what kill -9 leaves, a power loss keeps what was synced and any piece of the rest,
 * a bad disk loses nothing it called durable. TEST_SEED=n repeats, TEST_OPS=n: so many rounds. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sim/disk.h"

enum { PATH = 300, PAYLOAD_MAX = 200 };

static char root[PATH], run[PATH + 8], image[PATH + 8], journal_dir[PATH + 24],
    image_journal[PATH + 24];
static uint64_t seed;

static int setup(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR"), *text = getenv("TEST_SEED");
    seed = text ? strtoull(text, NULL, 10) : 20261123;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    /* Where syncing costs nothing: thousands of them are made. */
    if (!tmp) tmp = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(root, sizeof root, "%s/quantum-disk-XXXXXX", tmp);
    if (!mkdtemp(root)) return -1;
    snprintf(run, sizeof run, "%s/run", root);
    snprintf(image, sizeof image, "%s/image", root);
    snprintf(journal_dir, sizeof journal_dir, "%s/journal", run);
    snprintf(image_journal, sizeof image_journal, "%s/journal", image);
    return mkdir(run, 0755);
}

static int teardown(void **state) {
    (void)state;
    sim_disk_remove(root);
    return access(root, F_OK) == 0;
}

static void again(void) {
    sim_disk_remove(run);
    sim_disk_remove(image);
    assert_int_equal(mkdir(run, 0755), 0);
}

static uint64_t rounds(uint64_t usual) {
    const char *text = getenv("TEST_OPS");
    return text ? strtoull(text, NULL, 10) : usual;
}

static void ok(enum status st, const struct err *err) {
    if (st != ST_OK) fail_msg("%s: %s", status_name(st), err->text);
}

/* Contents follow from the sequence number and the timeline: records of another one are noticed. */
static uint32_t payload_of(uint8_t *out, uint64_t seq, uint64_t timeline) {
    struct rng r = rng_split(&(struct rng){timeline, 0}, seq);
    uint32_t size = (uint32_t)rng_below(&r, PAYLOAD_MAX);
    for (uint32_t i = 0; i < size; i++) out[i] = (uint8_t)rng_u64(&r);
    return size;
}

static void append(struct journal *j, uint64_t timeline) {
    uint8_t payload[PAYLOAD_MAX];
    uint64_t seq = journal_last_seq(j) + 1;
    uint32_t size = payload_of(payload, seq, timeline);
    assert_int_equal(journal_append(j, 7, 1, (int64_t)seq, payload, size), seq);
}

static struct journal_options options_of(const struct sim_disk *d) {
    struct journal_options o = journal_options_defaults();
    o.segment_bytes = 8192;
    o.buffer_bytes = 4096;
    o.probe = d ? &d->probe : NULL;
    return o;
}

static struct journal *opened(const char *dir, const struct sim_disk *d,
                              struct journal_repair *repair) {
    struct journal_options o = options_of(d);
    struct journal *j;
    struct err err = {0};
    ok(journal_open(&j, repair, dir, &o, &err), &err);
    return j;
}

/* Every record of the timeline from the first to the last one there is; returns that one. */
static uint64_t read_timeline(const char *dir, uint64_t timeline) {
    struct journal_reader *r;
    struct journal_record record;
    struct err err = {0};
    uint8_t want[PAYLOAD_MAX];
    uint64_t seq = 0;
    enum status st;
    ok(journal_reader_open(&r, dir, 1, &err), &err);
    while ((st = journal_next(r, &record, &err)) == ST_OK) {
        uint32_t size = payload_of(want, ++seq, timeline);
        assert_int_equal(record.seq, seq);
        assert_int_equal(record.size, size);
        assert_memory_equal(record.payload, want, size);
    }
    journal_reader_close(r);
    if (st != ST_END) fail_msg("%s", err.text);
    return seq;
}

/* Some appends, flushes and commits. */
static void write_some(struct journal *j, uint64_t timeline, struct rng *rng) {
    for (uint64_t i = rng_below(rng, 120); i > 0; i--) {
        append(j, timeline);
        uint64_t what = rng_below(rng, 12);
        if (what == 0) assert_int_equal(journal_flush(j, NULL), ST_OK);
        if (what == 1) assert_int_equal(journal_commit(j, NULL), ST_OK);
    }
}

static blkcnt_t blocks_of(const char *dir, const char *name) {
    char path[2 * PATH];
    struct stat sb;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(stat(path, &sb), 0);
    return sb.st_blocks;
}

/* Taken while the writer is at work, at a record: everything appended so far is in it, and what the writer still does
 * is not. */
static void an_image_holds_all_that_was_appended(void **state) {
    (void)state;
    struct rng rng = rng_init(seed);
    for (uint64_t round = rounds(60); round > 0; round--) {
        struct sim_disk d;
        struct err err = {0};
        struct journal_repair repair;
        sim_disk_init(&d, rng_u64(&rng), NULL);
        again();
        struct journal *j = opened(journal_dir, &d, NULL);
        write_some(j, seed, &rng);
        uint64_t last = journal_last_seq(j);
        assert_int_equal(d.appended, last);
        assert_int_equal(d.durable, journal_durable_seq(j));
        ok(sim_disk_image(run, image, &err), &err);
        write_some(j, seed + 1, &rng); /* a ghost */
        assert_int_equal(journal_close(j, NULL), ST_OK);
        sim_disk_remove(run);
        j = opened(image_journal, &d, &repair);
        assert_int_equal(repair.last_seq, last);
        assert_int_equal(repair.bytes_dropped, 0);
        append(j, seed);
        assert_int_equal(journal_close(j, NULL), ST_OK);
        assert_int_equal(read_timeline(image_journal, seed), last + 1);
    }
}

static void an_image_of_a_large_segment_is_small(void **state) {
    (void)state;
    static const char first[] = "00000000000000000001.seg";
    struct journal_options o = journal_options_defaults();
    struct journal *j;
    struct err err = {0};
    again();
    ok(journal_open(&j, NULL, journal_dir, &o, &err), &err);
    append(j, seed);
    assert_int_equal(journal_commit(j, NULL), ST_OK);
    ok(sim_disk_image(run, image, &err), &err);
    struct stat sb;
    char path[2 * PATH];
    snprintf(path, sizeof path, "%s/%s", image_journal, first);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_size, o.segment_bytes);
    assert_true(blocks_of(image_journal, first) <= 64);
    assert_true(blocks_of(image_journal, "buffer") <= 64);
    assert_int_equal(journal_close(j, NULL), ST_OK);
}

/* Lives one after another, each ended by a kill or by the power. */
static void a_power_loss_keeps_what_was_synced(void **state) {
    (void)state;
    struct rng rng = rng_init(seed ^ 1);
    uint64_t lost = 0, kept_more = 0, torn = 0, dropped = 0;
    for (uint64_t round = rounds(40); round > 0; round--) {
        struct sim_disk d;
        sim_disk_init(&d, rng_u64(&rng), NULL);
        again();
        for (int life = 0; life < 6; life++) {
            struct err err = {0};
            struct journal_repair repair = {0};
            struct journal *j = opened(journal_dir, &d, &repair);
            dropped += repair.bytes_dropped > 0;
            write_some(j, seed, &rng);
            uint64_t last = journal_last_seq(j), durable = journal_durable_seq(j);
            ok(sim_disk_image(run, image, &err), &err);
            assert_int_equal(journal_close(j, NULL), ST_OK);
            sim_disk_remove(run);
            assert_int_equal(rename(image, run), 0);
            uint64_t expected = last;
            if (rng_below(&rng, 3)) {
                struct sim_disk_loss loss;
                d.durable = durable; /* closing synced more than the image saw */
                ok(sim_disk_power_loss(&d, run, &loss, &err), &err);
                assert_in_range(loss.last_seq, durable, last);
                expected = loss.last_seq;
                lost += expected < last;
                kept_more += expected > durable;
                torn += loss.bytes_torn > 0;
            }
            j = opened(journal_dir, &d, &repair);
            assert_int_equal(repair.last_seq, expected);
            assert_int_equal(journal_durable_seq(j), expected);
            dropped += repair.bytes_dropped > 0;
            assert_int_equal(journal_close(j, NULL), ST_OK);
            if (expected) assert_int_equal(read_timeline(journal_dir, seed), expected);
            d.appended = d.durable = expected;
        }
    }
    print_message("%" PRIu64 " times records were lost, %" PRIu64
                  " times more than the synced ones "
                  "were left, %" PRIu64 " torn pieces, %" PRIu64 " repaired tails\n",
                  lost, kept_more, torn, dropped);
    assert_true(lost > 10 && kept_more > 10 && torn > 10 && dropped > 5);
}

static void a_turned_bit_is_found(void **state) {
    (void)state;
    struct rng rng = rng_init(seed ^ 2);
    uint64_t cut = 0, corrupt = 0;
    for (uint64_t round = rounds(60); round > 0; round--) {
        struct err err = {0};
        struct journal_repair repair;
        again();
        struct journal *j = opened(journal_dir, NULL, NULL);
        while (journal_last_seq(j) < 150) append(j, seed);
        assert_int_equal(journal_close(j, NULL), ST_OK);
        uint64_t bad = 1 + rng_below(&rng, 150);
        ok(sim_disk_rot(journal_dir, bad, &rng, &err), &err);
        j = opened(journal_dir, NULL, &repair);
        assert_int_equal(journal_close(j, NULL), ST_OK);
        if (repair.last_seq < 150) { /* it was in the newest segment */
            assert_int_equal(repair.last_seq, bad - 1);
            assert_true(repair.bytes_dropped > 0);
            assert_int_equal(read_timeline(journal_dir, seed), bad - 1);
            cut++;
            continue;
        }
        struct journal_reader *r;
        struct journal_record record;
        uint64_t seen = 0;
        enum status st;
        ok(journal_reader_open(&r, journal_dir, 1, &err), &err);
        while ((st = journal_next(r, &record, &err)) == ST_OK) seen = record.seq;
        journal_reader_close(r);
        assert_int_equal(st, ST_CORRUPT);
        assert_int_equal(seen, bad - 1);
        corrupt++;
    }
    assert_true(cut > 0 && corrupt > 0);
}

/* Short writes are nobody's business but the writer's; anything else ends it, and what it called durable is there. */
static void a_bad_disk_loses_nothing_durable(void **state) {
    (void)state;
    struct rng rng = rng_init(seed ^ 3);
    uint64_t failures = 0, shortened = 0;
    for (uint64_t round = rounds(120); round > 0; round--) {
        struct sim_disk d;
        struct err err = {0};
        struct journal_repair repair;
        struct journal_options o = options_of(&d);
        struct journal *j;
        sim_disk_init(&d, rng_u64(&rng), NULL);
        again();
        d.faults.short_write = 0.5;
        if (round % 3) {
            d.faults.no_space = 0.01;
            d.faults.sync_error = 0.02;
        }
        enum status st = journal_open(&j, NULL, journal_dir, &o, &err);
        uint64_t durable = 0, last = 0;
        if (st == ST_OK) {
            for (int i = 0; i < 200 && st == ST_OK; i++) {
                append(j, seed);
                if (i % 5 == 4) st = journal_commit(j, &err);
            }
            durable = journal_durable_seq(j);
            last = journal_last_seq(j);
            assert_int_equal(journal_failed(j, NULL), st);
            enum status closed = journal_close(j, st == ST_OK ? &err : NULL);
            if (st == ST_OK) st = closed;
        }
        if (st != ST_OK) {
            assert_int_equal(st, ST_IO);
            assert_non_null(strstr(err.text, journal_dir));
            assert_true(strstr(err.text, "No space left") || strstr(err.text, "Input/output"));
            failures++;
        }
        assert_int_equal(d.failed > 0, st != ST_OK);
        shortened += d.shortened;
        d.faults = (struct sim_disk_faults){0};
        j = opened(journal_dir, &d, &repair);
        assert_in_range(repair.last_seq, durable, last);
        append(j, seed);
        assert_int_equal(journal_close(j, NULL), ST_OK);
        assert_int_equal(read_timeline(journal_dir, seed), repair.last_seq + 1);
    }
    assert_true(failures > 20 && shortened > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_holds_all_that_was_appended),
        cmocka_unit_test(an_image_of_a_large_segment_is_small),
        cmocka_unit_test(a_power_loss_keeps_what_was_synced),
        cmocka_unit_test(a_turned_bit_is_found),
        cmocka_unit_test(a_bad_disk_loses_nothing_durable),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
