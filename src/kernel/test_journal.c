/* The journal: round trips over segments, torn tails of every length, failing system calls, killed
 * writers, readers behind a live writer. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "kernel/journal_internal.h"

static char dir[256];

static int remove_one(const char *path, const struct stat *sb, int flag, struct FTW *ftw) {
    (void)sb, (void)flag, (void)ftw;
    return remove(path);
}

static void dir_remove(void) {
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int dir_make(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/journal-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int dir_drop(void **state) {
    (void)state;
    dir_remove();
    return 0;
}

static struct journal_options small(void) {
    struct journal_options o = journal_options_defaults();
    o.segment_bytes = JOURNAL_SEGMENT_MIN;
    o.buffer_bytes = 4096;
    return o;
}

/* Contents follow from the sequence number, so any record can be checked alone. */
static uint32_t fill_payload(uint8_t *out, uint64_t seq) {
    struct rng r = rng_split(&(struct rng){77, 0}, seq);
    uint32_t size = (uint32_t)rng_below(&r, 200);
    for (uint32_t i = 0; i < size; i++) out[i] = (uint8_t)rng_u64(&r);
    return size;
}

static uint64_t append_seq(struct journal *j) {
    uint8_t payload[256];
    uint64_t seq = journal_last_seq(j) + 1;
    uint32_t size = fill_payload(payload, seq);
    uint64_t got = journal_append(j, (uint16_t)(seq % 100), 3, (int64_t)seq * 1000, payload, size);
    assert_int_equal(got, seq);
    return seq;
}

static void check_record(const struct journal_record *r, uint64_t seq) {
    uint8_t payload[256];
    uint32_t size = fill_payload(payload, seq);
    assert_int_equal(r->seq, seq);
    assert_int_equal(r->type, seq % 100);
    assert_int_equal(r->version, 3);
    assert_int_equal(r->ts_ns, (int64_t)seq * 1000);
    assert_int_equal(r->size, size);
    assert_memory_equal(r->payload, payload, size);
    assert_int_equal((uintptr_t)r->payload % 8, 0);
}

/* Reads all there is from `from`; returns the last sequence number seen. */
static uint64_t read_all(uint64_t from) {
    struct journal_reader *r;
    struct journal_record record;
    struct err err = {0};
    uint64_t seq = from ? from - 1 : 0;
    assert_int_equal(journal_reader_open(&r, dir, from, &err), ST_OK);
    enum status st;
    while ((st = journal_next(r, &record, &err)) == ST_OK) check_record(&record, ++seq);
    if (st != ST_END) fail_msg("%s", err.text);
    journal_reader_close(r);
    return seq;
}

static struct journal *open_with(const struct journal_options *o, struct journal_repair *repair) {
    struct journal *j;
    struct err err = {0};
    if (journal_open(&j, repair, dir, o, &err) != ST_OK) fail_msg("%s", err.text);
    return j;
}

static void write_records(const struct journal_options *o, uint64_t count) {
    struct journal *j = open_with(o, NULL);
    while (journal_last_seq(j) < count) append_seq(j);
    assert_int_equal(journal_close(j, NULL), ST_OK);
}

static size_t slurp(const char *name, uint8_t *out, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, size, f);
    fclose(f);
    return n;
}

