/* Clients, subscriptions, listen keys, and the way of a message to everyone who asked for it. */
#include "venue/server/streams.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/log.h"
#include "venue/server/render.h"
#include "venue/server/stream_internal.h"
#include "venue/server/stream_text.h"

enum {
    TEXT_BYTES = 64 << 10,
    HELD_MS_MAX = 1000, /* a swapped message waits so long for another to overtake it */
    STREAMS_MAX = 1024,
};

void *stream_grow(void *memory, uint32_t *capacity, uint32_t needed, size_t item) {
    if (needed <= *capacity) return memory;
    uint32_t more = *capacity ? *capacity : 4;
    while (more < needed) more *= 2;
    memory = realloc(memory, more * item);
    ASSERT(memory != NULL);
    *capacity = more;
    return memory;
}

/* ---- the way of a message ---- */

char *stream_payload(struct streams *s, size_t size) {
    size_t needed = TEXT_ROOM + size + 16;
    if (needed > s->text_capacity) {
        char *text = realloc(s->text, needed * 2);
        ASSERT(text != NULL);
        s->text = text;
        s->text_capacity = needed * 2;
    }
    return s->text + TEXT_ROOM;
}

static void hand_over(struct streams *s, struct stream_client *c, const char *frame, size_t size) {
    s->stats.messages++;
    s->stats.bytes += size;
    if (!c->sink.send_framed(c->sink.context, frame, size)) c->gone = true;
}

static void release_held(struct streams *s, struct stream_client *c) {
    if (!c->held) return;
    char *frame = c->held;
    c->held = NULL;
    s->held--;
    if (!c->gone) hand_over(s, c, frame, c->held_size);
    free(frame);
}

/* With faults asked for. A message to be swapped goes behind the client's next one. */
static void deliver_faulty(struct streams *s, struct stream_client *c, const char *frame,
                           size_t size, bool user_data) {
    enum stream_fault f = s->fault(s->fault_context, user_data);
    if (f == STREAM_SWAP && c->held) f = STREAM_DELIVER;
    switch (f) {
    case STREAM_DROP:
        return;
    case STREAM_SWAP:
        c->held = malloc(size);
        ASSERT(c->held != NULL);
        memcpy(c->held, frame, size);
        c->held_size = size;
        c->held_ns = s->now_ns;
        s->held++;
        return;
    case STREAM_TWICE:
        hand_over(s, c, frame, size);
        if (c->gone) return;
        break;
    case STREAM_DELIVER:
        break;
    }
    hand_over(s, c, frame, size);
    release_held(s, c);
}

static size_t stream_name(const struct streams *s, uint32_t number, char out[STREAM_NAME_SIZE]) {
    uint32_t contracts = s->contract_count * SLOT_COUNT;
    if (number >= contracts + GLOBAL_COUNT) {
        strcpy(out, s->users[number - contracts - GLOBAL_COUNT].key);
        return strlen(out);
    }
    if (number >= contracts) {
        strcpy(out, stream_global_name((int)(number - contracts)));
        return strlen(out);
    }
    const struct stream_contract *c = &s->contracts[number / SLOT_COUNT];
    int slot = (int)(number % SLOT_COUNT);
    char *p = put_n(out, c->lower, c->lower_size);
    if (slot >= SLOT_CONTINUOUS) p = PUT(p, "_perpetual");
    *p++ = '@';
    return (size_t)(p - out) + stream_suffix(p, slot);
}

/* The frame's head goes right in front of what begins at `from`; returns where the frame begins. */
static const char *put_head(char *from, size_t size) {
    uint8_t head[10];
    size_t n = net_frame_header(head, NET_WS_TEXT, size);
    return memcpy(from - n, head, n);
}

/* {"stream":"NAME","data":PAYLOAD} around the payload that lies in s->text. */
static const char *combined_frame(struct streams *s, uint32_t number, char *end, size_t *size) {
    char prefix[TEXT_ROOM], name[STREAM_NAME_SIZE];
    size_t n = stream_name(s, number, name);
    char *p = PUT(prefix, "{\"stream\":\"");
    p = put_n(p, name, n);
    p = PUT(p, "\",\"data\":");
    size_t prefix_size = (size_t)(p - prefix);
    char *from = s->text + TEXT_ROOM - prefix_size;
    memcpy(from, prefix, prefix_size);
    *end = '}';
    const char *frame = put_head(from, (size_t)(end + 1 - from));
    *size = (size_t)(end + 1 - frame);
    return frame;
}

