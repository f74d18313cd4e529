#include "venue/server/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/json.h"

enum { FILE_BYTES_MAX = 1 << 20, PEM_BYTES_MAX = 1024, PATH_BYTES = 4096 };

/* ---- one row ---- */

struct row_text {
    struct key_row *row;
    char pem[PEM_BYTES_MAX];
    bool has_balance, has_fees;
};

/* Where in the file, for messages: the reader knows only where its own errors are. */
static enum status bad(const struct json_reader *r, const char *file, const char *field,
                       struct err *err, const char *what) {
    uint32_t line = 1;
    for (const char *p = r->begin; p < r->cursor; p++) line += *p == '\n';
    if (r->error) line = json_error_line(r);
    return err_set(err, ST_INVALID, "%s: line %u: %s: %s", file, line, field, what);
}

static bool text_field(struct json_reader *r, char *out, size_t size) {
    struct json_text text = json_string(r);
    size_t length = 0;
    return !r->error && json_text_copy(out, size, &length, &text) == ST_OK && length > 0 &&
           strlen(out) == length;
}

/* Keys and secrets are printable and hold no blanks: they go into a header as they are. */
static bool is_token(const char *text) {
    for (; *text; text++)
        if (*text <= ' ' || *text > '~') return false;
    return true;
}

static bool permissions_field(struct json_reader *r, uint32_t *out) {
    static const char *const names[] = {"read", "trade", "withdraw"};
    *out = 0;
    if (json_peek(r) != JSON_ARRAY) return false;
    json_array_begin(r);
    while (json_array_next(r)) {
        struct json_text text = json_string(r);
        uint32_t bit = 0;
        for (uint32_t i = 0; i < 3; i++)
            if (!r->error && json_text_is(&text, names[i])) bit = 1U << i;
        if (!bit) return false;
        *out |= bit;
    }
    return !r->error;
}

static bool rate_field(struct json_reader *r, rate_t *out) {
    out->e8 = json_e8(r);
    return !r->error && out->e8 >= -FX_ONE / 10 && out->e8 <= FX_ONE / 10;
}

/* NULL, or what is wrong with the field. */
static const char *field_read(struct json_reader *r, struct row_text *t,
                              const struct json_text *key) {
    struct key_row *row = t->row;
    if (json_text_is(key, "name"))
        return text_field(r, row->name, sizeof row->name) ? NULL : "a name of 1 to 39 bytes";
    if (json_text_is(key, "api_key"))
        return text_field(r, row->api_key, sizeof row->api_key) && is_token(row->api_key)
                   ? NULL
                   : "1 to 71 printable characters";
    if (json_text_is(key, "api_secret"))
        return text_field(r, row->api_secret, sizeof row->api_secret) && is_token(row->api_secret)
                   ? NULL
                   : "1 to 71 printable characters";
    if (json_text_is(key, "ed25519_public_key"))
        return text_field(r, t->pem, sizeof t->pem) ? NULL : "PEM text";
    if (json_text_is(key, "permissions"))
        return permissions_field(r, &row->permissions) ? NULL : "a list of read, trade, withdraw";
    if (json_text_is(key, "balance")) {
        t->has_balance = true;
        row->balance.e8 = json_e8(r);
        return !r->error && row->balance.e8 >= 0 ? NULL : "an amount, 0 or more";
    }
    t->has_fees = true;
    if (json_text_is(key, "maker_fee"))
        return rate_field(r, &row->fee_maker) ? NULL : "a rate from -0.1 to 0.1";
    if (json_text_is(key, "taker_fee"))
        return rate_field(r, &row->fee_taker) ? NULL : "a rate from -0.1 to 0.1";
    return "not known";
}

static const char *row_key(struct row_text *t, struct err *err, enum status *st) {
    struct key_row *row = t->row;
    *st = ST_OK;
    if (!row->name[0]) return "name is missing";
    if (!row->api_key[0]) return "api_key is missing";
    if (!row->api_secret[0] == !t->pem[0]) return "api_secret or ed25519_public_key, one of them";
    *st = row->api_secret[0]
              ? wire_key_hmac(&row->key, row->api_secret, strlen(row->api_secret), err)
              : wire_key_ed25519(&row->key, t->pem, strlen(t->pem), err);
    return NULL;
}

