#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first. */
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/rng.h"
#include "venue/wire/wire.h"

static struct wire_key *hmac_key(const char *secret) {
    struct wire_key *k = NULL;
    assert_int_equal(wire_key_hmac(&k, secret, strlen(secret), NULL), ST_OK);
    assert_int_equal(wire_key_kind_of(k), WIRE_KEY_HMAC);
    return k;
}

static void check_hmac(const char *secret, const char *part0, const char *part1, const char *want) {
    struct wire_key *k = hmac_key(secret);
    char out[WIRE_ED25519_TEXT_SIZE];
    size_t size0 = strlen(part0), size1 = part1 ? strlen(part1) : 0;
    assert_int_equal(wire_sign(k, out, part0, size0, part1, size1), WIRE_HMAC_HEX_SIZE - 1);
    assert_string_equal(out, want);
    assert_true(wire_verify(k, want, 64, part0, size0, part1, size1));
    wire_key_free(k);
}

/* The venue's documented example and two more made with the openssl program from the same key. Last, key
 * and text of the options documentation: the digest is openssl's, since the one printed there
 * (7c120459...) stands on several pages under different texts and belongs to none of them. */
static void test_venue_vectors(void **state) {
    (void)state;
    const char *secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9";
    check_hmac(secret,
               "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&"
               "recvWindow=5000&timestamp=1591702613943",
               NULL, "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9");
    check_hmac(secret,
               "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=9000&"
               "recvWindow=5000&timestamp=1591702613943",
               NULL, "ec11dcc17e67e47f0d3c3f513dfe9062307e37619c5c82ebaa8fe0bdf3d59519");
    check_hmac(secret, "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC",
               "quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943",
               "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4");
    check_hmac(
        "YtP1BudNOWZE1ag5uzCkh4hIC7qSmQOu797r5EJBFGhxBYivjj8HIX0iiiPof5yG",
        "symbol=BTC-210129-40000-C&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=2000&"
        "recvWindow=5000&timestamp=1611825601400",
        NULL, "7b98bedaee09e23358f57d098876f29ede7df74202f7fccf164666bd3f3f84cb");
}