static void free_client(struct streams *s, struct stream_client *c);

static void sweep(struct streams *s) {
    if (s->sending || !s->doomed) return;
    for (struct stream_client *c = s->clients, *next; c; c = next) {
        next = c->next;
        if (c->doomed) free_client(s, c);
    }
    s->doomed = 0;
}

static void deliver(struct streams *s, struct stream *st, bool combined, uint32_t event,
                    const char *frame, size_t size) {
    for (uint32_t i = 0; i < st->count; i++) {
        struct stream_client *c = st->items[i].client;
        if (c->combined != combined || c->gone || !(st->items[i].events & event)) continue;
        if (s->fault)
            deliver_faulty(s, c, frame, size, event != USER_ALL);
        else
            hand_over(s, c, frame, size);
    }
}

static struct stream *stream_of(struct streams *s, uint32_t stream) {
    uint32_t contracts = s->contract_count * SLOT_COUNT;
    if (stream < contracts) return &s->contract_streams[stream];
    if (stream < contracts + GLOBAL_COUNT) return &s->globals[stream - contracts];
    return &s->user_streams[stream - contracts - GLOBAL_COUNT];
}

/* The bare frame to all who want it so, then the combined one: both are made of the same payload in its place. */
static void publish(struct streams *s, uint32_t number, uint32_t event, const char *end) {
    struct stream *st = stream_of(s, number);
    bool bare = false, combined = false;
    for (uint32_t i = 0; i < st->count; i++) {
        bare = bare || !st->items[i].client->combined;
        combined = combined || st->items[i].client->combined;
    }
    char *payload = s->text + TEXT_ROOM, *last = s->text + (end - s->text);
    ASSERT(last >= payload && (size_t)(last - s->text) + 2 <= s->text_capacity);
    s->stats.rendered++;
    s->sending++;
    if (bare) {
        const char *frame = put_head(payload, (size_t)(end - payload));
        deliver(s, st, false, event, frame, (size_t)(end - frame));
    }
    if (combined) {
        size_t size;
        const char *frame = combined_frame(s, number, last, &size);
        deliver(s, st, true, event, frame, size);
    }
    s->sending--;
    sweep(s);
}

void stream_publish(struct streams *s, uint32_t stream, const char *end) {
    publish(s, stream, USER_ALL, end);
}

void stream_publish_user(struct streams *s, uint32_t account, uint32_t event, const char *end) {
    publish(s, stream_user_number(s, account), event, end);
}

/* ---- subscriptions ---- */

static enum stream_cadence cadence_of(const struct streams *s, uint32_t stream) {
    uint32_t contracts = s->contract_count * SLOT_COUNT;
    if (stream < contracts) return stream_slot_cadence((int)(stream % SLOT_COUNT));
    if (stream < contracts + GLOBAL_COUNT) return stream_global_cadence((int)(stream - contracts));
    return CADENCE_EVENT;
}

/* Says something only behind a trade, or at a full minute. */
static bool waits_for_trades(const struct streams *s, uint32_t stream) {
    uint32_t slot = stream % SLOT_COUNT;
    return stream < s->contract_count * SLOT_COUNT && (slot == SLOT_AGG || slot >= SLOT_KLINE);
}

static void attach(struct streams *s, struct stream_client *c, uint32_t stream, uint32_t events) {
    struct stream *st = stream_of(s, stream);
    if (stream < s->contract_count * SLOT_COUNT && st->count == 0) {
        stream_market_begin(s, stream / SLOT_COUNT, (int)(stream % SLOT_COUNT));
        s->contracts[stream / SLOT_COUNT].active |= SLOT_BIT(stream % SLOT_COUNT);
    }
    st->items = stream_grow(st->items, &st->capacity, st->count + 1, sizeof *st->items);
    st->items[st->count++] = (struct subscriber){c, events};
    enum stream_cadence cadence = cadence_of(s, stream);
    s->eager_subscriptions[cadence] += !waits_for_trades(s, stream);
    s->traded[cadence] = true; /* how it stands, to whoever is new */
    if (s->cadence_subscriptions[cadence]++ == 0 && cadence != CADENCE_EVENT) {
        int64_t ns = stream_cadence_ns(cadence);
        s->next_ns[cadence] = (s->now_ns / ns + 1) * ns;
    }
}

