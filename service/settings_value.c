#include "service/settings_value.h"

#include "service/settings_peers.h"
#include "service/settings_redis.h"

#include <assert.h>
#include <string.h>

/* Largest first: the first that divides a number is how it is printed. */
struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit sizes[] = {
    {"TiB", UINT64_C(1) << 40},
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"", 1},
    {NULL, 0},
};

static const struct unit durations[] = {
    {"y", UINT64_C(31536000000)},
    {"d", 86400000},
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
    {NULL, 0},
};

static const struct unit counts[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(enum setting_type type)
{
    switch (type) {
    case SETTING_BYTES:
        return sizes;
    case SETTING_DURATION:
        return durations;
    case SETTING_COUNT:
        return counts;
    case SETTING_SWITCH:
    case SETTING_CHOICE:
    case SETTING_PATH:
    case SETTING_ADDRESSES:
    case SETTING_NAME:
    case SETTING_PEERS:
    case SETTING_HOSTS:
    case SETTING_NODES:
        break;
    }
    return NULL;
}

static void *field(const struct setting *setting, struct settings *settings)
{
    return (char *)settings + setting->offset;
}

static const void *field_of(const struct setting *setting,
                            const struct settings *settings)
{
    return (const char *)settings + setting->offset;
}

/* Digits and a suffix; 0 needs none. */
static bool parse_number(const struct unit *unit, struct view text,
                         uint64_t *out_number)
{
    struct view digits = text;
    uint64_t number;

    digits.size = 0;
    while (digits.size < text.size && text.data[digits.size] >= '0' &&
           text.data[digits.size] <= '9')
        digits.size++;
    if (!view_to_u64(digits, &number))
        return false;

    struct view suffix = view_from(text, digits.size);
    bool bare_zero = number == 0 && suffix.size == 0;
    for (; unit->suffix != NULL; unit++) {
        if (!bare_zero && !view_is_ignoring_case(suffix, unit->suffix))
            continue;
        return !__builtin_mul_overflow(number, unit->factor, out_number);
    }
    return false;
}

static const char *number_problem(enum setting_type type)
{
    switch (type) {
    case SETTING_BYTES:
        return "is not a size";
    case SETTING_DURATION:
        return "is not a duration";
    case SETTING_COUNT:
    case SETTING_SWITCH:
    case SETTING_CHOICE:
    case SETTING_PATH:
    case SETTING_ADDRESSES:
    case SETTING_NAME:
    case SETTING_PEERS:
    case SETTING_HOSTS:
    case SETTING_NODES:
        break;
    }
    return "is not a whole number";
}

static const char *set_number(const struct setting *setting, struct view text,
                              struct settings *settings)
{
    uint64_t number;

    if (!parse_number(units_of(setting->type), text, &number))
        return number_problem(setting->type);

    bool stands_for_zero = number == 0 && setting->zero != NULL;
    if (number < setting->minimum && !stands_for_zero)
        return "is too small";
    if (number > setting->maximum)
        return "is too large";
    memcpy(field(setting, settings), &number, sizeof(number));
    return NULL;
}

static const char *set_switch(const struct setting *setting, struct view text,
                              struct settings *settings)
{
    static const char *const words[][2] = {
        {"false", "true"}, {"no", "yes"}, {"off", "on"}, {"0", "1"}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int is_true = 0; is_true <= 1; is_true++) {
            bool value = is_true;

            if (!view_is_ignoring_case(text, words[i][is_true]))
                continue;
            memcpy(field(setting, settings), &value, sizeof(value));
            return NULL;
        }
    }
    return "is neither true nor false";
}

static const char *set_choice(const struct setting *setting, struct view text,
                              struct settings *settings)
{
    for (unsigned i = 0; setting->choices[i] != NULL; i++) {
        if (!view_is(text, setting->choices[i]))
            continue;
        static_assert(sizeof(enum log_level) == sizeof(i) &&
                          sizeof(enum engine_sync) == sizeof(i),
                      "an enum of settings is stored as unsigned");
        memcpy(field(setting, settings), &i, sizeof(i));
        return NULL;
    }
    return "is not known";
}

static const char *set_path(const struct setting *setting, struct view text,
                            struct settings *settings)
{
    char *path = field(setting, settings);