static void spit(const char *name, const uint8_t *data, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static bool exists(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static size_t segments(struct journal_segments *list) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(journal_segments_list(list, fd, false, NULL), ST_OK);
    close(fd);
    return list->count;
}

/* --- tests ------------------------------------------------------------------------------------- */

static void round_trip(void **state) {
    (void)state;
    for (int level = 0; level <= 3; level += 3) {
        struct journal_options o = small();
        o.compress_level = level;
        write_records(&o, 300);
        struct journal_segments list;
        assert_true(segments(&list) > 5);
        assert_int_equal(list.items[0].compressed, level > 0);
        assert_false(list.items[list.count - 1].compressed);
        free(list.items);
        for (uint64_t from = 1; from <= 300; from += 7) assert_int_equal(read_all(from), 300);
        assert_int_equal(read_all(0), 300);
        struct journal_repair repair;
        struct journal *j = open_with(&o, &repair);
        assert_int_equal(repair.last_seq, 300);
        assert_int_equal(repair.bytes_dropped, 0);
        assert_int_equal(repair.records_recovered, 0);
        assert_int_equal(journal_durable_seq(j), 300);
        append_seq(j);
        assert_int_equal(journal_close(j, NULL), ST_OK);
        assert_int_equal(read_all(1), 301);
        dir_remove();
    }
}

static void durability_moves_with_commit_only(void **state) {
    (void)state;
    struct journal_options o = journal_options_defaults();
    struct journal *j = open_with(&o, NULL);
    for (int i = 0; i < 10; i++) append_seq(j);
    assert_int_equal(journal_durable_seq(j), 0);
    assert_int_equal(journal_flush(j, NULL), ST_OK);
    assert_int_equal(journal_durable_seq(j), 0);
    assert_int_equal(read_all(1), 10);
    assert_int_equal(journal_commit(j, NULL), ST_OK);
    assert_int_equal(journal_durable_seq(j), 10);
    append_seq(j);
    assert_int_equal(journal_durable_seq(j), 10);
    assert_int_equal(journal_last_seq(j), 11);
    assert_int_equal(journal_close(j, NULL), ST_OK);
}

/* Every way a write of the last record can have been cut short or bent: all earlier ones survive. */
static void torn_tail(void **state) {
    (void)state;
    static const char name[] = "00000000000000000001.seg";
    static uint8_t good[8192], bent[8192];
    struct journal_options o = journal_options_defaults();
    o.segment_bytes = 8192;
    o.buffer_bytes = 4096;
    write_records(&o, 4);
    size_t three = slurp(name, good, sizeof good);
    write_records(&o, 5);
    size_t size = slurp(name, good, sizeof good);
    assert_true(size > three + JOURNAL_FRAME_BYTES);
    uint32_t payload_size = fill_payload(bent, 5);
    assert_int_equal(size - three, journal_frame_size(payload_size));
    struct journal_repair repair;
    for (size_t cut = three; cut < size; cut++) {
        spit(name, good, cut);
        struct journal *j = open_with(&o, &repair);
        assert_int_equal(repair.last_seq, 4);
        assert_int_equal(append_seq(j), 5);
        assert_int_equal(journal_close(j, NULL), ST_OK);
        assert_int_equal(read_all(1), 5);
    }
    for (size_t at = three; at < size; at++) {
        memcpy(bent, good, size);
        bent[at] ^= (uint8_t)(1u << (at % 8));
        spit(name, bent, size);
        struct journal *j = open_with(&o, &repair);
        assert_int_equal(repair.last_seq, 4);
        assert_true(repair.bytes_dropped > 0);
        assert_int_equal(journal_close(j, NULL), ST_OK);
        assert_int_equal(read_all(1), 4);
        assert_int_equal(slurp(name, bent, sizeof bent), three);
    }
}

static void damage_before_the_tail_is_corrupt(void **state) {
    (void)state;
    struct journal_options o = small();
    write_records(&o, 100);
    struct journal_segments list;
    assert_true(segments(&list) > 2);
    char name[JOURNAL_NAME_SIZE];
    journal_segment_name(name, &list.items[1]);
    free(list.items);
    static uint8_t data[8192];
    size_t size = slurp(name, data, sizeof data);
    for (int how = 0; how < 3; how++) {
        static uint8_t bent[8192];
        memcpy(bent, data, size);
        size_t length = size;
        if (how == 0) bent[700] ^= 4;
        if (how == 1) memset(bent + 64, 0, size - 64); /* lost pages look like the end */
        if (how == 2) length = size - 9;
        spit(name, bent, length);
        struct journal_reader *r;
        struct journal_record record;
        struct err err = {0};
        assert_int_equal(journal_reader_open(&r, dir, 1, &err), ST_OK);
        enum status st;
        while ((st = journal_next(r, &record, &err)) == ST_OK) {}
        assert_int_equal(st, ST_CORRUPT);
        assert_non_null(strstr(err.text, name));
        assert_non_null(strstr(err.text, "offset"));
        journal_reader_close(r);
    }
}

/* The newest segment holds two records: damage in the last of the one before is the tail's, and ends the journal there;
 * farther back it is not. */
static void the_tail_reaches_over_a_border(void **state) {
    (void)state;
    struct journal_options o = journal_options_defaults();
    o.segment_bytes = 64 * 1024; /* a tail of 4 KiB */
    o.buffer_bytes = 4096;
    uint64_t count = 0, border = UINT64_MAX - 1;
    while (border + 1 > count) { /* two records in the second segment */
        struct journal_segments list;
        write_records(&o, ++count);
        if (segments(&list) > 1) border = list.items[1].first_seq;
        free(list.items);
    }
    static const char first[] = "00000000000000000001.seg";
    static uint8_t good[64 * 1024], bent[64 * 1024];
    size_t size = slurp(first, good, sizeof good);
    for (int far = 0; far < 2; far++) {
        struct journal_repair repair;
        memcpy(bent, good, size);
        bent[far ? size - 8000 : size - 100] ^= 4;
        dir_remove();
        write_records(&o, count);
        spit(first, bent, size);
        struct journal *j = open_with(&o, &repair);
        if (far) {
            assert_int_equal(repair.last_seq, count);
            assert_int_equal(repair.bytes_dropped, 0);
        } else {
            assert_true(repair.last_seq + 1 < border && repair.last_seq + 20 > border);
            assert_true(repair.bytes_dropped > 0);
            uint64_t next = repair.last_seq + 1;
            assert_int_equal(append_seq(j), next);
            assert_int_equal(journal_commit(j, NULL), ST_OK);
            assert_int_equal(read_all(1), next);
        }
        assert_int_equal(journal_close(j, NULL), ST_OK);
    }
}

static void headers(void **state) {
    (void)state;
    static uint8_t data[8192];
    struct journal_options o = small();
    write_records(&o, 100);
    struct journal_segments list;
    segments(&list);
    char next[JOURNAL_NAME_SIZE], last[JOURNAL_NAME_SIZE];
    journal_segment_name(last, &list.items[list.count - 1]);
    journal_segment_name(next, &(struct journal_segment){101, false});
    free(list.items);
    /* A segment whose creation was cut short is taken away, at any length. */
    static const uint8_t zeros[4096];
    for (size_t length = 0; length <= 4096; length += 4096) {
        spit(next, zeros, length);
        struct journal_repair repair;
        struct journal *j = open_with(&o, &repair);
        assert_int_equal(repair.last_seq, 100);
        assert_int_equal(journal_close(j, NULL), ST_OK);
        assert_false(exists(next));
    }
    /* A bent header with records behind it is not: those were durable. */
    size_t size = slurp(last, data, sizeof data);
    data[20] ^= 1;
    spit(last, data, size);
    struct journal *j;
    struct err err = {0};
    assert_int_equal(journal_open(&j, NULL, dir, &o, &err), ST_CORRUPT);
    assert_non_null(strstr(err.text, last));
}

static void one_writer(void **state) {
    (void)state;
    struct journal_options o = small();
    struct journal *j = open_with(&o, NULL), *second;
    struct err err = {0};
    assert_int_equal(journal_open(&second, NULL, dir, &o, &err), ST_EXISTS);
    assert_null(second);
    assert_non_null(strstr(err.text, dir));
    assert_int_equal(journal_close(j, NULL), ST_OK);
    j = open_with(&o, NULL);
    assert_int_equal(journal_close(j, NULL), ST_OK);
}

/* kill -9 loses nothing that was appended, flushed or not. */
static void killed_writer(void **state) {
    (void)state;
    struct journal_options o = small();
    uint64_t last = 0;
    for (int round = 0; round < 12; round++) {
        uint64_t count = (uint64_t)round * (uint64_t)round + 1;
        pid_t pid = fork();
        if (pid == 0) {
            struct journal *j;
            if (journal_open(&j, NULL, dir, &o, NULL) != ST_OK) _exit(1);
            for (uint64_t i = 0; i < count; i++) {
                append_seq(j);
                if (i == count / 2 && round % 3 == 1) journal_flush(j, NULL);
                if (i == count / 2 && round % 3 == 2) journal_commit(j, NULL);
            }
            kill(getpid(), SIGKILL);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        last += count;
        struct journal_repair repair;
        struct journal *j = open_with(&o, &repair);
        assert_int_equal(repair.last_seq, last);
        assert_int_equal(journal_durable_seq(j), last);
        if (round % 3 == 0) assert_true(repair.records_recovered > 0);
        if (round % 2) append_seq(j), last++;
        assert_int_equal(journal_close(j, NULL), ST_OK);
        assert_int_equal(read_all(1), last);
    }
}

/* The machine died: the buffer file holds an old generation of frames, the segment lost its end.
 * Frames behind a gap must not come back after other records took their numbers. */
static void old_buffer_stays_dead(void **state) {
    (void)state;
    static uint8_t frames[4096];
    struct journal_options o = small();
    write_records(&o, 5);
    size_t at = 0;
    for (uint64_t seq = 8; seq <= 10; seq++) {
        struct journal_record r = {.seq = seq, .size = 4, .payload = "old!"};
        journal_frame_encode(frames + at, &r);
        at += journal_frame_size(4);
    }
    spit("buffer", frames, sizeof frames);
    struct journal_repair repair;
    struct journal *j = open_with(&o, &repair);
    assert_int_equal(repair.last_seq, 5);
    assert_int_equal(repair.records_recovered, 0);
    append_seq(j), append_seq(j);
    journal_flush(j, NULL);
    assert_int_equal(journal_close(j, NULL), ST_OK);
    j = open_with(&o, &repair);
    assert_int_equal(repair.last_seq, 7);
    assert_int_equal(journal_close(j, NULL), ST_OK);
}

/* --- failing system calls ---------------------------------------------------------------------- */

static int calls_until_failure, calls_made;

static bool fails_now(void) {
    calls_made++;
    return calls_until_failure > 0 && --calls_until_failure == 0;
}

/* The worst write: half of it arrives. */
static int fault_io(void *context, enum journal_io what, size_t *size) {
    (void)context;
    if (!fails_now()) return 0;
    if (what == JOURNAL_WRITE) *size /= 2;
    return EIO;
}

static const struct journal_probe FAULTY = {.io = fault_io};

/* One life with the k-th call failing. Returns false when k was beyond the last call. */
static bool faulty_life(int k, const struct journal_options *o, uint64_t *durable) {
    struct journal *j;
    struct err err = {0};
    bool told = false;
    *durable = 0;
    calls_until_failure = k;
    calls_made = 0;
    struct journal_options faulty = *o;
    faulty.probe = &FAULTY;
    if (journal_open(&j, NULL, dir, &faulty, &err) != ST_OK) {
        assert_int_equal(err.st, ST_IO);
        calls_until_failure = 0;
        return true;
    }
    for (int i = 0; i < 60; i++) {
        append_seq(j);
        uint64_t before = journal_durable_seq(j), last = journal_last_seq(j);
        if (i % 10 != 9) continue;
        enum status st = journal_commit(j, &err);
        if (told) assert_int_equal(st, ST_IO); /* never well again */
        if (st == ST_OK) assert_int_equal(journal_durable_seq(j), last);
        if (st != ST_OK) {
            assert_int_equal(st, ST_IO);
            assert_int_equal(journal_durable_seq(j), before);
            told = true;
        }
    }
    *durable = journal_durable_seq(j);
    bool fired = calls_until_failure == 0;
    calls_until_failure = 0;
    enum status st = journal_close(j, &err);
    if (told) assert_int_equal(st, ST_IO);
    assert_int_equal(told, fired);
    return fired;
}

static void every_call_fails_once(void **state) {
    (void)state;
    for (int level = 0; level <= 1; level++) {
        struct journal_options o = small();
        o.compress_level = level;
        int k = 1;
        for (;; k++) {
            uint64_t durable;
            bool fired = faulty_life(k, &o, &durable);
            struct journal_repair repair;
            struct journal *j = open_with(&o, &repair);
            assert_true(repair.last_seq >= durable);
            append_seq(j);
            assert_int_equal(journal_close(j, NULL), ST_OK);
            assert_int_equal(read_all(1), repair.last_seq + 1);
            dir_remove();
            if (!fired) break;
        }
        assert_true(k > 25);
    }
}

static void full_disk_is_told(void **state) {
    (void)state;
    struct journal_options o = small();
    struct journal *j = open_with(&o, NULL);
    append_seq(j);
    assert_int_equal(journal_commit(j, NULL), ST_OK);
    /* The open segment's descriptor, found by its name, now leads to a device that is always full. */
    char link[64], target[512];
    int full = open("/dev/full", O_WRONLY), replaced = 0;
    for (int fd = 3; fd < 64; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, target, sizeof target - 1);
        if (n > 4 && memcmp(target + n - 4, ".seg", 4) == 0) replaced += dup2(full, fd) == fd;
    }
    assert_int_equal(replaced, 1);
    append_seq(j);
    struct err err = {0};
    assert_int_equal(journal_commit(j, &err), ST_IO);
    assert_non_null(strstr(err.text, "No space left"));
    assert_int_equal(journal_durable_seq(j), 1);
    assert_int_equal(journal_close(j, NULL), ST_IO);
    close(full);
    /* What could not be written was still in the buffer. */
    struct journal_repair repair;
    j = open_with(&o, &repair);
    assert_int_equal(repair.last_seq, 2);
    assert_int_equal(journal_close(j, NULL), ST_OK);
    assert_int_equal(read_all(1), 2);
}

/* --- reading ----------------------------------------------------------------------------------- */

static void reader_follows_writer(void **state) {
    (void)state;
    for (int level = 0; level <= 1; level++) {
        struct journal_options o = small();
        o.compress_level = level;
        struct journal *j = open_with(&o, NULL);
        struct journal_reader *r;
        struct journal_record record;
        struct rng rng = rng_init(5);
        uint64_t read = 0, flushed = 0;
        assert_int_equal(journal_reader_open(&r, dir, 1, NULL), ST_OK);
        for (int i = 0; i < 2000; i++) {
            append_seq(j);
            if (rng_below(&rng, 3) == 0) {
                assert_int_equal(journal_flush(j, NULL), ST_OK);
                flushed = journal_last_seq(j);
            }
            if (rng_below(&rng, 5)) continue;
            struct err err = {0};
            enum status st;
            while ((st = journal_next(r, &record, &err)) == ST_OK) check_record(&record, ++read);
            if (st != ST_END) fail_msg("%s", err.text);
            assert_true(read >= flushed);
        }
        assert_int_equal(journal_close(j, NULL), ST_OK);
        while (journal_next(r, &record, NULL) == ST_OK) check_record(&record, ++read);
        assert_int_equal(read, 2000);
        journal_reader_close(r);
        dir_remove();
    }
}

static void retention(void **state) {
    (void)state;
    struct journal_options o = small();
    struct journal *j = open_with(&o, NULL);
    for (int i = 0; i < 200; i++) append_seq(j);
    assert_int_equal(journal_commit(j, NULL), ST_OK);
    struct journal_reader *old;
    struct journal_record record;
    assert_int_equal(journal_reader_open(&old, dir, 1, NULL), ST_OK);
    assert_int_equal(journal_next(old, &record, NULL), ST_OK);
    struct journal_segments before, after;
    size_t n = segments(&before);
    uint64_t keep = before.items[3].first_seq + 1;
    assert_int_equal(journal_retain(j, keep, NULL), ST_OK);
    assert_int_equal(segments(&after), n - 3);
    assert_int_equal(after.items[0].first_seq, before.items[3].first_seq);
    struct err err = {0};
    struct journal_reader *r;
    assert_int_equal(journal_reader_open(&r, dir, 1, &err), ST_NOT_FOUND);
    char first[32];
    snprintf(first, sizeof first, "first is %" PRIu64, after.items[0].first_seq);
    assert_non_null(strstr(err.text, first));
    assert_int_equal(journal_reader_open(&r, dir, 0, NULL), ST_OK);
    assert_int_equal(journal_next(r, &record, NULL), ST_OK);
    check_record(&record, after.items[0].first_seq);
    journal_reader_close(r);
    assert_int_equal(read_all(keep), 200);
    enum status st;
    while ((st = journal_next(old, &record, &err)) == ST_OK) {}
    assert_int_equal(st, ST_NOT_FOUND);
    journal_reader_close(old);
    assert_int_equal(journal_retain(j, UINT64_MAX, NULL), ST_OK); /* the open one stays */
    free(after.items);
    assert_int_equal(segments(&after), 1);
    assert_int_equal(append_seq(j), 201);
    assert_int_equal(journal_close(j, NULL), ST_OK);
    j = open_with(&o, NULL);
    assert_int_equal(journal_last_seq(j), 201);
    assert_int_equal(journal_close(j, NULL), ST_OK);
    free(before.items);
    free(after.items);
}

static void leftovers_of_compression(void **state) {
    (void)state;
    struct journal_options o = small();
    write_records(&o, 40);
    static uint8_t plain[8192];
    size_t size = slurp("00000000000000000001.seg", plain, sizeof plain);
    dir_remove();
    o.compress_level = 1;
    write_records(&o, 40);
    assert_true(exists("00000000000000000001.seg.zst"));
    spit("00000000000000000001.seg", plain, size);
    spit("00000000000000000001.zst.tmp", plain, 10);
    assert_int_equal(read_all(1), 40);
    struct journal *j = open_with(&o, NULL);
    assert_false(exists("00000000000000000001.seg"));
    assert_false(exists("00000000000000000001.zst.tmp"));
    assert_int_equal(journal_close(j, NULL), ST_OK);
    assert_int_equal(read_all(1), 40);
    /* A cut compressed segment is damage, not a tail. */
    size = slurp("00000000000000000001.seg.zst", plain, sizeof plain);
    spit("00000000000000000001.seg.zst", plain, size - 20);
    struct journal_reader *r;
    struct journal_record record;
    struct err err = {0};
    assert_int_equal(journal_reader_open(&r, dir, 1, NULL), ST_OK);
    enum status st;
    while ((st = journal_next(r, &record, &err)) == ST_OK) {}
    assert_int_equal(st, ST_CORRUPT);
    journal_reader_close(r);
}

static void large_and_empty_records(void **state) {
    (void)state;
    struct journal_options o = journal_options_defaults();
    o.segment_bytes = 4 << 20;
    o.buffer_bytes = 4096;
    size_t most = o.segment_bytes / 4;
    uint8_t *big = malloc(most);
    assert_non_null(big);
    for (size_t i = 0; i < most; i++) big[i] = (uint8_t)(i * 7);
    struct journal *j = open_with(&o, NULL);
    for (int i = 0; i < 6; i++) {
        journal_append(j, 1, 1, 0, NULL, 0);
        journal_append(j, 2, 1, 0, big, (uint32_t)most);
    }
    assert_int_equal(journal_close(j, NULL), ST_OK);
    struct journal_reader *r;
    struct journal_record record;
    assert_int_equal(journal_reader_open(&r, dir, 1, NULL), ST_OK);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(journal_next(r, &record, NULL), ST_OK);
        assert_int_equal(record.size, 0);
        assert_int_equal(journal_next(r, &record, NULL), ST_OK);
        assert_int_equal(record.size, most);
        assert_memory_equal(record.payload, big, most);
    }
    assert_int_equal(journal_next(r, &record, NULL), ST_END);
    journal_reader_close(r);
    free(big);
}