static void detach(struct streams *s, struct stream_client *c, uint32_t stream) {
    struct stream *st = stream_of(s, stream);
    uint32_t i = 0;
    while (i < st->count && st->items[i].client != c) i++;
    if (i == st->count) return; /* user data whose key has ended */
    st->items[i] = st->items[--st->count];
    s->cadence_subscriptions[cadence_of(s, stream)]--;
    s->eager_subscriptions[cadence_of(s, stream)] -= !waits_for_trades(s, stream);
    if (st->count == 0 && stream < s->contract_count * SLOT_COUNT)
        s->contracts[stream / SLOT_COUNT].active &= ~SLOT_BIT(stream % SLOT_COUNT);
}

/* Number of a contract's stream from its lower-case name; STREAM_MUTE if there is none such. */
static uint32_t contract_stream_find(const struct streams *s, const char *name, size_t size,
                                     enum stream_route *route) {
    static const char pair_tail[] = "_perpetual";
    char upper[SYMBOL_SIZE];
    const char *at = memchr(name, '@', size);
    if (!at) return STREAM_MUTE;
    size_t n = (size_t)(at - name), tail = sizeof pair_tail - 1;
    int slot = stream_suffix_find(at + 1, size - n - 1);
    if (slot < 0) return STREAM_MUTE;
    if (slot >= SLOT_CONTINUOUS) {
        if (n <= tail || memcmp(at - tail, pair_tail, tail) != 0) return STREAM_MUTE;
        n -= tail;
    }
    if (n >= sizeof upper) return STREAM_MUTE;
    for (size_t i = 0; i < n; i++) {
        if (name[i] >= 'A' && name[i] <= 'Z') return STREAM_MUTE;
        upper[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
    }
    int contract = world_find(s->world, upper, n);
    if (contract < 0) return STREAM_MUTE;
    *route = stream_slot_route(slot);
    return stream_number((uint32_t)contract, slot);
}

static uint32_t stream_find(const struct streams *s, const struct stream_client *c,
                            const char *name, size_t size) {
    enum stream_route route = ROUTE_PRIVATE;
    uint32_t found = STREAM_MUTE;
    int64_t account = stream_key_find(s, name, size);
    int global = stream_global_find(name, size);
    if (account >= 0) {
        found = stream_user_number(s, (uint32_t)account);
    } else if (global >= 0) {
        route = stream_global_route(global);
        found = stream_global_number(s, global);
    } else {
        found = contract_stream_find(s, name, size, &route);
    }
    bool here = c->route == ROUTE_ALL || c->route == route || s->options.wrong_route_delivers;
    return here ? found : STREAM_MUTE;
}

static uint32_t name_hash(const char *name, size_t size) {
    return (uint32_t)hash64(name, size);
}

static struct subscription *subscription_find(const struct stream_client *c, const char *name,
                                              size_t size) {
    uint32_t hash = name_hash(name, size);
    for (uint32_t i = 0; i < c->count; i++) {
        struct subscription *x = &c->subscriptions[i];
        if (x->hash == hash && x->size == size && memcmp(x->name, name, size) == 0) return x;
    }
    return NULL;
}

bool stream_is_subscribed(const struct stream_client *c, const char *name, size_t size) {
    return subscription_find(c, name, size) != NULL;
}

enum status stream_subscribe(struct streams *s, struct stream_client *c, const char *name,
                             size_t size, uint32_t events) {
    if (!stream_name_is_plain(name, size)) return ST_INVALID;
    if (subscription_find(c, name, size)) return ST_OK;
    if (c->count >= s->options.streams_max) return ST_FULL;
    c->subscriptions =
        stream_grow(c->subscriptions, &c->capacity, c->count + 1, sizeof *c->subscriptions);
    struct subscription *x = &c->subscriptions[c->count++];
    *x = (struct subscription){stream_find(s, c, name, size), name_hash(name, size), (uint32_t)size,
                               ""};
    memcpy(x->name, name, size);
    s->stats.subscriptions++;
    if (x->stream != STREAM_MUTE) attach(s, c, x->stream, events);
    return ST_OK;
}

void stream_unsubscribe(struct streams *s, struct stream_client *c, const char *name, size_t size) {
    struct subscription *x = subscription_find(c, name, size);
    if (!x) return;
    if (x->stream != STREAM_MUTE) detach(s, c, x->stream);
    size_t at = (size_t)(x - c->subscriptions);
    memmove(x, x + 1, (c->count - at - 1) * sizeof *x);
    c->count--;
    s->stats.subscriptions--;
}

/* ---- clients ---- */

static void free_client(struct streams *s, struct stream_client *c) {
    for (uint32_t i = 0; i < c->count; i++)
        if (c->subscriptions[i].stream != STREAM_MUTE) detach(s, c, c->subscriptions[i].stream);
    s->stats.subscriptions -= c->count;
    s->stats.clients--;
    if (c->held) s->held--;
    if (c->prev)
        c->prev->next = c->next;
    else
        s->clients = c->next;
    if (c->next) c->next->prev = c->prev;
    free(c->held);
    free(c->subscriptions);
    free(c);
}

struct stream_client *streams_open(struct streams *s, struct net_text path, struct net_text query,
                                   const struct streams_sink *sink, int64_t now_ns) {
    if (now_ns > s->now_ns) s->now_ns = now_ns;
    struct stream_client *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->sink = *sink;
    c->next = s->clients;
    if (c->next) c->next->prev = c;
    s->clients = c;
    s->stats.clients++;
    if (stream_path_open(s, c, path, query)) return c;
    free_client(s, c);
    return NULL;
}

void streams_close(struct streams *s, struct stream_client *c) {
    if (s->sending) { /* its own message is on the way: its memory goes when that is done */
        c->gone = c->doomed = true;
        s->doomed++;
        return;
    }
    free_client(s, c);
}

/* ---- listen keys ---- */

static void key_make(struct streams *s, char out[LISTEN_KEY_SIZE]) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t at = 0; at < LISTEN_KEY_SIZE - 1;) {
        uint8_t bytes[64];
        if (s->options.seed) {
            for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)rng_u64(&s->rng);
        } else {
            ssize_t n;
            do n = getrandom(bytes, sizeof bytes, 0);
            while (n < 0 && errno == EINTR);
            ASSERT(n == (ssize_t)sizeof bytes); /* always so up to 256 bytes */
        }
        /* 62 letters of 64 values: the two others are drawn again, so that all are equally likely. */
        for (size_t i = 0; i < sizeof bytes && at < LISTEN_KEY_SIZE - 1; i++)
            if ((bytes[i] & 63) < 62) out[at++] = letters[bytes[i] & 63];
    }
    out[LISTEN_KEY_SIZE - 1] = '\0';
}

