/* Runs a fuzz target over its stored corpus, then over mutations of it made from a fixed seed.
 *
 * Used by every build that is not the fuzz build, so that each corpus file is a regression test
 * with any compiler. A missing or empty corpus is a failure: a fuzz target that ran nothing must
 * not look like one that found nothing. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTATIONS_PER_FILE = 400, SIZE_MAX_BYTES = 1 << 20 };

static uint64_t next_u64(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static size_t read_file(uint8_t *buf, const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return SIZE_MAX;
    size_t n = fread(buf, 1, SIZE_MAX_BYTES, f);
    fclose(f);
    return n;
}

static void mutate_and_run(uint8_t *scratch, const uint8_t *data, size_t size, uint64_t *rng) {
    for (int i = 0; i < MUTATIONS_PER_FILE; i++) {
        memcpy(scratch, data, size);
        size_t len = size;
        uint64_t flips = 1 + next_u64(rng) % 4;
        for (uint64_t k = 0; k < flips && len > 0; k++)
            scratch[next_u64(rng) % len] = (uint8_t)next_u64(rng);
        if (next_u64(rng) % 4 == 0) len = (size_t)(next_u64(rng) % (len + 1));
        /* An exact-size heap copy lets the address sanitizer see a read past the end. */
        uint8_t *exact = malloc(len ? len : 1);
        if (!exact) abort();
        memcpy(exact, scratch, len);
        LLVMFuzzerTestOneInput(exact, len);
        free(exact);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    DIR *dir = opendir(argv[1]);
    if (!dir) {
        fprintf(stderr, "no corpus at %s\n", argv[1]);
        return 1;
    }
    uint8_t *data = malloc(SIZE_MAX_BYTES), *scratch = malloc(SIZE_MAX_BYTES);
    if (!data || !scratch) {
        free(data);
        free(scratch);
        closedir(dir);
        return 1;
    }
    int files = 0;
    uint64_t rng = 20260101;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        size_t size = read_file(data, path);
        if (size == SIZE_MAX) continue;
        LLVMFuzzerTestOneInput(data, size);
        mutate_and_run(scratch, data, size, &rng);
        files++;
    }
    closedir(dir);
    free(data);
    free(scratch);
    printf("%d corpus files, %d mutations each\n", files, MUTATIONS_PER_FILE);
    return files ? 0 : 1;
}
