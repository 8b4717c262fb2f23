#include "tests/fuzz/fuzz.h"

#include <string.h>

struct view fuzz_cut(struct view *input)
{
    const char *nul =
        input->size == 0 ? NULL : memchr(input->data, '\0', input->size);
    struct view first = *input;

    if (nul == NULL) {
        *input = (struct view){"", 0};
        return first;
    }
    first.size = (size_t)(nul - input->data);
    *input = view_from(*input, first.size + 1);
    return first;
}
