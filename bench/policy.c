#include "bench/policy.h"

#include <stdbool.h>
#include <stdlib.h>

#define NONE UINT32_MAX

struct node {
    uint32_t newer;
    uint32_t older;
    bool there;
    bool visited;
};

struct list {
    struct node *nodes; /* One a key. */
    uint32_t newest;
    uint32_t oldest;
    size_t count;
};

static struct list list_make(const struct trace *trace)
{
    return (struct list){trace_memory(trace->keys, sizeof(struct node)), NONE,
                         NONE, 0};
}

static void push(struct list *list, uint32_t key)
{
    struct node *node = &list->nodes[key];

    *node = (struct node){.newer = NONE, .older = list->newest, .there = true};
    if (list->newest != NONE)
        list->nodes[list->newest].newer = key;
    else
        list->oldest = key;
    list->newest = key;
    list->count++;
}

static void drop(struct list *list, uint32_t key)
{
    struct node *node = &list->nodes[key];

    if (node->newer != NONE)
        list->nodes[node->newer].older = node->older;
    else
        list->newest = node->older;
    if (node->older != NONE)
        list->nodes[node->older].newer = node->newer;
    else
        list->oldest = node->newer;
    node->there = false;
    list->count--;
}

uint64_t policy_lru(const struct trace *trace, size_t capacity)
{
    struct list list = list_make(trace);
    uint64_t hits = 0;

    for (size_t i = 0; i < trace->size; i++) {
        uint32_t key = trace->asked[i];

        if (list.nodes[key].there) {
            hits += i >= trace->warm;
            drop(&list, key);
        } else if (list.count == capacity) {
            drop(&list, list.oldest);
        }
        push(&list, key);
    }
    free(list.nodes);
    return hits;
}

/* The hand goes from old to new and stays where it took one away. */
static void sieve(struct list *list, uint32_t *hand)
{
    uint32_t at = *hand != NONE ? *hand : list->oldest;

    while (list->nodes[at].visited) {
        list->nodes[at].visited = false;
        at = list->nodes[at].newer;
        if (at == NONE)
            at = list->oldest;
    }
    *hand = list->nodes[at].newer;
    drop(list, at);
}

uint64_t policy_sieve(const struct trace *trace, size_t capacity)
{
    struct list list = list_make(trace);
    uint32_t hand = NONE;
    uint64_t hits = 0;

    for (size_t i = 0; i < trace->size; i++) {
        uint32_t key = trace->asked[i];

        if (list.nodes[key].there) {
            hits += i >= trace->warm;
            list.nodes[key].visited = true;
            continue;
        }
        if (list.count == capacity)
            sieve(&list, &hand);
        push(&list, key);
    }
    free(list.nodes);
    return hits;
}

/* The optimum: a heap of who is asked for again when, the latest on top. */

struct next_use {
    uint32_t when;
    uint32_t key;
};

struct heap {
    struct next_use *uses;
    size_t count;
};

static void heap_push(struct heap *heap, struct next_use use)
{
    size_t at = heap->count++;

    while (at > 0 && heap->uses[(at - 1) / 2].when < use.when) {
        heap->uses[at] = heap->uses[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->uses[at] = use;
}

static struct next_use heap_pop(struct heap *heap)
{
    struct next_use top = heap->uses[0], last = heap->uses[--heap->count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= heap->count)
            break;
        if (child + 1 < heap->count &&
            heap->uses[child + 1].when > heap->uses[child].when)
            child++;
        if (heap->uses[child].when <= last.when)
            break;
        heap->uses[at] = heap->uses[child];
        at = child;
    }
    heap->uses[at] = last;
    return top;
}

/* For each request, when its key is asked for again; NONE: never. */
static uint32_t *next_uses(const struct trace *trace)
{
    uint32_t *next = trace_memory(trace->size, sizeof(*next));
    uint32_t *last = trace_memory(trace->keys, sizeof(*last));

    for (uint32_t key = 0; key < trace->keys; key++)
        last[key] = NONE;
    for (size_t i = trace->size; i-- > 0;) {
        next[i] = last[trace->asked[i]];
        last[trace->asked[i]] = (uint32_t)i;
    }
    free(last);
    return next;
}

/* Entries of the heap whose key was asked for since are passed over. */
uint64_t policy_optimum(const struct trace *trace, size_t capacity)
{
    uint32_t *next = next_uses(trace);
    uint32_t *due = trace_memory(trace->keys, sizeof(*due)); /* 0: not there. */
    struct heap heap = {trace_memory(trace->size, sizeof(struct next_use)), 0};
    size_t count = 0;
    uint64_t hits = 0;

    for (size_t i = 0; i < trace->size; i++) {
        uint32_t key = trace->asked[i];

        if (due[key] != 0) {
            hits += i >= trace->warm;
        } else if (next[i] == NONE) {
            continue; /* Never again: it need not come in. */
        } else if (count == capacity) {
            struct next_use latest = heap_pop(&heap);

            while (due[latest.key] != latest.when)
                latest = heap_pop(&heap);
            due[latest.key] = 0;
        } else {
            count++;
        }
        due[key] = next[i];
        heap_push(&heap, (struct next_use){next[i], key});
    }
    free(heap.uses);
    free(due);
    free(next);
    return hits;
}
