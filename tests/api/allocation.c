#include "tests/api/allocation.h"

#include <stddef.h>

static struct {
    bool armed;
    bool fired;
    unsigned left;
    enum allocation_failure failure;
    long live;
} state;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *old);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *old);

void allocation_arm(unsigned nth, enum allocation_failure failure)
{
    state.armed = true;
    state.fired = false;
    state.left = nth;
    state.failure = failure;
    state.live = 0;
}

bool allocation_disarm(void)
{
    state.armed = false;
    return state.fired;
}

long allocation_live(void)
{
    return state.live;
}

static bool fails(void)
{
    if (!state.armed)
        return false;
    if (state.left > 0) {
        state.left--;
        return false;
    }
    if (state.fired && state.failure == ALLOCATION_FAILS_ONCE)
        return false;
    state.fired = true;
    return true;
}

static void *counted(void *block)
{
    state.live += block != NULL;
    return block;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (fails())
        return NULL;
    if (old == NULL)
        return counted(__real_realloc(old, size));
    return __real_realloc(old, size);
}

void __wrap_free(void *old)
{
    state.live -= old != NULL;
    __real_free(old);
}
