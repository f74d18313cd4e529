/* Lists, heaps, slots and the ways to find an order: by id, by client id, by price. */
#include <string.h>

#include "base/hash.h"
#include "venue/exchange/exchange_internal.h"

static struct ex_link *link_at(struct ex_links links, uint32_t index1) {
    return (struct ex_link *)((uintptr_t)links.first + (size_t)(index1 - 1) * links.stride);
}

void ex_list_append(struct ex_ends *ends, struct ex_links links, uint32_t index1) {
    *link_at(links, index1) = (struct ex_link){.next1 = 0, .prev1 = ends->last1};
    if (ends->last1)
        link_at(links, ends->last1)->next1 = index1;
    else
        ends->first1 = index1;
    ends->last1 = index1;
}

void ex_list_remove(struct ex_ends *ends, struct ex_links links, uint32_t index1) {
    struct ex_link *l = link_at(links, index1);
    if (l->prev1)
        link_at(links, l->prev1)->next1 = l->next1;
    else
        ends->first1 = l->next1;
    if (l->next1)
        link_at(links, l->next1)->prev1 = l->prev1;
    else
        ends->last1 = l->prev1;
    *l = (struct ex_link){0, 0};
}

/* ---- pairing heap: Fredman et al., "The pairing heap" (1986), two-pass variant ---- */

