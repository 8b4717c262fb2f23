#include "replication/roll.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

static struct roll roll;

static void set_up(void)
{
    roll = (struct roll){.count = 0};
}

TestSuite(roll, .init = set_up, .timeout = 10);

static const struct roll_line well = {
    .incarnation = 5,
    .heard = 5,
    .standing = ROLL_ALIVE,
    .store = STORE_READ_WRITE,
    .clock_is_good = true,
    .epoch = 3,
    .digest = 4,
    .clock_ahead_ms = -6,
    .round_trip_ms = 7,
    .heard_at_ms = 8,
};

Test(roll, a_line_says_what_was_written)
{
    int number = roll_enter(&roll, VIEW_LITERAL("ada"));
    struct roll_line line;

    cr_assert(eq(int, number, 0));
    roll_write(&roll, 0, &well);
    line = roll_read(&roll, 0);
    cr_expect(eq(str, (char *)roll_name(&roll, 0), "ada"));
    cr_expect(eq(u64, line.incarnation, 5));
    cr_expect(eq(u64, line.heard, 5));
    cr_expect(eq(int, line.standing, ROLL_ALIVE));
    cr_expect(eq(int, line.store, STORE_READ_WRITE));
    cr_expect(line.clock_is_good);
    cr_expect(eq(u64, line.epoch, 3));
    cr_expect(eq(u64, line.digest, 4));
    cr_expect(eq(i64, line.clock_ahead_ms, -6));
    cr_expect(eq(u64, line.round_trip_ms, 7));
    cr_expect(eq(u64, line.heard_at_ms, 8));
}

Test(roll, a_name_keeps_its_line)
{
    cr_assert(eq(int, roll_enter(&roll, VIEW_LITERAL("ada")), 0));
    cr_assert(eq(int, roll_enter(&roll, VIEW_LITERAL("bob")), 1));
    cr_expect(eq(int, roll_enter(&roll, VIEW_LITERAL("ada")), 0));
    cr_expect(eq(uint, roll_count(&roll), 2));
}

Test(roll, it_ends_somewhere)
{
    char name[RING_NAME_MAX + 2];

    for (unsigned i = 0; i < ROLL_MAX; i++) {
        snprintf(name, sizeof(name), "%u", i);
        cr_assert(eq(int, roll_enter(&roll, view_of(name)), (int)i));
    }
    cr_expect(eq(int, roll_enter(&roll, VIEW_LITERAL("ada")), -1));
    cr_expect(eq(int, roll_enter(&roll, VIEW_LITERAL("255")), 255));
}

Test(roll, who_is_not_in_it_is_not_counted_on)
{
    roll_enter(&roll, VIEW_LITERAL("ada"));
    cr_expect(not(roll_answers(&roll, 5)));
    cr_expect(not(roll_answers(&roll, 0)), "nobody heard of is anybody");
    roll_write(&roll, 0, &well);
    cr_expect(roll_answers(&roll, 5));
    cr_expect(roll_takes_writes(&roll, 5));
    cr_expect(not(roll_answers(&roll, 6)));
}

/* An engine that is full, a clock that is wrong: good enough to read from. */
Test(roll, who_cannot_write_still_answers)
{
    struct roll_line line = well;

    roll_enter(&roll, VIEW_LITERAL("ada"));
    line.store = STORE_READ_ONLY;
    roll_write(&roll, 0, &line);
    cr_expect(roll_answers(&roll, 5));
    cr_expect(not(roll_takes_writes(&roll, 5)));

    line = well;
    line.clock_is_good = false;
    roll_write(&roll, 0, &line);
    cr_expect(roll_answers(&roll, 5));
    cr_expect(not(roll_takes_writes(&roll, 5)));
}

Test(roll, only_who_is_alive_is_counted_on)
{
    struct roll_line line = well;

    roll_enter(&roll, VIEW_LITERAL("ada"));
    for (unsigned i = ROLL_UNHEARD; i <= ROLL_GONE; i++) {
        line.standing = (enum roll_standing)i;
        roll_write(&roll, 0, &line);
        cr_expect(eq(int, roll_answers(&roll, 5), i == ROLL_ALIVE));
        cr_expect(eq(int, roll_takes_writes(&roll, 5), i == ROLL_ALIVE));
    }
}
