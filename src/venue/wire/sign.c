/* Signatures. HMAC-SHA256 is put together from SHA-256 by its definition (RFC 2104): the states behind
 * the inner and the outer key block are made once, and a message starts from copies of them. With the
 * library's plain SHA256 state these copies are 112 bytes on the stack; its newer interface does the
 * same through allocated objects, at twice the time and with a key that signing changes. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "venue/wire/wire.h"
#include "venue/wire/wire_internal.h"

enum { HMAC_BLOCK = 64, ED25519_BYTES = 64, ED25519_TEXT = 88 };

struct wire_key {
    enum wire_key_kind kind;
    bool signs;
    SHA256_CTX inner, outer; /* HMAC: behind their key blocks */
    EVP_PKEY *pkey;          /* Ed25519 */
};

static enum status library_failed(struct err *err, const char *what) {
    const char *reason = ERR_reason_error_string(ERR_get_error());
    ERR_clear_error();
    return err_set(err, ST_EXTERNAL, "%s: %s", what, reason ? reason : "unknown error");
}

static bool key_block(SHA256_CTX *out, const unsigned char key[HMAC_BLOCK], unsigned char pad) {
    unsigned char block[HMAC_BLOCK];
    for (int i = 0; i < HMAC_BLOCK; i++) block[i] = key[i] ^ pad;
    bool ok = SHA256_Init(out) && SHA256_Update(out, block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
    return ok;
}

enum status wire_key_hmac(struct wire_key **out, const char *secret, size_t size, struct err *err) {
    unsigned char key[HMAC_BLOCK] = {0};
    if (size == 0) return err_set(err, ST_INVALID, "API secret: empty");
    struct wire_key *k = calloc(1, sizeof *k);
    if (!k) return err_set(err, ST_NO_MEMORY, "API secret");
    k->kind = WIRE_KEY_HMAC;
    k->signs = true;
    bool ok = true;
    if (size > sizeof key)
        ok = SHA256((const unsigned char *)secret, size, key) != NULL;
    else
        memcpy(key, secret, size);
    ok = ok && key_block(&k->inner, key, 0x36) && key_block(&k->outer, key, 0x5C);
    OPENSSL_cleanse(key, sizeof key);
    if (!ok) {
        wire_key_free(k);
        return library_failed(err, "API secret");
    }
    *out = k;
    return ST_OK;
}

/* Without it the library would ask at the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *context) {
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

static EVP_PKEY *pem_read(const char *pem, size_t size, bool private) {
    BIO *bio = BIO_new_mem_buf(pem, (int)size);
    if (!bio) return NULL;
    EVP_PKEY *pkey = private ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL)
                             : PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return pkey;
}

enum status wire_key_ed25519(struct wire_key **out, const char *pem, size_t size, struct err *err) {
    if (size == 0 || size > INT_MAX) return err_set(err, ST_INVALID, "Ed25519 key: no PEM text");
    bool signs = true;
    EVP_PKEY *pkey = pem_read(pem, size, true);
    if (!pkey) {
        signs = false;
        pkey = pem_read(pem, size, false);
    }
    if (!pkey)
        return err_set(err, ST_INVALID,
                       "Ed25519 key: neither a private key (without passphrase) nor a public key "
                       "in PEM");
    if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_ED25519) {
        EVP_PKEY_free(pkey);
        return err_set(err, ST_INVALID, "Ed25519 key: the PEM holds a key of another algorithm");
    }
    struct wire_key *k = calloc(1, sizeof *k);
    if (!k) {
        EVP_PKEY_free(pkey);
        return err_set(err, ST_NO_MEMORY, "Ed25519 key");
    }
    *k = (struct wire_key){.kind = WIRE_KEY_ED25519, .signs = signs, .pkey = pkey};
    *out = k;
    return ST_OK;
}

enum wire_key_kind wire_key_kind_of(const struct wire_key *k) {
    return k->kind;
}

void wire_key_free(struct wire_key *k) {
    if (!k) return;
    EVP_PKEY_free(k->pkey);
    OPENSSL_cleanse(k, sizeof *k);
    free(k);
}

/* ---- HMAC ---- */

static bool hmac(const struct wire_key *k, unsigned char out[SHA256_DIGEST_LENGTH],
                 const char *part0, size_t size0, const char *part1, size_t size1) {
    SHA256_CTX state = k->inner;
    bool ok = SHA256_Update(&state, part0, size0) && SHA256_Update(&state, part1, size1) &&
              SHA256_Final(out, &state);
    state = k->outer;
    return ok && SHA256_Update(&state, out, SHA256_DIGEST_LENGTH) && SHA256_Final(out, &state);
}

static size_t hex_write(char *out, const unsigned char *bytes, size_t count) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * count] = '\0';
    return 2 * count;
}