int64_t stream_key_find(const struct streams *s, const char *key, size_t size) {
    int64_t found = -1;
    if (size != LISTEN_KEY_SIZE - 1) return -1;
    for (uint32_t a = 0; a < s->user_count; a++) {
        unsigned differ = s->users[a].key[0] == '\0';
        for (size_t i = 0; i < size; i++) differ |= (unsigned)(s->users[a].key[i] ^ key[i]);
        if (!differ) found = a;
    }
    return found;
}

static void user_make(struct streams *s, uint32_t account) {
    if (account < s->user_count) return;
    uint32_t capacity = s->user_capacity;
    s->users = stream_grow(s->users, &capacity, account + 1, sizeof *s->users);
    capacity = s->user_capacity;
    s->user_streams = stream_grow(s->user_streams, &capacity, account + 1, sizeof *s->user_streams);
    s->user_capacity = capacity;
    for (; s->user_count <= account; s->user_count++) {
        s->users[s->user_count] = (struct stream_user){"", 0};
        s->user_streams[s->user_count] = (struct stream){NULL, 0, 0};
    }
}

static void renew(struct streams *s, struct stream_user *u, int64_t now_ns) {
    u->expires_ns = now_ns + s->options.listen_key_life_ns;
    if (u->expires_ns < s->keys_deadline_ns) s->keys_deadline_ns = u->expires_ns;
}

