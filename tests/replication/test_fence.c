#include "replication/fence.h"
#include "tests/simulator/machine.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static struct world world;
static struct network network;
static struct machine *machine;
static struct hlc hlc;
static struct fence fence;

/* A machine's clocks and timers, and judgements of our own. */
static void set_up(void)
{
    world_init(&world, 5, false);
    network_init_founding(&network, &world, 1, 1);
    machine = &network.machines[0];
    hlc_init(&hlc, 1, 0);
    fence = (struct fence){
        .env = &machine->env, .hlc = &hlc, .limit_ms = FENCE_LIMIT_MS};
    fence_start(&fence);
}

static void tear_down(void)
{
    fence_stop(&fence);
    network_clear(&network);
    world_clear(&world);
}

TestSuite(fence, .init = set_up, .fini = tear_down, .timeout = 20);

static void pass_ms(uint64_t time_ms)
{
    world_run(&world, world.now_us + time_ms * 1000);
}

static enum fence_state judge(unsigned members, unsigned count,
                              const int64_t *ahead_ms)
{
    int64_t copy[8];

    for (unsigned i = 0; i < count; i++)
        copy[i] = ahead_ms[i];
    fence_judge(&fence, copy, count, members);
    return fence_state(&fence);
}

static bool is_open(void)
{
    struct env *env = &machine->env;

    return fence_is_open(&fence, env->ops->wall_ms(env),
                         env->ops->mono_ms(env));
}

#define JUDGE(members, ...)                                                    \
    judge((members), sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),       \
          (int64_t[]){__VA_ARGS__})

Test(fence, it_opens_when_a_majority_agrees)
{
    cr_expect(eq(int, fence_state(&fence), FENCE_UNCONFIRMED));
    cr_expect(eq(int, judge(3, 0, NULL), FENCE_UNCONFIRMED), "nobody else");
    cr_expect(eq(int, JUDGE(3, 9000), FENCE_UNCONFIRMED), "one who disagrees");
    cr_expect(eq(int, JUDGE(3, 250), FENCE_OPEN));
}

Test(fence, a_node_alone_agrees_with_itself)
{
    cr_expect(eq(int, judge(1, 0, NULL), FENCE_OPEN));
}

Test(fence, it_closes_when_the_others_agree_without_us)
{
    cr_assert(eq(int, JUDGE(3, 0, 0), FENCE_OPEN));
    cr_expect(eq(int, JUDGE(3, 9000, 0), FENCE_OPEN), "the other one is off");
    cr_expect(eq(int, JUDGE(3, -300, -400), FENCE_APART));
    cr_expect(eq(i64, gauge_read(&fence.stats.ahead_ms), 300));
    cr_expect(eq(u64, counter_read(&fence.stats.closed), 1));
    cr_expect(eq(int, JUDGE(3, -300), FENCE_APART), "too few to say else");
    cr_expect(eq(int, JUDGE(3, 0, -400), FENCE_OPEN));
}

/* Who of two is wrong cannot be said; both opened when they agreed. */
Test(fence, too_few_do_not_move_it)
{
    cr_assert(eq(int, JUDGE(3, 0, 0), FENCE_OPEN));
    cr_expect(eq(int, JUDGE(3, 9000), FENCE_OPEN));
    cr_expect(eq(int, judge(3, 0, NULL), FENCE_OPEN));
    cr_expect(eq(int, JUDGE(5, 9000, 9000), FENCE_APART), "two of three");
}

Test(fence, clocks_off_to_different_sides_do_not_close_it)
{
    cr_assert(eq(int, JUDGE(5, 0, 0), FENCE_OPEN));
    cr_expect(eq(int, JUDGE(5, 9000, -9000, 9000, -9000), FENCE_OPEN));
}

Test(fence, a_jump_closes_it_until_a_majority_agrees_again)
{
    cr_assert(eq(int, JUDGE(3, 0, 0), FENCE_OPEN));
    pass_ms(1000);
    cr_assert(eq(int, fence_state(&fence), FENCE_OPEN), "time goes on");

    machine_set_clock(machine, -3600000, 0);
    cr_expect(not(is_open()), "even before it was looked for");
    pass_ms(250);
    cr_expect(eq(int, fence_state(&fence), FENCE_JUMPED));
    cr_expect(eq(u64, counter_read(&fence.stats.jumps), 1));
    cr_expect(ge(u64, fence_valid_from_ms(&fence), 1000));
    pass_ms(5000);
    cr_expect(eq(int, fence_state(&fence), FENCE_JUMPED));
    cr_expect(eq(int, JUDGE(3, 3600000, 3600000), FENCE_APART));
    cr_expect(eq(int, JUDGE(3, 10, 10), FENCE_OPEN));
}

Test(fence, a_clock_that_is_set_right_by_little_does_not_close_it)
{
    cr_assert(eq(int, JUDGE(3, 0, 0), FENCE_OPEN));
    machine_set_clock(machine, 900, 0);
    cr_expect(is_open());
    pass_ms(1000);
    cr_expect(eq(int, fence_state(&fence), FENCE_OPEN));
    cr_expect(eq(u64, counter_read(&fence.stats.jumps), 0));
}

/* A clock that was wrong before a restart leaves versions ahead of time. */
Test(fence, it_is_closed_while_time_is_a_minute_behind_the_versions)
{
    uint64_t now_ms = machine->env.ops->wall_ms(&machine->env);
    struct version version;

    fence_stop(&fence);
    hlc_init(&hlc, 1, now_ms + 61000);
    version = hlc_next(&hlc, now_ms);
    cr_assert(gt(u64, version_ms(version), now_ms + 60000));
    fence_start(&fence);
    cr_expect(eq(int, JUDGE(3, 0, 0), FENCE_BEHIND));
    pass_ms(1500);
    cr_expect(eq(int, fence_state(&fence), FENCE_OPEN));
    cr_expect(gt(i64, gauge_read(&fence.stats.lead_ms), 59000));
}
