/*
 * How evenly does a ring spread its data, and how much of it moves?
 *
 * Three ways to place a key are compared on the same keys: random tokens (the
 * classic ring), the highest hash of each pair of partition and member
 * (rendezvous), and the table of replication/ring_plan.h. For each: how far
 * the fullest and the emptiest member are from the mean, and what a join, a
 * leave and a replacement move in percent of the least that any placement
 * must move: what the newcomer is due, or what the leaver had.
 *
 *     ring [members...]      3 to 1,000 if not said
 */
#include "replication/ring_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COPIES = 3,
    KEYS = 1 << 16, /* The same for each partition, however many. */
    MEMBERS = 1002,
};

struct placement {
    const char *name;
    unsigned size; /* Tokens a member, or bits of partitions. */
    /* owners: KEYS rows of COPIES members, of those that are present. */
    void (*place)(unsigned size, const bool *present, uint16_t *owners);
};

static uint64_t hash_of(uint64_t a, uint64_t b)
{
    uint64_t pair[2] = {a, b};

    return ring_hash((struct view){(const char *)pair, sizeof(pair)});
}

/* Evenly over the hashes: the spread of the placement, not of the sample. */
static uint64_t key_at(unsigned i)
{
    return UINT64_MAX / KEYS * i + UINT64_MAX / KEYS / 2;
}

struct token {
    uint64_t at;
    uint16_t member;
};

static int by_place(const void *a, const void *b)
{
    uint64_t x = ((const struct token *)a)->at;
    uint64_t y = ((const struct token *)b)->at;

    return (x > y) - (x < y);
}

static bool is_in(const uint16_t *row, unsigned count, unsigned member)
{
    for (unsigned i = 0; i < count; i++)
        if (row[i] == member)
            return true;
    return false;
}

static void place_by_tokens(unsigned size, const bool *present,
                            uint16_t *owners)
{
    struct token *tokens = calloc((size_t)MEMBERS * size, sizeof(*tokens));
    unsigned count = 0, at = 0;

    for (unsigned m = 0; tokens != NULL && m < MEMBERS; m++)
        for (unsigned v = 0; present[m] && v < size; v++)
            tokens[count++] = (struct token){hash_of(m, v), (uint16_t)m};
    if (count == 0)
        abort();
    qsort(tokens, count, sizeof(*tokens), by_place);
    for (unsigned k = 0; k < KEYS; k++) {
        uint16_t *row = owners + (size_t)k * COPIES;
        unsigned found = 0;

        while (at < count && tokens[at].at < key_at(k))
            at++;
        for (unsigned i = 0; found < COPIES; i++) {
            uint16_t member = tokens[(at + i) % count].member;

            if (!is_in(row, found, member))
                row[found++] = member;
        }
    }
    free(tokens);
}

static void highest(uint64_t partition, const bool *present, uint16_t *row)
{
    for (unsigned i = 0; i < COPIES; i++) {
        uint64_t best = 0;

        for (unsigned m = 0; m < MEMBERS; m++) {
            uint64_t hash = present[m] ? hash_of(partition, m) : 0;

            if (hash > best && !is_in(row, i, m)) {
                best = hash;
                row[i] = (uint16_t)m;
            }
        }
    }
}

static void place_by_rendezvous(unsigned size, const bool *present,
                                uint16_t *owners)
{
    uint64_t last = UINT64_MAX;

    for (unsigned k = 0; k < KEYS; k++) {
        uint16_t *row = owners + (size_t)k * COPIES;
        uint64_t partition = key_at(k) >> (64 - size);

        if (partition == last)
            memcpy(row, row - COPIES, COPIES * sizeof(*row));
        else
            highest(partition, present, row);
        last = partition;
    }
}

/* What a placement does, from the owners before and after. */

struct figures {
    double most, least;          /* Percent of the mean, less 100. */
    double join, leave, replace; /* Percent of the optimum. */
};