static bool hex_read(unsigned char *out, size_t count, const char *text, size_t size) {
    if (size != 2 * count) return false;
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool hmac_verify(const struct wire_key *k, const char *signature, size_t signature_size,
                        const char *part0, size_t size0, const char *part1, size_t size1) {
    unsigned char want[SHA256_DIGEST_LENGTH], got[SHA256_DIGEST_LENGTH];
    return hex_read(got, sizeof got, signature, signature_size) &&
           hmac(k, want, part0, size0, part1, size1) && CRYPTO_memcmp(want, got, sizeof want) == 0;
}

/* ---- Ed25519 ---- */

/* The algorithm takes the message in one piece (it passes over it twice). */
struct joined {
    unsigned char *bytes, small[2048];
    size_t size;
};

static bool joined_make(struct joined *j, const char *part0, size_t size0, const char *part1,
                        size_t size1) {
    j->size = size0 + size1;
    j->bytes = j->size <= sizeof j->small ? j->small : malloc(j->size);
    if (!j->bytes) return false;
    if (size0 > 0) memcpy(j->bytes, part0, size0);
    if (size1 > 0) memcpy(j->bytes + size0, part1, size1);
    return true;
}

static void joined_free(struct joined *j) {
    if (j->bytes != j->small) free(j->bytes);
}

static bool ed25519_sign(const struct wire_key *k, unsigned char out[ED25519_BYTES],
                         const struct joined *j) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t size = ED25519_BYTES;
    bool ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
              EVP_DigestSign(ctx, out, &size, j->bytes, j->size) == 1 && size == ED25519_BYTES;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

static bool ed25519_verify(const struct wire_key *k, const unsigned char signature[ED25519_BYTES],
                           const struct joined *j) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
              EVP_DigestVerify(ctx, signature, ED25519_BYTES, j->bytes, j->size) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

/* 64 bytes are 86 characters and two '='. */
static bool base64_read(unsigned char out[ED25519_BYTES], const char *text, size_t size) {
    unsigned char bytes[ED25519_TEXT / 4 * 3];
    if (size != ED25519_TEXT || text[86] != '=' || text[87] != '=' || memchr(text, '=', 86))
        return false;
    if (EVP_DecodeBlock(bytes, (const unsigned char *)text, ED25519_TEXT) != sizeof bytes)
        return false;
    memcpy(out, bytes, ED25519_BYTES);
    return true;
}

/* ---- both ---- */

static size_t ed25519_text(const struct wire_key *k, char *out, const char *part0, size_t size0,
                           const char *part1, size_t size1) {
    unsigned char signature[ED25519_BYTES];
    struct joined j;
    if (!joined_make(&j, part0, size0, part1, size1)) return 0;
    bool ok = ed25519_sign(k, signature, &j);
    joined_free(&j);
    return ok ? (size_t)EVP_EncodeBlock((unsigned char *)out, signature, ED25519_BYTES) : 0;
}

size_t wire_sign(const struct wire_key *k, char out[WIRE_ED25519_TEXT_SIZE], const char *part0,
                 size_t size0, const char *part1, size_t size1) {
    out[0] = '\0';
    if (!k->signs) return 0;
    if (k->kind == WIRE_KEY_ED25519) return ed25519_text(k, out, part0, size0, part1, size1);
    unsigned char digest[SHA256_DIGEST_LENGTH];
    if (!hmac(k, digest, part0, size0, part1, size1)) return 0;
    return hex_write(out, digest, sizeof digest);
}

bool wire_verify(const struct wire_key *k, const char *signature, size_t signature_size,
                 const char *part0, size_t size0, const char *part1, size_t size1) {
    if (k->kind == WIRE_KEY_HMAC)
        return hmac_verify(k, signature, signature_size, part0, size0, part1, size1);
    unsigned char bytes[ED25519_BYTES];
    struct joined j;
    if (!base64_read(bytes, signature, signature_size)) return false;
    if (!joined_make(&j, part0, size0, part1, size1)) return false;
    bool ok = ed25519_verify(k, bytes, &j);
    joined_free(&j);
    return ok;
}

/* Pieces between separators, an empty last one too: what is kept is joined again. */
size_t wire_strip_signature(char *out, const char *raw, size_t size) {
    static const char name[] = "signature=";
    const size_t name_size = sizeof name - 1;
    size_t length = 0;
    bool first = true;
    if (size == 0) return 0;
    for (size_t at = 0, piece; at <= size; at += piece + 1) {
        const char *end = memchr(raw + at, '&', size - at);
        piece = (end ? (size_t)(end - raw) : size) - at;
        if (piece >= name_size && memcmp(raw + at, name, name_size) == 0) continue;
        if (!first) out[length++] = '&';
        first = false;
        memmove(out + length, raw + at, piece);
        length += piece;
    }
    return length;
}
