#include "api/budget.h"

#include <assert.h>
#include <stdatomic.h>

bool budget_take(struct budget *budget, uint64_t bytes)
{
    uint64_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);

    do {
        if (used > budget->most || bytes > budget->most - used)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(
        &budget->used, &used, used + bytes, memory_order_relaxed,
        memory_order_relaxed));
    return true;
}

void budget_overdraw(struct budget *budget, uint64_t bytes)
{
    atomic_fetch_add_explicit(&budget->used, bytes, memory_order_relaxed);
}

void budget_give_back(struct budget *budget, uint64_t bytes)
{
    uint64_t used =
        atomic_fetch_sub_explicit(&budget->used, bytes, memory_order_relaxed);

    assert(used >= bytes);
    (void)used;
}

uint64_t budget_used(const struct budget *budget)
{
    return atomic_load_explicit(&budget->used, memory_order_relaxed);
}