    if (text.size == 0)
        return "is empty";
    if (text.size >= SETTINGS_PATH_SIZE)
        return "is too long";
    if (text.data[0] == '"' || text.data[0] == '\'')
        return "is in quotes, which would become part of the name";
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7F)
            return "contains a control character";
    memcpy(path, text.data, text.size);
    path[text.size] = '\0';
    return NULL;
}

static const char *add_listener(struct settings_listeners *listeners,
                                struct view text)
{
    struct address address;
    const char *problem = NULL;

    if (listeners->count == SETTINGS_LISTENERS)
        return "has more than 8 addresses";
    if (address_parse(view_trim(text), &address, &problem) != KIST_OK)
        return problem;
    for (size_t i = 0; i < listeners->count; i++)
        if (address_equal(&listeners->addresses[i], &address))
            return "has the same address twice";
    listeners->addresses[listeners->count++] = address;
    return NULL;
}

static const char *set_addresses(const struct setting *setting,
                                 struct view text, struct settings *settings)
{
    struct settings_listeners listeners = {.count = 0};
    struct view part;

    while (view_cut_part(&text, &part)) {
        const char *problem = add_listener(&listeners, part);

        if (problem != NULL)
            return problem;
    }
    memcpy(field(setting, settings), &listeners, sizeof(listeners));
    return NULL;
}

static size_t field_size(enum setting_type type)
{
    if (type == SETTING_PEERS || type == SETTING_HOSTS)
        return sizeof(struct settings_peers);
    if (type == SETTING_NODES)
        return sizeof(struct settings_redis_nodes);
    return type == SETTING_ADDRESSES ? sizeof(struct settings_listeners)
           : type == SETTING_NAME    ? SETTINGS_NAME_SIZE
                                     : SETTINGS_PATH_SIZE;
}

/* "none", for those that can be without. */
static bool is_none(const struct setting *setting, struct view text)
{
    return setting->fallback != NULL &&
           strcmp(setting->fallback, "none") == 0 && view_is(text, "none");
}

static const char *set(const struct setting *setting, struct view text,
                       struct settings *settings)
{
    if (is_none(setting, text)) {
        memset(field(setting, settings), 0, field_size(setting->type));
        return NULL;
    }
    switch (setting->type) {
    case SETTING_BYTES:
    case SETTING_DURATION:
    case SETTING_COUNT:
        return set_number(setting, text, settings);
    case SETTING_SWITCH:
        return set_switch(setting, text, settings);
    case SETTING_CHOICE:
        return set_choice(setting, text, settings);
    case SETTING_PATH:
        return set_path(setting, text, settings);
    case SETTING_ADDRESSES:
        return set_addresses(setting, text, settings);
    case SETTING_NAME:
        return settings_peers_parse_name(text, field(setting, settings));
    case SETTING_PEERS:
        return settings_peers_parse(text, field(setting, settings));
    case SETTING_HOSTS:
        return settings_peers_parse_hosts(text, field(setting, settings));
    case SETTING_NODES:
        break;
    }
    return settings_redis_parse(text, field(setting, settings));
}

enum kist_status settings_value_parse(const struct setting *setting,
                                      struct view text,
                                      struct settings *settings,
                                      const char **out_problem)
{
    const char *problem = set(setting, text, settings);

    if (problem == NULL)
        return KIST_OK;
    *out_problem = problem;
    return KIST_INVALID;
}

uint64_t settings_value_number(const struct setting *setting,
                               const struct settings *settings)
{
    uint64_t number;

    assert(units_of(setting->type) != NULL);
    memcpy(&number, field_of(setting, settings), sizeof(number));
    return number;
}

static void print_number(const struct unit *unit, uint64_t number,
                         struct blob *out_text)
{
    if (number == 0) {
        blob_append_byte(out_text, '0');
        return;
    }
    while (number % unit->factor != 0)
        unit++;
    blob_printf(out_text, "%llu%s", (unsigned long long)(number / unit->factor),
                unit->suffix);
}

