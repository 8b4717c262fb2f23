#include "base/json_type.h"

const char *json_type_name(enum json_type type)
{
    switch (type) {
    case JSON_NONE:
        return "none";
    case JSON_IS_OBJECT:
        return "object";
    case JSON_IS_ARRAY:
        return "array";
    case JSON_IS_STRING:
        return "string";
    case JSON_IS_NUMBER:
        return "number";
    case JSON_IS_BOOLEAN:
        return "boolean";
    case JSON_IS_NULL:
        return "null";
    }
    return "none";
}
