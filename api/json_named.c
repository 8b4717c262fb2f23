#include "api/json_named.h"

#include "api/json_string.h"
#include "api/json_text.h"

bool json_named_read(struct view json, const char *const *names, size_t count,
                     struct view *out_values)
{
    struct json_parts parts;
    struct json_part part;

    for (size_t i = 0; i < count; i++)
        out_values[i] = (struct view){0};
    if (json_text_type(json) != JSON_IS_OBJECT)
        return false;
    parts = json_parts_of(json);
    while (json_parts_next(&parts, &part)) {
        size_t i = 0;

        while (i < count && !json_string_means(part.name, view_of(names[i])))
            i++;
        if (i == count)
            return false;
        out_values[i] = part.value;
    }
    return true;
}