/* Random appends, flushes, commits, closings and retentions against what must be there. */
static void property_random_lives(void **state) {
    (void)state;
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 20250101;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    struct rng rng = rng_init(seed);
    uint64_t last = 0, kept = 1;
    for (int life = 0; life < 60; life++) {
        struct journal_options o = small();
        o.segment_bytes += 1024 * rng_below(&rng, 8);
        o.compress_level = (int)rng_below(&rng, 2);
        struct journal *j = open_with(&o, NULL);
        assert_int_equal(journal_last_seq(j), last);
        for (uint64_t i = rng_below(&rng, 80); i > 0; i--) {
            last = append_seq(j);
            uint64_t what = rng_below(&rng, 20);
            if (what == 0) assert_int_equal(journal_flush(j, NULL), ST_OK);
            if (what == 1) assert_int_equal(journal_commit(j, NULL), ST_OK);
            if (what == 2 && last > 100) {
                kept = last - 100;
                assert_int_equal(journal_retain(j, kept, NULL), ST_OK);
            }
        }
        assert_int_equal(journal_close(j, NULL), ST_OK);
        if (kept <= last) assert_int_equal(read_all(kept), last);
    }
}

static void nothing_there(void **state) {
    (void)state;
    struct journal_reader *r;
    struct journal_record record;
    struct err err = {0};
    assert_int_equal(journal_reader_open(&r, "/nonexistent/journal", 1, &err), ST_NOT_FOUND);
    assert_int_equal(journal_reader_open(&r, dir, 1, NULL), ST_OK);
    assert_int_equal(journal_next(r, &record, NULL), ST_END);
    struct journal_options o = small();
    write_records(&o, 3);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(journal_next(r, &record, NULL), ST_OK);
        check_record(&record, i);
    }
    journal_reader_close(r);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, dir_make, dir_drop)
    const struct CMUnitTest tests[] = {
        T(round_trip),
        T(durability_moves_with_commit_only),
        T(torn_tail),
        T(damage_before_the_tail_is_corrupt),
        T(the_tail_reaches_over_a_border),
        T(headers),
        T(one_writer),
        T(killed_writer),
        T(old_buffer_stays_dead),
        T(every_call_fails_once),
        T(full_disk_is_told),
        T(reader_follows_writer),
        T(retention),
        T(leftovers_of_compression),
        T(large_and_empty_records),
        T(property_random_lives),
        T(nothing_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