/* RFC 4231, cases 1 and 6 (a key longer than the block). */
static void test_rfc4231(void **state) {
    (void)state;
    char key[132];
    memset(key, 0x0B, 20);
    key[20] = '\0';
    check_hmac(key, "Hi There", NULL,
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    memset(key, 0xAA, 131);
    key[131] = '\0';
    check_hmac(key, "Test Using Larger Than Block-Size Key - Hash Key First", NULL,
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* The library's own HMAC over random keys and messages, cut anywhere. */
static void test_hmac_twin(void **state) {
    (void)state;
    struct rng r = rng_init(3);
    unsigned char key[200], text[700], digest[32];
    for (int round = 0; round < 2000; round++) {
        size_t key_size = 1 + rng_below(&r, sizeof key), size = rng_below(&r, sizeof text + 1);
        size_t cut = rng_below(&r, size + 1);
        for (size_t i = 0; i < key_size; i++) key[i] = (unsigned char)rng_u64(&r);
        for (size_t i = 0; i < size; i++) text[i] = (unsigned char)rng_u64(&r);
        unsigned n = 0;
        assert_non_null(HMAC(EVP_sha256(), key, (int)key_size, text, size, digest, &n));
        char want[65], out[WIRE_ED25519_TEXT_SIZE];
        for (int i = 0; i < 32; i++) snprintf(want + 2 * i, 3, "%02x", digest[i]);
        struct wire_key *k = NULL;
        assert_int_equal(wire_key_hmac(&k, (char *)key, key_size, NULL), ST_OK);
        for (int again = 0; again < 2; again++) { /* signing leaves the key as it was */
            wire_sign(k, out, (char *)text, cut, (char *)text + cut, size - cut);
            assert_string_equal(out, want);
        }
        wire_key_free(k);
    }
}

static void test_hmac_verify(void **state) {
    (void)state;
    struct wire_key *k = hmac_key("secret");
    char sig[WIRE_ED25519_TEXT_SIZE], bad[WIRE_ED25519_TEXT_SIZE];
    size_t n = wire_sign(k, sig, "a=1", 3, "b=2", 3);
    assert_true(wire_verify(k, sig, n, "a=1b=2", 6, NULL, 0));
    for (size_t i = 0; i < n; i++) {
        memcpy(bad, sig, sizeof bad);
        if (bad[i] >= 'a') bad[i] = (char)(bad[i] - 'a' + 'A');
        assert_true(wire_verify(k, bad, n, "a=1", 3, "b=2", 3));
        bad[i] = sig[i] == '0' ? '1' : '0';
        assert_false(wire_verify(k, bad, n, "a=1", 3, "b=2", 3));
        bad[i] = 'g';
        assert_false(wire_verify(k, bad, n, "a=1", 3, "b=2", 3));
    }
    assert_false(wire_verify(k, sig, n - 1, "a=1", 3, "b=2", 3));
    assert_false(wire_verify(k, sig, n - 2, "a=1", 3, "b=2", 3));
    assert_false(wire_verify(k, sig, 0, "a=1", 3, "b=2", 3));
    assert_false(wire_verify(k, sig, n, "a=1", 3, "&b=2", 4)); /* nothing lies between the parts */
    struct wire_key *other = hmac_key("Secret");
    assert_false(wire_verify(other, sig, n, "a=1", 3, "b=2", 3));
    wire_key_free(other);
    wire_key_free(k);
    wire_key_free(NULL);
    struct err err;
    assert_int_equal(wire_key_hmac(&k, "", 0, &err), ST_INVALID);
    assert_string_equal(err.text, "API secret: empty");
}

/* ---- Ed25519 ---- */

static size_t from_hex(unsigned char *out, const char *hex) {
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned v;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
        out[i] = (unsigned char)v;
    }
    return n;
}

enum { PEM_SIZE = 4096 };
static size_t pem_of(char out[PEM_SIZE], EVP_PKEY *key, bool private, const EVP_CIPHER *cipher) {
    BIO *bio = BIO_new(BIO_s_mem());
    unsigned char word[] = "word";
    assert_non_null(key);
    assert_int_equal(
        private ? PEM_write_bio_PrivateKey(bio, key, cipher, cipher ? word : NULL, 4, NULL, NULL)
                : PEM_write_bio_PUBKEY(bio, key),
        1);
    int n = BIO_read(bio, out, PEM_SIZE - 1);
    assert_true(n > 0);
    BIO_free(bio);
    out[n] = '\0';
    return (size_t)n;
}

struct ed25519_row {
    const char *secret, *public_key, *message, *signature;
};

static void check_ed25519(const struct ed25519_row *row) {
    unsigned char secret[32], public_key[32], message[64], signature[64];
    char pem[PEM_SIZE], want[96], out[WIRE_ED25519_TEXT_SIZE];
    from_hex(secret, row->secret);
    from_hex(public_key, row->public_key);
    size_t size = from_hex(message, row->message);
    from_hex(signature, row->signature);
    EVP_EncodeBlock((unsigned char *)want, signature, 64);

    struct wire_key *k = NULL, *pub = NULL;
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, 32);
    size_t n = pem_of(pem, pkey, true, NULL);
    assert_int_equal(wire_key_ed25519(&k, pem, n, NULL), ST_OK);
    EVP_PKEY_free(pkey);
    pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
    n = pem_of(pem, pkey, false, NULL);
    assert_int_equal(wire_key_ed25519(&pub, pem, n, NULL), ST_OK);
    EVP_PKEY_free(pkey);
    assert_int_equal(wire_key_kind_of(pub), WIRE_KEY_ED25519);

    for (size_t cut = 0; cut <= size; cut++) {
        const char *text = (const char *)message;
        assert_int_equal(wire_sign(k, out, text, cut, text + cut, size - cut), 88);
        assert_string_equal(out, want);
        assert_true(wire_verify(k, out, 88, text, cut, text + cut, size - cut));
        assert_true(wire_verify(pub, out, 88, text, cut, text + cut, size - cut));
    }
    assert_int_equal(wire_sign(pub, out, "", 0, NULL, 0), 0); /* it only verifies */
    assert_string_equal(out, "");
    assert_false(wire_verify(pub, want, 88, "x", 1, (const char *)message, size));
    for (size_t i = 0; i < 88; i++) {
        memcpy(out, want, sizeof out);
        out[i] = out[i] == 'A' ? 'B' : 'A';
        bool unused_bits = i == 85; /* four of its six bits belong to no byte */
        if (!unused_bits)
            assert_false(wire_verify(pub, out, 88, (const char *)message, size, NULL, 0));
    }
    assert_false(wire_verify(pub, want, 87, (const char *)message, size, NULL, 0));
    wire_key_free(k);
    wire_key_free(pub);
}

/* RFC 8032, 7.1, tests 1 to 3. */
static void test_rfc8032(void **state) {
    (void)state;
    static const struct ed25519_row rows[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "c"
         "f9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0"
         "f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
         "8"
         "4dc6594a7c15e9716ed28dc027beceea1ec40a"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check_ed25519(&rows[i]);
}

static void test_ed25519_long_message(void **state) {
    (void)state;
    unsigned char secret[32] = {7};
    char pem[PEM_SIZE], out[WIRE_ED25519_TEXT_SIZE];
    static char text[10000];
    memset(text, 'x', sizeof text);
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, 32);
    size_t n = pem_of(pem, pkey, true, NULL);
    EVP_PKEY_free(pkey);
    struct wire_key *k = NULL;
    assert_int_equal(wire_key_ed25519(&k, pem, n, NULL), ST_OK);
    assert_int_equal(wire_sign(k, out, text, 9000, text, 1000), 88);
    assert_true(wire_verify(k, out, 88, text, 10000, NULL, 0));
    assert_false(wire_verify(k, out, 88, text, 9999, NULL, 0));
    wire_key_free(k);
}

static void test_ed25519_refusals(void **state) {
    (void)state;
    struct wire_key *k = NULL;
    struct err err;
    char pem[PEM_SIZE];
    assert_int_equal(wire_key_ed25519(&k, "", 0, &err), ST_INVALID);
    assert_int_equal(wire_key_ed25519(&k, "hello", 5, &err), ST_INVALID);
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    size_t n = pem_of(pem, pkey, true, NULL);
    assert_int_equal(wire_key_ed25519(&k, pem, n, &err), ST_INVALID);
    assert_non_null(strstr(err.text, "another algorithm"));
    EVP_PKEY_free(pkey);
    unsigned char secret[32] = {9};
    pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, 32);
    n = pem_of(pem, pkey, true, EVP_aes_128_cbc()); /* must not ask anybody for the passphrase */
    assert_int_equal(wire_key_ed25519(&k, pem, n, &err), ST_INVALID);
    EVP_PKEY_free(pkey);
    assert_null(k);
}

