#include "storage/condition.h"

static bool lists(const struct condition *condition, struct version version)
{
    for (size_t i = 0; i < condition->count; i++)
        if (version_equal(condition->versions[i], version))
            return true;
    return false;
}

bool condition_holds(const struct condition *condition,
                     const struct record *current)
{
    switch (condition->kind) {
    case CONDITION_NONE:
        return true;
    case CONDITION_ABSENT:
        return current == NULL;
    case CONDITION_PRESENT:
        return current != NULL;
    case CONDITION_ANY_OF:
        return current != NULL && lists(condition, current->version);
    case CONDITION_NONE_OF:
        return current == NULL || !lists(condition, current->version);
    }
    return false;
}