/* The row's place among the others: one key once, one account a name. */
static const char *row_place(struct keys *k, struct row_text *t, uint32_t *accounts) {
    struct key_row *row = t->row;
    row->opens = true;
    for (uint32_t i = 0; i < k->count; i++) {
        const struct key_row *other = &k->rows[i];
        if (strcmp(other->api_key, row->api_key) == 0) return "api_key is used twice";
        if (strcmp(other->name, row->name) != 0) continue;
        row->opens = false;
        row->account = other->account;
    }
    if (!row->opens && (t->has_balance || t->has_fees))
        return "balance and fees are said by the first row of a name";
    if (row->opens) row->account = ++*accounts;
    return NULL;
}

static enum status row_read(struct keys *k, struct json_reader *r, uint32_t *accounts,
                            const char *file, struct err *err) {
    if (k->count == KEYS_MAX) return bad(r, file, "keys", err, "at most 256");
    struct row_text t = {.row = &k->rows[k->count]};
    struct json_text key;
    *t.row = (struct key_row){.permissions = KEY_READ | KEY_TRADE};
    if (json_peek(r) != JSON_OBJECT) return bad(r, file, "keys", err, "an object for each key");
    json_object_begin(r);
    while (json_object_next(r, &key)) {
        char field[32];
        if (json_text_copy(field, sizeof field, NULL, &key) != ST_OK) field[0] = '\0';
        const char *fault = field_read(r, &t, &key);
        if (fault) return bad(r, file, field, err, fault);
    }
    if (r->error) return bad(r, file, "keys", err, r->error);
    enum status st;
    const char *fault = row_key(&t, err, &st);
    if (st != ST_OK) return err_wrap(err, ST_INVALID, "%s: key of %s", file, t.row->name);
    if (!fault) fault = row_place(k, &t, accounts);
    k->count += t.row->key != NULL; /* it is freed with the others from here on */
    return fault ? bad(r, file, t.row->name, err, fault) : ST_OK;
}

/* ---- a file ---- */

enum status keys_parse(struct keys *out, const char *text, size_t size, const char *name,
                       struct err *err) {
    struct json_reader r;
    uint32_t accounts = 0;
    enum status st = ST_OK;
    *out = (struct keys){0};
    json_reader_init(&r, text, size);
    if (json_peek(&r) != JSON_ARRAY) return bad(&r, name, "keys", err, "a list of objects");
    json_array_begin(&r);
    while (st == ST_OK && json_array_next(&r)) st = row_read(out, &r, &accounts, name, err);
    if (st == ST_OK && json_finish(&r) != ST_OK) st = bad(&r, name, "keys", err, r.error);
    if (st == ST_OK && out->count == 0) st = bad(&r, name, "keys", err, "none is there");
    if (st != ST_OK) keys_free(out);
    return st;
}

/* The file's text, NUL ended; *size at most FILE_BYTES_MAX. */
static enum status file_read(int fd, const char *path, char *text, size_t *size, struct err *err) {
    *size = 0;
    for (;;) {
        ssize_t n = read(fd, text + *size, FILE_BYTES_MAX + 1 - *size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_errno(err, ST_IO, "%s", path);
        if (n == 0) return ST_OK;
        *size += (size_t)n;
        if (*size > FILE_BYTES_MAX) return err_set(err, ST_INVALID, "%s: larger than 1 MiB", path);
    }
}

enum status keys_load(struct keys *out, const char *path, struct err *err) {
    struct stat about;
    size_t size = 0;
    *out = (struct keys){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_errno(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "keys file %s", path);
    char *text = malloc(FILE_BYTES_MAX + 1);
    enum status st = text ? file_read(fd, path, text, &size, err)
                          : err_set(err, ST_NO_MEMORY, "keys file %s", path);
    if (st == ST_OK) st = keys_parse(out, text, size, path, err);
    if (text) explicit_bzero(text, FILE_BYTES_MAX + 1);
    free(text);
    if (st == ST_OK && fstat(fd, &about) == 0 && (about.st_mode & (S_IRWXG | S_IRWXO)))
        err_set(err, ST_REFUSED, "%s can be read by others: its mode should be 0600", path);
    close(fd);
    return st;
}

/* ---- the open account ---- */

/* 64 letters and digits out of the system's randomness; 62 does not divide 256, the rest is drawn anew. */
static enum status random_text(char out[65], struct err *err) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (int n = 0; n < 64;) {
        unsigned char bytes[64];
        if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
            return err_errno(err, ST_IO, "random numbers for a key");
        for (size_t i = 0; i < sizeof bytes && n < 64; i++)
            if (bytes[i] < 248) out[n++] = letters[bytes[i] % 62];
    }
    out[64] = '\0';
    return ST_OK;
}

static enum status write_all(int fd, const char *text, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return ST_IO;
        text += n;
        size -= (size_t)n;
    }
    return fsync(fd) == 0 ? ST_OK : ST_IO;
}