/* Nothing more comes on what was subscribed under the key. */
static void key_end(struct streams *s, uint32_t account) {
    s->users[account].key[0] = '\0';
    uint32_t number = stream_user_number(s, account);
    struct stream *st = &s->user_streams[account];
    for (; st->count > 0; st->count--) {
        struct stream_client *c = st->items[st->count - 1].client;
        for (uint32_t i = 0; i < c->count; i++)
            if (c->subscriptions[i].stream == number) c->subscriptions[i].stream = STREAM_MUTE;
        s->cadence_subscriptions[CADENCE_EVENT]--;
    }
}

void streams_key_start(struct streams *s, uint32_t account, int64_t now_ns,
                       char out[LISTEN_KEY_SIZE]) {
    user_make(s, account);
    struct stream_user *u = &s->users[account];
    if (u->key[0] == '\0') key_make(s, u->key);
    renew(s, u, now_ns);
    memcpy(out, u->key, LISTEN_KEY_SIZE);
}

enum { CODE_LISTEN_KEY = -1125 };

int streams_key_ping(struct streams *s, uint32_t account, int64_t now_ns,
                     char out[LISTEN_KEY_SIZE]) {
    if (account >= s->user_count || s->users[account].key[0] == '\0') return CODE_LISTEN_KEY;
    streams_key_start(s, account, now_ns, out);
    return 0;
}

int streams_key_stop(struct streams *s, uint32_t account) {
    if (account >= s->user_count || s->users[account].key[0] == '\0') return CODE_LISTEN_KEY;
    key_end(s, account);
    return 0;
}

static void keys_expire(struct streams *s, int64_t before_ns) {
    s->keys_deadline_ns = INT64_MAX;
    for (uint32_t a = 0; a < s->user_count; a++) {
        struct stream_user *u = &s->users[a];
        if (u->key[0] == '\0') continue;
        if (u->expires_ns <= before_ns) {
            stream_user_expired(s, a, u->key, s->now_ns);
            key_end(s, a);
        } else if (u->expires_ns < s->keys_deadline_ns) {
            s->keys_deadline_ns = u->expires_ns;
        }
    }
}

void streams_keys_expire(struct streams *s, int64_t now_ns) {
    if (now_ns > s->now_ns) s->now_ns = now_ns;
    stream_user_flush(s);
    keys_expire(s, INT64_MAX);
}

/* ---- faults, events, time ---- */

void streams_user_silent(struct streams *s, bool silent) {
    s->user_silent = silent;
}

void streams_fault_set(struct streams *s, enum stream_fault (*ask)(void *context, bool user_data),
                       void *context) {
    s->fault = ask;
    s->fault_context = context;
}

void streams_event(struct streams *s, const struct exchange_event *event) {
    if (event->ts_ns > s->now_ns) s->now_ns = event->ts_ns;
    stream_user_event(s, event);
    stream_market_event(s, event);
}

static void held_release_old(struct streams *s) {
    s->sending++;
    for (struct stream_client *c = s->clients; c; c = c->next)
        if (c->held && s->now_ns - c->held_ns >= HELD_MS_MAX * NS_PER_MS) release_held(s, c);
    s->sending--;
    sweep(s);
}

void streams_time(struct streams *s, int64_t now_ns) {
    if (now_ns > s->now_ns) s->now_ns = now_ns;
    stream_user_flush(s);
    for (int c = CADENCE_100MS; c < CADENCE_COUNT; c++) {
        if (s->cadence_subscriptions[c] == 0 || s->next_ns[c] > s->now_ns) continue;
        int64_t ns = stream_cadence_ns((enum stream_cadence)c);
        s->next_ns[c] = (s->now_ns / ns + 1) * ns;
        s->traded[c] = false;
        stream_market_tick(s, (enum stream_cadence)c);
    }
    if (s->keys_deadline_ns <= s->now_ns) keys_expire(s, s->now_ns);
    if (s->held) held_release_old(s);
}