static bool comes_before(const struct ex_node *a, const struct ex_node *b) {
    return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

/* Two roots become one. */
static uint32_t heap_merge(struct ex_node *nodes, uint32_t a1, uint32_t b1) {
    if (!a1) return b1;
    if (!b1) return a1;
    if (comes_before(&nodes[b1 - 1], &nodes[a1 - 1])) {
        uint32_t swap = a1;
        a1 = b1;
        b1 = swap;
    }
    struct ex_node *a = &nodes[a1 - 1], *b = &nodes[b1 - 1];
    b->next1 = a->child1;
    if (a->child1) nodes[a->child1 - 1].prev1 = b1;
    b->prev1 = a1;
    a->child1 = b1;
    return a1;
}

/* A list of siblings becomes one heap. */
static uint32_t heap_merge_pairs(struct ex_node *nodes, uint32_t first1) {
    uint32_t stack1 = 0, root1 = 0;
    while (first1) {
        uint32_t a1 = first1, b1 = nodes[a1 - 1].next1;
        first1 = b1 ? nodes[b1 - 1].next1 : 0;
        nodes[a1 - 1].next1 = nodes[a1 - 1].prev1 = 0;
        if (b1) nodes[b1 - 1].next1 = nodes[b1 - 1].prev1 = 0;
        uint32_t m1 = heap_merge(nodes, a1, b1);
        nodes[m1 - 1].next1 = stack1;
        stack1 = m1;
    }
    while (stack1) {
        uint32_t next1 = nodes[stack1 - 1].next1;
        nodes[stack1 - 1].next1 = 0;
        root1 = heap_merge(nodes, root1, stack1);
        stack1 = next1;
    }
    return root1;
}

void ex_heap_push(struct exchange *ex, uint32_t *root1, uint32_t node1, int64_t key, uint64_t tie) {
    struct ex_node *nodes = ex_nodes(ex);
    nodes[node1 - 1] = (struct ex_node){.key = key, .tie = tie};
    *root1 = heap_merge(nodes, *root1, node1);
}

void ex_heap_remove(struct exchange *ex, uint32_t *root1, uint32_t node1) {
    struct ex_node *nodes = ex_nodes(ex), *n = &nodes[node1 - 1];
    uint32_t rest1 = heap_merge_pairs(nodes, n->child1);
    if (*root1 == node1) {
        *root1 = rest1;
    } else {
        struct ex_node *before = &nodes[n->prev1 - 1];
        if (before->child1 == node1)
            before->child1 = n->next1;
        else
            before->next1 = n->next1;
        if (n->next1) nodes[n->next1 - 1].prev1 = n->prev1;
        *root1 = heap_merge(nodes, *root1, rest1);
    }
    *n = (struct ex_node){0};
}

/* ---- slots: a free element's first four bytes lead to the next free one ---- */

static void *element_at(void *elements, size_t stride, uint32_t index1) {
    return (void *)((uintptr_t)elements + (size_t)(index1 - 1) * stride);
}

uint32_t ex_slot_take(struct ex_slots *slots, void *elements, size_t stride) {
    uint32_t index1 = slots->free1;
    if (index1) {
        memcpy(&slots->free1, element_at(elements, stride, index1), sizeof slots->free1);
    } else {
        if (slots->fresh == slots->capacity) return 0;
        index1 = ++slots->fresh;
    }
    memset(element_at(elements, stride, index1), 0, stride);
    slots->count++;
    return index1;
}

void ex_slot_give(struct ex_slots *slots, void *elements, size_t stride, uint32_t index1) {
    void *element = element_at(elements, stride, index1);
    memset(element, 0, stride);
    memcpy(element, &slots->free1, sizeof slots->free1);
    slots->free1 = index1;
    slots->count--;
}

/* ---- hash tables with chains ---- */

/* Finalizer of MurmurHash3: neighbouring ids spread over all buckets. */
static uint32_t spread(uint64_t x) {
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    return (uint32_t)x;
}

static uint32_t client_hash(uint32_t account, const char *id) {
    return (uint32_t)hash64_seed(id, strnlen(id, CLIENT_ORDER_ID_SIZE), account);
}

static uint32_t *table(const struct exchange *ex, size_t at) {
    return (uint32_t *)ex_at(ex, at);
}

void ex_order_index(struct exchange *ex, struct ex_order *o) {
    uint32_t index1 = ex_order_index1(ex, o);
    uint32_t *id = &table(ex, ex->order_ids_at)[spread(o->o.order_id) & ex->order_mask];
    uint32_t *client = &table(
        ex, ex->order_clients_at)[client_hash(o->o.account, o->o.client_order_id) & ex->order_mask];
    o->id_next1 = *id;
    *id = index1;
    o->client_next1 = *client;
    *client = index1;
}

void ex_order_unindex(struct exchange *ex, struct ex_order *o) {
    struct ex_order *all = ex_orders(ex);
    uint32_t index1 = ex_order_index1(ex, o);
    uint32_t *at1 = &table(ex, ex->order_ids_at)[spread(o->o.order_id) & ex->order_mask];
    while (*at1 != index1) at1 = &all[*at1 - 1].id_next1;
    *at1 = o->id_next1;
    at1 = &table(
        ex, ex->order_clients_at)[client_hash(o->o.account, o->o.client_order_id) & ex->order_mask];
    while (*at1 != index1) at1 = &all[*at1 - 1].client_next1;
    *at1 = o->client_next1;
}

struct ex_order *ex_order_find(const struct exchange *ex, uint32_t account, uint32_t s, uint64_t id,
                               const char *client_id) {
    struct ex_order *all = ex_orders(ex);
    if (id != 0) {
        uint32_t at1 = table(ex, ex->order_ids_at)[spread(id) & ex->order_mask];
        for (; at1; at1 = all[at1 - 1].id_next1) {
            struct exchange_order *o = &all[at1 - 1].o;
            if (o->order_id == id) /* ids are one an exchange */
                return o->account == account && (o->instrument == s || s == UINT32_MAX)
                           ? &all[at1 - 1]
                           : NULL;
        }
        return NULL;
    }
    uint32_t at1 =
        table(ex, ex->order_clients_at)[client_hash(account, client_id) & ex->order_mask];
    for (; at1; at1 = all[at1 - 1].client_next1) {
        struct exchange_order *o = &all[at1 - 1].o;
        if (o->account == account && (o->instrument == s || s == UINT32_MAX) &&
            strncmp(o->client_order_id, client_id, CLIENT_ORDER_ID_SIZE) == 0)
            return &all[at1 - 1];
    }
    return NULL;
}

static uint64_t algo_key(const struct ex_algo *a) {
    return a->classic ? a->a.actual_order_id : a->a.algo_id;
}

void ex_algo_index(struct exchange *ex, struct ex_algo *a) {
    uint32_t index1 = ex_algo_index1(ex, a);
    uint32_t *id = &table(ex, ex->algo_ids_at)[spread(algo_key(a)) & ex->algo_mask];
    uint32_t *client = &table(
        ex, ex->algo_clients_at)[client_hash(a->a.account, a->a.client_algo_id) & ex->algo_mask];
    a->id_next1 = *id;
    *id = index1;
    a->client_next1 = *client;
    *client = index1;
}

void ex_algo_unindex(struct exchange *ex, struct ex_algo *a) {
    struct ex_algo *all = ex_algos(ex);
    uint32_t index1 = ex_algo_index1(ex, a);
    uint32_t *at1 = &table(ex, ex->algo_ids_at)[spread(algo_key(a)) & ex->algo_mask];
    while (*at1 != index1) at1 = &all[*at1 - 1].id_next1;
    *at1 = a->id_next1;
    at1 = &table(
        ex, ex->algo_clients_at)[client_hash(a->a.account, a->a.client_algo_id) & ex->algo_mask];
    while (*at1 != index1) at1 = &all[*at1 - 1].client_next1;
    *at1 = a->client_next1;
}

struct ex_algo *ex_algo_find(const struct exchange *ex, uint32_t account, uint64_t id,
                             const char *client_id, bool classic) {
    struct ex_algo *all = ex_algos(ex);
    if (id != 0) {
        uint32_t at1 = table(ex, ex->algo_ids_at)[spread(id) & ex->algo_mask];
        for (; at1; at1 = all[at1 - 1].id_next1) {
            struct ex_algo *a = &all[at1 - 1];
            if (algo_key(a) == id && (a->classic != 0) == classic)
                return a->a.account == account ? a : NULL;
        }
        return NULL;
    }
    uint32_t at1 = table(ex, ex->algo_clients_at)[client_hash(account, client_id) & ex->algo_mask];
    for (; at1; at1 = all[at1 - 1].client_next1) {
        struct ex_algo *a = &all[at1 - 1];
        if (a->a.account == account && (a->classic != 0) == classic &&
            strncmp(a->a.client_algo_id, client_id, CLIENT_ORDER_ID_SIZE) == 0)
            return a;
    }
    return NULL;
}

/* ---- the house's quotes ---- */

static uint32_t *quote_head(const struct exchange *ex, uint32_t s, enum match_side side,
                            uint32_t tick) {
    uint64_t key = ((uint64_t)s << 33) | ((uint64_t)side << 32) | tick;
    return &table(ex, ex->quote_heads_at)[spread(key) & ex->quote_mask];
}

struct ex_quote *ex_quote_find(const struct exchange *ex, uint32_t s, enum match_side side,
                               uint32_t tick) {
    for (uint32_t at1 = *quote_head(ex, s, side, tick); at1; at1 = ex_quotes(ex)[at1 - 1].next1) {
        struct ex_quote *q = &ex_quotes(ex)[at1 - 1];
        if (q->instrument == s && q->side == side && q->tick == tick) return q;
    }
    return NULL;
}

struct ex_quote *ex_quote_add(struct exchange *ex, uint32_t s, enum match_side side,
                              uint32_t tick) {
    uint32_t index1 = ex_slot_take(&ex->quote_slots, ex_quotes(ex), sizeof(struct ex_quote));
    if (!index1) return NULL;
    struct ex_quote *q = &ex_quotes(ex)[index1 - 1];
    uint32_t *head = quote_head(ex, s, side, tick);
    *q = (struct ex_quote){.instrument = s, .tick = tick, .side = side, .next1 = *head};
    *head = index1;
    return q;
}

void ex_quote_remove(struct exchange *ex, struct ex_quote *q) {
    uint32_t index1 = (uint32_t)(q - ex_quotes(ex)) + 1;
    uint32_t *at1 = quote_head(ex, q->instrument, (enum match_side)q->side, q->tick);
    while (*at1 != index1) at1 = &ex_quotes(ex)[*at1 - 1].next1;
    *at1 = q->next1;
    ex_slot_give(&ex->quote_slots, ex_quotes(ex), sizeof(struct ex_quote), index1);
}