/* Written beside its place and renamed: it is there whole, or not at all. */
static enum status open_account_save(const char *path, const char *text, struct err *err) {
    char beside[PATH_BYTES + 8];
    snprintf(beside, sizeof beside, "%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) return err_errno(err, ST_IO, "%s", beside);
    enum status st = write_all(fd, text, strlen(text));
    if (st != ST_OK) err_errno(err, st, "%s", beside);
    if (close(fd) != 0 && st == ST_OK) st = err_errno(err, ST_IO, "%s", beside);
    if (st == ST_OK && rename(beside, path) != 0) st = err_errno(err, ST_IO, "%s", path);
    if (st != ST_OK) unlink(beside);
    return st;
}

static enum status open_account_text(char *out, size_t size, money_t balance, struct err *err) {
    char key[65], secret[65];
    struct json_writer w;
    enum status st = random_text(key, err);
    if (st == ST_OK) st = random_text(secret, err);
    if (st != ST_OK) return st;
    json_writer_init(&w, out, size);
    json_write_array_begin(&w);
    json_write_object_begin(&w);
    json_write_key(&w, "name");
    json_write_string(&w, "open");
    json_write_key(&w, "balance");
    json_write_e8(&w, balance.e8);
    json_write_key(&w, "api_key");
    json_write_string(&w, key);
    json_write_key(&w, "api_secret");
    json_write_string(&w, secret);
    json_write_object_end(&w);
    json_write_array_end(&w);
    st = json_writer_finish(&w);
    ASSERT(st == ST_OK);
    explicit_bzero(secret, sizeof secret);
    return ST_OK;
}

enum status keys_open_account(struct keys *out, const char *state_dir, money_t balance,
                              struct err *err) {
    char path[PATH_BYTES], text[512];
    ASSERT(balance.e8 >= 0);
    if (state_dir) {
        int n = snprintf(path, sizeof path, "%s/open_account.json", state_dir);
        if (n < 0 || (size_t)n >= sizeof path)
            return err_set(err, ST_RANGE, "%s: path is too long", state_dir);
        if (access(path, F_OK) == 0) return keys_load(out, path, err);
    }
    enum status st = open_account_text(text, sizeof text, balance, err);
    if (st == ST_OK && state_dir) st = open_account_save(path, text, err);
    if (st == ST_OK) st = keys_parse(out, text, strlen(text), "open account", err);
    explicit_bzero(text, sizeof text);
    return st;
}

void keys_free(struct keys *k) {
    for (uint32_t i = 0; i < k->count; i++) wire_key_free(k->rows[i].key);
    explicit_bzero(k, sizeof *k);
}

const struct key_row *keys_find(const struct keys *k, const char *api_key, size_t size) {
    uint64_t asked[KEYS_TEXT_SIZE / 8] = {0};
    const struct key_row *found = NULL;
    if (size == 0 || size >= KEYS_TEXT_SIZE) return NULL;
    memcpy(asked, api_key, size);
    for (uint32_t i = 0; i < k->count; i++) {
        uint64_t row[KEYS_TEXT_SIZE / 8], difference = 0;
        memcpy(row, k->rows[i].api_key, sizeof row);
        for (size_t n = 0; n < KEYS_TEXT_SIZE / 8; n++) difference |= row[n] ^ asked[n];
        if (difference == 0) found = &k->rows[i];
    }
    return found;
}