/* The ticks at which nothing can be due are not waited for; candles end at full minutes. */
static int64_t cadence_deadline(const struct streams *s, int c) {
    if (s->cadence_subscriptions[c] == 0) return INT64_MAX;
    if (s->traded[c] || s->eager_subscriptions[c] > 0) return s->next_ns[c];
    int64_t minute = (s->kline_minute + 1) * NS_PER_MINUTE;
    if (c != CADENCE_250MS) return INT64_MAX;
    return minute > s->next_ns[c] ? minute : s->next_ns[c];
}

int64_t streams_deadline(const struct streams *s) {
    int64_t next = s->keys_deadline_ns;
    for (int c = CADENCE_100MS; c < CADENCE_COUNT; c++) {
        int64_t due = cadence_deadline(s, c);
        if (due < next) next = due;
    }
    if (s->held && s->now_ns + HELD_MS_MAX * NS_PER_MS < next)
        next = s->now_ns + HELD_MS_MAX * NS_PER_MS;
    return s->balance_waits ? s->now_ns : next;
}

void streams_stats_get(const struct streams *s, struct streams_stats *out) {
    *out = s->stats;
}

/* ---- making ---- */

static void contract_init(struct streams *s, uint32_t i) {
    struct stream_contract *c = &s->contracts[i];
    const struct instrument *in = exchange_instrument(s->world->exchange, i);
    for (; in->symbol[c->lower_size]; c->lower_size++) {
        char x = in->symbol[c->lower_size];
        c->lower[c->lower_size] = x >= 'A' && x <= 'Z' ? (char)(x - 'A' + 'a') : x;
    }
    stream_contract_decimals(s, i);
}

void stream_contract_decimals(struct streams *s, uint32_t contract) {
    struct stream_contract *c = &s->contracts[contract];
    const struct instrument *in = exchange_instrument(s->world->exchange, contract);
    c->px_decimals = render_px_decimals(in);
    c->qty_decimals = render_qty_decimals(in);
    int both = c->px_decimals + c->qty_decimals;
    c->quote_decimals = both < 8 ? both : 8;
}

enum status streams_create(struct streams **out, struct world *world,
                           const struct streams_options *options, struct err *err) {
    *out = NULL;
    struct streams *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ST_NO_MEMORY, "streams");
    s->world = world;
    s->options = *options;
    if (s->options.streams_max == 0) s->options.streams_max = STREAMS_MAX;
    if (s->options.listen_key_life_ns == 0) s->options.listen_key_life_ns = 60 * NS_PER_MINUTE;
    s->rng = rng_init(options->seed);
    s->keys_deadline_ns = INT64_MAX;
    s->now_ns = world->now_ns;
    s->contract_count = exchange_instrument_count(world->exchange);
    s->contracts = calloc(s->contract_count, sizeof *s->contracts);
    s->contract_streams =
        calloc((size_t)s->contract_count * SLOT_COUNT, sizeof *s->contract_streams);
    s->text_capacity = TEXT_BYTES;
    s->text = malloc(s->text_capacity);
    if (!s->contracts || !s->contract_streams || !s->text) {
        streams_destroy(s);
        return err_set(err, ST_NO_MEMORY, "streams of %" PRIu32 " contracts", s->contract_count);
    }
    for (uint32_t i = 0; i < s->contract_count; i++) contract_init(s, i);
    for (int c = CADENCE_100MS; c < CADENCE_COUNT; c++)
        s->cadence_slots[c] = stream_cadence_slots((enum stream_cadence)c);
    *out = s;
    return ST_OK;
}

void streams_destroy(struct streams *s) {
    if (!s) return;
    while (s->clients) free_client(s, s->clients);
    if (s->contract_streams)
        for (size_t i = 0; i < (size_t)s->contract_count * SLOT_COUNT; i++)
            free(s->contract_streams[i].items);
    for (int i = 0; i < GLOBAL_COUNT; i++) free(s->globals[i].items);
    for (uint32_t i = 0; i < s->user_count; i++) free(s->user_streams[i].items);
    if (s->contracts)
        for (uint32_t i = 0; i < s->contract_count; i++) free(s->contracts[i].changes);
    free(s->contracts);
    free(s->contract_streams);
    free(s->user_streams);
    free(s->users);
    free(s->sorted);
    free(s->text);
    free(s);
}