static void spread(const uint16_t *owners, unsigned members,
                   struct figures *figures)
{
    static const double all = (double)KEYS * COPIES;
    unsigned load[MEMBERS] = {0}, most = 0, least = UINT32_MAX;

    for (size_t i = 0; i < (size_t)KEYS * COPIES; i++)
        load[owners[i]]++;
    for (unsigned m = 0; m < MEMBERS; m++) {
        most = load[m] > most ? load[m] : most;
        least = load[m] != 0 && load[m] < least ? load[m] : least;
    }
    figures->most = 100 * most * members / all - 100;
    figures->least = 100 * least * members / all - 100;
}

/* Copies that are somewhere else afterwards. */
static double moved(const uint16_t *before, const uint16_t *after)
{
    unsigned count = 0;

    for (size_t i = 0; i < (size_t)KEYS * COPIES; i++)
        count += !is_in(before + i / COPIES * COPIES, COPIES, after[i]);
    return count;
}

static double held(const uint16_t *owners, unsigned member)
{
    unsigned count = 0;

    for (size_t i = 0; i < (size_t)KEYS * COPIES; i++)
        count += owners[i] == member;
    return count;
}

/* Member 0 leaves; member `members` joins, or takes its place. */
static struct figures measure_function(const struct placement *placement,
                                       unsigned members, uint16_t *before,
                                       uint16_t *after)
{
    bool present[MEMBERS] = {false};
    struct figures figures;

    for (unsigned m = 0; m < members; m++)
        present[m] = true;
    placement->place(placement->size, present, before);
    spread(before, members, &figures);

    present[members] = true;
    placement->place(placement->size, present, after);
    figures.join = 100 * moved(before, after) * (members + 1) / KEYS / COPIES;
    present[0] = false;
    placement->place(placement->size, present, after);
    figures.replace = 100 * moved(before, after) / held(before, 0);
    present[members] = false;
    figures.leave = 0;
    if (members > COPIES) {
        placement->place(placement->size, present, after);
        figures.leave = 100 * moved(before, after) / held(before, 0);
    }
    return figures;
}

/* The same for a ring, whose table is the outcome of its history. */

/* Members are called 0000 and so on. */
static uint16_t number_of(const struct ring_member *member)
{
    uint64_t number = 0;

    if (!view_to_u64(member->name, &number))
        abort();
    return (uint16_t)number;
}

static void place_by_ring(const struct ring *ring, const uint16_t *table,
                          uint16_t *owners)
{
    for (unsigned k = 0; k < KEYS; k++) {
        size_t partition = key_at(k) >> (64 - ring->bits);

        for (unsigned i = 0; i < COPIES; i++)
            owners[(size_t)k * COPIES + i] =
                number_of(&ring->members[table[partition * COPIES + i]]);
    }
}

static void must(enum kist_status status)
{
    if (status == KIST_OK)
        return;
    fprintf(stderr, "ring: %s\n", kist_status_name(status));
    exit(1);
}

static struct ring *changed(const struct ring *ring, const char *leaving,
                            const char *joining)
{
    struct ring_member member = {.name = view_of(joining)};
    struct ring_change change = {*joining ? &member : NULL, view_of(leaving)};
    struct ring *planned = NULL;

    must(ring_plan_change(ring, &change, &planned));
    return planned;
}

static double change_moves(const struct ring *ring, const char *leaving,
                           const char *joining, uint16_t *before,
                           uint16_t *after)
{
    struct ring *planned = changed(ring, leaving, joining);

    place_by_ring(planned, planned->owners, before);
    place_by_ring(planned, planned->next, after);
    ring_free(planned);
    return moved(before, after);
}

/* Half the members are there from the start, the others joined. */
static struct ring *grown(unsigned bits, unsigned members)
{
    static char names[MEMBERS][8];
    struct ring_member all[MEMBERS] = {0};
    struct ring shape = {.bits = bits, .copies = COPIES, .members = all};
    struct ring *ring = NULL;

