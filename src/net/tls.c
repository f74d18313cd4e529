/* TLS between the bytes of a connection and the bytes of the wire, and certificates for one's own use.
 *
 * OpenSSL reads from and writes to a BIO of ours, not its memory BIO: that one keeps its largest
 * buffer for the life of the connection, and an idle connection is to hold none. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/net_internal.h"

struct tls {
    SSL *ssl;
    const char *in; /* what of the last read is left */
    size_t in_size;
    bool broken;
};

static enum status tls_err(struct err *err, enum status st, const char *what, const char *file) {
    char text[160] = "no reason given";
    unsigned long code = ERR_peek_last_error();
    if (code) ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return err_set(err, st, "%s%s%s: %s", what, file ? " " : "", file ? file : "", text);
}

/* ---- the BIO ---- */

static int bio_write(BIO *bio, const char *data, size_t size, size_t *written) {
    struct net_conn *c = BIO_get_data(bio);
    char *room = block_room(c->net, &c->sealed, size);
    if (!room) return 0;
    memcpy(room, data, size);
    c->sealed->size += size;
    *written = size;
    return 1;
}

static int bio_read(BIO *bio, char *data, size_t size, size_t *got) {
    struct net_conn *c = BIO_get_data(bio);
    struct tls *t = c->tls;
    BIO_clear_retry_flags(bio);
    if (t->in_size == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *got = t->in_size < size ? t->in_size : size;
    memcpy(data, t->in, *got);
    t->in += *got;
    t->in_size -= *got;
    return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

/* ---- one certificate for a server ---- */

static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                       const unsigned char *in, unsigned in_size, void *context) {
    static const unsigned char ours[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    (void)ssl;
    (void)context;
    unsigned char *picked;
    if (SSL_select_next_proto(&picked, out_size, ours, sizeof ours, in, in_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = picked;
    return SSL_TLSEXT_ERR_OK;
}

enum status tls_context(struct net *n, const char *cert_file, const char *key_file,
                        struct err *err) {
    if (!cert_file || !key_file)
        return err_set(err, ST_INVALID, "a certificate and a key belong together");
    n->ssl = SSL_CTX_new(TLS_server_method());
    n->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
    if (!n->ssl || !n->bio) return tls_err(err, ST_NO_MEMORY, "TLS", NULL);
    SSL_CTX_set_min_proto_version(n->ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(n->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                    SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(n->ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(n->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(n->ssl, 0); /* nothing of a session is kept between connections */
    SSL_CTX_set_alpn_select_cb(n->ssl, alpn_select, NULL);
    BIO_meth_set_write_ex(n->bio, bio_write);
    BIO_meth_set_read_ex(n->bio, bio_read);
    BIO_meth_set_ctrl(n->bio, bio_ctrl);
    BIO_meth_set_create(n->bio, bio_create);
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(n->ssl, cert_file) != 1)
        return tls_err(err, ST_INVALID, "certificate", cert_file);
    if (SSL_CTX_use_PrivateKey_file(n->ssl, key_file, SSL_FILETYPE_PEM) != 1)
        return tls_err(err, ST_INVALID, "private key", key_file);
    if (SSL_CTX_check_private_key(n->ssl) != 1)
        return tls_err(err, ST_INVALID, "the key does not belong to the certificate", cert_file);
    return ST_OK;
}

void tls_context_free(struct net *n) {
    SSL_CTX_free(n->ssl);
    BIO_meth_free(n->bio);
    n->ssl = NULL;
    n->bio = NULL;
}

/* ---- one connection ---- */

enum status tls_open(struct net_conn *c) {
    struct tls *t = calloc(1, sizeof *t);
    if (!t) return ST_NO_MEMORY;
    t->ssl = SSL_new(c->net->ssl);
    BIO *bio = t->ssl ? BIO_new(c->net->bio) : NULL;
    if (!bio) {
        SSL_free(t->ssl);
        free(t);
        return ST_NO_MEMORY;
    }
    BIO_set_data(bio, c);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_accept_state(t->ssl);
    c->tls = t;
    return ST_OK;
}

void tls_free(struct net_conn *c) {
    if (!c->tls) return;
    SSL_free(c->tls->ssl);
    free(c->tls);
    c->tls = NULL;
}

bool tls_is_shaking(const struct net_conn *c) {
    return !SSL_is_init_finished(c->tls->ssl);
}

bool tls_receive(struct net_conn *c, const char *bytes, size_t size) {
    struct net *n = c->net;
    struct tls *t = c->tls;
    t->in = bytes;
    t->in_size = size;
    while (c->state != CONN_DEAD && c->state != CONN_FLUSHING && c->state != CONN_LINGERING) {
        size_t got = 0;
        ERR_clear_error();
        int done = SSL_read_ex(t->ssl, n->plain, sizeof n->plain, &got);
        if (c->sealed) conn_touch(c);
        if (done == 1) {
            conn_consume(c, n->plain, got);
            continue;
        }
        int error = SSL_get_error(t->ssl, done);
        if (error == SSL_ERROR_WANT_READ) {
            if (!c->in) conn_rearm(c);
            return true;
        }
        if (error == SSL_ERROR_ZERO_RETURN) {
            conn_eof(c);
            return true;
        }
        t->broken = true;
        n->stats.bad_requests++;
        return false;
    }
    return true;
}

bool tls_encrypt(struct net_conn *c) {
    size_t written = 0;
    ERR_clear_error();
    bool done = SSL_write_ex(c->tls->ssl, c->out->data, c->out->size, &written) == 1;
    block_drop(c->net, &c->out);
    return done;
}

/* What was said before the goodbye must be encrypted before it. */
void tls_goodbye(struct net_conn *c) {
    struct tls *t = c->tls;
    if (t->broken || tls_is_shaking(c)) return;
    if (c->out && !tls_encrypt(c)) return;
    ERR_clear_error();
    SSL_shutdown(t->ssl);
    conn_touch(c);
}

/* ---- certificates ---- */

/* "a,b" -> "DNS:a,IP:127.0.0.1"; only what a name may hold, as OpenSSL's list has a syntax of its own. */
static enum status names_list(char *out, size_t size, const char *names, struct err *err) {
    size_t at = 0;
    for (const char *p = names; *p;) {
        size_t length = strcspn(p, ",");
        char name[254];
        unsigned char address[16];
        if (length == 0 || length >= sizeof name ||
            strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-*") <
                length)
            return err_set(err, ST_INVALID, "certificate names '%s': not a list of host names",
                           names);
        memcpy(name, p, length);
        name[length] = '\0';
        bool ip = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
        if (!ip && strchr(name, ':'))
            return err_set(err, ST_INVALID, "certificate name '%s' is not a host name", name);
        int n = snprintf(out + at, size - at, "%s%s:%s", at ? "," : "", ip ? "IP" : "DNS", name);
        if (n < 0 || (size_t)n >= size - at)
            return err_set(err, ST_INVALID, "too many certificate names");
        at += (size_t)n;
        p += length + (p[length] == ',');
    }
    return at ? ST_OK : err_set(err, ST_INVALID, "a certificate needs a name");
}

static bool extension_add(X509 *cert, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool done = e && X509_add_ext(cert, e, -1) == 1;
    X509_EXTENSION_free(e);
    return done;
}

/* Self-signed and no authority: it vouches for itself and for nothing else. */
static X509 *certificate_make(EVP_PKEY *key, const char *first_name, const char *names) {
    enum { DAYS = 365, SKEW_SECONDS = 86400 };
    X509 *cert = X509_new();
    BIGNUM *serial = BN_new();
    X509_NAME *subject = cert ? X509_get_subject_name(cert) : NULL;
    bool done = cert && serial && X509_set_version(cert, X509_VERSION_3) == 1 &&
                BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) &&
                X509_gmtime_adj(X509_getm_notBefore(cert), -SKEW_SECONDS) &&
                X509_gmtime_adj(X509_getm_notAfter(cert), DAYS * 86400L) &&
                X509_set_pubkey(cert, key) == 1 &&
                X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                           (const unsigned char *)first_name, -1, -1, 0) == 1 &&
                X509_set_issuer_name(cert, subject) == 1 &&
                extension_add(cert, NID_basic_constraints, "critical,CA:FALSE") &&
                extension_add(cert, NID_key_usage, "critical,digitalSignature") &&
                extension_add(cert, NID_ext_key_usage, "serverAuth") &&
                extension_add(cert, NID_subject_key_identifier, "hash") &&
                extension_add(cert, NID_subject_alt_name, names) &&
                X509_sign(cert, key, EVP_sha256()) > 0;
    BN_free(serial);
    if (done) return cert;
    X509_free(cert);
    return NULL;
}

static enum status file_make(FILE **out, const char *path, mode_t mode, struct err *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (*out) return ST_OK;
    enum status st = err_errno(err, ST_IO, "cannot make %s", path);
    if (fd >= 0) close(fd);
    return st;
}

static enum status pair_write(const char *cert_file, const char *key_file, X509 *cert,
                              EVP_PKEY *key, struct err *err) {
    FILE *f;
    enum status st = file_make(&f, key_file, 0600, err);
    if (st != ST_OK) return st;
    bool done = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1;
    if (fclose(f) != 0 || !done) {
        unlink(key_file);
        return err_errno(err, ST_IO, "cannot write %s", key_file);
    }
    st = file_make(&f, cert_file, 0644, err);
    if (st != ST_OK) {
        unlink(key_file);
        return st;
    }
    done = PEM_write_X509(f, cert) == 1;
    if (fclose(f) == 0 && done) return ST_OK;
    unlink(cert_file);
    unlink(key_file);
    return err_errno(err, ST_IO, "cannot write %s", cert_file);
}

enum status net_tls_generate(const char *cert_file, const char *key_file, const char *names,
                             struct err *err) {
    char list[2048], first[254];
    bool have_cert = access(cert_file, F_OK) == 0, have_key = access(key_file, F_OK) == 0;
    if (have_cert && have_key) return ST_OK;
    if (have_cert || have_key)
        return err_set(err, ST_MISMATCH, "%s is there and %s is not: both or neither",
                       have_cert ? cert_file : key_file, have_cert ? key_file : cert_file);
    enum status st = names_list(list, sizeof list, names, err);
    if (st != ST_OK) return st;
    snprintf(first, sizeof first, "%.*s", (int)strcspn(names, ","), names);
    ERR_clear_error();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key ? certificate_make(key, first, list) : NULL;
    if (cert)
        st = pair_write(cert_file, key_file, cert, key, err);
    else
        st = tls_err(err, ST_EXTERNAL, "cannot make a certificate", NULL);
    X509_free(cert);
    EVP_PKEY_free(key);
    return st;
}