static void print_addresses(const struct settings_listeners *listeners,
                            struct blob *out_text)
{
    if (listeners->count == 0)
        blob_append_text(out_text, "none");
    for (size_t i = 0; i < listeners->count; i++) {
        if (i > 0)
            blob_append_byte(out_text, ',');
        address_print(&listeners->addresses[i], out_text);
    }
}

static void print_text(const struct setting *setting, const char *text,
                       struct blob *out_text)
{
    bool none = text[0] == '\0' && setting->fallback != NULL;

    blob_append_text(out_text, none ? setting->fallback : text);
}

void settings_value_print(const struct setting *setting,
                          const struct settings *settings,
                          struct blob *out_text)
{
    const void *value = field_of(setting, settings);
    unsigned chosen;

    switch (setting->type) {
    case SETTING_BYTES:
    case SETTING_DURATION:
    case SETTING_COUNT:
        print_number(units_of(setting->type),
                     settings_value_number(setting, settings), out_text);
        break;
    case SETTING_SWITCH:
        blob_append_text(out_text, *(const bool *)value ? "true" : "false");
        break;
    case SETTING_CHOICE:
        memcpy(&chosen, value, sizeof(chosen));
        blob_append_text(out_text, setting->choices[chosen]);
        break;
    case SETTING_PATH:
    case SETTING_NAME:
        print_text(setting, value, out_text);
        break;
    case SETTING_ADDRESSES:
        print_addresses(value, out_text);
        break;
    case SETTING_PEERS:
    case SETTING_HOSTS:
        settings_peers_print(value, out_text);
        break;
    case SETTING_NODES:
        settings_redis_print(value, out_text);
        break;
    }
}

static void print_range(const struct setting *setting, struct blob *out_text)
{
    const struct unit *units = units_of(setting->type);

    print_number(units, setting->minimum, out_text);
    blob_append_text(out_text, " to ");
    print_number(units, setting->maximum, out_text);
    if (setting->unit != NULL)
        blob_printf(out_text, " %s", setting->unit);
    if (setting->zero != NULL)
        blob_printf(out_text, ", or 0 (%s)", setting->zero);
}

static void print_choices(const char *const *choices, struct blob *out_text)
{
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (i > 0)
            blob_append_text(out_text, choices[i + 1] ? ", " : " or ");
        blob_append_text(out_text, choices[i]);
    }
}

void settings_value_allowed(const struct setting *setting,
                            struct blob *out_text)
{
    switch (setting->type) {
    case SETTING_BYTES:
    case SETTING_DURATION:
    case SETTING_COUNT:
        print_range(setting, out_text);
        break;
    case SETTING_SWITCH:
        blob_append_text(out_text, "true or false");
        break;
    case SETTING_CHOICE:
        print_choices(setting->choices, out_text);
        break;
    case SETTING_PATH:
        blob_append_text(out_text, "a path, without quotes");
        break;
    case SETTING_ADDRESSES:
        blob_append_text(out_text, "127.0.0.1:7700, [::1]:7700, "
                                   "localhost:7700, :7700, and lists of them");
        break;
    case SETTING_NAME:
        blob_append_text(out_text,
                         "1 to 63 letters, digits, dots, dashes or _");
        break;
    case SETTING_PEERS:
        blob_append_text(out_text, "a list like a=10.0.0.1:7701,b=kist-b:7701, "
                                   "of up to 100 members");
        break;
    case SETTING_HOSTS:
        blob_append_text(out_text, "a list like 10.0.0.1:7701,kist-b:7701");
        break;
    case SETTING_NODES:
        blob_append_text(out_text, "a list like 10.0.0.1:6379,redis-b:6379, or "
                                   "a path like /run/redis/redis.sock");
        break;
    }
}

const char *settings_value_manner(enum setting_type type)
{
    switch (type) {
    case SETTING_BYTES:
        return ", written like 4096, 64KiB, 1MiB or 1GiB";
    case SETTING_DURATION:
        return ", written like 500ms, 10s, 5m, 2h or 1d";
    case SETTING_COUNT:
    case SETTING_SWITCH:
    case SETTING_CHOICE:
    case SETTING_PATH:
    case SETTING_ADDRESSES:
    case SETTING_NAME:
    case SETTING_PEERS:
    case SETTING_HOSTS:
    case SETTING_NODES:
        break;
    }
    return "";
}