/* ---- the text that is signed ---- */

static void check_strip(const char *raw, const char *want) {
    char out[128] = "";
    size_t n = wire_strip_signature(out, raw, strlen(raw));
    assert_int_equal(n, strlen(want));
    assert_memory_equal(out, want, n);
    char same[128];
    memcpy(same, raw, strlen(raw) + 1);
    assert_int_equal(wire_strip_signature(same, same, strlen(raw)), n);
    assert_memory_equal(same, want, n);
}

static void test_strip(void **state) {
    (void)state;
    check_strip("", "");
    check_strip("a=1", "a=1");
    check_strip("a=1&signature=ff", "a=1");
    check_strip("signature=ff", "");
    check_strip("signature=", "");
    check_strip("signature=ff&a=1", "a=1");
    check_strip("a=1&signature=ff&b=2", "a=1&b=2");
    check_strip("a=1&signature=ff&b=2&signature=0", "a=1&b=2");
    check_strip("a=1&signature", "a=1&signature"); /* no value: not a signature */
    check_strip("a=1&Signature=f", "a=1&Signature=f");
    check_strip("a=1&xsignature=f&b=signature=2", "a=1&xsignature=f&b=signature=2");
    check_strip("a=1&", "a=1&");
    check_strip("&a=1&&b", "&a=1&&b");
    check_strip("a=%26signature=1&signature=a%2Bb%3D%3D", "a=%26signature=1");
    check_strip("a=1&signature=f&", "a=1&");
    assert_int_equal(wire_strip_signature(NULL, NULL, 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_venue_vectors),    cmocka_unit_test(test_rfc4231),
        cmocka_unit_test(test_hmac_twin),        cmocka_unit_test(test_hmac_verify),
        cmocka_unit_test(test_rfc8032),          cmocka_unit_test(test_ed25519_long_message),
        cmocka_unit_test(test_ed25519_refusals), cmocka_unit_test(test_strip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