    for (unsigned m = 0; m < MEMBERS; m++) {
        snprintf(names[m], sizeof(names[m]), "%04u", m);
        all[m].name = view_of(names[m]);
    }
    shape.member_count = members < 2 * COPIES ? COPIES : members / 2;
    must(ring_plan_create(&shape, &ring));
    while (ring->member_count < members) {
        struct ring *planned = changed(ring, "", names[ring->member_count]);
        struct ring *finished = NULL;

        must(ring_plan_finish(planned, &finished));
        ring_free(planned);
        ring_free(ring);
        ring = finished;
    }
    return ring;
}

static struct figures measure_table(unsigned bits, unsigned members,
                                    uint16_t *before, uint16_t *after)
{
    struct ring *ring = grown(bits, members);
    char newcomer[8];
    struct figures figures = {0};
    double had;

    snprintf(newcomer, sizeof(newcomer), "%04u", members);
    place_by_ring(ring, ring->owners, before);
    spread(before, members, &figures);
    had = held(before, 0);
    figures.join = 100 * change_moves(ring, "", newcomer, before, after) *
                   (members + 1) / KEYS / COPIES;
    figures.replace =
        100 * change_moves(ring, "0000", newcomer, before, after) / had;
    if (members > COPIES)
        figures.leave =
            100 * change_moves(ring, "0000", "", before, after) / had;
    ring_free(ring);
    return figures;
}

static const struct placement placements[] = {
    {"tokens", 16, place_by_tokens},
    {"tokens", 256, place_by_tokens},
    {"rendezvous", 12, place_by_rendezvous},
    {"table", 8, NULL},
    {"table", 10, NULL},
    {"table", 12, NULL},
    {"table", 14, NULL},
};

static void show(const struct placement *placement, unsigned members,
                 const struct figures *figures)
{
    printf("| %u | %s | ", members, placement->name);
    if (placement->place == place_by_tokens)
        printf("%u a member", placement->size);
    else
        printf("%u", 1u << placement->size);
    printf(" | %+.1f | %+.1f | %.0f | ", figures->most, figures->least,
           figures->join);
    if (figures->leave > 0)
        printf("%.0f", figures->leave);
    printf(" | %.0f |\n", figures->replace);
}

static void compare(unsigned members, uint16_t *before, uint16_t *after)
{
    for (size_t i = 0; i < sizeof(placements) / sizeof(placements[0]); i++) {
        const struct placement *placement = &placements[i];
        struct figures figures;

        /* With fewer than a partition for each copy there is no balance. */
        if (placement->place == NULL &&
            (COPIES << placement->size) < 4 * (int)members)
            continue;
        figures = placement->place != NULL
                      ? measure_function(placement, members, before, after)
                      : measure_table(placement->size, members, before, after);
        show(placement, members, &figures);
    }
}

int main(int argc, char **argv)
{
    static const unsigned usual[] = {3, 5, 10, 30, 100, 300, 1000};
    uint16_t *before = calloc((size_t)KEYS * COPIES, sizeof(*before));
    uint16_t *after = calloc((size_t)KEYS * COPIES, sizeof(*after));

    if (before == NULL || after == NULL)
        return 1;
    puts("| Members | Placement | Virtual nodes | Fullest, % | Emptiest, % "
         "| Join | Leave | Replace |\n|--:|---|--:|--:|--:|--:|--:|--:|");
    if (argc == 1)
        for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
            compare(usual[i], before, after);
    for (int i = 1; i < argc; i++) {
        unsigned long members = strtoul(argv[i], NULL, 10);

        if (members < COPIES || members >= MEMBERS) {
            fprintf(stderr, "ring: %s: %d to %d members\n", argv[i], COPIES,
                    MEMBERS - 1);
            return 2;
        }
        compare((unsigned)members, before, after);
    }
    free(before);
    free(after);
    return 0;
}
